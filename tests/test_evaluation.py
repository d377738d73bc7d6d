"""Measures with known answers, baselines that do what they say, and tables from a whole small evaluation."""

from __future__ import annotations

import csv
import json
import math

import pytest
import torch
from conftest import canonical_face
from PIL import ImageEnhance

from faceinpaint import evaluation, masks
from faceinpaint.errors import InputError

HALF = masks.standard("mask01", 32)


def test_pixel_measures_of_a_constant_error():
    image = torch.full((1, 3, 32, 32), 0.5)
    found = evaluation.pixel_measures(image + 0.1 * HALF, image, HALF)
    assert found["psnr_hole"].item() == pytest.approx(20, abs=1e-3)
    assert found["psnr"].item() == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)  # half the pixels are right


def test_identical_pictures_are_perfect():
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = evaluation.pixel_measures(image, image, HALF.expand(2, -1, -1, -1))
    assert found["psnr"].isinf().all() and (found["psnr"] > 0).all()
    assert found["ssim"].min().item() == pytest.approx(1)
    assert found["sharpness"].tolist() == pytest.approx([1, 1])


def test_blur_loses_sharpness_inside_the_hole_only():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    assert evaluation.pixel_measures(blurred, image, HALF)["sharpness"].item() < 0.5
    outside = torch.where(HALF > 0, image, blurred)
    assert evaluation.pixel_measures(outside, image, HALF)["sharpness"].item() > 0.9


@pytest.mark.parametrize("method", evaluation.BASELINES.values(), ids=evaluation.BASELINES)
def test_baselines_keep_known_pixels_and_ignore_hidden_ones(method):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image = (image * 255).round() / 255
    mask, landmarks = masks.standard("mask04", 64), canonical_face(64)
    completed = method(image, mask, landmarks)
    assert torch.equal(completed * (1 - mask), image * (1 - mask))
    other = torch.where(mask > 0, 1 - image, image)
    assert torch.equal(method(other, mask, landmarks), completed)


def test_mirror_restores_a_symmetric_picture():
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image = (image + image.flip(-1)) / 2
    assert torch.equal(evaluation.mirror(image, HALF, canonical_face(32)), image)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, astronaut):
    """A whole evaluation of two 'people' with two photographs each under the face mask."""
    root = tmp_path_factory.mktemp("faces")
    (root / "images").mkdir()
    portrait = astronaut.crop((110, 0, 350, 240)).resize((256, 256))
    rows = []
    for person, colour in (("a", 1.0), ("b", 0.3)):
        for number, brightness in enumerate((1.0, 0.8)):
            name = f"images/{person}{number}.png"
            ImageEnhance.Brightness(ImageEnhance.Color(portrait).enhance(colour)).enhance(brightness).save(root / name)
            rows.append(dict(file_name=name, identity=person, landmarks=canonical_face(256)[0].tolist(), split="test",
                             source="test", licence="public domain"))
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path_factory.mktemp("evaluation")
    tables = evaluation.evaluate(root, out, ["generator"], "face-mask", size=64)
    with open(out / "metrics.csv") as file:
        return tables, list(csv.DictReader(file)), out, root


def test_every_face_mask_and_method_has_a_row(evaluated):
    tables, rows, out, _ = evaluated
    assert len(rows) == 4 * 1 * (1 + len(evaluation.BASELINES))
    assert tuple(rows[0]) == evaluation.COLUMNS
    assert {row["identity"] for row in rows} == {"a", "b"}
    assert all(0 < float(row["psnr_hole"]) < float(row["psnr"]) < 60 for row in rows)
    assert (out / "tables.md").read_text() == tables
    assert "| face-mask |" in tables


def test_the_table_holds_the_mean_of_the_rows(evaluated):
    tables, rows, _, _ = evaluated
    values = [float(row["psnr"]) for row in rows if row["weights"] == "telea"]
    column = [line for line in tables.splitlines() if line.startswith("| mask |")][0].split(" | ").index("telea")
    cell = [line for line in tables.splitlines() if line.startswith("| face-mask |")][0].split(" | ")[column]
    assert float(cell.strip(" |")) == pytest.approx(sum(values) / 4, abs=2e-3)


def test_the_same_evaluation_twice_is_the_same_file(evaluated, tmp_path):
    _, _, out, root = evaluated
    evaluation.evaluate(root, tmp_path, ["generator"], "face-mask", size=64)
    assert (tmp_path / "metrics.csv").read_bytes() == (out / "metrics.csv").read_bytes()


def test_irregular_masks_lie_in_their_bins(evaluated):
    data = evaluation.FaceFolder(evaluated[3], "test", 64)
    faces = evaluation.Faces.cat([data[index] for index in range(4)])
    for name, (low, high) in zip(evaluation.mask_names("irregular"), masks.HOLE_RATIO_BINS):
        ratios = masks.hole_ratio(evaluation.masks_for(name, faces, faces.landmarks))
        assert ((ratios > low) & (ratios <= high)).all()


def test_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(InputError, match="standard, irregular"):
        evaluation.evaluate(tmp_path, tmp_path, ["generator"], "face")
