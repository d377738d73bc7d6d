"""Chapter 07: its stroke is that of the studio."""

from __future__ import annotations

import torch

from faceinpaint import masks
from faceinpaint.course.exercises import chapter_07


def test_the_stroke_of_the_exercise_is_that_of_the_studio():
    points = torch.tensor([[10.0, 12.0], [44.0, 20.0], [30.0, 50.0]])
    ours = masks.strokes([[5, points.flatten().tolist()]], 64)
    assert (ours != chapter_07.stroke_mask(points, 5, 64)).float().mean() < 0.01
