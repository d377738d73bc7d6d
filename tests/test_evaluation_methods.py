"""Completion without learning: known pixels stay, hidden ones are not peeped at, and each does what its name says."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.completion import Completer
from faceinpaint.evaluation import BASELINES, baselines
from faceinpaint.evaluation.methods import biharmonic, mean_colour, mirror, painter, prior_alone, warped_mirror
from faceinpaint.generator import Generator
from faceinpaint.prior import symmetry
from faceinpaint.prior.symmetry import smooth_fill, symmetry_prior

FACE = canonical_face(64)


def picture(count=1, seed=0):
    """Random pixels of 8 bits."""
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed)).mul(255).round() / 255


@pytest.mark.parametrize("mask", ["mask01", "mask04", "mask09", "face-mask"])
@pytest.mark.parametrize("method", BASELINES.values(), ids=BASELINES)
def test_baselines_keep_known_pixels_and_ignore_hidden_ones(method, mask):
    image, mask = picture() ** 2, masks.named(mask, 64, FACE)  # no longer of 8 bits
    completed = method(image, mask, FACE)
    assert torch.equal(completed * (1 - mask), image * (1 - mask))
    assert 0 <= completed.min() and completed.max() <= 1
    for other in (torch.where(mask > 0, 1 - image, image), torch.where(mask > 0, torch.ones(()), image)):
        assert torch.equal(method(other, mask, FACE), completed)


@pytest.mark.parametrize("method", BASELINES.values(), ids=BASELINES)
def test_the_pictures_of_a_batch_do_not_see_each_other(method):
    image, mask = picture(3), torch.cat([masks.standard(name, 64) for name in ("mask01", "mask04", "mask05")])
    landmarks = FACE + torch.tensor([0.0, 1.0, -2.0]).view(3, 1, 1)
    together = method(image, mask, landmarks)
    for number in range(3):
        part = slice(number, number + 1)
        alone = method(image[part], mask[part], landmarks[part])
        assert (alone - together[part]).abs().max() < 0.5 / 255  # the prior's equations round


@pytest.mark.parametrize("name", BASELINES)
def test_where_all_that_is_known_has_one_colour_so_has_the_hole(name):
    image = torch.tensor([40.0, 120.0, 200.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64) / 255
    completed = BASELINES[name](image, masks.standard("mask05", 64), FACE)
    levels = 16 if name == "telea" else 1  # OpenCV's drifts at the edge of the picture
    assert 255 * (completed - image).abs().max() < levels + 0.5


def test_biharmonic_restores_a_linear_ramp():
    """The smoothest surface through a plane is the plane; Telea's is not."""
    x, y = torch.arange(64.0).view(1, 64), torch.arange(64.0).view(64, 1)
    ramp = torch.stack([40 + 2 * x + y, 200 - x - y, 60 + 3 * y + 0 * x])[None] / 255
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:44, 16:40] = 1
    assert (biharmonic(ramp, mask, FACE) - ramp).abs().max() < 1e-3
    assert (BASELINES["telea"](ramp, mask, FACE) - ramp).abs().max() > 0.05


def test_mirror_restores_a_symmetric_picture():
    image = (picture() + picture().flip(-1)) / 2
    assert torch.equal(mirror(image, masks.standard("mask01", 64), FACE), image)


def test_mirror_takes_the_mean_colour_where_both_sides_are_hidden():
    image, mask = picture(), torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 16:40] = 1  # crosses the middle
    completed = mirror(image, mask, FACE)
    both = (mask * mask.flip(-1)).bool().expand_as(image)
    assert torch.equal(completed[both], mean_colour(image, mask, FACE)[both]) and both.any()
    one = (mask * (1 - mask.flip(-1))).bool().expand_as(image)
    assert torch.equal(completed[one], image.flip(-1)[one]) and one.any()


def test_the_mean_colour_is_that_of_the_known_pixels():
    image, mask = picture(), masks.standard("mask04", 64)
    known = (mask == 0)[0, 0]
    expected = image[0, :, known].mean(1)
    hole = mean_colour(image, mask, FACE)[0, :, ~known]
    assert torch.allclose(hole, expected[:, None].expand_as(hole), atol=1e-5)


def test_the_prior_alone_is_what_the_generator_starts_from():
    image, mask = picture(), masks.standard("mask01", 64)
    expected = symmetry_prior(image, mask, FACE).image
    hole = mask.bool().expand_as(image)
    assert torch.equal(prior_alone(image, mask, FACE)[hole], expected[hole])


def block(left, right, top=20, bottom=44):
    """A mask whose hole is one rectangle."""
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., top:bottom, left:right] = 1
    return mask


def test_the_warped_mirror_is_the_prior_without_its_correction_for_light(monkeypatch):
    """Also under the face mask, whose edge has a hair's breadth of hidden pixels with visible partners."""
    image = 0.3 + 0.1 * picture() + torch.arange(64) / 1000
    for mask in (masks.named("face-mask", 64, FACE), masks.standard("mask01", 64), block(10, 24)):
        with monkeypatch.context() as patch:
            patch.setattr(symmetry, "light", lambda difference, known: torch.zeros_like(difference))
            expected = prior_alone(image, mask, FACE)
        assert torch.allclose(warped_mirror(image, mask, FACE), expected, atol=1e-6)


def test_the_warped_mirror_finds_the_middle_of_a_face_that_stands_aside():
    """A smooth picture that is symmetric about a line six pixels right of its middle, as its landmarks are."""
    x, y = torch.arange(64.0).view(1, 64), torch.arange(64.0).view(64, 1)
    away = (x - 31.5 - 6).abs()
    image = torch.stack([0.9 - away / 60 + 0 * y, 0.2 + away / 80 + y / 300, (away / 9).cos() / 4 + 0.5 + 0 * y])[None]
    landmarks, mask = FACE + torch.tensor([6.0, 0.0]), block(20, 34)
    assert (warped_mirror(image, mask, landmarks) - image).abs().max() < 0.02
    assert (mirror(image, mask, landmarks) - image).abs().max() > 0.1


def test_the_warped_mirror_takes_the_other_sides_light_along():
    """The left side is a little darker: the prior makes up for it, the warped mirror does not."""
    image = torch.where(torch.arange(64) < 32, 0.40, 0.44).expand(1, 3, 64, 64)
    mask, inside = block(12, 24), (..., slice(26, 38), slice(15, 21))
    assert torch.allclose(warped_mirror(image, mask, FACE)[inside], torch.tensor(0.44), atol=1e-3)
    assert torch.allclose(prior_alone(image, mask, FACE)[inside], torch.tensor(0.40), atol=1e-2)


def test_the_warped_mirror_fills_smoothly_what_is_hidden_on_both_sides():
    image, mask = picture(), block(20, 44)  # as far left of the middle as right of it
    expected = smooth_fill(image * (1 - mask), 1 - mask)
    assert torch.allclose(warped_mirror(image, mask, FACE), expected, atol=1e-6)


def test_baselines_come_in_the_order_of_their_names():
    chosen = baselines(["telea", "mirror"])
    assert list(chosen) == ["telea", "mirror"] and chosen["mirror"] is mirror
    assert baselines([]) == {}


def test_an_unknown_baseline_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="no baseline 'navier_stokes': did you mean 'navier-stokes'"):
        baselines(["telea", "navier_stokes"])


def test_a_generator_completes_larger_faces_in_their_own_pixels(predictor, recogniser):
    torch.manual_seed(0)
    completer = Completer(Generator(width=8, rank=0, appearance=(4, 16)), predictor, recogniser, size=64)
    complete = painter(completer)
    mask = masks.standard("mask01", 64)
    assert torch.equal(complete(picture(), mask, FACE), completer.paint(picture(), mask, FACE))
    coarse, fine = (torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(side)) for side in (8, 192))
    large = (0.7 * F.interpolate(coarse, size=192, mode="bicubic") + 0.3 * fine).clamp(0, 1)
    hole = masks.standard("mask01", 192)
    completed = complete(large, hole, (FACE + 0.5) * 3 - 0.5)
    assert torch.equal(completed * (1 - hole), large * (1 - hole))
    rough = [one.diff(dim=-1).abs()[..., :96].mean() for one in (completed, large)]
    assert rough[0] > 0.6 * rough[1]
    assert torch.equal(complete(torch.where(hole > 0, 1 - large, large), hole, (FACE + 0.5) * 3 - 0.5), completed)
