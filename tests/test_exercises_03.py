"""Chapter 03: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from exercise_checks import exercise_tests
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_03
from faceinpaint.course.inspection import receptive_field


def field(widen, begin=1):
    """An answer to 03.1 that adds widen(kernel, stride, dilation, strides of the layers before) for each layer."""
    def answer(layers):
        strides = [stride for _, stride, _ in layers]
        return begin + sum(widen(*layer, strides[:place]) for place, layer in enumerate(layers))
    return answer


def backwards(one, order=1):
    """An answer to 03.1 that takes one(side, kernel, stride, dilation), a rule for the way back, forwards or back."""
    def answer(layers):
        side = 1
        for layer in layers[::order]:
            side = one(side, *layer)
        return side
    return answer


def chain(one):
    """An answer to 03.2 that goes from layer to layer by one(side, kernel, stride, padding)."""
    def answer(side, layers):
        for layer in layers:
            side = one(side, *layer)
        return side
    return answer


def alone(place):
    """An answer to 03.2 that looks at one layer only."""
    return lambda side, layers: chapter_03.side_after(side, [layers[place]])


def attend(scale=0.5, mask="known", low=-1e4, dim=-1, of="value"):
    """An answer to 03.3, right or with a mistake."""
    def answer(query, key, value, known):
        scores = query @ key.mT / query.shape[-1] ** scale
        allowed = {"known": known > 0, "all": known >= 0, "unknown": known <= 0, "whole": known >= 1}[mask]
        scores = scores.masked_fill(~allowed, low)
        return scores.softmax(dim=dim) @ {"value": value, "key": key}[of]
    return answer


def scores_of(query, key):
    return query @ key.mT / query.shape[-1] ** 0.5


def by_rows(query, key, value, known):
    scores = scores_of(query, key)
    scores[known == 0] = -1e4
    return scores.softmax(-1) @ value


def over_root(which):
    """An answer to 03.3 that divides by the root of another number than D."""
    def answer(query, key, value, known):
        scores = query @ key.mT
        scores = scores / scores.shape[which] ** 0.5
        return scores.masked_fill(known == 0, -1e4).softmax(-1) @ value
    return answer


def matrix(weight):
    return weight.flatten(1)


def values(weight):
    return torch.linalg.svdvals(matrix(weight))


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("03.1", lambda layers: None, "returns nothing"),
    ("03.1", lambda layers: 1, "same whatever the layers are"),
    ("03.1", lambda layers: "wide", "returns a str"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d), "leave out the strides"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d * s), "each layer's own stride"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d * s * math.prod(before)), "widen its own layer's field"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d * (before[-1] if before else 1)), "stride of one layer before"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d * (sum(before) or 1)), "you add the strides"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * math.prod(before)), "leave out the dilation"),
    ("03.1", field(lambda k, s, d, before: k * d * math.prod(before)), "k − 1 steps"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * d * math.prod(before), 0), "begin with 0"),
    ("03.1", field(lambda k, s, d, before: k, 0), "add up the kernels"),
    ("03.1", field(lambda k, s, d, before: (k - 1) / 2 * d * math.prod(before)), "whole number"),
    ("03.1", lambda layers: float("inf"), "whole number"),
    ("03.1", field(lambda k, s, d, before: (k - 1) * (d + 1) * math.prod(before)), "two plain .* you say 9; it is 5"),
    ("03.1", backwards(lambda side, k, s, d: (side - 1) * s + (k - 1) * d + 1), "the way back, from the last layer"),
    ("03.1", backwards(lambda side, k, s, d: (side - 1) * s + k), "leave out the dilation; on the way forward"),
    ("03.1", backwards(lambda side, k, s, d: side * s + (k - 1) * d), "by the strides; keep two numbers"),
    ("03.1", backwards(lambda side, k, s, d: side * s + k - 1), "leave out the dilation; keep two numbers"),
    ("03.1", backwards(lambda side, k, s, d: side * s + (k - 1) * d, -1), r"take `\(side - 1\) \* stride`"),
    ("03.1", field(lambda k, s, d, before: ((k - 1) * d + 1) * math.prod(before)), "comes one position less"),
    ("03.1", field(lambda k, s, d, before: ((k - 1) * d + 1) * math.prod(before), 0), "begin with 1, and let"),
    ("03.1", lambda layers: chapter_03.field(layers[:1]), "`return` belongs behind the loop"),
    ("03.1", lambda layers: chapter_03.field(layers) if layers else 0, "without any layer"),
    ("03.2", lambda side, layers: None, "returns nothing"),
    ("03.2", lambda side, layers: side, "the side that goes in"),
    ("03.2", lambda side, layers: (side, side), "returns a tuple"),
    ("03.2", chain(lambda n, k, s, p: (n + 2 * p - k) / s + 1), "whole number.*rounds down"),
    ("03.2", chain(lambda n, k, s, p: (n + 2 * p - k) // s), r"forget the \+ 1"),
    ("03.2", chain(lambda n, k, s, p: (n + p - k) // s + 1), "pad on one side only"),
    ("03.2", chain(lambda n, k, s, p: (n - k) // s + 1), "leave out the padding"),
    ("03.2", chain(lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1), "round up"),
    ("03.2", chain(lambda n, k, s, p: n // s), "only divide by the strides"),
    ("03.2", chain(lambda n, k, s, p: n + 2 * p - k + 1), "leave out the strides"),
    ("03.2", chain(lambda n, k, s, p: (n + 2 * p - k + 1) // s), "comes after the division"),
    ("03.2", chain(lambda n, k, s, p: (n + 2 * p - k + 1) // s + 1), "subtract k − 1"),
    ("03.2", chain(lambda n, k, s, p: n + 2 * p - k // s + 1), "brackets"),
    ("03.2", alone(0), "the first layer only"),
    ("03.2", alone(-1), "the last layer only"),
    ("03.2", chain(lambda n, k, s, p: (n + 2 * p) // s), "from 9 pixels, 3 × 3 with stride 1 and padding 0, you get 9"),
    ("03.3", lambda q, k, v, known: None, "returns nothing"),
    ("03.3", lambda q, k, v, known: torch.zeros_like(q), "all is 0"),
    ("03.3", lambda q, k, v, known: scores_of(q, k).softmax(-1), r"the weights \(4, 9\)"),
    ("03.3", lambda q, k, v, known: attend()(q, k, v, known).mT, r"shape \(6, 4\)"),
    ("03.3", attend(mask="all"), "read from unknown positions, too"),
    ("03.3", attend(mask="unknown"), "unknown positions only"),
    ("03.3", attend(mask="whole"), "all above 0 may be read"),
    ("03.3", attend(scale=0), "don't divide the scores by √D"),
    ("03.3", attend(scale=1), "the root of it"),
    ("03.3", attend(scale=0, mask="all"), "don't divide the scores by √D, and you read from unknown positions, too"),
    ("03.3", attend(scale=1, mask="all"), "by D instead of √D, and you read from unknown positions, too"),
    ("03.3", attend(scale=0, mask="unknown"), "by √D, and you read from unknown positions only"),
    ("03.3", attend(scale=1, mask="whole"), "by D instead of √D, and you leave out positions that are partly known"),
    ("03.3", attend(dim=0), "over the queries, dim=0"),
    ("03.3", lambda q, k, v, known: (scores_of(q, k) + ((known > 0) * 1e4 - 1e4)).softmax(0) @ v, "over the queries;"),
    ("03.3", by_rows, "picks rows, the queries"),
    ("03.3", over_root(0), "root of N"),
    ("03.3", over_root(1), "root of M"),
    ("03.3", attend(low=-1), "a little low only"),
    ("03.3", attend(of="key"), "return the keys"),
    ("03.3", attend(low=-math.inf), "where nothing at all is known"),
    ("03.3", attend(low=0), "the softmax of a score of 0 is no weight of 0"),
    ("03.3", lambda q, k, v, known: (scores_of(q, k).softmax(-1) * (known > 0)) @ v, "don't add up to 1"),
    ("03.3", lambda q, k, v, known: (scores_of(q, k) * known).softmax(-1) @ v, "the scores by the known share"),
    ("03.3", lambda q, k, v, known: (scores_of(q, k) + known.log()).softmax(-1) @ v, "how much of a position is known"),
    ("03.3", lambda q, k, v, known: scores_of(q, k).where(known > 0, torch.zeros(())) @ v, "values by scores"),
    ("03.3", lambda q, k, v, known: 2 * attend()(q, k, v, known), "query . reads"),
    ("03.3", lambda q, k, v, known: attend()(q, k, v, known).numpy(), "returns an ndarray"),
    ("03.4", lambda w: None, "returns nothing"),
    ("03.4", lambda w: w, "as it was"),
    ("03.4", lambda w: values(w)[0], "you return one number"),
    ("03.4", lambda w: values(w)[0].item(), "you return one number"),
    ("03.4", lambda w: matrix(w) / values(w)[0], "you return the matrix"),
    ("03.4", lambda w: w / w.norm(), "Frobenius norm"),
    ("03.4", lambda w: w / values(w).sum(), "sum of the singular values"),
    ("03.4", lambda w: w / values(w)[-1], "smallest singular value"),
    ("03.4", lambda w: w / torch.linalg.eigvalsh(matrix(w) @ matrix(w).mT)[-1], "square of it"),
    ("03.4", lambda w: w / values(w)[0].sqrt(), "divide by the root of it"),
    ("03.4", lambda w: w / w.abs().max(), "largest number of the weight"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(w.reshape(-1, 4), ord=2), r"\(C' · C · k, k\)"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(w.reshape(15, 16), ord=2), r"\(C' · C, k · k\)"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(w.transpose(0, 1).flatten(1), ord=2), "for each .input. channel"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(w.reshape(3, -1), ord=2), "as many rows as it has input channels"),
    ("03.4", lambda w: w * values(w)[0], "you multiply by it"),
    ("03.4", lambda w: w / torch.linalg.svdvals(w).max(), "any single k × k kernel"),
    ("03.4", lambda w: w + 1, "not in the old ratios"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(matrix(w), ord=math.inf), "largest sum of a row"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(matrix(w), ord=1), "largest sum of a column"),
    ("03.4", lambda w: w / torch.linalg.matrix_norm(w, ord=2, keepdim=True), "each k × k kernel"),
    ("03.4", lambda w: F.normalize(matrix(w), dim=1).view_as(w), "each output's weights 1 long"),
    ("03.4", lambda w: w / 3, "the largest singular value of what you return is"),
    ("03.4", lambda w: w / 0, "inf or nan"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_03.EXERCISES, WRONG, times=6)


def by_the_package(layers):
    return receptive_field([nn.Conv2d(1, 1, k, s, dilation=d) for k, s, d in layers]).size


def from_the_end(layers):
    """From one output back to the pixels that it needs."""
    side = 1
    for kernel, stride, dilation in reversed(layers):
        side = (side - 1) * stride + (kernel - 1) * dilation + 1
    return torch.tensor(side)


def by_running(side, layers):
    x = torch.zeros(1, 1, side, side)
    for kernel, stride, padding in layers:
        x = nn.Conv2d(1, 1, kernel, stride, padding)(x)
    return x.shape[-1]


def fused(query, key, value, known):
    return F.scaled_dot_product_attention(query, key, value, (known > 0).float()[None] * 1e4 - 1e4)


def one_by_one(query, key, value, known):
    """Only over positions that are known; over nothing, nothing."""
    read = []
    for one in query:
        some = known > 0
        weights = (key[some] @ one / len(one) ** 0.5).softmax(0)
        read.append(weights @ value[some])
    return torch.stack(read)


def by_power_iteration(weight):
    rows, v = weight.flatten(1), torch.ones(weight[0].numel())
    for _ in range(500):
        u = F.normalize(rows @ v, dim=0)
        v = F.normalize(rows.mT @ u, dim=0)
    return weight / (u @ rows @ v)


def by_torch(weight):
    layer = nn.Conv2d(3, 5, 4)
    layer.weight.data.copy_(weight)
    layer = spectral_norm(layer, n_power_iterations=500)
    return layer.weight.detach()


@pytest.mark.parametrize("number, answer", [
    ("03.1", by_the_package), ("03.1", from_the_end), ("03.2", by_running),
    ("03.2", chain(lambda n, k, s, p: float(math.floor((n + 2 * p - k) / s + 1)))),
    ("03.3", fused), ("03.3", one_by_one), ("03.3", attend()),
    ("03.4", by_power_iteration), ("03.4", by_torch), ("03.4", lambda w: w / torch.linalg.norm(w.flatten(1), ord=2)),
])
def test_other_right_ways_pass(number, answer):
    verdict = exercises.get(number).check(answer)
    assert verdict.passed, verdict
