"""Exercises of chapter 02: landmarks and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.course.exercises.by_hand import farthest, kind_of, require, require_number
from faceinpaint.faces import synthetic
from faceinpaint.landmarks import MIRROR_ORDER


@lru_cache(maxsize=1)
def _three_faces() -> Tensor:
    """Landmarks (3, 68, 2) of rendered people who look to the left, ahead and to the right, in 64 pixels."""
    return synthetic.render(synthetic.identities([3, 4, 5]), synthetic.poses([3, 4, 5]), 64, supersample=1).landmarks


def _require_tensor(answer: object, shape: tuple[int, ...], ending: str) -> None:
    """A tensor of a shape, all of it numbers. ending: what the function's last line might be."""
    require(answer is not None, f"your function returns nothing; does it end in `{ending}`?")
    require(isinstance(answer, Tensor), f"your function returns {kind_of(answer)}; return a tensor.")
    require(tuple(answer.shape) == shape, f"your tensor has the shape {tuple(answer.shape)}; it should be {shape}.")
    require(answer.isfinite().all(), "your tensor holds values that are no numbers.")


def _require_none_of(answer: Tensor, others: Mapping[str, Tensor]) -> None:
    """Not what comes out of a known mistake. others: what is wrong -> what it gives."""
    for sentence, other in others.items():
        require(not torch.allclose(answer.float(), other.float(), atol=1e-5), sentence)


# ------------------------------------------------------------------------------------------------ 02.1


def mean_error(predicted: Tensor, true: Tensor) -> Tensor:
    """The normalised mean error of landmarks (B, 68, 2), one for each face: (B,)."""
    distance = (predicted - true).norm(dim=-1)  # (B, 68)
    inter_ocular = (true[:, 36] - true[:, 45]).norm(dim=-1)  # (B,)
    return distance.mean(dim=-1) / inter_ocular


def _apart(landmarks: Tensor, first: int, second: int) -> Tensor:
    return (landmarks[:, first] - landmarks[:, second]).norm(dim=-1)


def _test_mean_error(answer: Callable) -> None:
    true = _three_faces() * torch.tensor([1.0, 2.0, 0.5]).view(3, 1, 1)  # faces of three sizes
    predicted = true + 0.6 * torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    predicted[:, 36] -= torch.tensor([2.0, 1.0])  # so that the prediction has other eyes than the truth
    found = answer(predicted.clone(), true.clone())
    require(
        not isinstance(found, float) and getattr(found, "shape", None) != (),
        "your function returns one number for all faces; return one for each face, of shape (3,) for three faces.",
    )
    shape = tuple(getattr(found, "shape", ()))
    require(shape != (3, 68), "your function returns an error for each landmark; take the mean over the 68 of a face.")
    require(shape != (3, 2), "your function keeps x and y apart; the distance of two points is one number.")
    _require_tensor(found, (3,), "return error")
    require(found.any(), "your errors are all 0, and these predictions are not perfect.")

    distance = (predicted - true).norm(dim=-1)
    eyes, mean = _apart(true, 36, 45), distance.mean(dim=-1)
    pupils = (true[:, 36:42].mean(1) - true[:, 42:48].mean(1)).norm(dim=-1)
    unit = "divide by the distance between the outer corners of the eyes, landmarks 36 and 45, in the *truth*"
    _require_none_of(found, {
        f"you divide by the eyes of the prediction, which are themselves wrong; {unit}.":
            mean / _apart(predicted, 36, 45),
        "you divide by the eyes of the prediction, and of all faces together; take the *truth*, and `dim=-1` in "
        "`norm`.":
            mean / (predicted[:, 36] - predicted[:, 45]).norm(),
        "you divide by one length for all faces; each face has its own, so give `norm` its `dim=-1`.":
            mean / (true[:, 36] - true[:, 45]).norm(),
        "you take the mean over all faces; take it over the 68 landmarks of each face, `dim=-1`.":
            distance.mean() / eyes,
        f"you divide by the distance of the middles of the eyes (inter-pupil); {unit}.": mean / pupils,
        f"you divide by the distance between the inner corners of the eyes; {unit}.": mean / _apart(true, 39, 42),
        f"you count landmarks from 1, Python counts from 0; {unit}.": mean / _apart(true, 37, 46),
        f"your error is in pixels; {unit}.": mean,
        "your errors are 68 times too large; take the mean of the distances and not their sum.": 68 * mean / eyes,
        "your errors are 100 times too large; 8 % is 0.08.": 100 * mean / eyes,
        "you take the root of the mean of squares; take the mean of the distances themselves.":
            distance.square().mean(-1).sqrt() / eyes,
        "you take the mean of squared distances; the distance of two points is the root of dx² + dy².":
            distance.square().mean(-1) / eyes,
        "you take the mean of |dx| and |dy|; the distance of two points is the root of dx² + dy².":
            (predicted - true).abs().mean((1, 2)) / eyes,
        "you add |dx| and |dy|; the distance of two points is the root of dx² + dy².":
            (predicted - true).abs().sum(2).mean(1) / eyes,
    })
    wanted = mean_error(predicted, true)
    worst = farthest(found, wanted)
    require(
        torch.allclose(found.float(), wanted, rtol=1e-3),
        f"for face {worst} you find {found[worst]:.4f} where {wanted[worst]:.4f} is right; "
        "it is the mean of 68 distances over one distance.",
    )


# ------------------------------------------------------------------------------------------------ 02.2


def failures(errors: Tensor, limit: float) -> Tensor:
    """The share of faces whose error, of (N,), is not at most the limit; one number."""
    return 1 - (errors <= limit).float().mean()


def _test_failures(answer: Callable) -> None:
    errors = torch.tensor([0.02, 0.25, 0.06, 0.04, 0.13, 0.09, 0.03, 0.05])
    _test_share(answer(errors.clone(), 0.1), 2, errors, 0.1)
    _test_share(answer(errors.clone(), 0.055), 4, errors, 0.055)
    at_limit = torch.tensor([0.125, 0.25, 0.0625, 0.03125])
    require(
        require_number(answer(at_limit.clone(), 0.125), "a share") == 0.25,
        "an error of just the limit is no failure; only those above it are.",
    )
    lost = torch.tensor([0.02, float("nan"), 0.04, 0.3])
    require(
        require_number(answer(lost, 0.1), "a share") == 0.5,
        "an error that is no number (nan) counts as a success; nan is neither above a limit nor below it.",
    )


def _test_share(found: object, failed: int, errors: Tensor, limit: float) -> None:
    require(found is not None, "your function returns nothing; does it end in `return share`?")
    require(
        not isinstance(found, Tensor) or found.numel() == 1,
        "your function returns a value for each face; return one share for all of them.",
    )
    share, count = require_number(found, "a share"), len(errors)
    asked = f"of {count} faces {failed} are above {limit:.1%}"
    require(share != failed, f"{asked}, and you return their number; return their share.")
    require(
        share == 0.5 or abs(share - (1 - failed / count)) > 1e-6,
        f"{asked}, and you return the share of the others; count the failures.",
    )
    require(abs(share - 100 * failed / count) > 1e-4, f"{asked}; give their share between 0 and 1, not in per cent.")
    require(
        abs(share - float(errors.mean())) > 1e-6,
        f"{asked}, and you return the mean error; compare each with the limit.",
    )
    require(
        abs(share - failed / count) < 1e-6,
        f"{asked}, a share of {failed / count:g}, and you return {share:g}; compare each error with the `limit`.",
    )


# ------------------------------------------------------------------------------------------------ 02.3


def mirrored(landmarks: Tensor, width: int) -> Tensor:
    """The landmarks (B, 68, 2) of a picture of some width, after it is flipped left to right; in the usual order."""
    flipped = landmarks[:, MIRROR_ORDER].clone()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped


def _test_mirrored(answer: Callable) -> None:
    landmarks = _three_faces()
    for width in (64, 80):
        found = answer(landmarks.clone(), width)
        _require_tensor(found, (3, 68, 2), "return flipped")
        at = torch.stack([width - 1 - landmarks[..., 0], landmarks[..., 1]], dim=-1)
        order = list(MIRROR_ORDER)
        shifted = torch.tensor([1.0, 0.0])
        upside_down = torch.stack([landmarks[..., 0], width - 1 - landmarks[..., 1]], dim=-1)
        _require_none_of(found, {
            "your landmarks are where they were; flip the picture and what is at x comes to width − 1 − x.": landmarks,
            "the places are right, but landmark 36 is now on the right of the picture, and it is the outer corner of "
            "the *left* eye; put them into the order `MIRROR_ORDER`.": at,
            "you put the landmarks into a new order and leave them where they were; x changes, too.":
                landmarks[:, order],
            "your landmarks are one pixel too far to the right; the first column is 0, so the last is width − 1.":
                at[:, order] + shifted,
            "your landmarks are one pixel too far to the right, and still to be put into the order `MIRROR_ORDER`.":
                at + shifted,
            "you count the landmarks backwards; the partner of the chin is the chin, see `MIRROR_ORDER`.": at.flip(1),
            "x comes out negative; what leaves the picture on the left comes in on the right.":
                (at - torch.tensor([width - 1.0, 0.0]))[:, order],
            "you turn the picture upside down; x is the first of the two numbers.": upside_down[:, order],
            "you turn the picture upside down; x is the first of the two numbers, and then comes the order.":
                upside_down,
        })
        right = at[:, order]
        face = farthest(found, right)
        point = farthest(found[face], right[face])
        (x, y), (wanted_x, wanted_y) = found[face, point].tolist(), right[face, point].tolist()
        require(
            torch.allclose(found.float(), right, atol=1e-3),
            f"in a picture of {width} columns landmark {point} of face {face} should come to ({wanted_x:.1f}, "
            f"{wanted_y:.1f}), and with you it is at ({x:.1f}, {y:.1f}); of *all* faces x and the order change.",
        )


# ------------------------------------------------------------------------------------------------ 02.4


def dots(landmarks: Tensor, size: int) -> Tensor:
    """A map (1, 1, size, size): 1 at the pixel nearest to each of the landmarks (1, 68, 2), 0 elsewhere."""
    drawn = torch.zeros(1, 1, size, size)
    column, row = landmarks[0].round().long().unbind(-1)
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
    drawn[0, 0, row[inside], column[inside]] = 1
    return drawn


def _pixels(row: Tensor, column: Tensor, size: int) -> Tensor:
    drawn = torch.zeros(1, 1, size, size)
    drawn[0, 0, row, column] = 1
    return drawn


def _test_dots(answer: Callable) -> None:
    size = 64
    face = _three_faces()[1:2].clamp(1, size - 2)  # all of it inside
    face[:, 60:] = face[:, 48:49]  # several at one pixel
    found = answer(face.clone(), size)
    _require_tensor(found, (1, 1, size, size), "return drawn")
    require(found.any(), "your map is black; set the pixel of each landmark to 1.")
    require(((found == 0) | (found == 1)).all(), "your map holds other values than 0 and 1; several landmarks may "
            "share a pixel, and it is still 1.")
    column, row = face[0].round().long().unbind(-1)
    cut_column, cut_row = face[0].long().unbind(-1)
    _require_none_of(found, {
        "your face lies on its side; a landmark is x, y, and a pixel is [row, column], that is [y, x].":
            _pixels(column, row, size),
        "your landmarks are up to a pixel too far to the upper left; `long()` cuts off what is behind the point, so "
        "round first.": _pixels(cut_row, cut_column, size),
        "you cut off what is behind the point, and your face lies on its side; round first, and mind the order of "
        "rows and columns.": _pixels(cut_column, cut_row, size),
        "your map is 0 at the landmarks and 1 elsewhere; it should be the other way round.": 1 - dots(face, size),
    })
    wrong = int((found != dots(face, size)).sum())
    require(wrong == 0, f"{wrong} pixels of your map are wrong; the pixel of a landmark is at [round(y), round(x)].")
    _test_outside(answer, face, size)


def _test_outside(answer: Callable, face: Tensor, size: int) -> None:
    """Landmarks beyond each edge draw nothing."""
    far = face.clone()
    far[:, :4] = torch.tensor([[-5.0, 20.0], [30.0, -9.0], [size + 3.0, 20.0], [30.0, size + 0.0]])
    try:
        found = answer(far.clone(), size)
    except (IndexError, RuntimeError):
        found = None
    require(found is not None, "a landmark outside of the picture stops your function; it should draw nothing.")
    column, row = far[0].round().long().unbind(-1)
    _require_none_of(found, {
        "a landmark outside of the picture is drawn on its edge; it should draw nothing.":
            _pixels(row.clamp(0, size - 1), column.clamp(0, size - 1), size),
        "a landmark left of the picture appears at its right; a negative index counts from the end.":
            _pixels(row % size, column % size, size),
    })
    require(
        torch.equal(found, dots(far, size)),
        "with landmarks outside of the picture your map is not the same as without them; the others stay as they are.",
    )


EXERCISES = {
    "02.1": (
        (
            "The distance of two points is the root of dx² + dy². <code>(predicted - true).norm(dim=-1)</code> gives "
            "it for all landmarks of all faces at once: (B, 68).",
            "One distance is in the truth: <code>(true[:, 36] - true[:, 45]).norm(dim=-1)</code>, (B,). The mean is "
            "taken over the 68 landmarks, <code>dim=-1</code>, and not over the faces.",
        ),
        mean_error, _test_mean_error,
    ),
    "02.2": (
        (
            "A face fails or it does not. How do you count the True of a tensor of True and False, and what is their "
            "share?",
            "<code>errors &gt; limit</code> is such a tensor. The share of True is the mean of it as numbers, "
            "<code>.float().mean()</code>.",
            "Every comparison with <code>nan</code> is False. So ask who succeeds, <code>errors &lt;= limit</code>: "
            "all others have failed.",
        ),
        failures, _test_failures,
    ),
    "02.3": (
        (
            "The first column is x = 0 and the last is x = width − 1. They change places.",
            "<code>landmarks[:, MIRROR_ORDER]</code> puts the landmarks into the order of their partners: at place 36 "
            "stands what was landmark 45.",
        ),
        mirrored, _test_mirrored,
    ),
    "02.4": (
        (
            "Round first, to the nearest pixel. Then: which of the two numbers of a landmark is the row? And which "
            "rows and columns does the map have?",
            "<code>column, row = landmarks[0].round().long().unbind(-1)</code>, and then "
            "<code>drawn[0, 0, row, column] = 1</code> sets them all at once.",
            "<code>(row &gt;= 0) &amp; (row &lt; size)</code> says which rows are inside. "
            "<code>row[inside]</code> leaves the others out.",
        ),
        dots, _test_dots,
    ),
}
