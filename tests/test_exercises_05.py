"""Chapter 05: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from exercise_checks import exercise_tests

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_05
from faceinpaint.training.machine import share_of_rate
from faceinpaint.training.presets import Training


def in_place(average, weights, decay):
    return weights.mul_(1 - decay).add_(decay * average)


def cosine(along):
    return 0.5 * (1 + math.cos(math.pi * along))


def falling(shape):
    """An answer to 05.2 that rises as it should, up to one step before the highest rate, and then falls by a shape."""
    return lambda s, n, r, h: h * s / r if s < r else h * shape((s - r) / (n - r))


def risen(after):
    """The right rise, then something else."""
    return lambda s, n, r, h: h * s / r if s <= r else after(s, n, r, h)


def leaking(loss_of, batches):
    return sum(loss_of(number) for number in range(batches)).item() / batches


def detached(loss_of, batches):
    return sum(loss_of(number).detach() for number in range(batches)) / batches


def listed(loss_of, batches):
    return torch.stack([loss_of(number) for number in range(batches)]).mean().item()


def hanging(loss_of, batches):
    return [loss_of(number) for number in range(batches)][0] * 0 + 1.5


def only_one(loss_of, batches):
    return loss_of(0).item()


def summed(loss_of, batches):
    return sum(loss_of(number).item() for number in range(batches))


def last(loss_of, batches):
    return [loss_of(number).item() for number in range(batches)][-1]


P = chapter_05.positions
WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("05.1", lambda a, w, d: a, "the old average, unchanged"),
    ("05.1", lambda a, w, d: w, "keep most of the old average"),
    ("05.1", lambda a, w, d: (a + w) / 2, "whatever the decay"),
    ("05.1", lambda a, w, d: (1 - d) * a + d * w, "decay is what the old average keeps"),
    ("05.1", lambda a, w, d: d * a + w, "two shares add up to 1"),
    ("05.1", lambda a, w, d: a + (1 - d) * w, "keeps `decay` of itself"),
    ("05.1", lambda a, w, d: d * a + 1 - d * w, "needs its brackets"),
    ("05.1", lambda a, w, d: d * a - (1 - d) * w, "difference of the two shares"),
    ("05.1", lambda a, w, d: a + d * (a - w), "moves away from the weights"),
    ("05.1", lambda a, w, d: 0.998 * a + 0.002 * w, "decay of 0.998"),
    ("05.1", in_place, "changes the weights that are being trained"),
    ("05.1", lambda a, w, d: None, "returns nothing"),
    ("05.1", lambda a, w, d: 1.0, "returns a float"),
    ("05.1", lambda a, w, d: (d * a + (1 - d) * w).sum(), r"shape \(\)"),
    ("05.1", lambda a, w, d: -a, "make 1.2, and not -1"),
    ("05.2", lambda s, n, r, h: h, "at step 0 of 1000.*highest already"),
    ("05.2", lambda s, n, r, h: h * cosine(s / n), "highest already; it is to rise first"),
    ("05.2", lambda s, n, r, h: None, "returns nothing"),
    ("05.2", lambda s, n, r, h: "fast", "returns a str"),
    ("05.2", lambda s, n, r, h: math.nan, "your rate is nan"),
    ("05.2", lambda s, n, r, h: h * (s / r) ** 2, "straight rise it is"),
    ("05.2", lambda s, n, r, h: h * min(1, (s + 1) / r), "one step early"),
    ("05.2", lambda s, n, r, h: h * (s // r), "`//` rounds down"),
    ("05.2", falling(lambda along: 2 * cosine(along)), "twice the highest"),
    ("05.2", falling(lambda along: 1 - cosine(along)), "fall begins at 0"),
    ("05.2", falling(lambda along: cosine(180 / math.pi * along)), "radians"),
    ("05.2", falling(lambda along: cosine(2 * along)), "a whole wave"),
    ("05.2", risen(lambda s, n, r, h: h), "still the highest after the rise; it is to fall"),
    ("05.2", risen(lambda s, n, r, h: h * (n - s) / (n - r)), "falls along a straight line"),
    ("05.2", risen(lambda s, n, r, h: h * cosine(s / n)), "begin to count where the rise ends"),
    ("05.2", risen(lambda s, n, r, h: h * math.cos(math.pi / 2 * (s - r) / (n - r))), "quarter of a wave"),
    ("05.2", risen(lambda s, n, r, h: h * math.cos(math.pi * (s - r) / (n - r))), "from 1 to -1, a rate to 0"),
    ("05.2", risen(lambda s, n, r, h: 2 * h), "more than the highest"),
    ("05.2", risen(lambda s, n, r, h: h * cosine((s - r) / n)), "not come to 0 at the last step"),
    ("05.2", risen(lambda s, n, r, h: h * cosine((s - r) / (n - r)) ** 2), "it is to be"),
    ("05.3", lambda s, b, r, n: [], "sees 0 positions at step 0; its batch is 4"),
    ("05.3", lambda s, b, r, n: None, "returns nothing"),
    ("05.3", lambda s, b, r, n: s * b, "returns an int"),
    ("05.3", lambda s, b, r, n: range(b), "was seen before"),
    ("05.3", lambda s, b, r, n: range(s * b, s * b + b), "the rank has to count"),
    ("05.3", lambda s, b, r, n: range(s * b * n + r, s * b * n + r + b), "a whole batch further on"),
    ("05.3", lambda s, b, r, n: P(s, b, 0, n), "seen by two processes"),
    ("05.3", lambda s, b, r, n: range((s + r) * b, (s + r + 1) * b), "seen at step 1 and was seen before"),
    ("05.3", lambda s, b, r, n: range((r * 9 + s) * b, (r * 9 + s + 1) * b), "together they are to be 0 to 7"),
    ("05.3", lambda s, b, r, n: range(s * b * n + r, (s + 1) * b * n, n), "share them out otherwise"),
    ("05.4", leaking, "the graphs of 5 earlier ones"),
    ("05.4", listed, "what do you add up"),
    ("05.4", hanging, "still hangs on the graph"),
    ("05.4", only_one, r"asked for the batches \[0\]"),
    ("05.4", summed, "divide by their number"),
    ("05.4", last, "the mean of these losses is 1.5"),
    ("05.4", lambda f, n: [f(i).item() for i in range(n)] and None, "returns nothing"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_05.EXERCISES, WRONG, times=2)


@pytest.mark.parametrize("number, answer", [
    ("05.1", lambda a, w, d: torch.lerp(w, a, d)),
    ("05.1", lambda a, w, d: a.mul_(d).add_(w, alpha=1 - d)),  # the average itself may change
    ("05.3", lambda s, b, r, n: torch.arange(b) + b * (s * n + r)),
    ("05.4", detached),
])
def test_other_ways_to_be_right_pass(number, answer):
    verdict = exercises.get(number).check(answer)
    assert verdict.passed, verdict


def test_the_rate_of_the_package_falls_along_a_cosine_too():
    """Its rise is laid over the cosine and it ends at 2 %; the exercise is the textbook's."""
    settings = Training(steps=1000)
    assert share_of_rate(settings, 500) == pytest.approx(0.51 + 0.49 * 0, abs=1e-9)
    assert share_of_rate(settings, 1000) == pytest.approx(0.02)
    assert chapter_05.rate(550, 1000, 100, 1.0) == pytest.approx(0.5)
