"""Errors of landmarks: on the face, by groups, as cumulative curves and along a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.course.figures.faces import DARK_EDGE, PARTS
from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn
from faceinpaint.landmarks import area_under_curve, cumulative_error, failure_rate

# One for each method, in this order: colour, marker and dashes, so that each alone tells them apart.
STYLES = (
    ("#999999", "s", "--"), ("#0072b2", "o", "-"), ("#d55e00", "^", "-."), ("#009e73", "D", ":"), ("#cc79a7", "v", "-"),
)
TRUE, PREDICTED = "#ffffff", "#e69f00"


def misses(ax: Axes, predicted: Tensor, true: Tensor) -> None:
    """Draw on `ax` the true landmarks as white lines, and from each an orange one to where it was predicted.

    predicted, true: (68, 2) or (1, 68, 2) pixels of one face. Raises InputError for another shape.
    """
    for points in (predicted, true):
        if points.shape not in ((68, 2), (1, 68, 2)):
            raise InputError(
                f"landmarks to draw are (68, 2) pixels of one face, these are {tuple(points.shape)}: "
                "take one out of a batch with landmarks[:1]"
            )
    ends, starts = (points.detach().cpu().float().reshape(68, 2).numpy() for points in (predicted, true))
    dark_edge = [patheffects.withStroke(linewidth=2.4, foreground=DARK_EDGE)]
    for _, lines in PARTS.values():
        for line in lines:
            ax.plot(*starts[list(line)].T, color=TRUE, linewidth=1.1, path_effects=dark_edge)
    between = LineCollection(list(zip(starts, ends)), colors=PREDICTED, linewidths=1.3, path_effects=dark_edge)
    ax.add_collection(between, autolim=False)
    ax.plot(*ends.T, "o", color=PREDICTED, markersize=2.2, markeredgewidth=0.3, markeredgecolor="black")


@drawn
def mean_errors(methods: Mapping[str, Mapping[str, Tensor]], label: str) -> Figure:
    """Groups below each other: for each method a mark at the mean of its errors, with its 95 % interval.

    methods: name -> group -> (N,) errors, such as 0.08 for 8 %; all methods have the same groups. label: below the
    axis. The interval is 1.96 standard errors to both sides. Raises InputError for groups that differ, or no errors.
    """
    groups = list(next(iter(methods.values()), {}))
    if not groups or any(list(method) != groups for method in methods.values()):
        raise InputError("the methods to compare have different groups, or none: give each an error for every group")
    figure, ax = plt.subplots(figsize=(WIDTH, 0.27 * len(groups) + 1.1))
    for number, (name, method) in enumerate(methods.items()):
        colour, marker, _ = STYLES[number % len(STYLES)]
        lift = 0.16 * (number - (len(methods) - 1) / 2)  # not on top of each other
        for height, errors in enumerate(method.values()):
            errors = errors.detach().cpu().double()
            around = 1.96 * errors.std(correction=0).item() / len(errors) ** 0.5
            ax.plot([errors.mean() - around, errors.mean() + around], [height + lift] * 2, color=colour, linewidth=1.3)
            ax.plot(errors.mean(), height + lift, marker, color=colour, markersize=4.8,
                    label=name if height == 0 else None)
    ax.set(yticks=range(len(groups)), yticklabels=groups, ylim=(len(groups) - 0.5, -0.5), xlim=(0, None), xlabel=label)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@drawn
def cumulative_errors(methods: Mapping[str, Tensor], limit: float = 0.1, last: float = 0.3) -> Figure:
    """Cumulative error curves: the share of faces whose error is at most what the axis says, up to `last`.

    methods: name -> (N,) errors. The dashed line is the limit of a failure; the legend says, for this limit, the
    failure rate and the area under the curve.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.58))
    limits = torch.linspace(0, last, 601)
    for (name, errors), (colour, _, dashes) in zip(methods.items(), STYLES * len(methods)):
        errors = errors.detach().cpu().float()
        found = f"{name}: {failure_rate(errors, limit):.0%} fail, area {area_under_curve(errors, limit):.2f}"
        ax.plot(limits, cumulative_error(errors, limits), dashes, color=colour, linewidth=1.8, label=found)
    ax.axvline(limit, color="0.3", linewidth=1, linestyle=(0, (2, 2)))
    ax.text(limit, 1.01, f"{limit:.0%}", fontsize=FONT - 1, color="0.3", ha="center")
    ax.set(xlim=(0, last), ylim=(0, 1), xlabel="normalised mean error of a face", ylabel="share of the faces")
    ax.legend(loc="lower right")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


@drawn
def error_curves(
    runs: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]], names: Mapping[str, str]
) -> Figure:
    """What training runs have logged, side by side: a panel for each quantity, a curve for each run.

    runs: title -> quantity -> (steps, errors), as `read_log` returns them. names: quantity -> title of its panel.
    Raises InputError where a run has not logged a quantity.
    """
    missing = [f"{quantity} of {run}" for run, log in runs.items() for quantity in names if quantity not in log]
    if missing:
        raise InputError(f"the log lacks {missing[0]}: choose from {', '.join(next(iter(runs.values())))}")
    figure, axes = plt.subplots(1, len(names), figsize=(WIDTH, 2.7), sharey=True, squeeze=False)
    for ax, (quantity, title) in zip(axes[0], names.items()):
        for (run, log), (colour, marker, dashes) in zip(runs.items(), STYLES[1:] * len(runs)):
            ax.plot(*log[quantity], dashes, color=colour, marker=marker, markersize=3.5, linewidth=1.5,
                    label=run if ax is axes[0, 0] else None)
        ax.set(title=title, xlabel="step")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set(ylim=(0, None), ylabel="error")
    figure.legend(loc="outside upper center", ncols=len(runs))
    return figure
