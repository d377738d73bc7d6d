"""Exercises of chapter 03: what a convolution sees, how attention reads, what a spectral norm is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise, near, require

DISCRIMINATOR = (4, 4, 4, 4, 4), (2, 2, 2, 1, 1)  # kernels, strides

# ------------------------------------------------------------------------------------------------ 03.1


def field(layers: Sequence[tuple[int, int, int]]) -> int:
    """Side of the receptive field, in pixels, of convolutions (kernel, stride, dilation) one after another."""
    side, step = 1, 1
    for kernel, stride, dilation in layers:
        side += (kernel - 1) * dilation * step
        step *= stride
    return side


def _fields() -> dict[str, tuple]:
    return {
        "two plain 3 × 3 convolutions": ([(3, 1, 1), (3, 1, 1)],),
        "a 3 × 3 convolution of dilation 4 before a plain one": ([(3, 1, 4), (3, 1, 1)],),
        "a 4 × 4 convolution of stride 2 before one of 3 × 3": ([(4, 2, 1), (3, 1, 1)],),
        "three layers with strides, the last one dilated": ([(6, 2, 1), (4, 2, 1), (3, 1, 2)],),
        "the discriminator": ([(kernel, stride, 1) for kernel, stride in zip(*DISCRIMINATOR)],),
        "no layer at all": ([],),
    }


def _adding(widen: Callable[..., int], begin: int = 1) -> Callable:
    """A function that adds widen(kernel, stride, dilation, pixels of a step) for each layer."""
    def answer(layers: Sequence[tuple[int, int, int]]) -> int:
        side, step = begin, 1
        for kernel, stride, dilation in layers:
            side += widen(kernel, stride, dilation, step)
            step *= stride
        return side
    return answer


def _multiplying(layers: Sequence[tuple[int, int, int]]) -> int:
    side = 1
    for kernel, stride, dilation in layers:
        side = side * stride + (kernel - 1) * dilation
    return side


FIELD = Exercise(
    hints=(
        "Go through the layers with two numbers: the side so far, which begins with 1, and how many pixels one "
        "step between neighbouring positions is, which also begins with 1.",
        "A layer makes the side longer by <code>(kernel - 1) * dilation * step</code>. Only then its stride "
        "multiplies the step.",
    ),
    solved_by=field,
    what="the side of a field",
    cases=_fields,
    mistakes={
        "you leave out the strides; behind a stride of 2, a step of one position is two pixels of the picture.":
            _adding(lambda kernel, stride, dilation, step: (kernel - 1) * dilation),
        "you let a stride widen its own layer's field; it counts for the layers *after* it.":
            _adding(lambda kernel, stride, dilation, step: (kernel - 1) * dilation * step * stride),
        "you leave out the dilation; it moves the taps of a kernel apart.":
            _adding(lambda kernel, stride, dilation, step: (kernel - 1) * step),
        "a kernel of k positions reaches over k − 1 steps, not k.":
            _adding(lambda kernel, stride, dilation, step: kernel * dilation * step),
        "you begin with 0; without any layer, an output sees itself, one pixel.":
            _adding(lambda kernel, stride, dilation, step: (kernel - 1) * dilation * step, begin=0),
        "you multiply the side itself by the strides; keep two numbers, the side and how many pixels a step is.":
            _multiplying,
    },
)

# ------------------------------------------------------------------------------------------------ 03.2


def side_after(side: int, layers: Sequence[tuple[int, int, int]]) -> int:
    """Positions on a side of what comes out of convolutions (kernel, stride, padding) one after another."""
    for kernel, stride, padding in layers:
        side = (side + 2 * padding - kernel) // stride + 1
    return side


def _sides() -> dict[str, tuple]:
    tries = (
        (9, [(3, 1, 0)]), (16, [(4, 2, 1)]), (16, [(3, 2, 0)]), (17, [(3, 2, 1)]), (64, [(6, 2, 2), (4, 2, 1)]),
        (31, [(5, 3, 0), (3, 1, 1)]), (256, [(kernel, stride, 1) for kernel, stride in zip(*DISCRIMINATOR)]),
    )
    return {f"{side} pixels and the layers {layers}": (side, layers) for side, layers in tries}


def _chain(one: Callable[..., float]) -> Callable:
    """A function that goes from layer to layer by one(side, kernel, stride, padding)."""
    def answer(side: int, layers: Sequence[tuple[int, int, int]]) -> float:
        for layer in layers:
            side = one(side, *layer)
        return side
    return answer


SIDE_AFTER = Exercise(
    hints=(
        "With padding on both sides there are <code>side + 2 * padding</code> pixels. How often can a kernel be "
        "moved on by the stride before it runs over the end?",
        "It covers <code>kernel</code> of them, so there is room for <code>(side + 2 * padding - kernel) // "
        "stride</code> steps; and one more position, where it starts. The next layer begins with that number.",
    ),
    solved_by=side_after,
    what="the number of positions",
    cases=_sides,
    mistakes={
        "your numbers of positions are not whole; `a // b` divides and rounds down.":
            _chain(lambda side, kernel, stride, padding: (side + 2 * padding - kernel) / stride + 1),
        "you forget the + 1; the first position costs no step.":
            _chain(lambda side, kernel, stride, padding: (side + 2 * padding - kernel) // stride),
        "you pad on one side only; there is padding on both.":
            _chain(lambda side, kernel, stride, padding: (side + padding - kernel) // stride + 1),
        "you leave out the padding.":
            _chain(lambda side, kernel, stride, padding: (side - kernel) // stride + 1),
        "you round up; a kernel that does not fit any more is not laid at all.":
            _chain(lambda side, kernel, stride, padding: -((kernel - side - 2 * padding) // stride) + 1),
        "you take the first layer only; each layer gets what the one before it has made.":
            lambda side, layers: side_after(side, layers[:1]),
    },
)

# ------------------------------------------------------------------------------------------------ 03.3


def attend(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Tensor:
    """What N queries (N, D) read from M positions, keys and values (M, D), where known (M,) is above 0: (N, D)."""
    scores = query @ key.mT / query.shape[-1] ** 0.5  # N, M
    scores = scores + torch.where(known > 0, 0.0, -1e4)
    return scores.softmax(dim=-1) @ value


def _queries() -> dict[str, tuple]:
    random = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(count, 6, generator=random) for count in (4, 9, 9))
    return {"4 queries": (query, key, value, torch.tensor([1, 1, 0, 0.25, 0, 1, 0.5, 0, 1]))}


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT / query.shape[-1] ** 0.5


def _unscaled(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Tensor:
    return attend(query * query.shape[-1] ** 0.5, key, value, known)


def _over_queries(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(known == 0, -1e4).softmax(dim=0) @ value


def _masked_by_rows(query: Tensor, key: Tensor, value: Tensor, known: Tensor) -> None:
    _scores(query, key)[known == 0] = -1e4  # stops


def _require_numbers_where_nothing_is_known(answer: Callable) -> None:
    (query, key, value, known), = _queries().values()
    require(
        answer(query, key, value, torch.zeros_like(known)).isfinite().all(),
        "where nothing at all is known you return no number (nan); a very low score instead of −inf keeps it one.",
    )


ATTEND = Exercise(
    hints=(
        "<code>scores = query @ key.mT / D ** 0.5</code> is (N, M): one row for each query. What has to happen to "
        "the columns of unknown positions before the softmax?",
        "Add −10000 to them, <code>torch.where(known &gt; 0, 0.0, -1e4)</code>. Then "
        "<code>softmax(dim=-1)</code>, and <code>@ value</code>.",
    ),
    solved_by=attend,
    what="what 4 queries read from vectors of 6 numbers",
    cases=_queries,
    mistakes={
        "you read from unknown positions, too; their scores have to be so low that softmax leaves them no weight.":
            lambda query, key, value, known: attend(query, key, value, torch.ones_like(known)),
        "your weights don't add up to 1; take the unknown positions out *before* the softmax.":
            lambda query, key, value, known: (_scores(query, key).softmax(dim=-1) * (known > 0)) @ value,
        "you multiply scores by zero; the softmax of a score of 0 is no weight of 0, so make it very negative.":
            lambda query, key, value, known: (_scores(query, key) * (known > 0)).softmax(dim=-1) @ value,
        "you leave out positions that are partly known; all above 0 may be read.":
            lambda query, key, value, known: attend(query, key, value, known.floor()),
        "you don't divide the scores by √D; without it, the longer the vectors, the harder the choice.":
            _unscaled,
        "your softmax runs over the queries; each query's weights over the *positions* add up to 1, dim=-1.":
            _over_queries,
        "`scores[known == 0]` picks rows, the queries; the positions are columns, `scores[:, known == 0]`.":
            _masked_by_rows,
    },
    more=_require_numbers_where_nothing_is_known,
)

# ------------------------------------------------------------------------------------------------ 03.4


def normalised(weight: Tensor) -> Tensor:
    """A convolution's weight (C', C, k, k) over its spectral norm."""
    return weight / torch.linalg.matrix_norm(weight.flatten(1), ord=2)


def _each_kernel(weight: Tensor) -> Tensor:
    return weight / torch.linalg.matrix_norm(weight, ord=2, keepdim=True)


NORMALISED = Exercise(
    hints=(
        "A convolution multiplies the pixels below its kernel, laid out as a vector of C · k · k numbers, with a "
        "matrix: <code>weight.flatten(1)</code>.",
        "<code>torch.linalg.matrix_norm(matrix, ord=2)</code> is its largest singular value. Divide the weight, "
        "in its own shape, by it.",
    ),
    solved_by=normalised,
    what="a convolution's weight from 3 to 5 channels",
    cases=lambda: {"a weight": (0.7 * torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(2)),)},
    mistakes={
        "your weight is as it was; divide it by its spectral norm.":
            lambda weight: weight,
        "you return one number; return the weight, divided by it.":
            lambda weight: torch.linalg.matrix_norm(weight.flatten(1), ord=2),
        "you return the matrix; return the weight with its own shape.":
            lambda weight: normalised(weight).flatten(1),
        "you divide by the Frobenius norm, the root of the sum of all squares; only the *largest* singular value "
        "counts.":
            lambda weight: weight / weight.norm(),
        "you divide by the square of it; singular values are the roots of the eigenvalues of W Wᵀ.":
            lambda weight: weight / torch.linalg.matrix_norm(weight.flatten(1), ord=2).square(),
        "you divide each k × k kernel by a norm of its own; the whole layer is one matrix, `weight.flatten(1)`.":
            _each_kernel,
    },
    same=partial(near, rtol=1e-3),  # a power iteration comes so near
)

EXERCISES = {"03.1": FIELD, "03.2": SIDE_AFTER, "03.3": ATTEND, "03.4": NORMALISED}
