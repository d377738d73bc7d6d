"""Drawing on masks, and pulling landmarks, as the studio does it."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.studio import strokes


def disc(x, y, radius, size=64):
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)[None, None]


def drawn(hole, stroke, erasing=False):
    return strokes.drawn(hole, *strokes.checked(stroke), erasing)


EMPTY = torch.zeros(1, 1, 64, 64, dtype=torch.bool)


def differ(a, b):
    return (a != b).float().mean().item()


def test_a_dot_is_a_disc_and_the_eraser_takes_it_away():
    painted = drawn(EMPTY, [8, [20, 30]])
    assert differ(painted, disc(20, 30, 8)) < 0.01 and not EMPTY.any()
    assert not drawn(painted, [9, [20, 30]], erasing=True).any()
    assert torch.equal(drawn(EMPTY, [9, [20, 30]], erasing=True), EMPTY)


def test_strokes_add_up():
    first = drawn(EMPTY, [4, [10, 10, 50, 10]])
    both = drawn(first, [4, [30, 10, 30, 50]])
    assert (both | ~first).all() and both.sum() > first.sum()


@pytest.mark.parametrize("radius, points", [(5, [-9, 20, 80, 90]), (2, [63, 63]), (0.01, [0.5, 0.5]), (3, [-50, -50])])
def test_of_a_stroke_that_leaves_the_photo_the_rest_counts(radius, points):
    wide = masks.strokes([[max(radius, strokes.FINEST), [one + 64 for one in points]]], 192)[..., 64:128, 64:128]
    assert torch.equal(drawn(EMPTY, [radius, points]), wide.bool())


@pytest.mark.parametrize("stroke", [
    None, [], [3], [0, [1, 1]], [3, []], [3, [1, 2, 3]], ["a", [1, 1]], [3, [1, 1e9]], 7,
])
def test_what_is_no_stroke_is_refused(stroke):
    with pytest.raises(InputError, match="a stroke is"):
        strokes.checked(stroke)


def test_an_endless_stroke_is_refused():
    with pytest.raises(InputError, match="draw it in several"):
        strokes.checked([3, [1.0] * 50_000])


def test_a_pulled_landmark_takes_its_neighbours_along():
    face = canonical_face(256)
    x, y = (face[0, 48] + torch.tensor([-10.0, 4.0])).tolist()
    moved = strokes.pulled(face, 48, x, y, 256)
    assert moved[0, 48].tolist() == pytest.approx([x, y])
    far = (moved - face).norm(dim=-1)[0]
    assert 0 < far[60] < far[48] and far[19] < 0.01  # the inner corner follows, the brow stays


@pytest.mark.parametrize("index, x, y", [(68, 5, 5), (-1, 5, 5), (3, 256, 5), (3, 5, -1), (3, float("nan"), 5)])
def test_a_landmark_stays_in_the_picture(index, x, y):
    with pytest.raises(InputError, match="choose 0 to 67"):
        strokes.pulled(canonical_face(256), index, x, y, 256)
