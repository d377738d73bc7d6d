"""Exercises of chapter 06: the PSNR of a hole, a threshold, an interval by person, and rank 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.course.exercises.by_hand import farthest, instead_of, near, require, require_number, require_tensor

# ------------------------------------------------------------------------------------------------ 06.1


def psnr_of_hole(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB of the unknown pixels alone, (B,)."""
    squared = (completed - image).square() * mask
    error = squared.sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))
    return -10 * error.log10()


def _test_psnr_of_hole(answer: Callable) -> None:
    random = torch.Generator().manual_seed(0)
    image, completed = torch.rand(2, 3, 8, 12, generator=random), torch.rand(2, 3, 8, 12, generator=random)
    mask = (torch.rand(2, 1, 8, 12, generator=random) < 0.3).float()
    hidden = 3 * int(mask.sum())
    with instead_of("shape of the mask", "a mask has one channel and a picture has three, so that it can't pick pixels "
                    "by `[mask > 0]`; multiply the squared error by the mask."):
        found = answer(completed.clone(), image.clone(), mask.clone())
    shape = tuple(getattr(found, "shape", ()))
    require(not isinstance(found, Tensor) or shape != (),
            "you return one number for two pictures; sum over `dim=(1, 2, 3)`, and each keeps its own.")
    require(shape != (hidden,), f"you return {hidden} numbers, one for each value in the holes; picking by a mask "
            "makes one long line of all pictures. Multiply by the mask, and sum over `dim=(1, 2, 3)`.")
    if isinstance(found, Tensor):
        require(
            not found.isinf().any(),
            "your PSNR is infinite; known pixels have no error, and that has no logarithm. Add up the errors first.",
        )
    require_tensor(found, (2,), "the PSNR of two pictures")
    right = psnr_of_hole(completed, image, mask)
    squared, hole = (completed - image).square() * mask, mask.sum(dim=(1, 2, 3))
    every = squared.sum(dim=(1, 2, 3))
    whole = -10 * (completed - image).square().mean(dim=(1, 2, 3)).log10()
    others = {
        "that of the whole picture; leave the known pixels out": whole,
        "one for both pictures together; give each its own":
            (-10 * (every.sum() / (3 * hole.sum())).log10()).expand(2),
        "too high, since you divide by all pixels; divide by those that are unknown":
            -10 * squared.mean(dim=(1, 2, 3)).log10(),
        "too low by 4.8 dB; every unknown pixel has three values": -10 * (every / hole).log10(),
        "that of the known pixels; a mask is 1 where they are unknown": psnr_of_hole(completed, image, 1 - mask),
        "too low by far, since you divide by nothing; the mean is over the unknown pixels": -10 * every.log10(),
        "too low, since you don't square; it is the mean *squared* error":
            -10 * (((completed - image).abs() * mask).sum(dim=(1, 2, 3)) / (3 * hole)).log10(),
        "48 dB too high; these pictures go up to 1, and not to 255":
            right + 20 * torch.log10(torch.tensor(255.0)),
        "that of the squared error's square root; one of the two 10s should be 20, or no root": right / 2,
        "twice too high; the error is squared already, so take 10 and not 20": 2 * right,
        "of the wrong sign; a smaller error is a higher PSNR": -right,
        "made with the natural logarithm; take log10": right * torch.log(torch.tensor(10.0)),
    }
    for what, other in others.items():
        require(not near(found, other), f"your PSNR is {what}.")
    worst = farthest(found, right)
    require(near(found, right), f"the PSNR of hole {worst} is {found[worst]:.2f} dB; it is to be {right[worst]:.2f}.")


# ------------------------------------------------------------------------------------------------ 06.2


def threshold(different: Tensor, false_accepts: float) -> float:
    """The largest of the distances up to which no larger a share of them is accepted; 0 where there is none."""
    distances = different.sort().values
    accepted = int(false_accepts * len(distances) + 1e-9)
    return distances[accepted - 1].item() if accepted else 0.0


def _test_threshold(answer: Callable) -> None:
    different = torch.rand(1000, generator=torch.Generator().manual_seed(1)) + 0.2  # all of them different
    for share in (0.01, 0.1, 0.001):
        found = answer(different.clone(), share)
        require(found is not None, "your function returns nothing; it is to return a distance.")
        found = require_number(found, "a threshold")
        right = threshold(different, share)
        accepted = int((different <= found).sum()) / len(different)
        require(
            abs(found - torch.quantile(different, 1 - share).item()) > 1e-4,
            f"at your threshold {accepted:.1%} of the pairs are accepted; who is *near* is accepted, so count from "
            "the smallest distance.",
        )
        largest = different.sort(descending=True).values[int(share * len(different) + 1e-9) - 1].item()
        require(abs(found - largest) > 1e-6, "you count from the largest distance; who is *near* is accepted.")
        require(
            accepted <= share + 1e-9,
            f"at your threshold of {found:.4f}, {accepted:.2%} of the pairs are accepted; {share:.2%} are allowed.",
        )
        require(
            found < right + 1e-6,
            f"your threshold of {found:.4f} lies between two distances, as a quantile does; return the lower one, "
            f"{right:.4f}.",
        )
        require(
            abs(found - right) < 1e-6,
            f"at your threshold of {found:.4f}, {accepted:.2%} are accepted; it could be as large as {right:.4f}.",
        )
    few = torch.tensor([0.4, 0.3, 0.5])
    require(
        require_number(answer(few.clone(), 0.1), "a threshold") == 0,
        "with three pairs and a share of 10 %, none may be accepted: then the threshold is 0.",
    )


# ------------------------------------------------------------------------------------------------ 06.3


def resampled_means(values: Tensor, person: Tensor, drawn: Tensor) -> Tensor:
    """The mean of each resample: of all rows of all people that were drawn for it, (R,)."""
    sums = torch.zeros(drawn.shape[1]).index_add(0, person, values)
    counts = torch.bincount(person, minlength=drawn.shape[1]).float()
    return sums[drawn].sum(1) / counts[drawn].sum(1)


def _test_resampled_means(answer: Callable) -> None:
    random = torch.Generator().manual_seed(2)
    person = torch.tensor([0, 0, 0, 0, 1, 2, 2, 3, 3, 3])  # one with four photographs, one with a single one
    values = torch.randn(10, generator=random) + person * 3
    drawn = torch.randint(4, (6, 4), generator=random)
    found = answer(values.clone(), person.clone(), drawn.clone())
    require(
        tuple(getattr(found, "shape", ())) != (4,),
        "you return one number for each of 4 people; a resample is a row of `drawn`, so sum over `dim=1`.",
    )
    require_tensor(found, (6,), "one mean for each of six resamples")
    sums = torch.zeros(4).index_add(0, person, values)[drawn].sum(1)
    right = resampled_means(values, person, drawn)
    means = torch.stack([values[person == one].mean() for one in range(4)])
    sets = torch.stack([torch.isin(person, row).float() for row in drawn])
    others = {
        "the same for each resample; only who is drawn is in it": values.mean().expand(6),
        "the mean of the people's means; who has more rows counts more": means[drawn].mean(1),
        "of the rows with the numbers that were drawn; those are numbers of people": values[drawn].mean(1),
        "sums over the number of all rows; a resample has rows of its own, as many as its people have":
            sums / len(values),
        "sums over the number of people; divide by the number of their rows": sums / 4,
        "sums of the people's means; a resample is a sum of rows over a number of rows": means[drawn].sum(1),
        "all that of the first resample; each row of `drawn` has its own": right[:1].expand(6),
        "without repetition; who is drawn twice counts twice": (sets @ values) / sets.sum(1),
    }
    for what, other in others.items():
        require(not near(found, other), f"your means are {what}.")
    worst = farthest(found, right)
    require(near(found, right), f"mean {worst} is {found[worst]:.3f}; it is to be {right[worst]:.3f}.")


# ------------------------------------------------------------------------------------------------ 06.4


def rank1(completed: Tensor, originals: Tensor, identity: Tensor) -> float:
    """The share of completed faces whose nearest photograph, but for their own original, shows the same person."""
    cosine = completed @ originals.T
    cosine.fill_diagonal_(-2)
    return (identity[cosine.argmax(1)] == identity).float().mean().item()


def _test_rank1(answer: Callable) -> None:
    random = torch.Generator().manual_seed(3)
    identity = torch.arange(20).repeat_interleave(2)
    people = torch.randn(20, 16, generator=random)[identity]
    originals = F.normalize(people + 0.9 * torch.randn(40, 16, generator=random), dim=1)
    completed = F.normalize(originals + 0.25 * torch.randn(40, 16, generator=random), dim=1)
    given = completed.clone(), originals.clone(), identity.clone()
    found = answer(*given)
    require(found is not None, "your function returns nothing; it is to return a share.")
    found, right = require_number(found, "a share"), rank1(completed, originals, identity)
    cosine = completed @ originals.T
    itself = (identity[cosine.argmax(1)] == identity).float().mean().item()
    farthest = (identity[cosine.argmin(1)] == identity).float().mean().item()
    require(
        abs(found - itself) > 1e-6,
        "nearly everybody is found: a face's own original is in your gallery; leave it out.",
    )
    cosine.fill_diagonal_(-2)
    other_way = (identity[cosine.argmax(0)] == identity).float().mean().item()
    require(
        abs(found - other_way) > 1e-6,
        "you look for the nearest face of each photograph; look for the nearest photograph of each face, dim 1.",
    )
    require(
        abs(found - rank1(originals, originals, identity)) > 1e-6,
        "you compare photographs with photographs; the completed faces are to be found among them.",
    )
    if found == farthest == 0:
        # Nobody is found in more ways than one: see whether the opposite faces are.
        opposite = require_number(answer(-completed, originals.clone(), identity.clone()), "a share")
        require(
            opposite > 0.5,
            "you find nobody; leave out each face's *own* original only, and compare who is on the nearest one, "
            "`identity[...]`.",
        )
    require(
        abs(found - 1) > 1e-6,
        "everybody is found: what you put on the diagonal makes each face's own original the nearest.",
    )
    second = identity[(completed @ originals.T).topk(2, dim=1).indices[:, 1]]
    require(
        abs(found - (second == identity).float().mean().item()) > 1e-6,
        "you take the second nearest; a face's own original is not always the nearest, so leave out that one.",
    )
    require(
        abs(found - (cosine.argmax(1) == identity).float().mean().item()) > 1e-6,
        "you compare the number of a photograph with a person; `identity[cosine.argmax(1)]` is who is on it.",
    )
    require(
        abs(found - rank1(completed, completed, identity)) > 1e-6,
        "you look for completed faces among completed faces; the gallery holds the photographs.",
    )
    require(abs(found - farthest) > 1e-6, "you take the farthest photograph; a larger cosine is nearer.")
    require(abs(found - right * 40) > 1e-4, "you count faces; return a share.")
    require(0 <= found <= 1, f"you return {found:.3g}; a share is between 0 and 1.")
    require(abs(found - right) < 1e-6, f"you find {found:.1%} of the people; it is to be {right:.1%}.")


EXERCISES = {
    "06.1": (
        (
            "The squared error times the mask leaves the unknown pixels. What do you have to divide their sum by?",
            "For each picture: the sum over <code>dim=(1, 2, 3)</code>, over three times the sum of its mask.",
            "<code>-10 * error.log10()</code>, since the largest value is 1.",
        ),
        psnr_of_hole, _test_psnr_of_hole,
    ),
    "06.2": (
        (
            "Sort the distances. Who is accepted first when the threshold rises?",
            "Of N pairs, <code>int(false_accepts * N)</code> may be accepted: count so many from the smallest on.",
            "<code>distances[count - 1]</code>, and 0 where the count is 0.",
        ),
        threshold, _test_threshold,
    ),
    "06.3": (
        (
            "First each person's sum and number of rows; a resample is a sum of such sums over a sum of such numbers.",
            "<code>torch.zeros(P).index_add(0, person, values)</code> adds up the rows of each person.",
            "<code>sums[drawn].sum(1) / counts[drawn].sum(1)</code>: indexing with numbers that repeat repeats.",
        ),
        resampled_means, _test_resampled_means,
    ),
    "06.4": (
        (
            "<code>completed @ originals.T</code> has all cosines: row i is face i, column j photograph j.",
            "Face i was made from photograph i: <code>fill_diagonal_</code> with something that is never the largest.",
            "<code>identity[cosine.argmax(1)] == identity</code> says for whom the nearest is right.",
        ),
        rank1, _test_rank1,
    ),
}
