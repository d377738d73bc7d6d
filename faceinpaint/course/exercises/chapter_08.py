"""Exercises of chapter 08: what is painted of a beard, a difference of groups, false accepts, sharp enlarging."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.course.exercises.exercise import Exercise, near

# ------------------------------------------------------------------------------------------------ 08.1


def painted_share(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    """The slope of `made` on `added` over the hole's pixels, with an intercept, (B,)."""
    shares = []
    for one, other, hole in zip(made, added, mask):
        hidden = hole.expand_as(one) > 0.5
        painted, true = one[hidden] - one[hidden].mean(), other[hidden] - other[hidden].mean()
        shares.append((painted * true).sum() / true.square().sum())
    return torch.stack(shares)


def _beards() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(0)
    added = torch.rand(2, 3, 12, 16, generator=random) * (torch.rand(2, 1, 12, 16, generator=random) < 0.3)
    mask = torch.zeros(2, 1, 12, 16)
    mask[..., :8] = 1
    made = 0.6 * added - 0.1 + 0.05 * torch.randn(2, 3, 12, 16, generator=random)
    return {"two pictures": (made.where(mask > 0, added), added, mask)}  # known pixels stay


def _slope(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    """The slope over the hole of a line through 0."""
    return (made * added * mask).sum((1, 2, 3)) / (added.square() * mask).sum((1, 2, 3))


def _less_mean(picture: Tensor) -> Tensor:
    return picture - picture.mean((1, 2, 3), keepdim=True)


PAINTED_SHARE = Exercise(
    hints=(
        "How steeply does the one difference rise with the other? Only the hole's pixels count.",
        "That is a line through the hole's pixels; it need not go through 0, so subtract the mean of each "
        "difference first.",
        "For each picture <code>(made * true).sum() / true.square().sum()</code>, where both are the centred "
        "pixels of <code>[hole.expand_as(one) > 0.5]</code>.",
    ),
    solved_by=painted_share,
    what="the share of two pictures",
    cases=_beards,
    mistakes={
        "your share is that of the whole picture, on a line through 0; look at the hole alone, and take its means "
        "away first.":
            lambda made, added, mask: _slope(made, added, torch.ones_like(mask)),
        "your share is that of the whole picture, half of which nobody has painted; look at the hole alone.":
            lambda made, added, mask: painted_share(made, added, torch.ones_like(mask)),
        "your share is led astray by a hole that is too dark as a whole; take the means over the hole away first.":
            _slope,
        "your share is made with the means of the whole picture; take those over the hole away.":
            lambda made, added, mask: _slope(_less_mean(made), _less_mean(added), mask),
        "your share is made with means over all pixels, the zeros outside the hole as well; divide by the pixels of "
        "the hole.":
            lambda made, added, mask: painted_share(made * mask, added * mask, torch.ones_like(mask)),
        "your share is upside down; divide by what was there, not by what was painted.":
            lambda made, added, mask: painted_share(added, made, mask),
        "a mask has one channel and a picture has three; `mask.expand_as(made) > 0.5` has three, too, and picks a "
        "picture's pixels, one picture at a time.":
            lambda made, added, mask: made[mask > 0],
    },
)

# ------------------------------------------------------------------------------------------------ 08.2


def gap_of_groups(first: list[Tensor], second: list[Tensor], times: int) -> Tensor:
    """Mean of the first group's photographs minus that of the second's, and its 95 % interval by person, (3,)."""
    gaps = []
    for _ in range(times):
        drawn = [[group[place] for place in torch.randint(len(group), (len(group),))] for group in (first, second)]
        gaps.append(torch.cat(drawn[0]).mean() - torch.cat(drawn[1]).mean())
    low, high = torch.stack(gaps).quantile(torch.tensor([0.025, 0.975]))
    return torch.stack([torch.cat(first).mean() - torch.cat(second).mean(), low, high])


def _two_groups() -> list[list[Tensor]]:
    """Values of fourteen people each, with two photographs or ten; those of one person are much alike."""
    random = torch.Generator().manual_seed(3)
    groups = []
    for level, more in ((7.0, 3.0), (4.0, 0.0)):
        levels = level + 2 * torch.randn(14, generator=random)
        many = [place % 2 == 0 for place in range(14)]
        groups.append([
            one + more * often + 0.5 * torch.randn(2 + 8 * often, generator=random) for one, often in zip(levels, many)
        ])
    return groups


def _ends(first: list[Tensor], second: list[Tensor], level: float = 0.95) -> Tensor:
    """The difference of two groups of people, and the ends of its interval, by 8000 resamples of each, (3,)."""
    means = []
    for group in (first, second):
        sums, counts = torch.tensor([[one.sum(), len(one)] for one in group]).T
        everybody = torch.ones(8000, len(group))
        drawn = torch.multinomial(everybody, len(group), True, generator=torch.Generator().manual_seed(len(means)))
        means.append((sums.sum() / counts.sum(), sums[drawn].sum(1) / counts[drawn].sum(1)))
    (one, ones), (other, others) = means
    ends = (ones - others).quantile(torch.tensor([0.5 - level / 2, 0.5 + level / 2]))
    return torch.stack([one - other, *ends])


def _asked_with_a_seed(answer: Callable, first: list[Tensor], second: list[Tensor], times: int) -> object:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return answer(first, second, times)


def _nearly_the_same(a: object, b: object) -> bool:
    """Whether two differences are the same, and their intervals but for chance."""
    return isinstance(a, Tensor) and near(a, b, rtol=0, atol=0.15) and near(a[:1], b[:1])


def _of_photographs(first: list[Tensor], second: list[Tensor], times: int) -> Tensor:
    return _ends(*([one[None] for one in torch.cat(group)] for group in (first, second)))


def _of_means(first: list[Tensor], second: list[Tensor], times: int) -> Tensor:
    return _ends(*([one.mean()[None] for one in group] for group in (first, second)))


GAP_OF_GROUPS = Exercise(
    hints=(
        "Two photographs of one person are no independent witnesses. What has to be drawn, then?",
        "<code>torch.randint(len(first), (len(first),))</code> draws as many people as there are; some come twice.",
        "<code>torch.cat([first[place] for place in drawn])</code> are all photographs of those who were drawn; "
        "their mean minus that of the second group is one of the <code>times</code> differences.",
    ),
    solved_by=gap_of_groups,
    what="a difference with both ends of its interval",
    cases=lambda: {"two groups of people": (*_two_groups(), 2000)},
    mistakes={
        "your interval is far too narrow, as if photographs of one person knew nothing of each other; draw people, and "
        "all photographs of whom you draw.":
            _of_photographs,
        "your means are of people's means, where somebody with ten photographs counts as one with two; take means over "
        "photographs.":
            _of_means,
        "you subtract the first group from the second; turn it round.":
            lambda first, second, times: _ends(second, first),
        "your interval is one of 90 %; leave 2.5 % out at either end.":
            lambda first, second, times: _ends(first, second, 0.9),
        "your interval has no width; draw with replacement (`torch.randint`), so that some people come twice and "
        "others not at all.":
            lambda first, second, times: _ends(first, second)[:1].expand(3),
    },
    asked=_asked_with_a_seed,
    same=_nearly_the_same,
)

# ------------------------------------------------------------------------------------------------ 08.3


def false_accepts(embedding: Tensor, person: Tensor, group: Tensor, threshold: float) -> Tensor:
    """For each group, the share of its pairs of two people whose distance is at most the threshold, (G,)."""
    distance = 1 - embedding @ embedding.T
    strangers = person[:, None] != person[None]
    shares = []
    for number in range(int(group.max()) + 1):
        inside = (group == number)[:, None] & (group == number)[None]
        shares.append((distance[inside & strangers] <= threshold).float().mean())
    return torch.stack(shares)


def _embeddings() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(2)
    person = torch.arange(24).repeat_interleave(2)
    group = (torch.arange(24) % 3)[person]
    alike = torch.tensor([0.4, 0.8, 1.3])[group][:, None] * torch.randn(3, 12, generator=random)[group]
    people = alike + torch.randn(24, 12, generator=random)[person] + 0.3 * torch.randn(48, 12, generator=random)
    return {"three groups": (F.normalize(people, dim=1), person, group, 0.5)}


def _strangers(person: Tensor) -> Tensor:
    return person[:, None] != person[None]


def _both(inside: Tensor) -> Tensor:
    return inside[:, None] & inside[None]


def _of_pairs(pairs: Callable[[Tensor, Tensor], Tensor], count: bool = False) -> Callable:
    """A function that takes the accepted share, or number, of pairs(person, who is inside the group)."""
    def answer(embedding: Tensor, person: Tensor, group: Tensor, threshold: float) -> Tensor:
        accepted = 1 - embedding @ embedding.T <= threshold
        some = [accepted[pairs(person, group == number)].float() for number in range(3)]
        return torch.stack([one.sum() if count else one.mean() for one in some])
    return answer


FALSE_ACCEPTS = Exercise(
    hints=(
        "All distances are <code>1 - embedding @ embedding.T</code>. Which of these pairs may count?",
        "Both people in the group, and not the same person: <code>person[:, None] != person[None]</code>.",
        "<code>(distance[inside &amp; strangers] &lt;= threshold).float().mean()</code> is the share of one group.",
    ),
    solved_by=false_accepts,
    what="a share for each of three groups",
    cases=_embeddings,
    mistakes={
        "your shares hold every photograph with itself, which is always accepted; take pairs of two people.":
            _of_pairs(lambda person, inside: _both(inside)),
        "your shares hold pairs of one person, too; a false accept is of two people.":
            _of_pairs(lambda person, inside: _both(inside) & ~torch.eye(len(person), dtype=torch.bool)),
        "your shares are of people of one group and anybody; both are to be of the group.":
            _of_pairs(lambda person, inside: inside[:, None] & _strangers(person)),
        "your shares are of those who are refused; a small distance accepts.":
            lambda embedding, person, group, threshold: 1 - false_accepts(embedding, person, group, threshold),
        "what you return are numbers of pairs; divide by how many pairs there are.":
            _of_pairs(lambda person, inside: _both(inside) & _strangers(person), count=True),
        "`and` decides about one truth; `&` is for each pair, with brackets round what it joins.":
            _of_pairs(lambda person, inside: _both(inside) and _strangers(person)),
    },
)

# ------------------------------------------------------------------------------------------------ 08.4


def finer(photo: Tensor, painted: Tensor, mask: Tensor) -> Tensor:
    """The enlarged painting with the details of the other side, (1, 3, H, H)."""
    enlarged = torch.nn.functional.interpolate(painted, size=photo.shape[-2:], mode="bilinear")
    details = (photo - enlarged) * (1 - mask)
    return torch.where(mask > 0, enlarged + details.flip(-1), photo)


def _half_a_face() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(5)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    rough = 0.1 * torch.randn(1, 3, 32, 32, generator=random)
    light = torch.linspace(0.2, 0.8, 32)
    face = F.interpolate(torch.rand(1, 3, 5, 5, generator=random), size=32, mode="bilinear")
    face = light * (face + face.flip(-1)) / 2 + (rough + rough.flip(-1)) / 2
    return {"half a face": (torch.where(mask > 0, 0.9, face), F.avg_pool2d(face, 4), mask)}


def _enlarged(photo: Tensor, painted: Tensor) -> Tensor:
    return F.interpolate(painted, size=photo.shape[-2:], mode="bilinear")


FINER = Exercise(
    hints=(
        "The painting has the right colours, and no details. Who has these, on the known side?",
        "The photo less the enlarged painting is nothing but details, where the photo is known.",
        "<code>details = (photo - enlarged) * (1 - mask)</code>, and to the hole goes "
        "<code>enlarged + details.flip(-1)</code>.",
    ),
    solved_by=finer,
    what="a face in the pixels of its photo",
    cases=_half_a_face,
    mistakes={
        "your hole is the enlarged painting, and a blur; add the details of the known half to it.":
            lambda photo, painted, mask: torch.where(mask > 0, _enlarged(photo, painted), photo),
        "your hole is the other half, flipped, in the light of the other side; mirror the *difference* between photo "
        "and enlarged painting.":
            lambda photo, painted, mask: torch.where(mask > 0, photo.flip(-1), photo),
        "your known pixels are changed; keep the photo's where the mask is 0.":
            lambda photo, painted, mask: _enlarged(photo, painted)
            + ((photo - _enlarged(photo, painted)) * (1 - mask)).flip(-1),
        "your details are those of what the hole held, which is worth nothing; take the known half's.":
            lambda photo, painted, mask: photo,
        "you enlarge by repeating pixels, which leaves squares; interpolate (`mode=\"bilinear\"`).":
            lambda photo, painted, mask: finer(photo, F.interpolate(painted, scale_factor=8), mask),
    },
)

EXERCISES = {"08.1": PAINTED_SHARE, "08.2": GAP_OF_GROUPS, "08.3": FALSE_ACCEPTS, "08.4": FINER}
