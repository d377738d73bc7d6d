"""Training runs: how they went, how fast, and what their time is spent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import COLOURS, DASHES
from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn

FEW = 15  # values
Log = Mapping[str, tuple[Sequence[int], Sequence[float]]]


@drawn
def curves(runs: Mapping[str, Log], names: Mapping[str, str], columns: int = 3, smooth: int = 1) -> Figure:
    """What runs have logged: a panel for each quantity, with an axis of its own, and a curve for each run.

    runs: title -> quantity -> (steps, values), as `read_log` returns them; a run without a quantity has no curve in its
    panel. names: quantity -> title of its panel. smooth: of so many values in a row the mean is drawn; a quantity with
    few values is drawn as it is, with a dot for each. Raises InputError for a quantity that no run has logged.
    """
    for quantity in names:
        if not any(quantity in log for log in runs.values()):
            logged = sorted({name for log in runs.values() for name in log})
            raise InputError(f"no run has logged '{quantity}': choose from {', '.join(logged)}")
    rows = -(-len(names) // columns)
    columns = min(columns, len(names))
    figure, grid = plt.subplots(rows, columns, figsize=(WIDTH, 1.9 * rows + 0.4), squeeze=False)
    for ax in grid.flat[len(names):]:
        ax.set_axis_off()
    for ax, (quantity, title) in zip(grid.flat, names.items()):
        for number, log in enumerate(runs.values()):
            if quantity in log:
                steps, values = log[quantity]
                few = len(steps) < FEW
                ax.plot(*_means(steps, values, 1 if few else smooth), color=COLOURS[number % len(COLOURS)],
                        linestyle=DASHES[number % len(DASHES)], linewidth=1.7, marker="o" if few else "",
                        markersize=3.5)
        ax.set_title(title)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    figure.supxlabel("step")
    handles = [
        plt.Line2D([], [], color=COLOURS[n % len(COLOURS)], linestyle=DASHES[n % len(DASHES)], linewidth=1.7)
        for n in range(len(runs))
    ]
    if len(runs) > 1:
        figure.legend(handles, list(runs), loc="outside upper center", ncols=3)
    return figure


def _means(steps: Sequence[int], values: Sequence[float], count: int) -> tuple[list[float], list[float]]:
    """The means of each `count` steps and values in a row; what is left over at the end is a mean too."""
    parts = [slice(first, first + count) for first in range(0, len(steps), count)]
    return tuple([sum(row[part]) / len(row[part]) for part in parts] for row in (steps, values))


@drawn
def throughput(speeds: Mapping[str, Mapping[int, float]], across: str = "pictures in a batch") -> Figure:
    """Images a second as groups of bars: a group for each batch size, a bar in it for each way to compute.

    speeds: way -> batch size -> images a second, of the same batch sizes each; InputError otherwise.
    """
    sizes = list(next(iter(speeds.values()), {}))
    if not sizes or any(list(of_way) != sizes for of_way in speeds.values()):
        raise InputError("the ways to compute have different batch sizes, or none: measure the same for each")
    figure, ax = plt.subplots(figsize=(WIDTH, 2.8))
    wide = 0.8 / len(speeds)
    for number, (way, of_way) in enumerate(speeds.items()):
        places = [group - 0.4 + (number + 0.5) * wide for group in range(len(sizes))]
        bars = ax.bar(places, of_way.values(), 0.92 * wide, label=way)
        ax.bar_label(bars, [f"{value:.3g}" for value in of_way.values()], fontsize=FONT - 2, padding=1)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.margins(y=0.12)
    ax.set(xlabel=across, ylabel="images a second")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@drawn
def time_spent(seconds: Mapping[str, Mapping[str, float]]) -> Figure:
    """What a step's time is spent on, as bars below each other, with its share; one set of bars for each way.

    seconds: way -> kind of work -> seconds; a kind that a way lacks takes it no time. The kinds are in the order of the
    first way's, most first. Raises InputError where there is nothing to draw.
    """
    if not seconds or not all(seconds.values()):
        raise InputError("there are no seconds to draw: profile a step first")
    first = next(iter(seconds.values()))
    kinds = sorted({kind for way in seconds.values() for kind in way}, key=lambda kind: -first.get(kind, 0))
    figure, ax = plt.subplots(figsize=(WIDTH, 0.2 * len(kinds) * len(seconds) + 0.14 * len(kinds) + 0.9))
    tall = 0.8 / len(seconds)
    for number, (name, way) in enumerate(seconds.items()):
        heights = [kind - 0.4 + (number + 0.5) * tall for kind in range(len(kinds))]
        values = [1000 * way.get(kind, 0) for kind in kinds]
        bars = ax.barh(heights, values, 0.9 * tall, label=f"{name}: {sum(values):.0f} ms")
        ax.bar_label(bars, [f"{value / sum(values):.0%}" for value in values], fontsize=FONT - 2, padding=3)
    ax.set(yticks=range(len(kinds)), yticklabels=kinds, ylim=(len(kinds) - 0.5, -0.5), xlabel="milliseconds of a step")
    ax.margins(x=0.08)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
