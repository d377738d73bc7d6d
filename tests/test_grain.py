"""The grain of painted skin: a share of what the visible skin has, where nobody can know it, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face
from torch import Tensor

from faceinpaint import masks
from faceinpaint.prior.grain import BANDS, MOST, SHARE, bands, blurred, deviation, with_grain

SIZE = 128
HELD = torch.zeros(1, 1, SIZE, SIZE)
HELD[..., 64:, :] = 1  # the lower half is hidden


def noisy(amount: float, seed: int = 1) -> Tensor:
    noise = torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    return (0.5 + amount * noise).expand(1, 3, SIZE, SIZE)


@pytest.fixture(scope="module")
def face() -> Tensor:
    return canonical_face(SIZE)


def grain_of(picture: Tensor, region: Tensor) -> list[float]:
    return [deviation(band, region).item() for band in bands(picture.mean(1, keepdim=True))]


@pytest.mark.parametrize("amount", [0.004, 0.012])
def test_smooth_paint_gets_its_share_of_the_grain_of_the_visible_skin(face: Tensor, amount: float) -> None:
    photo = noisy(amount)
    grained = with_grain(torch.full_like(photo, 0.5), photo, HELD, face, HELD)
    region = masks.face_region(face, SIZE)
    below = region * (blurred(HELD, 3) > 0.99)
    wanted = [SHARE * band for band in grain_of(photo, region * (1 - HELD))]
    assert grain_of(grained, below) == pytest.approx(wanted, rel=0.15)


def test_what_is_too_coarse_for_skin_is_not_taken_for_its_grain(face: Tensor) -> None:
    paint = torch.full((1, 3, SIZE, SIZE), 0.5)
    hair, more_of_it = (with_grain(paint, noisy(amount), HELD, face, HELD) for amount in (0.1, 0.3))
    assert torch.equal(hair, more_of_it) and 0 < (hair - paint).abs().max() < 6 * MOST * len(BANDS)


def test_paint_that_has_grain_enough_gets_none(face: Tensor) -> None:
    coarse = noisy(0.05)
    assert torch.equal(with_grain(coarse, noisy(0.01, seed=2), HELD, face, HELD), coarse)


def test_grain_lies_on_the_unseen_face_alone(face: Tensor) -> None:
    photo = noisy(0.03)
    unseen = HELD.clone()
    unseen[..., :64] = 0  # the left half has a partner on the other side
    paint = torch.full_like(photo, 0.5)
    changed = (with_grain(paint, photo, HELD, face, unseen) != paint).any(1, keepdim=True)
    soft = blurred(masks.face_region(face, SIZE) * unseen, 1.5) > 0
    assert changed.any() and not (changed & ~soft).any() and not (changed & (HELD == 0)).any()


def test_every_face_of_a_batch_has_a_grain_of_its_own_and_always_the_same(face: Tensor) -> None:
    photos = torch.cat([noisy(0.004), noisy(0.012)])
    paint = torch.full_like(photos, 0.5)
    mask, places = HELD.repeat(2, 1, 1, 1), face.repeat(2, 1, 1)
    both = with_grain(paint, photos, mask, places, mask)
    torch.manual_seed(99)
    for number in range(2):
        one = slice(number, number + 1)
        assert torch.allclose(with_grain(paint[one], photos[one], HELD, face, HELD), both[one], atol=1e-6)
    assert both[1].std() > 2 * both[0].std()


def test_without_visible_skin_there_is_no_grain(face: Tensor) -> None:
    paint = torch.full((1, 3, SIZE, SIZE), 0.5)
    everything = torch.ones_like(HELD)
    assert torch.equal(with_grain(paint, noisy(0.03), everything, face, everything), paint)


def test_slopes_pass_to_what_was_painted(face: Tensor) -> None:
    paint = torch.full((1, 3, SIZE, SIZE), 0.5, requires_grad=True)
    with_grain(paint, noisy(0.02), HELD, face, HELD).sum().backward()
    assert (paint.grad == 1).all()


def test_a_wrinkle_is_no_grain() -> None:
    values = 0.01 * torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    region = torch.ones_like(values)
    wrinkled = values.clone()
    wrinkled[..., 60:64, :] = 0.5
    assert deviation(values, region).item() == pytest.approx(0.01, rel=0.05)
    assert deviation(wrinkled, region).item() == pytest.approx(0.01, rel=0.08)
    assert deviation(values, 0 * region) == 0
