"""Exercises of chapter 02: landmarks and their errors."""

from __future__ import annotations

from functools import lru_cache, partial

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise, exactly, near, require_like, require_mask
from faceinpaint.faces import synthetic
from faceinpaint.landmarks import MIRROR_ORDER


@lru_cache(maxsize=1)
def _three_faces() -> Tensor:
    """Landmarks (3, 68, 2) of rendered people who look to the left, ahead and to the right, in 64 pixels."""
    return synthetic.render(synthetic.identities([3, 4, 5]), synthetic.poses([3, 4, 5]), 64, supersample=1).landmarks


# ------------------------------------------------------------------------------------------------ 02.1


def mean_error(predicted: Tensor, true: Tensor) -> Tensor:
    """The normalised mean error of landmarks (B, 68, 2), one for each face: (B,)."""
    distance = (predicted - true).norm(dim=-1)  # (B, 68)
    inter_ocular = (true[:, 36] - true[:, 45]).norm(dim=-1)  # (B,)
    return distance.mean(dim=-1) / inter_ocular


def _error_over(unit: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """The mean distance of each face over another unit than it should be."""
    return (predicted - true).norm(dim=-1).mean(dim=-1) / unit


def _predictions() -> dict[str, tuple]:
    true = _three_faces() * torch.tensor([1.0, 2.0, 0.5]).view(3, 1, 1)  # faces of three sizes
    predicted = true + 0.6 * torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    predicted[:, 36] -= torch.tensor([2.0, 1.0])  # so that the prediction has other eyes than the truth
    return {"three faces": (predicted, true)}


MEAN_ERROR = Exercise(
    hints=(
        "The distance of two points is the root of dx² + dy². <code>(predicted - true).norm(dim=-1)</code> gives "
        "it for all landmarks of all faces at once: (B, 68).",
        "One distance is in the truth: <code>(true[:, 36] - true[:, 45]).norm(dim=-1)</code>, (B,). The mean is "
        "taken over the 68 landmarks, <code>dim=-1</code>, and not over the faces.",
    ),
    solved_by=mean_error,
    what="an error for each of three faces",
    cases=_predictions,
    mistakes={
        "your error is in pixels; divide by the distance of the outer corners of the eyes, landmarks 36 and 45.":
            partial(_error_over, torch.ones(3)),
        "you divide by the eyes of the prediction, which are themselves wrong; take those of the *truth*.":
            lambda predicted, true: _error_over((predicted[:, 36] - predicted[:, 45]).norm(dim=-1), predicted, true),
        "you divide by one length for all faces; each face has its own, so give `norm` its `dim=-1`.":
            lambda predicted, true: _error_over((true[:, 36] - true[:, 45]).norm(), predicted, true),
        "you count landmarks from 1, Python counts from 0; the outer corners of the eyes are 36 and 45.":
            lambda predicted, true: _error_over((true[:, 37] - true[:, 46]).norm(dim=-1), predicted, true),
        "you return one number for all faces; return one for each face.":
            lambda predicted, true: mean_error(predicted, true).mean(),
        "you add |dx| and |dy|; the distance of two points is the root of dx² + dy².":
            lambda predicted, true: mean_error(predicted, true)
            * (predicted - true).abs().sum((1, 2)) / (predicted - true).norm(dim=-1).sum(-1),
    },
)

# ------------------------------------------------------------------------------------------------ 02.2


def failures(errors: Tensor, limit: float) -> Tensor:
    """The share of faces whose error, of (N,), is not at most the limit; one number."""
    return 1 - (errors <= limit).float().mean()


def _errors() -> dict[str, tuple]:
    eight = [0.02, 0.25, 0.06, 0.04, 0.13, 0.09, 0.03, 0.05]
    tries = ((eight, 0.1), (eight, 0.055), ([0.125, 0.25, 0.0625, 0.03125], 0.125), ([0.02, torch.nan, 0.04, 0.3], 0.1))
    return {f"errors {errors} and the limit {limit}": (torch.tensor(errors), limit) for errors, limit in tries}


FAILURES = Exercise(
    hints=(
        "A face fails or it does not. How do you count the True of a tensor of True and False, and what is their "
        "share?",
        "<code>errors &gt; limit</code> is such a tensor. The share of True is the mean of it as numbers, "
        "<code>.float().mean()</code>.",
        "Every comparison with <code>nan</code> is False. So ask who succeeds, <code>errors &lt;= limit</code>: "
        "all others have failed.",
    ),
    solved_by=failures,
    what="a share",
    cases=_errors,
    mistakes={
        "you return the number of failures; return their share.":
            lambda errors, limit: (errors > limit).sum(),
        "you return the share of the others; count the failures.":
            lambda errors, limit: (errors <= limit).float().mean(),
        "you return the share in per cent; it is to be between 0 and 1.":
            lambda errors, limit: 100 * (errors > limit).float().mean(),
        "an error of just the limit is no failure; only those above it are.":
            lambda errors, limit: (errors >= limit).float().mean(),
        "an error that is no number (nan) counts as a success; nan is neither above a limit nor below it.":
            lambda errors, limit: (errors > limit).float().mean(),
    },
    like=lambda found, right, what: require_like(found, 0.5, what),
)

# ------------------------------------------------------------------------------------------------ 02.3


def mirrored(landmarks: Tensor, width: int) -> Tensor:
    """The landmarks (B, 68, 2) of a picture of some width, after it is flipped left to right; in the usual order."""
    flipped = landmarks[:, MIRROR_ORDER].clone()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped


def _places(landmarks: Tensor, width: int) -> Tensor:
    """Where the landmarks come to, in the old order."""
    return torch.stack([width - 1 - landmarks[..., 0], landmarks[..., 1]], dim=-1)


MIRRORED = Exercise(
    hints=(
        "The first column is x = 0 and the last is x = width − 1. They change places.",
        "<code>landmarks[:, MIRROR_ORDER]</code> puts the landmarks into the order of their partners: at place 36 "
        "stands what was landmark 45.",
    ),
    solved_by=mirrored,
    what="the result for three faces",
    cases=lambda: {f"a picture of {width} columns": (_three_faces(), width) for width in (64, 80)},
    mistakes={
        "your landmarks are where they were; flip the picture and what is at x comes to width − 1 − x.":
            lambda landmarks, width: landmarks,
        "the places are right, but landmark 36 is now on the right of the picture, and it is the outer corner of "
        "the *left* eye; put them into the order `MIRROR_ORDER`.":
            _places,
        "you put the landmarks into a new order and leave them where they were; x changes, too.":
            lambda landmarks, width: landmarks[:, MIRROR_ORDER],
        "your landmarks are one pixel too far to the right; the first column is 0, so the last is width − 1.":
            lambda landmarks, width: mirrored(landmarks, width + 1),
        "you count the landmarks backwards; the partner of the chin is the chin, see `MIRROR_ORDER`.":
            lambda landmarks, width: _places(landmarks, width).flip(1),
    },
    same=partial(near, atol=1e-3),
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


def _rounded(landmarks: Tensor) -> tuple[Tensor, Tensor]:
    column, row = landmarks[0].round().long().unbind(-1)
    return row, column


def _faces_inside_and_outside() -> dict[str, tuple]:
    face = _three_faces()[1:2].clamp(1, 62)
    face[:, 60:] = face[:, 48:49]  # several at one pixel
    before, beyond = face.clone(), face.clone()
    before[:, :2] = torch.tensor([[-5.0, 20.0], [30.0, -9.0]])
    beyond[:, :2] = torch.tensor([[67.0, 20.0], [30.0, 64.0]])
    return {
        "a face inside the picture": (face, 64),
        "landmarks left of the picture and above it": (before, 64),
        "landmarks right of the picture and below it": (beyond, 64),
    }


DOTS = Exercise(
    hints=(
        "Round first, to the nearest pixel. Then: which of the two numbers of a landmark is the row? And which "
        "rows and columns does the map have?",
        "<code>column, row = landmarks[0].round().long().unbind(-1)</code>, and then "
        "<code>drawn[0, 0, row, column] = 1</code> sets them all at once.",
        "<code>(row &gt;= 0) &amp; (row &lt; size)</code> says which rows are inside. "
        "<code>row[inside]</code> leaves the others out.",
    ),
    solved_by=dots,
    what="the map of 64 pixels",
    cases=_faces_inside_and_outside,
    mistakes={
        "your face lies on its side; a landmark is x, y, and a pixel is [row, column], that is [y, x].":
            lambda landmarks, size: dots(landmarks.flip(-1), size),
        "your landmarks are up to a pixel too far to the upper left; `long()` cuts off what is behind the point, so "
        "round first.":
            lambda landmarks, size: dots(landmarks.floor(), size),
        "your map is 0 at the landmarks and 1 elsewhere; it should be the other way round.":
            lambda landmarks, size: 1 - dots(landmarks, size),
        "a landmark outside of the picture is drawn on its edge; it should draw nothing.":
            lambda landmarks, size: dots(landmarks.clamp(0, size - 1), size),
        "a landmark left of the picture appears at its right; a negative index counts from the end.":
            lambda landmarks, size: _pixels(*_rounded(landmarks), size),
    },
    like=require_mask,
    same=exactly,
)

EXERCISES = {"02.1": MEAN_ERROR, "02.2": FAILURES, "02.3": MIRRORED, "02.4": DOTS}
