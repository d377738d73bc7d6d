"""Exercises of chapter 03: what a convolution sees, how attention reads, what a spectral norm is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from faceinpaint.course.exercises.by_hand import farthest, instead_of, kind_of, near, require, require_tensor


def _whole_number(value: object, what: str) -> int:
    """A number of pixels; also as a tensor of one number, or as 70.0."""
    require(value is not None, "your function returns nothing; does it end in `return`?")
    try:
        number = float(value)
    except (TypeError, ValueError):
        require(False, f"your function returns {kind_of(value)}; {what} is one whole number.")
    require(
        number == int(number) if math.isfinite(number) else False,
        f"you return {number:g}; {what} is a whole number. `a // b` divides and rounds down.",
    )
    return int(number)


# ------------------------------------------------------------------------------------------------ 03.1


def field(layers: Sequence[tuple[int, int, int]]) -> int:
    """Side of the receptive field, in pixels, of convolutions (kernel, stride, dilation) one after another."""
    side, step = 1, 1
    for kernel, stride, dilation in layers:
        side += (kernel - 1) * dilation * step
        step *= stride
    return side


def _wrong_fields(layers: Sequence[tuple[int, int, int]]) -> dict[str, int]:
    """What comes out of known mistakes."""
    strides = [stride for _, stride, _ in layers]
    steps = [math.prod(strides[:place]) for place in range(len(layers))]
    terms = list(zip(layers, steps))
    return {
        "you leave out the strides; behind a stride of 2, a step of one position is two pixels of the picture":
            1 + sum((k - 1) * d for k, _, d in layers),
        "you let a stride widen its own layer's field; it counts for the layers *after* it":
            1 + sum((k - 1) * d * step * s for (k, s, d), step in terms),
        "you take each layer's own stride; those of *all* layers before count, multiplied":
            1 + sum((k - 1) * d * s for k, s, d in layers),
        "you take the stride of one layer before; those of *all* layers before count, multiplied":
            1 + sum((k - 1) * d * s for (k, _, d), s in zip(layers, [1, *strides])),
        "you add the strides; they multiply":
            1 + sum((k - 1) * d * (sum(strides[:place]) or 1) for place, (k, _, d) in enumerate(layers)),
        "you leave out the dilation; it moves the taps of a kernel apart":
            1 + sum((k - 1) * step for (k, _, _), step in terms),
        "a kernel of k positions reaches over k − 1 steps, not k": 1 + sum(k * d * step for (k, _, d), step in terms),
        "you begin with 0; without any layer, an output sees itself, one pixel":
            sum((k - 1) * d * step for (k, _, d), step in terms),
        "you add up the kernels; only the first layer adds its whole kernel, each other one less":
            sum(k for k, _, _ in layers),
        "you look at the first layer only; `return` belongs behind the loop, not in it": field(layers[:1]),
        "you add a layer's whole kernel, `(kernel - 1) * dilation + 1`; on top of the side so far comes one position "
        "less": 1 + sum(((k - 1) * d + 1) * step for (k, _, d), step in terms),
        "you add a layer's whole kernel, `(kernel - 1) * dilation + 1`; begin with 1, and let each layer add one "
        "position less": sum(((k - 1) * d + 1) * step for (k, _, d), step in terms),
        "you go back from the last layer, and multiply the side by the strides; between that many positions there is "
        "one step less, so take `(side - 1) * stride`":
            _multiplied_forward(layers[::-1], keep=0),
        "you multiply the side itself by the strides; that is the way back, from the last layer to the first. On the "
        "way forward the side only grows, by steps that become longer":
            _multiplied_forward(layers),
        "you multiply the side itself by the strides, and leave out the dilation; on the way forward the side only "
        "grows, by steps that become longer":
            _multiplied_forward([(k, s, 1) for k, s, _ in layers]),
        "you multiply the side itself by the strides; keep two numbers, the side and how many pixels a step is":
            _multiplied_forward(layers, keep=0),
        "you multiply the side itself by the strides, and leave out the dilation; keep two numbers, the side and how "
        "many pixels a step is":
            _multiplied_forward([(k, s, 1) for k, s, _ in layers], keep=0),
    }


def _multiplied_forward(layers: Sequence[tuple[int, int, int]], keep: int = 1) -> int:
    """The rule for the way back, where the first `keep` of the side's pixels are not multiplied, used forwards."""
    side = 1
    for kernel, stride, dilation in layers:
        side = (side - keep) * stride + (kernel - 1) * dilation + keep
    return side


def _test_field(answer: Callable) -> None:
    cases = {
        "two plain 3 × 3 convolutions": [(3, 1, 1), (3, 1, 1)],
        "a 3 × 3 convolution of dilation 4 before a plain one": [(3, 1, 4), (3, 1, 1)],
        "a 4 × 4 convolution of stride 2 before one of 3 × 3": [(4, 2, 1), (3, 1, 1)],
        "three layers with strides, the last one dilated": [(6, 2, 1), (4, 2, 1), (3, 1, 2)],
        "the discriminator": [(4, 2, 1), (4, 2, 1), (4, 2, 1), (4, 1, 1), (4, 1, 1)],
    }
    found = {name: _whole_number(answer(list(layers)), "the side of a field") for name, layers in cases.items()}
    require(len(set(found.values())) > 1, "your function says the same whatever the layers are.")
    for sentence in _wrong_fields([(3, 1, 1)]):
        # A mistake shows in some cases only; it is named if it explains all of them.
        same = all(found[name] == _wrong_fields(layers)[sentence] for name, layers in cases.items())
        require(not same, f"{sentence}.")
    for name, layers in cases.items():
        require(found[name] == field(layers), f"for {name} you say {found[name]}; it is {field(layers)}.")
    require(_whole_number(answer([]), "the side of a field") == 1, "without any layer, an output sees one pixel.")


# ------------------------------------------------------------------------------------------------ 03.2


def side_after(side: int, layers: Sequence[tuple[int, int, int]]) -> int:
    """Positions on a side of what comes out of convolutions (kernel, stride, padding) one after another."""
    for kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
    return side


def _chain(side: int, layers: Sequence[tuple[int, int, int]], one: Callable) -> float:
    for layer in layers:
        side = one(side, *layer)
    return side


_WRONG_SIDES = {
    "you forget the + 1; the first position costs no step":
        lambda n, k, s, p: (n + 2 * p - k) // s,
    "you pad on one side only; there is padding on both": lambda n, k, s, p: (n + p - k) // s + 1,
    "you leave out the padding": lambda n, k, s, p: (n - k) // s + 1,
    "you round up; a kernel that does not fit any more is not laid at all":
        lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1,
    "you only divide by the strides; kernel and padding count, too": lambda n, k, s, p: n // s,
    "you divide the kernel alone by the stride; all that is left of the side is divided, so put brackets round it":
        lambda n, k, s, p: n + 2 * p - k // s + 1,
    "you leave out the strides": lambda n, k, s, p: n + 2 * p - k + 1,
    "you take the kernel one too small; it needs room for all of its k positions, and the + 1 comes after the division":
        lambda n, k, s, p: (n + 2 * p - k + 1) // s,
    "a kernel takes k positions; you subtract k − 1 and then count the first position once more":
        lambda n, k, s, p: (n + 2 * p - (k - 1)) // s + 1,
}


def _test_side_after(answer: Callable) -> None:
    discriminator = [(4, 2, 1), (4, 2, 1), (4, 2, 1), (4, 1, 1), (4, 1, 1)]
    cases = [
        (9, [(3, 1, 0)]), (16, [(4, 2, 1)]), (16, [(3, 2, 0)]), (17, [(3, 2, 1)]), (64, [(6, 2, 2), (4, 2, 1)]),
        (31, [(5, 3, 0), (3, 1, 1)]), (128, discriminator), (256, discriminator),
    ]
    found = [answer(side, list(layers)) for side, layers in cases]
    # Who divides without rounding gets halves; tell which rounding is meant before anything else.
    found = [_whole_number(one, "the number of positions") for one in found]
    require(
        found != [side for side, _ in cases], "you return the side that goes in; each layer makes a new one of it."
    )
    for sentence, one in _WRONG_SIDES.items():
        require(found != [_chain(side, layers, one) for side, layers in cases], f"{sentence}.")
    for name, some in (("first", slice(1)), ("last", slice(-1, None))):
        require(
            found != [side_after(side, layers[some]) for side, layers in cases],
            f"you take the {name} layer only; each layer gets what the one before it has made.",
        )
    for (side, layers), number in zip(cases, found):
        right = side_after(side, layers)
        what = ", ".join(f"{k} × {k} with stride {s} and padding {p}" for k, s, p in layers)
        if layers == discriminator:
            what = "the discriminator"
        require(number == right, f"from {side} pixels, {what}, you get {number} positions; there are {right}.")


# ------------------------------------------------------------------------------------------------ 03.3


def attend(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Tensor:
    """What N queries (N, D) read from M positions, keys and values (M, D), where known (M,) is above 0: (N, D)."""
    scores = query @ key.mT / query.shape[-1] ** 0.5  # N, M
    scores = scores + torch.where(known > 0, 0.0, -1e4)
    return scores.softmax(dim=-1) @ value


def _wrong_attention(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Mapping[str, Tensor]:
    """What comes out of known mistakes, with a sentence for each."""
    depth, some = query.shape[-1], known > 0
    scores = query @ key.mT / depth**0.5
    masked = scores + torch.where(some, 0.0, -1e4)
    weights = scores.softmax(dim=-1)
    return {
        "you read from unknown positions, too; their scores have to be so low that softmax leaves them no weight":
            weights @ value,
        "you read from unknown positions only; low scores are for those that are *not* known":
            (scores + torch.where(some, -1e4, 0.0)).softmax(dim=-1) @ value,
        "your weights don't add up to 1; take the unknown positions out *before* the softmax":
            (weights * some) @ value,
        "you multiply scores by zero; the softmax of a score of 0 is no weight of 0, so make it very negative":
            (scores * some).softmax(dim=-1) @ value,
        "you multiply the scores by the known share; it only says whether a position may be read":
            (scores * known).softmax(dim=-1) @ value,
        "you read by how much of a position is known; one known pixel is enough to read it like any other":
            (masked + known.clamp_min(1e-9).log()).softmax(dim=-1) @ value,
        "you weigh by the known share; a position with one known pixel is read like any other":
            (masked.softmax(dim=-1) * known) @ value,
        "you leave out positions that are partly known; all above 0 may be read":
            (scores + torch.where(known >= 1, 0.0, -1e4)).softmax(dim=-1) @ value,
        "you don't divide the scores by √D; without it, the longer the vectors, the harder the choice":
            (masked * depth**0.5).softmax(dim=-1) @ value,
        "you divide the scores by D; it is the root of it": (masked / depth**0.5).softmax(dim=-1) @ value,
        "your softmax runs over the queries; each query's weights over the *positions* add up to 1, dim=-1":
            masked.softmax(dim=0) @ value,
        "your softmax runs over the queries, dim=0; each query's weights over the *positions* add up to 1, dim=-1":
            scores.masked_fill(~some, -1e4).softmax(dim=0) @ value,
        "you divide the scores by the root of N, the number of queries; D is how many numbers a query has":
            (masked * (depth / len(query)) ** 0.5).softmax(dim=-1) @ value,
        "you divide the scores by the root of M, the number of positions; D is how many numbers a query has":
            (masked * (depth / len(key)) ** 0.5).softmax(dim=-1) @ value,
        "you give unknown positions a score that is a little low only; make it so low that softmax leaves them nothing":
            scores.masked_fill(~some, -1.0).softmax(dim=-1) @ value,
        "you return the keys that were read; the weights are for the values": masked.softmax(dim=-1) @ key,
        "you multiply values by scores; the weights are their softmax": torch.where(some, scores, 0.0) @ value,
    }


def _twice_wrong_attention(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Mapping[str, Tensor]:
    """What comes out of two mistakes at once: one with the scale, one with the mask."""
    depth, some = query.shape[-1], known > 0
    everywhere = torch.ones_like(some)
    scales = {"you don't divide the scores by √D": 1.0, "you divide the scores by D instead of √D": 1 / depth}
    masks = {"read from unknown positions, too": everywhere, "read from unknown positions only": ~some,
             "leave out positions that are partly known": known >= 1}
    return {
        f"{one}, and you {other}": (query @ key.mT * scale).masked_fill(~read, -1e4).softmax(dim=-1) @ value
        for one, scale in scales.items() for other, read in masks.items()
    }


def _test_attend(answer: Callable) -> None:
    random = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(count, 6, generator=random) for count in (4, 9, 9))
    known = torch.tensor([1, 1, 0, 0.25, 0, 1, 0.5, 0, 1])
    right = attend(query, key, value, known)
    with instead_of("shape of the mask [9]", "`scores[known == 0]` picks rows, the queries; the positions are columns, "
                    "`scores[:, known == 0]`."):
        found = answer(query.clone(), key.clone(), value.clone(), known.clone())
    shape = tuple(getattr(found, "shape", ()))
    require(shape != (4, 9), "you return the weights (4, 9); multiply them with the values, `weights @ value`.")
    require_tensor(found, (4, 6), "what 4 queries read from vectors of 6 numbers")
    require(not near(found, torch.zeros(4, 6)), "you read nothing, all is 0; multiply weights and values.")
    wrong = {**_wrong_attention(query, key, value, known), **_twice_wrong_attention(query, key, value, known)}
    for sentence, other in wrong.items():
        require(not near(found, other), f"{sentence}.")
    worst = farthest(found[:, :1], right[:, :1])
    require(
        near(found, right),
        f"query {worst} reads {found[worst, 0]:.3f} in its first number; it should be {right[worst, 0]:.3f}.",
    )
    nothing = answer(query, key, value, torch.zeros(9))
    require(
        isinstance(nothing, Tensor) and nothing.isfinite().all(),
        "where nothing at all is known you return no number (nan); a very low score instead of −inf keeps it one.",
    )


# ------------------------------------------------------------------------------------------------ 03.4


def normalised(weight: Tensor) -> Tensor:
    """A convolution's weight (C', C, k, k) over its spectral norm."""
    return weight / torch.linalg.matrix_norm(weight.flatten(1), ord=2)


def _wrong_norms(weight: Tensor) -> Mapping[str, Tensor]:
    matrix = weight.flatten(1)
    values = torch.linalg.svdvals(matrix)
    return {
        "you divide by the Frobenius norm, the root of the sum of all squares; only the *largest* singular value "
        "counts": values.square().sum().sqrt(),
        "you divide by the sum of the singular values; only the largest counts": values.sum(),
        "you divide by the smallest singular value; torch sorts them from large to small": values[-1],
        "you divide by the square of it; singular values are the roots of the eigenvalues of W Wᵀ": values[0] ** 2,
        "you divide by the root of it": values[0].sqrt(),
        "you divide by the largest number of the weight; a convolution adds up many": matrix.abs().max(),
        "you lay the weight out as (C' · C · k, k); its rows are the outputs, so it is `weight.flatten(1)`":
            torch.linalg.matrix_norm(weight.flatten(0, 2), ord=2),
        "you lay the weight out as (C' · C, k · k); its rows are the outputs, so it is `weight.flatten(1)`":
            torch.linalg.matrix_norm(weight.flatten(0, 1).flatten(1), ord=2),
        "you lay the weight out with one row for each *input* channel; its rows are the outputs, so it is "
        "`weight.flatten(1)`": torch.linalg.matrix_norm(weight.transpose(0, 1).flatten(1), ord=2),
        "you fold the weight into as many rows as it has input channels; its rows are the outputs, so it is "
        "`weight.flatten(1)`": torch.linalg.matrix_norm(weight.reshape(weight.shape[1], -1), ord=2),
        "you multiply by it; divide": 1 / values[0],
        "you divide by the largest singular value of any single k × k kernel; the whole layer is one matrix, "
        "`weight.flatten(1)`": torch.linalg.svdvals(weight).max(),
        "you divide by the largest sum of a row; that is another matrix norm": matrix.abs().sum(1).max(),
        "you divide by the largest sum of a column; that is another matrix norm (`ord=1`)": matrix.abs().sum(0).max(),
    }


def _test_normalised(answer: Callable) -> None:
    weight = 0.7 * torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    found = answer(weight.clone())
    require(
        not isinstance(found, float) and getattr(found, "shape", None) != (),
        "you return one number; return the weight, divided by it.",
    )
    if isinstance(found, Tensor):
        require(
            tuple(found.shape) != (5, 48), "you return the matrix; return the weight with its own shape, (5, 3, 4, 4)."
        )
    require_tensor(found, (5, 3, 4, 4), "a convolution's weight from 3 to 5 channels")
    require(not near(found, weight), "your weight is as it was; divide it by its spectral norm.")
    for sentence, unit in _wrong_norms(weight).items():
        require(not near(found, weight / unit), f"{sentence}.")
    each = torch.linalg.matrix_norm(weight, ord=2, keepdim=True)
    require(
        not near(found, weight / each),
        "you divide each k × k kernel by a norm of its own; the whole layer is one matrix, `weight.flatten(1)`.",
    )
    rows = weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    require(
        not near(found, weight / rows),
        "you make each output's weights 1 long; the whole layer is divided by one number.",
    )
    require(
        near(found / found.norm(), weight / weight.norm()),
        "your weights are not in the old ratios; divide the whole weight by one number, which is above 0.",
    )
    largest = torch.linalg.matrix_norm(found.flatten(1), ord=2)
    require(near(found, normalised(weight)), f"the largest singular value of what you return is {largest:.3f}, not 1.")


EXERCISES = {
    "03.1": (
        (
            "Go through the layers with two numbers: the side so far, which begins with 1, and how many pixels one "
            "step between neighbouring positions is, which also begins with 1.",
            "A layer makes the side longer by <code>(kernel - 1) * dilation * step</code>. Only then its stride "
            "multiplies the step.",
        ),
        field, _test_field,
    ),
    "03.2": (
        (
            "With padding on both sides there are <code>side + 2 * padding</code> pixels. How often can a kernel be "
            "moved on by the stride before it runs over the end?",
            "It covers <code>kernel</code> of them, so there is room for <code>(side + 2 * padding - kernel) // "
            "stride</code> steps; and one more position, where it starts. The next layer begins with that number.",
        ),
        side_after, _test_side_after,
    ),
    "03.3": (
        (
            "<code>scores = query @ key.mT / D ** 0.5</code> is (N, M): one row for each query. What has to happen to "
            "the columns of unknown positions before the softmax?",
            "Add −10000 to them, <code>torch.where(known &gt; 0, 0.0, -1e4)</code>. Then "
            "<code>softmax(dim=-1)</code>, and <code>@ value</code>.",
        ),
        attend, _test_attend,
    ),
    "03.4": (
        (
            "A convolution multiplies the pixels below its kernel, laid out as a vector of C · k · k numbers, with a "
            "matrix: <code>weight.flatten(1)</code>.",
            "<code>torch.linalg.matrix_norm(matrix, ord=2)</code> is its largest singular value. Divide the weight, "
            "in its own shape, by it.",
        ),
        normalised, _test_normalised,
    ),
}
