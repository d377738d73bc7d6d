"""Exercises of chapter 04: losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from faceinpaint import losses
from faceinpaint.course.exercises.by_hand import (
    WrongAnswer, farthest, instead_of, kind_of, near, require, require_tensor
)


# ------------------------------------------------------------------------------------------------ 04.1


def hole_error(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of each face over its own hole, (B, 3, H, W) twice and (B, 1, H, W) -> (B,)."""
    squared = (completed - image).square() * mask
    return squared.sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))


def _test_hole_error(answer: Callable) -> None:
    random = torch.Generator().manual_seed(0)
    image = torch.rand(3, 3, 16, 12, generator=random)
    mask = torch.zeros(3, 1, 16, 12)
    mask[0, :, :4, :4] = mask[1, :, 8:] = mask[2, :, :, :5] = 1
    error = torch.rand(image.shape, generator=random) - 0.3
    inside = image + error * mask
    right = hole_error(inside, image, mask)
    outside = image + 0.5 * (1 - mask)
    with instead_of("shape of the mask", "a mask has one channel and a picture has three, so that it can't pick pixels "
                    "by `[mask == 1]`; multiply the squared error by the mask."):
        found = answer(inside.clone(), image.clone(), mask.clone())
    if isinstance(found, Tensor) and found.numel() == 1:
        require(False, "you return one number for all faces; sum over dim=(1, 2, 3), so that the first axis stays.")
    if isinstance(found, Tensor):
        require(tuple(found.shape) != (3, 3), "you keep the colours apart; sum over them, too, `dim=(1, 2, 3)`.")
    require_tensor(found, (3,), "one error for each of three faces")
    if not found.any():
        require(
            not torch.as_tensor(answer(outside.clone(), image.clone(), mask.clone())).any(),
            "you look at the pixels outside the hole; a mask is 1 in it, and 0 outside.",
        )
    require((found != 0).any(), "you find no error anywhere; what is `(completed - image).square()`?")
    squared = (inside - image).square()
    others = {
        "the mean over the whole picture, so a small hole counts little; divide by the pixels of the hole":
            squared.mean(dim=(1, 2, 3)),
        "three times too large; each pixel of the hole has three colours":
            squared.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)),
        "the sum and not the mean; divide by three times the pixels of the hole": squared.sum(dim=(1, 2, 3)),
        "the mean of absolute differences; square them": 3 * right.new_tensor(
            [(d.abs().sum() / (9 * m.sum())).item() for d, m in zip(inside - image, mask)]
        ),
        "the mean of the differences, where those above and below 0 cancel; square them":
            (inside - image).sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3))),
        "over the *mean* of the mask; its sum is the number of hidden pixels":
            squared.sum(dim=(1, 2, 3)) / (3 * mask.mean(dim=(1, 2, 3))),
        "the root of the right one; equation 2 has none": right.sqrt(),
        "the same unit for all faces; each is to be divided by its own hole":
            squared.sum(dim=(1, 2, 3)) / (3 * mask.sum() / 3),
    }
    for name, other in others.items():
        require(not near(found, other), f"what you return is {name}.")
    worst = farthest(found, right)
    require(near(found, right), f"for face {worst} you return {found[worst]:.4f}; it is {right[worst]:.4f}.")

    require(
        (answer(outside, image, mask).abs() < 1e-6).all(),
        "you count differences outside the hole, which is right only where the picture is already pasted; "
        "multiply by the mask.",
    )


# ------------------------------------------------------------------------------------------------ 04.2


def gram(maps: Tensor) -> Tensor:
    """Mean product of each two channels over all positions, (B, C, h, w) -> (B, C, C)."""
    flat = maps.flatten(2)  # B, C, h w
    return flat @ flat.mT / flat.shape[2]


def _test_gram(answer: Callable) -> None:
    maps = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    right = gram(maps)
    with instead_of("must match the size of tensor b (20)", "of three axes `.T` reverses all, the faces as well; `.mT` "
                    "exchanges the last two."):
        found = answer(maps.clone())
    if isinstance(found, Tensor):
        if tuple(found.shape) == (2, 3):
            require(
                not near(found, right.diagonal(dim1=1, dim2=2)),
                "you multiply each channel with itself only; each with *each* is wanted, `flat @ flat.mT`.",
            )
        require(tuple(found.shape) != (2, 2), "you multiply faces with faces; channels with channels are wanted.")
        require(
            tuple(found.shape) not in ((2, 3, 5, 5), (2, 3, 4, 4)),
            "you multiply within one channel; lay its positions into one axis first, `maps.flatten(2)`.",
        )
        require(
            tuple(found.shape) != (2, 20, 20),
            "you multiply positions with positions, (20, 20); channels with channels are wanted, (3, 3).",
        )
        require(tuple(found.shape) != (3, 3), "you mix the faces of the batch; each of them has a matrix of its own.")
    require_tensor(found, (2, 3, 3), "a Gram matrix of 3 channels for each of two faces")
    require(not near(found, torch.zeros_like(found)), "your matrix is all zeros; multiply the channels.")
    others = {
        "the sum over the positions, which is larger for larger pictures; divide by h · w": right * 20,
        "divided by C · h · w; the mean over positions alone is wanted": right / 3,
        "divided by C; the mean is over positions, h · w": right * 20 / 3,
        "divided by h alone; there are h · w positions": right * 4,
        "divided by w alone; there are h · w positions": right * 5,
        "the covariance; don't subtract the mean": _covariance(maps),
        "the correlation; don't normalise the channels": _correlation(right),
    }
    for name, other in others.items():
        require(not near(found, other), f"what you return is {name}.")
    require(
        near(found, right),
        f"for channels 0 and 1 of the first face you return {found[0, 0, 1]:.3f}; the mean of their product is "
        f"{right[0, 0, 1]:.3f}.",
    )


def _covariance(maps: Tensor) -> Tensor:
    return gram(maps - maps.mean(dim=(2, 3), keepdim=True))


def _correlation(matrix: Tensor) -> Tensor:
    length = matrix.diagonal(dim1=1, dim2=2).sqrt()
    return matrix / length[:, :, None] / length[:, None]


# ------------------------------------------------------------------------------------------------ 04.3


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss, averaged: logits of photographs above 1, of paint below -1."""
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def _test_hinge(answer: Callable) -> None:
    real, fake = torch.tensor([-1.5, 0.5, 3.0]), torch.tensor([-3.5, 0.25, 2.0])
    right = hinge(real, fake)
    with instead_of("Boolean value of Tensor", "`max` and `if` decide about one number; `torch.relu(x)` takes, for "
                    "each number of *x*, what is larger: it or 0."):
        found = answer(real.clone(), fake.clone())
    require_tensor(found, (), "the loss, one number for all logits,")
    require(found != 0, "your loss is 0 although some logits are on the wrong side.")
    short, beyond = torch.relu(1 - real).mean(), torch.relu(1 + fake).mean()
    linear = (1 - real + 1 + fake).mean()
    if near(found, linear):
        far = torch.tensor([0.5, 3.0, 4.0]), torch.tensor([-0.5, -3.0, -4.0])  # their means are beyond the margin
        require(
            answer(*far) != 0,
            "you average the logits first; then one far beyond makes up for one on the wrong side. First `torch.relu`.",
        )
    others = {
        "you charge photographs for what they are *beyond* 1; charge what is missing, `1 - real`":
            torch.relu(real - 1).mean() + beyond,
        "you charge what is beyond the margin, on both sides; charge what is missing, `1 - real` and `1 + fake`":
            torch.relu(real - 1).mean() + torch.relu(-1 - fake).mean(),
        "you let paint be up to 1; it is to be at most −1": short + torch.relu(fake - 1).mean(),
        "you subtract the paintings' mean; add it": short - beyond,
        "you square what is missing; the hinge counts it as it is":
            torch.relu(1 - real).square().mean() + torch.relu(1 + fake).square().mean(),
        "you want photographs below and paint above; it is to be the other way round": hinge(-real, -fake),
        "you want both kinds above 1; paint is to be below −1": hinge(real, -fake),
        "your margin is 0; a logit is to be beyond 1": torch.relu(-real).mean() + torch.relu(fake).mean(),
        "your loss goes on falling beyond the margin; `torch.relu` stops it there": linear,
        "you forget the photographs": torch.relu(1 + fake).mean(),
        "you forget the paint": torch.relu(1 - real).mean(),
        "you return half of it; add the two means": right / 2,
        "you return the sum; take the mean of each kind": right * 3,
        "this is the paper's loss, not the hinge": losses.discriminator_loss(
            real.view(1, 1, 1, 3), fake.view(1, 1, 1, 3), torch.ones(1, 1, 8, 24)
        ),
    }
    for name, other in others.items():
        require(not near(found, other), f"{name}.")
    require(
        near(found, right),
        f"for real = {real.tolist()} and fake = {fake.tolist()} you return {found:.3f}; it is {right:.3f}.",
    )
    other = torch.tensor([0.5, 0.0])
    require(
        near(answer(other, fake), hinge(other, fake)),
        "your loss is wrong where there are not as many photographs as paintings; average each kind for itself.",
    )


# ------------------------------------------------------------------------------------------------ 04.4


def weights_for(norms: dict[str, float], shares: dict[str, float]) -> dict[str, float]:
    """Weights with which the terms pull in the ratio of the shares, the first of them with weight 1."""
    first = next(iter(norms))
    pull = norms[first] / shares[first]
    return {name: pull * shares[name] / norm for name, norm in norms.items()}


def _test_weights_for(answer: Callable) -> None:
    norms = {"reconstruction": 0.8, "perceptual": 4.0, "identity": 0.2}
    shares = {"reconstruction": 0.5, "perceptual": 0.3, "identity": 0.2}
    found = answer(dict(norms), dict(shares))
    require(found is not None, "your function returns nothing; does it end in `return`?")
    require(isinstance(found, dict), f"your function returns {kind_of(found)}; a dictionary is wanted.")
    require(set(found) == set(norms), f"your dictionary has the terms {sorted(found)}; they are {sorted(norms)}.")
    found = {name: float(value) for name, value in found.items()}
    positive = all(value > 0 for value in found.values())
    require(positive, "a weight of 0 or less switches a term off, or turns it round.")

    def is_(other: dict[str, float]) -> bool:
        return all(abs(found[name] - other[name]) < 1e-3 * abs(other[name]) for name in norms)

    require(not is_(dict.fromkeys(norms, 1.0)), "all your weights are 1; then the largest gradient has its way.")
    require(not is_(shares), "these are the shares themselves; a term with a large gradient needs a small weight.")
    pulls = {name: found[name] * norms[name] for name in norms}
    whole = sum(pulls.values())
    require(
        max(pulls.values()) > 1.001 * min(pulls.values()),
        "with these weights all terms pull equally; now give each its share.",
    )
    require(
        not is_({**{name: shares[name] / norms[name] for name in norms}, "reconstruction": 1.0}),
        "only the first weight has been divided by the first one, and is 1; keep it in a variable before you divide.",
    )
    scaled = [found[name] * shares[name] / norms[name] for name in norms]
    require(
        max(scaled) > 1.001 * min(scaled),
        "your weights are upside down; a term with a large gradient needs a small one.",
    )
    for name in norms:
        require(
            abs(pulls[name] / whole - shares[name]) < 1e-3,
            f"with your weights {name} has {pulls[name] / whole:.0%} of the pull; {shares[name]:.0%} are wanted.",
        )
    require(
        abs(found["reconstruction"] - 1) < 1e-6,
        f"the ratios are right; scale them, so that the first weight is 1 and not {found['reconstruction']:.3g}.",
    )
    sentence = "for other terms your weights are wrong; the first term is the one that comes first in `norms`."
    try:
        other = answer({"style": 2.0, "symmetry": 8.0}, {"style": 0.5, "symmetry": 0.5})
    except KeyError as error:
        raise WrongAnswer(f"{sentence.rstrip('.')}, and not always {error}.") from error
    require(abs(other.get("symmetry", 0) - 0.25) < 1e-6, sentence)


EXERCISES = {
    "04.1": (
        (
            "Square the differences, multiply by the mask, and sum over all axes but the first: "
            "<code>.sum(dim=(1, 2, 3))</code>.",
            "Divide by the number of values that you have added up. A mask is 1 in the hole, so its sum is the number "
            "of hidden pixels; each of them has three colours.",
        ),
        hole_error, _test_hole_error,
    ),
    "04.2": (
        (
            "Lay the positions into one axis: <code>maps.flatten(2)</code> has the shape (B, C, h · w).",
            "<code>a @ b</code> multiplies matrices, face by face, and <code>.mT</code> exchanges their last two axes. "
            "(C × N) times (N × C) is C × C. Divide by N.",
        ),
        gram, _test_gram,
    ),
    "04.3": (
        (
            "How much is a photograph's logit short of 1? And how much is paint's above −1? Nothing, if it is beyond.",
            "<code>torch.relu(x)</code> is <i>x</i> where that is positive, and 0 elsewhere.",
        ),
        hinge, _test_hinge,
    ),
    "04.4": (
        (
            "A term pulls with weight × norm. Which weight makes that its share?",
            "The share over the norm, for each term. Then divide all of them by the first one's.",
        ),
        weights_for, _test_weights_for,
    ),
}
