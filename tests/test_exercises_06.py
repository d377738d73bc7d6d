"""Chapter 06: its exercises agree with the evaluation."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from faceinpaint.course.exercises import chapter_06


def test_rank_1_of_the_exercise_is_that_of_the_evaluation():
    from faceinpaint.evaluation import Gallery

    random = torch.Generator().manual_seed(0)
    identity = torch.arange(6).repeat_interleave(2)
    originals = F.normalize(torch.randn(12, 5, generator=random), dim=1)
    completed = F.normalize(originals + torch.randn(12, 5, generator=random), dim=1)
    found = Gallery(originals, identity, 0.5).measures(completed, torch.arange(12))["rank1"].mean().item()
    assert found == pytest.approx(chapter_06.rank1(completed, originals, identity))


def test_the_threshold_of_the_exercise_is_that_of_the_roc():
    from faceinpaint.evaluation import roc

    different = torch.rand(500, generator=torch.Generator().manual_seed(0))
    curve = roc(torch.rand(20, generator=torch.Generator().manual_seed(1)), different)
    right = chapter_06.threshold(different, 0.05)
    # The curve may rise further, up to the next pair of different people.
    assert right <= curve.threshold_at(0.05) < different.sort().values[25].item()
