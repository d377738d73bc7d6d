"""Chapter 01: what a single mask does not show."""

from __future__ import annotations

import math

import pytest
import torch

from faceinpaint.course import exercises
from faceinpaint.course.exercises.chapter_01 import square_hole


def oblong(ratio, size, generator):
    height = round(size * ratio)
    top = int(torch.randint(0, size - height + 1, (1,), generator=generator))
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + height, :] = 1
    return mask


def uneven(ratio, size, generator):
    """Squares that are of the right size in the mean."""
    return square_hole(ratio * (1.1 if torch.rand(1, generator=generator) < 0.5 else 0.9), size, generator)


@pytest.mark.parametrize("answer, sentence", [
    (lambda ratio, size, generator: square_hole(0.8 * ratio, size, generator), "you return 0.205322; it is 0.25."),
    (oblong, "no square"),
    (uneven, "different sides"),
    (lambda ratio, size, generator: square_hole(ratio, size, None), "same seed gives you different masks"),
    (lambda ratio, size, generator: square_hole(ratio, size, torch.Generator().manual_seed(0)), "at the same place"),
])
def test_a_hole_of_another_share_or_no_random_square_is_told(answer, sentence):
    assert sentence in exercises.get("01.2").check(answer).sentence


@pytest.mark.parametrize("whole", [math.floor, math.ceil])
def test_a_side_may_be_rounded_up_or_down(whole):
    def answer(ratio, size, generator):
        return square_hole((whole(size * ratio**0.5) / size) ** 2, size, generator)

    assert exercises.get("01.2").check(answer).passed
