"""Exercises of chapter 01: masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.course.exercises.exercise import Exercise, exactly, near, require, require_mask
from faceinpaint.faces import synthetic

# ------------------------------------------------------------------------------------------------ 01.1


def upper_left(height: int, width: int) -> Tensor:
    """A mask (1, 1, height, width) that hides the upper-left quarter."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., : height // 2, : width // 2] = 1
    return mask


def _filled(rows: slice, columns: slice, height: int, width: int) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., rows, columns] = 1
    return mask


UPPER_LEFT = Exercise(
    hints=(
        "The last two axes of a mask are rows, counted from the top, and columns, counted from the left.",
        "<code>mask[..., :3, :5] = 1</code> hides the first three rows of the first five columns. Indices are "
        "whole numbers: divide with <code>//</code>.",
    ),
    solved_by=upper_left,
    what="the mask",
    cases=lambda: {f"{h} rows and {w} columns": (h, w) for h, w in ((64, 64), (48, 80), (10, 6))},
    mistakes={
        "your mask covers the left half; cut the rows in half too.":
            lambda height, width: _filled(slice(None), slice(width // 2), height, width),
        "your mask covers the upper-right quarter; look at the order of the axes: rows come first, then columns.":
            lambda height, width: _filled(slice(height // 2), slice(width // 2, width), height, width),
        "your mask covers the lower-left quarter; rows are counted from the top.":
            lambda height, width: _filled(slice(height // 2, height), slice(width // 2), height, width),
        "your mask hides all but the upper-left quarter; 1 is unknown, 0 is known.":
            lambda height, width: 1 - upper_left(height, width),
        "your mask lies on its side; the height comes before the width.":
            lambda height, width: upper_left(width, height),
    },
    like=require_mask,
    same=exactly,
)

# ------------------------------------------------------------------------------------------------ 01.2


def square_hole(ratio: float, size: int, generator: torch.Generator) -> Tensor:
    """A mask (1, 1, size, size) with one square hole at a random place, of about ratio * size² pixels."""
    side = round(size * ratio**0.5)
    top, left = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + side, left : left + side] = 1
    return mask


def _hidden(answer: Callable, ratio: float) -> float:
    """The share that an answer hides, the mean of twelve masks."""
    shares = []
    for seed in range(12):
        mask = answer(ratio, 64, torch.Generator().manual_seed(seed))
        require_mask(mask, torch.zeros(1, 1, 64, 64), "the mask of 64 pixels")
        shares.append(float(masks.hole_ratio(mask)))
    return sum(shares) / len(shares)


def _with_corner_anywhere(ratio: float, size: int, generator: torch.Generator) -> Tensor:
    side = round(size * ratio**0.5)
    top, left = torch.randint(0, size, (2,), generator=generator).tolist()
    return _filled(slice(top, top + side), slice(left, left + side), size, size)


def _require_random_squares(answer: Callable) -> None:
    places, sides = set(), set()
    for seed in range(12):
        mask = answer(0.25, 64, torch.Generator().manual_seed(seed))
        rows, columns = mask[0, 0].any(1).nonzero()[:, 0], mask[0, 0].any(0).nonzero()[:, 0]
        square = len(rows) == len(columns) and len(rows) * len(columns) == mask.sum()
        require(
            mask.any() and square and rows[-1] - rows[0] + 1 == len(rows),
            "the share is right, but your hole is no square; it has as many rows as columns.",
        )
        again = answer(0.25, 64, torch.Generator().manual_seed(seed))
        require(
            (mask == again).all(),
            "the same seed gives you different masks; draw from the `generator` that you are given.",
        )
        places.add((int(rows[0]), int(columns[0])))
        sides.add(len(rows))
    require(len(sides) == 1, "your holes have different sides for the same ratio; only their places are random.")
    require(len(places) > 6, "your hole is always at the same place; draw its place from the `generator`.")


SQUARE_HOLE = Exercise(
    hints=(
        "A square of side <i>s</i> has <i>s</i>² pixels. Which <i>s</i> gives ratio × size² of them?",
        "<code>torch.randint(0, n, (2,), generator=generator)</code> draws two numbers from 0 to <i>n</i> − 1. "
        "The upper-left corner may be at size − <i>s</i>, and not beyond.",
    ),
    solved_by=square_hole,
    what="the share that your masks hide",
    cases=lambda: {f"a ratio of {ratio}, by `masks.hole_ratio(mask)`,": (ratio,) for ratio in (0.25, 0.04, 0.5)},
    mistakes={
        "your holes are too small; a side of 0.25 times the picture's gives an area of 0.25 × 0.25.":
            lambda ratio, size, generator: square_hole(ratio**2, size, generator),
        "your mask hides all but the hole; 1 is unknown, 0 is known.":
            lambda ratio, size, generator: 1 - square_hole(ratio, size, generator),
        "your hole runs over the edge of the picture; leave room for its side.":
            _with_corner_anywhere,
    },
    asked=_hidden,
    same=partial(near, rtol=0, atol=0.025),  # a side of one pixel more or less
    more=_require_random_squares,
)

# ------------------------------------------------------------------------------------------------ 01.3


def cut_to_face(mask: Tensor, landmarks: Tensor) -> Tensor:
    """The part of a mask (1, 1, H, W) inside the face of landmarks (1, 68, 2)."""
    height, width = mask.shape[-2:]
    return mask * masks.face_region(landmarks, (height, width))


@lru_cache(maxsize=1)
def _turned_face() -> Tensor:
    """Landmarks (1, 68, 2) of a rendered face in 64 pixels."""
    return synthetic.render(synthetic.identities([3]), synthetic.poses([3]), 64, supersample=1).landmarks


def _three_masks() -> dict[str, tuple]:
    return {name: (masks.standard(name, 64), _turned_face()) for name in ("mask01", "mask02", "mask04")}


CUT_TO_FACE = Exercise(
    hints=(
        "<code>masks.face_region(landmarks, size)</code> is itself a mask: 1 inside the face.",
        "What happens to zeros and ones when you multiply them? The size is that of the mask, "
        "<code>mask.shape[-2:]</code>.",
    ),
    solved_by=cut_to_face,
    what="the mask of 64 pixels",
    cases=_three_masks,
    mistakes={
        "your function gives the mask back as it was; the background is still hidden.":
            lambda mask, landmarks: mask,
        "your mask is the whole face; hide only what the given mask hides, too.":
            lambda mask, landmarks: masks.face_region(landmarks, 64),
        "your mask hides what is in the mask or in the face; both are needed: and, not or.":
            lambda mask, landmarks: torch.maximum(mask, masks.face_region(landmarks, 64)),
        "your mask hides the background and spares the face; it is to be the other way round.":
            lambda mask, landmarks: mask * (1 - masks.face_region(landmarks, 64)),
    },
    like=require_mask,
    same=exactly,
)

EXERCISES = {"01.1": UPPER_LEFT, "01.2": SQUARE_HOLE, "01.3": CUT_TO_FACE}
