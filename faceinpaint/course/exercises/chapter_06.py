"""Exercises of chapter 06: the PSNR of a hole, a threshold, an interval by person, and rank 1."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.course.exercises.exercise import Exercise, near

# ------------------------------------------------------------------------------------------------ 06.1


def psnr_of_hole(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB of the unknown pixels alone, (B,)."""
    squared = (completed - image).square() * mask
    error = squared.sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))
    return -10 * error.log10()


def _two_holes() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(0)
    image, completed = torch.rand(2, 3, 8, 12, generator=random), torch.rand(2, 3, 8, 12, generator=random)
    return {"two pictures": (completed, image, (torch.rand(2, 1, 8, 12, generator=random) < 0.3).float())}


def _mean_of_logarithms(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    return (-10 * ((completed - image).square() * mask).log10()).mean(dim=(1, 2, 3))


PSNR_OF_HOLE = Exercise(
    hints=(
        "The squared error times the mask leaves the unknown pixels. What do you have to divide their sum by?",
        "For each picture: the sum over <code>dim=(1, 2, 3)</code>, over three times the sum of its mask.",
        "<code>-10 * error.log10()</code>, since the largest value is 1.",
    ),
    solved_by=psnr_of_hole,
    what="the PSNR of two pictures",
    cases=_two_holes,
    mistakes={
        "your PSNR is that of the whole picture; leave the known pixels out.":
            lambda completed, image, mask: psnr_of_hole(completed, image, torch.ones_like(mask)),
        "your PSNR is too high, since you divide by all pixels; divide by those that are unknown.":
            lambda completed, image, mask: -10 * ((completed - image).square() * mask).mean(dim=(1, 2, 3)).log10(),
        "your PSNR is too low by 4.8 dB; every unknown pixel has three values.":
            lambda completed, image, mask: psnr_of_hole(3**0.5 * completed, 3**0.5 * image, mask),
        "your PSNR is of the wrong sign; a smaller error is a higher PSNR.":
            lambda completed, image, mask: -psnr_of_hole(completed, image, mask),
        "your PSNR is infinite; known pixels have no error, and that has no logarithm. Add up the errors first.":
            _mean_of_logarithms,
        "a mask has one channel and a picture has three, so that it can't pick pixels by `[mask > 0]`; multiply the "
        "squared error by the mask.":
            lambda completed, image, mask: completed[mask > 0],
    },
)

# ------------------------------------------------------------------------------------------------ 06.2


def threshold(different: Tensor, false_accepts: float) -> float:
    """The largest of the distances up to which no larger a share of them is accepted; 0 where there is none."""
    distances = different.sort().values
    accepted = int(false_accepts * len(distances) + 1e-9)
    return distances[accepted - 1].item() if accepted else 0.0


def _distances() -> dict[str, tuple]:
    different = torch.rand(1000, generator=torch.Generator().manual_seed(1)) + 0.2  # all of them different
    many = {f"1000 pairs and a share of {share}": (different, share) for share in (0.01, 0.1, 0.001)}
    return many | {"three pairs and a share of 0.1": (torch.tensor([0.4, 0.3, 0.5]), 0.1)}


THRESHOLD = Exercise(
    hints=(
        "Sort the distances. Who is accepted first when the threshold rises?",
        "Of N pairs, <code>int(false_accepts * N)</code> may be accepted: count so many from the smallest on.",
        "<code>distances[count - 1]</code>, and 0 where the count is 0.",
    ),
    solved_by=threshold,
    what="a threshold",
    cases=_distances,
    mistakes={
        "you take the share from the largest distances; who is *near* is accepted, so count from the smallest.":
            lambda different, false_accepts: torch.quantile(different, 1 - false_accepts).item(),
        "you count from the largest distance; who is *near* is accepted.":
            lambda different, false_accepts: -threshold(-different, false_accepts),
        "your threshold lies between two distances, as a quantile does; return the lower one.":
            lambda different, false_accepts: torch.quantile(different, false_accepts).item(),
        "at your threshold one pair more than allowed is accepted; the first of `distances` is number 0.":
            lambda different, false_accepts: different.sort().values[int(false_accepts * len(different))].item(),
        "with three pairs and a share of 10 %, none may be accepted: then the threshold is 0.":
            lambda different, false_accepts: threshold(different, false_accepts) or different.min().item(),
    },
    same=partial(near, rtol=1e-6),
)

# ------------------------------------------------------------------------------------------------ 06.3


def resampled_means(values: Tensor, person: Tensor, drawn: Tensor) -> Tensor:
    """The mean of each resample: of all rows of all people that were drawn for it, (R,)."""
    sums = torch.zeros(drawn.shape[1]).index_add(0, person, values)
    counts = torch.bincount(person, minlength=drawn.shape[1]).float()
    return sums[drawn].sum(1) / counts[drawn].sum(1)


def _resamples() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(2)
    person = torch.tensor([0, 0, 0, 0, 1, 2, 2, 3, 3, 3])  # one with four photographs, one with a single one
    values = torch.randn(10, generator=random) + person * 3
    return {"six resamples of four people": (values, person, torch.randint(4, (6, 4), generator=random))}


def _mean_of_means(values: Tensor, person: Tensor, drawn: Tensor) -> Tensor:
    return torch.stack([values[person == one].mean() for one in range(drawn.shape[1])])[drawn].mean(1)


def _over(number: int, values: Tensor, person: Tensor, drawn: Tensor) -> Tensor:
    """The sum of each resample over a number."""
    return torch.zeros(drawn.shape[1]).index_add(0, person, values)[drawn].sum(1) / number


def _without_repetition(values: Tensor, person: Tensor, drawn: Tensor) -> Tensor:
    return torch.stack([values[torch.isin(person, row)].mean() for row in drawn])


RESAMPLED_MEANS = Exercise(
    hints=(
        "First each person's sum and number of rows; a resample is a sum of such sums over a sum of such numbers.",
        "<code>torch.zeros(P).index_add(0, person, values)</code> adds up the rows of each person.",
        "<code>sums[drawn].sum(1) / counts[drawn].sum(1)</code>: indexing with numbers that repeat repeats.",
    ),
    solved_by=resampled_means,
    what="one mean for each of six resamples",
    cases=_resamples,
    mistakes={
        "you take the mean of the people's means; who has more rows counts more.":
            _mean_of_means,
        "you take the rows with the numbers that were drawn; those are numbers of people.":
            lambda values, person, drawn: values[drawn].mean(1),
        "you divide by the number of all rows; a resample has rows of its own, as many as its people have.":
            partial(_over, 10),
        "you divide by the number of people; divide by the number of their rows.":
            partial(_over, 4),
        "you leave out who is drawn again; who is drawn twice counts twice.":
            _without_repetition,
    },
)

# ------------------------------------------------------------------------------------------------ 06.4


def rank1(completed: Tensor, originals: Tensor, identity: Tensor) -> float:
    """The share of completed faces whose nearest photograph, but for their own original, shows the same person."""
    cosine = completed @ originals.T
    cosine.fill_diagonal_(-2)
    return (identity[cosine.argmax(1)] == identity).float().mean().item()


def _gallery() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(3)
    identity = torch.arange(20).repeat_interleave(2)
    people = torch.randn(20, 16, generator=random)[identity]
    originals = F.normalize(people + 0.9 * torch.randn(40, 16, generator=random), dim=1)
    completed = F.normalize(originals + 0.25 * torch.randn(40, 16, generator=random), dim=1)
    return {"40 faces of 20 people": (completed, originals, identity)}


def _share_found(nearest: Tensor, identity: Tensor) -> float:
    return (identity[nearest] == identity).float().mean().item()


def _number_as_person(completed: Tensor, originals: Tensor, identity: Tensor) -> float:
    nearest = (completed @ originals.T).fill_diagonal_(-2).argmax(1)
    return (nearest == identity).float().mean().item()


def _without_the_person(completed: Tensor, originals: Tensor, identity: Tensor) -> float:
    cosine = (completed @ originals.T).masked_fill(identity[:, None] == identity, -2)
    return _share_found(cosine.argmax(1), identity)


RANK1 = Exercise(
    hints=(
        "<code>completed @ originals.T</code> has all cosines: row i is face i, column j photograph j.",
        "Face i was made from photograph i: <code>fill_diagonal_</code> with something that is never the largest.",
        "<code>identity[cosine.argmax(1)] == identity</code> says for whom the nearest is right.",
    ),
    solved_by=rank1,
    what="a share",
    cases=_gallery,
    mistakes={
        "nearly everybody is found: a face's own original is in your gallery; leave it out.":
            lambda completed, originals, identity: _share_found((completed @ originals.T).argmax(1), identity),
        "you find nobody; leave out each face's *own* original only, not all photographs of the person.":
            _without_the_person,
        "you look for the nearest face of each photograph; look for the nearest photograph of each face, dim 1.":
            lambda completed, originals, identity: rank1(originals, completed, identity),
        "you take the second nearest; a face's own original is not always the nearest, so leave out that one.":
            lambda completed, originals, identity:
            _share_found((completed @ originals.T).topk(2).indices[:, 1], identity),
        "you compare the number of a photograph with a person; `identity[cosine.argmax(1)]` is who is on it.":
            _number_as_person,
    },
)

EXERCISES = {"06.1": PSNR_OF_HOLE, "06.2": THRESHOLD, "06.3": RESAMPLED_MEANS, "06.4": RANK1}
