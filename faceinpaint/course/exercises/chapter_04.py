"""Exercises of chapter 04: losses."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise

# ------------------------------------------------------------------------------------------------ 04.1


def hole_error(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of each face over its own hole, (B, 3, H, W) twice and (B, 1, H, W) -> (B,)."""
    squared = (completed - image).square() * mask
    return squared.sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))


def _three_faces() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(0)
    image = torch.rand(3, 3, 16, 12, generator=random)
    mask = torch.zeros(3, 1, 16, 12)
    mask[0, :, :4, :4] = mask[1, :, 8:] = mask[2, :, :, :5] = 1
    error = torch.rand(image.shape, generator=random) - 0.3
    return {
        "three faces": (image + error * mask, image, mask),
        "pictures that differ outside the hole, too,": (image + error, image, mask),
    }


HOLE_ERROR = Exercise(
    hints=(
        "Square the differences, multiply by the mask, and sum over all axes but the first: "
        "<code>.sum(dim=(1, 2, 3))</code>.",
        "Divide by the number of values that you have added up. A mask is 1 in the hole, so its sum is the number "
        "of hidden pixels; each of them has three colours.",
    ),
    solved_by=hole_error,
    what="one error for each of three faces",
    cases=_three_faces,
    mistakes={
        "what you return is the mean over the whole picture, so a small hole counts little; divide by the pixels of "
        "the hole.":
            lambda completed, image, mask: ((completed - image).square() * mask).mean(dim=(1, 2, 3)),
        "what you return is three times too large; each pixel of the hole has three colours.":
            lambda completed, image, mask: 3 * hole_error(completed, image, mask),
        "what you return is the sum and not the mean; divide by three times the pixels of the hole.":
            lambda completed, image, mask: ((completed - image).square() * mask).sum(dim=(1, 2, 3)),
        "what you return is the mean of absolute differences; square them.":
            lambda completed, image, mask: hole_error((completed - image).abs().sqrt(), torch.zeros(()), mask),
        "you count differences outside the hole, which is right only where the picture is already pasted; multiply by "
        "the mask.":
            lambda completed, image, mask: (completed - image).square().sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3))),
        "a mask has one channel and a picture has three, so that it can't pick pixels by `[mask == 1]`; multiply the "
        "squared error by the mask.":
            lambda completed, image, mask: (completed - image)[mask == 1],
    },
)

# ------------------------------------------------------------------------------------------------ 04.2


def gram(maps: Tensor) -> Tensor:
    """Mean product of each two channels over all positions, (B, C, h, w) -> (B, C, C)."""
    flat = maps.flatten(2)  # B, C, h w
    return flat @ flat.mT / flat.shape[2]


GRAM = Exercise(
    hints=(
        "Lay the positions into one axis: <code>maps.flatten(2)</code> has the shape (B, C, h · w).",
        "<code>a @ b</code> multiplies matrices, face by face, and <code>.mT</code> exchanges their last two axes. "
        "(C × N) times (N × C) is C × C. Divide by N.",
    ),
    solved_by=gram,
    what="a Gram matrix of 3 channels for each of two faces",
    cases=lambda: {"two faces": (torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)),)},
    mistakes={
        "what you return is the sum over the positions, which is larger for larger pictures; divide by h · w.":
            lambda maps: gram(maps) * maps[0, 0].numel(),
        "what you return is divided by C · h · w; the mean over positions alone is wanted.":
            lambda maps: gram(maps) / maps.shape[1],
        "you multiply each channel with itself only; each with *each* is wanted, `flat @ flat.mT`.":
            lambda maps: maps.square().mean(dim=(2, 3)),
        "you multiply positions with positions; channels with channels are wanted, `flat @ flat.mT`.":
            lambda maps: maps.flatten(2).mT @ maps.flatten(2),
        "you multiply within one channel; lay its positions into one axis first, `maps.flatten(2)`.":
            lambda maps: maps @ maps.mT,
        "of three axes `.T` reverses all, the faces as well; `.mT` exchanges the last two.":
            lambda maps: maps.flatten(2) @ maps.flatten(2).permute(2, 1, 0),
    },
)

# ------------------------------------------------------------------------------------------------ 04.3


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss, averaged: logits of photographs above 1, of paint below -1."""
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def _logits() -> dict[str, tuple]:
    tries = (
        ([-1.5, 0.5, 3.0], [-3.5, 0.25, 2.0]),
        ([0.5, 3.0, 4.0], [-0.5, -3.0, -4.0]),  # their means are beyond the margin
        ([0.5, 0.0], [-3.5, 0.25, 2.0]),
    )
    return {f"real = {real} and fake = {fake}": (torch.tensor(real), torch.tensor(fake)) for real, fake in tries}


HINGE = Exercise(
    hints=(
        "How much is a photograph's logit short of 1? And how much is paint's above −1? Nothing, if it is beyond.",
        "<code>torch.relu(x)</code> is <i>x</i> where that is positive, and 0 elsewhere.",
    ),
    solved_by=hinge,
    what="the loss, one number for all logits,",
    cases=_logits,
    mistakes={
        "your loss goes on falling beyond the margin; `torch.relu` stops it there.":
            lambda real, fake: (1 - real).mean() + (1 + fake).mean(),
        "you average the logits first; then one far beyond makes up for one on the wrong side. First `torch.relu`.":
            lambda real, fake: hinge(real.mean(), fake.mean()),
        "you want photographs below and paint above; it is to be the other way round.":
            lambda real, fake: hinge(-real, -fake),
        "you want both kinds above 1; paint is to be below −1.":
            lambda real, fake: hinge(real, -fake),
        "your margin is 0; a logit is to be beyond 1.":
            lambda real, fake: torch.relu(-real).mean() + torch.relu(fake).mean(),
        "`max` and `if` decide about one number; `torch.relu(x)` takes, for each number of *x*, what is larger: it or "
        "0.":
            lambda real, fake: max(0, 1 - real),
    },
)

# ------------------------------------------------------------------------------------------------ 04.4


def weights_for(norms: dict[str, float], shares: dict[str, float]) -> dict[str, float]:
    """Weights with which the terms pull in the ratio of the shares, the first of them with weight 1."""
    first = next(iter(norms))
    pull = norms[first] / shares[first]
    return {name: pull * shares[name] / norm for name, norm in norms.items()}


def _terms() -> dict[str, tuple]:
    norms = {"reconstruction": 0.8, "perceptual": 4.0, "identity": 0.2}
    shares = {"reconstruction": 0.5, "perceptual": 0.3, "identity": 0.2}
    others = {"style": 2.0, "symmetry": 8.0}, {"style": 0.5, "symmetry": 0.5}
    return {"three terms": (norms, shares), "two other terms": others}


def _not_scaled(norms: dict[str, float], shares: dict[str, float]) -> dict[str, float]:
    return {name: shares[name] / norms[name] for name in norms}


def _divided_in_place(norms: dict[str, float], shares: dict[str, float]) -> dict[str, float]:
    weights = _not_scaled(norms, shares)
    for name in weights:
        weights[name] /= weights[next(iter(norms))]
    return weights


WEIGHTS_FOR = Exercise(
    hints=(
        "A term pulls with weight × norm. Which weight makes that its share?",
        "The share over the norm, for each term. Then divide all of them by the first one's.",
    ),
    solved_by=weights_for,
    what="a weight for each term",
    cases=_terms,
    mistakes={
        "all your weights are 1; then the largest gradient has its way.":
            lambda norms, shares: dict.fromkeys(norms, 1.0),
        "these are the shares themselves; a term with a large gradient needs a small weight.":
            lambda norms, shares: shares,
        "with these weights all terms pull equally; now give each its share.":
            lambda norms, shares: weights_for(norms, dict.fromkeys(norms, 1.0)),
        "the ratios are right; scale them, so that the first weight is 1.":
            _not_scaled,
        "only the first weight has been divided by the first one, and is 1; keep it in a variable before you divide.":
            _divided_in_place,
        "your weights are upside down; a term with a large gradient needs a small one.":
            lambda norms, shares: {name: norms[name] / shares[name] for name in norms},
        "the first term is the one that comes first in `norms`, and not always 'reconstruction'.":
            lambda norms, shares: weights_for({"reconstruction": norms["reconstruction"], **norms}, shares),
    },
)

EXERCISES = {"04.1": HOLE_ERROR, "04.2": GRAM, "04.3": HINGE, "04.4": WEIGHTS_FOR}
