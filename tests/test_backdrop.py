"""Plain backdrops are found, whatever their light, and nothing else is taken for one."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face
from torch import Tensor

from faceinpaint.faces.backdrop import backdrop_matte, before_other_backgrounds
from faceinpaint.faces.batch import Faces

SIZE = 96
LINE = torch.linspace(-1, 1, SIZE)
Y, X = torch.meshgrid(LINE, LINE, indexing="ij")
HEAD = ((X / 0.6) ** 2 + (Y / 0.8) ** 2 < 1) | (Y > 0.75) & (X.abs() < 0.7)


def portrait(backdrop: Tensor, person: float = 0.3) -> Faces:
    """A dark head and shoulders before a backdrop (3, S, S)."""
    return Faces(torch.where(HEAD, torch.full_like(backdrop, person), backdrop)[None], canonical_face(SIZE))


def grey(value: float) -> Tensor:
    return torch.full((3, SIZE, SIZE), value)


def misplaced(matte: Tensor) -> float:
    """The share of pixels that are on the wrong side."""
    return ((matte[0, 0] > 0.5) != ~HEAD).float().mean().item()


@pytest.mark.parametrize("backdrop", [
    grey(0.8),
    grey(0.05),
    grey(0.7) + 0.08 * X,  # light from one side
    grey(0.7) - 0.12 * (X**2 + Y**2),  # dark corners
    torch.stack([grey(0.5)[0], grey(0.7)[0], grey(0.9)[0]]),
])
def test_an_even_backdrop_is_found_whatever_its_light(backdrop: Tensor) -> None:
    assert misplaced(backdrop_matte(portrait(backdrop))) < 0.03


def test_what_has_its_colour_but_lies_inside_is_no_backdrop() -> None:
    faces = portrait(grey(0.8))
    shirt = (Y > 0.8) & (X.abs() < 0.3)
    faces.image[:, :, shirt] = 0.8
    faces.image[:, :, (X.abs() < 0.05) & (Y.abs() < 0.05)] = 0.8  # shine on the nose
    assert misplaced(backdrop_matte(faces)) < 0.03


@pytest.mark.parametrize("picture", [
    torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)),  # nothing is even
    torch.where(X < 0, grey(0.9), grey(0.2)),  # hair reaches one side
])
def test_without_an_even_backdrop_there_is_none(picture: Tensor) -> None:
    assert backdrop_matte(portrait(picture)).max() == 0


def test_the_person_stays_and_the_rest_changes() -> None:
    faces = Faces(portrait(grey(0.9)).image, canonical_face(SIZE), torch.tensor([7]), ("seven",))
    changed = before_other_backgrounds(faces, 6, torch.Generator().manual_seed(0))
    assert changed.identity.tolist() == [7] * 6 and changed.name == ("seven",) * 6
    assert torch.equal(changed.landmarks, faces.landmarks.expand(6, -1, -1))
    inner = ((X / 0.5) ** 2 + (Y / 0.7) ** 2 < 1)
    outer = ((X / 0.7) ** 2 + (Y / 0.9) ** 2 > 1) & (Y < 0.6)
    assert torch.equal(changed.image[..., inner], faces.image[..., inner].expand(6, -1, -1))
    assert (changed.image[..., outer] - 0.9).abs().mean(dim=(1, 2)).min() > 0.03
    assert len({round(picture[..., outer].mean().item(), 4) for picture in changed.image}) == 6
    # No rim of the old backdrop is left around a dark head.
    rim = HEAD & ~inner & (Y < 0.6)
    assert (changed.image[..., rim] - 0.3).abs().max() < 0.05
    again = before_other_backgrounds(faces, 6, torch.Generator().manual_seed(0))
    assert torch.equal(again.image, changed.image)


def test_faces_before_no_plain_backdrop_are_left_out() -> None:
    noise = portrait(torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    assert len(before_other_backgrounds(noise, 5, torch.Generator().manual_seed(0))) == 0
