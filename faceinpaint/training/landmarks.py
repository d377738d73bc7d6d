"""Stage 1: learn where the landmarks of a partly hidden face are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from faceinpaint import masks, weights
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.presets import LandmarkTraining, Training
from faceinpaint.training.batches import Mixture
from faceinpaint.training.machine import Machine, set_rate
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need


def train_landmarks(
    faces: Sequence[str | Path], settings: LandmarkTraining, out: Path, seed: int = 0, resume: bool = False,
    machine_of: Callable[[Training], Machine] = Machine,
) -> Path:
    """Train on faces under every kind of mask; returns the file of the weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`. The loss is the measure that is reported, the normalised mean
    error. Raises InputError for faces, a folder or a loss that are no good, and Stopped when told to stop.
    """
    machine = machine_of(settings)
    accelerator = machine.accelerator
    need = Need(settings.size, seed, labelled=True, rendered=settings.rendered, device=machine.device,
                rank=machine.rank, processes=machine.processes)
    mixture = Mixture(faces, need, settings.masks)
    torch.manual_seed(seed)
    predictor = LandmarkPredictor(settings.width, settings.size)
    if not resume:  # or it would be replaced by the checkpoint's
        predictor.set_mean_face(mean_face(mixture), settings.size)
    predictor = machine.quick(predictor)
    optimizer = machine.adam(predictor.parameters(), decay=1e-2)
    run = Run(out, settings, resume, machine, predictor=predictor, optimizer=optimizer)
    model, optimizer = accelerator.prepare(predictor, optimizer)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)
    validation = mixture.validation().to(machine.device) if machine.first else None

    def save(path: Path) -> None:
        weights.save(predictor, {"width": settings.width, "size": settings.size}, path)

    model.train()
    with run:
        for step, batch in run.steps(batches, seed):
            with machine.autocast():
                predicted = model(batch.image, batch.mask)
            loss = normalised_mean_error(predicted, batch.landmarks).mean()
            accelerator.backward(loss)
            gradient = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            row = run.check(step, {"loss": loss, "gradient": gradient}, batch)
            set_rate(optimizer, settings, step)
            optimizer.step()
            optimizer.zero_grad()

            if run.validates(step):
                errors = landmark_errors(predictor, validation)
                model.train()
                row |= {f"nme_{name}": value for name, value in errors.items()}
                run.keep_if_best(step, sum(errors.values()) / len(errors), save)
            run.log(step, row)

    if machine.first:
        save(out / "landmarks.safetensors")
    return out / "landmarks.safetensors"


def mean_face(mixture: Mixture) -> torch.Tensor:
    """Landmarks of the first training faces as their aligned crops show them, (N, 68, 2) pixels of `Need.size`."""
    border = (mixture.need.wide - mixture.need.size) / 2
    return torch.cat([block.landmarks for block in mixture.blocks(0)]) - border


@torch.no_grad()
def landmark_errors(predictor: nn.Module, faces: Faces) -> dict[str, float]:
    """Mean NME on `faces` with nothing, a quarter, half the face and a face mask hidden."""
    predictor.eval()
    size = faces.image.shape[-1]
    errors = {"open": normalised_mean_error(predictor(faces.image, 0 * faces.image[:, :1]), faces.landmarks).mean()}
    for name in ("mask01", "mask02", "mask03", "mask04", "face-mask"):
        mask = masks.named(name, size, faces.landmarks).expand(len(faces), -1, -1, -1).to(faces.image.device)
        errors[name] = normalised_mean_error(predictor(faces.image, mask), faces.landmarks).mean()
    return {name: value.item() for name, value in errors.items()}
