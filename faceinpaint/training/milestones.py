"""Quality against iterations: a run measured at the five milestones of the paper's table 1.

    milestones/1-000674.csv           rows as `faceinpaint evaluate` writes them
    milestones/1-000674.safetensors   the generator as it was then, to be evaluated on other faces
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import Examination, Gallery, Located, metric_rows, read_metrics, write_metrics
from faceinpaint.evaluation.paper import ITERATIONS
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.masks import STANDARD
from faceinpaint.recognisers import JUDGE, LOSS, Recogniser, load_recogniser
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import CompletionTraining


def milestone_steps(steps: int) -> dict[int, int]:
    """Step -> milestone 1 to 5, at the paper's shares of a run of some steps; of a short run the last ones."""
    return {max(1, round(steps * at / ITERATIONS[-1])): number for number, at in enumerate(ITERATIONS, 1)}


class Milestones:
    """What is measured at a milestone: the averaged generator on validation faces under the standard masks.

    faces: some for validation, with landmarks. identity: the recogniser of the identity loss, which does not judge.
    """

    def __init__(
        self, out: Path, settings: CompletionTraining, faces: Faces, predictor: LandmarkPredictor,
        identity: Recogniser, machine: Machine,
    ) -> None:
        self.folder, self.machine = out / "milestones", machine
        self.due = milestone_steps(settings.steps) if settings.milestone_faces else {}
        chosen = torch.linspace(0, len(faces) - 1, min(settings.milestone_faces, len(faces))).round().long()
        self.faces, self.predictor = faces.select(chosen), predictor
        self.judge = independent_judge(identity) if self.due else None

    def measure(self, step: int, generator: nn.Module, save: Callable[[Path], None]) -> None:
        """Measure and keep the generator, where the step is a milestone."""
        if step not in self.due:
            return
        stem = self.folder / f"{self.due[step]}-{step:06d}"

        def paint(images: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
            device = self.machine.device
            with self.machine.autocast():
                return generator.complete(images.to(device), mask.to(device), landmarks.to(device))

        examination = Examination({f"step {step}": paint}, self.predictor, self.judge, device=self.machine.device)
        # A source knows the landmarks of all its faces; where the judge looks is not left to a predictor in training.
        located = Located(self.faces, self.faces.landmarks, torch.arange(len(self.faces)))
        embedding = examination.embed(located.faces.image, located.seen)
        gallery = Gallery(embedding, located.faces.identity, self.judge.threshold)
        measured, _ = examination.measure(located, STANDARD, gallery)
        save(stem.with_suffix(".safetensors"))
        identities = [str(number) for number in range(int(self.faces.identity.max()) + 1)]
        write_metrics(stem.with_suffix(".csv"), metric_rows(located, measured, identities))


def independent_judge(identity: Recogniser) -> Recogniser:
    """The embedded judge, or dlib where the judge is what the generator learns to please."""
    judge = load_recogniser(JUDGE)
    return load_recogniser(LOSS) if judge.fingerprint == identity.fingerprint else judge


def read_milestones(out: str | Path) -> dict[int, list[dict]]:
    """What a run in the folder `out` was found to be worth: step -> rows as of metrics.csv, rising.

    Raises InputError where no milestone was reached.
    """
    files = {int(file.stem.partition("-")[2]): file for file in (Path(out) / "milestones").glob("*.csv")}
    if not files:
        raise InputError(f"{out} has no milestones: train with completion.milestone_faces above 0")
    return {step: read_metrics(files[step]) for step in sorted(files)}
