"""How fast is training? Steps of the whole of it against the plain reading of the same, in one run on one machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import nn

from faceinpaint import weights
from faceinpaint.benchmark.peak import PeakMemory
from faceinpaint.benchmark.plain import make_plain
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import LOSS, load_recogniser
from faceinpaint.training import train_completion
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import CompletionTraining
from faceinpaint.training.run import read_speed
from faceinpaint.training.sources import MARGIN

STEPS = {"cpu": 6, "cuda": 200}  # of each run
ROUNDS = 3


class PlainMachine(Machine):
    """Training as one writes it first: float32, channels first, the attention matrix, nothing folded or compiled."""

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, enabled=False)

    def quick(self, network: nn.Module) -> nn.Module:
        if isinstance(network, Generator):
            make_plain(network)
        return network.to(self.device, memory_format=torch.contiguous_format)

    def frozen(self, network: nn.Module) -> nn.Module:
        return self.quick(network.eval())

    def adam(
        self, parameters: Iterable[nn.Parameter], decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Optimizer:
        rate = self.settings.lr
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, foreach=False, fused=False)


KINDS = {"plain": PlainMachine, "ours": Machine}


@dataclass(frozen=True)
class Measured:
    """One run. memory: bytes that the steps took at most, beyond what the process held before them; None: unknown."""

    images_a_second: float
    memory: int | None


def training_runs(size: int, batch: int) -> dict[str, list[Measured]]:
    """Full adversarial training, all losses, by ours and the plain one in turn; each run is a process of its own."""
    settings = CompletionTraining(size=size, batch=batch, adversarial_from=1, checkpoint_every=10**9)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = replace(settings, steps=STEPS[device], validate_every=10**9, milestone_faces=0)
    if device == "cuda":
        settings = replace(settings, workers=min(12, os.cpu_count() - 1), compile="on")
    runs: dict[str, list[Measured]] = {name: [] for name in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        faces = Path(folder, "faces")
        write_folder(faces, people=3, photos=4, size=round(size * MARGIN), supersample=1)
        context = multiprocessing.get_context("spawn")
        for number in range(ROUNDS):
            for name in KINDS:
                with ProcessPoolExecutor(1, mp_context=context) as process:
                    run = process.submit(measured, name, faces, settings, Path(folder, f"{name}-{number}"))
                    runs[name].append(run.result())
    return runs


def measured(kind: str, faces: Path, settings: CompletionTraining, out: Path) -> Measured:
    """Train for some steps; what they took."""
    counter = PeakMemory()

    class Observed(KINDS[kind]):
        def adam(self, *arguments, **options):  # the last thing before the steps
            counter.start()
            return super().adam(*arguments, **options)

    predictor, recogniser = weights.load("landmarks", LandmarkPredictor), load_recogniser(LOSS)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        train_completion([faces], settings, out, predictor, recogniser, machine_of=Observed)
    return Measured(read_speed(out)[0], counter.read())


def middle(memory: Iterable[int | None]) -> float | None:
    """The median of what the runs took; None where the system doesn't say."""
    return median(known) if (known := [one for one in memory if one is not None]) else None
