"""Every network of every preset lives through a step on a processor that is not this one.

Convolutions are compiled for the processor at hand, and a fault in what is compiled for one ends the process. So all
take their step in a process of its own, to which a lesser processor is feigned.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import torch
from forks import PATIENCE
from torch import Tensor, nn

from faceinpaint.discriminator import Discriminator, ProjectedDiscriminator
from faceinpaint.features import ImageNetFeatures
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers.networks import FaceResNet
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import PRESETS, Preset
from faceinpaint.training.recogniser import build

SIZE = 64  # pixels; sizes that a network insists on are its own


class Projected(nn.Module):
    """A projected discriminator on the features that it is given in training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = ImageNetFeatures().frozen()
        self.judge = ProjectedDiscriminator(self.features.channels, width)

    def forward(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        return self.judge(self.features(image), mask)


def networks(preset: Preset) -> Iterator[tuple[nn.Module, tuple[Tensor, ...]]]:
    """All that a preset trains, and what each is given."""
    image, mask, aligned = torch.rand(2, 3, SIZE, SIZE), torch.ones(2, 1, SIZE, SIZE), torch.rand(2, 3, 112, 96)
    yield LandmarkPredictor(preset.landmarks.width, SIZE), (image, mask)
    completion, landmarks = preset.completion, SIZE * torch.rand(2, 68, 2)
    for rank, style in {(0, False), (completion.rank, completion.style_code)}:
        yield Generator(completion.width, prior=False, rank=rank, style=style), (image, mask, landmarks)
    for kind in (Discriminator, Projected):
        yield kind(completion.discriminator_width), (image, mask)
    for name in ("mobilefacenet", "resnet"):
        yield build(replace(preset.recogniser, network=name))[0], (aligned,)


def take_steps() -> None:
    """One step of each, forwards and backwards to the picture, as they are laid out for training."""
    torch.set_num_threads(1)
    done = set()
    for preset in PRESETS.values():
        for network, inputs in networks(preset):
            size = type(network).__name__, sum(value.numel() for value in network.parameters())
            if size not in done:  # presets have some in common
                step(Machine(preset.recogniser).quick(network), *inputs)
            done.add(size)
    for width in (1, 5, 7, 15):
        step(Machine(preset.recogniser).quick(FaceResNet(width, 20)), *inputs)


def step(network: nn.Module, image: Tensor, *others: Tensor) -> None:
    print(type(network).__name__, sum(value.numel() for value in network.parameters()), flush=True)
    answers = network(image.requires_grad_(), *others)
    sum(answer.square().sum() for answer in (answers if isinstance(answers, list) else [answers])).backward()


def test_no_network_ends_the_process():
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, env=environment, timeout=PATIENCE)
    assert process.returncode == 0, process.stdout + process.stderr[-2000:]


if __name__ == "__main__":
    take_steps()
