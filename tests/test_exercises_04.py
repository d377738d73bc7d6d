"""Chapter 04: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import torch
from exercise_checks import exercise_tests
from torch.nn import functional as F

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_04
from faceinpaint.losses import gram_matrix

ALL = (1, 2, 3)


def scaled(norms, shares):
    """The right ratios, not yet scaled."""
    return {name: shares[name] / norms[name] for name in norms}


def divided_in_place(norms, shares):
    weights = scaled(norms, shares)
    for name in weights:
        weights[name] /= weights["reconstruction"]
    return weights


def by_name(norms, shares):
    weights = scaled(norms, shares)
    return {name: weight / weights["reconstruction"] for name, weight in weights.items()}


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("04.1", lambda c, i, m: torch.zeros(len(c)), "no error anywhere"),
    ("04.1", lambda c, i, m: None, "returns nothing"),
    ("04.1", lambda c, i, m: F.mse_loss(c, i), "one number for all faces"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum().item(), "returns a float"),
    ("04.1", lambda c, i, m: (c - i).square().mean(dim=ALL), "mean over the whole picture"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).mean(dim=ALL), "mean over the whole picture"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum(dim=ALL) / m.sum(dim=ALL), "three times too large"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum(dim=ALL), "the sum and not the mean"),
    ("04.1", lambda c, i, m: ((c - i).abs() * m).sum(dim=ALL) / (3 * m.sum(dim=ALL)), "absolute differences"),
    ("04.1", lambda c, i, m: chapter_04.hole_error(c, i, m).sqrt(), "the root of the right one"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum(dim=ALL) / m.sum(), "own hole"),
    ("04.1", lambda c, i, m: (c - i).square().sum(dim=ALL) / (3 * m.sum(dim=ALL)), "outside the hole"),
    ("04.1", lambda c, i, m: 2 * chapter_04.hole_error(c, i, m), "for face . you return"),
    ("04.1", lambda c, i, m: (c - i).square() * m, r"shape \(3, 3, 16, 12\)"),
    ("04.1", lambda c, i, m: ((c - i).square() * m / m).sum(dim=ALL), "inf or nan"),
    ("04.1", lambda c, i, m: (c - i)[m == 1].square().mean(), "a mask has one channel and a picture has three"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum(dim=(2, 3)) / m.sum(dim=(2, 3)), "keep the colours apart"),
    ("04.1", lambda c, i, m: chapter_04.hole_error(c, i, 1 - m), "outside the hole; a mask is 1 in it"),
    ("04.1", lambda c, i, m: ((c - i) * m).sum(dim=ALL) / (3 * m.sum(dim=ALL)), "above and below 0 cancel"),
    ("04.1", lambda c, i, m: ((c - i).square() * m).sum(dim=ALL) / (3 * m.mean(dim=ALL)), "mean. of the mask"),
    ("04.2", lambda f: f.new_zeros(len(f), 3, 3), "all zeros"),
    ("04.2", lambda f: f.flatten(2).mT @ f.flatten(2), "positions with positions"),
    ("04.2", lambda f: torch.einsum("bchw,bdhw->cd", f, f), "mix the faces"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).mT, "the sum over the positions"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).mT / f[0].numel(), r"divided by C · h · w"),
    ("04.2", lambda f: torch.stack([torch.cov(one.flatten(1), correction=0) for one in f]), "the covariance"),
    ("04.2", lambda f: F.normalize(f.flatten(2), dim=2) @ F.normalize(f.flatten(2), dim=2).mT, "the correlation"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).permute(2, 1, 0), "reverses all"),
    ("04.2", lambda f: f.square().mean(dim=(2, 3)), "itself only"),
    ("04.2", lambda f: f.flatten(1) @ f.flatten(1).T, "faces with faces"),
    ("04.2", lambda f: f @ f.mT, "within one channel"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).mT / f.shape[1], "divided by C;"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).mT / f.shape[2], "divided by h alone"),
    ("04.2", lambda f: f.flatten(2) @ f.flatten(2).mT / f.shape[3], "divided by w alone"),
    ("04.2", lambda f: gram_matrix(f).abs(), "for channels 0 and 1"),
    ("04.2", lambda f: gram_matrix(f).numpy(), "returns an ndarray"),
    ("04.3", lambda r, f: r.new_zeros(()), "your loss is 0"),
    ("04.3", lambda r, f: torch.relu(1 + r).mean() + torch.relu(1 - f).mean(), "the other way round"),
    ("04.3", lambda r, f: torch.relu(1 - r).mean() + torch.relu(1 - f).mean(), "both kinds above 1"),
    ("04.3", lambda r, f: torch.relu(-r).mean() + torch.relu(f).mean(), "your margin is 0"),
    ("04.3", lambda r, f: (1 - r).mean() + (1 + f).mean(), "beyond the margin"),
    ("04.3", lambda r, f: torch.relu(1 - r.mean()) + torch.relu(1 + f.mean()), "average the logits first"),
    ("04.3", lambda r, f: max(0, 1 - r).mean() + max(0, 1 + f).mean(), "decide about one number"),
    ("04.3", lambda r, f: torch.relu(r - 1).mean() + torch.relu(1 + f).mean(), "they are .beyond. 1"),
    ("04.3", lambda r, f: torch.relu(r - 1).mean() + torch.relu(-1 - f).mean(), "on both sides"),
    ("04.3", lambda r, f: torch.relu(1 - r).mean() + torch.relu(f - 1).mean(), "at most −1"),
    ("04.3", lambda r, f: torch.relu(1 - r).mean() - torch.relu(1 + f).mean(), "subtract the paintings' mean"),
    ("04.3", lambda r, f: torch.relu(1 - r).square().mean() + torch.relu(1 + f).square().mean(), "you square"),
    ("04.3", lambda r, f: torch.relu(1 + f).mean(), "forget the photographs"),
    ("04.3", lambda r, f: torch.relu(1 - r).mean(), "forget the paint"),
    ("04.3", lambda r, f: chapter_04.hinge(r, f) / 2, "half of it"),
    ("04.3", lambda r, f: torch.relu(1 - r).sum() + torch.relu(1 + f).sum(), "you return the sum"),
    ("04.3", lambda r, f: (F.softplus(-r) + F.softplus(f)).mean(), "the paper's loss"),
    ("04.3", lambda r, f: torch.relu(1 - r) + torch.relu(1 + f), r"shape \(3,\)"),
    ("04.3", lambda r, f: 3 * torch.relu(1 - r).mean() + torch.relu(1 + f).mean(), "you return .*; it is"),
    ("04.3", lambda r, f: torch.cat([torch.relu(1 - r), torch.relu(1 + f)]).sum() / 3, "average each kind"),
    ("04.4", lambda n, s: None, "returns nothing"),
    ("04.4", lambda n, s: list(scaled(n, s).values()), "returns a list"),
    ("04.4", lambda n, s: {"reconstruction": 1.0}, "has the terms"),
    ("04.4", lambda n, s: dict.fromkeys(n, 0.0), "switches a term off"),
    ("04.4", lambda n, s: dict.fromkeys(n, 1.0), "the largest gradient has its way"),
    ("04.4", lambda n, s: dict(s), "the shares themselves"),
    ("04.4", lambda n, s: {name: n["reconstruction"] / n[name] for name in n}, "all terms pull equally"),
    ("04.4", lambda n, s: {name: 1 / n[name] for name in n}, "all terms pull equally"),
    ("04.4", divided_in_place, "keep it in a variable"),
    ("04.4", lambda n, s: {name: n[name] / s[name] for name in n}, "upside down"),
    ("04.4", by_name, "not always 'reconstruction'"),
    ("04.4", lambda n, s: {name: s[name] * n[name] for name in n}, "of the pull"),
    ("04.4", scaled, "first weight is 1 and not 0.625"),
    ("04.4", lambda n, s: {name: 1.6 * s[name] / n[name] for name in n}, "for other terms"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_04.EXERCISES, WRONG, times=2)


def test_what_the_package_computes_passes_too():
    assert exercises.get("04.2").check(gram_matrix).passed
