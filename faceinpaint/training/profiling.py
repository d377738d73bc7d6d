"""The profiler: where the time of a few training steps goes."""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import Recogniser
from faceinpaint.training.completion import train_completion
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import CompletionTraining, Training
from faceinpaint.training.run import read_speed

NEVER = 10**9  # steps

# Kind of work: how the names of PyTorch's operations begin, the first that fits.
KINDS = {
    "convolutions, backward": r"convolution_backward",
    "convolutions, forward": r"\w*conv",
    "attention": r"_scaled_dot_product|_flash|_efficient",
    "matrix products": r"b?mm$|addmm|baddbmm|linear",
    "optimiser": r"_fused_adam|_foreach",
    "activations": r"\w*relu|sigmoid|hardtanh|softplus",
    "normalisation": r"\w*norm|cosine",
    "padding, resampling": r"\w*pad|upsample|grid_sampler|\w*pool",
    "copies": r"copy_|cat|fill_|clone|empty|zero|flip",
}
OTHER = "arithmetic and the rest"


class Speed(NamedTuple):
    """How fast a run was. waiting: the share of a step in which its batch was waited for."""

    images_a_second: float
    waiting: float


def measure_speed(
    faces: Sequence[str | Path], settings: CompletionTraining, predictor: LandmarkPredictor, recogniser: Recogniser,
    steps: int = 5, machine_of: Callable[[Training], Machine] = Machine,
) -> Speed:
    """The speed of completion training with some settings, by the median of its steps; nothing is kept of the run."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(settings, steps=steps, validate_every=0, checkpoint_every=NEVER, milestone_faces=0)
        train_completion(faces, settings, Path(folder, "run"), predictor, recogniser, machine_of=machine_of)
        return Speed(*read_speed(Path(folder, "run")))


def profile_step(
    faces: Sequence[str | Path], settings: CompletionTraining, predictor: LandmarkPredictor, recogniser: Recogniser,
    machine_of: type[Machine] = Machine,
) -> dict[str, float]:
    """Seconds that one step of completion training spends on each kind of work, most first.

    On a GPU those of its kernels, elsewhere those of the processor. The step is the second of three: the first
    one warms up, and the last one ends with a checkpoint.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's library talks to whoever holds the terminal
    on_gpu = torch.cuda.is_available()
    profiler = profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu, acc_events=True)

    class Watched(machine_of):
        def watched(self, step: int) -> AbstractContextManager:
            return profiler if step == 2 else nullcontext()

    measure_speed(faces, settings, predictor, recogniser, steps=3, machine_of=Watched)
    seconds: dict[str, float] = defaultdict(float)
    for event in profiler.events():
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        seconds[kind_of(event.name)] += spent / 1e6
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def kind_of(operation: str) -> str:
    """The kind of work of one of PyTorch's operations, such as `aten::convolution_backward`."""
    name = operation.removeprefix("aten::").removeprefix("autograd::engine::evaluate_function: ")
    return next((kind for kind, begins in KINDS.items() if re.match(begins, name)), OTHER)
