"""Groups of numbers below each other, each number a dot."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn


@drawn
def spread(groups: Mapping[str, Tensor], label: str, lines: Mapping[str, float] | None = None) -> Figure:
    """Groups of numbers below each other: a dot for each number, a bar at the mean, which is written beside it.

    groups: name -> (N,) numbers. label: below the axis. lines: name -> where a dashed line is drawn.
    """
    figure, ax = plt.subplots(figsize=(WIDTH, 0.55 * len(groups) + 0.9))
    right = max(float(values.max()) for values in groups.values())
    for height, values in enumerate(groups.values()):
        values = values.detach().cpu().float().numpy()
        # Spread evenly by rank instead of at random: the picture is the same each time.
        lift = ((np.arange(len(values)) * 0.618034) % 1 - 0.5) * 0.5
        ax.plot(values, height + lift, "o", color="#0072b2", alpha=0.35, markersize=3.5, markeredgewidth=0)
        ax.plot([values.mean()] * 2, [height - 0.36, height + 0.36], color="#d55e00", linewidth=2.4)
        ax.text(1.02, height, f"{values.mean():.2f}", transform=ax.get_yaxis_transform(), va="center",
                color="#d55e00")
    ranked = sorted((lines or {}).items(), key=lambda line: line[1])
    for number, (name, place) in enumerate(ranked):
        ax.axvline(place, color="0.3", linewidth=1, linestyle="--")
        # All names to the right of their lines, each a little higher than the next, so that none covers another.
        height = -0.62 - 0.3 * (len(ranked) - 1 - number)
        ax.text(place, height, f" {name}", fontsize=FONT - 1, color="0.3", va="bottom")
    ax.set(yticks=range(len(groups)), yticklabels=groups, xlim=(min(0, right), None), ylim=(len(groups) - 0.4, -0.65),
           xlabel=label)
    ax.text(1.02, 1, "mean", transform=ax.transAxes, fontsize=FONT - 1, color="#d55e00", va="top")
    return figure
