"""Chapter 08: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import pytest
import torch
from exercise_checks import exercise_tests

from faceinpaint.course.exercises import chapter_08

PAINTED, GAP, ACCEPTS = chapter_08.painted_share, chapter_08.gap_of_groups, chapter_08.false_accepts


def stub_of_painted(made, added, mask):
    return (made * added).sum((1, 2, 3)) / added.square().sum((1, 2, 3))


def through_zero(made, added, mask):
    return (made * added * mask).sum((1, 2, 3)) / (added.square() * mask).sum((1, 2, 3))


def ratio(made, added, mask):
    return (made * mask).sum((1, 2, 3)) / (added * mask).sum((1, 2, 3))


def together(made, added, mask):
    return PAINTED(*(torch.cat(list(one), 1)[None] for one in (made, added, mask))).expand(2)


def hole_by_picture(made, added, mask):
    return chapter_08._centred_by_picture(made * mask, added * mask, torch.ones_like(mask))


def centred(made, added, mask, colours, over):
    """An answer to 08.1 whose means are over so many colours, and whose sums are over other pixels."""
    pixels = colours * mask.sum((1, 2, 3), keepdim=True)
    made, added = ((one - (one * mask).sum((1, 2, 3), keepdim=True) / pixels) * over for one in (made, added))
    return (made * added).sum((1, 2, 3)) / added.square().sum((1, 2, 3))


def resampled(draw, level=0.95, centre=None):
    """An answer to 08.2: draw(first, second) gives the two lists of values in one resample."""
    def answer(first, second, times):
        gaps = torch.stack([draw_of(draw, first, second) for _ in range(times)])
        gap = torch.cat(first).mean() - torch.cat(second).mean() if centre is None else centre(first, second)
        return torch.stack([gap, *gaps.quantile(torch.tensor([0.5 - level / 2, 0.5 + level / 2]))])
    return answer


def draw_of(draw, first, second):
    one, other = draw(first, second)
    return torch.cat(one).mean() - torch.cat(other).mean()


def some(group):
    """As many people of a group as it has, some of them twice."""
    return [group[place] for place in torch.randint(len(group), (len(group),))]


def means(group):
    return [one.mean()[None] for one in group]


def photographs(group):
    return [one[None] for one in torch.cat(group)]


def by_means(first, second):
    return torch.cat(means(first)).mean() - torch.cat(means(second)).mean()


def shuffled(first, second):
    mixed = first + second
    mixed = [mixed[place] for place in torch.randperm(len(mixed))]
    return mixed[: len(first)], mixed[len(first) :]


def stacked(first, second):
    return [torch.stack(some(first)).flatten()], some(second)


def by_group(pairs):
    """An answer that counts the pairs which pairs(person, one) says, one: whether each face is in the group."""
    def answer(embedding, person, group, threshold):
        accepted = 1 - embedding @ embedding.T <= threshold
        return torch.stack([accepted[pairs(person, group == number)].float().mean() for number in range(3)])
    return answer


def inside(one):
    return one[:, None] & one[None]


def strangers(person):
    return person[:, None] != person[None]


def other_photographs(person):
    return ~torch.eye(len(person), dtype=torch.bool)


def as_similarity(embedding, person, group, threshold):
    return 1 - ACCEPTS(embedding, person, group, threshold)


def counted(embedding, person, group, threshold):
    accepted = 1 - embedding @ embedding.T <= threshold
    return torch.stack([(accepted & inside(group == n) & strangers(person)).sum() for n in range(3)])


def pooled(embedding, person, group, threshold):
    accepted = 1 - embedding @ embedding.T <= threshold
    pairs = (group[:, None] == group[None]) & strangers(person)
    return accepted[pairs].float().mean().expand(3)


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("08.1", stub_of_painted, "on a line through 0"),  # what the notebook begins with
    ("08.1", lambda d, a, m: 0.9 * PAINTED(d, a, m), "share of picture . is"),
    ("08.1", lambda d, a, m: None, "returns nothing"),
    ("08.1", lambda d, a, m: PAINTED(d, a, torch.ones_like(m)), "look at the hole alone"),
    ("08.1", lambda d, a, m: PAINTED(d, a, 1 - m), "1 is unknown"),
    ("08.1", through_zero, "too dark as a whole"),
    ("08.1", chapter_08._centred_by_picture, "means of the whole picture"),
    ("08.1", hole_by_picture, "zeros outside the hole"),
    ("08.1", lambda d, a, m: centred(d, a, m, 1, m), "three colours"),
    ("08.1", lambda d, a, m: centred(d, a, m, 3, 1), "multiply by the mask once more"),
    ("08.1", lambda d, a, m: d[m > 0].mean() / a[m > 0].mean(), "a mask has one channel and a picture has three"),
    ("08.1", ratio, "ratio of means"),
    ("08.1", together, "each its own"),
    ("08.1", chapter_08._correlation, "a correlation"),
    ("08.1", lambda d, a, m: PAINTED(a, d, m), "upside down"),
    ("08.1", lambda d, a, m: PAINTED(d, a, m).mean(), "one number for two pictures"),
    ("08.1", lambda d, a, m: PAINTED(d, a, m)[:1], "shape"),
    ("08.2", resampled(lambda a, b: (some(photographs(a)), some(photographs(b)))), "draw people"),  # the notebook's
    ("08.2", lambda a, b, times: None, "returns nothing"),
    ("08.2", lambda a, b, times: tuple(GAP(a, b, times).tolist()), "returns a tuple"),
    ("08.2", lambda a, b, times: GAP(a, b, times)[1:], "shape"),
    ("08.2", lambda a, b, times: GAP(a, b, times)[[0, 2, 1]], "ends before it begins"),
    ("08.2", resampled(lambda a, b: (a, b)), "no width"),
    ("08.2", resampled(lambda a, b: (some(means(a)), some(means(b)))), "where somebody with ten"),
    ("08.2", resampled(lambda a, b: (some(means(a)), some(means(b))), centre=by_means), "and so is the difference"),
    ("08.2", lambda a, b, times: GAP(b, a, times), "turn it round"),
    ("08.2", resampled(lambda a, b: (some(a), some(b)), 0.9), "one of 90 %"),
    ("08.2", resampled(lambda a, b: (some(a), b)), "always stays as it is"),
    ("08.2", resampled(lambda a, b: (a, some(b))), "always stays as it is"),
    ("08.2", resampled(shuffled), "its own people"),
    ("08.2", resampled(stacked), "`torch.cat` makes one line"),
    ("08.2", lambda a, b, times: GAP(a, b, times) + torch.tensor([0.5, 0, 0]), "the difference is"),
    ("08.2", lambda a, b, times: GAP(a, b, times) + torch.tensor([0, 0, 2.0]), "or very nearly"),
    ("08.3", by_group(lambda person, one: inside(one)), "with itself"),  # the notebook's
    ("08.3", lambda e, p, g, t: ACCEPTS(e, p, g, t) + torch.tensor([0, 0.1, 0]), "share of group 1 is"),
    ("08.3", lambda e, p, g, t: None, "returns nothing"),
    ("08.3", by_group(lambda person, one: inside(one) & other_photographs(person)), "pairs of one person"),
    ("08.3", by_group(lambda person, one: inside(one) & other_photographs(person) & ~strangers(person)),
     "right accepts"),
    ("08.3", by_group(lambda person, one: one[:, None] & strangers(person)), "and anybody"),
    ("08.3", as_similarity, "who are refused"),
    ("08.3", counted, "divide by how many"),
    ("08.3", by_group(lambda person, one: inside(one) and strangers(person)), "`and` decides about one truth"),
    ("08.3", by_group(lambda person, one: inside(one) & (person != person)), "no pairs at all"),
    ("08.3", lambda e, p, g, t: counted(e, p, g, t) / len(p) ** 2, "all pairs of all groups"),
    ("08.3", lambda e, p, g, t: counted(e, p, g, t) / torch.bincount(g) ** 2, "divide by those of strangers"),
    ("08.3", pooled, "each group its own"),
    ("08.3", lambda e, p, g, t: ACCEPTS(e, p, g, 0.9 * t), "it is to be"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_08.EXERCISES, WRONG, times=8)


def test_the_share_of_the_exercise_is_that_of_the_sweeps_but_for_the_softening():
    from faceinpaint.course.studies.sweeps import painted

    added = torch.zeros(1, 3, 64, 64)
    added[:, :, 20:50, 8:26] = -0.3  # large, so that softening its edge matters little
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    right = PAINTED(0.4 * added - 0.05, added, mask)
    assert right.item() == pytest.approx(0.4, abs=1e-3)
    assert painted(0.4 * added - 0.05, added, mask).item() == pytest.approx(right.item(), abs=0.02)


def test_the_interval_of_the_exercise_is_that_of_the_statistics():
    from faceinpaint.evaluation import contrast

    torch.manual_seed(3)
    groups = chapter_08._two_groups()
    people = [[str(number) for number, one in enumerate(group) for _ in one] for group in groups]
    values = [torch.cat(group).tolist() for group in groups]
    right = contrast(values[0], people[0], values[1], people[1])
    assert GAP(*groups, 2000).tolist() == pytest.approx(right[:3], abs=0.3)
    assert chapter_08._ends(*groups).tolist() == pytest.approx(right[:3], abs=0.25)
