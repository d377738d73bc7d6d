"""Details: what a photo shows of a face beyond the pixels of the networks, for the part that they have painted.

The networks look at 256 pixels and paint so many; what a photo has beyond them, pores, lashes and hairs, is the
difference between it and its own 256 pixels enlarged. Smooth as the painted picture is, it can be enlarged, and such
differences of known pixels be laid over it: those of the other side of the face and of a reference, through the same
warps that the first guess was made by, and elsewhere those of patches that look like the painted ones (contextual
residual aggregation: Yi et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from faceinpaint.masks import face_region
from faceinpaint.prior.symmetry import mirror_map, other_side
from faceinpaint.prior.warps import enlarged, part_of, plane, planes, strips

SURE = 2  # pixels of the face from the edge of what is known, where the enlarged picture sees across it
FEATHER = 5  # pixels of the face, over which one kind of details gives way to another
SCALE = 2**14  # levels of a colour: details take half the memory that numbers would

BLOCK = 8  # pixels of the face, half the side of a patch: each lies half over its neighbours
STEP = 4  # pixels of the face from one patch that may be taken to the next
COLOUR, FACE, ROUGH, NEAR = 3.0, 3.0, 8.0, 0.8  # weights of what two patches are compared by, beside their pattern
AGAIN = 0.02  # what it costs to take a patch, or one that overlaps it, once more
FEATURE = 3.0  # standard deviations of a patch: what stands out more, a mole or a lash, is not taken elsewhere ...
DEVIATION = 1.4826  # ... which are so many medians of what is normally distributed
SAMPLES = 32  # pixels, each way, that tell of a patch
FINENESS = 4  # samples of a patch's weight for each pixel of the face
BUMP = np.sin(np.pi * (np.arange(2 * BLOCK * FINENESS) + 0.5) / (2 * BLOCK * FINENESS)).astype(np.float32)
BUMP = BUMP[:, None] * BUMP  # the weight of a patch, which fades out towards its edges
STRENGTH = 0.8  # of what is taken from patches; all of it would cost twice as much PSNR


Box = tuple[int, int, int, int]  # a part of a photo: left, top, right, bottom, the last two excluded


class Source(NamedTuple):
    """Details that a photo holds, (h, w, 4): three colours in SCALE levels, and SCALE where they are sure.

    And its pixels from the crop's, an affine map (2, 3).
    """

    details: np.ndarray
    to_photo: np.ndarray


class Layer(NamedTuple):
    """Details of a source, where each pixel of the crop finds its own, (S, S, 2), and how much they count, (S, S)."""

    source: Source
    places: np.ndarray
    share: np.ndarray


class Patch(NamedTuple):
    """Known pixels that are taken for painted ones."""

    box: np.ndarray  # of the photo, as `Box`
    by: np.ndarray  # (x, y): how far from there the known ones lie, pixels of the photo
    corner: np.ndarray  # (x, y): the first pixel of the crop
    most: float  # what stands out more is cut


class Details(NamedTuple):
    """What to add to a painted photo: patches of its own details, and layers over them, the last one uppermost."""

    source: Source
    to_crop: np.ndarray
    patches: list[Patch]
    layers: Sequence[Layer]

    def of(self, box: Box) -> Tensor:
        """Details (1, 3, h, w) for a part of the photo."""
        part = _of_patches(self.source, self.to_crop, self.patches, box)
        for layer in self.layers:
            _lay_over(part, layer, part_of(self.to_crop, *box[:2]))
        return torch.from_numpy(part).permute(2, 0, 1)[None]


def details_for(
    source: Source, to_crop: np.ndarray, mask: Tensor, completed: Tensor, landmarks: Tensor, layers: Sequence[Layer]
) -> Details:
    """What to add to a photo that was painted under the mask (1, 1, S, S), 1 = unknown, of its crop.

    source: the photo's own details; completed (1, 3, S, S) and landmarks (1, 68, 2) are those of the crop. layers: of
    what is known better than by patches that look alike.
    """
    hidden, face = plane(mask) > 0, plane(face_region(landmarks, mask.shape[-1]))
    bare = hidden & np.all([layer.share < 0.999 for layer in layers], axis=0)
    patches = [_taken(source, *pair) for pair in _alike(planes(completed), hidden, bare, face)]
    return Details(source, to_crop, patches, layers)


def source_of(
    photo: Tensor, to_crop: np.ndarray, image: Tensor, mask: Tensor, hole: Tensor | None = None
) -> Source:
    """What a photo of bytes (1, 3, h, w) shows beyond its crop's image (1, 3, S, S) in [0, 1].

    to_crop (2, 3): the affine map from its pixels to the crop's, `align.affine`. mask (1, 1, S, S) and hole
    (1, 1, h, w), 1 = unknown: nothing is sure there.
    """
    height, width = photo.shape[-2:]
    known = _sure(mask)
    details, image = np.empty((height, width, 4), np.int16), 255 * planes(image)
    for rows in strips(height):
        part, here = details[rows], part_of(to_crop, 0, rows.start)
        pixels, shape = photo[0, :, rows].permute(1, 2, 0).numpy(), part.shape[1::-1]
        sure = enlarged(known, here, shape, border=cv2.BORDER_CONSTANT) > 0.999
        if hole is not None:
            sure &= hole[0, 0, rows].numpy() < 0.5
        part[..., 3] = SCALE * sure
        beyond = cv2.subtract(pixels, enlarged(image, here, shape, cv2.INTER_CUBIC), dtype=cv2.CV_32F)
        np.multiply(beyond, SCALE / 255 * sure[..., None], out=part[..., :3], casting="unsafe")
    return Source(details, cv2.invertAffineTransform(to_crop))


def as_coarse(source: Source, pixels: float) -> Source:
    """Details as a photo would hold them that has so many pixels, or fewer, for one of the crop."""
    details, to_photo = source
    finer = np.hypot(*to_photo[:, 0]) / pixels
    if finer <= 1:
        return source
    height, width = details.shape[:2]
    size = max(1, round(width / finer)), max(1, round(height / finer))
    scale = np.array([size[0] / width, size[1] / height])
    to_photo = to_photo * scale[:, None]
    to_photo[:, 2] += scale / 2 - 0.5  # pixel 0 begins at -0.5
    return Source(cv2.resize(details, size, interpolation=cv2.INTER_AREA), to_photo)


def mirrored_layer(source: Source, mask: Tensor, landmarks: Tensor) -> Layer:
    """The details of the other side of the face."""
    known = 1 - mask.float()
    sure = torch.from_numpy(_sure(mask))[None, None]
    (places,) = mirror_map(landmarks.float(), mask.shape[-1])
    mirror = other_side(sure, known, places)
    return layer_of(source, places, mirror.mirrored * (mirror.image > 0.999))


def _sure(mask: Tensor) -> np.ndarray:
    """Where what is known is far enough from what is not, (S, S)."""
    return cv2.erode(plane(1 - mask), np.ones((2 * SURE + 1,) * 2), borderType=cv2.BORDER_CONSTANT, borderValue=0)


def layer_of(source: Source, places: Tensor, share: Tensor) -> Layer:
    """Details at places, as `map_of` has them, for the part (1, 1, S, S) where they have a share."""
    within = plane(share)
    places = ((places[0] + 1) * (share.shape[-1] / 2) - 0.5).cpu().numpy()
    return Layer(source, places, within * cv2.blur(within, (FEATHER, FEATHER)))


def _lay_over(details: np.ndarray, layer: Layer, to_crop: np.ndarray) -> None:
    """Lay the details of a layer over others, (h, w, 3), as far as they count and are sure."""
    shape = details.shape[1::-1]
    share = enlarged(layer.share, to_crop, shape, border=cv2.BORDER_CONSTANT)
    if not share.any():
        return
    to_photo = layer.source.to_photo
    places = enlarged(layer.places @ to_photo[:, :2].T + to_photo[:, 2], to_crop, shape)
    found = cv2.remap(layer.source.details, places, None, cv2.INTER_CUBIC)
    share = (share * (found[..., 3] > 0.99 * SCALE))[..., None]
    details += share * (found[..., :3] / np.float32(SCALE) - details)


# ------------------------------------------------------------------------------------ patches


def _of_patches(source: Source, to_crop: np.ndarray, patches: list[Patch], box: Box) -> np.ndarray:
    """Details (h, w, 3) of known patches that were chosen for painted ones, in a part of the photo."""
    height, width = source.details.shape[:2]
    total = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.float32)
    weights = np.full((*total.shape[:2], 1), 1e-6, np.float32)
    for patch in patches:
        # What lies in the box, and is taken from within the photo.
        left, top = np.maximum(patch.box[:2], np.maximum(box[:2], -patch.by))
        right, bottom = np.minimum(patch.box[2:], np.minimum(box[2:], (width, height) - patch.by))
        if left >= right or top >= bottom:
            continue
        x, y = patch.by
        taken = source.details[top + y : bottom + y, left + x : right + x] / np.float32(SCALE)
        to_bump = FINENESS * part_of(to_crop, left, top)
        to_bump[:, 2] -= FINENESS * (patch.corner - 0.5) + 0.5
        bump = enlarged(BUMP, to_bump, (right - left, bottom - top), border=cv2.BORDER_CONSTANT)
        weight = taken[..., 3:] * bump[..., None]
        there = slice(top - box[1], bottom - box[1]), slice(left - box[0], right - box[0])
        total[there] += weight * taken[..., :3].clip(-patch.most, patch.most)
        weights[there] += weight**2
    # Not their mean, which would be smoother than each of them: they have nothing in common.
    return STRENGTH * total / np.sqrt(weights)


def _taken(source: Source, corner: np.ndarray, taken_at: np.ndarray) -> Patch:
    """A patch for the crop's pixels from a corner (x, y) on, from those at another one."""
    corners = corner + 2 * BLOCK * np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) - 0.5
    corners = corners @ source.to_photo[:, :2].T + source.to_photo[:, 2]
    by = (source.to_photo[:, :2] @ (taken_at - corner)).round().astype(int)
    box = np.concatenate([np.floor(corners.min(0)), np.ceil(corners.max(0)) + 1]).astype(int)
    left, top, right, bottom = (box + [*by, *by]).clip(0)
    step = max(1, (bottom - top) // SAMPLES)
    some = np.abs(source.details[top:bottom:step, left:right:step, :3])
    return Patch(box, by, corner, FEATURE * DEVIATION * np.median(some) / SCALE if some.size else 0.0)


def _alike(
    completed: np.ndarray, hidden: np.ndarray, bare: np.ndarray, face: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each patch of (S, S, 3) that has bare pixels, the one most like it without hidden ones.

    Their first pixels, (x, y).
    """
    size, side = len(completed), 2 * BLOCK
    away = cv2.dilate(hidden.astype(np.uint8), np.ones((side, side)), anchor=(0, 0), borderValue=1)
    to_take = STEP * np.argwhere(away[: size - side + 1 : STEP, : size - side + 1 : STEP] == 0)
    grid = np.arange(-BLOCK, size, BLOCK)
    all_over = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    to_fill = [one for one in all_over if _box(bare, one).any()]
    if not len(to_take) or not len(to_fill):
        return []
    wanted, offered = (_looks(completed, face, np.asarray(corners)) for corners in (to_fill, to_take))
    costs = np.square(offered).sum(1) - 2 * wanted @ offered.T
    pairs, used = [], np.zeros(len(to_take), np.float32)
    for one in np.random.RandomState(0).permutation(len(to_fill)):
        best = (costs[one] + used).argmin()
        used += AGAIN * (np.abs(to_take - to_take[best]) < BLOCK).all(axis=-1)
        pairs.append((to_fill[one][::-1], to_take[best][::-1]))
    return pairs


def _box(whole: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The part of (S, S) that a patch covers, whose first pixel is `corner` (y, x)."""
    top, left = np.maximum(corner, 0)
    return whole[top : corner[0] + 2 * BLOCK, left : corner[1] + 2 * BLOCK]


def _looks(completed: np.ndarray, face: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """What patches of (S, S, 3) are compared by, (N, D), given their first pixels (y, x), (N, 2)."""
    size, side = len(completed), 2 * BLOCK
    brightness = cv2.resize(completed.mean(axis=-1), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    colours = np.dstack([COLOUR * completed, FACE * face])
    means = cv2.boxFilter(colours, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    rows, columns = ((corners[:, axis, None] // 2 + np.arange(BLOCK)).clip(0, size // 2 - 1) for axis in (0, 1))
    pattern = brightness[rows[:, :, None], columns[:, None]].reshape(len(corners), -1)
    spread = pattern.std(axis=1, keepdims=True)
    mean = means[tuple(corners.clip(0).T)]
    looks = [pattern - pattern.mean(axis=1, keepdims=True), mean, ROUGH * spread, NEAR / size * corners]
    return np.concatenate(looks, axis=1).astype(np.float32)
