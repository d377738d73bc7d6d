"""The plain reference computes the same picture, only slower and with the whole attention matrix."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from faceinpaint.benchmark import DoubledUp, ExplicitAttention, completion_benchmark, make_plain
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.generator import Generator, LongShortTermAttention
from faceinpaint.presets import PRESETS, CompletionTraining
from faceinpaint.training import Machine, completion, read_log
from faceinpaint.training.benchmark import KINDS, PlainMachine, measured, operations, report


def test_explicit_attention_is_the_same_function():
    torch.manual_seed(0)
    ours = LongShortTermAttention(16)
    plain = ExplicitAttention(16)
    plain.load_state_dict(ours.state_dict())
    x, encoded = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    known = (torch.rand(2, 1, 8, 8) > 0.5).float()
    assert torch.allclose(ours(x, encoded, known), plain(x, encoded, known), atol=1e-5)


def test_a_plain_generator_paints_the_same_picture():
    torch.manual_seed(0)
    generator = Generator(8, prior=False)
    plain = deepcopy(generator)
    make_plain(plain)
    assert [type(part) for part in (plain.up3, plain.up2, plain.up1, plain.attention)] == [DoubledUp] * 3 + [
        ExplicitAttention]
    inputs = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64), 64 * torch.rand(1, 68, 2)
    assert torch.allclose(generator(*inputs), plain(*inputs), atol=1e-5)


def test_the_benchmark_compares_equal_pictures():
    report = completion_benchmark(size=64, repeats=1)
    difference = float(report.rsplit(" ", 1)[1])
    assert difference < 0.1  # bfloat16 against float32
    assert "of it" in report


def test_the_training_benchmark_measures_the_same_losses_both_ways(tmp_path):
    """One run of each kind: the plain one differs in its arithmetic alone."""
    faces = tmp_path / "faces"
    write_folder(faces, people=3, photos=1, size=80, supersample=1)
    settings = replace(
        PRESETS["smoke"].completion, steps=2, adversarial_from=1, precision="fp32", validate_every=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion.fit_appearance, "__defaults__", (48,))
        runs = {kind: [measured(kind, faces, settings, tmp_path / kind)] for kind in KINDS}
    ours, plain = (read_log(tmp_path / kind) for kind in ("ours", "plain"))
    for name, (_, values) in plain.items():
        assert ours[name][1] == pytest.approx(values, rel=2e-2, abs=1e-4), name
    text = report(runs, settings, "cpu")
    assert re.search(r"ours is \d+\.\d\d times as fast and takes \d+% of the memory", text)
    assert runs["ours"][0].memory > 0 and 0 < runs["ours"][0].waiting < 1


def test_the_plain_machine_really_is_plain():
    settings = CompletionTraining(precision="bf16", compile="on")
    plain = PlainMachine(settings)
    generator = plain.quick(Generator(8, prior=False))
    assert type(generator.attention) is ExplicitAttention
    assert generator._compiled_call_impl is None
    assert generator.down2.convolution.weight.is_contiguous()
    optimizer = plain.adam(generator.parameters())
    assert not optimizer.defaults["fused"] and Machine(settings).adam(generator.parameters()).defaults["fused"]
    with plain.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_operations_of_a_step_are_more_than_three_forward_passes():
    settings = replace(PRESETS["smoke"].completion, adversarial_from=1)
    image, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Generator(settings.width, prior=False)(image, mask, 64 * torch.rand(1, 68, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion.fit_appearance, "__defaults__", (48,))
        patch.setattr(completion, "VALIDATION_MASKS", ("mask01",))
        assert operations(settings) > 3 * counter.get_total_flops()
