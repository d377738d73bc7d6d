"""Every picture of the course: faces side by side, landmarks drawn on them, charts, and the source of what made them.

The functions return a matplotlib Figure and leave none open: a notebook shows it where it ends a cell, a
script writes it with `figure.savefig`. Colours are those of Okabe and Ito (2008), which colour-blind people
tell apart too.
"""

from faceinpaint.figures.charts import spread
from faceinpaint.figures.code import source
from faceinpaint.figures.faces import AXES, PARTS, SEGMENTS, completions, found, landmarks, truth
from faceinpaint.figures.pictures import HOLE, WIDTH, board, row, tinted, to_pixels

__all__ = [
    "AXES", "HOLE", "PARTS", "SEGMENTS", "WIDTH", "board", "completions", "found", "landmarks", "row", "source",
    "spread", "tinted", "to_pixels", "truth",
]
