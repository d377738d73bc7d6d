"""Chapter 05: other ways to be right pass, and what else keeps the graphs of batches is told."""

from __future__ import annotations

import pytest
import torch

from faceinpaint.course import exercises
from faceinpaint.course.exercises import chapter_05
from faceinpaint.training.machine import share_of_rate
from faceinpaint.training.presets import Training


def detached(loss_of, batches):
    return sum(loss_of(number).detach() for number in range(batches)) / batches


def listed(loss_of, batches):
    return torch.stack([loss_of(number) for number in range(batches)]).mean().item()


@pytest.mark.parametrize("answer, sentence", [
    (listed, chapter_05.KEPT),
    (lambda loss_of, batches: loss_of(0).item(), "you asked for the batches [0]; ask for each one once."),
    (lambda loss_of, batches: [loss_of(number).item() for number in range(batches)][-1],
     "for the losses 0.5, 2, 1.25, 0.25, 4 and 1 you return 1; it is 1.5."),
])
def test_what_an_answer_keeps_or_does_not_ask_for_is_told(answer, sentence):
    assert exercises.get("05.4").check(answer).sentence == sentence


def test_positions_in_a_tensor_that_are_wrong_are_told_too():
    verdict = exercises.get("05.3").check(lambda step, batch, rank, processes: 7 + torch.arange(batch))
    assert "of 1, with batches of 4, you return [7, 8, 9, 10]; it is [0, 1, 2, 3]." in verdict.sentence


def test_weights_that_are_changed_are_told():
    def in_place(average, weights, decay):
        return weights.mul_(1 - decay).add_(decay * average)

    assert "your function changes `weights`" in exercises.get("05.1").check(in_place).sentence


@pytest.mark.parametrize("number, answer", [
    ("05.1", lambda a, w, d: torch.lerp(w, a, d)),
    ("05.1", lambda a, w, d: a.mul_(d).add_(w, alpha=1 - d)),  # the average itself may change
    ("05.3", lambda s, b, r, n: torch.arange(b) + b * (s * n + r)),
    ("05.4", detached),
])
def test_other_ways_to_be_right_pass(number, answer):
    verdict = exercises.get(number).check(answer)
    assert verdict.passed, verdict


def test_the_rate_of_the_package_falls_along_a_cosine_too():
    """Its rise is laid over the cosine and it ends at 2 %; the exercise is the textbook's."""
    settings = Training(steps=1000)
    assert share_of_rate(settings, 500) == pytest.approx(0.51 + 0.49 * 0, abs=1e-9)
    assert share_of_rate(settings, 1000) == pytest.approx(0.02)
    assert chapter_05.rate(550, 1000, 100, 1.0) == pytest.approx(0.5)
