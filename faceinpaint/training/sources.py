"""Where the faces of a training run come from: folders, shards, the renderer, and mixtures of them.

    --faces synthetic:0.7 data/london:0.3

Every source hands out *blocks*: faces that are in memory together. A small folder is one block for ever; the
renderer, a stream of shards and a folder larger than the memory give a new block each period of the run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align
from faceinpaint.faces.backdrop import before_other_backgrounds
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.morph import morphed_people
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.sets import find_set
from faceinpaint.faces.shards import ShardedFaces, is_sharded
from faceinpaint.faces.synthetic.dataset import person_of, render_people
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import MixtureTraining

MARGIN = 1.25  # training pictures show this much more than the aligned crop, so that framing can vary
MEMORY = 2 * 1024**3  # bytes that the faces of one folder may take
RENDERED_PHOTOS = 4  # of each person in a block


@dataclass(frozen=True)
class FaceSpec:
    """What `--faces` says: a folder, a set's name or `synthetic`, and its share of the training faces."""

    name: str
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str | Path) -> FaceSpec:
        """From `NAME` or `NAME:WEIGHT`; InputError for a weight that is not above 0."""
        name, colon, number = str(text).rpartition(":")
        try:
            weight = float(number) if colon else None
        except ValueError:  # the colon belongs to the path
            weight = None
        if weight is None:
            return cls(str(text))
        if not 0 < weight < float("inf"):
            raise InputError(f"'{text}' gives {name} the weight {number}: give a number above 0")
        return cls(name, weight)


@dataclass(frozen=True)
class Need:
    """What a stage asks of all its sources.

    size: pixels of the training crop. labelled: only faces whose landmarks are known. predictor: fills in those
    that nobody knows. rendered: rendered faces of a block. people: how many the renderer invents, None for no end.
    morphs: people added to a folder, each a blend of two. backdrops: faces of a folder that come once more, before
    another background. validation: faces of a source, at most.
    """

    size: int
    seed: int = 0
    labelled: bool = False
    predictor: LandmarkPredictor | None = None
    rendered: int = 256
    people: int | None = None
    morphs: int = 0
    backdrops: int = 0
    validation: int = 48
    rank: int = 0
    processes: int = 1
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, settings: MixtureTraining, machine: Machine, size: int, seed: int, **special: object) -> Need:
        """That of a stage with these settings on this machine; special: what this stage asks for beside them."""
        return cls(
            size, seed, rendered=settings.rendered, morphs=settings.morphs, backdrops=settings.backdrops,
            device=machine.device, rank=machine.rank, processes=machine.processes, **special,
        )

    @property
    def wide(self) -> int:
        """Pixels of the pictures that crops of `size` are taken from."""
        return round(self.size * MARGIN)


class Source(Protocol):
    """One kind of faces. people: identities are below it."""

    people: int

    def block(self, period: int) -> Faces:
        """The training faces of a period, `Need.wide` pixels square, all landmarks known."""

    def validation(self) -> Faces:
        """Faces of people never trained on, aligned, `Need.size` pixels square."""


def open_source(spec: FaceSpec, need: Need) -> Source:
    """The source of a name; InputError for what is neither a folder, nor shards, nor the renderer."""
    if spec.name == "synthetic":
        return RenderedPeople(need)
    folder = find_set(spec.name)
    return Shards(folder, need) if is_sharded(folder) else Folder(folder, need)


class Folder:
    """A face folder. One that fits into memory is read once; of a larger one each period reads the next part."""

    def __init__(self, root: Path, need: Need) -> None:
        self.need = need
        self.root = root
        self.data = FaceFolder(root, "train", need.wide, MARGIN)
        self.people = len(self.data.identities) + need.morphs
        self.rows = self._usable(self.data)
        if not self.rows:
            raise InputError(f"no training face of {root} has landmarks: predict them first")
        self.at_once = max(1, MEMORY // (3 * 4 * need.wide**2))
        self._whole: Faces | None = None

    def _usable(self, data: FaceFolder) -> list[int]:
        rows = enumerate(data.rows)
        return [index for index, row in rows if row.landmarks is not None or not self.need.labelled]

    def block(self, period: int) -> Faces:
        if len(self.rows) > self.at_once:
            return self._read(self.data, self._part(period))
        if self._whole is None:
            self._whole = self._more(self._read(self.data, self.rows))
        return self._whole

    def _more(self, faces: Faces) -> Faces:
        """The faces, invented people, and some of all of them before another background."""
        if self.need.morphs:
            random = torch.Generator().manual_seed(self.need.seed)
            faces = Faces.cat([faces, self._numbered(morphed_people(faces, self.need.morphs, random))])
        if self.need.backdrops:
            random = torch.Generator().manual_seed(self.need.seed + 1)
            faces = Faces.cat([faces, before_other_backgrounds(faces, self.need.backdrops, random)])
        return faces

    def _numbered(self, morphs: Faces) -> Faces:
        """Identities of invented people follow those of the real ones without a gap."""
        _, person = morphs.identity.unique(return_inverse=True)
        return replace(morphs, identity=person + len(self.data.identities))

    def _part(self, period: int) -> list[int]:
        """The next rows of one shuffled pass after the other."""
        parts = len(self.rows) // self.at_once
        random = torch.Generator().manual_seed(self.need.seed + 7919 * (period // parts))
        order = torch.randperm(len(self.rows), generator=random).tolist()
        first = (period % parts) * self.at_once
        return [self.rows[index] for index in order[first : first + self.at_once]]

    def _read(self, data: FaceFolder, rows: Sequence[int]) -> Faces:
        # Into their place at once: joined afterwards, all pictures would for a moment be in memory twice.
        image = torch.empty(len(rows), 3, data.size, data.size)
        landmarks, identity, names = torch.empty(len(rows), 68, 2), torch.empty(len(rows), dtype=torch.int64), []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            faces = pool.map(data.__getitem__, rows)
            for place, face in enumerate(tqdm(faces, "reading faces", len(rows), leave=False)):
                image[place], landmarks[place], identity[place] = face.image[0], face.landmarks[0], face.identity[0]
                names += face.name
        return fill_landmarks(Faces(image, landmarks, identity, tuple(names)), self.need.predictor)

    def validation(self) -> Faces:
        data = FaceFolder(self.root, "val", self.need.size)
        rows = self._usable(data)
        if not rows:
            raise InputError(f"no validation face of {self.root} has landmarks: predict them first")
        chosen = torch.linspace(0, len(rows) - 1, min(self.need.validation, len(rows))).round().int().tolist()
        faces = Faces.cat([data[rows[index]] for index in chosen])
        return fill_landmarks(faces, self.need.predictor, margin=1.0)


class Shards:
    """A folder of Parquet shards, streamed; each period takes the next faces, each process its own."""

    def __init__(self, root: Path, need: Need) -> None:
        self.root, self.need = root, need
        self.data = ShardedFaces(
            root, "train", need.wide, MARGIN, need.labelled, need.seed, need.rank, need.processes
        )
        self.people = len(self.data.identities)
        self._next, self._batches = 0, None

    def block(self, period: int) -> Faces:
        if self._batches is None or period != self._next:
            self._batches = self.data.batches(self.need.rendered, period)
        self._next = period + 1
        return fill_landmarks(next(self._batches), self.need.predictor)

    def validation(self) -> Faces:
        need = self.need
        data = ShardedFaces(self.root, "val", need.size, 1.0, need.labelled)
        faces = Faces.cat(list(itertools.islice(data, need.validation)))
        return fill_landmarks(faces, need.predictor, margin=1.0)


class RenderedPeople:
    """People who do not exist, rendered as the run goes on; every period and every process has its own.

    Their numbers are those of `faceinpaint data synthetic`: who is there for validation or tests is never here.
    """

    def __init__(self, need: Need) -> None:
        self.need = need
        self.people = need.people or 0
        self.at_once = max(1, need.rendered // RENDERED_PHOTOS)  # people of a block

    def block(self, period: int) -> Faces:
        first = (period * self.need.processes + self.need.rank) * self.at_once
        if self.need.people is None:
            turn, people = 0, [*range(first, first + self.at_once)]
        else:  # the same people come back on other photographs
            turn = first // self.need.people
            people = [number % self.need.people for number in range(first, first + self.at_once)]
        photos = range(turn * RENDERED_PHOTOS, (turn + 1) * RENDERED_PHOTOS)
        blocks = [
            self.photographs("train", person, photos, self.need.wide, MARGIN)
            for person in tqdm(people, "rendering faces", leave=False)
        ]
        return Faces.cat(blocks)

    def validation(self) -> Faces:
        people = range(max(1, self.need.validation // 2))
        return Faces.cat([self.photographs("val", one, range(2), self.need.size, 1.0) for one in people])

    def photographs(
        self, split: str, person: int, photos: Sequence[int], pixels: int | None = None, margin: float = 1.0
    ) -> Faces:
        """Photographs of a split's person of this index, laid by their landmarks as those of a folder are."""
        pixels = pixels or self.need.size
        number = person_of(split, person)
        field = 1.15 * margin  # the face need not be in the middle
        faces = render_people(
            [number], photos, round(pixels * field), self.need.seed, supersample=1,
            device=self.need.device, field=field,
        ).to("cpu")
        identity = torch.full((len(faces),), person)
        return align.laid(Faces(faces.image, faces.landmarks, identity, faces.name), pixels, margin)


@torch.no_grad()
def fill_landmarks(faces: Faces, predictor: LandmarkPredictor | None, margin: float = MARGIN) -> Faces:
    """Predict the landmarks that nobody knows (NaN) from the whole, unhidden face.

    The predictor was trained on aligned crops, so it looks at the middle of pictures that show `margin` more.
    """
    unknown = faces.landmarks.isnan().any(dim=(1, 2)).nonzero()[:, 0]
    if predictor is None or not len(unknown):
        return faces
    device = next(predictor.parameters()).device
    pixels = faces.image.shape[-1]
    border = (pixels - round(pixels / margin)) // 2
    landmarks = faces.landmarks.clone()
    for some in unknown.split(64):
        image = F.pad(faces.image[some], [-border] * 4).to(device)
        landmarks[some] = predictor(image, torch.zeros_like(image[:, :1])).cpu() + border
    return replace(faces, landmarks=landmarks)
