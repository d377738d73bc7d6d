"""Speed and profile of a training step: of the real loop, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import MobileFaceNet, Recogniser
from faceinpaint.training import completion
from faceinpaint.training.presets import PRESETS
from faceinpaint.training.profiling import KINDS, OTHER, kind_of, measure_speed, profile_step

SETTINGS = replace(PRESETS["smoke"].completion, prior=False, adversarial_from=1, precision="fp32")


@pytest.fixture(scope="module")
def given(face_folder):
    torch.manual_seed(0)
    recogniser = Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)
    return [face_folder(people=2)], SETTINGS, LandmarkPredictor(width=0.35, size=64), recogniser


@pytest.mark.parametrize("operation, kind", [
    ("aten::convolution_backward", "convolutions, backward"),
    ("aten::mkldnn_convolution", "convolutions, forward"),
    ("aten::cudnn_convolution", "convolutions, forward"),
    ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "attention"),
    ("aten::bmm", "matrix products"),
    ("aten::addmm", "matrix products"),
    ("aten::_fused_adamw_", "optimiser"),
    ("aten::_prelu_kernel_backward", "activations"),
    ("aten::leaky_relu", "activations"),
    ("aten::native_batch_norm", "normalisation"),
    ("aten::reflection_pad2d", "padding, resampling"),
    ("aten::avg_pool2d", "padding, resampling"),
    ("aten::copy_", "copies"),
    ("aten::mul", OTHER),
    ("autograd::engine::evaluate_function: MulBackward0", OTHER),
])
def test_operations_are_sorted_into_kinds(operation, kind):
    assert kind_of(operation) == kind


def test_a_profiled_step_names_its_largest_costs(given):
    spent = profile_step(*given)
    assert set(spent) <= {*KINDS, OTHER} and list(spent.values()) == sorted(spent.values(), reverse=True)
    assert spent["convolutions, backward"] > 0 and spent["convolutions, forward"] > 0 and spent["optimiser"] > 0


def test_a_profile_is_of_one_step_and_not_of_the_whole_run(given):
    spent = sum(profile_step(*given).values())
    step = SETTINGS.batch / measure_speed(*given, steps=3).images_a_second
    assert 0.3 * step < spent < 2 * step  # three steps, reading and measuring are many times that


def test_speed_is_measured_by_real_steps_and_leaves_nothing(given, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(completion, "validate", lambda *_: pytest.fail("nobody asked how good it is"))
    speed = measure_speed(*given, steps=2)
    assert speed.images_a_second > 0 and 0 < speed.waiting < 1
    assert list(tmp_path.iterdir()) == []
