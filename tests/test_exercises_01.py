"""Chapter 01: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import torch
from exercise_checks import exercise_tests

from faceinpaint import masks
from faceinpaint.course.exercises import chapter_01


def filled(height, width, rows=slice(None), columns=slice(None)):
    mask = torch.zeros(1, 1, height, width)
    mask[..., rows, columns] = 1
    return mask


def hole(ratio, size, generator, room=0):
    """A square of `ratio` whose corner may lie so far that `room` more pixels of it are outside."""
    side = round(size * ratio**0.5)
    top, left = torch.randint(0, size - side + 1 + room, (2,), generator=generator).tolist()
    return filled(size, size, slice(top, top + side), slice(left, left + side))


def oblong(ratio, size, generator):
    height = round(size * ratio)
    top = int(torch.randint(0, size - height + 1, (1,), generator=generator))
    return filled(size, size, slice(top, top + height))


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("01.1", lambda h, w: filled(h, w)[0, 0], r"shape \(64, 64\); for 64 rows and 64 columns it is \(1, 1, 64, 64\)"),
    ("01.1", lambda h, w: filled(h, w, columns=slice(w // 2)), "covers the left half; cut the rows"),
    ("01.1", lambda h, w: filled(h, w, columns=slice(w // 2, w)), "covers the right half; look at the order of the"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2)), "covers the upper half; cut the columns"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2), slice(w // 2, w)), "upper-right quarter; look at the order"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2, h), slice(w // 2)), "lower-left quarter; rows are counted from"),
    ("01.1", lambda h, w: filled(h, w), "whole picture; leave three quarters"),
    ("01.1", lambda h, w: 1 - chapter_01.upper_left(h, w), "all but the upper-left quarter; 1 is unknown"),
    ("01.1", lambda h, w: 255 * chapter_01.upper_left(h, w), "other values than 0 and 1"),
    ("01.1", lambda h, w: chapter_01.upper_left(w, h), "lies on its side"),
    ("01.1", lambda h, w: filled(h, w, slice(w // 2), slice(h // 2)), "48 rows and 80 columns .* in this order"),
    ("01.1", lambda h, w: chapter_01.upper_left(64, 64), r"shape \(1, 1, 64, 64\); for 48 rows"),
    ("01.1", lambda h, w: None, "returns nothing"),
    ("01.1", lambda h, w: chapter_01.upper_left(h, w).numpy(), "returns an ndarray; a mask is a tensor"),
    ("01.1", lambda h, w: filled(h, w, slice(h / 2)), "stops with TypeError.*in the line `mask"),
    ("01.2", lambda r, s, g: filled(s, s, slice(int(r * s)), slice(int(r * s))), "6% where 25%.*area of 0.25 × 0.25"),
    ("01.2", lambda r, s, g: 1 - hole(r, s, g), "hides 75% where 25% are asked for, all the rest"),
    ("01.2", lambda r, s, g: hole(r, s, g, room=12), "run over the edge"),
    ("01.2", lambda r, s, g: hole(r, s, None), "same seed gives you different masks"),
    ("01.2", lambda r, s, g: hole(r, s, torch.Generator().manual_seed(0)), "always at the same place"),
    ("01.2", oblong, "no square"),
    ("01.2", lambda r, s, g: masks.irregular(1, s, g, (r - 0.01, r + 0.01)), "no square"),
    ("01.2", lambda r, s, g: hole(0.25, s, g), "hides 25% where 4%"),
    ("01.3", lambda m, p: masks.face_region(p, 64), "is the whole face"),
    ("01.3", lambda m, p: torch.maximum(m, masks.face_region(p, 64)), "and, not or"),
    ("01.3", lambda m, p: m * (1 - masks.face_region(p, 64)), "the other way round"),
    ("01.3", lambda m, p: m + masks.face_region(p, 64), "other values than 0 and 1"),
    ("01.3", lambda m, p: m * masks.face_mask(p, 64), "leaves out pixels|pixels outside the face"),
    ("01.3", lambda m, p: torch.zeros_like(m), "hides nothing"),
    ("01.3", lambda m, p: masks.cut_to_face(m, p)[..., :32], r"shape \(1, 1, 64, 32\)"),
]

test_wrong_answers, test_enough_of_them = exercise_tests(chapter_01.EXERCISES, WRONG, times=7)
