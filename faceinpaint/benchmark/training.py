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
from torch.utils.flop_counter import FlopCounterMode

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
BF16_PEAK = {"NVIDIA H200": 989e12, "NVIDIA H100 80GB HBM3": 989e12}  # operations a second, from the data sheets


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
    waiting: float
    memory: int | None


def training_benchmark(size: int = 128, batch: int = 8, rounds: int = ROUNDS) -> str:
    """Images a second of full adversarial training, all losses, by ours and the plain one in turn; a table.

    On a card whose peak is known, the share of its bfloat16 peak is told as well.
    """
    return report(*training_runs(size, batch, rounds))


def training_runs(
    size: int, batch: int, rounds: int = ROUNDS
) -> tuple[dict[str, list[Measured]], CompletionTraining, str]:
    """The runs by kind, their settings and the device. Each is a process of its own, so that memory is its own."""
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
        for number in range(rounds):
            for name in KINDS:
                with ProcessPoolExecutor(1, mp_context=context) as process:
                    run = process.submit(measured, name, faces, settings, Path(folder, f"{name}-{number}"))
                    runs[name].append(run.result())
    return runs, settings, device


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
    return Measured(*read_speed(out), counter.read())


def report(runs: dict[str, list[Measured]], settings: CompletionTraining, device: str) -> str:
    """The table of a benchmark: medians of the rounds, and the ratios of what the rounds' neighbours reached."""
    ratios = [ours.images_a_second / plain.images_a_second for ours, plain in zip(runs["ours"], runs["plain"])]
    lines = [
        f"completion training at {settings.size} px, batch {settings.batch}, width {settings.width}, all losses, on "
        f"{device}, {len(ratios)} rounds of {settings.steps} steps",
        f"{'':<7}{'images/s':>9}{'waiting':>9}{'memory':>10}",
    ]
    for name, rounds in runs.items():
        speed, waiting = (median(values) for values in zip(*[(one.images_a_second, one.waiting) for one in rounds]))
        memory = middle(one.memory for one in rounds)
        taken = f"{'unknown':>10}" if memory is None else f"{memory / 2**20:7.0f} MB"
        lines.append(f"{name:<7}{speed:9.2f}{waiting:9.1%}{taken}")
    ours, plain = (middle(one.memory for one in runs[name]) for name in ("ours", "plain"))
    share = f" and takes {ours / plain:.0%} of the memory" if ours and plain else ""
    lines.append(f"ours is {median(ratios):.2f} times as fast{share}")
    if device == "cuda":
        lines.append(_share_of_peak(median(one.images_a_second for one in runs["ours"]), settings))
    return "\n".join(lines)


def middle(memory: Iterable[int | None]) -> float | None:
    """The median of what the runs took; None where the system doesn't say."""
    return median(known) if (known := [one for one in memory if one is not None]) else None


def _share_of_peak(images_a_second: float, settings: CompletionTraining) -> str:
    """How much of what the card could calculate is used."""
    card = torch.cuda.get_device_name()
    achieved = images_a_second * operations(settings)
    peak = BF16_PEAK.get(card)
    share = f", {achieved / peak:.1%} of the peak of {card}" if peak else ""
    return f"{achieved / 1e12:.1f} TFLOP/s{share}"


def operations(settings: CompletionTraining) -> float:
    """Floating-point operations of the networks for one image of a step: forward, backward, all losses."""
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        faces = Path(folder, "faces")
        write_folder(faces, people=3, photos=1, size=round(settings.size * MARGIN), supersample=1)
        for steps in (1, 2):  # what both have in common is not the step
            one = replace(settings, steps=steps, batch=1, compile="off", workers=0, precision="fp32", validate_every=0)
            with FlopCounterMode(display=False) as counter:
                train_completion([faces], one, Path(folder, str(steps)), weights.load("landmarks", LandmarkPredictor),
                                 load_recogniser(LOSS))
            counts.append(counter.get_total_flops())
    return counts[1] - counts[0]
