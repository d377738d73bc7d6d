"""Exercises of chapter 07: from a hand's movement to a mask, undoing, and a completed crop back in its photo."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from faceinpaint.course.exercises.by_hand import kind_of, require, require_tensor

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


def _test_stroke_mask(answer: Callable) -> None:
    points = torch.tensor([[10.0, 12.0], [44.0, 20.0], [30.0, 50.0]])
    found = answer(points.clone(), 5.0, 64)
    require_tensor(found, (1, 1, 64, 64), "the mask of 64 pixels")
    require(((found == 0) | (found == 1)).all(), "your mask holds other values than 0 and 1.")
    right = stroke_mask(points, 5.0, 64)
    dots = torch.cat([_dot(point, 5.0) for point in points]).amax(0, keepdim=True)
    column, row = points.long().unbind(-1)
    pixels = torch.zeros_like(right)
    pixels[..., row, column] = 1
    require(
        not torch.equal(found.float(), pixels),
        "your mask has only the pixels of the points; a stroke is as wide as its radius says, and goes from point to "
        "point.",
    )
    others = {
        "has only the dots at the points; the hand was in between, too": dots,
        "is on its side; a point is x, then y, and a mask has rows first": right.mT,
        "is the other way round; 1 is unknown": 1 - right,
        "has lines that go on beyond their ends; keep the share between 0 and 1": _lines(points, 5.0),
        "is half as wide as it should be; the radius is not the width": stroke_mask(points, 2.5, 64),
        "is twice as wide as it should be; the radius is not the width": stroke_mask(points, 10.0, 64),
        "ends after the first line; a stroke has many points": stroke_mask(points[:2], 5.0, 64),
        "joins the last point to the first; a stroke is no ring":
            stroke_mask(torch.cat([points, points[:1]]), 5.0, 64),
    }
    require(found.any(), "your mask hides nothing yet; draw the line.")
    for what, other in others.items():
        require(_differ(found, other) > 0.004, f"your mask {what}.")
    wrong = _differ(found, right)
    require(wrong < 0.004, f"{wrong:.1%} of the pixels of your mask are wrong; look at it, `figures.row([mask])`.")


def _dot(point: Tensor, radius: float) -> Tensor:
    return stroke_mask(torch.stack([point, point + 1e-3]), radius, 64)


def _lines(points: Tensor, radius: float) -> Tensor:
    """Each line of points (N, 2) from one edge of the picture to the other."""
    long = [torch.stack([a - 20 * (b - a), b + 20 * (b - a)]) for a, b in zip(points, points[1:])]
    return torch.cat([stroke_mask(line, radius, 64) for line in long]).amax(0, keepdim=True)


def _differ(a: Tensor, b: Tensor) -> float:
    return (a != b).float().mean().item()


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


def _test_replay(answer: Callable) -> None:
    tries = (
        (["a", "b"], "without any undo, all strokes are left"),
        (["a", "b", "undo"], "an undo takes the last stroke away"),
        (["a", "undo", "undo", "b"], "an undo with nothing left to undo does nothing"),
        (["a", "b", "undo", "redo"], "a redo brings back what was undone"),
        (["a", "b", "c", "undo", "undo", "redo"], "what was undone last comes back first"),
        (["a", "redo", "b"], "a redo with nothing undone does nothing"),
        (["a", "b", "undo", "c", "redo"], "after a new stroke there is nothing left to redo"),
        (["a", "undo", "redo", "undo", "redo"], "undo and redo can go on for ever"),
    )
    for actions, rule in tries:
        given = list(actions)
        found = answer(given)
        require(found is not None, "your function returns nothing; it is to return the strokes that are left.")
        require(isinstance(found, list), f"your function returns {kind_of(found)}; return a list of strokes.")
        right = replay(list(actions))
        require(found == right, f"after {' '.join(actions)} you have {found}, it is to be {right}: {rule}.")
        require(given == actions, "your function changes the list that it is given; leave it as it was.")


# ------------------------------------------------------------------------------------------------ 07.3


def put_back(photo: Tensor, completed: Tensor, mask: Tensor, top: int, left: int) -> Tensor:
    """The photo (1, 3, H, W) with the hole of a crop (1, 3, S, S) that was cut out at row `top`, column `left`."""
    size = completed.shape[-1]
    result = photo.clone()
    window = result[..., top : top + size, left : left + size]
    window.copy_(torch.where(mask > 0.5, completed, window))
    return result


def _test_put_back(answer: Callable) -> None:
    random = torch.Generator().manual_seed(0)
    photo, completed = torch.rand(1, 3, 40, 60, generator=random), torch.rand(1, 3, 16, 16, generator=random)
    mask = (torch.rand(1, 1, 16, 16, generator=random) < 0.4).float()
    given = photo.clone()
    found = answer(given, completed.clone(), mask.clone(), 8, 20)
    require_tensor(found, (1, 3, 40, 60), "the photo")
    require(torch.equal(given, photo), "your function changes the photo that it is given; begin with a clone.")
    right = put_back(photo, completed, mask, 8, 20)
    require(not torch.equal(found, photo), "what you return is the photo as it was; nothing has been put back.")
    all_of_it = put_back(photo, completed, torch.ones_like(mask), 8, 20)
    require(not torch.equal(found, all_of_it), "you put back the whole crop; known pixels stay the photo's own.")
    inverted = put_back(photo, completed, 1 - mask, 8, 20)
    require(not torch.equal(found, inverted), "you put back what was known; 1 is unknown.")
    swapped = put_back(photo, completed, mask, 20, 8)
    require(not torch.equal(found, swapped), "the crop lies at the wrong place; rows come first, top, then left.")
    corner = put_back(photo, completed, mask, 0, 0)
    require(not torch.equal(found, corner), "the crop lies in the upper left corner; move it to top and left.")
    wrong = (found != right).any(1).sum().item()
    require(wrong == 0, f"{wrong} pixels of the photo are not what they are to be; only the hole's may change.")


EXERCISES = {
    "07.1": (
        (
            "How far is a pixel from a piece of a line? Find the nearest point of the piece first.",
            "That point lies at the share <code>(pixel - start) @ along / (along @ along)</code> of the way from start "
            "to end; keep it between 0 and 1.",
            "<code>torch.meshgrid(torch.arange(size), torch.arange(size), indexing=\"ij\")</code> gives rows and "
            "columns; a point is x (the column), then y.",
        ),
        stroke_mask, _test_stroke_mask,
    ),
    "07.2": (
        (
            "Two lists are enough: what is done, and what was undone.",
            "Undo moves the last of the one to the end of the other; redo moves it back. Either may be empty.",
            "What happens to the second list when a new stroke is drawn?",
        ),
        replay, _test_replay,
    ),
    "07.3": (
        (
            "Begin with <code>photo.clone()</code>, and look at the window of it that the crop was cut from.",
            "<code>photo[..., top : top + size, left : left + size]</code> is that window.",
            "<code>torch.where(mask > 0.5, completed, window)</code> is what belongs there.",
        ),
        put_back, _test_put_back,
    ),
}
