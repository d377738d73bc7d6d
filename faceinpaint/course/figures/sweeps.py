"""What breaks a completion, as pictures: measures along a factor, one person along it, and who is behind a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import COLOURS, DASHES
from faceinpaint.evaluation.figures import MARKERS
from faceinpaint.evaluation.pictures import WIDTH, Picture, board, drawn

if TYPE_CHECKING:  # evaluation draws with this package
    from faceinpaint.course.studies.sweeps import Example, Point
    from faceinpaint.evaluation.statistics import Difference

Curves = Mapping[str, Sequence["Point"]]
CEILING = "0.45"


@drawn
def sweep_curves(
    panels: Mapping[str, Curves], across: str, ceiling: Mapping[str, Sequence[Point]] | None = None,
    joined: bool = True,
) -> Figure:
    """Measures along a factor, a panel each: means with 95 % intervals by person, a curve for each method.

    panels: label of the measure -> method -> its points. across: below the axes. ceiling: label -> points of what the
    untouched face itself has, dotted in grey. joined: by lines, which mean nothing between levels without an order;
    these stand at equal distances. Raises InputError where there is nothing to draw.
    """
    if not panels or not all(points for curves in panels.values() for points in [*curves.values(), curves]):
        raise InputError("there is no point to draw: give every panel a curve, and every curve a level")
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 2.9), squeeze=False)
    for ax, (label, curves) in zip(axes[0], panels.items()):
        curves = curves if joined else _side_by_side(curves)
        for number, (name, points) in enumerate(curves.items()):
            _curve(ax, points, number, len(curves), name, joined)
        if ceiling and label in ceiling:
            means = [one.found.mean for one in ceiling[label]]
            ax.plot(_places(ceiling[label]), means, color=CEILING, linewidth=1.2, linestyle=(0, (1, 1)),
                    label="untouched face")
        _levels(ax, max(curves.values(), key=len), narrow=len(panels) > 2)
        ax.set_title(label)
    figure.supxlabel(across)
    handles = {name: one for ax in axes[0] for one, name in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=4)
    return figure


@drawn
def gaps(found: Mapping[str, Mapping[str, Difference]], across: str) -> Figure:
    """Differences with 95 % intervals, a row for each comparison and a mark for each method; the line is no difference.

    found: method -> comparison -> difference; all methods have the same ones, InputError otherwise. A hollow mark is
    one that may be chance.
    """
    rows = list(next(iter(found.values()), {}))
    if not rows or any(list(method) != rows for method in found.values()):
        raise InputError("the methods have different comparisons, or none: give each the same")
    figure, ax = plt.subplots(figsize=(WIDTH, 0.34 * len(rows) + 1.1))
    for number, (name, method) in enumerate(found.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        lift = 0.22 * (number - (len(found) - 1) / 2)
        for height, one in enumerate(method.values()):
            ax.plot([one.low, one.high], [height + lift] * 2, color=colour, linewidth=1.3)
            ax.plot(one.mean, height + lift, marker, color=colour, markersize=5.5,
                    markerfacecolor=colour if one.real else "white")
        ax.plot([], [], marker, color=colour, markersize=5.5, label=name)
    ax.axvline(0, color="0.3", linewidth=1, linestyle="--")
    ax.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5), xlabel=across)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def along(levels: Sequence[str], rows: Mapping[str, Sequence[Picture]]) -> Figure:
    """One person along a factor: a column for each level, a row for each kind of picture by its name."""
    if any(len(pictures) != len(levels) for pictures in rows.values()):
        raise InputError(f"there are {len(levels)} levels: give each row a picture for every one")
    pictures = [one for row in rows.values() for one in row]
    return board(pictures, list(levels), columns=len(levels), beside=list(rows))


def behind(examples: Sequence[Example], measure: str, name: str) -> Figure:
    """The people behind a point of a curve: original, what was left of it, and completion, side by side.

    examples: the median and the worst, as `Sweeper.behind` returns them. name: of the measure, as it is printed.
    """
    pictures, titles = [], []
    for one in examples:
        pictures += [one.original, one.masked, one.completed]
        titles += [f"{one.word}\n", f"{one.row['level']}, {one.row['mask']}\n", f"{name}\n{one.row[measure]:.2f}"]
    return board(pictures, titles, columns=6)


def _curve(ax: Axes, points: Sequence[Point], number: int, of: int, name: str, joined: bool) -> None:
    colour = COLOURS[number % len(COLOURS)]
    # A little beside each other, or one interval would hide the other.
    places = _places(points) + 0.022 * (number - (of - 1) / 2) * max(1.0, np.ptp(_places(points)))
    dashes = DASHES[number % len(DASHES)] if joined else "none"
    ax.plot(places, [one.found.mean for one in points], linestyle=dashes, color=colour, linewidth=1.6,
            marker=MARKERS[number % len(MARKERS)], markersize=4.5, label=name)
    for place, one in zip(places, points):
        ax.plot([place, place], [one.found.low, one.found.high], color=colour, linewidth=1, alpha=0.75)


def _side_by_side(curves: Curves) -> dict[str, list[Point]]:
    """Curves with their levels at equal distances, in the order in which they come."""
    levels = list(dict.fromkeys(one.level for points in curves.values() for one in points))
    return {
        name: [one._replace(place=levels.index(one.level)) for one in points] for name, points in curves.items()
    }


def _places(points: Sequence[Point]) -> np.ndarray:
    return np.array([one.place for one in points], float)


def _levels(ax: Axes, points: Sequence[Point], narrow: bool) -> None:
    """Ticks where the levels are, with their names; long names stand aslant."""
    long = max(len(one.level) for one in points) * len(points) > (16 if narrow else 26)
    ax.set_xticks(_places(points), [one.level for one in points], rotation=35 if long else 0,
                  ha="right" if long else "center", rotation_mode="anchor")
    ax.margins(x=0.08)
