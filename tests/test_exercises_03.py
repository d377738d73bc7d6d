"""Chapter 03: other ways to be right pass, and attention to nothing is told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_03
from faceinpaint.course.inspection import receptive_field


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
    ("03.2", lambda side, layers: float(chapter_03.side_after(side, layers))),
    ("03.2", lambda side, layers: np.int64(chapter_03.side_after(side, layers))),
    ("03.3", fused), ("03.3", one_by_one),
    ("03.4", by_power_iteration), ("03.4", by_torch), ("03.4", lambda w: w / torch.linalg.norm(w.flatten(1), ord=2)),
])
def test_other_right_ways_pass(number, answer):
    verdict = exercises.get(number).check(answer)
    assert verdict.passed, verdict


def test_attention_that_is_no_number_where_nothing_is_known_is_told():
    def without_bottom(query, key, value, known):
        scores = query @ key.mT / query.shape[-1] ** 0.5
        return scores.masked_fill(known == 0, -math.inf).softmax(-1) @ value

    assert "where nothing at all is known" in exercises.get("03.3").check(without_bottom).sentence


def test_a_field_without_any_layer_is_asked_for():
    verdict = exercises.get("03.1").check(lambda layers: chapter_03.field(layers) if layers else 0)
    assert verdict.sentence == "for no layer at all you return 0; it is 1."
