"""Stage 1: learn where the landmarks of a partly hidden face are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from faceinpaint import masks, weights
from faceinpaint.basics.files import in_sole_use
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.training.batches import Mixture
from faceinpaint.training.machine import Machine, rising_average, set_rate
from faceinpaint.training.presets import LandmarkTraining
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need
from faceinpaint.weights import fetch

IMAGENET = "imagenet"  # what `start` calls MobileNetV2's published weights


@in_sole_use
def train_landmarks(
    faces: Sequence[str | Path], settings: LandmarkTraining, out: Path, seed: int = 0, resume: bool = False,
    start: str | Path | None = None,
) -> Path:
    """Train on faces under every kind of mask; returns the file of the averaged predictor's weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`. The loss is the measure that is reported, the normalised mean
    error. start: weights to begin with, a name or a file, or `imagenet`: torchvision's backbone, as the paper's was
    pretrained. Raises InputError for faces, a folder, weights or a loss that are no good, and Stopped when told to.
    """
    machine = Machine(settings)
    accelerator = machine.accelerator
    published = fetch.checked("mobilenet_v2") if start == IMAGENET and not resume else None  # before faces are read
    mixture = Mixture(faces, Need.of(settings, machine, settings.size, seed, labelled=True), settings.masks)
    torch.manual_seed(seed)
    predictor = LandmarkPredictor(settings.width, settings.size)
    if start and start != IMAGENET:
        weights.begin_with(predictor, start)
    elif not resume:  # or it would be replaced by the checkpoint's
        predictor.set_mean_face(mean_face(mixture), settings.size)
    if published:
        predictor.start_from_imagenet(torch.load(published, map_location="cpu", weights_only=True))
    predictor = machine.quick(predictor)
    average = AveragedModel(predictor, multi_avg_fn=rising_average(settings.ema), use_buffers=True)
    optimizer = machine.adam(predictor.parameters(), decay=1e-2)
    run = Run(out, settings, resume, machine, predictor=predictor, average=average, optimizer=optimizer)
    model, optimizer = accelerator.prepare(predictor, optimizer)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)
    validation = mixture.validation().to(machine.device) if machine.first else None

    def save(path: Path) -> None:
        weights.save(average.module, {"width": settings.width, "size": settings.size}, path)

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
            average.update_parameters(predictor)

            if run.validates(step):
                errors = landmark_errors(average.module, validation)
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
