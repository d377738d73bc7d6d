"""Symmetry prior: what the visible side of a face tells of the hidden one before any learning.

The paper's failure cases (a beard, glasses finished on one side only) come from ignoring symmetry.
`symmetry_prior` looks every hidden pixel up on the other side of the face, through a warp that carries
each landmark to its mirror partner, and adds what the seam tells about the difference in light. Given a model of
what faces have in common, it shows the face that the model makes of the visible part, and mirrors only the details
that the model can't show. The generator starts from this picture instead of from a hole.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.landmarks import MIRROR_ORDER
from faceinpaint.prior.appearance import AppearanceModel
from faceinpaint.prior.warps import ThinPlateSpline, by_opencv, map_of, resized, warped


# The most that light differs between two mirrored pixels of skin; measured on frontal photographs, 0.05 to 0.2
# do nearly as well, and without a limit the prior is 2 to 3 dB worse on masks cut to the face.
LIGHT = 0.1
SEAM = 6 / 256  # of a crop's width: how far into the hole a step at its edge is made good


def smooth_fill(image: Tensor, known: Tensor) -> Tensor:
    """Fill the unknown pixels of (B, C, H, W) `image` smoothly from the known ones (B, 1, H, W), 1 = known.

    Pull-push (Gortler et al. 1996): average the known pixels level by level until no hole is left, then fill
    each level's holes from the coarser one. Known pixels are returned as they are.
    """
    return torch.where(known > 0, image, _from_coarser(image, known.to(image.dtype)))


def _from_coarser(image: Tensor, known: Tensor) -> Tensor:
    """What the known pixels say of all pixels, seen at half the resolution; known ones lose their details."""
    level, levels = torch.cat([image * known, known], dim=1), []
    while max(level.shape[-2:]) > 1:
        level = halved(level)
        level = level / level[:, -1:].clamp_min(1e-6)  # means of what is known, and 1 there; elsewhere 0
        levels.append(level)
    for finer in reversed(levels[:-1]):
        level = torch.where(finer[:, -1:] > 0, finer, resized(level, *finer.shape[-2:]))
    return resized(level[:, :-1], *image.shape[-2:])


def halved(x: Tensor) -> Tensor:
    """The mean of each 2 x 2 pixels of (B, C, H, W), at an odd border of those that are there: (B, C, H/2, W/2)."""
    if x.shape[-2] % 2 or x.shape[-1] % 2:
        return F.avg_pool2d(x, 2, ceil_mode=True)
    # Sums of rows and of columns: on a CPU a fifth to a tenth of the time that `avg_pool2d` takes for the same.
    rows = x[..., ::2, :] + x[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


class Prior(NamedTuple):
    """A first guess at the whole face, and where it rests on the mirrored side."""

    image: Tensor  # (B, 3, H, W), known pixels unchanged
    mirrored: Tensor  # (B, 1, H, W), 1 where a hidden pixel has a visible partner


HEARSAY = 0.25  # how much a pixel of the other side counts beside a known one when it comes to what is settled


def symmetry_prior(
    image: Tensor, mask: Tensor, landmarks: Tensor, model: AppearanceModel | None = None, code: Tensor | None = None,
) -> Prior:
    """Fill the hole from the other side of the face, corrected for light; with `model`, what it knows from that.

    The model sees the known pixels alone: a face that is lit from one side, or turned, is not as symmetric as all that,
    and the model knows how faces are. Of the other side it lacks only the details, which are mirrored over its face.

    image (B, 3, H, H) in [0, 1], whose values in the hole are never looked at; mask (B, 1, H, H), 1 = unknown;
    landmarks (B, 68, 2) pixels. What neither side nor model knows is filled smoothly. code (B, components): another
    face than the most probable one, by `model.deviation`.
    """
    image, landmarks = image.float(), landmarks.float()
    known = 1 - mask.float()
    visible = image * known
    shapes = [] if model is None else [model.shape.expand(len(image), -1, -1)]
    places, *in_shape = mirror_map(landmarks, image.shape[-1], *shapes)
    partner, partner_known, mirrored = other_side(visible, known, places)
    guesses, sure = [partner], [known * partner_known]
    if model is not None:
        face, region = model(visible, mask, landmarks, *in_shape)
        guesses, sure = [partner, face], [*sure, known * (region > 0.5)]
    # The light of both as one batch: most of the time of so small pictures goes into calling operators.
    differences = torch.cat([visible - guess for guess in guesses])
    lit = (torch.cat(guesses) + light(differences, torch.cat(sure))).chunk(len(guesses))
    smooth = smooth_fill(visible + mirrored * lit[0], known + mirrored)
    if model is not None:
        face = lit[1]
        # What the model can't show of the visible side, a mole or a wrinkle, belongs on the other side as well.
        details = mirrored * warped((visible - face) * sure[1], places)
        smooth = torch.where(known > 0, visible, smooth + region * (face + details - smooth))
        if code is not None:
            other, region = model.deviation(known + HEARSAY * mirrored, landmarks, code, *in_shape)
            smooth = smooth + mask.float() * region * other
    return Prior(smooth.clamp(0, 1), mirrored)


class OtherSide(NamedTuple):
    """A face seen in the mirror of its landmarks."""

    image: Tensor  # (B, C, H, H)
    known: Tensor  # (B, 1, H, H), 1 where the mirrored pixel is known
    mirrored: Tensor  # (B, 1, H, H), 1 where it is known and the pixel itself is not


def mirror_map(landmarks: Tensor, size: int, *others: Tensor) -> tuple[Tensor, ...]:
    """Where each pixel of a face of landmarks (B, 68, 2) lies on its other side, and in other shapes (B, 68, 2).

    These are in fractions of their pictures. All are (B, size, size, 2), as `map_of` has them.
    """
    here = (landmarks + 0.5) / size
    there = torch.cat([here[:, MIRROR_ORDER], *others], dim=-1)
    return map_of(ThinPlateSpline.fit(here, there), size, landmarks).split(2, dim=-1)


def other_side(visible: Tensor, known: Tensor, places: Tensor) -> OtherSide:
    """What is visible (B, C, H, H), of which known (B, 1, H, H) says where, carried to the other side of the face.

    places: the first of `mirror_map`.
    """
    both = warped(torch.cat([visible, known], dim=1), places)
    partner_known = (both[:, -1:] > 0.999).float()
    return OtherSide(both[:, :-1], partner_known, _without_slivers((1 - known) * partner_known))


def _without_slivers(region: Tensor, width: int = 7) -> Tensor:
    """A region (B, 1, H, W) of zeros and ones without its parts narrower than `width` pixels.

    Along the edge of a hole that is hidden on both sides a hair's breadth always has a visible partner: alone, it
    would be a bright line.
    """
    left = eroded(region, width // 2)
    return 1 - eroded(1 - left, width // 2)


def eroded(region: Tensor, pixels: int = 1) -> Tensor:
    """A region (B, 1, H, W) in [0, 1] without its outermost pixels, diagonal steps counted as one.

    Beyond the picture the region is taken to go on.
    """
    if by_opencv(region):
        eroded_ones = [cv2.erode(one, np.ones((2 * pixels + 1,) * 2)) for one in region[:, 0].numpy()]
        return torch.from_numpy(np.stack(eroded_ones))[:, None]
    wide = F.pad(region, [pixels] * 4, value=1.0)
    for _ in range(pixels):
        wide = shrunk(wide)
    return wide


def shrunk(region: Tensor) -> Tensor:
    """The least of each pixel and its neighbours, (B, C, H, W) -> (B, C, H - 2, W - 2).

    By shifted copies: on a CPU in a tenth of the time that `max_pool2d` takes for the same.
    """
    rows = torch.minimum(torch.minimum(region[:, :, :-2], region[:, :, 1:-1]), region[:, :, 2:])
    return torch.minimum(torch.minimum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def light(difference: Tensor, known: Tensor) -> Tensor:
    """Light transfer: the part of a difference between a face and a guess at it that is due to light, in the hole too.

    difference (B, 3, H, W) counts where known (B, 1, H, W) is 1. A small difference is light. A large one is hair
    or background that the guess does not know, and tells nothing about the skin. Of use where nothing is known alone.
    """
    is_light = difference.abs().amax(1, keepdim=True) < LIGHT
    return _from_coarser(difference, known * is_light)
