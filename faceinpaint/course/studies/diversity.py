"""Several answers to one hole: how different are they where nobody knows, and do they leave alone what is known?"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation.measures import Distance, decibels


class Diversity(NamedTuple):
    """Several answers for each of B faces, (B,) each.

    apart: mean absolute difference of two answers in the hole, in [0, 1]. perceptual: mean distance of two answers as
    people see them. outside: the largest change of any known pixel, which is to be 0. first, nearest: PSNR (dB) in the
    hole of the first answer, and of the one that is nearest to the truth.
    """

    apart: Tensor
    perceptual: Tensor
    outside: Tensor
    first: Tensor
    nearest: Tensor


@torch.no_grad()
def diversity(answers: Tensor, image: Tensor, mask: Tensor, perceptual: Distance) -> Diversity:
    """Measure answers (N, B, 3, H, W) of faces (B, 3, H, W) under masks (B, 1, H, W), 1 = unknown.

    Raises InputError for a single answer, which differs from nothing.
    """
    if len(answers) < 2:
        raise InputError("a single answer differs from nothing: ask for two or more")
    pixels = 3 * mask.sum(dim=(1, 2, 3))
    pairs = list(combinations(answers, 2))
    apart = torch.stack([((one - other).abs() * mask).sum(dim=(1, 2, 3)) / pixels for one, other in pairs])
    distance = torch.stack([perceptual(one, other) for one, other in pairs])
    error = ((answers - image).square() * mask).sum(dim=(2, 3, 4)) / pixels
    outside = ((answers - image).abs() * (1 - mask)).amax(dim=(0, 2, 3, 4))
    quality = decibels(error)
    return Diversity(apart.mean(0), distance.mean(0), outside, quality[0], quality.amax(0))
