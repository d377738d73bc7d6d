"""Batches, and what each holds at every step: which face, photographed anew how, hidden by which mask.

All of it follows from the seed and the *position* in the run alone, never from what was drawn before: a resumed
run sees what the undisturbed one would have seen, whatever the number of workers, and process r of n that train
together on a folder sees the r-th part of what one process with the n-fold batch would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.augment import augment
from faceinpaint.faces.batch import Faces
from faceinpaint.training.sources import FaceSpec, Need, open_source

SLOTS = 1000  # a mixture's shares are rounded to thousandths


@dataclass(frozen=True)
class MaskedFaces(Faces):
    """Faces and what is hidden of them.

    mask: (B, 1, H, W), 1 = unknown. mirrored: (B, 1, H, W), 1 where the other side of the face is visible.
    """

    mask: Tensor | None = None
    mirrored: Tensor | None = None

    @property
    def unseen(self) -> Tensor:
        """Where neither side of the face is visible, (B, 1, H, W); the whole hole where nobody has looked."""
        return self.mask if self.mirrored is None else self.mask * (1 - self.mirrored)


class Mixture:
    """The faces of all sources of a run, in the shares that were asked for.

    specs: `NAME` or `NAME:WEIGHT` each. masks: one of `masks.MIXES`, or "none". same_person: keep the proportions of
    faces.
    """

    def __init__(
        self, specs: Sequence[str], need: Need, masks: str = "all", same_person: bool = False
    ) -> None:
        if not specs:
            raise InputError("there are no faces to train on: give --faces a folder or synthetic")
        chosen = [FaceSpec.parse(spec) for spec in specs]
        self.need, self.masks, self.same_person = need, masks, same_person
        self.sources = [open_source(spec, need) for spec in chosen]
        self.slots = slots_of([spec.weight for spec in chosen], need.seed)
        self.people = sum(source.people for source in self.sources)
        self._period, self._blocks = -1, []

    def blocks(self, period: int) -> list[Faces]:
        """The faces of every source in a period; identities of one source follow those of the one before.

        They are kept until another period is asked for: reading or rendering them takes minutes.
        """
        if period != self._period:
            self._period, self._blocks = -1, []  # those go before these come
            self._blocks, first = [], 0
            for source in self.sources:
                block = source.block(period)
                self._blocks.append(Faces(block.image, block.landmarks, block.identity + first, block.name))
                first += source.people
            self._period = period
        return self._blocks

    def validation(self) -> Faces:
        """Aligned faces of people never trained on, of every source."""
        parts, first = [], 0
        for source in self.sources:
            part = source.validation()
            parts.append(Faces(part.image, part.landmarks, part.identity + first, part.name))
            first += int(part.identity.max()) + 1
        return Faces.cat(parts)

    def photographs(self, period: int) -> PhotographedAnew:
        """The faces of a period, by the positions of the run."""
        return PhotographedAnew(
            self.blocks(period), self.slots, self.need.size, self.need.seed, self.masks, self.same_person
        )

    def batches(self, batch: int, done: int, steps: int, refresh: int, workers: int = 0) -> Iterator[MaskedFaces]:
        """This process's batches of the steps after `done`; new blocks every `refresh` steps."""
        together = batch * self.need.processes
        step = done
        while step < steps:
            period = step // refresh
            end = min((period + 1) * refresh, steps)
            mine = [
                range(first, first + batch)
                for first in range(step * together + self.need.rank * batch, end * together, together)
            ]
            yield from DataLoader(
                self.photographs(period), batch_sampler=mine, collate_fn=MaskedFaces.cat, num_workers=workers,
                pin_memory=workers > 0 and torch.cuda.is_available(),
            )
            step = end


class PhotographedAnew(Dataset):
    """Position in a run -> one face, photographed anew and partly hidden."""

    def __init__(
        self, blocks: list[Faces], slots: np.ndarray, size: int, seed: int, masks: str, same_person: bool
    ) -> None:
        self.blocks, self.size, self.seed = blocks, size, seed
        self.masks, self.same_person = masks, same_person
        self.slots = slots
        self.rank = rank_among_equals(slots)
        self.counts = np.bincount(slots)

    def __getitem__(self, position: int) -> MaskedFaces:
        source, index = self.place(position)
        random = torch.Generator().manual_seed(self.seed * 1_000_000_007 + position)
        face = self.blocks[source].select(torch.tensor([index]))
        face = augment(face, self.size, random, self.same_person)
        if self.masks == "none":
            mask = torch.zeros(1, 1, self.size, self.size)
        else:
            mask = masks.random_training_mask(face.landmarks, self.size, random, masks.MIXES[self.masks])
        return MaskedFaces(face.image, face.landmarks, face.identity, face.name, mask)

    def place(self, position: int) -> tuple[int, int]:
        """The source of a position and the face in its block: pass after pass, each in an order of its own."""
        turn, slot = divmod(position, len(self.slots))
        source = int(self.slots[slot])
        draw = turn * int(self.counts[source]) + int(self.rank[slot])
        count = len(self.blocks[source])
        return source, int(shuffled(count, draw // count, self.seed)[draw % count])


def slots_of(weights: Sequence[float], seed: int) -> np.ndarray:
    """Which source serves which of a thousand positions in a row, (SLOTS,), in the shares of the weights.

    Exactly in these shares, where drawing at random would only be near. Raises InputError for a share too small.
    """
    edges = np.round(np.cumsum(weights) / np.sum(weights) * SLOTS).astype(int)
    counts = np.diff(edges, prepend=0)
    if counts.min() < 1:
        raise InputError(f"one of the faces has less than a {SLOTS}th of the weight: leave it out, or give it more")
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def rank_among_equals(values: np.ndarray) -> np.ndarray:
    """How many equal values stand before each one: [a, b, a, a] -> [0, 0, 1, 2]."""
    rank = np.empty(len(values), dtype=int)
    for value in np.unique(values):
        places = np.flatnonzero(values == value)
        rank[places] = np.arange(len(places))
    return rank


@lru_cache(maxsize=16)
def shuffled(count: int, turn: int, seed: int) -> np.ndarray:
    """The numbers below `count` in the order of one pass."""
    return np.random.default_rng((seed, turn, count)).permutation(count)
