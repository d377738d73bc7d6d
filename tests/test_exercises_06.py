"""Chapter 06: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import pytest
import torch
from exercise_checks import exercise_tests
from torch.nn import functional as F

from faceinpaint.course.exercises import chapter_06

PSNR = chapter_06.psnr_of_hole


def over(c, i, m, number):
    """PSNR of the hole's squared error over a number."""
    return -10 * (((c - i).square() * m).sum((1, 2, 3)) / number).log10()


def by_rows(values, person, drawn):
    return values[drawn].mean(1)


def of_means(values, person, drawn):
    return torch.stack([values[person == one].mean() for one in range(drawn.shape[1])])[drawn].mean(1)


def sums(values, person, drawn):
    return torch.zeros(drawn.shape[1]).index_add(0, person, values)[drawn].sum(1)


def as_sets(values, person, drawn):
    return torch.stack([values[torch.isin(person, row)].mean() for row in drawn])


def with_original(completed, originals, identity):
    return (identity[(completed @ originals.T).argmax(1)] == identity).float().mean().item()


def farthest(completed, originals, identity):
    return (identity[(completed @ originals.T).argmin(1)] == identity).float().mean().item()


def among_originals(completed, originals, identity):
    return chapter_06.rank1(originals, originals, identity)


def the_other_way(completed, originals, identity):
    cosine = (completed @ originals.T).fill_diagonal_(-2)
    return (identity[cosine.argmax(0)] == identity).float().mean().item()


def without_the_person(completed, originals, identity):
    cosine = (completed @ originals.T).masked_fill(identity[:, None] == identity, -1)
    return (identity[cosine.argmax(1)] == identity).float().mean().item()


def own_nearest(completed, originals, identity):
    distance = (1 - completed @ originals.T).fill_diagonal_(-2)
    return (identity[distance.argmin(1)] == identity).float().mean().item()


def second_nearest(completed, originals, identity):
    nearest = (completed @ originals.T).topk(2, dim=1).indices[:, 1]
    return (identity[nearest] == identity).float().mean().item()


def number_as_person(completed, originals, identity):
    cosine = (completed @ originals.T).fill_diagonal_(-2)
    return (cosine.argmax(1) == identity).float().mean().item()


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("06.1", lambda c, i, m: -10 * (c - i).square().mean((1, 2, 3)).log10(), "whole picture"),
    ("06.1", lambda c, i, m: over(c, i, m, 3 * 8 * 12), "divide by all pixels"),
    ("06.1", lambda c, i, m: over(c, i, m, m.sum((1, 2, 3))), "three values"),
    ("06.1", lambda c, i, m: -over(c, i, m, 3 * m.sum((1, 2, 3))), "wrong sign"),
    ("06.1", lambda c, i, m: 2 * PSNR(c, i, m), "10 and not 20"),
    ("06.1", lambda c, i, m: PSNR(c, i, m) / 2, "20, or no root"),
    ("06.1", lambda c, i, m: PSNR(c, i, m) * 2.302585, "natural logarithm"),
    ("06.1", lambda c, i, m: PSNR(torch.cat(list(c), 2)[None], torch.cat(list(i), 2)[None],
                                  torch.cat(list(m), 2)[None]).expand(2), "each its own"),
    ("06.1", lambda c, i, m: None, "returns nothing"),
    ("06.1", lambda c, i, m: PSNR(c, i, m).mean(), "one number for two pictures"),
    ("06.1", lambda c, i, m: (c - i)[m > 0].square().mean(), "a mask has one channel and a picture has three"),
    ("06.1", lambda c, i, m: -10 * (c - i)[m.expand_as(c) > 0].square().log10(), "one for each value in the holes"),
    ("06.1", lambda c, i, m: PSNR(c, i, 1 - m), "a mask is 1 where they are unknown"),
    ("06.1", lambda c, i, m: over(c, i, m, 1), "divide by nothing"),
    ("06.1", lambda c, i, m: -10 * (((c - i).abs() * m).sum((1, 2, 3)) / (3 * m.sum((1, 2, 3)))).log10(), "square"),
    ("06.1", lambda c, i, m: over(c, i, m, 3 * 255**2 * m.sum((1, 2, 3))), "not to 255"),
    ("06.1", lambda c, i, m: (-10 * ((c - i).square() * m).log10()).mean((1, 2, 3)), "has no logarithm"),
    ("06.1", lambda c, i, m: PSNR(c, i, m) + 1, "it is to be"),
    ("06.2", lambda d, f: None, "returns nothing"),
    ("06.2", lambda d, f: d, r"returns a Tensor of shape \(\d+,\); a threshold is one number"),
    ("06.2", lambda d, f: [0.3], "returns a list; a threshold is one number"),
    ("06.2", lambda d, f: float("nan"), "returns nan"),
    ("06.2", lambda d, f: torch.quantile(d, 1 - f).item(), "count from the smallest"),
    ("06.2", lambda d, f: torch.quantile(d, f).item(), "between two distances"),
    ("06.2", lambda d, f: d.sort(descending=True).values[int(f * len(d)) - 1].item(), "from the largest distance"),
    ("06.2", lambda d, f: d.median().item(), "are allowed"),
    ("06.2", lambda d, f: d.sort().values[int(f * len(d))].item(), "are allowed"),
    ("06.2", lambda d, f: 0.0, "could be as large as"),
    ("06.2", lambda d, f: d.sort().values[max(0, int(f * len(d) + 1e-9) - 1)].item(), "none may be accepted"),
    ("06.3", lambda v, p, d: None, "returns nothing"),
    ("06.3", lambda v, p, d: v.mean().expand(len(d)), "the same for each resample"),
    ("06.3", of_means, "mean of the people's means"),
    ("06.3", by_rows, "numbers of people"),
    ("06.3", lambda v, p, d: sums(v, p, d) / len(v), "the number of all rows"),
    ("06.3", lambda v, p, d: sums(v, p, d) / d.shape[1], "divide by the number of their rows"),
    ("06.3", lambda v, p, d: of_means(v, p, d) * d.shape[1], "sums of the people's means"),
    ("06.3", lambda v, p, d: chapter_06.resampled_means(v, p, d)[:1].expand(6), "of the first resample"),
    ("06.3", lambda v, p, d: chapter_06.resampled_means(v, p, d)[:4], "each of 4 people"),
    ("06.3", as_sets, "twice counts twice"),
    ("06.3", lambda v, p, d: chapter_06.resampled_means(v, p, d) + 1, "it is to be"),
    ("06.3", lambda v, p, d: chapter_06.resampled_means(v, p, d)[:1], "shape"),
    ("06.4", lambda c, o, i: None, "returns nothing"),
    ("06.4", with_original, "own original is in your gallery"),
    ("06.4", without_the_person, "each face's .own. original only"),
    ("06.4", own_nearest, "makes each face's own original the nearest"),
    ("06.4", second_nearest, "not always the nearest"),
    ("06.4", number_as_person, "number of a photograph with a person"),
    ("06.4", lambda c, o, i: chapter_06.rank1(c, c, i), "among completed faces"),
    ("06.4", farthest, "larger cosine is nearer"),
    ("06.4", lambda c, o, i: 40 * chapter_06.rank1(c, o, i), "return a share"),
    ("06.4", lambda c, o, i: -1.0, "between 0 and 1"),
    ("06.4", among_originals, "photographs with photographs"),
    ("06.4", the_other_way, "nearest photograph of each face"),
    ("06.4", lambda c, o, i: 0.123, "it is to be"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_06.EXERCISES, WRONG, times=6)


def test_rank_1_of_the_exercise_is_that_of_the_evaluation():
    from faceinpaint.evaluation import Gallery

    random = torch.Generator().manual_seed(0)
    identity = torch.arange(6).repeat_interleave(2)
    originals = F.normalize(torch.randn(12, 5, generator=random), dim=1)
    completed = F.normalize(originals + torch.randn(12, 5, generator=random), dim=1)
    found = Gallery(originals, identity, 0.5).measures(completed, torch.arange(12))["rank1"].mean().item()
    assert found == pytest.approx(chapter_06.rank1(completed, originals, identity))


def test_the_threshold_of_the_exercise_is_that_of_the_roc():
    from faceinpaint.evaluation import roc

    different = torch.rand(500, generator=torch.Generator().manual_seed(0))
    curve = roc(torch.rand(20, generator=torch.Generator().manual_seed(1)), different)
    right = chapter_06.threshold(different, 0.05)
    # The curve may rise further, up to the next pair of different people.
    assert right <= curve.threshold_at(0.05) < different.sort().values[25].item()
