"""Chapter 00: its check accepts the solution and tells typical wrong answers what is wrong."""

from __future__ import annotations

import pytest
import torch
from exercise_checks import assert_refused, assert_solved, assert_tried

from faceinpaint.exercises import chapter_00

WRONG = [
    ("00.1", lambda p, i, m: None, "returns nothing"),
    ("00.1", lambda p, i, m: p, "painted picture, everywhere"),
    ("00.1", lambda p, i, m: i, "the image as it was"),
    ("00.1", lambda p, i, m: torch.where(m > 0, i, p), "the other way round"),
    ("00.1", lambda p, i, m: p + i, "are added"),
    ("00.1", lambda p, i, m: 0.9 * p * m + i * (1 - m), "pixels of the hole"),
    ("00.1", lambda p, i, m: p * m + 0.99 * i * (1 - m), "bit for bit"),
    ("00.1", lambda p, i, m: p * m + i * (1 - m), "Choose, do not multiply"),
]


def test_the_solution_passes():
    assert_solved("00.1")


@pytest.mark.parametrize("number, answer, sentence", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(number, answer, sentence):
    assert_refused(number, answer, sentence)


def test_the_exercise_meets_several_wrong_answers():
    assert_tried(chapter_00.EXERCISES, WRONG, 3)
