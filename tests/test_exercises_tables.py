"""Each exercise has a table of typical mistakes: each is told by its own sentence, and so are faults of any kind."""

from __future__ import annotations

import math
import re
from copy import deepcopy

import pytest
import torch

from faceinpaint.course import exercises
from faceinpaint.course.exercises.exercise import ask, difference, require_mask

TABLES = exercises.EXERCISES
MISTAKES = [(number, sentence) for number, one in TABLES.items() for sentence in one.mistakes]


def told(number, answer):
    """The sentence that the author of a wrong answer is told."""
    verdict = exercises.get(number).check(answer)
    assert not verdict.passed
    assert "\n" not in verdict.sentence and verdict.sentence[-1] in ".?"
    return verdict.sentence


def with_result(number, change):
    """An answer that returns what change makes of the right one."""
    return lambda *given: change(TABLES[number].solved_by(*given))


def a_little_off(right):
    """What is not right, but of the same kind."""
    if isinstance(right, torch.Tensor):
        flat = right.flatten()
        last = torch.arange(len(flat)) >= 0.8 * len(flat) - 1
        return torch.where(last, torch.where(flat == 1, 0, flat + 1), flat).view(right.shape)
    if isinstance(right, list):
        return [*right[:-1], "c" if not right or isinstance(right[-1], str) else right[-1] + 50]
    if isinstance(right, dict):
        return {**right, list(right)[-1]: 0.123}
    return right + 1


def spoilt(value):
    """Change a value, if it can be changed."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        value.mul_(0.5)
    if isinstance(value, (list, dict)):
        value.clear()


@pytest.mark.parametrize("number, sentence", MISTAKES, ids=[number for number, _ in MISTAKES])
def test_each_typical_mistake_is_told_by_its_own_sentence(number, sentence):
    assert told(number, TABLES[number].mistakes[sentence]) == sentence


@pytest.mark.parametrize("number", TABLES)
def test_a_table_has_the_typical_mistakes_and_no_more(number):
    assert 3 <= len(TABLES[number].mistakes) <= 7


@pytest.mark.parametrize("number", TABLES)
def test_a_function_that_returns_nothing_or_something_else_is_told(number):
    assert "returns nothing" in told(number, lambda *given: None)
    assert "returns a set" in told(number, lambda *given: {0.5})


@pytest.mark.parametrize("number", TABLES)
def test_a_wrong_shape_is_told(number):
    assert re.search(r"shape \(7, 6\)|returns a Tensor", told(number, lambda *given: torch.ones(7, 6)))


@pytest.mark.parametrize("number", [number for number in TABLES if number not in ("04.4", "05.3", "07.2")])
def test_what_is_no_number_is_told(number):
    assert re.search(r"returns nan|\(inf or nan\)", told(number, with_result(number, lambda right: right * math.nan)))


@pytest.mark.parametrize("number", [number for number, one in TABLES.items() if one.like is require_mask])
def test_a_mask_of_other_values_is_told(number):
    assert "other values than 0 and 1" in told(number, with_result(number, lambda right: 255 * right))


@pytest.mark.parametrize("number", TABLES)
def test_an_error_of_the_answer_is_told(number):
    assert "stops with ZeroDivisionError: division by zero" in told(number, lambda *given: 1 / 0)


@pytest.mark.parametrize("number", [number for number, one in TABLES.items() if one.asked is ask])
def test_any_other_mistake_is_told_with_what_it_is_to_be(number):
    assert re.search(r"^for .* you return .*; it is .*\.$", told(number, with_result(number, a_little_off)))


@pytest.mark.parametrize("number", [
    number for number, one in TABLES.items()
    if any(isinstance(value, (torch.Tensor, list, dict)) for case in one.cases().values() for value in case)
])
def test_an_answer_that_changes_what_it_is_given_is_told(number):
    def answer(*given):
        right = TABLES[number].solved_by(*deepcopy(given))
        for value in given:
            spoilt(value)
        return right

    assert re.search(r"your function changes `\w+`, which it is given; work on a copy", told(number, answer))


def test_what_is_shown_of_a_tensor_is_where_it_is_farthest_off():
    found = difference("two faces", torch.tensor([[0.0, 1], [2, 9]]), torch.tensor([[0.1, 1], [2, 3]]))
    assert found == "for two faces you return 9 at [1, 1]; it is 3."
    assert difference("three", {"a": 1.0}, {"a": 0.12345678}) == "for three you return a 1; it is a 0.123457."
