"""Exercises of chapter 01: masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.course.exercises.exercise import require, require_mask
from faceinpaint.faces import synthetic

# ------------------------------------------------------------------------------------------------ 01.1


def upper_left(height: int, width: int) -> Tensor:
    """A mask (1, 1, height, width) that hides the upper-left quarter."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., : height // 2, : width // 2] = 1
    return mask


# What else an answer may cover: rows, columns (first or second half, or all), and what to look at.
_FIRST, _SECOND, _ALL = (0, 0.5), (0.5, 1), (0, 1)
_OTHER_REGIONS = {
    "left half": (_ALL, _FIRST, "cut the rows in half too"),
    "right half": (_ALL, _SECOND, "look at the order of the axes, and at which half comes first"),
    "upper half": (_FIRST, _ALL, "cut the columns in half too"),
    "lower half": (_SECOND, _ALL, "row 0 is the top row, and the columns are to be cut in half too"),
    "upper-right quarter": (_FIRST, _SECOND, "look at the order of the axes: rows come first, then columns"),
    "lower-left quarter": (_SECOND, _FIRST, "rows are counted from the top"),
    "lower-right quarter": (_SECOND, _SECOND, "rows are counted from the top, columns from the left"),
    "whole picture": (_ALL, _ALL, "leave three quarters of it at 0"),
}


def _test_upper_left(answer: Callable) -> None:
    for height, width in ((64, 64), (48, 80), (10, 6)):
        mask = answer(height, width)
        require_mask(mask, height, width)
        require(mask.any(), "your mask hides nothing yet; set its upper-left quarter to 1.")
        for name, (rows, columns, advice) in _OTHER_REGIONS.items():
            (top, bottom), (left, right) = rows, columns
            other = torch.zeros(1, 1, height, width)
            other[..., int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = 1
            require((mask != other).any(), f"your mask covers the {name}; {advice}.")
        quarter = upper_left(height, width)
        require(
            (mask != 1 - quarter).any(), "your mask hides all but the upper-left quarter; 1 is unknown, 0 is known."
        )
        require(
            (mask == quarter).all(),
            f"for {height} rows and {width} columns your mask is not the upper-left quarter; "
            "take half of the height and half of the width that you are given, in this order.",
        )


# ------------------------------------------------------------------------------------------------ 01.2


def square_hole(ratio: float, size: int, generator: torch.Generator) -> Tensor:
    """A mask (1, 1, size, size) with one square hole at a random place, of about ratio * size² pixels."""
    side = round(size * ratio**0.5)
    top, left = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + side, left : left + side] = 1
    return mask


def _test_square_hole(answer: Callable) -> None:
    size, places = 64, set()
    for ratio in (0.25, 0.04, 0.5):
        for seed in range(12):
            mask = answer(ratio, size, torch.Generator().manual_seed(seed))
            require_mask(mask, size, size)
            require(mask.any(), "your mask hides nothing yet; cut a square hole into it.")
            _test_ratio(mask, ratio)
            rows, columns = mask[0, 0].any(1).nonzero()[:, 0], mask[0, 0].any(0).nonzero()[:, 0]
            box = len(rows) * len(columns)
            square = len(rows) == len(columns) and box == mask.sum() and rows[-1] - rows[0] + 1 == len(rows)
            require(square, "the share is right, but your hole is no square; it has as many rows as columns.")
            again = answer(ratio, size, torch.Generator().manual_seed(seed))
            require(
                (mask == again).all(),
                "the same seed gives you different masks; draw from the `generator` that you are given.",
            )
            places.add((ratio, int(rows[0]), int(columns[0])))
    require(len(places) > 6, "your hole is always at the same place; draw its place from the `generator`.")


def _test_ratio(mask: Tensor, ratio: float) -> None:
    """A square of whole pixels misses its share by at most half a pixel on each side."""
    hidden = float(masks.hole_ratio(mask))
    near = 0.02
    asked = f"your mask hides {hidden:.0%} where {ratio:.0%} are asked for"
    require(
        abs(hidden - ratio**2) > near or abs(ratio - ratio**2) <= near,
        f"{asked}; a side of {ratio:g} times the picture's gives an area of {ratio:g} × {ratio:g}.",
    )
    require(
        abs(hidden - (1 - ratio)) > near or abs(1 - 2 * ratio) <= near,
        f"{asked}, all the rest; 1 is unknown, 0 is known.",
    )
    edge = torch.cat([mask[..., 0, :], mask[..., -1, :], mask[..., 0], mask[..., -1]], dim=-1).any()
    require(
        hidden > ratio - near or not edge,
        f"{asked}; does your hole run over the edge of the picture? Leave room for its side.",
    )
    require(abs(hidden - ratio) <= near, f"{asked}; count with `masks.hole_ratio(mask)`.")


# ------------------------------------------------------------------------------------------------ 01.3


def cut_to_face(mask: Tensor, landmarks: Tensor) -> Tensor:
    """The part of a mask (1, 1, H, W) inside the face of landmarks (1, 68, 2)."""
    height, width = mask.shape[-2:]
    return mask * masks.face_region(landmarks, (height, width))


@lru_cache(maxsize=1)
def _turned_face() -> Tensor:
    """Landmarks (1, 68, 2) of a rendered face in 64 pixels."""
    return synthetic.render(synthetic.identities([3]), synthetic.poses([3]), 64, supersample=1).landmarks


def _test_cut_to_face(answer: Callable) -> None:
    landmarks = _turned_face()
    face = masks.face_region(landmarks, 64)
    for name in ("mask01", "mask02", "mask04"):
        mask = masks.standard(name, 64)
        cut = answer(mask.clone(), landmarks.clone())
        require_mask(cut, 64, 64)
        require((cut != mask).any(), "your function gives the mask back as it was; the background is still hidden.")
        require((cut != face).any(), "your mask is the whole face; hide only what the given mask hides, too.")
        either = torch.maximum(mask, face)
        require(
            (cut != either).any(), "your mask hides what is in the mask or in the face; both are needed: and, not or."
        )
        require(
            (cut != mask * (1 - face)).any(),
            "your mask hides the background and spares the face; it is to be the other way round.",
        )
        require(cut.any(), "your mask hides nothing; 1 times 1 is 1.")
        outside = int((cut * (1 - face)).sum())
        require(
            outside == 0, f"your mask hides {outside} pixels outside the face; `masks.face_region` says what is inside."
        )
        require(
            (cut == mask * face).all(),
            "your mask leaves out pixels that lie both in the mask and in the face; take every one of them.",
        )


EXERCISES = {
    "01.1": (
        (
            "The last two axes of a mask are rows, counted from the top, and columns, counted from the left.",
            "<code>mask[..., :3, :5] = 1</code> hides the first three rows of the first five columns. Indices are "
            "whole numbers: divide with <code>//</code>.",
        ),
        upper_left, _test_upper_left,
    ),
    "01.2": (
        (
            "A square of side <i>s</i> has <i>s</i>² pixels. Which <i>s</i> gives ratio × size² of them?",
            "<code>torch.randint(0, n, (2,), generator=generator)</code> draws two numbers from 0 to <i>n</i> − 1. "
            "The upper-left corner may be at size − <i>s</i>, and not beyond.",
        ),
        square_hole, _test_square_hole,
    ),
    "01.3": (
        (
            "<code>masks.face_region(landmarks, size)</code> is itself a mask: 1 inside the face.",
            "What happens to zeros and ones when you multiply them? The size is that of the mask, "
            "<code>mask.shape[-2:]</code>.",
        ),
        cut_to_face, _test_cut_to_face,
    ),
}
