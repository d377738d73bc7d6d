"""Rendered faces judged by networks that were trained on real ones, and by the clock.

Are they faces (MTCNN)? Are they people (a recogniser)? Does a landmark predictor that has seen nothing else
find its way on real photographs?
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from faceinpaint.basics.memory import peak_memory
from faceinpaint.faces import align
from faceinpaint.faces.detection import detect
from faceinpaint.faces.photos import FaceFolder, to_image
from faceinpaint.faces.synthetic.dataset import person_of, person_seed
from faceinpaint.faces.synthetic.people import identities, poses
from faceinpaint.faces.synthetic.render import RenderedFaces, render
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.recognisers import Recogniser

BATCH = 4  # people rendered at once


def photographs(people: Sequence[int], photos: int, size: int, max_yaw: float | None = None) -> Iterator[RenderedFaces]:
    """Rendered people, by their integers (see `identities`), in batches, with a progress bar."""
    for start in tqdm(range(0, len(people), BATCH), desc=f"{len(people)} people x {photos}", leave=False, disable=None):
        seeds = people[start : start + BATCH]
        pose_seeds = [seed * photos + k for seed in seeds for k in range(photos)]
        yield render(identities(seeds), poses(pose_seeds, max_yaw), size)


class Detected(NamedTuple):
    """What a detector makes of rendered faces: shares of 1."""

    found: float
    error: float


class Recognised(NamedTuple):
    """What a recogniser makes of rendered people: mean cosines and the rank-1 rate."""

    same: float
    different: float
    rank1: float


def detection(count: int = 500, size: int = 192) -> Detected:
    """Share of faces (|yaw| <= 30 degrees) that MTCNN finds with p >= 0.99, and how far its points lie from ours.

    The distance is a mean over five points, in units of the distance between the eyes.
    """
    found, errors = 0, []
    for faces in photographs(range(count), 1, size, max_yaw=torch.pi / 6):
        for image, landmarks in zip(faces.image, faces.landmarks):
            detections = detect(to_image(image[None]))
            if detections and detections[0].probability >= 0.99:
                found += 1
            if detections:
                errors.append(_five_point_error(detections[0].points, landmarks))
    return Detected(found / count, torch.stack(errors).mean().item())


def _five_point_error(points: Tensor, landmarks: Tensor) -> Tensor:
    truth = align.five_points(landmarks[None])[0]
    return (points.reshape(5, 2) - truth).norm(dim=1).mean() / (truth[0] - truth[1]).norm()


@torch.no_grad()
def recognition(recogniser: Recogniser, people: int = 200, photos: int = 4, size: int = 192) -> Recognised:
    """Mean cosine of photographs of the same person and of different people, and the rank-1 rate.

    The people are those of the split test, whom no recogniser has been trained on. Rank-1: each photograph looks for
    its nearest among all others; a hit is one of the same person.
    """
    strangers = [person_seed(0, person_of("test", number)) for number in range(people)]
    embeddings = torch.cat([
        recogniser.embed(faces.image, faces.landmarks) for faces in photographs(strangers, photos, size)
    ])
    identity = torch.arange(people).repeat_interleave(photos)
    cosine = embeddings @ embeddings.T
    same = identity[:, None] == identity[None]
    itself = torch.eye(len(cosine), dtype=torch.bool)
    nearest = cosine.masked_fill(itself, -2).argmax(1)
    rank1 = (identity[nearest] == identity).float().mean().item()
    return Recognised(cosine[same & ~itself].mean().item(), cosine[~same].mean().item(), rank1)


@torch.no_grad()
def landmark_error(predictor: LandmarkPredictor, folder: Path, size: int = 256) -> float:
    """Mean error of a predictor on the open faces of a folder of real photographs, as a share of inter-ocular."""
    dataset = FaceFolder(folder, None, size)
    errors = []
    for index, row in enumerate(dataset.rows):
        if row.landmarks is not None:
            face = dataset[index]
            known = torch.zeros_like(face.image[:, :1])
            errors.append(normalised_mean_error(predictor(face.image, known), face.landmarks))
    return torch.cat(errors).mean().item()


def speed(size: int, people: int = 2, photos: int = 6, repeats: int = 3) -> float:
    """Pictures a second, `photos` of each person sharing one bake; the best of some repeats."""
    batch = identities(range(people)), poses(range(people * photos))
    best = float("inf")
    for _ in range(repeats + 1):  # the first warms up
        begin = time.perf_counter()
        render(*batch, size)
        best = min(best, time.perf_counter() - begin)
    return people * photos / best


def memory(size: int = 256, batch: int = 16) -> float:
    """Most memory in GiB that this process has held after rendering `batch` people at once."""
    render(identities(range(batch)), poses(range(batch)), size)
    return peak_memory() / 2**30


def judgements(
    recogniser: Recogniser, predictor: LandmarkPredictor | None, real: Path | None, faces: int = 500, people: int = 200
) -> Iterator[str]:
    """Everything above, a line of text each as soon as it is known.

    predictor and real: a landmark predictor trained on rendered faces alone, and a folder of real photographs for it.
    """
    yield f"memory, 16 people at 256 px: {memory():.2f} GiB"
    for size in (64, 128, 256):
        yield f"speed at {size} px: {speed(size):.1f} pictures a second"
    for size in (128, 192):
        found, error = detection(faces, size)
        yield (
            f"MTCNN at {size} px finds {found:.1%} of {faces} faces with p >= 0.99, "
            f"its points {error:.1%} of inter-ocular from ours"
        )
    same, different, rank1 = recognition(recogniser, people)
    yield f"{recogniser.name}, {people} people x 4: same {same:.3f}, different {different:.3f}, rank-1 {rank1:.1%}"
    if predictor is not None and real is not None:
        yield f"landmark predictor on real photographs: NME {landmark_error(predictor, real):.2%}"
