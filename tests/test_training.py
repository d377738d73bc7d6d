"""The training stages: they learn, resume exactly, and step the two networks in the right order."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch
from conftest import canonical_face
from PIL import Image, ImageOps

from faceinpaint import training, weights
from faceinpaint.errors import InputError
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.presets import PRESETS
from faceinpaint.recognisers import MobileFaceNet, Recogniser, load_recogniser

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, astronaut):
    """Three 'people' made from one photo; the training code does not mind."""
    root = tmp_path_factory.mktemp("faces")
    (root / "images").mkdir()
    portrait = astronaut.crop((110, 0, 350, 240)).resize((256, 256))
    landmarks = canonical_face(256)[0].tolist()
    rows = []
    for number, photo in enumerate([portrait, ImageOps.mirror(portrait), ImageOps.invert(portrait)]):
        for split in ("train", "val"):
            name = f"images/{split}-{number}.png"
            photo.save(root / name)
            rows.append(dict(file_name=name, identity=f"person-{number}", landmarks=landmarks, split=split,
                             source="test", licence="public domain"))
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    predictor = LandmarkPredictor(width=0.35, size=64).eval()
    predictor.set_mean_face(canonical_face(64), 64)
    return predictor


@pytest.fixture(scope="module")
def recogniser():
    torch.manual_seed(0)
    return Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)


def losses(out):
    with open(out / "log.csv") as file:
        return {(int(step), name): float(value) for step, name, value in csv.reader(file)}


def complete(folder, out, predictor, recogniser, steps, resume=False, **settings):
    chosen = replace(SMOKE.completion, steps=steps, **settings)
    return training.train_completion([folder], chosen, out, predictor, recogniser, resume=resume)


def test_people_of_two_folders_are_told_apart(folder):
    faces = training.load_faces([folder, folder], "train", 64)
    assert faces.identity.tolist() == [0, 1, 2, 3, 4, 5]


def test_landmark_training_starts_at_the_mean_face_and_measures_what_it_wrote(folder, tmp_path):
    path = training.train_landmarks([folder], replace(SMOKE.landmarks, steps=12), tmp_path)
    trained = weights.load(path, LandmarkPredictor)
    # All three people share their landmarks, so the mean face is theirs.
    faces = training.load_faces([folder], "val", SMOKE.landmarks.size)
    mean = trained.mean_face * SMOKE.landmarks.size - 0.5
    assert (mean - faces.landmarks).abs().max() < 0.3
    found, logged = training.landmark_errors(trained, faces), losses(tmp_path)
    for name, value in found.items():  # the file is in half precision
        assert value == pytest.approx(logged[12, f"nme_{name}"], abs=2e-3)
    assert found["open"] > 0  # it has moved away from the mean face


def test_completion_trains_and_its_weights_load(folder, tmp_path, predictor, recogniser):
    path = complete(folder, tmp_path, predictor, recogniser, steps=6)
    generator = weights.load(path, Generator)
    assert generator.width == SMOKE.completion.width
    assert any(parameter.abs().sum() > 0 for parameter in generator.paint.parameters())
    found = losses(tmp_path)
    assert (3, "discriminator") not in found and (4, "discriminator") in found  # joins at adversarial_from
    assert (5, "psnr_mask01") in found
    assert Image.open(tmp_path / "validation-000005.png").width > 4 * SMOKE.completion.size


def test_a_resumed_run_is_the_undisturbed_one(folder, tmp_path, predictor, recogniser, monkeypatch):
    """Six steps at once equal four, a stop and two: same losses, same weights."""
    straight = complete(folder, tmp_path / "straight", predictor, recogniser, steps=6)

    class Stopped(Exception):
        pass

    original = training.Run.log

    def stop_at_four(self, step, values):
        original(self, step, values)
        if step == 5:
            raise Stopped

    monkeypatch.setattr(training.Run, "log", stop_at_four)
    monkeypatch.setattr(training.Run.__init__, "__defaults__", (4,))  # a checkpoint every four steps
    with pytest.raises(Stopped):
        complete(folder, tmp_path / "resumed", predictor, recogniser, steps=6)
    monkeypatch.setattr(training.Run, "log", original)
    resumed = complete(folder, tmp_path / "resumed", predictor, recogniser, steps=6, resume=True)

    assert losses(tmp_path / "resumed") == losses(tmp_path / "straight")
    first, second = (weights.load(path, Generator).state_dict() for path in (straight, resumed))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_second_run_in_the_same_folder_is_refused(folder, tmp_path, predictor, recogniser):
    complete(folder, tmp_path, predictor, recogniser, steps=1)
    with pytest.raises(InputError, match="--resume"):
        complete(folder, tmp_path, predictor, recogniser, steps=1)


def test_resuming_nothing_is_an_error(folder, tmp_path, predictor, recogniser):
    with pytest.raises(InputError, match="no checkpoint"):
        complete(folder, tmp_path, predictor, recogniser, steps=1, resume=True)


def test_the_generator_steps_before_the_discriminator(folder, tmp_path, predictor, recogniser, monkeypatch):
    """The known bug of this family: a discriminator that steps first has changed the weights that the generator's
    backward pass, through the same graph, still needs. And the generator's pass must not teach the discriminator.
    """
    events = []
    backward, step = training.Accelerator.backward, torch.optim.Adam.step

    def record_backward(self, loss, **options):
        events.append("backward")
        backward(self, loss, **options)

    def record_step(self, *args, **options):
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        planes = {p.shape[1] for group in self.param_groups for p in group["params"] if p.dim() == 4}
        events.append("discriminator steps" if 9 not in planes else "generator steps")
        assert gradients
        return step(self, *args, **options)

    made = []
    original = training.Discriminator

    def remember(width):
        made.append(original(width))
        return made[0]

    adversarial = training.adversarial_loss

    def holds_still(fake, mask):
        assert not any(parameter.requires_grad for parameter in made[0].parameters())
        return adversarial(fake, mask)

    monkeypatch.setattr(training, "Discriminator", remember)
    monkeypatch.setattr(training, "adversarial_loss", holds_still)
    monkeypatch.setattr(training.Accelerator, "backward", record_backward)
    monkeypatch.setattr(torch.optim.Adam, "step", record_step)
    complete(folder, tmp_path, predictor, recogniser, steps=2, adversarial_from=1)
    assert events == ["backward", "generator steps", "backward", "discriminator steps"] * 2


def test_the_recogniser_trains_calibrates_and_loads(folder, tmp_path, predictor):
    settings = replace(SMOKE.recogniser, steps=3, morphs=3)
    path = training.train_recogniser([folder], settings, tmp_path, predictor)
    recogniser = load_recogniser(path)
    assert 0 < recogniser.threshold < 2
    assert recogniser.threshold == pytest.approx(1 - losses(tmp_path)[3, "limit"], abs=1e-3)


def test_the_rate_rises_stays_and_falls():
    assert training.decay(1, 1000) == 0.01
    assert training.decay(100, 1000) == training.decay(500, 1000) == 1
    assert training.decay(750, 1000) == pytest.approx(0.51)
    assert training.decay(1000, 1000) == pytest.approx(0.02)
