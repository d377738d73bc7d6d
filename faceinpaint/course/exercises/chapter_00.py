"""Exercises of chapter 00: equation 1, the face distance, and a mask of one's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import farthest, near, require, require_mask, require_tensor

# ------------------------------------------------------------------------------------------------ 00.1


def put_together(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Painted pixels where the mask is 1, those of the image elsewhere: (B, 3, H, W)."""
    return torch.where(mask > 0, painted, image)


def _test_put_together(answer: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    painted, image = torch.rand(2, 2, 3, 8, 8, generator=generator)
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :4], mask[1, :, :, 5:] = 1, 1
    found = answer(painted.clone(), image.clone(), mask.clone())
    require_tensor(found, (2, 3, 8, 8), "a batch of two pictures")
    right = put_together(painted, image, mask)
    require(not near(found, painted), "this is the painted picture, everywhere; the known pixels should come back.")
    require(not near(found, image), "this is the image as it was; the hole should be painted.")
    require(not near(found, put_together(image, painted, mask)), "the other way round: 1 is unknown.")
    require(not near(found, painted + image), "the two pictures are added; at each pixel only one of them counts.")
    hidden = mask.expand_as(right) > 0
    require((found == image)[~hidden].all(), "some known pixels are not what they were, bit for bit.")
    require(near(found, right), "some pixels of the hole are not the painted ones.")
    broken = torch.where(hidden, painted, torch.nan)  # a painter that fails where nobody asked it
    found = answer(broken, image.clone(), mask.clone())
    require(found.isfinite().all(), "a painted pixel that is no number gets through where the mask is 0: "
            "zero times not-a-number is not a number. Choose, do not multiply.")


# ------------------------------------------------------------------------------------------------ 00.2


def face_distance(first: Tensor, second: Tensor) -> Tensor:
    """One minus the cosine of the angle between vectors (B, D) of any length, row by row: (B,)."""
    lengths = first.norm(dim=1) * second.norm(dim=1)
    return 1 - (first * second).sum(dim=1) / lengths


def _test_face_distance(answer: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 8, generator=generator) * torch.tensor([1.0, 3.0, 0.5])[:, None]
    second = second + 0.5 * first
    found = answer(first.clone(), second.clone())
    shape = tuple(getattr(found, "shape", ()))
    require(shape != (3, 3), "you compare every face with every other; take row by row, the first with the first.")
    require(shape != (8,), "you sum over the faces; sum over the 8 numbers of each vector, `dim=1`.")
    require_tensor(found, (3,), "a distance for each of three pairs")
    require(found.any(), "you return 0 for all pairs, as if each showed one picture twice; these do not.")
    right, product = face_distance(first, second), (first * second).sum(dim=1)
    one, other = first.norm(dim=1), second.norm(dim=1)
    unit_difference = first / one[:, None] - second / other[:, None]
    others = {
        "the cosine, which is 1 for the same picture; the distance is 1 minus it": 1 - right,
        "the cosine minus 1; the distance is 1 minus the cosine": -right,
        "as if the vectors had the length 1; these have not, so divide by the lengths of *both*": 1 - product,
        "a product of two vectors; divide it by their lengths, and take it away from 1": product,
        "divided by the length of one of the two vectors; divide by both": 1 - product / one,
        "divided by the length of one of the two vectors, and the other counts as well": 1 - product / other,
        "divided by the lengths of the whole batch; each vector has its own, `dim=1`":
            1 - product / (first.norm() * second.norm()),
        "divided by the squares of the lengths; a length is the root of a sum of squares":
            1 - product / (one * other).square(),
        "the length of the difference; here the angle counts, not how far apart the ends of two arrows are":
            (first - second).norm(dim=1),
        "the length of the difference of two arrows of length 1; its square, halved, would be the face distance":
            unit_difference.norm(dim=1),
        "twice what it should be": 2 * right,
        "the angle itself; take its cosine away from 1": (1 - right).acos(),
    }
    for what, wrong in others.items():
        require(not near(found, wrong), f"what you return is {what}.")
    pair = farthest(found, right)
    require(near(found, right), f"for pair {pair} you return {found[pair]:.3f}; it is {right[pair]:.3f}.")


# ------------------------------------------------------------------------------------------------ 00.3

MARGIN = 4  # pixels that are hidden around the eyes


def over_the_eyes(points: Tensor, height: int, width: int) -> Tensor:
    """A mask (1, 1, height, width) that hides the smallest rectangle around points (N, 2), and 4 pixels more."""
    left, top = (points.amin(dim=0) - 4).round().int().clamp(min=0).tolist()
    right, bottom = (points.amax(dim=0) + 4).round().int().tolist()
    mask = torch.zeros(1, 1, height, width)
    mask[..., top : bottom + 1, left : right + 1] = 1
    return mask


def _rectangle(points: Tensor, height: int, width: int, grow: tuple[int, int, int, int]) -> Tensor:
    """A mask that hides the rectangle around points (N, 2), grown to the left, at the top, right and bottom."""
    (left, top), (right, bottom) = (limit.int().tolist() for limit in (points.amin(dim=0), points.amax(dim=0)))
    mask = torch.zeros(1, 1, height, width)
    rows = slice(max(0, top - grow[1]), max(0, bottom + grow[3] + 1))
    mask[..., rows, max(0, left - grow[0]) : max(0, right + grow[2] + 1)] = 1
    return mask


def _wrong_rectangles(points: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """What comes out of known mistakes, with a sentence for each."""
    right, all_around = over_the_eyes(points, height, width), (MARGIN,) * 4
    swapped = _rectangle(points.flip(1), height, width, all_around)
    dots = torch.zeros(1, 1, height, width)
    column, row = points.long().unbind(dim=1)
    dots[..., row, column] = 1
    band = right.amax(dim=3, keepdim=True).expand_as(right)
    return {
        "hides all but the eyes; 1 is unknown, 0 is known": 1 - right,
        "lies somewhere else; a point is x, then y, and a tensor's rows come first: [..., y, x]": swapped,
        "hides the points and no more; hide all of the rectangle in which they lie": dots,
        "hides whole rows; it ends at the left and the right of the eyes, too": band,
        f"ends at the outermost points; take {MARGIN} pixels more on every side":
            _rectangle(points, height, width, (0, 0, 0, 0)),
        "is one row and one column too small; the end of a slice is not in it any more, so add 1 to it":
            _rectangle(points, height, width, (MARGIN, MARGIN, MARGIN - 1, MARGIN - 1)),
        "ends at the points themselves, and leaves out even those: the end of a slice is not in it":
            _rectangle(points, height, width, (0, 0, -1, -1)),
        f"has its {MARGIN} pixels more on the left and at the top alone": _rectangle(
            points, height, width, (MARGIN, MARGIN, 0, 0)),
        f"has its {MARGIN} pixels more on the right and at the bottom alone": _rectangle(
            points, height, width, (0, 0, MARGIN, MARGIN)),
    }


def _test_over_the_eyes(answer: Callable) -> None:
    eyes = torch.tensor([[20.0, 30], [24, 27], [29, 28], [33, 31], [28, 33], [23, 33],
                         [45, 32], [50, 29], [55, 28], [60, 30], [55, 34], [49, 34]])
    for shape in ((50, 80), (70, 66)):
        found = answer(eyes.clone(), *shape)
        require_mask(found, *shape)
        require(found.any(), "your mask hides nothing yet; set a rectangle of it to 1.")
        for what, wrong in _wrong_rectangles(eyes, *shape).items():
            require(not near(found, wrong), f"your mask {what}.")
        wrong = int((found != over_the_eyes(eyes, *shape)).sum())
        require(wrong == 0, f"{wrong} pixels of your mask are not what they are to be; print `mask.nonzero()`.")
    corner = eyes - torch.tensor([18.0, 25])  # nearer to the edge than the margin
    found = answer(corner.clone(), 50, 80)
    require_mask(found, 50, 80)
    require(
        near(found, over_the_eyes(corner, 50, 80)),
        f"where the eyes are nearer than {MARGIN} pixels to the edge, your rectangle begins at a negative index, and "
        "that counts from the other end; begin at 0 then.",
    )


EXERCISES = {
    "00.1": (
        ("At each pixel, one of two pictures counts; the mask says which. It has one channel and the pictures have "
         "three: PyTorch stretches it by itself.",
         "<code>torch.where(condition, a, b)</code> takes <code>a</code> where the condition holds and <code>b</code> "
         "elsewhere; <code>mask &gt; 0</code> is a condition."),
        put_together, _test_put_together,
    ),
    "00.2": (
        ("The cosine of the angle between two arrows is their product, <i>x</i> · <i>y</i>, over the product of their "
         "lengths. The product of two vectors is a sum: which axis is it over?",
         "<code>(first * second).sum(dim=1)</code> is one product for each pair, and <code>first.norm(dim=1)</code> "
         "one length for each vector.",
         "Divide the one by both lengths, and take it away from 1."),
        face_distance, _test_face_distance,
    ),
    "00.3": (
        ("Four numbers say where the rectangle is: its first and last column, its first and last row. The columns come "
         "from <i>x</i>, the rows from <i>y</i>.",
         "<code>points.amin(dim=0)</code> is the smallest <i>x</i> and the smallest <i>y</i>; "
         "<code>.round().int().tolist()</code> makes whole numbers of them.",
         "<code>mask[..., top : bottom + 1, left : right + 1] = 1</code>; and what is <code>top</code> for eyes in the "
         "third row?"),
        over_the_eyes, _test_over_the_eyes,
    ),
}
