"""The sets that come with the project are whole, what the commands write, and what the README says of them."""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_download import refused
from test_sources import content_of, whole_photographs
from test_synthetic_dataset import cheap_render

from faceinpaint import masks
from faceinpaint.evaluation import evaluate
from faceinpaint.faces import sets
from faceinpaint.faces.photos import METADATA, FaceFolder
from faceinpaint.faces.sets import CHECKSUMS, checksums, find_set, some_people
from faceinpaint.faces.sources.portraits import KEPT, SIDE, portraits
from faceinpaint.faces.synthetic import pack

DATA = Path(__file__).resolve().parent.parent / "data"
PORTRAITS = DATA / "portraits"
SETS = ("synthetic", "portraits", "masks", "london", "celeba", "celeba-hq", "irregular-masks", "folder")


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
            mask = torch.from_numpy(np.array(Image.open(file))).float()[None, None]
            assert mask.shape == (1, 1, 256, 256) and low < masks.hole_ratio(mask).item() < high
    assert len({mask.tobytes() for mask in pixels_of(DATA / "masks").values()}) == len(files)


def test_the_command_draws_the_sheets(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "render", cheap_render)
    pack.write_sheets(tmp_path)
    assert Image.open(tmp_path / "people.jpg").size == (8 * 146 + 2, 6 * 146 + 2)
    assert Image.open(tmp_path / "one-person.jpg").size == (8 * 194 + 2, 2 * 194 + 2)


def test_every_set_has_a_card():
    text = (DATA / "README.md").read_text()
    cards = text.split("\n## ")[1:]
    for name in SETS:
        (card,) = [card for card in cards if f"`{name}`" in card.splitlines()[0]]
        for entry in ("Origin", "Licence", "Size", "Landmarks", "Known bias", "Command"):
            assert f"**{entry}**" in card, f"{name}: {entry}"


# ----------------------------------------------------------------------------------- the portraits


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [json.loads(line) for line in (PORTRAITS / METADATA).read_text().splitlines()]


def test_the_portraits_are_whole_and_small(rows):
    assert (PORTRAITS / CHECKSUMS).read_bytes() == checksums(PORTRAITS)
    assert {row["file_name"] for row in rows} == {f"images/{file.name}" for file in (PORTRAITS / "images").iterdir()}
    assert sum(file.stat().st_size for file in PORTRAITS.rglob("*") if file.is_file()) <= 18_000_000


def test_a_row_holds_what_is_known_of_a_photograph_and_no_name(rows):
    for row in rows:
        assert set(row) == {"file_name", "landmarks", "photo", *KEPT}
        assert row["licence"].startswith("public domain") and np.shape(row["landmarks"]) == (68, 2)
        assert re.fullmatch(r"images/p\d{5}-\d\.webp", row["file_name"])
        assert row["identity"] == f"congress-{row['file_name'][7:13]}"


def test_no_person_is_in_two_splits(rows):
    for key in ("identity", "bioguide"):  # both of them say who it is
        splits = collections.defaultdict(set)
        for row in rows:
            splits[row[key]].add(row["split"])
        assert len(splits) == len({row["identity"] for row in rows}) and all(len(one) == 1 for one in splits.values())


def test_a_face_lies_in_the_square_and_in_the_photograph(rows):
    for row in rows:
        width, height = Image.open(PORTRAITS / row["file_name"]).size
        landmarks, (left_top, right_top, right_bottom, left_bottom) = np.array(row["landmarks"]), np.array(row["photo"])
        assert 200 <= width == height <= SIDE and landmarks.min() > 0 and landmarks.max() < width - 1
        assert np.allclose(left_top + right_bottom, right_top + left_bottom, atol=0.03)  # a turned rectangle
        across, down = right_top - left_top, left_bottom - left_top
        for side in (across, down):
            share = (landmarks - left_top) @ side / (side @ side)
            assert share.min() > 0 and share.max() < 1
        assert across[0] > 0 and down[1] > 0 and abs(across @ down) < 1e-3 * (across @ across)


def test_the_card_says_what_is_in_them(rows):
    card = (DATA / "README.md").read_text().split("\n## `portraits`")[1].split("\n## ")[0].replace("\n", " ")
    people = {row["identity"]: row for row in reversed(rows)}  # the first photograph of each
    photographs = collections.Counter(row["identity"] for row in rows)
    assert f"{len(rows):,} photographs of {len(people)} people" in card
    assert f"{sum(count > 1 for count in photographs.values())} people have two or more" in card
    for split, count in collections.Counter(row["split"] for row in people.values()).items():
        assert f"{split} {count}" in card
    sexes = collections.Counter(row["sex"] for row in people.values())
    assert f"{sexes['male']} men, {sexes['female']} women, of {sexes[None]} not recorded" in card
    for source, count in collections.Counter(row["source"] for row in rows).items():
        assert f"`{source}` | {count}" in card
    skin = [row["skin_tone_ita"] for row in people.values()]
    bins = np.histogram(skin, [-np.inf, -30, 10, 28, 41, 55, np.inf])[0]
    assert "| " + " | ".join(map(str, bins)) + " |" in card


def portraits_at(folder: Path, astronaut) -> Path:
    """A small set of portraits, where the package's would be."""
    portraits(whole_photographs(folder / "whole", astronaut), folder / "data" / "portraits")
    return folder / "data" / "portraits"


@pytest.fixture
def ours(tmp_path, astronaut, monkeypatch) -> Path:
    """A small set of portraits in place of the package's."""
    folder = portraits_at(tmp_path, astronaut)
    monkeypatch.setattr(sets, "CLONED", folder)
    monkeypatch.chdir(tmp_path.parent)
    return folder


def alter(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])


@pytest.mark.parametrize("harm, sentence", [
    (shutil.rmtree, "are neither at"),
    (lambda folder: (folder / METADATA).unlink(), "are neither at"),
    (lambda folder: (folder / CHECKSUMS).unlink(), "SHA256SUMS is missing"),
    (lambda folder: (folder / CHECKSUMS).write_bytes(b""), "does not list metadata.jsonl"),
    (lambda folder: alter(folder / CHECKSUMS), "is not as it was made"),
    (lambda folder: (folder / "images" / "p00002-1.webp").unlink(), "p00002-1.webp is missing"),
    (lambda folder: alter(folder / "images" / "p00002-1.webp"), "p00002-1.webp is not as it was made"),
    (lambda folder: alter(folder / METADATA), "metadata.jsonl is not as it was made"),
    (lambda folder: alter(folder / "settings.json"), "settings.json is not as it was made"),
], ids=["gone", "rows gone", "sums gone", "sums empty", "sums altered", "image gone", "image", "rows", "settings"])
def test_missing_and_altered_portraits_are_refused_with_the_way_to_get_them(ours, harm, sentence):
    assert find_set("portraits") == find_set(Path("portraits")) == ours
    harm(ours)
    said = refused(find_set, "portraits")
    assert sentence in said and "git checkout -- data/portraits" in said and "installing the package anew" in said


def test_a_set_of_ones_own_is_checked_too_and_may_go_without_sums(tmp_path, astronaut):
    folder = portraits_at(tmp_path, astronaut)
    alter(folder / "images" / "p00002-1.webp")
    said = refused(find_set, folder)
    assert "p00002-1.webp is not as it was made" in said and "make the set anew" in said and "git" not in said
    (folder / CHECKSUMS).unlink()
    assert find_set(folder) == folder
    assert "there are no faces potraits" in refused(find_set, "potraits")


def test_some_people_are_all_photographs_of_so_many_of_each_split(tmp_path):
    whole = FaceFolder(DATA / "portraits", size=32)
    few = FaceFolder(some_people(DATA / "portraits", tmp_path / "few", train=20, test=3), size=32)
    assert {row.split for row in few.rows} == {"train", "test"} and len(few.identities) == 23
    assert [path.name for path in (tmp_path / "few").iterdir()] == [METADATA]  # no photograph is copied
    place = {row.file_name: number for number, row in enumerate(whole.rows)}
    there = [place[str(Path(row.file_name).relative_to(DATA.resolve() / "portraits"))] for row in few.rows]
    assert sorted(there) == [n for n, row in enumerate(whole.rows) if row.identity in few.identities]
    assert torch.equal(few[5].image, whole[there[5]].image)
    trained = sorted(set(row.identity for row in whole.rows if row.split == "train"))
    numbers = [trained.index(row.identity) for row in few.rows if row.split == "train"]
    assert min(numbers) < 50 and max(numbers) > 780  # from one end to the other
    assert len(FaceFolder(some_people(DATA / "portraits", tmp_path / "all", val=1000)).identities) == 47


@pytest.mark.parametrize("people, sentence", [
    (dict(trian=2), "did you mean 'train'"), (dict(train=0), "give 1 or more"),
])
def test_people_that_a_set_lacks_are_refused(tmp_path, people, sentence):
    assert sentence in refused(some_people, DATA / "portraits", tmp_path / "few", **people)
    assert not (tmp_path / "few").exists()


def test_nothing_begins_with_altered_portraits(ours, tmp_path):
    alter(ours / METADATA)
    assert "is not as it was made" in refused(evaluate, "portraits", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "sed", "sha256sum"))), reason="needs a shell, sed and sha256sum")
def test_a_person_is_taken_out_by_the_lines_of_the_card(tmp_path, astronaut):
    folder = portraits_at(tmp_path, astronaut)
    card = (DATA / "README.md").read_text().split("\n## `portraits`")[1]
    (lines,) = [block for block in re.findall(r"```\n(.*?)```", card, re.DOTALL) if "sha256sum" in block]
    subprocess.run(["bash", "-e"], input=lines.encode(), cwd=tmp_path, check=True)
    assert set(content_of(folder)) == {"images/p00002-1.webp", METADATA, "settings.json", CHECKSUMS}
    assert (folder / CHECKSUMS).read_bytes() == checksums(folder)
    assert FaceFolder(find_set(folder)).identities == ["congress-p00002"]
