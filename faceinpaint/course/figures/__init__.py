"""Every picture of the course: faces side by side, landmarks drawn on them, charts, and the source of what made them.

The functions return a matplotlib Figure and leave none open: a notebook shows it where it ends a cell, a
script writes it with `figure.savefig`. Colours are those of Okabe and Ito (2008), which colour-blind people
tell apart too.
"""

from faceinpaint.course.figures.code import source
from faceinpaint.course.figures.errors import cumulative_errors, error_curves, mean_errors, misses
from faceinpaint.course.figures.faces import AXES, PARTS, SEGMENTS, completions, found, landmarks, truth
from faceinpaint.course.figures.networks import architecture, attention, costs, fields, heats, patch_grid, patch_scores
from faceinpaint.course.figures.speed import curves, throughput, time_spent
from faceinpaint.course.figures.spread import spread
from faceinpaint.course.figures.sweeps import along, behind, gaps, sweep_curves
from faceinpaint.course.figures.terms import descents, lines, pulls, trade_off
from faceinpaint.evaluation.figures import by_hole_ratio, interval_bars, power_curve, quality_identity, roc_curves
from faceinpaint.evaluation.pictures import HOLE, WIDTH, board, row, tinted, to_pixels

__all__ = [
    "AXES", "HOLE", "PARTS", "SEGMENTS", "WIDTH", "along", "architecture", "attention", "behind", "board",
    "by_hole_ratio", "completions", "costs", "cumulative_errors", "curves", "descents", "error_curves", "fields",
    "found", "gaps", "heats", "interval_bars", "landmarks", "lines", "mean_errors", "misses", "patch_grid",
    "patch_scores", "power_curve", "pulls", "quality_identity", "roc_curves", "row", "source", "spread",
    "sweep_curves", "throughput", "time_spent", "tinted", "to_pixels", "trade_off", "truth",
]
