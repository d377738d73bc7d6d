"""Exercises of chapter 08: how much of a beard is painted, landmarks led astray, and false accepts by group."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.exercises.exercise import farthest, instead_of, near, require, require_tensor

LEFT, RIGHT = 36, 45  # the outer corners of the eyes

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


def led_astray(landmarks: Tensor, hidden: Tensor, share: float, direction: Tensor) -> Tensor:
    """Landmarks of which the hidden ones are moved by a share of the inter-ocular distance, (B, 68, 2)."""
    inter_ocular = (landmarks[:, 36] - landmarks[:, 45]).norm(dim=-1)
    step = share * inter_ocular[:, None] * direction
    return landmarks + hidden[..., None] * step[:, None]


def _test_led_astray(answer: Callable) -> None:
    random = torch.Generator().manual_seed(1)
    landmarks = torch.rand(2, 68, 2, generator=random) * torch.tensor([100.0, 240.0]).view(2, 1, 1)
    hidden = torch.rand(2, 68, generator=random) < 0.4
    hidden[:, LEFT], hidden[:, RIGHT] = True, False
    direction = F.normalize(torch.randn(2, 2, generator=random), dim=1)
    given = landmarks.clone()
    with (
        instead_of("index 36 is out of bounds", "`landmarks[36]` asks for the face of that number; `landmarks[:, 36]` "
                   "is the landmark of each face."),
        instead_of("size of tensor a (68)", "`hidden` is (B, 68), landmarks are (B, 68, 2); `hidden[..., None]` says "
                   "the same for x and y."),
        instead_of(f"({int(hidden.sum())})", "`[hidden]` makes one long line of the hidden landmarks of all faces, and "
                   "the steps, one a face, don't fit it; add `hidden[..., None] * step[:, None]` to all landmarks."),
    ):
        found = answer(given, hidden.clone(), 0.1, direction.clone())
    require_tensor(found, (2, 68, 2), "a landmark for each of 68 places in two faces")
    require(torch.equal(given, landmarks), "your function changes the landmarks that it is given; return new ones.")
    require(not near(found, landmarks), "nothing has moved; the hidden landmarks are to.")
    right = led_astray(landmarks, hidden, 0.1, direction)
    size = (landmarks[:, LEFT] - landmarks[:, RIGHT]).norm(dim=-1)
    moved, among = hidden[..., None], landmarks - landmarks
    corners = landmarks[:, LEFT] - landmarks[:, RIGHT]
    one_too_far = (landmarks[:, LEFT + 1] - landmarks[:, RIGHT + 1]).norm(dim=-1)

    def by(length: Tensor) -> Tensor:
        return landmarks + moved * (0.1 * length * direction)[:, None]

    others = {
        "all landmarks; those that can be seen stay": led_astray(landmarks, torch.ones_like(hidden), 0.1, direction),
        "the landmarks that can be seen; move the hidden ones": led_astray(landmarks, ~hidden, 0.1, direction),
        "all landmarks, and by so many pixels; move the hidden ones, and measure in inter-ocular distances":
            landmarks + 0.1 * direction[:, None],
        "by so many pixels; measure in inter-ocular distances": landmarks + moved * (among + 0.1 * direction[:, None]),
        "all faces by the same; each has its own inter-ocular distance":
            landmarks + moved * (among + 0.1 * size.mean() * direction[:, None]),
        "all faces by the same; give `norm` its `dim=-1`, or it makes one length of all faces":
            landmarks + moved * (among + 0.1 * size.norm() * direction[:, None]),
        "x by one face's distance and y by the other's; lengths (B,) times directions (B, 2) need `[:, None]`":
            by(size),
        "by a length of x and one of y, over all faces; give `norm` the last axis, `dim=-1`":
            by(corners.norm(dim=0)[:, None]),
        "x by a length of x and y by one of y, over all faces; give `norm` the last axis, `dim=-1`":
            by(corners.norm(dim=0)),
        "by how far the corners are apart in x alone; they differ in y, too": by(corners[:, :1].abs()),
        "by the distance's square; take its root": by(size.square()[:, None]),
        "by the distance of landmarks 37 and 46; they are counted from 0 here, so take 36 and 45":
            by(one_too_far[:, None]),
        "by the right step, but put all that can be seen at (0, 0); they stay where they are": right * moved,
        "by per cent of a per cent; the share is 0.1 for 10 %": led_astray(landmarks, hidden, 0.001, direction),
        "the wrong way; add the step": led_astray(landmarks, hidden, -0.1, direction),
    }
    for what, other in others.items():
        require(not near(found, other), f"you move {what}.")
    wrong = (found - right).norm(dim=-1).max().item()
    require(wrong < 1e-2, f"a landmark is {wrong:.1f} pixels from where it is to be.")


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
            "Three things: how far, in which direction, and who moves at all.",
            "How far is <code>share</code> times the distance of landmarks 36 and 45, which each face has for itself.",
            "<code>hidden[..., None]</code> is (B, 68, 1): multiplied by the step <code>[:, None]</code>, (B, 1, 2), "
            "it keeps those that can be seen where they are.",
        ),
        led_astray, _test_led_astray,
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
