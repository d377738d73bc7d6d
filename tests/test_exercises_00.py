"""Chapter 00: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import torch
from exercise_checks import exercise_tests
from torch.nn import functional as F

from faceinpaint.course.exercises import chapter_00

DISTANCE, EYES = chapter_00.face_distance, chapter_00.over_the_eyes


def rectangle(before=4, after=4, end=1, first=0, clamp=True):
    """An answer to 00.3 with a mistake. first: the axis of a point that is taken for the column."""
    def answer(points, height, width):
        low, high = points.amin(0).int() - before, points.amax(0).int() + after
        low = low.clamp(min=0) if clamp else low
        mask = torch.zeros(1, 1, height, width)
        mask[..., low[1 - first] : high[1 - first] + end, low[first] : high[first] + end] = 1
        return mask
    return answer


def dots(points, height, width):
    mask = torch.zeros(1, 1, height, width)
    mask[..., points[:, 1].long(), points[:, 0].long()] = 1
    return mask


WRONG = [
    ("00.1", lambda p, i, m: None, "returns nothing"),
    ("00.1", lambda p, i, m: p, "painted picture, everywhere"),
    ("00.1", lambda p, i, m: i, "the image as it was"),
    ("00.1", lambda p, i, m: torch.where(m > 0, i, p), "the other way round"),
    ("00.1", lambda p, i, m: p + i, "are added"),
    ("00.1", lambda p, i, m: 0.9 * p * m + i * (1 - m), "pixels of the hole"),
    ("00.1", lambda p, i, m: p * m + 0.99 * i * (1 - m), "bit for bit"),
    ("00.1", lambda p, i, m: p * m + i * (1 - m), "Choose, do not multiply"),
    ("00.2", lambda a, b: torch.zeros(len(a)), "0 for all pairs"),  # what the notebook begins with
    ("00.2", lambda a, b: None, "returns nothing"),
    ("00.2", lambda a, b: DISTANCE(a, b).tolist(), "returns a list"),
    ("00.2", lambda a, b: DISTANCE(a, b).mean(), r"shape \(\)"),
    ("00.2", lambda a, b: F.cosine_similarity(a, b), "1 minus it"),
    ("00.2", lambda a, b: F.cosine_similarity(a, b) - 1, "minus the cosine"),
    ("00.2", lambda a, b: 1 - F.cosine_similarity(a, b, dim=0), "sum over the faces"),
    ("00.2", lambda a, b: 1 - (a * b).sum(1), "lengths of .both"),
    ("00.2", lambda a, b: (a * b).sum(1), "divide it by their lengths"),
    ("00.2", lambda a, b: 1 - F.normalize(a) @ F.normalize(b).T, "every face with every other"),
    ("00.2", lambda a, b: 1 - (a * b).sum(1) / (a.norm() * b.norm()), "whole batch"),
    ("00.2", lambda a, b: 1 - (F.normalize(a) * b).sum(1), "one of the two"),
    ("00.2", lambda a, b: 1 - (a * F.normalize(b)).sum(1), "one of the two"),
    ("00.2", lambda a, b: 1 - (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)), "squares of the lengths"),
    ("00.2", lambda a, b: (a - b).norm(dim=1), "the angle counts"),
    ("00.2", lambda a, b: (F.normalize(a) - F.normalize(b)).norm(dim=1), "halved"),
    ("00.2", lambda a, b: (F.normalize(a) - F.normalize(b)).square().sum(1), "twice"),
    ("00.2", lambda a, b: F.cosine_similarity(a, b).acos(), "the angle itself"),
    ("00.2", lambda a, b: 0.9 * DISTANCE(a, b), "for pair"),
    ("00.3", lambda p, h, w: torch.zeros(1, 1, h, w), "hides nothing yet"),  # what the notebook begins with
    ("00.3", lambda p, h, w: None, "returns nothing"),
    ("00.3", lambda p, h, w: EYES(p, h, w).numpy(), "returns an ndarray"),
    ("00.3", lambda p, h, w: EYES(p, w, h), "on its side"),
    ("00.3", lambda p, h, w: 255 * EYES(p, h, w), "other values"),
    ("00.3", lambda p, h, w: 1 - EYES(p, h, w), "all but the eyes"),
    ("00.3", rectangle(first=1), "x, then y"),
    ("00.3", rectangle(0, 0), "4 pixels more on every side"),
    ("00.3", rectangle(end=0), "one row and one column too small"),
    ("00.3", rectangle(0, 0, end=0), "leaves out even those"),
    ("00.3", rectangle(before=0), "on the right and at the bottom alone"),
    ("00.3", rectangle(after=0), "on the left and at the top alone"),
    ("00.3", dots, "the points and no more"),
    ("00.3", lambda p, h, w: EYES(p, h, w).amax(3, True).expand(-1, -1, -1, w), "whole rows"),
    ("00.3", rectangle(5, 5), "not what they are to be"),
    ("00.3", rectangle(clamp=False), "a negative index"),
]

test_wrong_answers, test_enough_of_them = exercise_tests(chapter_00.EXERCISES, WRONG, times=8)
