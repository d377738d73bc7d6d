"""The plain reference computes the same picture, only slower and with the whole attention matrix."""

from __future__ import annotations

import torch

from faceinpaint.benchmark import ExplicitAttention, completion_benchmark
from faceinpaint.generator import LongShortTermAttention


def test_explicit_attention_is_the_same_function():
    torch.manual_seed(0)
    ours = LongShortTermAttention(16)
    plain = ExplicitAttention(16)
    plain.load_state_dict(ours.state_dict())
    x, encoded = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    known = (torch.rand(2, 1, 8, 8) > 0.5).float()
    assert torch.allclose(ours(x, encoded, known), plain(x, encoded, known), atol=1e-5)


def test_the_benchmark_compares_equal_pictures():
    report = completion_benchmark(size=64, repeats=1)
    difference = float(report.rsplit(" ", 1)[1])
    assert difference < 0.1  # bfloat16 against float32
    assert "of it" in report
