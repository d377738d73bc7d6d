"""Exercises of chapter 08: how much of a beard is painted, the difference of two groups, and false accepts by group."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.course.exercises.by_hand import farthest, instead_of, near, require, require_tensor

# ------------------------------------------------------------------------------------------------ 08.1


def painted_share(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    """The slope of `made` on `added` over the hole's pixels, with an intercept, (B,)."""
    shares = []
    for one, other, hole in zip(made, added, mask):
        hidden = hole.expand_as(one) > 0.5
        painted, true = one[hidden] - one[hidden].mean(), other[hidden] - other[hidden].mean()
        shares.append((painted * true).sum() / true.square().sum())
    return torch.stack(shares)


def _test_painted_share(answer: Callable) -> None:
    random = torch.Generator().manual_seed(0)
    added = torch.rand(2, 3, 12, 16, generator=random) * (torch.rand(2, 1, 12, 16, generator=random) < 0.3)
    mask = torch.zeros(2, 1, 12, 16)
    mask[..., :8] = 1
    made = 0.6 * added - 0.1 + 0.05 * torch.randn(2, 3, 12, 16, generator=random)
    made = torch.where(mask > 0, made, added)  # known pixels stay
    with instead_of("shape of the mask", "a mask has one channel and a picture has three; `mask.expand_as(made) > 0.5` "
                    "has three, too, and picks a picture's pixels, one picture at a time."):
        found = answer(made.clone(), added.clone(), mask.clone())
    require(
        not isinstance(found, Tensor) or found.shape != (),
        "you return one number for two pictures; pick the pixels of each picture alone, in a loop.",
    )
    require_tensor(found, (2,), "the share of two pictures")
    right, inside = painted_share(made, added, mask), made * mask
    true = added * mask
    others = {
        "that of the whole picture, half of which nobody has painted; look at the hole alone":
            painted_share(made, added, torch.ones_like(mask)),
        "that of the whole picture, on a line through 0; look at the hole alone, and take its means away first":
            (made * added).sum((1, 2, 3)) / added.square().sum((1, 2, 3)),
        "that of the known pixels, which nobody has painted; 1 is unknown": painted_share(made, added, 1 - mask),
        "led astray by a hole that is too dark as a whole; take the means over the hole away first":
            (inside * true).sum((1, 2, 3)) / true.square().sum((1, 2, 3)),
        "made with the means of the whole picture; take those over the hole away":
            _centred_by_picture(made, added, mask),
        "made with means over all pixels, the zeros outside the hole as well; divide by the pixels of the hole":
            _centred_by_picture(inside, true, torch.ones_like(mask)),
        "made with means three times too large; each pixel of the hole has three colours":
            _centred_by(3, made, added, mask, mask),
        "right in its means, but the sums run over the whole picture; multiply by the mask once more":
            _centred_by(1, made, added, mask, torch.ones_like(mask)),
        "a ratio of means, which any dark hole can have; lay the one difference along the other":
            inside.sum((1, 2, 3)) / true.sum((1, 2, 3)),
        "one for both pictures together; give each its own": painted_share(
            *(torch.cat(list(one), 1)[None] for one in (made, added, mask))).expand(2),
        "a correlation, which is 1 for the faintest beard, too; divide by the true difference's square alone":
            _correlation(made, added, mask),
        "upside down; divide by what was there, not by what was painted": painted_share(added, made, mask),
    }
    for what, other in others.items():
        require(not near(found, other), f"your share is {what}.")
    worst = farthest(found, right)
    require(near(found, right), f"the share of picture {worst} is {found[worst]:.3f}; it is to be {right[worst]:.3f}.")


def _centred_by_picture(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    painted, true = (one - one.mean((1, 2, 3), keepdim=True) for one in (made, added))
    return (painted * true * mask).sum((1, 2, 3)) / (true.square() * mask).sum((1, 2, 3))


def _centred_by(times: float, made: Tensor, added: Tensor, mask: Tensor, over: Tensor) -> Tensor:
    """The share where so many times the means of the hole are subtracted, summed over those pixels."""
    pixels = 3 * mask.sum((1, 2, 3), keepdim=True)
    means = ((one * mask).sum((1, 2, 3), keepdim=True) / pixels for one in (made, added))
    painted, true = ((one - times * mean) * over for one, mean in zip((made, added), means))
    return (painted * true).sum((1, 2, 3)) / true.square().sum((1, 2, 3))


def _correlation(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    hidden = [hole.expand_as(one) > 0.5 for hole, one in zip(mask, made)]
    pairs = [torch.stack([a[inside], b[inside]]) for a, b, inside in zip(made, added, hidden)]
    return torch.stack([torch.corrcoef(pair)[0, 1] for pair in pairs])


# ------------------------------------------------------------------------------------------------ 08.2

TIMES = 2000


def gap_of_groups(first: list[Tensor], second: list[Tensor], times: int) -> Tensor:
    """Mean of the first group's photographs minus that of the second's, and its 95 % interval by person, (3,)."""
    gaps = []
    for _ in range(times):
        drawn = [[group[place] for place in torch.randint(len(group), (len(group),))] for group in (first, second)]
        gaps.append(torch.cat(drawn[0]).mean() - torch.cat(drawn[1]).mean())
    low, high = torch.stack(gaps).quantile(torch.tensor([0.025, 0.975]))
    return torch.stack([torch.cat(first).mean() - torch.cat(second).mean(), low, high])


def _test_gap_of_groups(answer: Callable) -> None:
    first, second = _two_groups()
    with torch.random.fork_rng(devices=[]), instead_of(
        "stack expects each tensor to be equal size", "people have two photographs or ten, which `torch.stack` can't "
        "lay beside each other; `torch.cat` makes one line of the drawn people's."
    ):
        torch.manual_seed(0)
        found = answer([one.clone() for one in first], [one.clone() for one in second], TIMES)
    require_tensor(found, (3,), "the difference and both ends of its interval")
    found = found.float()
    gap, low, high = found.tolist()
    require(low <= high, "your interval ends before it begins; the lower end comes second, the upper one third.")
    require(
        high - low > 1e-3, "your interval has no width; draw with replacement (`torch.randint`), so that some people "
        "come twice and others not at all.",
    )
    right = _ends(first, second)
    photographs = [[one[None] for one in torch.cat(group)] for group in (first, second)]
    means = [[one.mean()[None] for one in group] for group in (first, second)]
    others = {
        "right": right,
        "far too narrow, as if photographs of one person knew nothing of each other; draw people, and all photographs "
        "of whom you draw": _ends(*photographs),
        "of means of people's means, where somebody with ten photographs counts as one with two; take the mean over "
        "the drawn people's photographs": torch.stack([right[0], *_ends(*means)[1:]]),
        "of means of people's means, and so is the difference; take means over photographs": _ends(*means),
        "that of the second group minus the first; turn it round": _ends(second, first),
        "one of 90 %; leave 2.5 % out at either end": _ends(first, second, 0.9),
        "one in which one of the groups always stays as it is; draw from both": _ends(first, [torch.cat(second)]),
        "one in which a group always stays as it is; draw from both": _ends([torch.cat(first)], second),
        "what chance makes of two groups that are one; draw each group from its own people": torch.stack(
            [right[0], *_ends(first + second, first + second)[1:] * 2 ** 0.5]),
    }
    nearest = min(others, key=lambda what: (found - others[what]).abs().max().item())
    require(nearest == "right" or not (found - others[nearest]).abs().max() < 0.3, f"your interval is {nearest}.")
    require(abs(gap - right[0]) < 1e-3, f"the difference is {gap:.3f}; it is to be {right[0]:.3f}.")
    require(
        (found - right).abs().max() < 0.25,
        f"your interval is {low:.2f} to {high:.2f}; it is to be {right[1]:.2f} to {right[2]:.2f}, or very nearly.",
    )


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


def _test_false_accepts(answer: Callable) -> None:
    random = torch.Generator().manual_seed(2)
    person = torch.arange(24).repeat_interleave(2)
    group = (torch.arange(24) % 3)[person]
    alike = torch.tensor([0.4, 0.8, 1.3])[group][:, None] * torch.randn(3, 12, generator=random)[group]
    people = alike + torch.randn(24, 12, generator=random)[person] + 0.3 * torch.randn(48, 12, generator=random)
    embedding = F.normalize(people, dim=1)
    with instead_of("Boolean value of Tensor", "`and` decides about one truth; `&` is for each pair, with brackets "
                    "round what it joins."):
        found = answer(embedding.clone(), person.clone(), group.clone(), 0.5)
    require(
        not (isinstance(found, Tensor) and found.shape == (3,) and found.isnan().any()),
        "a group of yours has no pairs at all, and a mean of nothing is no number; `person[:, None] != person[None]` "
        "compares each with each.",
    )
    require_tensor(found, (3,), "a share for each of three groups")
    found, right = found.float(), false_accepts(embedding, person, group, 0.5)
    accepted = 1 - embedding @ embedding.T <= 0.5
    stranger = person[:, None] != person[None]
    other_photo = ~torch.eye(48, dtype=torch.bool)
    mine = [group == number for number in range(3)]
    pairs = [one[:, None] & one[None] for one in mine]
    others = {
        "hold pairs of one person, too; a false accept is of two people":
            _share(accepted, [pair & other_photo for pair in pairs]),
        "hold every photograph with itself, which is always accepted": _share(accepted, pairs),
        "are those of the right accepts; take pairs of two people":
            _share(accepted, [pair & other_photo & ~stranger for pair in pairs]),
        "are of people of one group and anybody; both are to be of the group":
            _share(accepted, [one[:, None] & stranger for one in mine]),
        "are shares of those who are refused; a small distance accepts":
            1 - false_accepts(embedding, person, group, 0.5),
        "are of all pairs of all groups; divide by those of the group's strangers":
            torch.stack([(accepted & pair & stranger).float().mean() for pair in pairs]),
        "are of all pairs of a group; divide by those of strangers":
            torch.stack([(accepted & pair & stranger).sum() / pair.sum() for pair in pairs]),
        "are numbers of pairs; divide by how many pairs there are":
            torch.stack([(accepted & pair & stranger).sum() for pair in pairs]).float(),
        "are the same for all; give each group its own": _share(accepted, [sum(pairs).bool() & stranger] * 3),
    }
    for what, other in others.items():
        require(not near(found, other), f"your shares {what}.")
    worst = farthest(found, right)
    require(near(found, right), f"the share of group {worst} is {found[worst]:.2%}; it is to be {right[worst]:.2%}.")


def _share(accepted: Tensor, pairs: list[Tensor]) -> Tensor:
    return torch.stack([accepted[pair].float().mean() for pair in pairs])


EXERCISES = {
    "08.1": (
        (
            "How steeply does the one difference rise with the other? Only the hole's pixels count.",
            "That is a line through the hole's pixels; it need not go through 0, so subtract the mean of each "
            "difference first.",
            "For each picture <code>(made * true).sum() / true.square().sum()</code>, where both are the centred "
            "pixels of <code>[hole.expand_as(one) > 0.5]</code>.",
        ),
        painted_share, _test_painted_share,
    ),
    "08.2": (
        (
            "Two photographs of one person are no independent witnesses. What has to be drawn, then?",
            "<code>torch.randint(len(first), (len(first),))</code> draws as many people as there are; some come twice.",
            "<code>torch.cat([first[place] for place in drawn])</code> are all photographs of those who were drawn; "
            "their mean minus that of the second group is one of the <code>times</code> differences.",
        ),
        gap_of_groups, _test_gap_of_groups,
    ),
    "08.3": (
        (
            "All distances are <code>1 - embedding @ embedding.T</code>. Which of these pairs may count?",
            "Both people in the group, and not the same person: <code>person[:, None] != person[None]</code>.",
            "<code>(distance[inside &amp; strangers] &lt;= threshold).float().mean()</code> is the share of one group.",
        ),
        false_accepts, _test_false_accepts,
    ),
}
