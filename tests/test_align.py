"""The square around a face: its geometry, its pixels, the way back into the photo."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import canonical_face
from PIL import Image
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align
from faceinpaint.faces.align import Crop
from faceinpaint.faces.photos import rounded, to_tensor

FACE = Crop((225.0, 107.0), (83.0, 12.0))  # around the astronaut's face


def random_crop(seed: int, smallest: float = 10.0, largest: float = 150.0) -> Crop:
    """A crop of any rotation somewhere in or partly beyond a photo of 200 x 160 pixels."""
    random = torch.Generator().manual_seed(seed)
    x, y, angle, half_side = torch.rand(4, generator=random, dtype=torch.float64).tolist()
    half_side = smallest * (largest / smallest) ** half_side
    angle = 2 * math.pi * angle
    return Crop((200 * x, 160 * y), (half_side * math.cos(angle), half_side * math.sin(angle)))


def random_photo(seed: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, 160, 200, generator=torch.Generator().manual_seed(seed))


def random_mask(seed: int) -> Tensor:
    """Two rectangles and a few single pixels."""
    random = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, 160, 200)
    for _ in range(2):
        y, x, h, w = (int(v) for v in torch.rand(4, generator=random) * torch.tensor([120, 150, 60, 60]))
        mask[..., y : y + h, x : x + w] = 1
    mask[0, 0, torch.randint(160, (5,), generator=random), torch.randint(200, (5,), generator=random)] = 1
    return mask


def psnr(a: Tensor, b: Tensor, where: Tensor | None = None) -> float:
    """Decibels, for pixels in [0, 1]; only where the mask (B, 1, H, W) is 1, if there is one."""
    error = (a - b) ** 2
    if where is not None:
        error = error[(where == 1).expand_as(error)]
    return -10 * math.log10(error.mean() + 1e-12)


# ------------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize("seed", range(20))
def test_points_there_and_back_are_the_same(seed):
    crop = random_crop(seed)
    random = torch.Generator().manual_seed(seed)
    points = 500 * torch.rand(3, 7, 2, generator=random, dtype=torch.float64) - 150
    torch.testing.assert_close(align.to_photo(align.to_crop(points, crop, 97), crop, 97), points)
    torch.testing.assert_close(align.to_crop(align.to_photo(points, crop, 64), crop, 64), points)


@pytest.mark.parametrize("seed", range(5))
def test_crop_corners_lie_where_its_axes_say(seed):
    crop = random_crop(seed)
    (cx, cy), (ax, ay) = crop.centre, crop.axis_x
    corners = torch.tensor([[-0.5, -0.5], [31.5, -0.5], [-0.5, 31.5]], dtype=torch.float64)
    top_left, top_right, bottom_left = align.to_photo(corners, crop, 32).tolist()
    assert top_left == pytest.approx([cx - ax + ay, cy - ay - ax])
    assert top_right == pytest.approx([cx + ax + ay, cy + ay - ax])
    assert bottom_left == pytest.approx([cx - ax - ay, cy - ay + ax])
    assert crop.axis_y == (-ay, ax)
    assert crop.half_side == pytest.approx(math.hypot(ax, ay))


@pytest.mark.parametrize("seed", range(10))
def test_crop_is_the_published_ffhq_square(seed):
    random = np.random.default_rng(seed)
    five = np.array([[100, 120], [160, 121], [130, 150], [108, 185], [152, 183]], dtype=float)
    five += random.normal(0, 5, (5, 2))
    # Written out as in the FFHQ preparation: the square's corners are c ± x ± y.
    eye_to_eye = five[1] - five[0]
    eye_to_mouth = (five[3] + five[4]) * 0.5 - (five[0] + five[1]) * 0.5
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    c = (five[0] + five[1]) * 0.5 + eye_to_mouth * 0.1

    crop = align.crop_from_points(torch.from_numpy(five))
    assert crop.centre == pytest.approx(c)
    assert crop.axis_x == pytest.approx(x)
    assert crop.axis_y == pytest.approx(np.flipud(x) * [-1, 1])
    assert align.crop_from_points(torch.from_numpy(five), margin=1.3).axis_x == pytest.approx(1.3 * x)


def test_symmetric_face_has_level_eyes_at_their_place():
    five = torch.tensor([[70.0, 100.0], [130.0, 100.0], [100.0, 130.0], [80.0, 160.0], [120.0, 160.0]])
    angle = math.radians(25)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = 3 * five @ turn + torch.tensor([40.0, -7.0])  # a larger, tilted face somewhere else
    for face in (five, turned):
        in_crop = align.to_crop(face, align.crop_from_points(face), 256)
        # Half side 120; the eyes 6 above the centre, 30 beside it; one unit is 256 / 240 pixels.
        unit = 256 / 240
        expected = torch.tensor([[-30.0, -6.0], [30.0, -6.0], [0.0, 24.0], [-20.0, 54.0], [20.0, 54.0]])
        torch.testing.assert_close(in_crop, expected * unit + 127.5, atol=1e-3, rtol=0)


def test_five_points_from_68():
    landmarks = torch.arange(68.0).reshape(1, 68, 1) * torch.tensor([1.0, 10.0])
    landmarks.requires_grad_()
    five = align.five_points(landmarks)
    assert five[0, :, 0].tolist() == [38.5, 44.5, 30.0, 48.0, 54.0]
    assert five[0, :, 1].tolist() == [385.0, 445.0, 300.0, 480.0, 540.0]
    five.sum().backward()
    assert landmarks.grad[0, 36:48].eq(1 / 6).all() and landmarks.grad[0, :30].eq(0).all()


def test_crop_from_landmarks_takes_one_face_with_or_without_batch():
    landmarks = torch.rand(68, 2, generator=torch.Generator().manual_seed(0)) * 100
    crop = align.crop_from_points(align.five_points(landmarks[None])[0])
    assert align.crop_from_landmarks(landmarks) == crop == align.crop_from_landmarks(landmarks[None])


@pytest.mark.parametrize("five", [
    torch.zeros(5, 2),
    torch.full((5, 2), float("nan")),
    torch.tensor([[130.0, 100.0], [70.0, 100.0], [100.0, 130.0], [120.0, 160.0], [80.0, 160.0]]),  # exchanged
])
def test_points_that_span_no_square_are_refused(five):
    with pytest.raises(InputError, match="span no square"):
        align.crop_from_points(five)


def test_aligned_picture_is_its_own_crop():
    crop = align.aligned_crop((48, 48))
    assert (crop.centre, crop.axis_x) == ((23.5, 23.5), (24.0, 0.0))
    points = torch.tensor([[0.0, 0.0], [47.0, 11.0]])
    torch.testing.assert_close(align.to_crop(points, crop, 48), points)
    with pytest.raises(InputError, match="50 x 48 pixels"):
        align.aligned_crop((48, 50))


# ----------------------------------------------------------------------------------- the pixels


@pytest.mark.parametrize("left, top, size", [(0, 0, 160), (13, 70, 33), (150, 3, 50), (199, 159, 1)])
def test_crop_on_the_pixel_grid_returns_the_very_pixels(left, top, size):
    photo = random_photo(0)
    crop = Crop((left + (size - 1) / 2, top + (size - 1) / 2), (size / 2, 0.0))
    pixels = photo[:, :, top : top + size, left : left + size]
    torch.testing.assert_close(align.cut(photo, crop, size), pixels, atol=1e-12, rtol=0)
    mask = (photo[:, :1] > 0.5).float()
    assert torch.equal(align.cut_mask(mask, crop, size), mask[:, :, top : top + size, left : left + size])


def test_quarter_turns_are_exact():
    photo = random_photo(1)
    square = photo[:, :, 10:50, 30:70]
    # The crop's right direction is the photo's down: the crop shows the photo turned counterclockwise.
    turned = align.cut(photo, Crop((49.5, 29.5), (0.0, 20.0)), 40)
    torch.testing.assert_close(turned, torch.rot90(square, 1, (2, 3)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_larger_crop_is_averaged(factor):
    photo = random_photo(2)
    size = 160 // factor
    side = size * factor
    crop = Crop((20 + (side - 1) / 2, (side - 1) / 2), (side / 2, 0.0))
    means = F.avg_pool2d(photo[:, :, :side, 20 : 20 + side], factor)
    torch.testing.assert_close(align.cut(photo, crop, size), means, atol=1e-5, rtol=0)


@pytest.mark.parametrize("border", [40, 700])
def test_beyond_the_photo_lies_its_mirror_image(border):
    photo = random_photo(3)[:, :, :100, :100]
    side = 100 + 2 * border
    mirrored = np.pad(photo[0].numpy(), ((0, 0), (border, border), (border, border)), mode="symmetric")
    cut = align.cut(photo, Crop((49.5, 49.5), (side / 2, 0.0)), side)
    torch.testing.assert_close(cut[0], torch.from_numpy(mirrored), atol=1e-12, rtol=0)


@pytest.mark.parametrize("degrees", [30, -75, 200])
def test_turned_photo_gives_the_same_crop(astronaut, degrees):
    photo = astronaut.crop((96, 0, 352, 256))
    turned = to_tensor(photo.rotate(degrees, Image.Resampling.BICUBIC))
    # Pillow turns counterclockwise around the middle, which is (127.5, 127.5) among pixel centres.
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = lambda x, y: (cos * x + sin * y, -sin * x + cos * y)  # noqa: E731
    crop = Crop((120.0, 110.0), (60.0, 12.0))
    x, y = turn(crop.centre[0] - 127.5, crop.centre[1] - 127.5)
    turned_crop = Crop((x + 127.5, y + 127.5), turn(*crop.axis_x))
    for size in (40, 100, 150):
        there = align.cut(turned, turned_crop, size)
        assert psnr(there, align.cut(to_tensor(photo), crop, size)) > 30


def test_fine_stripes_do_not_alias():
    photo = (torch.arange(512) % 2).float().expand(1, 3, 512, 512)
    for axis in ((256.0, 0.0), (150.0, 60.0), (240.0, 3.0)):
        cut = align.cut(photo, Crop((255.5, 255.5), axis), 64)
        assert (cut - 0.5).abs().max() < 0.15  # grey, not stripes of another width


def test_cut_is_clamped():
    photo = (random_photo(4) > 0.5).float()  # bicubic interpolation overshoots at such edges
    cut = align.cut(photo, Crop((100.0, 80.0), (30.0, 17.0)), 90)
    assert cut.min() == 0 and cut.max() == 1


# -------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("seed", range(25))
def test_nothing_unknown_shows_in_the_known_part_of_a_crop(seed):
    crop, mask, photo = random_crop(seed), random_mask(seed), random_photo(seed)
    other = torch.where(mask == 1, random_photo(seed + 1000), photo)
    known = align.cut_mask(mask, crop, 48) == 0
    difference = (align.cut(photo, crop, 48) - align.cut(other, crop, 48)).abs()
    assert difference[known.expand_as(difference)].max() < 1e-5
    assert known.any()


@pytest.mark.parametrize("seed", range(15))
def test_hole_laid_back_on_the_photo_covers_the_hole(seed):
    crop, mask = random_crop(seed, 20, 250), random_mask(seed)
    for size in (16, 60):
        back = align.mask_to_photo(align.cut_mask(mask, crop, size), crop, (160, 200))
        everywhere = align.mask_to_photo(torch.ones(1, 1, size, size), crop, (160, 200))
        assert torch.equal(back * mask, everywhere * mask)


def test_hole_grows_by_no_more_than_three_pixels():
    mask = torch.zeros(1, 1, 160, 200)
    mask[..., 40:120, 50:150] = 1
    crop = Crop((100.3, 79.8), (70.0, 25.0))
    size = 100
    plain = align.cut_mask(mask, crop, size)
    exact = align.cut(mask.expand(1, 3, -1, -1), crop, size)[:, :1] > 0.5
    grown = F.max_pool2d(exact.float(), 7, stride=1, padding=3)
    assert exact.float().mean() > 0.2
    inside = ~align.beyond(crop, (160, 200), size)
    assert (plain <= grown)[inside].all() and (plain >= exact).all()
    assert not inside.all() and plain[~inside].all()  # beyond the photo nothing is known


def test_mask_laid_on_the_photo():
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 0, 0] = 0
    # The crop's 4 pixels are 8 photo pixels; its left half lies beyond the photo.
    laid = align.mask_to_photo(mask, Crop((-0.5, 4.5), (4.0, 0.0)), (12, 10))
    assert laid.shape == (1, 1, 12, 10) and laid.sum() == 8 * 4
    assert laid[0, 0, 1:9, 0:4].eq(1).all()
    assert align.mask_to_photo(mask, Crop((500.0, 4.5), (4.0, 0.0)), (12, 10)).sum() == 0
    whole = align.mask_to_photo(mask, align.aligned_crop((4, 4)), (4, 4))
    assert torch.equal(whole, mask)


@pytest.mark.parametrize("name", ["mask09", "face-mask", "irregular"])
def test_a_mask_is_as_fine_as_the_photo(name):
    side, landmarks = 520, canonical_face(64)
    laid = align.laid_mask(partial(masks.named, name), landmarks, align.aligned_crop((side, side)), (side,) * 2, 64)
    fine, coarse = masks.named(name, 9 * 64, 9 * (landmarks + 0.5) - 0.5), masks.named(name, 64, landmarks)
    # 9 times finer and not 8: no pixel of the photo lacks its own.
    off, stairs = ((F.interpolate(mask, (side, side)) - laid).abs().mean() for mask in (fine, coarse))
    assert off < 0.2 * stairs


# -------------------------------------------------------------------------------------- pasting


@pytest.mark.parametrize("seed", range(15))
def test_other_pixels_are_untouched_bit_for_bit(seed):
    crop, mask, photo = random_crop(seed), random_mask(seed), random_photo(seed)
    before = photo.clone()
    pasted = align.paste(photo, torch.full((1, 3, 48, 48), 2.0), mask, crop)
    in_crop = align.mask_to_photo(torch.ones(1, 1, 48, 48), crop, (160, 200))
    replaced = (mask * in_crop == 1).expand_as(photo)
    assert torch.equal(pasted[~replaced], photo[~replaced])
    assert pasted[replaced].eq(1).all()  # clamped
    assert torch.equal(photo, before)


def test_empty_hole_returns_the_photo():
    photo = random_photo(7)
    hole = torch.zeros(1, 1, 160, 200)
    assert torch.equal(align.paste(photo, torch.zeros(1, 3, 32, 32), hole, FACE), photo)


def test_paste_undoes_a_cut_on_the_pixel_grid():
    photo, mask = random_photo(5), random_mask(5)
    crop = Crop((79.5, 89.5), (70.0, 0.0))
    other = random_photo(6)
    pasted = align.paste(photo, align.cut(other, crop, 140), mask, crop)
    inside = torch.zeros_like(mask)
    inside[..., 20:160, 10:150] = 1
    torch.testing.assert_close(pasted, torch.where(mask * inside == 1, other, photo), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size, decibels", [(512, 41), (256, 41), (128, 33), (64, 27)])
def test_photo_survives_cut_and_paste(astronaut, size, decibels):
    photo = to_tensor(astronaut)
    hole = torch.zeros(1, 1, size, size)
    hole[..., size // 8 : -size // 8, size // 8 : -size // 8] = 1
    hole = align.mask_to_photo(hole, FACE, (512, 512))
    assert hole.sum() > 10_000
    pasted = align.paste(photo, align.cut(photo, FACE, size), hole, FACE)
    assert psnr(pasted, photo, where=hole) > decibels


@pytest.mark.parametrize("size", [64, 256])
def test_no_seam_at_the_edge_of_the_hole(size):
    # A smooth photo, whose pixels change by at most 0.004: so must the pasted one, also across the edge.
    x = torch.linspace(0, 1, 256)
    photo = (0.5 * x[None, :] + 0.5 * x[:, None]).expand(1, 3, 256, 256)
    crop = Crop((128.0, 120.0), (80.0, 30.0))
    hole = torch.zeros(1, 1, 256, 256)
    hole[..., 90:150, 100:170] = 1
    pasted = align.paste(photo, align.cut(photo, crop, size), hole, crop)
    assert (pasted - photo).abs().max() < 0.001


def test_sharp_crop_pasted_into_a_small_photo_does_not_alias():
    stripes = (torch.arange(256) % 2).float().expand(1, 3, 256, 256)
    photo = torch.full((1, 3, 64, 64), 0.5)
    pasted = align.paste(photo, stripes, torch.ones(1, 1, 64, 64), Crop((31.5, 31.5), (29.0, 3.0)))
    assert (pasted - 0.5).abs().max() < 0.25  # single samples would reach 0.5


FACELESS = torch.zeros(1, 1, 64, 64)


def wrong_by(error: float, side: int) -> tuple[torch.Tensor, torch.Tensor, Crop]:
    """A smooth photo of `side` pixels whose crop of 64 has its left half painted too bright, and the hole."""
    photo = torch.linspace(0.2, 0.5, side).expand(1, 3, side, side).contiguous()
    crop = Crop(((side - 1) / 2, (side - 1) / 2), (32.0, 0.0))
    hole = torch.zeros(1, 1, side, side)
    first = side // 2 - 32
    hole[..., first : first + 64, first : first + 32] = 1
    return photo + error * hole, hole, crop


def blended(pasted: torch.Tensor, hole: torch.Tensor, crop: Crop, face: torch.Tensor) -> torch.Tensor:
    completed = align.cut(pasted, crop, 64)
    rim = align.rim_of(align.glance_at(rounded(pasted), hole, crop), completed, face, crop)
    return pasted if rim is None else rim.on(pasted, hole, align.Area(0, 0, *pasted.shape[-2:]))


@pytest.mark.parametrize("coarse, most", [(1, 0.1), (2, 0.15)])
def test_a_hole_that_reaches_the_edge_of_the_crop_runs_into_the_photo(coarse, most, monkeypatch):
    monkeypatch.setattr(align, "COARSE", 128 / coarse)
    pasted, hole, crop = wrong_by(0.3, 128)
    face = FACELESS.clone()
    face[..., 14:] = 1
    row, unblended = blended(pasted, hole, crop, face)[0, 0, 64, 28:48], pasted[0, 0, 64, 28:48]
    assert unblended.diff().abs().max() > 0.29
    assert row.diff().abs().max() < most  # the rim of this small crop is four pixels wide
    assert (row[-1] - unblended[-1]).abs() < 1e-6  # in the face the painting stays


def test_what_is_not_the_face_is_painted_as_what_lies_around_the_crop():
    pasted, hole, crop = wrong_by(0.3, 128)
    wrong = pasted - wrong_by(0.0, 128)[0]
    left = (blended(pasted, hole, crop, FACELESS) - wrong_by(0.0, 128)[0])[(hole > 0).expand_as(wrong)]
    assert left.abs().mean() < 0.4 * wrong[(hole > 0).expand_as(wrong)].abs().mean()


def test_blending_leaves_known_pixels_alone():
    pasted, hole, crop = wrong_by(0.3, 128)
    known = (hole == 0).expand_as(pasted)
    assert torch.equal(blended(pasted, hole, crop, FACELESS)[known], pasted[known])


def test_nothing_is_blended_where_the_photo_ends_with_the_crop():
    pasted, hole, crop = wrong_by(0.3, 64)
    assert torch.equal(blended(pasted, hole, crop, FACELESS), pasted)
