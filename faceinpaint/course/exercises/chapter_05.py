"""Exercises of chapter 05: averages, rates, and what goes where when many train together."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import Exercise, kind_of, require, require_like, require_tensor

# ------------------------------------------------------------------------------------------------ 05.1


def averaged(average: Tensor, weights: Tensor, decay: float) -> Tensor:
    """The exponential moving average after one more step."""
    return decay * average + (1 - decay) * weights


def _averages() -> dict[str, tuple]:
    average, weights = torch.tensor([[1.0, -2.0], [0.0, 4.0]]), torch.tensor([[3.0, 2.0], [1.0, -4.0]])
    return {f"a decay of {decay}": (average, weights, decay) for decay in (0.9, 0.25)}


AVERAGED = Exercise(
    hints=(
        "Two shares that add up to 1: how much does the old average keep, how much comes from the new weights?",
        "With <i>decay</i> 0.9 the new average is nine tenths of the old one and one tenth of the weights.",
    ),
    solved_by=averaged,
    what="an average of four weights",
    cases=_averages,
    mistakes={
        "you return mostly the new weights; decay is what the old average keeps.":
            lambda average, weights, decay: averaged(weights, average, decay),
        "you add all of the new weights to the old average; the two shares add up to 1.":
            lambda average, weights, decay: decay * average + weights,
        "you keep all of the old average; it keeps `decay` of itself, so that the two shares add up to 1.":
            lambda average, weights, decay: average + (1 - decay) * weights,
        "you take decay times the weights away; `(1 - decay) * weights` needs its brackets.":
            lambda average, weights, decay: decay * average + 1 - decay * weights,
    },
    may_change=("average",),
)

# ------------------------------------------------------------------------------------------------ 05.2


def rate(step: int, steps: int, rise: int, highest: float) -> float:
    """The learning rate of a step: a straight rise, then half a cosine down to 0."""
    if step <= rise:
        return highest * step / rise
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def _steps() -> dict[str, tuple]:
    tries = [(step, 60, 20, 0.4) for step in range(61)] + [(step, 1000, 100, 1e-3) for step in (0, 50, 100, 550, 1000)]
    return {
        f"step {step} of {steps}, with a rise of {rise} and a highest rate of {highest},": (step, steps, rise, highest)
        for step, steps, rise, highest in tries
    }


def _falling(fall: Callable[[int, int, int], float]) -> Callable:
    """A function that rises as it should, and then falls by fall(step, steps, rise), a share of the highest rate."""
    def answer(step: int, steps: int, rise: int, highest: float) -> float:
        return highest * (step / rise if step <= rise else fall(step, steps, rise))
    return answer


RATE = Exercise(
    hints=(
        "Two cases. Up to <i>rise</i>: which share of the rise has been climbed? Beyond: which share of the rest "
        "has been walked?",
        "<code>0.5 * (1 + math.cos(math.pi * x))</code> falls from 1 to 0 while <i>x</i> goes from 0 to 1. At the "
        "end of the rise <i>x</i> is 0, at the last step 1.",
    ),
    solved_by=rate,
    what="a rate",
    cases=_steps,
    mistakes={
        "your rise is one step early; the rate of step 0 is 0, and step `rise` is the first with the highest.":
            lambda step, steps, rise, highest:
            highest * (step + 1) / rise if step < rise else rate(step, steps, rise, highest),
        "your rate is still the highest after the rise; it is to fall.":
            _falling(lambda step, steps, rise: 1),
        "your rate falls along a straight line; a cosine falls slowly, then fast, then slowly.":
            _falling(lambda step, steps, rise: (steps - step) / (steps - rise)),
        "your rate is that of a cosine over all steps; begin to count where the rise ends.":
            _falling(lambda step, steps, rise: rate(step, steps, 0, 1)),
        "your rate has not come to 0 at the last step; the fall lasts steps − rise, and not all steps.":
            _falling(lambda step, steps, rise: rate(step, steps + rise, rise, 1)),
        "your rate becomes negative; a cosine goes from 1 to -1, a rate to 0.":
            _falling(lambda step, steps, rise: math.cos(math.pi * (step - rise) / (steps - rise))),
    },
)

# ------------------------------------------------------------------------------------------------ 05.3


def positions(step: int, batch: int, rank: int, processes: int) -> list[int]:
    """The positions in the run that one process sees at a step, counted from 0."""
    first = (step * processes + rank) * batch
    return list(range(first, first + batch))


def _processes() -> dict[str, tuple]:
    return {
        f"step {step} and process {rank} of {processes}, with batches of {batch},": (step, batch, rank, processes)
        for batch, processes in ((4, 1), (4, 2), (3, 5)) for step in range(3) for rank in range(processes)
    }


def _require_positions(found: object, right: list[int], what: str) -> None:
    require_like(found, found, what)
    if isinstance(found, Tensor):
        return require_tensor(found, (len(right),), what)
    require(isinstance(found, Sequence), f"your function returns {kind_of(found)}; {what} is wanted.")


POSITIONS = Exercise(
    hints=(
        "How many positions do all processes together see in one step? Where, then, does step 3 begin?",
        "Write down by hand who sees what with 2 processes and batches of 4: process 0 sees 0 to 3 at step 0 and 8 "
        "to 11 at step 1.",
    ),
    solved_by=positions,
    what="a list of positions",
    cases=_processes,
    mistakes={
        "each step sees the same again; all processes together move on by processes × batch positions a step.":
            lambda step, batch, rank, processes: positions(0, batch, rank, processes),
        "all processes see the same; the rank has to count.":
            lambda step, batch, rank, processes: positions(step, batch, 0, processes),
        "the next process begins one position further on; it is to be a whole batch.":
            lambda step, batch, rank, processes: [one + rank for one in positions(step, batch, 0, processes)],
        "a step moves on by one batch only; all processes together see processes × batch positions.":
            lambda step, batch, rank, processes: positions(step + rank, batch, 0, 1),
        "the processes take turns position by position; process 0 takes the first batch, process 1 the next.":
            lambda step, batch, rank, processes:
            list(range(step * batch * processes + rank, (step + 1) * batch * processes, processes)),
    },
    like=_require_positions,
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


HANGS = "what you return still hangs on the graph, and the graph on all activations; a number is enough."
KEPT = "the graphs of earlier batches were still in memory when the last was calculated; add up numbers, not losses."


def _watched(answer: Callable) -> object:
    """What an answer returns for six losses; WrongAnswer if it keeps their graphs or does not ask for each once."""
    losses = torch.tensor([0.5, 2.0, 1.25, 0.25, 4.0, 1.0])
    weight = torch.ones((), requires_grad=True)
    asked: list[int] = []
    alive: list[int] = []

    def loss_of(number: int) -> Tensor:
        gc.collect()
        alive.append(sum(watched() is not None for watched in _Kept.watched))
        asked.append(number)
        return _Kept.apply(losses[number] * weight)

    _Kept.watched = []
    gc.freeze()  # what is there already need not be searched for each batch, which takes seconds
    try:
        found = answer(loss_of, len(losses))
    finally:
        gc.unfreeze()
    require_like(found, 0.5, "a mean")
    require(sorted(asked) == list(range(len(losses))), f"you asked for the batches {asked}; ask for each one once.")
    require(not (isinstance(found, Tensor) and found.requires_grad), HANGS)
    require(max(alive) <= 1, KEPT)  # that of the batch before, whose name is still in use
    return found


MEAN_LOSS = Exercise(
    hints=(
        "A loss is a tensor that remembers how it came about. What does a sum of such tensors remember?",
        "<code>loss.item()</code> is the number alone.",
    ),
    solved_by=mean_loss,
    what="a mean",
    cases=lambda: {"the losses 0.5, 2, 1.25, 0.25, 4 and 1": ()},
    mistakes={
        HANGS: lambda loss_of, batches: sum(loss_of(number) for number in range(batches)) / batches,
        KEPT: lambda loss_of, batches: sum(loss_of(number) for number in range(batches)).item() / batches,
        "you return the sum of the losses; divide by their number.":
            lambda loss_of, batches: batches * mean_loss(loss_of, batches),
    },
    asked=_watched,
)

EXERCISES = {"05.1": AVERAGED, "05.2": RATE, "05.3": POSITIONS, "05.4": MEAN_LOSS}
