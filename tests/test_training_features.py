"""The embedded feature network learns to name the parts of rendered faces, and how blurred they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from faceinpaint import weights
from faceinpaint.errors import InputError
from faceinpaint.faces.synthetic import LABELS
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.features import FeatureNetwork
from faceinpaint.presets import FeatureTraining
from faceinpaint.training import Stopped, read_log, run, train_features
from faceinpaint.training.features import (
    NOT_ASKED,
    ParsedFaces,
    Parser,
    blurred,
    framed,
    label_weights,
    make_task,
    read_parsed_faces,
    validate,
)

SMALL = FeatureTraining(steps=3, batch=2, size=32, width=4, validate_every=3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two rendered people: number 0 is for training, number 1 for validation."""
    out = tmp_path_factory.mktemp("rendered")
    write_folder(out, people=2, photos=1, size=40, supersample=1)
    return out


def stripes(count: int = 4, size: int = 48) -> ParsedFaces:
    """Pictures whose colour says the label of each pixel."""
    label = (torch.arange(size) * len(LABELS) // size).expand(count, size, size)
    image = (label * 25)[:, None].expand(-1, 3, -1, -1)
    return ParsedFaces(image.byte(), label=label.byte())


def test_training_writes_a_network_that_the_package_can_load(folder, tmp_path):
    path = train_features([folder], SMALL, tmp_path)
    network = weights.load(path, FeatureNetwork)
    assert [maps.shape[1] for maps in network(torch.rand(1, 3, 32, 32)).values()] == [4, 8, 16, 24, 32]
    log = read_log(tmp_path)
    assert log["parsing"][0] == log["sharpness"][0] == [1, 2, 3] and log["iou"][0] == [3]
    assert all(math.isfinite(value) for _, values in log.values() for value in values)


def test_the_network_learns_to_parse(folder, tmp_path):
    """One person again and again: what it says about her gets better."""
    train_features([folder], replace(SMALL, steps=40, batch=4, lr=1e-2, validate_every=100), tmp_path)
    _, parsing = read_log(tmp_path)["parsing"]
    assert sum(parsing[-5:]) < 0.8 * sum(parsing[:5])


def test_the_same_seed_trains_the_same_network(folder, tmp_path):
    first, second, other = (
        load_file(train_features([folder], SMALL, tmp_path / name, seed)) for name, seed in zip("abc", (0, 0, 1))
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


def test_a_stopped_and_resumed_run_is_the_undisturbed_one(folder, tmp_path, monkeypatch):
    straight = load_file(train_features([folder], SMALL, tmp_path / "a"))

    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "_leave_if_told", stop_after_two)
        with pytest.raises(Stopped):
            train_features([folder], SMALL, tmp_path / "b")
    resumed = load_file(train_features([folder], SMALL, tmp_path / "b", resume=True))
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)
    assert (tmp_path / "a" / "log.csv").read_text() == (tmp_path / "b" / "log.csv").read_text()


def stop_after_two(self):
    if self.done == 2:
        self._save()
        raise Stopped(15, "")


def test_a_loss_that_is_not_finite_leaves_the_task(folder, tmp_path, monkeypatch):
    nothing = torch.full((len(LABELS),), math.nan)
    monkeypatch.setattr("faceinpaint.training.features.label_weights", lambda label: nothing)
    with pytest.raises(InputError, match="the parsing loss of step 1 is not finite"):
        train_features([folder], SMALL, tmp_path)
    task = load_file(next(tmp_path.glob("not-finite-*.safetensors")))
    assert {name: tuple(value.shape) for name, value in task.items()} == {
        "image": (2, 3, 32, 32), "label": (2, 32, 32), "blur": (2, 32, 32)
    }


def test_a_folder_without_segmentation_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="holds no metadata.jsonl"):
        read_parsed_faces(tmp_path, "train")
    with pytest.raises(InputError, match="no faces in the split 'test' with their segmentation"):
        read_parsed_faces(folder, "test")
    (tmp_path / "metadata.jsonl").write_text((folder / "metadata.jsonl").read_text())
    with pytest.raises(InputError, match="with their segmentation"):
        read_parsed_faces(tmp_path, "train")


def test_splits_are_kept_apart(folder):
    train, val = read_parsed_faces(folder, "train"), read_parsed_faces(folder, "val")
    assert train.image.shape == val.image.shape == (1, 3, 40, 40) and train.label.shape == (1, 40, 40)
    assert not torch.equal(train.image, val.image)


def test_labels_move_with_their_pixels():
    faces = stripes()
    image, label = framed(faces.image.float() / 255, faces.label, 48, seeded())
    asked = label != NOT_ASKED
    assert asked.any() and (~asked).any()  # some of it lies beyond the picture
    found = (image[:, 0] * 255 / 25).round().long()
    # At the border of two stripes the colour is a mixture.
    assert (found == label)[asked].float().mean() > 0.85


def test_blur_is_asked_for_where_it_was_laid():
    image = torch.rand(8, 3, 48, 48, generator=seeded())
    result, blur = blurred(image, seeded(1))
    assert blur.shape == (8, 48, 48) and blur.min() == 0 and math.log1p(0.3) < blur.max() <= math.log1p(4.1)
    changed = (result != image).any(1)
    assert (changed == (blur > 0)).float().mean() > 0.99
    sharp = blur == 0
    assert torch.equal(result.movedim(1, -1)[sharp], image.movedim(1, -1)[sharp])


def test_nobody_is_asked_about_a_hole():
    task = make_task(stripes(), replace(SMALL, batch=16), seeded(2))
    assert task.image.shape == (16, 3, 32, 32) and 0 <= task.image.min() and task.image.max() <= 1
    hidden = (task.label == NOT_ASKED).float().mean(dim=(1, 2))
    assert hidden.min() < 0.2 < hidden.max()  # holes in some faces
    again = make_task(stripes(), replace(SMALL, batch=16), seeded(2))
    assert torch.equal(task.image, again.image) and torch.equal(task.label, again.label)


def test_a_rare_part_counts_more_and_a_pixel_one_on_average():
    label = torch.zeros(1, 10, 10, dtype=torch.uint8)
    label[0, 0, 0] = LABELS.index("eyes")
    counted = label_weights(label)
    assert counted[LABELS.index("eyes")] > 5 * counted[0]
    assert counted[label.long()].mean().item() == pytest.approx(1, rel=0.1)


def test_perfect_labels_have_an_intersection_of_their_union():
    class Perfect(torch.nn.Linear):
        def forward(self, images):
            label = (images[:, 0] * 255 / 25).round().long().clamp(0, len(LABELS) - 1)
            return torch.nn.functional.one_hot(label, len(LABELS)).movedim(-1, 1).float(), None

    measured = validate(Perfect(1, 1), stripes(), 48)
    assert measured["iou"] == 1 and measured["iou_eyes"] == 1
    wrong = replace(stripes(), label=torch.full((4, 48, 48), 4, dtype=torch.uint8))
    assert validate(Perfect(1, 1), wrong, 48)["iou_skin"] == 0


def test_the_head_answers_for_every_pixel():
    torch.manual_seed(0)
    logits, blur = Parser(FeatureNetwork([4, 4, 8, 8, 8]))(torch.rand(2, 3, 40, 48))
    assert logits.shape == (2, len(LABELS), 40, 48) and blur.shape == (2, 40, 48)
