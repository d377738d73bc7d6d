"""Exercises of chapter 05: averages, rates, and what goes where when many train together."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from faceinpaint.course.exercises.by_hand import kind_of, require, require_number

# ------------------------------------------------------------------------------------------------ 05.1


def averaged(average: Tensor, weights: Tensor, decay: float) -> Tensor:
    """The exponential moving average after one more step."""
    return decay * average + (1 - decay) * weights


def _test_averaged(answer: Callable) -> None:
    average, weights = torch.tensor([[1.0, -2.0], [0.0, 4.0]]), torch.tensor([[3.0, 2.0], [1.0, -4.0]])
    for decay in (0.9, 0.25):
        given = average.clone(), weights.clone()
        found = answer(*given, decay)
        require(found is not None, "your function returns nothing; it is to return the new average.")
        require(isinstance(found, Tensor), f"your function returns {kind_of(found)}; an average is a tensor.")
        require(
            torch.equal(given[1], weights),
            "your function changes the weights that are being trained; work on the average, or on a copy.",
        )
        require(
            found.shape == average.shape,
            f"your average has the shape {tuple(found.shape)}; weights of shape {tuple(average.shape)} have an average "
            "of the same shape.",
        )
        others = {
            "the old average, unchanged; let a little of the weights in": average,
            "the weights of the last step; keep most of the old average": weights,
            "the plain mean of both, whatever the decay is": (average + weights) / 2,
            "mostly the new weights; decay is what the old average keeps": (1 - decay) * average + decay * weights,
            "the old average with all of the new weights added; the two shares add up to 1": decay * average + weights,
            "the old average and 1, less decay times the weights; `(1 - decay) * weights` needs its brackets":
                decay * average + 1 - decay * weights,
            "the difference of the two shares; add them": decay * average - (1 - decay) * weights,
            "an average that moves away from the weights; the rest of the way is `weights - average`":
                average + decay * (average - weights),
            "the right thing for a decay of 0.998, whatever the decay is; use `decay`":
                0.998 * average + 0.002 * weights,
            "a sum of shares that do not add up to 1; the old average keeps `decay` of itself":
                average + (1 - decay) * weights,
        }
        for what, other in others.items():
            require(not torch.allclose(found.float(), other), f"you return {what}.")
        right = averaged(average, weights, decay)
        require(
            torch.allclose(found.float(), right, atol=1e-6),
            f"with decay {decay:g}, an average of 1 and a weight of 3 make {right[0, 0]:g}, and not {found[0, 0]:g}.",
        )


# ------------------------------------------------------------------------------------------------ 05.2


def rate(step: int, steps: int, rise: int, highest: float) -> float:
    """The learning rate of a step: a straight rise, then half a cosine down to 0."""
    if step <= rise:
        return highest * step / rise
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def _test_rate(answer: Callable) -> None:
    for steps, rise, highest in ((1000, 100, 1e-3), (60, 20, 0.4)):
        found = [_a_rate(answer(step, steps, rise, highest)) for step in range(steps + 1)]
        where = f"of {steps}, with a rise of {rise} and a highest rate of {highest:g}"
        _require_rise(found[: rise + 1], rise, highest, where)
        _require_fall(found, steps, rise, highest, where)


def _a_rate(found: object) -> float:
    require(found is not None, "your function returns nothing; it is to return the rate of the step.")
    require(
        isinstance(found, (int, float, Tensor)), f"your function returns {kind_of(found)}; a rate is a number."
    )
    return float(found)


def _require_rise(found: Sequence[float], rise: int, highest: float, where: str) -> None:
    def is_(wrong: Callable[[int], float]) -> bool:
        return all(abs(found[step] - wrong(step)) <= 1e-6 * highest for step in range(rise))

    require(
        not is_(lambda step: highest * (step + 1) / rise),
        "your rise is one step early; the rate of step 0 is 0, and step `rise` is the first with the highest.",
    )
    require(
        rise == 1 or not is_(lambda step: highest * (step // rise)),
        "your rate is 0 during the whole rise; `//` rounds down, so divide by `/`.",
    )
    if is_(lambda step: highest * step / rise):
        require(
            abs(found[rise] - 2 * highest) > 1e-6 * highest,
            "your fall begins at twice the highest rate; 1 + cos goes from 2 to 0, so take half of it.",
        )
        require(abs(found[rise]) > 1e-6 * highest, "your fall begins at 0; let the cosine go from 1, `1 + cos`.")
    for step, one in enumerate(found):
        right = highest * step / rise
        here = f"at step {step} {where} your rate is"
        require(math.isfinite(one), f"{here} {one}.")
        there = step != rise and abs(one - highest) <= 1e-6 * highest
        require(not there, f"{here} the highest already; it is to rise first.")
        require(abs(one - right) <= 1e-6 * highest, f"{here} {one:.6g}; on a straight rise it is {right:.6g}.")


def _require_fall(found: Sequence[float], steps: int, rise: int, highest: float, where: str) -> None:
    beyond = range(rise + 1, steps + 1)
    mistakes = {
        "is still the highest after the rise; it is to fall": lambda step, along: highest,
        "falls along a straight line; a cosine falls slowly, then fast, then slowly":
            lambda step, along: highest * (1 - along),
        "is that of a cosine over all steps; begin to count where the rise ends":
            lambda step, along: highest * 0.5 * (1 + math.cos(math.pi * step / steps)),
        "has not come to 0 at the last step; the fall lasts steps − rise, and not all steps":
            lambda step, along: highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / steps)),
        "is that of a quarter of a wave; take half of one, from 1 to -1, and move it up":
            lambda step, along: highest * math.cos(math.pi / 2 * along),
        "is that of degrees; `math.cos` takes radians, and half a wave is `math.pi`":
            lambda step, along: highest * 0.5 * (1 + math.cos(180 * along)),
        "falls and rises again, along a whole wave; take half of one, `math.pi` and not twice that":
            lambda step, along: highest * 0.5 * (1 + math.cos(2 * math.pi * along)),
        "becomes negative; a cosine goes from 1 to -1, a rate to 0":
            lambda step, along: highest * math.cos(math.pi * along),
    }
    for mistake, wrong in mistakes.items():
        # Curves may meet somewhere: a mistake is named if it explains all steps.
        same = all(abs(found[s] - wrong(s, (s - rise) / (steps - rise))) <= 1e-6 * highest for s in beyond)
        require(not same, f"your rate {mistake}.")
    for step in beyond:
        right = rate(step, steps, rise, highest)
        here = f"at step {step} {where} your rate is"
        require(math.isfinite(found[step]), f"{here} {found[step]}.")
        require(found[step] <= highest * (1 + 1e-6), f"{here} {found[step]:.3g}, more than the highest.")
        require(abs(found[step] - right) <= 1e-6 * highest, f"{here} {found[step]:.6g}; it is to be {right:.6g}.")


# ------------------------------------------------------------------------------------------------ 05.3


def positions(step: int, batch: int, rank: int, processes: int) -> list[int]:
    """The positions in the run that one process sees at a step, counted from 0."""
    first = (step * processes + rank) * batch
    return list(range(first, first + batch))


def _test_positions(answer: Callable) -> None:
    for batch, processes in ((4, 1), (4, 2), (3, 5)):
        seen: list[int] = []
        for step in range(4):
            together: list[int] = []
            for rank in range(processes):
                together += _one_part(answer, step, batch, rank, processes)
            _require_split(together, seen, step, batch, processes)
            seen += together


def _one_part(answer: Callable, step: int, batch: int, rank: int, processes: int) -> list[int]:
    part = answer(step, batch, rank, processes)
    require(part is not None, "your function returns nothing; it is to return a list of positions.")
    require(
        isinstance(part, (Sequence, range, Tensor)) and not isinstance(part, str),
        f"your function returns {kind_of(part)}; it is to return a list of positions.",
    )
    part = [int(require_number(position, "each position")) for position in part]
    require(
        len(part) == batch,
        f"process {rank} of {processes} sees {len(part)} positions at step {step}; its batch is {batch}.",
    )
    return part


def _require_split(together: list[int], seen: list[int], step: int, batch: int, processes: int) -> None:
    """What all processes see at a step, in their order, is what one with the n-fold batch would see."""
    first = step * batch * processes
    wanted = list(range(first, first + batch * processes))
    here = f"with {processes} process{'es' * (processes > 1)} and batches of {batch}"
    twice = [position for position in together if together.count(position) > 1]
    counts = together[:batch] != together[batch : 2 * batch]
    require(
        not twice,
        f"{here}, position {twice[0] if twice else ''} is seen by two processes at step {step}; "
        + ("the next process begins a whole batch further on." if counts else "the rank has to count."),
    )
    again = sorted(set(together) & set(seen))
    require(
        not again,
        f"{here}, position {again[0] if again else ''} is seen at step {step} and was seen before; "
        "all processes together move on by processes × batch positions a step.",
    )
    require(
        set(together) == set(wanted),
        f"{here}, step {step} sees the positions {min(together)} to {max(together)}; together they are to be "
        f"{wanted[0]} to {wanted[-1]}, so that a run sees everything in its order.",
    )
    require(
        together == wanted,
        f"{here}, the processes see the right positions at step {step} but share them out otherwise; "
        f"process 0 takes the first {batch}, process 1 the next.",
    )


# ------------------------------------------------------------------------------------------------ 05.4


def mean_loss(loss_of: Callable[[int], Tensor], batches: int) -> float:
    """The mean loss of the batches 0, 1, ...; keeps no batch's graph."""
    total = 0.0
    for number in range(batches):
        total += loss_of(number).item()
    return total / batches


class _Kept(torch.autograd.Function):
    """Identity whose node in the graph can be watched: as long as it lives, so do the batch's activations."""

    watched: list[weakref.ref] = []

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        activations = torch.empty(8)  # stands for all that a network keeps for its backward pass
        ctx.activations = activations
        _Kept.watched.append(weakref.ref(activations))
        return x.clone()

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope


def _test_mean_loss(answer: Callable) -> None:
    losses = torch.tensor([0.5, 2.0, 1.25, 0.25, 4.0, 1.0])
    weight = torch.ones((), requires_grad=True)
    asked: list[int] = []
    most = 0

    def loss_of(number: int) -> Tensor:
        nonlocal most
        gc.collect()
        most = max(most, sum(watched() is not None for watched in _Kept.watched))
        asked.append(number)
        return _Kept.apply(losses[number] * weight)

    _Kept.watched = []
    gc.freeze()  # what is there already need not be searched for each batch, which takes seconds
    try:
        found = answer(loss_of, len(losses))
    finally:
        gc.unfreeze()
    require(found is not None, "your function returns nothing; it is to return the mean loss.")
    require(sorted(asked) == list(range(len(losses))), f"you asked for the batches {asked}; ask for each one once.")
    require(
        not (isinstance(found, Tensor) and found.requires_grad),
        "what you return still hangs on the graph, and the graph on all activations; a number is enough.",
    )
    require(
        most <= 1,  # that of the batch before, whose name is still in use
        f"when the last batches were calculated, the graphs of {most} earlier ones were still in memory; "
        "what do you add up, losses or numbers?",
    )
    mean, right = require_number(found, "a mean"), losses.mean().item()
    require(abs(mean - losses.sum().item()) > 1e-6, "you return the sum of the losses; divide by their number.")
    require(abs(mean - right) <= 1e-6, f"you return {mean:g}; the mean of these losses is {right:g}.")


EXERCISES = {
    "05.1": (
        (
            "Two shares that add up to 1: how much does the old average keep, how much comes from the new weights?",
            "With <i>decay</i> 0.9 the new average is nine tenths of the old one and one tenth of the weights.",
        ),
        averaged, _test_averaged,
    ),
    "05.2": (
        (
            "Two cases. Up to <i>rise</i>: which share of the rise has been climbed? Beyond: which share of the rest "
            "has been walked?",
            "<code>0.5 * (1 + math.cos(math.pi * x))</code> falls from 1 to 0 while <i>x</i> goes from 0 to 1. At the "
            "end of the rise <i>x</i> is 0, at the last step 1.",
        ),
        rate, _test_rate,
    ),
    "05.3": (
        (
            "How many positions do all processes together see in one step? Where, then, does step 3 begin?",
            "Write down by hand who sees what with 2 processes and batches of 4: process 0 sees 0 to 3 at step 0 and 8 "
            "to 11 at step 1.",
        ),
        positions, _test_positions,
    ),
    "05.4": (
        (
            "A loss is a tensor that remembers how it came about. What does a sum of such tensors remember?",
            "<code>loss.item()</code> is the number alone.",
        ),
        mean_loss, _test_mean_loss,
    ),
}
