"""Terms of a loss: how each falls or rises, how hard it pulls, and what one costs the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import DASHES
from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn

FALLS, RISES, NEITHER = "#009e73", "#d55e00", "0.45"
EVEN = 0.02  # a term that changes by less neither falls nor rises


@drawn
def descents(values: Mapping[str, Mapping[str, Sequence[float]]], highest: float = 2.0) -> Figure:
    """A small chart for each two terms: while the row's is optimised, how does the column's go? Relative to its start.

    values: optimised term -> measured term -> its values from the start on; all rows have the same columns. A curve
    is cut at `highest`; the number is where it ends. Raises InputError for rows that differ, or none.
    """
    names = list(next(iter(values.values()), {}))
    if not names or any(list(row) != names for row in values.values()):
        raise InputError("the optimised terms have different measured ones, or none: measure the same for each")
    figure, grid = plt.subplots(
        len(values), len(names), squeeze=False, sharex=True, sharey=True, figsize=(WIDTH, 0.62 * len(values) + 0.75))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    for axes, (optimised, row) in zip(grid, values.items()):
        for ax, (measured, curve) in zip(axes, row.items()):
            relative = [value / curve[0] for value in curve]
            end = relative[-1]
            colour = NEITHER if abs(end - 1) < EVEN else FALLS if end < 1 else RISES
            ax.axhline(1, color="0.75", linewidth=0.8, linestyle="--")
            ax.plot(range(len(relative)), [min(value, highest) for value in relative], color=colour, linewidth=1.8)
            height, side = (0.06, "bottom") if end > 0.7 else (0.94, "top")  # where the curve is not
            ax.text(0.95, height, f"{end:.2f}" if end < 10 else f"{end:.0f}", transform=ax.transAxes, ha="right",
                    va=side, fontsize=FONT - 2, color=colour)
            ax.set(xticks=[], yticks=[], ylim=(-0.08, highest * 1.04))
            own = optimised == measured
            ax.spines[:].set(visible=True, color="0.2" if own else "0.8", linewidth=1.4 if own else 0.6)
        axes[0].set_ylabel(_two_lines(optimised), fontsize=FONT - 2, rotation=0, ha="right", va="center")
    for ax, measured in zip(grid[0], names):
        ax.set_title(_two_lines(measured))
    return figure


@drawn
def pulls(norms: Mapping[str, float], weights: Mapping[str, float]) -> Figure:
    """How hard each term pulls, on a logarithmic axis: an empty ring by itself, a full dot times its weight.

    norms, weights: of the same terms, all above 0; InputError otherwise.
    """
    if list(norms) != list(weights) or min([*norms.values(), *weights.values()], default=0) <= 0:
        raise InputError("gradient norms and weights belong to different terms, or are not all above 0")
    figure, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(norms) + 1.0))
    for height, (name, norm) in enumerate(norms.items()):
        pull = norm * weights[name]
        ax.annotate("", (pull, height), (norm, height), arrowprops={"arrowstyle": "->", "color": "0.6"})
        ax.plot(norm, height, "o", color="#0072b2", markerfacecolor="white", markersize=8, markeredgewidth=1.6,
                label="by itself" if height == 0 else None)
        ax.plot(pull, height, "o", color="#d55e00", markersize=8, label="times its weight" if height == 0 else None)
        ax.text(1.02, height, f"× {weights[name]:g}", transform=ax.get_yaxis_transform(), va="center")
    ax.set(xscale="log", yticks=range(len(norms)), yticklabels=norms, ylim=(len(norms) - 0.4, -0.6),
           xlabel="length of the gradient at the painted pixels")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@drawn
def trade_off(points: Mapping[str, tuple[float, float]], across: str, up: str, line: float | None = None) -> Figure:
    """Points joined in their order, each with its name: what is won across (logarithmic) and paid up, or the other way.

    points: name -> (x, y), x above 0. across, up: below and beside the axes. line: where a dashed line is drawn.
    """
    if not points or min(x for x, _ in points.values()) <= 0:
        raise InputError("there is nothing to draw on a logarithmic axis: give points whose first value is above 0")
    figure, ax = plt.subplots(figsize=(WIDTH, 3.2))
    x, y = zip(*points.values())
    ax.plot(x, y, "o-", color="#0072b2", linewidth=1.6, markersize=6)
    white_edge = [patheffects.withStroke(linewidth=3, foreground="white")]
    for name, place in points.items():
        ax.annotate(name, place, (0, 8), textcoords="offset points", ha="center", fontsize=FONT - 1,
                    path_effects=white_edge, zorder=4)
    if line is not None:
        ax.axvline(line, color="0.3", linewidth=1, linestyle="--")
        ax.text(line, 0.02, " threshold", transform=ax.get_xaxis_transform(), fontsize=FONT - 1, color="0.3")
    ax.set(xscale="log", xlabel=across, ylabel=up)
    ax.margins(x=0.08, y=0.18)
    return figure


@drawn
def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], across: str, up: str, log: bool = False,
    line: tuple[str, float] | None = None,
) -> Figure:
    """Curves, each told from the others by colour and dashes.

    curves: name -> (x, y). across, up: below and beside the axes. log: of the values. line: name and height of a
    dashed line.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 2.9))
    for number, (name, (x, y)) in enumerate(curves.items()):
        ax.plot(x, y, DASHES[number % len(DASHES)], linewidth=2, label=name)
    if line is not None:
        name, height = line
        ax.axhline(height, color="0.3", linewidth=1, linestyle="--")
        ax.text(0.99, height, name, transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=FONT - 1,
                color="0.3")
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=across, ylabel=up)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _two_lines(name: str) -> str:
    return name.replace(" ", "\n")
