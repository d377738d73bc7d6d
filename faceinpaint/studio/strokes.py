"""Drawing on a mask: strokes of a brush or an eraser, and landmarks that are pulled.

Pure functions: each returns a new tensor and leaves what it is given. Positions are pixels of the aligned face, pixel
centres at integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import InputError

REACH = 12 / 256  # how far the neighbours of a pulled landmark follow, as a share of the face's side
MOST_POINTS = 20_000  # of one stroke; a minute of drawing has about 6,000


def paint(mask: Tensor, stroke: Sequence) -> Tensor:
    """The mask (1, 1, S, S) and what a stroke `[radius, [x, y, x, y, ...]]` hides; InputError for another form."""
    return torch.maximum(mask, _stroke(stroke, mask))


def erase(mask: Tensor, stroke: Sequence) -> Tensor:
    """The mask (1, 1, S, S) without what a stroke covers."""
    return mask * (1 - _stroke(stroke, mask))


def pulled(landmarks: Tensor, index: int, x: float, y: float, size: int) -> Tensor:
    """Landmarks (1, 68, 2) of a face of `size` pixels with one of them moved to (x, y), its neighbours less.

    Alone it would be a spike in an outline. Raises InputError for a landmark that is not there or a place that is
    outside the picture.
    """
    if not 0 <= index < landmarks.shape[1] or not (0 <= x < size and 0 <= y < size):
        raise InputError(f"landmark {index} can't be moved to ({x:.0f}, {y:.0f}): choose 0 to 67, and a place inside")
    place = landmarks[:, index : index + 1]
    far = (landmarks - place).square().sum(-1, keepdim=True)
    follow = torch.exp(-far / (2 * (REACH * size) ** 2))
    follow[:, index] = 1
    to = torch.tensor([x, y], dtype=landmarks.dtype)
    return (landmarks + follow * (to - place)).clamp(0, size - 1)


def _stroke(stroke: Sequence, mask: Tensor) -> Tensor:
    try:
        too_long = len(stroke[1]) > 2 * MOST_POINTS
    except (TypeError, LookupError):
        too_long = False  # no stroke at all, which `masks.strokes` says better
    if too_long:
        raise InputError(f"a stroke has more than {MOST_POINTS:,} points: draw it in several")
    return masks.strokes([stroke], tuple(mask.shape[-2:]))
