"""Chapter 02: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import torch
from exercise_checks import exercise_tests

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_02
from faceinpaint.landmarks import MIRROR_ORDER, failure_rate, landmark_map, mirror_landmarks, normalised_mean_error


def over_eyes(left=36, right=45, of="true", total=False, by=1.0):
    """An answer to exercise 02.1 with another unit."""
    def answer(predicted, true):
        eyes = {"true": true, "predicted": predicted}[of]
        distance = (predicted - true).norm(dim=-1)
        error = distance.sum(-1) if total else distance.mean(-1)
        return by * error / (eyes[:, left] - eyes[:, right]).norm(dim=-1)
    return answer


def over_pupils(predicted, true):
    return (predicted - true).norm(dim=-1).mean(-1) / (true[:, 36:42].mean(1) - true[:, 42:48].mean(1)).norm(dim=-1)


def eyes(true):
    return (true[:, 36] - true[:, 45]).norm(dim=-1)


def flipped(landmarks, width):
    """The places of the mirrored landmarks, in the old order."""
    return torch.stack([width - 1 - landmarks[..., 0], landmarks[..., 1]], dim=-1)


def first_face_only(landmarks, width):
    flipped = landmarks[:, list(MIRROR_ORDER)]
    flipped[0, :, 0] = width - 1 - flipped[0, :, 0]
    return flipped


def dotted(landmarks, size, cut=False, swap=False, outside="skip", value=None):
    """An answer to exercise 02.4 with a mistake."""
    drawn = torch.zeros(1, 1, size, size)
    for point in landmarks[0].tolist():
        x, y = (int(v) if cut else round(v) for v in point)
        if swap:
            x, y = y, x
        if outside == "skip" and not (0 <= x < size and 0 <= y < size):
            continue
        if outside == "clamp":
            x, y = (min(max(v, 0), size - 1) for v in (x, y))
        if outside == "wrap":
            x, y = x % size, y % size
        drawn[0, 0, y, x] = 1 if value is None else drawn[0, 0, y, x] + value
    return drawn


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("02.1", over_eyes(of="predicted"), "by the eyes of the prediction"),
    ("02.1", lambda p, t: (p - t).norm(dim=-1).mean(1) / (p[:, 36] - p[:, 45]).norm(), "and of all faces together"),
    ("02.1", lambda p, t: (p - t).norm(dim=-1).mean(1) / (t[:, 36] - t[:, 45]).norm(), "one length for all faces"),
    ("02.1", lambda p, t: (p - t).norm(dim=-1).mean() / eyes(t), "the mean over all faces"),
    ("02.1", over_pupils, "middles of the eyes"),
    ("02.1", over_eyes(39, 42), "inner corners"),
    ("02.1", over_eyes(37, 46), "Python counts from 0"),
    ("02.1", over_eyes(total=True), "68 times too large"),
    ("02.1", over_eyes(by=100), "100 times too large"),
    ("02.1", lambda p, t: (p - t).norm(dim=-1).mean(-1), "in pixels"),
    ("02.1", lambda p, t: (p - t).norm(dim=-1) / eyes(t)[:, None], "error for each landmark"),
    ("02.1", lambda p, t: over_eyes()(p, t).mean(), "one number for all faces"),
    ("02.1", lambda p, t: over_eyes()(p, t).mean().item(), "one number for all faces"),
    ("02.1", lambda p, t: (p - t).abs().mean(1) / eyes(t)[:, None], "x and y apart"),
    ("02.1", lambda p, t: (p - t).square().sum(-1).mean(-1).sqrt() / eyes(t), "root of the mean of squares"),
    ("02.1", lambda p, t: (p - t).square().sum(-1).mean(-1) / eyes(t), "mean of squared distances"),
    ("02.1", lambda p, t: (p - t).abs().mean((1, 2)) / eyes(t), r"mean of \|dx\| and \|dy\|"),
    ("02.1", lambda p, t: (p - t).abs().sum(2).mean(1) / eyes(t), r"you add \|dx\| and \|dy\|"),
    ("02.1", lambda p, t: 2 * over_eyes()(p.double(), t), "for face . you find"),
    ("02.1", over_eyes(0, 16), "for face . you find"),
    ("02.1", lambda p, t: None, "returns nothing"),
    ("02.1", lambda p, t: over_eyes()(p, t).numpy(), "returns an ndarray"),
    ("02.1", lambda p, t: torch.cdist(p, t), "shape"),
    ("02.2", lambda e, limit: (e <= limit).float().mean(), "share of the others"),
    ("02.2", lambda e, limit: (e > limit).sum(), "return their number"),
    ("02.2", lambda e, limit: 100 * (e > limit).float().mean(), "not in per cent"),
    ("02.2", lambda e, limit: e.mean(), "return the mean error"),
    ("02.2", lambda e, limit: float(e.mean() > limit), "a share of 0.25, and you return 0"),
    ("02.2", lambda e, limit: (e > 0.1).float().mean(), "a share of 0.5, and you return 0.25.*the `limit`"),
    ("02.2", lambda e, limit: (e >= limit).float().mean(), "just the limit is no failure"),
    ("02.2", lambda e, limit: (e > limit).float().mean(), "no number"),
    ("02.2", lambda e, limit: e > limit, "a value for each face"),
    ("02.2", lambda e, limit: None, "returns nothing"),
    ("02.3", lambda p, w: flipped(p, w), "outer corner of the \\*left\\* eye"),
    ("02.3", lambda p, w: p[:, list(MIRROR_ORDER)], "leave them where they were"),
    ("02.3", lambda p, w: flipped(p, w + 1)[:, list(MIRROR_ORDER)], "too far to the right; the first column"),
    ("02.3", lambda p, w: flipped(p, w + 1), "too far to the right, and still"),
    ("02.3", lambda p, w: flipped(p, w).flip(1), "the chin is the chin"),
    ("02.3", lambda p, w: flipped(p, 1)[:, list(MIRROR_ORDER)], "x comes out negative"),
    ("02.3", lambda p, w: flipped(p.flip(-1), w).flip(-1), "upside down; x is the first of the two numbers, and"),
    ("02.3", lambda p, w: flipped(p.flip(-1), w).flip(-1)[:, list(MIRROR_ORDER)], "upside down"),
    ("02.3", lambda p, w: flipped(p, 64)[:, list(MIRROR_ORDER)], "picture of 80 columns landmark .* should come to"),
    ("02.3", first_face_only, r"of face [12] should come to"),
    ("02.3", lambda p, w: mirror_landmarks(p, w)[0], r"shape \(68, 2\); it should be \(3, 68, 2\)"),
    ("02.4", lambda p, s: dotted(p, s, swap=True), "lies on its side; a landmark is x, y"),
    ("02.4", lambda p, s: dotted(p, s, cut=True), "up to a pixel too far"),
    ("02.4", lambda p, s: dotted(p, s, cut=True, swap=True), "and your face lies on its side"),
    ("02.4", lambda p, s: 1 - dotted(p, s), "the other way round"),
    ("02.4", lambda p, s: dotted(p, s, value=1), "other values than 0 and 1"),
    ("02.4", lambda p, s: dotted(p, s, outside="clamp"), "drawn on its edge"),
    ("02.4", lambda p, s: dotted(p, s, outside="wrap"), "appears at its right"),
    ("02.4", lambda p, s: dotted(p, s, outside="fail"), "stops your function"),
    ("02.4", lambda p, s: dotted(p[:, :48], s), "pixels of your map are wrong"),
    ("02.4", landmark_map, "other values than 0 and 1"),
    ("02.4", lambda p, s: dotted(p, s)[0], r"shape \(1, 64, 64\)"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_02.EXERCISES, WRONG, times=2)


def test_what_the_package_computes_passes_too():
    assert exercises.get("02.1").check(normalised_mean_error).passed
    assert exercises.get("02.2").check(failure_rate).passed
    assert exercises.get("02.3").check(mirror_landmarks).passed


def test_an_answer_that_works_for_a_single_face_at_a_time_passes():
    def one_by_one(predicted, true):
        faces = [over_eyes()(predicted[n : n + 1], true[n : n + 1]) for n in range(len(true))]
        return torch.cat(faces)
    assert exercises.get("02.1").check(one_by_one).passed
    assert exercises.get("02.4").check(dotted).passed
