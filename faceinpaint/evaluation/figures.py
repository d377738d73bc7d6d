"""What an evaluation found, as pictures: means with their intervals, quality against identity, and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import COLOURS, DASHES
from faceinpaint.evaluation.pictures import WIDTH, drawn

if TYPE_CHECKING:  # evaluation draws with this module
    from faceinpaint.evaluation.identity import Roc
    from faceinpaint.evaluation.statistics import Interval

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@drawn
def interval_bars(methods: Mapping[str, Mapping[str, Interval]], label: str, share: bool = False) -> Figure:
    """Means with 95 % intervals, a row for each group and in it a mark for each method.

    methods: name -> group -> interval; all have the same groups. label: below the axis. share: in per cent, of 1.
    Raises InputError for groups that differ, or none.
    """
    groups = list(next(iter(methods.values()), {}))
    if not groups or any(list(method) != groups for method in methods.values()):
        raise InputError("the methods to compare have different groups, or none: give each an interval for every group")
    tall = 0.11 * len(groups) * len(methods) + 0.1 * len(groups) + 0.9
    figure, ax = plt.subplots(figsize=(WIDTH, tall))
    thick = 0.82 / len(methods)
    left = _floor([value for method in methods.values() for one in method.values() for value in one[:3]])
    for number, (name, method) in enumerate(methods.items()):
        heights = np.arange(len(groups)) - 0.41 + (number + 0.5) * thick
        means = np.array([one.mean for one in method.values()])
        ax.barh(heights, means - left, 0.9 * thick, left=left, alpha=0.75, label=name)
        for height, one in zip(heights, method.values()):
            ax.plot([one.low, one.high], [height, height], color="black", linewidth=0.9)
    ax.set(yticks=range(len(groups)), yticklabels=groups, ylim=(len(groups) - 0.5, -0.5), xlim=(left, None),
           xlabel=label)
    if share:
        ax.xaxis.set_major_formatter(_per_cent)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _floor(values: Sequence[float]) -> float:
    """Where an axis begins: at 0, unless there are several values and all of them are far from it."""
    lowest, highest = np.nanmin(values), np.nanmax(values)
    near = 0 <= lowest < 0.7 * highest or lowest == highest >= 0
    return 0.0 if near else float(lowest - 0.05 * (highest - lowest))


@drawn
def quality_identity(methods: Mapping[str, Sequence[tuple[Interval, Interval]]]) -> Figure:
    """PSNR against identity: a mark for each group of each method, with its 95 % intervals in both directions.

    methods: name -> (PSNR, cosine with the original) of each group.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.6))
    for number, (name, groups) in enumerate(methods.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        for quality, identity in groups:
            ax.plot([quality.low, quality.high], [identity.mean] * 2, color=colour, linewidth=0.7, alpha=0.6)
            ax.plot([quality.mean] * 2, [identity.low, identity.high], color=colour, linewidth=0.7, alpha=0.6)
        x, y = ([group[side].mean for group in groups] for side in (0, 1))
        ax.plot(x, y, marker, color=colour, markersize=5, label=name)
    ax.set(xlabel="PSNR, whole image (dB)", ylabel="cosine with the original")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


@drawn
def by_hole_ratio(methods: Mapping[str, Sequence[tuple[float, Interval]]]) -> Figure:
    """Identity against the size of the hole: means with 95 % intervals, a curve for each method.

    methods: name -> (mean hole ratio, cosine with the original) of each bin of hole ratios, rising.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.5))
    for number, (name, bins) in enumerate(methods.items()):
        places, found = [place for place, _ in bins], [one for _, one in bins]
        (line,) = ax.plot(places, [one.mean for one in found], DASHES[number % len(DASHES)], linewidth=1.7,
                          marker=MARKERS[number % len(MARKERS)], markersize=4.5, label=name)
        ax.fill_between(places, [one.low for one in found], [one.high for one in found], color=line.get_color(),
                        alpha=0.12, linewidth=0)
    ax.set(xlabel="share of the picture that is hidden", ylabel="cosine with the original", xlim=(0, None))
    ax.xaxis.set_major_formatter(_per_cent)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


@drawn
def roc_curves(curves: Mapping[str, Roc], threshold: float | None = None, least: float = 1e-3) -> Figure:
    """ROC curves: false accepts, from `least` on, on a logarithmic axis, true accepts above them.

    threshold: the judge's, marked on each curve. With no curve the figure says why.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.58))
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        ax.plot(np.maximum(curve.false_accepts, least), curve.true_accepts, DASHES[number % len(DASHES)], color=colour,
                linewidth=1.7, label=name, drawstyle="steps-post")
        if threshold is not None:
            true, false = curve.at(threshold)
            ax.plot(max(false, least), true, "o", color=colour, markersize=6, markeredgecolor="black", clip_on=False)
    if not curves:
        ax.text(0.5, 0.5, "nobody has two photographs here", transform=ax.transAxes, ha="center")
    strict = [curve.true_accepts[curve.false_accepts <= least] for curve in curves.values()]
    lowest = min([accepted.max(initial=0) for accepted in strict], default=0)
    ax.set(xscale="log", xlim=(least, 1), ylim=(max(0, 1.15 * lowest - 0.15), 1.005),
           xlabel="another person accepted", ylabel="same person accepted")
    ax.xaxis.set_major_formatter(_per_cent)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if curves:
        ax.legend(loc="lower right")
    return figure


@drawn
def power_curve(chances: Mapping[str, Mapping[int, float]], wanted: float = 0.8) -> Figure:
    """How often a difference is found, against the number of people; a curve for each difference.

    chances: name -> number of people -> share of the experiments. wanted: marked by a dashed line.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.5))
    for number, (name, by_people) in enumerate(chances.items()):
        ax.plot(list(by_people), list(by_people.values()), DASHES[number % len(DASHES)],
                marker=MARKERS[number % len(MARKERS)], markersize=4.5, linewidth=1.7, label=name)
    ax.axhline(wanted, color="0.3", linewidth=1, linestyle="--")
    ax.set(xscale="log", ylim=(0, 1.02), xlabel="people in the experiment", ylabel="experiments that find it")
    ticks = sorted({people for by_people in chances.values() for people in by_people})
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _per_cent(share: float, _: int) -> str:
    """A share as an axis tells it: 0.1% is not 0%."""
    return f"{100 * share:.3g}%"
