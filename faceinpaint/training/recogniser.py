"""Metric learning: a recogniser learns to tell people apart by a margin."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from statistics import mean

import torch
from torch import nn
from torch.nn import functional as F

from faceinpaint import weights
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import in_sole_use
from faceinpaint.faces.augment import augment
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import HEADS, FaceResNet, MobileFaceNet, Recogniser, align, standardised
from faceinpaint.recognisers.margins import MarginHead
from faceinpaint.training.batches import Mixture
from faceinpaint.training.machine import Machine, set_rate
from faceinpaint.training.presets import RecogniserTraining
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need, RenderedPeople

SIZE = 128  # pixels of the pictures that the aligned faces are cut from
FALSE_ACCEPTS = 0.001
PHOTOGRAPHS = 4  # of each validation face
BATCH = 64  # faces that are compared at once


class Classifier(nn.Module):
    """Embedding and head in one, so that processes exchange the gradients of both at once."""

    def __init__(self, network: nn.Module, head: MarginHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, aligned: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        return self.head(self.network(aligned), identity)


@in_sole_use
def train_recogniser(
    faces: Sequence[str | Path], settings: RecogniserTraining, out: Path, predictor: LandmarkPredictor, seed: int = 0,
    resume: bool = False, start: str | Path | None = None,
) -> Path:
    """Tell people apart by a margin (ArcFace or CosFace); returns the file of the weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`. A few dozen people of a folder are too few to learn what makes
    a person; their morphs are many. The threshold for "same person" is set where one pair of different validation
    people in a thousand would pass, averaged over the folders. Raises InputError, also where a source has one
    person for validation alone, and Stopped as `train_landmarks`.
    """
    machine = Machine(settings)
    accelerator = machine.accelerator
    predictor = predictor.to(machine.device).eval()
    need = Need.of(settings, machine, SIZE, seed, predictor=predictor, people=settings.people,
                   validation=settings.validation)
    mixture = Mixture(faces, need, same_person=True)
    # Photographs alone, where there are any: rendered strangers are more alike, and would make it far too strict.
    photographed = [source for source in mixture.sources if not isinstance(source, RenderedPeople)]
    validation = [source.validation() for source in photographed or mixture.sources] if machine.first else []
    _require_two_people(validation)
    torch.manual_seed(seed)
    network, architecture = build(settings)
    if start:
        weights.begin_with(network, start)
    head = HEADS[settings.head](settings.embedding, mixture.people, scale=32.0, margin=settings.margin)
    classifier = machine.quick(Classifier(network, head))
    optimizer = machine.adam(classifier.parameters(), decay=5e-2)
    run = Run(out, settings, resume, machine, classifier=classifier, optimizer=optimizer)
    model, optimizer = accelerator.prepare(classifier, optimizer)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)

    def save(path: Path) -> None:
        weights.save(network, architecture | {"threshold": network.threshold}, path)

    model.train()
    with run:
        for step, batch in run.steps(batches, seed):
            aligned = standardised(align(batch.image, batch.landmarks))
            with machine.autocast():
                logits = model(aligned, batch.identity)
            loss = F.cross_entropy(logits, batch.identity)
            accelerator.backward(loss)
            gradient = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            row = run.check(step, {"loss": loss, "gradient": gradient}, batch)
            set_rate(optimizer, settings, step)
            optimizer.step()
            optimizer.zero_grad()

            if run.validates(step):
                network.threshold, found = calibrate(network, validation)
                model.train()
                row |= found
                run.keep_if_best(step, -found["accepted"], save)
            run.log(step, row)

    if machine.first:
        if network.threshold is None:  # resumed after the last step
            network.threshold, _ = calibrate(network, validation)
        save(out / "recogniser.safetensors")
    return out / "recogniser.safetensors"


def build(settings: RecogniserTraining) -> tuple[nn.Module, dict[str, float]]:
    """The network of the settings, and what its class has to be called with to build it again."""
    if settings.network == "mobilefacenet":
        kind, architecture = MobileFaceNet, {"width": settings.width}
    else:
        kind, architecture = FaceResNet, {"width": round(48 * settings.width)}
    architecture["embedding_size"] = settings.embedding
    return kind(**architecture), architecture


@torch.no_grad()
def calibrate(network: nn.Module, sources: Sequence[Faces]) -> tuple[float, dict[str, float]]:
    """The threshold of cosine distance at a false-accept rate of 0.1 %, and how well it tells people apart.

    sources: faces of each source of the run. Pairs are made within a source only, since photographs of two origins
    are told apart at a glance. The sources' thresholds are averaged: strangers before one wall in one light are so
    alike that theirs would refuse people on photographs years apart, and those would let too many of these pass.
    Each face is photographed anew a few times, so that a few people give enough pairs.
    """
    recogniser = Recogniser("trained", deepcopy(network), threshold=0.0)
    pairs = [_cosines(recogniser, faces) for faces in sources]
    limit = mean(_limit(different) for _, different in pairs)
    same, different = (torch.cat(cosines) for cosines in zip(*pairs, strict=True))
    accepted = (same >= limit).float().mean()
    return 1 - limit, {"different": different.mean(), "same": same.mean(), "limit": limit, "accepted": accepted}


def _require_two_people(sources: Sequence[Faces]) -> None:
    """InputError, before a step is made, where `calibrate` would find no pair of different people."""
    for faces in sources:
        if len(faces.identity.unique()) < 2:
            raise InputError(
                "a source's faces for validation are all of one person, which gives no threshold: raise "
                "recogniser.validation, or give a folder with more people in its split val"
            )


def _cosines(recogniser: Recogniser, faces: Faces) -> tuple[torch.Tensor, torch.Tensor]:
    """The cosines of pairs of the same person and of pairs of different people."""
    embeddings, device = [], next(recogniser.parameters()).device
    for number in range(PHOTOGRAPHS):
        seen = augment(faces, SIZE, torch.Generator().manual_seed(number), same_person=True).to(device)
        for first in range(0, len(seen), BATCH):
            some = seen[first : first + BATCH]
            embeddings.append(recogniser.embed(some.image, some.landmarks).cpu())
    embedding, person = torch.cat(embeddings), faces.identity.repeat(PHOTOGRAPHS)
    photograph = torch.arange(len(faces)).repeat(PHOTOGRAPHS)
    cosine = embedding @ embedding.T
    # The same person on another photograph, not on the same one seen anew.
    same = (person[:, None] == person) & (photograph[:, None] != photograph)
    return cosine[same], cosine[person[:, None] != person]


def _limit(different: torch.Tensor) -> float:
    """The least cosine that no more than one in a thousand of these pairs, (N,), reaches."""
    nearest_refused = different.topk(int(FALSE_ACCEPTS * len(different)) + 1).values[-1]
    return torch.nextafter(nearest_refused, torch.tensor(2.0)).item()
