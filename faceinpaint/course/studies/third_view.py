"""Does a second photograph of the person help? Judged by a third one, which the completion has not seen.

A completion that merely copied the reference would be like it; whether it is like the *person* only another photograph
can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.completion import Completer
from faceinpaint.course.studies.crowd import SPLITS
from faceinpaint.evaluation.examination import BATCH
from faceinpaint.evaluation.identity import roc
from faceinpaint.evaluation.measures import pixel_measures
from faceinpaint.evaluation.statistics import Difference, difference
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.sets import PORTRAITS, find_set
from faceinpaint.recognisers import Recogniser
from faceinpaint.training.sources import Need, RenderedPeople

WITHOUT, WITH = "without reference", "with reference"


class Trios(NamedTuple):
    """Three aligned photographs each of some people: one to complete, one to go by, one to judge by."""

    photo: Faces
    reference: Faces
    third: Faces

    @classmethod
    def rendered(cls, people: Sequence[int], size: int = 256, seed: int = 0) -> Trios:
        """Those of rendered people of the test split, by their numbers in it."""
        source = RenderedPeople(Need(size, seed))
        faces = Faces.cat([source.photographs("test", person, range(3)) for person in people])
        return cls(*[faces.select(torch.arange(first, len(faces), 3)) for first in range(3)])

    @classmethod
    def photographed(
        cls, folder: str | Path = PORTRAITS, size: int = 256, people: int | None = None, splits: Sequence[str] = SPLITS,
    ) -> Trios:
        """Those of people with two photographs in a face folder, the first so many by their names.

        Few people have a third photograph there, so the judge is shown the untouched one itself: the visible part is
        alike in it, with a reference or without one. InputError where nobody has two.
        """
        data = FaceFolder(find_set(folder), None, size)
        numbers = {}
        for number, row in enumerate(data.rows):
            if row.split in splits:
                numbers.setdefault(row.identity, []).append(number)
        pairs = [numbers[person][:2] for person in sorted(numbers) if len(numbers[person]) > 1][:people]
        if not pairs:
            raise InputError(f"nobody has two photographs in {folder}, splits {', '.join(splits)}: give other people")
        photo, reference = (Faces.cat([data[pair[place]] for pair in pairs]) for place in (0, 1))
        return cls(photo, reference, photo)


@dataclass(frozen=True)
class Sighting:
    """One completion. cosine: with the third photograph; cosine_open: of the open photo with the third one."""

    person: int
    mask: str
    method: str
    psnr: float
    sharpness: float
    cosine: float
    cosine_open: float


@torch.no_grad()
def sightings(trios: Trios, completer: Completer, judge: Recogniser, names: Sequence[str]) -> list[Sighting]:
    """Complete every photo under the masks of some names, without and with its reference, and ask the judge."""
    third = _embed(judge, trios.third, trios.third.image)
    opened = (_embed(judge, trios.photo, trios.photo.image) * third).sum(1)
    seen = []
    for name in names:
        for first in range(0, len(trios.photo), BATCH):
            part = slice(first, first + BATCH)
            photo, reference = trios.photo[part], completer.reference_from(trios.reference[part].image)
            size = photo.image.shape[-1]
            mask = masks.named(name, size, photo.landmarks, torch.Generator().manual_seed(first))
            mask = mask.expand(len(photo), -1, -1, -1)
            for method, given in ((WITHOUT, None), (WITH, reference)):
                completed = completer.complete(photo.image, mask, given)[0].cpu().float()
                pixels = pixel_measures(completed, photo.image, mask)
                cosine = (_embed(judge, photo, completed) * third[part]).sum(1)
                rows = zip(photo.identity, pixels["psnr"], pixels["sharpness"], cosine, opened[part])
                seen += [Sighting(int(one[0]), name, method, *map(float, one[1:])) for one in rows]
    return seen


def distance_at(trios: Trios, judge: Recogniser, false_accepts: float) -> float:
    """The largest distance at which no more of the pairs of different people are taken for one person.

    Pairs of an open photo and the third photographs. A judge's own threshold was found among other people; this one is
    fair to those at hand. false_accepts: a share.
    """
    distance = 1 - _embed(judge, trios.photo, trios.photo.image) @ _embed(judge, trios.third, trios.third.image).T
    own = torch.eye(len(distance), dtype=torch.bool)
    return roc(distance[own], distance[~own]).threshold_at(false_accepts)


def gain(seen: Sequence[Sighting], names: Sequence[str], threshold: float | None = None) -> Difference:
    """By how much the cosine is higher for completions with a reference, under the masks of some names.

    threshold: by how much more often they are accepted instead, up to that distance to the third photograph.
    """
    kept = [one for one in seen if one.mask in names]
    guided, plain = ([one for one in kept if one.method == method] for method in (WITH, WITHOUT))
    found = [
        [one.cosine if threshold is None else float(1 - one.cosine <= threshold) for one in some]
        for some in (guided, plain)
    ]
    return difference(*found, [str(one.person) for one in guided])


def _embed(judge: Recogniser, faces: Faces, images: Tensor) -> Tensor:
    """Embeddings of pictures whose faces are where those of `faces` are."""
    pairs = zip(images.split(BATCH), faces.landmarks.split(BATCH))
    return torch.cat([judge.embed(*pair) for pair in pairs])
