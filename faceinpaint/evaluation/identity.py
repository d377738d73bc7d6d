"""Face verification: is it still the same person? A judge's answer, from embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.recognisers import Recogniser


class Gallery:
    """The people of a test: everybody's photographs as a judge sees them.

    originals: (N, D) of length 1. identity: (N,) int64. threshold: cosine distance up to which two faces count as
    the same person. `references` says which photographs have another one of the same person beside them.
    """

    def __init__(self, originals: Tensor, identity: Tensor, threshold: float) -> None:
        self.originals, self.identity, self.threshold = originals, identity, threshold
        self.same = identity[:, None] == identity[None]
        self.same.fill_diagonal_(False)
        self.references = self.same.any(1)

    def measures(self, embedding: Tensor, index: Tensor) -> dict[str, Tensor]:
        """How alike completed faces (B, D) are to the people of the photographs `index` (B,) they were made from.

        cosine_self: with the original (tables 2 and 4 of the paper). cosine_reference: with the other photographs of
        the person, in the mean (table 5). verified_...: whether the judge would call the two the same person.
        rank1: whether, of all photographs but the original, the nearest shows the person. (B,) each; all but the
        first two NaN for who has one photograph only, since then there is no reference.
        """
        cosine = embedding @ self.originals.T  # B, N
        own = cosine.gather(1, index[:, None])[:, 0]
        same = self.same[index]
        count = same.sum(1)
        alone = count == 0
        accepted = (cosine >= 1 - self.threshold).float()
        nearest = cosine.scatter(1, index[:, None], -2.0).argmax(1)  # the original itself is out
        known_only_with_reference = {
            "cosine_reference": (cosine * same).sum(1) / count,
            "verified_reference": (accepted * same).sum(1) / count,
            "rank1": same.gather(1, nearest[:, None])[:, 0].float(),
        }
        return {"cosine_self": own, "verified_self": accepted.gather(1, index[:, None])[:, 0]} | {
            name: torch.where(alone, float("nan"), values) for name, values in known_only_with_reference.items()
        }


class Roc(NamedTuple):
    """A receiver operating characteristic: at each threshold, what is accepted rightly and what falsely.

    thresholds: cosine distances, rising. true_accepts, false_accepts: shares of the pairs of one person and of two.
    """

    thresholds: np.ndarray
    true_accepts: np.ndarray
    false_accepts: np.ndarray

    def at(self, threshold: float) -> tuple[float, float]:
        """True and false accepts at a threshold."""
        place = np.searchsorted(self.thresholds, threshold, side="right") - 1
        return (0.0, 0.0) if place < 0 else (float(self.true_accepts[place]), float(self.false_accepts[place]))

    def threshold_at(self, false_accepts: float) -> float:
        """The largest threshold at which no larger a share of the pairs of two people is accepted."""
        within = np.flatnonzero(self.false_accepts <= false_accepts)
        return float(self.thresholds[within[-1]]) if len(within) else 0.0


def roc(same: np.ndarray | Tensor, different: np.ndarray | Tensor) -> Roc:
    """The ROC of cosine distances between pictures of the same person, (N,), and of different people, (M,).

    Raises InputError where one of the two is empty.
    """
    same, different = np.sort(np.asarray(same, float)), np.sort(np.asarray(different, float))
    if not len(same) or not len(different):
        raise InputError(
            "a ROC needs pairs of the same person and of different people: give two people with two photos"
        )
    thresholds = np.unique(np.concatenate([same, different]))
    accepted = [np.searchsorted(pairs, thresholds, side="right") / len(pairs) for pairs in (same, different)]
    return Roc(thresholds, *accepted)


def pairs(embedding: Tensor, originals: Tensor, identity: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of faces (N, D) to *other* photographs (N, D) of the same person, and to those of other people.

    Face i was made from photograph i, or is it; that pair is left out.
    """
    distance = 1 - embedding @ originals.T
    same = identity[:, None] == identity[None]
    itself = torch.eye(len(identity), dtype=torch.bool)
    return distance[same & ~itself], distance[~same]


def require_independent(judge: Recogniser, weights: str, trained_by: str | None) -> None:
    """InputError where the judge is the network that a generator has learnt to please.

    weights: the generator's name. trained_by: the fingerprint of its identity loss' recogniser, None where not known.
    """
    if trained_by is not None and judge.fingerprint == trained_by:
        raise InputError(
            f"{weights} has learnt to please {judge.name}, whose verdict would flatter it: choose another "
            "--recogniser, or ask for it with --flattering-judge"
        )
