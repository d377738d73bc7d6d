"""`faceinpaint data` as a user calls it: what it writes, what it says, with which exit status."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from test_download import server, status  # noqa: F401  (server is a fixture)
from test_sources import mask_png, zipped

from faceinpaint.cli import commands
from faceinpaint.faces import shards as shards_module
from faceinpaint.faces.photos import METADATA
from faceinpaint.faces.sources import celeba as celeba_module, irregular_masks as masks_module, london as london_module
from faceinpaint.faces.sources.writer import Report
from faceinpaint.faces.synthetic import dataset

SETS = ("synthetic", "london", "celeba", "celeba-hq", "irregular-masks", "folder")


@pytest.fixture
def call(monkeypatch, capsys):
    """Call `faceinpaint data` with arguments; returns exit status, standard output and standard error."""
    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["faceinpaint", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            commands.main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err
    return call


@pytest.fixture
def photos(tmp_path, astronaut) -> Path:
    (tmp_path / "photos" / "eileen").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        astronaut.crop((116, 0, 336, 220)).save(tmp_path / "photos" / "eileen" / name)
    return tmp_path / "photos"


@pytest.fixture
def recorded(monkeypatch):
    """Put something that records its call in place of a function."""
    calls = []

    def record(module, name: str, result=None) -> list:
        def function(*arguments, **options):
            calls.append((arguments, options))
            return result
        monkeypatch.setattr(module, name, function)
        return calls
    return record


def is_sentence(text: str) -> bool:
    return text.startswith("faceinpaint: ") and text.count("\n") == 1 and ". " not in text


def test_own_photos_and_shards(call, photos, tmp_path):
    out = tmp_path / "out"
    status_, said, errors = call("folder", photos, "--out", out, "--size", 64, "--landmarks", "none", "--shards", 1)
    assert (status_, errors) == (0, "") or "packing" in errors
    assert said.splitlines() == [f"{out}: 2 photos", f"{out}-shards: 2 shards"]
    assert len((out / METADATA).read_text().splitlines()) == 2
    assert len(list((tmp_path / "out-shards").glob("*.parquet"))) == 2

    status_, said, errors = call("folder", photos, "--out", out, "--size", 64, "--landmarks", "none")
    assert status_ == 0 and said == f"{out}: 2 photos\n"  # complete: nothing to do
    status_, said, errors = call("folder", photos, "--out", out, "--size", 128, "--landmarks", "none")
    assert status_ == 2 and is_sentence(errors) and "settings.json" in errors


def test_what_is_left_out_is_said(call, tmp_path, server, monkeypatch):  # noqa: F811
    members = {f"{number}.png": mask_png(0.3) for number in range(39)} | {"broken.png": b"half"}
    url = server.gives("/test_mask.zip", zipped(members))
    monkeypatch.setattr(masks_module, "irregular_masks", partial(masks_module.irregular_masks, sources=(url,)))
    status_, said, errors = call("irregular-masks", "--out", tmp_path / "masks")
    assert status_ == 0 and said == f"{tmp_path / 'masks'}: 39 masks, 1 left out\n"
    assert errors.startswith("left out broken.png: ")
    assert (tmp_path / "masks-downloads" / "test_mask.zip").is_file()
    assert len(list((tmp_path / "masks" / "20-30").iterdir())) == 39


def test_a_server_without_the_set(call, tmp_path, server, monkeypatch):  # noqa: F811
    url = server.gives("/article", status(500))
    monkeypatch.setattr(london_module, "london", partial(london_module.london, article=url))
    status_, said, errors = call("london", "--out", tmp_path / "out")
    assert status_ == 2 and said == "" and is_sentence(errors) and "status 500" in errors


def test_one_face_in_twenty_missing(call, photos, tmp_path):
    Image.new("RGB", (64, 64)).save(photos / "eileen" / "dark.png")
    status_, said, errors = call("folder", photos, "--out", tmp_path / "out", "--size", 64, "--landmarks", "none")
    assert status_ == 2 and is_sentence(errors) and "eileen-dark.jpg" in errors
    assert not (tmp_path / "out" / METADATA).exists()


def test_rendered_people(call, tmp_path, recorded):
    calls = recorded(dataset, "write_folder")
    assert call("synthetic", "--out", tmp_path)[:2] == (0, f"{tmp_path}: 3000 photos of 500 people\n")
    assert calls[0][0] == (tmp_path, 500, 6, 128, 0, 2) and calls[0][1]["max_yaw"] is None
    call("synthetic", "--out", tmp_path, "--people", 3, "--photos", 2, "--size", 64, "--seed", 7,
         "--supersample", 1, "--max-yaw", 30, "--device", "cpu")
    assert calls[1][0] == (tmp_path, 3, 2, 64, 7, 1)
    assert calls[1][1]["max_yaw"] == pytest.approx(math.pi / 6) and calls[1][1]["device"].type == "cpu"


@pytest.mark.parametrize("name, module, function", [
    ("london", london_module, "london"),
    ("celeba", celeba_module, "celeba"),
    ("celeba-hq", celeba_module, "celeba_hq"),
])
def test_downloads_lie_beside_the_set(call, tmp_path, recorded, monkeypatch, name, module, function):
    calls = recorded(module, function, Report(5, {}))
    packed = recorded(shards_module, "write_shards", [tmp_path / "set-shards" / "train-00000-of-00001.parquet"])
    monkeypatch.chdir(tmp_path)
    assert call(name, "--out", "set", "--shards", 100)[:2] == (0, f"set: 5 photos\n{tmp_path}/set-shards: 1 shards\n")
    assert calls[0][0][:2] == (Path("set"), tmp_path / "set-downloads")
    assert packed[1][0] == (Path("set"), tmp_path / "set-shards", 100)
    call(name, "--out", "set", "--downloads", "elsewhere")
    assert calls[2][0][1] == Path("elsewhere")


@pytest.mark.parametrize("arguments", [
    ("london",), ("paris", "--out", "x"), ("london", "--out", "x", "--size", "8"), ("folder", "--out", "x"),
    ("irregular-masks", "--out", "x", "--shards", "5"), ("celeba", "--out", "x", "--shards", "0"),
    ("synthetic", "--out", "x", "--people", "0"),
])
def test_wrong_calls(call, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status_, said, errors = call(*arguments)
    assert status_ == 2 and said == "" and errors
    assert not any(tmp_path.iterdir())


def test_a_word_that_is_no_method(call, photos, tmp_path):
    status_, _, errors = call("folder", photos, "--out", tmp_path / "out", "--landmarks", "dlib")
    assert status_ == 2 and is_sentence(errors) and "face-alignment" in errors


def test_help_is_quick_and_names_every_set():
    """The help must not wait for torch."""
    code = (
        "import json, sys; from faceinpaint import cli\n"
        "try: cli.app(['data', '--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps('torch' in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in said for name in SETS)
    assert json.loads(said.splitlines()[-1]) is False
