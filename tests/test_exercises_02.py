"""Chapter 02: other right answers pass, and two mistakes are told one after the other."""

from __future__ import annotations

import torch

from faceinpaint.course import exercises
from faceinpaint.course.exercises.chapter_02 import mean_error
from faceinpaint.landmarks import failure_rate, mirror_landmarks, normalised_mean_error


def dotted(landmarks, size, swap=False, outside="skip"):
    """An answer to exercise 02.4, landmark by landmark, right or with a mistake."""
    drawn = torch.zeros(1, 1, size, size)
    for point in landmarks[0].tolist():
        x, y = (round(v) for v in (point[::-1] if swap else point))
        if outside == "fail" or (0 <= x < size and 0 <= y < size):
            drawn[0, 0, y, x] = 1
    return drawn


def test_what_the_package_computes_passes_too():
    assert exercises.get("02.1").check(normalised_mean_error).passed
    assert exercises.get("02.2").check(failure_rate).passed
    assert exercises.get("02.3").check(mirror_landmarks).passed


def test_an_answer_that_works_for_a_single_face_at_a_time_passes():
    def one_by_one(predicted, true):
        return torch.cat([mean_error(predicted[n : n + 1], true[n : n + 1]) for n in range(len(true))])

    assert exercises.get("02.1").check(one_by_one).passed
    assert exercises.get("02.4").check(dotted).passed


def test_of_two_mistakes_the_first_case_tells_one_and_the_next_the_other():
    check = exercises.get("02.4").check
    assert "lies on its side" in check(lambda landmarks, size: dotted(landmarks, size, True, "fail")).sentence
    assert "appears at its right" in check(lambda landmarks, size: dotted(landmarks, size, False, "fail")).sentence
