"""What the tests of every chapter's exercises ask of their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest

from faceinpaint.course import exercises


def exercise_tests(numbers: Iterable[str], wrong: list[tuple], times: int) -> tuple[Callable, Callable]:
    """Two tests of a chapter: its wrong answers are told what is wrong, and each exercise meets at least so many.

    wrong: (number, answer, sentence) each; the sentence is a regular expression. That solutions pass and stubs do
    not is tested for all chapters at once, in test_exercises.py.
    """
    @pytest.mark.parametrize("number, answer, sentence", wrong)
    def is_told_what_is_wrong(number, answer, sentence):
        verdict = exercises.get(number).check(answer)
        assert not verdict.passed
        assert re.search(sentence, verdict.sentence), verdict.sentence
        assert "\n" not in verdict.sentence
        # What an answer itself does not stop with is the check's own fault.
        assert "stops with" in sentence or "stops with" not in verdict.sentence, verdict.sentence

    def meets_many():
        for number in numbers:
            assert sum(one[0] == number for one in wrong) >= times, number

    return is_told_what_is_wrong, meets_many
