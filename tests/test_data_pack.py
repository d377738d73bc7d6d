"""The small sets that come with the project are what the command writes, and what the README says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_synthetic_dataset import cheap_render, files_of

from faceinpaint import masks
from faceinpaint.faces import synthetic
from faceinpaint.faces.photos import FaceFolder, read_mask
from faceinpaint.faces.synthetic import pack

DATA = Path(__file__).resolve().parent.parent / "data"
RENDERED = DATA / "rendered"
SETS = ("rendered", "masks", "london", "celeba", "celeba-hq", "irregular-masks", "folder")


def pixels_of(folder: Path) -> dict[str, np.ndarray]:
    return {file.name: np.array(Image.open(file)) for file in sorted(folder.glob("*.png"))}


def test_masks_are_those_that_the_command_writes(tmp_path):
    written, there = pack.write_masks(tmp_path / "masks"), pixels_of(DATA / "masks")
    again = pixels_of(tmp_path / "masks")
    assert sorted(file.name for file in written) == list(again) == list(there)
    assert all(np.array_equal(there[name], again[name]) for name in there)


def test_four_masks_lie_in_each_bin_of_hole_ratio():
    files = sorted((DATA / "masks").iterdir())
    assert len(files) == 4 * len(masks.HOLE_RATIO_BINS) and sum(file.stat().st_size for file in files) < 100_000
    for index, (low, high) in enumerate(masks.HOLE_RATIO_BINS):
        for number in range(4):
            file = files[4 * index + number]
            assert file.name == f"irregular-{round(100 * low):02d}-{round(100 * high):02d}-{number + 1}.png"
            assert Image.open(file).mode == "1"
            mask, resized = read_mask(file, (256, 256))
            assert not resized and low < masks.hole_ratio(mask).item() < high
    assert len({mask.tobytes() for mask in pixels_of(DATA / "masks").values()}) == len(files)


def test_the_command_writes_both(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "render", cheap_render)
    monkeypatch.setattr(pack, "render", cheap_render)
    pack.write_pack(tmp_path)
    assert Image.open(tmp_path / "people.jpg").size == (8 * 146 + 2, 6 * 146 + 2)
    assert Image.open(tmp_path / "one-person.jpg").size == (8 * 194 + 2, 2 * 194 + 2)
    faces = FaceFolder(tmp_path / "rendered", size=64)
    assert len(faces) == 48 and len(faces.identities) == 24 and len(list((tmp_path / "masks").iterdir())) == 24
    before = files_of(tmp_path)
    pack.write_pack(tmp_path)
    assert files_of(tmp_path) == before


def test_every_set_has_a_card():
    text = (DATA / "README.md").read_text()
    cards = text.split("\n## ")[1:]
    for name in SETS:
        (card,) = [card for card in cards if f"`{name}`" in card.splitlines()[0]]
        for entry in ("Origin", "Licence", "Size", "Landmarks", "Known bias", "Command"):
            assert f"**{entry}**" in card, f"{name}: {entry}"


@pytest.mark.skipif(not RENDERED.exists(), reason="data/rendered has not been made yet")
def test_the_rendered_pack_is_small_and_complete():
    assert sum(file.stat().st_size for file in RENDERED.rglob("*") if file.is_file()) < 4_000_000
    faces = FaceFolder(RENDERED, size=64)
    assert len(faces) == 48 and len(faces.identities) == 24
    for split in ("train", "val", "test"):
        people = {row.identity for row in FaceFolder(RENDERED, split).rows}
        assert people and not people & {row.identity for row in faces.rows if row.split != split}
    face = faces[0]
    assert face.image.std() > 0.05 and torch.isfinite(face.landmarks).all()
    for row in faces.rows:
        assert Image.open(RENDERED / row.file_name).size == (256, 256)
        labels = np.array(Image.open(RENDERED / "segmentation" / f"{Path(row.file_name).stem}.png"))
        assert labels.shape == (256, 256) and labels.max() < len(synthetic.LABELS)
