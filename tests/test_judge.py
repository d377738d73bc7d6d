"""Rendered faces judged: the measures on cases whose answer is known, and the command on a few faces."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from faceinpaint import weights
from faceinpaint.cli import app
from faceinpaint.evaluation import renderer
from faceinpaint.faces import synthetic
from faceinpaint.faces.synthetic.dataset import split_of
from faceinpaint.recognisers import JUDGE, LOSS, MobileFaceNet, load_recogniser

SMALL = 96


def test_photographs_of_a_person_are_the_same_person_and_come_in_order():
    batches = list(renderer.photographs([0, 1, 2, 3, 7], 2, 64))
    assert [len(batch) for batch in batches] == [8, 2]  # people in batches of four
    alone = synthetic.render(synthetic.identities([7]), synthetic.poses([14, 15]), 64)
    assert torch.allclose(batches[1].landmarks, alone.landmarks, atol=1e-2)


class Known:
    """A recogniser that sees who somebody is, and confuses the last two people."""

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, images: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
        people = torch.arange(self.seen, self.seen + len(images)) // 4
        self.seen += len(images)
        return torch.eye(4)[people.clamp(max=2)]


def test_recognition_counts_cosines_and_rank_1(monkeypatch):
    seen = []

    def stand_in(people, photos, size):
        seen.extend(people)
        return [synthetic_stand_in(len(people) * photos)]

    monkeypatch.setattr(renderer, "photographs", stand_in)
    result = renderer.recognition(Known(), people=4, photos=4)
    assert len(set(seen)) == 4 and {split_of(person) for person in seen} == {"test"}  # nobody was trained on them
    assert result.same == pytest.approx(1.0)
    # Of the 6 pairs of people one is confused, so that its cosine is 1 where that of the others is 0.
    assert result.different == pytest.approx(1 / 6)
    assert result.rank1 < 1.0 and result.rank1 >= 0.5


def synthetic_stand_in(count: int) -> synthetic.RenderedFaces:
    return synthetic.RenderedFaces(torch.zeros(count, 3, 8, 8), torch.zeros(count, 68, 2))


def test_a_detector_is_asked_about_every_face(monkeypatch):
    faces = synthetic.render(synthetic.identities([0, 1]), synthetic.poses([0, 1], max_yaw=0.3), 160)
    blank = synthetic.RenderedFaces(torch.full((2, 3, 160, 160), 0.5), faces.landmarks)
    monkeypatch.setattr(renderer, "photographs", lambda *_, **__: [faces, blank])
    result = renderer.detection(4)
    assert result.found == 0.5  # the rendered ones, not the grey ones
    assert 0 < result.error < 0.15


def test_speed_is_measured_in_pictures_a_second(monkeypatch):
    monkeypatch.setattr(renderer, "render", lambda *_: None)
    ticks = iter([0, 9, 10, 12, 20, 21, 30, 34])  # begin and end of each
    monkeypatch.setattr(renderer.time, "perf_counter", lambda: next(ticks))
    assert renderer.speed(64, people=1, photos=2) == 2  # in the quickest of three, after one to warm up


def test_the_command_prints_every_judgement(monkeypatch, tmp_path):
    torch.manual_seed(0)
    weights.save(MobileFaceNet(width=0.125), {"width": 0.125, "threshold": 0.5}, tmp_path / "small.safetensors")
    monkeypatch.setattr(renderer, "memory", lambda: 1.0)  # half a minute for the two
    monkeypatch.setattr(renderer, "speed", float)
    command = ["judge", "--faces", "4", "--people", "2", "--recogniser", str(tmp_path / "small.safetensors")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    for word in ("GiB", "64 px", "256 px", "MTCNN", "small, 2 people x 4", "rank-1"):
        assert word in result.output


def test_a_predictor_without_photographs_is_refused():
    result = CliRunner().invoke(app, ["judge", "--predictor", "x.safetensors"])
    assert result.exit_code != 0 and "both --predictor and --real" in str(result.exception)


@pytest.mark.parametrize("name", [LOSS, JUDGE])
def test_each_shipped_recogniser_tells_a_few_rendered_people_apart(name):
    result = renderer.recognition(load_recogniser(name), people=4, photos=2, size=SMALL)
    assert result.same > result.different
