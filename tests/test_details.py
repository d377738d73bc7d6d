"""Details of the photo's own resolution: from the other side, from a reference, and from patches that look alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import canonical_face
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.completion import CompletedFace, paste
from faceinpaint.faces import align
from faceinpaint.faces.align import Crop
from faceinpaint.faces.photos import rounded
from faceinpaint.prior.details import FEATURE, SCALE, Source, as_coarse, details_for, source_of
from faceinpaint.prior.reference import Reference

SIZE, FINER = 64, 4  # of the crop; pixels of the photo for each of its own
SIDE = 340


def texture(seed: int, side: int, cells: int, strength: float = 0.3) -> Tensor:
    """Smooth random colours, (1, 3, side, side)."""
    coarse = torch.rand(1, 3, cells, cells, generator=torch.Generator().manual_seed(seed)) - 0.5
    return 0.5 + strength * F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)


def crop_in(degrees: float = 0.0, finer: float = FINER) -> Crop:
    """A crop of SIZE pixels in the middle of a photo of SIDE."""
    angle, half = math.radians(degrees), SIZE * finer / 2
    return Crop(((SIDE - 1) / 2, (SIDE - 1) / 2), (half * math.cos(angle), half * math.sin(angle)))


def photo_of(crop: Crop, picture: Tensor) -> Tensor:
    """A photo of bytes that shows a picture (1, 3, h, h) in its crop, and grey around it."""
    grey = torch.full((1, 3, SIDE, SIDE), 0.5)
    return rounded(align.paste(grey, picture, torch.ones(1, 1, SIDE, SIDE), crop))


def symmetric(side: int) -> Tensor:
    """A face as fine as the photo, the same on both sides."""
    picture = texture(0, side, 8) + texture(1, side, side // 3, 0.2) - 0.5
    return (picture + picture.flip(-1)) / 2


def completed(photo: Tensor, crop: Crop, mask: Tensor) -> tuple[CompletedFace, Tensor]:
    """A painter who knows the truth, in the crop's pixels; and the hole in the area around the crop."""
    area = align.area_around(crop, photo.shape[-2:])
    hole = align.mask_to_photo(mask, area.moved(crop), area.size)
    image = align.cut(photo, crop, SIZE)
    seen = align.cut_mask(hole, area.moved(crop), SIZE)
    return CompletedFace(image * (1 - seen), seen, canonical_face(SIZE), image, crop), hole


def left_half() -> Tensor:
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., : SIZE // 2] = 1
    return mask


def slopes(photo: Tensor) -> Tensor:
    """How rough a photo is at each pixel."""
    grey = photo.float().mean(1)[0]
    return (grey[1:, 1:] - grey[:-1, 1:]).abs() + (grey[1:, 1:] - grey[1:, :-1]).abs()


def on_face(crop: Crop) -> Tensor:
    """The middle of the left cheek and eye in the photo."""
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 28:50, 18:30] = 1
    return align.mask_to_photo(mask, crop, (SIDE, SIDE))[0, 0].bool()


def pasted(photo: Tensor, face: CompletedFace, hole: Tensor, reference: Reference | None = None) -> Tensor:
    result = photo.clone()
    paste(result, photo, hole, face, reference)
    return result


@pytest.mark.parametrize("degrees", [0, 20, 90, -135])
def test_a_hidden_half_gets_the_details_of_the_other_side(degrees):
    crop = crop_in(degrees)
    photo = photo_of(crop, symmetric(SIZE * FINER))
    face, hole = completed(photo, crop, left_half())
    result, where = pasted(photo, face, hole), on_face(crop)
    plain = align.area_around(crop, (SIDE, SIDE))
    enlarged = photo.clone()
    plain.of(enlarged)[:] = rounded(align.paste(plain.of(photo) / 255, face.completed, hole, plain.moved(crop)))
    off, before = ((one.float() - photo.float())[0, :, where].abs().mean() for one in (result, enlarged))
    assert before > 4 and off < 0.4 * before  # turned, it was resampled once more
    assert slopes(result)[where[1:, 1:]].mean() > 0.85 * slopes(photo)[where[1:, 1:]].mean()


@pytest.mark.parametrize("finer", [1.5, FINER, 5])
def test_where_no_side_is_seen_the_texture_is_as_rough_as_elsewhere(finer):
    crop = crop_in(10, finer)
    photo = photo_of(crop, texture(0, round(SIZE * finer), 4) + texture(1, round(SIZE * finer), SIZE, 0.2) - 0.5)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 36:60, 16:48] = 1
    face, hole = completed(photo, crop, mask)
    result = pasted(photo, face, hole)
    where = align.mask_to_photo(mask, crop, (SIDE, SIDE))[0, 0, 1:, 1:].bool()
    assert 0.7 < slopes(result)[where].mean() / slopes(photo)[where].mean() < 1.1


@pytest.mark.parametrize("finer", [0.8, 1.0, FINER])
def test_known_pixels_stay_and_hidden_ones_are_never_looked_at(finer):
    crop = crop_in(7, finer)
    photo = photo_of(crop, symmetric(round(SIZE * finer)))
    face, hole = completed(photo, crop, left_half())
    result = pasted(photo, face, hole)
    everywhere = align.mask_to_photo(left_half(), crop, (SIDE, SIDE)).bool().expand_as(photo)
    assert torch.equal(result[~everywhere], photo[~everywhere])
    other = torch.where(everywhere, 255 - photo, photo)
    assert torch.equal(pasted(other, face, hole), result)


def test_a_photo_that_shows_no_more_than_the_networks_gets_nothing_added():
    crop = crop_in()
    image = texture(0, SIZE, 6)
    area = align.area_around(crop, (SIDE, SIDE))
    smooth = align.paste(torch.full((1, 3, *area.size), 0.5), image, torch.ones(1, 1, *area.size), area.moved(crop))
    mask = left_half()
    to_crop = align.affine(area.moved(crop), SIZE)
    hole = align.mask_to_photo(mask, area.moved(crop), area.size)
    source = source_of(rounded(smooth), to_crop, image, mask, hole)
    added = details_for(source, to_crop, mask, image, canonical_face(SIZE), []).of((0, 0, *area.size[::-1]))
    assert added.abs().max() < 1 / 255  # a byte is half that far off


def test_what_stands_out_is_not_taken_elsewhere():
    crop, mask = crop_in(), left_half()
    photo = photo_of(crop, texture(0, SIZE * FINER, 4) + texture(1, SIZE * FINER, SIZE, 0.1) - 0.5)
    photo[..., 100:240:20, 200:300:20] = 0  # moles
    area = align.area_around(crop, (SIDE, SIDE))
    face, hole = completed(photo, crop, mask)
    to_crop = align.affine(area.moved(crop), SIZE)
    source = source_of(area.of(photo), to_crop, face.original, face.mask, hole)
    added = details_for(source, to_crop, face.mask, face.completed, face.landmarks, []).of((0, 0, *area.size[::-1]))
    spread = source.details[..., :3][source.details[..., 3] > 0].std() / SCALE
    most = np.abs(source.details[..., :3]).max() / SCALE
    assert added.abs().max() < FEATURE * 1.5 * spread < 0.6 * most


def test_a_reference_gives_its_own_pixels():
    crop = crop_in()
    fine, mask = symmetric(SIZE * FINER), torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 26:60, 10:54] = 1  # both cheeks and the mouth
    photo = photo_of(crop, fine)
    face, hole = completed(photo, crop, mask)
    area = align.area_around(crop, (SIDE, SIDE))
    image = align.cut(photo, crop, SIZE)
    source = source_of(area.of(photo), align.affine(area.moved(crop), SIZE), image, torch.zeros_like(mask))
    reference = Reference(image, canonical_face(SIZE), source)
    result, without = pasted(photo, face, hole, reference), pasted(photo, face, hole)
    where = on_face(crop)
    off, before = ((one.float() - photo.float())[0, :, where].abs().mean() for one in (result, without))
    assert off < 0.75 * before  # the reference is believed by 0.7


def test_faces_are_completed_in_any_part_of_a_photo_alike():
    """The area around a crop is all that counts: elsewhere, the photo may hold anything."""
    crop = crop_in()
    photo = photo_of(crop, symmetric(SIZE * FINER))
    face, hole = completed(photo, crop, left_half())
    wide = F.pad(photo.float(), [200, 90, 30, 170], value=17.0).byte()
    moved = Crop((crop.centre[0] + 200, crop.centre[1] + 30), crop.axis_x)
    there = CompletedFace(face.original, face.mask, face.landmarks, face.completed, moved)
    area = align.area_around(moved, wide.shape[-2:])
    paste(wide, wide.clone(), align.mask_to_photo(left_half(), area.moved(moved), area.size), there)
    where = align.mask_to_photo(left_half(), crop, (SIDE, SIDE))[0, 0].bool()
    result = pasted(photo, face, hole)
    inner = wide[..., 30 : 30 + SIDE, 200 : 200 + SIDE]
    assert (inner[0][:, where].float() - result[0][:, where].float()).abs().mean() < 0.5


def test_a_neighbour_who_was_completed_before_counts_as_the_photo_shows_him():
    """Crops overlap, and each face has a hole: neither is taken for the details of the other, nor painted over."""
    crop = crop_in(finer=2)
    near = crop.moved(-60, 0)
    photo = photo_of(crop, symmetric(2 * SIZE))
    both = []
    for one, other in ((crop, near), (near, crop)):
        face, hole = completed(photo, one, left_half())
        both.append((hole, face, None, [other]))
    alone, parts = [], []
    for one in both:
        alone.append(photo.clone())
        part = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.bool)
        align.area_around(one[1].crop, (SIDE, SIDE)).of(part)[:] = paste(alone[-1], photo, *one)
        parts.append(part)
    assert (parts[0] & parts[1]).float().mean() < 0.01  # as far from both
    for order in (both, both[::-1]):
        result = photo.clone()
        for one in order:
            paste(result, photo, *one)
        assert torch.equal(result[~(parts[0] | parts[1])], photo[~(parts[0] | parts[1])])
        for mine, other, painted in zip(parts, parts[::-1], alone):
            assert mine.any() and torch.equal(result[mine & ~other], painted[mine & ~other])


def test_a_finer_reference_is_as_rough_as_one_of_the_photos_own_pixels():
    noise = np.random.default_rng(0).normal(0, 1000, (400, 400, 4)).astype(np.int16)
    fine = Source(noise, np.array([[8.0, 0, 3], [0, 8.0, 5]]))
    coarse = as_coarse(fine, 2)
    assert coarse.details.shape == (100, 100, 4) and coarse.details.std() < 0.3 * noise.std()
    assert np.allclose(coarse.to_photo @ [10, 10, 1] + 0.5, (fine.to_photo @ [10, 10, 1] + 0.5) / 4)
    assert as_coarse(fine, 9) is fine
