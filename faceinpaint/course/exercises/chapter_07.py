"""Exercises of chapter 07: from a hand's movement to a mask, undoing, and a completed crop back in its photo."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise, exactly, require_mask

# ------------------------------------------------------------------------------------------------ 07.1


def stroke_mask(points: Tensor, radius: float, size: int) -> Tensor:
    """All pixels whose centres are at most `radius` from the line through points (N, 2): (1, 1, S, S)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).float()  # (S, S, 2), x then y
    mask = torch.zeros(size, size)
    for start, end in zip(points, points[1:]):
        along = end - start
        share = ((pixels - start) @ along / along.square().sum()).clamp(0, 1)
        nearest = start + share[..., None] * along
        mask[(pixels - nearest).norm(dim=-1) <= radius] = 1
    return mask[None, None]


def _dots(points: Tensor, radius: float, size: int) -> Tensor:
    dots = [stroke_mask(torch.stack([point, point + 1e-3]), radius, size) for point in points]
    return torch.cat(dots).amax(0, keepdim=True)


def _endless(points: Tensor, radius: float, size: int) -> Tensor:
    """Each line from one edge of the picture to the other."""
    lines = [torch.stack([a - 20 * (b - a), b + 20 * (b - a)]) for a, b in zip(points, points[1:])]
    return torch.cat([stroke_mask(line, radius, size) for line in lines]).amax(0, keepdim=True)


def _nearly_the_same(a: object, b: object) -> bool:
    """Whether two masks are the same but for a few pixels on the edge."""
    same_shape = isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape
    return same_shape and (a != b).float().mean() < 0.004


STROKE_MASK = Exercise(
    hints=(
        "How far is a pixel from a piece of a line? Find the nearest point of the piece first.",
        "That point lies at the share <code>(pixel - start) @ along / (along @ along)</code> of the way from start "
        "to end; keep it between 0 and 1.",
        "<code>torch.meshgrid(torch.arange(size), torch.arange(size), indexing=\"ij\")</code> gives rows and "
        "columns; a point is x (the column), then y.",
    ),
    solved_by=stroke_mask,
    what="the mask of 64 pixels",
    cases=lambda: {"a stroke": (torch.tensor([[10.0, 12.0], [44.0, 20.0], [30.0, 50.0]]), 5.0, 64)},
    mistakes={
        "your mask has only the dots at the points; the hand was in between, too.":
            _dots,
        "your mask is on its side; a point is x, then y, and a mask has rows first.":
            lambda points, radius, size: stroke_mask(points.flip(1), radius, size),
        "your mask is the other way round; 1 is unknown.":
            lambda points, radius, size: 1 - stroke_mask(points, radius, size),
        "your mask has lines that go on beyond their ends; keep the share between 0 and 1.":
            _endless,
        "your mask is half as wide as it should be; the radius is not the width.":
            lambda points, radius, size: stroke_mask(points, radius / 2, size),
        "your mask ends after the first line; a stroke has many points.":
            lambda points, radius, size: stroke_mask(points[:2], radius, size),
    },
    like=require_mask,
    same=_nearly_the_same,
)

# ------------------------------------------------------------------------------------------------ 07.2


def replay(actions: list[str]) -> list[str]:
    """The strokes that are left after strokes, each by its name, and "undo" and "redo", in their order."""
    done, undone = [], []
    for action in actions:
        if action == "undo":
            if done:
                undone.append(done.pop())
        elif action == "redo":
            if undone:
                done.append(undone.pop())
        else:
            done.append(action)
            undone.clear()
    return done


def _replay(actions: list[str], last: int = -1, clears: bool = True, may_be_empty: bool = True) -> list[str]:
    """What is left with a mistake. last: which undone stroke comes back. may_be_empty: what is taken from."""
    done, undone = [], []
    for action in actions:
        if action == "undo" and (done or not may_be_empty):
            undone.append(done.pop())
        elif action == "redo" and (undone or not may_be_empty):
            done.append(undone.pop(last))
        elif action not in ("undo", "redo"):
            done.append(action)
            undone = [] if clears else undone
    return done


def _actions() -> dict[str, tuple]:
    tries = {
        "a b": "without any undo, all strokes are left",
        "a b undo": "an undo takes the last stroke away",
        "a undo undo b": "an undo with nothing left to undo does nothing",
        "a b undo redo": "a redo brings back what was undone",
        "a b c undo undo redo": "what was undone last comes back first",
        "a redo b": "a redo with nothing undone does nothing",
        "a b undo c redo": "after a new stroke there is nothing left to redo",
        "a undo redo undo redo": "undo and redo can go on for ever",
    }
    return {f"{actions} ({rule})": (actions.split(),) for actions, rule in tries.items()}


REPLAY = Exercise(
    hints=(
        "Two lists are enough: what is done, and what was undone.",
        "Undo moves the last of the one to the end of the other; redo moves it back. Either may be empty.",
        "What happens to the second list when a new stroke is drawn?",
    ),
    solved_by=replay,
    what="what is left",
    cases=_actions,
    mistakes={
        "you take from a list that is empty; an undo or a redo with nothing to take does nothing.":
            partial(_replay, may_be_empty=False),
        "you bring back what was undone first; what was undone last comes back first.":
            partial(_replay, last=0),
        "you bring back strokes that were undone before a new one; after a new stroke there is nothing left to redo.":
            partial(_replay, clears=False),
    },
)

# ------------------------------------------------------------------------------------------------ 07.3


def put_back(photo: Tensor, completed: Tensor, mask: Tensor, top: int, left: int) -> Tensor:
    """The photo (1, 3, H, W) with the hole of a crop (1, 3, S, S) that was cut out at row `top`, column `left`."""
    size = completed.shape[-1]
    result = photo.clone()
    window = result[..., top : top + size, left : left + size]
    window.copy_(torch.where(mask > 0.5, completed, window))
    return result


def _photo() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(0)
    photo, completed = torch.rand(1, 3, 40, 60, generator=random), torch.rand(1, 3, 16, 16, generator=random)
    mask = (torch.rand(1, 1, 16, 16, generator=random) < 0.4).float()
    return {"a crop from row 8 and column 20": (photo, completed, mask, 8, 20)}


PUT_BACK = Exercise(
    hints=(
        "Begin with <code>photo.clone()</code>, and look at the window of it that the crop was cut from.",
        "<code>photo[..., top : top + size, left : left + size]</code> is that window.",
        "<code>torch.where(mask > 0.5, completed, window)</code> is what belongs there.",
    ),
    solved_by=put_back,
    what="the photo",
    cases=_photo,
    mistakes={
        "what you return is the photo as it was; nothing has been put back.":
            lambda photo, completed, mask, top, left: photo,
        "you put back the whole crop; known pixels stay the photo's own.":
            lambda photo, completed, mask, top, left: put_back(photo, completed, torch.ones_like(mask), top, left),
        "you put back what was known; 1 is unknown.":
            lambda photo, completed, mask, top, left: put_back(photo, completed, 1 - mask, top, left),
        "the crop lies at the wrong place; rows come first, top, then left.":
            lambda photo, completed, mask, top, left: put_back(photo, completed, mask, left, top),
        "the crop lies in the upper left corner; move it to top and left.":
            lambda photo, completed, mask, top, left: put_back(photo, completed, mask, 0, 0),
    },
    same=exactly,
)

EXERCISES = {"07.1": STROKE_MASK, "07.2": REPLAY, "07.3": PUT_BACK}
