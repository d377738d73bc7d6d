"""What the tests of every chapter's exercises ask of their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from faceinpaint import exercises


def assert_solved(number: str) -> None:
    """The solution of an exercise passes its check."""
    exercise = exercises.get(number)
    verdict = exercise.check(exercise.solved_by)
    assert verdict.passed, verdict


def assert_refused(number: str, answer: Callable, sentence: str) -> None:
    """A wrong answer is told in one sentence what is wrong, and not merely that it stopped."""
    verdict = exercises.get(number).check(answer)
    assert not verdict.passed
    assert re.search(sentence, verdict.sentence), verdict.sentence
    assert "\n" not in verdict.sentence and "stops with" not in verdict.sentence


def assert_tried(numbers: Iterable[str], wrong: list[tuple], times: int) -> None:
    """Every exercise meets at least so many wrong answers; wrong: (number, answer, sentence) each."""
    for number in numbers:
        assert sum(one[0] == number for one in wrong) >= times, number
