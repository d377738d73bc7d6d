"""After stage 2: learn how far another photograph of the same person is to be believed, for a generator that is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torchmetrics.functional.image import peak_signal_noise_ratio

from faceinpaint import masks, weights
from faceinpaint.errors import InputError
from faceinpaint.faces.batch import Faces
from faceinpaint.generator import Generator, composite
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.presets import ReferenceTraining, Training
from faceinpaint.recognisers import Recogniser
from faceinpaint.reference import Reference, ReferenceGuide
from faceinpaint.training.batches import Mixture, ReferencedFaces, with_others
from faceinpaint.training.completion import AT_ONCE, SHOWN, Objective
from faceinpaint.training.machine import Machine, rising_average, set_rate
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need


def train_reference(
    faces: Sequence[str | Path], settings: ReferenceTraining, out: Path, generator: Generator,
    predictor: LandmarkPredictor, recogniser: Recogniser, seed: int = 0, resume: bool = False,
    start: str | Path | None = None, machine_of: Callable[[Training], Machine] = Machine,
) -> Path:
    """Train a guide on people with several photographs; returns the file of its averaged weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`; people with one photograph are left out. generator: paints and
    does not learn; with a symmetry prior. recogniser: the frozen network of the identity loss, whose embedding of the
    reference the guide is told. start: a guide to begin with. Raises InputError and Stopped as `train_landmarks`.
    """
    if not generator.prior:
        raise InputError("this generator starts from no first guess, so none can be made better: give one with prior=true")
    machine = machine_of(settings)
    predictor, generator = machine.frozen(predictor), machine.frozen(generator)
    need = Need(settings.size, seed, predictor=predictor, rendered=settings.rendered, morphs=settings.morphs,
                backdrops=settings.backdrops, device=machine.device, rank=machine.rank, processes=machine.processes)
    mixture = Mixture(faces, need, same_person=True, references=True)
    objective = Objective(settings, recogniser, machine)
    torch.manual_seed(seed)
    size = {"width": settings.width, "embedding": dimensions(objective, generator)}
    guide = ReferenceGuide(**size)
    if start:
        weights.begin_with(guide, start)
    guide = machine.quick(guide)
    average = AveragedModel(guide, multi_avg_fn=rising_average(settings.ema))
    optimizer = machine.adam(guide.parameters())
    run = Run(out, settings, resume, machine, guide=guide, average=average, optimizer=optimizer)
    model, optimizer = machine.accelerator.prepare(guide, optimizer)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)
    validation = with_references(mixture.validation()) if machine.first else None

    def save(path: Path) -> None:
        weights.save(
            average.module, size, path, identity_recogniser=recogniser.name,
            identity_fingerprint=recogniser.fingerprint,
        )

    with run:
        for step, batch in run.steps(batches, seed):
            set_rate(optimizer, settings, step)
            with machine.autocast():
                with torch.no_grad():
                    landmarks = predictor(batch.image, batch.mask)
                    prior = generator.first_guess(batch.image, batch.mask, landmarks)
                    reference = reference_of(batch, objective)
                better = model(prior, batch.image, batch.mask, landmarks, reference)
                completed = composite(generator(batch.image, batch.mask, landmarks, better), batch.image, batch.mask)
            told = objective.backward(completed, batch, machine)
            told["gradient"] = machine.accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            row = run.check(step, told, batch)
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(guide)

            if run.validates(step):
                with machine.autocast():
                    measured, pictures = validate(average.module, generator, predictor, objective, validation)
                row |= measured
                run.picture(step, pictures, columns=min(SHOWN, len(validation)))
                run.keep_if_best(step, measured["face_distance"], save)
            run.log(step, row)

    if machine.first:
        save(out / "reference.safetensors")
    return out / "reference.safetensors"


def reference_of(batch: ReferencedFaces, objective: Objective) -> Reference:
    """What the guide is told of the other photographs of a batch."""
    embedding = objective.embed(batch.reference, batch.reference_landmarks)
    return Reference(batch.reference, batch.reference_landmarks, embedding)


def dimensions(objective: Objective, generator: Generator) -> int:
    """How many numbers an embedding has: those of a black picture where a face could be."""
    black = torch.zeros(1, 3, 64, 64, device=generator.appearance.shape.device)
    with torch.no_grad():
        return objective.embed(black, 64 * generator.appearance.shape[None]).shape[1]


def with_references(faces: Faces) -> ReferencedFaces:
    """Each face of people who are there more than once, beside the next photograph of the same person."""
    faces = with_others(faces)
    order, following = torch.arange(len(faces)), []
    for index, person in enumerate(faces.identity):
        others = order[(faces.identity == person) & (order != index)]
        later = others[others > index]
        following.append(int(later[0] if len(later) else others[0]))
    other = faces.select(torch.tensor(following))
    return ReferencedFaces(
        faces.image, faces.landmarks, faces.identity, faces.name, None, other.image, other.landmarks
    )


VALIDATION_MASKS = ("mask01", "mask02", "face-mask")


@torch.no_grad()
def validate(
    guide: ReferenceGuide, generator: Generator, predictor: LandmarkPredictor, objective: Objective,
    faces: ReferencedFaces,
) -> tuple[dict[str, float], Tensor]:
    """How much a reference helps, and pictures: the truth, the references, completions without and with them.

    psnr (dB, whole image) and face_distance (1 - cosine of the embeddings), and the same as ..._without a reference.
    """
    psnr, distance, pictures = {"": [], "_without": []}, {"": [], "_without": []}, [
        faces.image[:SHOWN], faces.reference[:SHOWN]]
    for name in VALIDATION_MASKS:
        for first in range(0, len(faces), AT_ONCE):
            batch = faces[first : first + AT_ONCE].to(next(guide.parameters()).device)
            mask = masks.named(name, batch.image.shape[-1], batch.landmarks)
            mask = mask.expand(len(batch), -1, -1, -1).to(batch.image)
            landmarks = predictor(batch.image, mask)
            prior = generator.first_guess(batch.image, mask, landmarks)
            better = guide(prior, batch.image, mask, landmarks, reference_of(batch, objective))
            embedded = objective.embedded(batch)
            for which, guess in (("_without", prior), ("", better)):
                completed = generator.complete(batch.image, mask, landmarks, guess)
                psnr[which].append(peak_signal_noise_ratio(
                    completed, batch.image, data_range=1.0, reduction="none", dim=(1, 2, 3)))
                distance[which].append(objective.recogniser.distance(
                    objective.embed(completed, batch.landmarks), embedded))
                if first == 0:
                    pictures.append(completed[:SHOWN].cpu())
    measured = {f"psnr{which}": torch.cat(values).mean().item() for which, values in psnr.items()}
    measured |= {f"face_distance{which}": torch.cat(values).mean().item() for which, values in distance.items()}
    return measured, torch.cat(pictures)
