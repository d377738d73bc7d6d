"""Chapter 08: its exercises agree with the studies and the statistics, and intervals are told by what was drawn."""

from __future__ import annotations

import pytest
import torch

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_08


def resampled(people_of):
    """An answer to 08.2 that draws from what people_of makes of each group."""
    def answer(first, second, times):
        found = chapter_08.gap_of_groups(people_of(first), people_of(second), times)
        return torch.stack([torch.cat(first).mean() - torch.cat(second).mean(), *found[1:]])
    return answer


def test_an_interval_that_was_drawn_is_told_as_well_as_one_that_was_calculated():
    check = exercises.get("08.2").check
    assert "far too narrow" in check(resampled(lambda group: [one[None] for one in torch.cat(group)])).sentence


def test_an_interval_is_told_the_same_each_time():
    def too_wide(*given):
        return chapter_08.gap_of_groups(*given) + torch.tensor([0, 0, 2.0])

    verdict, again = (exercises.get("08.2").check(too_wide) for _ in range(2))
    assert "for two groups of people you return 9." in verdict.sentence and verdict == again


def test_the_share_of_the_exercise_is_that_of_the_sweeps_but_for_the_softening():
    from faceinpaint.course.studies.sweeps import painted

    added = torch.zeros(1, 3, 64, 64)
    added[:, :, 20:50, 8:26] = -0.3  # large, so that softening its edge matters little
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    right = chapter_08.painted_share(0.4 * added - 0.05, added, mask)
    assert right.item() == pytest.approx(0.4, abs=1e-3)
    assert painted(0.4 * added - 0.05, added, mask).item() == pytest.approx(right.item(), abs=0.02)


def test_the_interval_of_the_exercise_is_that_of_the_statistics():
    from faceinpaint.evaluation import contrast

    torch.manual_seed(3)
    groups = chapter_08._two_groups()
    people = [[str(number) for number, one in enumerate(group) for _ in one] for group in groups]
    values = [torch.cat(group).tolist() for group in groups]
    right = contrast(values[0], people[0], values[1], people[1])
    assert chapter_08.gap_of_groups(*groups, 2000).tolist() == pytest.approx(right[:3], abs=0.3)
    assert chapter_08._ends(*groups).tolist() == pytest.approx(right[:3], abs=0.25)
