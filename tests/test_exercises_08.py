"""Chapter 08: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import pytest
import torch
from exercise_checks import exercise_tests

from faceinpaint.exercises import chapter_08

PAINTED, ASTRAY, ACCEPTS = chapter_08.painted_share, chapter_08.led_astray, chapter_08.false_accepts


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


def in_place(points, hidden, share, direction):
    points += ASTRAY(points, hidden, share, direction) - points
    return points


def picked(points, hidden, share, direction):
    moved = points.clone()
    moved[hidden] += share * (points[:, 36] - points[:, 45]).norm(dim=-1, keepdim=True) * direction
    return moved


def by(length):
    """An answer to 08.2 that moves the hidden landmarks by another length."""
    return lambda points, hidden, share, direction: (
        points + hidden[..., None] * (share * length(points) * direction)[:, None])


def by_mean(points, hidden, share, direction):
    size = (points[:, 36] - points[:, 45]).norm(dim=-1).mean()
    return points + hidden[..., None] * (share * size * direction)[:, None]


def with_pupils(points, hidden, share, direction):
    size = (points[:, 36:42].mean(1) - points[:, 42:48].mean(1)).norm(dim=-1)
    return points + hidden[..., None] * (share * size[:, None] * direction)[:, None]


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
    ("08.2", lambda p, h, s, d: p + s * d[:, None], "all landmarks, and by so many"),  # the notebook's
    ("08.2", lambda p, h, s, d: None, "returns nothing"),
    ("08.2", lambda p, h, s, d: p.clone(), "nothing has moved"),
    ("08.2", in_place, "return new ones"),
    ("08.2", picked, "makes one long line of the hidden landmarks"),
    ("08.2", lambda p, h, s, d: ASTRAY(p, torch.ones_like(h), s, d), "all landmarks"),
    ("08.2", lambda p, h, s, d: ASTRAY(p, ~h, s, d), "move the hidden ones"),
    ("08.2", lambda p, h, s, d: p + h[..., None] * (s * d)[:, None], "measure in inter-ocular"),
    ("08.2", lambda p, h, s, d: p + h[..., None] * s * (p[:, 36] - p[:, 45]).norm() * d[:, None], "one length of all"),
    ("08.2", by(lambda p: (p[:, 36] - p[:, 45]).norm(dim=-1)), "by the other's"),
    ("08.2", by(lambda p: (p[:, 36] - p[:, 45]).norm(dim=0)[:, None]), "by a length of x and one of y"),
    ("08.2", by(lambda p: (p[:, 36] - p[:, 45]).norm(dim=0)), "x by a length of x"),
    ("08.2", by(lambda p: (p[:, 36, :1] - p[:, 45, :1]).abs()), "in x alone"),
    ("08.2", by(lambda p: (p[:, 36] - p[:, 45]).square().sum(-1, keepdim=True)), "take its root"),
    ("08.2", by(lambda p: (p[:, 37] - p[:, 46]).norm(dim=-1, keepdim=True)), "counted from 0"),
    ("08.2", by(lambda p: (p[36] - p[45]).norm()), "landmark of each face"),
    ("08.2", lambda p, h, s, d: p + h * (s * d)[:, None], "says the same for x and y"),
    ("08.2", lambda p, h, s, d: ASTRAY(p, h, s, d) * h[..., None], r"at \(0, 0\)"),
    ("08.2", by_mean, "its own inter-ocular distance"),
    ("08.2", lambda p, h, s, d: ASTRAY(p, h, s / 100, d), "per cent of a per cent"),
    ("08.2", lambda p, h, s, d: ASTRAY(p, h, -s, d), "the wrong way"),
    ("08.2", with_pupils, "pixels from where"),
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
    from faceinpaint.evaluation.sweeps import painted

    added = torch.zeros(1, 3, 64, 64)
    added[:, :, 20:50, 8:26] = -0.3  # large, so that softening its edge matters little
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    right = PAINTED(0.4 * added - 0.05, added, mask)
    assert right.item() == pytest.approx(0.4, abs=1e-3)
    assert painted(0.4 * added - 0.05, added, mask).item() == pytest.approx(right.item(), abs=0.02)


def test_the_shift_of_the_exercise_is_that_of_the_sweeps():
    from faceinpaint import masks
    from faceinpaint.evaluation import Located, factors
    from faceinpaint.faces.batch import Faces
    from faceinpaint.landmarks import hidden_landmarks

    landmarks = torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(3)) * 64
    block = Located(Faces(torch.zeros(1, 3, 64, 64), landmarks), landmarks, torch.tensor([22]))
    mask = masks.standard("mask01", 64)
    angle = torch.tensor([22 * 2.399963])
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    right = factors.hidden_shifted(0.08, block, mask, landmarks)
    assert torch.allclose(ASTRAY(landmarks, hidden_landmarks(landmarks, mask), 0.08, direction), right, atol=1e-3)
