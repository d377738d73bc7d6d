"""How different several answers are, where they may be."""

from __future__ import annotations

import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.course.studies.diversity import diversity

IMAGE = torch.full((1, 3, 16, 16), 0.5)
MASK = torch.zeros(1, 1, 16, 16)
MASK[..., :4] = 1


def distance(one, other):
    return (one - other).abs().amax(dim=(1, 2, 3))


def answer(value: float, outside: float = 0.5):
    return torch.where(MASK > 0.5, value, outside).expand(1, 3, 16, 16)


def test_differences_are_means_over_pairs_and_the_hole() -> None:
    found = diversity(torch.stack([answer(0.5), answer(0.6), answer(0.9)]), IMAGE, MASK, distance)
    assert found.apart.item() == pytest.approx((0.1 + 0.4 + 0.3) / 3, abs=1e-6)
    assert found.perceptual.item() == pytest.approx((0.1 + 0.4 + 0.3) / 3, abs=1e-6)
    assert found.outside.item() == 0


def test_the_nearest_answer_need_not_be_the_first() -> None:
    found = diversity(torch.stack([answer(0.6), answer(0.51)]), IMAGE, MASK, distance)
    assert found.first.item() == pytest.approx(20, abs=1e-3)
    assert found.nearest.item() == pytest.approx(40, abs=1e-2)


def test_a_changed_known_pixel_is_found() -> None:
    found = diversity(torch.stack([answer(0.5), answer(0.5, outside=0.7)]), IMAGE, MASK, distance)
    assert found.outside.item() == pytest.approx(0.2, abs=1e-6) and found.apart.item() == 0


def test_one_answer_is_none() -> None:
    with pytest.raises(InputError, match="ask for two or more"):
        diversity(answer(0.5)[None], IMAGE, MASK, distance)
