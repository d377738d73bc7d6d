"""Chapter 01: what a single mask does not show."""

from __future__ import annotations

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


@pytest.mark.parametrize("answer, sentence", [
    (lambda ratio, size, generator: square_hole(0.8 * ratio, size, generator), "you return 0.205322; it is 0.25."),
    (oblong, "no square"),
    (lambda ratio, size, generator: square_hole(ratio, size, None), "same seed gives you different masks"),
    (lambda ratio, size, generator: square_hole(ratio, size, torch.Generator().manual_seed(0)), "at the same place"),
])
def test_a_hole_of_another_share_or_no_random_square_is_told(answer, sentence):
    assert sentence in exercises.get("01.2").check(answer).sentence
