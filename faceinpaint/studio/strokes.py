"""Drawing on a mask: strokes of a brush or an eraser, and landmarks that are pulled.

Pure functions: each returns a new tensor and leaves what it is given. Positions are pixels, pixel centres at integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import InputError

REACH = 12 / 256  # how far the neighbours of a pulled landmark follow, as a share of the face's side
FINEST = 0.71  # pixels, the least radius: wherever it is put, it holds the centre of one
MOST_POINTS = 20_000  # of one stroke; a minute of drawing has about 6,000


def checked(stroke: Sequence) -> tuple[float, Tensor]:
    """Radius and points (N, 2) of a stroke `[radius, [x, y, x, y, ...]]`; InputError for another form."""
    try:
        too_long = len(stroke[1]) > 2 * MOST_POINTS
    except (TypeError, LookupError):
        too_long = False  # no stroke at all, which is said better below
    if too_long:
        raise InputError(f"a stroke has more than {MOST_POINTS:,} points: draw it in several")
    radius, points = masks.checked_stroke(stroke)
    return radius, torch.from_numpy(points)


def drawn(hole: Tensor, radius: float, points: Tensor, erasing: bool = False) -> Tensor:
    """What is hidden of a photo, (1, 1, H, W), true = unknown, with a stroke through points (N, 2), or without it."""
    size = torch.tensor([hole.shape[-1], hole.shape[-2]])
    radius = max(radius, FINEST)
    first = (points.amin(0) - radius).floor().long().clamp(min=0).minimum(size - 2)
    last = (points.amax(0) + radius).ceil().long().add(1).minimum(size).maximum(first + 2)
    (left, top), (right, bottom) = first.tolist(), last.tolist()
    stroke = masks.strokes([[radius, (points - first).flatten().tolist()]], (bottom - top, right - left)).bool()
    result = hole.clone()
    part = result[..., top:bottom, left:right]
    part.copy_(part & ~stroke if erasing else part | stroke)
    return result


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
