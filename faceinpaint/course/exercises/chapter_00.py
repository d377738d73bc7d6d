"""Exercises of chapter 00: equation 1, the face distance, and a mask of one's own."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise, exactly, require_mask

# ------------------------------------------------------------------------------------------------ 00.1


def put_together(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Painted pixels where the mask is 1, those of the image elsewhere: (B, 3, H, W)."""
    return torch.where(mask > 0, painted, image)


def _two_pictures() -> dict[str, tuple]:
    painted, image = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :4] = mask[1, :, :, 5:] = 1
    return {
        "two pictures": (painted, image, mask),
        "a painter who returns no numbers outside the hole": (painted.where(mask > 0, torch.nan), image, mask),
    }


PUT_TOGETHER = Exercise(
    hints=(
        "At each pixel, one of two pictures counts; the mask says which. It has one channel and the pictures have "
        "three: PyTorch stretches it by itself.",
        "<code>torch.where(condition, a, b)</code> takes <code>a</code> where the condition holds and <code>b</code> "
        "elsewhere; <code>mask &gt; 0</code> is a condition.",
    ),
    solved_by=put_together,
    what="a batch of two pictures",
    cases=_two_pictures,
    mistakes={
        "this is the painted picture, everywhere; the known pixels should come back.":
            lambda painted, image, mask: painted,
        "this is the image as it was; the hole should be painted.":
            lambda painted, image, mask: image,
        "the other way round: 1 is unknown.":
            lambda painted, image, mask: put_together(image, painted, mask),
        "a painted pixel that is no number gets through where the mask is 0: zero times not-a-number is not a "
        "number. Choose, do not multiply.":
            lambda painted, image, mask: painted * mask + image * (1 - mask),
    },
    same=exactly,
)

# ------------------------------------------------------------------------------------------------ 00.2


def face_distance(first: Tensor, second: Tensor) -> Tensor:
    """One minus the cosine of the angle between vectors (B, D) of any length, row by row: (B,)."""
    lengths = first.norm(dim=1) * second.norm(dim=1)
    return 1 - (first * second).sum(dim=1) / lengths


def _three_pairs() -> dict[str, tuple]:
    first, second = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([[1.0], [3.0], [0.5]])
    return {"three pairs": (first * lengths, (second + 0.5 * first) * lengths)}


FACE_DISTANCE = Exercise(
    hints=(
        "The cosine of the angle between two arrows is their product, <i>x</i> · <i>y</i>, over the product of their "
        "lengths. The product of two vectors is a sum: which axis is it over?",
        "<code>(first * second).sum(dim=1)</code> is one product for each pair, and <code>first.norm(dim=1)</code> "
        "one length for each vector.",
        "Divide the one by both lengths, and take it away from 1.",
    ),
    solved_by=face_distance,
    what="a distance for each of three pairs",
    cases=_three_pairs,
    mistakes={
        "what you return is the cosine, which is 1 for the same picture; the distance is 1 minus it.":
            lambda first, second: 1 - face_distance(first, second),
        "you take the vectors as if they had the length 1; these have not, so divide by the lengths of *both*.":
            lambda first, second: 1 - (first * second).sum(dim=1),
        "you sum over the faces; sum over the 8 numbers of each vector, `dim=1`.":
            lambda first, second: face_distance(first.T, second.T),
        "you compare every face with every other; take row by row, the first with the first.":
            lambda first, second: face_distance(first[:, :, None], second.T[None]),
        "you return the length of the difference; here the angle counts, not how far apart the ends of two arrows "
        "are.":
            lambda first, second: (first - second).norm(dim=1),
    },
)

# ------------------------------------------------------------------------------------------------ 00.3


def over_the_eyes(points: Tensor, height: int, width: int) -> Tensor:
    """A mask (1, 1, height, width) that hides the smallest rectangle around points (N, 2), and 4 pixels more."""
    left, top = (points.amin(dim=0) - 4).round().int().clamp(min=0).tolist()
    right, bottom = (points.amax(dim=0) + 4).round().int().tolist()
    mask = torch.zeros(1, 1, height, width)
    mask[..., top : bottom + 1, left : right + 1] = 1
    return mask


def _rectangle(points: Tensor, height: int, width: int, margin: int = 4, end: int = 1, first: int = 0) -> Tensor:
    """A mask with a mistake. end: is added to the end of a slice. first: the axis of what is added; none below 0."""
    left, top = (points.amin(dim=0) - margin).int().clamp(min=first).tolist()
    right, bottom = (points.amax(dim=0) + margin).int().tolist()
    mask = torch.zeros(1, 1, height, width)
    mask[..., top : bottom + end, left : right + end] = 1
    return mask


def _eyes() -> dict[str, tuple]:
    eyes = torch.tensor([[20.0, 30], [24, 27], [29, 28], [33, 31], [28, 33], [23, 33],
                         [45, 32], [50, 29], [55, 28], [60, 30], [55, 34], [49, 34]])
    return {
        "50 rows and 80 columns": (eyes, 50, 80),
        "70 rows and 66 columns": (eyes, 70, 66),
        "eyes in the corner": (eyes - torch.tensor([18.0, 25]), 50, 80),  # nearer to the edge than the margin
    }


OVER_THE_EYES = Exercise(
    hints=(
        "Four numbers say where the rectangle is: its first and last column, its first and last row. The columns come "
        "from <i>x</i>, the rows from <i>y</i>.",
        "<code>points.amin(dim=0)</code> is the smallest <i>x</i> and the smallest <i>y</i>; "
        "<code>.round().int().tolist()</code> makes whole numbers of them.",
        "<code>mask[..., top : bottom + 1, left : right + 1] = 1</code>; and what is <code>top</code> for eyes in the "
        "third row?",
    ),
    solved_by=over_the_eyes,
    what="the mask",
    cases=_eyes,
    mistakes={
        "your mask hides all but the eyes; 1 is unknown, 0 is known.":
            lambda points, height, width: 1 - over_the_eyes(points, height, width),
        "your mask lies somewhere else; a point is x, then y, and a tensor's rows come first: [..., y, x].":
            lambda points, height, width: over_the_eyes(points.flip(1), height, width),
        "your mask ends at the outermost points; take 4 pixels more on every side.":
            lambda points, height, width: _rectangle(points, height, width, margin=0),
        "your mask is one row and one column too small; the end of a slice is not in it any more, so add 1 to it.":
            lambda points, height, width: _rectangle(points, height, width, end=0),
        "where the eyes are nearer than 4 pixels to the edge, your rectangle begins at a negative index, and that "
        "counts from the other end; begin at 0 then.":
            lambda points, height, width: _rectangle(points, height, width, first=-4),
    },
    like=require_mask,
)

EXERCISES = {"00.1": PUT_TOGETHER, "00.2": FACE_DISTANCE, "00.3": OVER_THE_EYES}
