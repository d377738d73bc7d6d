"""Grain synthesis: pores, stubble and the camera's noise, which nobody can know but everybody misses.

A network that is asked for the least squared error paints their mean, which is smooth skin, and beside real skin that
looks like wax. Who retouches film gives what he painted in the grain of its surroundings; so do we, where neither side
of the face is visible: measured in the visible skin, drawn at random, and half as much as the painted skin lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.masks import face_region
from faceinpaint.prior.symmetry import eroded
from faceinpaint.prior.warps import by_opencv

BANDS = ((0.0, 0.7), (0.7, 1.4))  # grain is what two blurs differ by, of these standard deviations in pixels
BESIDE = 2  # pixels from the edge of the visible skin, where blurs see across it, do not count
EDGE = 1.5  # pixels, standard deviation: how softly it begins
MOST = 0.01  # of a band, standard deviation; skin on photographs has 0.003 to 0.01, hair and lashes more
SHARE = 0.5  # of what is lacking: all of it looks noisy and is farther from real skin (Frechet), none is waxy
DEVIATION = 0.6745  # the median distance from the mean of normal numbers, in standard deviations


def with_grain(
    painted: Tensor, image: Tensor, mask: Tensor, landmarks: Tensor, unseen: Tensor,
    cut: Callable[[Tensor], Tensor] = lambda whole: whole,
) -> Tensor:
    """The painted picture (B, 3, H, H) in [0, 1] with the grain of the visible skin where the face is unseen.

    image (B, 3, H, H) in [0, 1] and mask (B, 1, H, H), 1 = unknown, say what is visible; landmarks (B, 68, 2) pixels,
    where the face is; unseen (B, 1, H, H), 1 = neither side is visible. The grain is the same at every call. Where no
    skin is visible there is none. cut: where only a part of the picture is painted, what cuts that part out of a whole
    one; the skin is measured in all of it.
    """
    with torch.no_grad(), torch.autocast(mask.device.type, enabled=False):  # it is in the last digits
        face = face_region(landmarks, mask.shape[-1]).to(mask)
        skin = eroded((1 - mask.float()) * face, BESIDE)
        bare = cut(mask.float() * unseen.float() * face)
        grain = _lacking(image.float(), skin, painted.float(), bare, cut)
        grain = cut(mask) * blurred(bare, EDGE) * grain
    return (painted + grain).clamp(0, 1)


def _lacking(
    image: Tensor, skin: Tensor, painted: Tensor, bare: Tensor, cut: Callable[[Tensor], Tensor]
) -> Tensor:
    """Noise that the bare part of the painted picture lacks beside the skin of the image, (B, 1, H, W)."""
    noise = torch.zeros_like(bare)
    brightness, ours = image.mean(1, keepdim=True), painted.mean(1, keepdim=True)
    for drawn, seen, made in zip(_drawn(image.shape[-1]), bands(brightness), bands(ours)):
        there = deviation(seen, skin).clamp(max=MOST)
        lack = there.square() - deviation(made, bare).square()
        noise = noise + SHARE * lack.clamp_min(0).sqrt() * cut(drawn.to(bare))
    return noise


@lru_cache(maxsize=4)
def _drawn(size: int) -> list[Tensor]:
    """Noise in each band, (1, 1, size, size), of standard deviation 1; always the same, so made once."""
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    return [band / band.std() for band in bands(noise)]


def deviation(values: Tensor, region: Tensor) -> Tensor:
    """The standard deviation of values (B, 1, H, W) of mean 0 over a region, (B, 1, 1, 1); 0 where it is empty.

    By the median, which a wrinkle or an eyebrow does not move, of every other row and column: the pixels between them
    say little that is new, and to find a median takes long.
    """
    values, region = values[..., ::2, ::2], region[..., ::2, ::2]
    inside = torch.where(region > 0.5, values.abs(), torch.nan).flatten(1)
    return (inside.nanmedian(dim=1).values / DEVIATION).nan_to_num(0.0)[:, None, None, None]


def bands(image: Tensor) -> list[Tensor]:
    """All bands of (B, 1, H, W); each blur, which two of them share, is made once."""
    blurs = {sigma: blurred(image, sigma) for band in BANDS for sigma in band}
    return [blurs[fine] - blurs[coarse] for fine, coarse in BANDS]


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, 1, H, W) by a standard deviation in pixels; 0 leaves it as it is."""
    if not sigma:
        return image
    reach = math.ceil(3 * sigma)
    line = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(-reach, reach + 1)]
    if by_opencv(image):
        kernel = np.float32(line) / np.float32(sum(line))
        blurs = [cv2.sepFilter2D(one, -1, kernel, kernel) for one in image[:, 0].numpy()]
        return torch.from_numpy(np.stack(blurs))[:, None]
    # Sums of shifted copies: a convolution would round to fewer digits than grain has.
    for axis in (2, 3):
        wide = F.pad(image, (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0), mode="reflect")
        copies = [wide.narrow(axis, step, image.shape[axis]) for step in range(2 * reach + 1)]
        image = torch.zeros_like(image)
        for copy, weight in zip(copies, line):
            image.add_(copy, alpha=weight / sum(line))
    return image
