"""The embedded recogniser: learn to tell people apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from faceinpaint import weights
from faceinpaint.faces.augment import augment
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.presets import RecogniserTraining, Training
from faceinpaint.recognisers import ArcFaceHead, MobileFaceNet, Recogniser, align, standardised
from faceinpaint.training.batches import Mixture
from faceinpaint.training.machine import Machine, set_rate
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need

SIZE = 128  # pixels of the pictures that the aligned faces are cut from
FALSE_ACCEPTS = 0.001


class Classifier(nn.Module):
    """Embedding and ArcFace head in one, so that processes exchange the gradients of both at once."""

    def __init__(self, network: MobileFaceNet, head: ArcFaceHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, aligned: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        return self.head(self.network(aligned), identity)


def train_recogniser(
    faces: Sequence[str | Path], settings: RecogniserTraining, out: Path, predictor: LandmarkPredictor, seed: int = 0,
    resume: bool = False, machine_of: Callable[[Training], Machine] = Machine,
) -> Path:
    """Tell people apart by an angular margin (ArcFace); returns the file of the weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`. A few dozen people of a folder are too few to learn what makes
    a person; their morphs are many. The threshold for "same person" is set where one pair of different validation
    people in a thousand would pass. Raises InputError and Stopped as `train_landmarks`.
    """
    machine = machine_of(settings)
    accelerator = machine.accelerator
    predictor = predictor.to(machine.device).eval()
    need = Need(SIZE, seed, predictor=predictor, rendered=settings.rendered, people=settings.people,
                morphs=settings.morphs, device=machine.device,
                rank=machine.rank, processes=machine.processes)
    mixture = Mixture(faces, need, same_person=True)
    torch.manual_seed(seed)
    network = MobileFaceNet(width=settings.width, embedding_size=settings.embedding)
    head = ArcFaceHead(settings.embedding, mixture.people, scale=32.0, margin=settings.margin)
    classifier = machine.quick(Classifier(network, head))
    optimizer = machine.adam(classifier.parameters(), decay=5e-2)
    run = Run(out, settings, resume, machine, classifier=classifier, optimizer=optimizer)
    model, optimizer = accelerator.prepare(classifier, optimizer)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)
    validation = mixture.validation() if machine.first else None

    def save(path: Path) -> None:
        architecture = {"width": settings.width, "embedding_size": settings.embedding, "threshold": network.threshold}
        weights.save(network, architecture, path)

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


@torch.no_grad()
def calibrate(network: MobileFaceNet, faces: Faces) -> tuple[float, dict[str, float]]:
    """The threshold of cosine distance at a false-accept rate of 0.1 %, and how well it tells `faces` apart.

    Each face is photographed anew eight times, so that a few people give enough pairs.
    """
    recogniser = Recogniser("trained", deepcopy(network), threshold=0.0)
    embeddings, device = [], next(network.parameters()).device
    for number in range(8):
        seen = augment(faces, SIZE, torch.Generator().manual_seed(number), same_person=True).to(device)
        embeddings.append(recogniser.embed(seen.image, seen.landmarks).cpu())
    embedding, person = torch.cat(embeddings), faces.identity.repeat(8)
    photograph = torch.arange(len(faces)).repeat(8)
    cosine = embedding @ embedding.T
    different = cosine[person[:, None] != person]
    # The same person on another photograph, not on the same one seen anew.
    same = cosine[(person[:, None] == person) & (photograph[:, None] != photograph)]
    limit = torch.quantile(different, 1 - FALSE_ACCEPTS).item()
    found = {"different": different.mean().item(), "same": same.mean().item(), "limit": limit}
    return 1 - limit, found | {"accepted": (same >= limit).float().mean().item()}
