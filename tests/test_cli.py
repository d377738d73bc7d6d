"""`faceinpaint complete` as a user calls it: files in, files out, exit status, sentences."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceinpaint import weights
from faceinpaint.cli import commands, completing
from faceinpaint.completion import NO_VERDICT, Completer
from faceinpaint.faces.photos import read_photo

COLUMNS = ["file", "faces", "hole_ratio", "face_distance", "seconds", "of_files", "notes", "error"]
HOLE = (60, 65, 140, 100)  # left, top, right, bottom in `portrait`: the eyes and the nose
ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    """Head and shoulders, 180 x 200 pixels."""
    return astronaut.crop((126, 20, 306, 220))


@pytest.fixture
def square(astronaut, tmp_path) -> Path:
    """The file of an aligned face of 64 pixels."""
    path = tmp_path / "in" / "square.png"
    path.parent.mkdir()
    astronaut.crop((136, 20, 300, 184)).resize((64, 64)).save(path)
    return path


@pytest.fixture
def call(monkeypatch, capsys):
    """Call `faceinpaint` with arguments; returns exit status, standard output and standard error."""
    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["faceinpaint", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            commands.main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err
    return call


def report(out: Path) -> dict[str, dict[str, str]]:
    """The rows of the report by file name."""
    with open(out / "report.csv", newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        assert rows.fieldnames == COLUMNS
        return {row["file"]: row for row in rows}


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def is_sentence(text: str) -> bool:
    return bool(text) and "\n" not in text.strip() and ". " not in text


# --------------------------------------------------------------- one folder, everything that can be in it

GOOD = (
    "plain.png", "grey.png", "cmyk.tif", "deep.png", "palette.png", "turned.png", "film.png", "naïve 写真.bmp",
)
RESIZED = "coarse mask.png"
BAD = {
    "text.jpg": "not an image",
    "cut short.png": "cut short",
    "huge.png": "megapixels",
    "tiny.png": "8 x 8",
    "nobody.png": "no face",
    "hidden.png": "hides the whole face",
    "unhidden.png": "the mask is empty",
    "no mask.png": "no mask.png does not exist",
}


def write_photos(folder: Path, portrait: Image.Image) -> None:
    portrait.save(folder / "plain.png")
    portrait.convert("L").save(folder / "grey.png")
    portrait.convert("CMYK").save(folder / "cmyk.tif")
    Image.fromarray(np.asarray(portrait.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    portrait.quantize(200).save(folder / "palette.png", transparency=bytes([0] * 20))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # lies on its left side
    portrait.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    portrait.save(folder / "film.png", save_all=True, append_images=[portrait.rotate(180)])
    for name in ("naïve 写真.bmp", RESIZED, "hidden.png", "unhidden.png", "no mask.png"):
        portrait.save(folder / name)
    (folder / "text.jpg").write_text("This is no image.")
    whole = (folder / "plain.png").read_bytes()
    (folder / "cut short.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    portrait.resize((8, 8)).save(folder / "tiny.png")
    Image.new("RGB", (180, 200), "navy").save(folder / "nobody.png")


def write_masks(folder: Path, photos: Path) -> None:
    mask = Image.new("L", (180, 200))
    mask.paste(255, HOLE)
    for photo in photos.iterdir():
        mask.save(folder / f"{photo.stem}.png")
    (folder / "no mask.png").unlink()
    Image.new("L", (180, 200)).save(folder / "unhidden.png")
    Image.new("L", (180, 200), 255).save(folder / "hidden.png")
    mask.resize((36, 40), Image.Resampling.NEAREST).save(folder / RESIZED)


class Run(NamedTuple):
    """A finished `faceinpaint complete`."""

    root: Path  # holds photos, masks and out
    status: int
    out: list[str]  # lines of the standard output
    err: list[str]
    mebibytes: float  # most memory that it held


# By itself: what the system says of a child begins with all that its parent held.
TELLS_ITS_PEAK = """import atexit
from pathlib import Path
from faceinpaint.basics.memory import peak_memory
from faceinpaint.cli import main
atexit.register(lambda: Path("peak").write_text(str(peak_memory())))
main()"""


@pytest.fixture(scope="module")
def folder(portrait, tmp_path_factory) -> Run:
    """One call, in a process of its own, for a folder with everything."""
    root = tmp_path_factory.mktemp("folder")
    for name in ("photos", "masks"):
        (root / name).mkdir()
    write_photos(root / "photos", portrait)
    write_masks(root / "masks", root / "photos")
    command = [sys.executable, "-c", TELLS_ITS_PEAK, "complete", "photos", "--mask", "masks", "--out", "out/new"]
    package = str(Path(commands.__file__).parents[2])
    # One thread: beside these tests another process may want the cores.
    environment = os.environ | {"PYTHONPATH": package, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    with open(root / "stdout", "wb") as out, open(root / "stderr", "wb") as err:
        status = subprocess.run(command, stdout=out, stderr=err, cwd=root, env=environment).returncode
    lines = [(root / name).read_text("utf-8").splitlines() for name in ("stdout", "stderr")]
    return Run(root, status, *lines, int((root / "peak").read_text()) / 2**20)


def test_folder_writes_what_is_good_and_a_row_for_each(folder):
    assert folder.status == 1
    written = {Path(name).stem + ".png" for name in (*GOOD, RESIZED)}
    assert files_below(folder.root / "out" / "new") == written | {"report.csv"}
    rows = report(folder.root / "out" / "new")
    assert list(rows) == sorted((*GOOD, RESIZED, *BAD))
    assert {name for name, row in rows.items() if row["error"]} == set(BAD)
    assert all(float(row["seconds"]) >= float(row["of_files"] or 0) >= 0 for row in rows.values())


@pytest.mark.parametrize("name", [*GOOD, RESIZED])
def test_good_photos_are_completed_in_their_hole_and_nowhere_else(folder, portrait, name):
    shown = read_photo(folder.root / "photos" / name)
    written = Image.open(folder.root / "out" / "new" / f"{Path(name).stem}.png")
    assert written.mode == ("RGBA" if name == "palette.png" else "RGB")
    completed = read_photo(written)
    assert completed.size == shown.size == portrait.size
    assert np.abs(np.asarray(shown, dtype=int) - np.asarray(portrait)).mean() < 60  # upright, first frame
    left, top, right, bottom = HOLE
    changed = (np.asarray(completed) != np.asarray(shown)).any(axis=-1)
    assert changed[top:bottom, left:right].mean() > 0.75  # of palette.png a part stays transparent
    changed[top:bottom, left:right] = False
    assert not changed.any()
    row = report(folder.root / "out" / "new")[name]
    assert row["faces"] == "1"
    assert 0.05 < float(row["hole_ratio"]) < 0.3 and row["face_distance"] == ""  # what a drawn mask hides, who knows


@pytest.mark.parametrize("name", BAD)
def test_bad_files_have_one_sentence_in_report_and_on_standard_error(folder, name):
    row = report(folder.root / "out" / "new")[name]
    assert BAD[name] in row["error"] and is_sentence(row["error"])
    assert row["faces"] == row["hole_ratio"] == row["face_distance"] == ""
    assert f"{name}: {row['error']}" in folder.err


def test_folder_run_says_one_line_for_each_photo(folder):
    assert len(folder.err) == len(BAD) and len(folder.out) == len(GOOD) + 1
    for name in GOOD:
        start = f"{name}: out/new/{Path(name).stem}.png, "
        assert any(line.startswith(start) for line in folder.out)


def test_what_is_lost_or_resized_is_said(folder):
    assert [line.startswith(RESIZED) for line in folder.out if "resized" in line] == [True]
    rows = report(folder.root / "out" / "new").items()
    notes = {name: row["notes"] for name, row in rows if row["notes"] not in ("", NO_VERDICT)}
    said = {RESIZED: "resized", "cmyk.tif": "CMYK", "deep.png": "16 bits", "film.png": "several pictures"}
    assert set(notes) == set(said) and all(said[name] in notes[name] for name in said)


def test_memory(folder):
    """At 256 pixels, the default, under 2 GiB."""
    assert folder.mebibytes < 2048


# ------------------------------------------------------------------------------------- one photo


def test_one_photo_with_a_named_mask(call, astronaut, tmp_path):
    photo = tmp_path / "portrait.jpg"
    astronaut.save(photo)
    status, out, err = call("complete", photo, "--mask", "mask09", "--out", tmp_path / "out")
    assert (status, err) == (0, "") and "portrait.png, same person: " in out
    row = report(tmp_path / "out")["portrait.jpg"]
    assert row["faces"] == "1" and row["error"] == ""
    completer = Completer.from_pretrained()
    expected = completer(photo, "mask09")
    assert np.array_equal(Image.open(tmp_path / "out" / "portrait.png"), expected.photo)
    assert row["hole_ratio"] == f"{expected.faces[0].hole_ratio:.4f}"
    assert row["face_distance"] == f"{expected.faces[0].distance:.3f}"
    assert out.rstrip().endswith(completer.recogniser.verdict(expected.faces[0].distance))


def test_aligned_photo_with_a_mask_picture(call, square, tmp_path):
    mask = Image.new("1", (64, 64))
    mask.paste(1, (32, 0, 64, 64))
    mask.save(tmp_path / "mask.png")
    options = ["--out", tmp_path / "out", "--size", 64, "--aligned"]
    assert call("complete", square, "--mask", tmp_path / "mask.png", *options)[0] == 0
    completed = np.asarray(Image.open(tmp_path / "out" / "square.png"))
    assert report(tmp_path / "out")["square.png"]["hole_ratio"] == "0.5000"
    assert np.array_equal(completed[:, :32], np.asarray(Image.open(square))[:, :32])
    assert call("complete", square, "--mask", "mask02", *options)[0] == 0  # the same, and written again
    assert np.array_equal(completed, Image.open(tmp_path / "out" / "square.png"))


def test_face_and_all_faces(call, portrait, tmp_path):
    two = Image.new("RGB", (400, 200), "grey")
    two.paste(portrait, (0, 0))
    two.paste(portrait.resize((135, 150)), (250, 20))
    two.save(tmp_path / "two.png")
    before = np.asarray(two)

    def sides_changed(*options) -> list[bool]:
        command = ("complete", tmp_path / "two.png", "--mask", "mask01", "--size", 64)
        assert call(*command, "--out", tmp_path / "out", *options)[0] == 0
        changed = (np.asarray(Image.open(tmp_path / "out" / "two.png")) != before).any(axis=(0, 2))
        return [bool(changed[:190].any()), bool(changed[210:].any())]

    assert sides_changed() == [True, False]
    assert sides_changed("--face", 1) == [False, True]
    assert sides_changed("--all-faces") == [True, True]
    row = report(tmp_path / "out")["two.png"]
    assert row["faces"] == "2" and len(row["face_distance"].split()) == len(row["hole_ratio"].split()) == 2


def test_seed_of_random_masks(call, square, tmp_path):
    """The same for every photo and run with the same seed, so that a photo's result depends on no other."""
    shutil.copy(square, square.parent / "copy.png")
    results = []
    for seed in (0, 0, 1):
        command = ("complete", square.parent, "--mask", "irregular", "--size", 64, "--aligned")
        assert call(*command, "--out", tmp_path / "out", "--seed", seed)[0] == 0
        results += [np.asarray(Image.open(tmp_path / "out" / name)) for name in ("square.png", "copy.png")]
    assert all(np.array_equal(results[0], same) for same in results[1:4])
    assert not np.array_equal(results[0], results[4])


def test_a_mask_name_wins_over_a_folder_of_that_name(call, square, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = ("complete", square, "--mask", "block", "--out", "block", "--size", 64, "--aligned")
    for _ in range(2):  # the second time the folder `block`, the output of the first, is there
        assert call(*command)[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the names of files are text")
def test_a_file_whose_name_is_no_text(call, square, tmp_path):
    path = os.fsencode(square.parent) + b"/\xff.png"
    os.rename(square, path)
    options = ["--out", tmp_path / "out", "--size", 64, "--aligned"]
    status, out, err = call("complete", square.parent, "--mask", "mask01", *options)
    assert (status, err) == (0, "") and "\\udcff.png" in out
    assert b"\n\xff.png,1," in (tmp_path / "out" / "report.csv").read_bytes()


# -------------------------------------------------------------------------- files as people have them


def test_sub_folders_keep_their_structure_and_every_file_has_its_row(call, square, tmp_path):
    photos, masks, mask = square.parent, tmp_path / "masks", Image.new("L", (64, 64))
    mask.paste(255, (35, 0, 64, 64))
    for name in ("2019/b.jpg", "2019/c/square.png", "no suffix"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(square).save(photos / name, "jpeg" if name.endswith("jpg") else "png")
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
    (photos / "notes.txt").write_text("about them")
    (photos / "2019" / "d.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    for name in ("square.jpg", "2019/b.jpeg", "2019/c/square.bmp", "no suffix.png", "2019/d.png"):
        mask.save(masks / name)
    status, out, err = call(
        "complete", photos, "--mask", masks, "--out", photos / "done", "--size", 64, "--aligned", "--format", "jpeg"
    )
    assert status == 1 and "notes.txt" in out and "2019/d.heic: " in err and "HEIC" in err
    done = {"square.jpg", "2019/b.jpg", "2019/c/square.jpg", "no suffix.jpg"}
    assert files_below(photos / "done") == done | {"report.csv"}
    rows = report(photos / "done")
    assert set(rows) == {"square.png", "2019/b.jpg", "2019/c/square.png", "no suffix", "2019/d.heic"}
    assert {name for name, row in rows.items() if row["error"]} == {"2019/d.heic"}
    assert "soft edges" in rows["2019/b.jpg"]["notes"] and rows["no suffix"]["notes"] == NO_VERDICT
    # Again: what was completed is no photo of the second run, nor are the masks where they lie among the photos.
    masks.rename(photos / "masks")
    call("complete", photos, "--mask", photos / "masks", "--out", photos / "done", "--size", 64, "--aligned")
    assert set(report(photos / "done")) == set(rows)


def test_several_photos_in_one_call(call, square, tmp_path):
    shutil.copy(square, square.parent / "second.png")
    options = ["--mask", "mask01", "--out", tmp_path / "out", "--size", 64, "--aligned"]
    assert call("complete", square, square.parent / "second.png", *options)[0] == 0
    assert files_below(tmp_path / "out") == {"square.png", "second.png", "report.csv"}


def test_how_a_mask_is_to_be_taken(call, square, tmp_path):
    black, strokes = Image.new("L", (64, 64), 255), Image.open(square)
    black.paste(0, (20, 20, 34, 34))
    black.save(tmp_path / "black.png")
    strokes.paste((0, 255, 0), (20, 20, 34, 34))
    strokes.save(tmp_path / "square.png")
    holes = []
    for photo, options in (
        (square, ["--mask", tmp_path / "black.png", "--invert-mask"]),
        (square, ["--mask", tmp_path / "black.png", "--invert-mask", "--grow", 1]),
        (tmp_path / "square.png", ["--mask", "#00ff00"]),
    ):
        assert call("complete", photo, "--out", tmp_path / "out", "--size", 64, "--aligned", *options)[0] == 0
        after = np.asarray(Image.open(tmp_path / "out" / "square.png"), dtype=int)
        holes.append((after != np.asarray(Image.open(photo))).any(axis=-1))
    assert not (holes[0] & ~holes[1]).any() and 14**2 * 0.8 < holes[0].sum() <= 14**2 < holes[1].sum() <= 16**2
    assert (holes[2] & ~holes[1]).sum() == 0 and not (after == [0, 255, 0]).all(axis=-1).any()


# ---------------------------------------------------------------------------------- wrong calls


def test_first_tries_are_answered_by_a_sentence_with_the_way_out(call, square, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {row: 0 for row in os.listdir(tmp_path)}
    for arguments, said in (
        ([square, "--out", "out"], "give --mask mask01"),
        ([square, "--mask", "mask01", "--out", "out/done.png"], "--out is a folder"),
        (["https://example.org/a.jpg", "--mask", "mask01", "--out", "out"], "save the photo"),
        ([square, "--mask", "mask01", "--out", "out", "--grow", 3], "leave them out with mask01"),
        ([square, "--mask", "mask01", "--out", "out", "--no-invert-mask"], "leave them out with mask01"),
        ([square, "--mask", "mask01", "--out", "out", "--device", "mps"], "choose cpu"),
    ):
        status, _, err = call("complete", *arguments)
        assert status == 2 and said in err and is_sentence(err)
    assert {row: 0 for row in os.listdir(tmp_path)} == rows


def test_a_folder_of_photos_is_no_folder_of_their_masks(call, square, tmp_path):
    status, _, err = call("complete", square.parent, "--mask", square.parent, "--out", tmp_path / "out", "--aligned")
    assert status == 1 and "photo and mask are one picture" in err and is_sentence(err)
    assert files_below(tmp_path / "out") == {"report.csv"}


@pytest.mark.parametrize("options, said", [
    (["--mask", "mask1"], "did you mean 'mask01'"),
    (["--mask", "facemask"], "did you mean 'face-mask'"),
    (["--mask", ""], "there is no mask ''"),
    (["--mask", "no/such.png"], "no/such.png"),
    (["--size", 100], "multiple of 8"),
    (["--size", 0], "0 pixels"),
    (["--device", "gpu"], "'gpu'"),
    (["--weights", "generatr"], "'generatr'"),
    (["--weights", "landmarks"], "LandmarkPredictor"),
    (["--weights", "none.safetensors"], "none.safetensors"),
])
def test_wrong_calls_end_with_2_and_a_sentence_and_write_nothing(call, square, tmp_path, options, said):
    options = ["--mask", "mask01", "--aligned", *options]  # the last --mask counts
    status, out, err = call("complete", square, "--out", tmp_path / "out", *options)
    assert (status, out) == (2, "")
    assert err.startswith("faceinpaint: ") and said in err and is_sentence(err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [
    ["--mask", "mask01"], ["--size", "big"], ["--face", "-1"], ["--no-such-option"],
])
def test_calls_that_are_not_understood_end_with_2(call, square, options):
    status, _, err = call("complete", square, *options)
    assert status == 2 and "Usage:" in err
    assert call("complete")[0] == 2


def test_input_that_is_not_there_or_empty(call, tmp_path):
    (tmp_path / "empty").mkdir()
    for name, said in (("none.jpg", "does not exist"), ("empty", "holds no photo")):
        status, _, err = call("complete", tmp_path / name, "--mask", "mask01", "--out", tmp_path / "out")
        assert status == 2 and said in err and is_sentence(err)
    assert files_below(tmp_path) == set()


def test_two_photos_with_the_same_stem_keep_their_endings(call, square, tmp_path):
    Image.open(square).save(square.with_suffix(".bmp"))
    options = ["--mask", "mask01", "--out", tmp_path / "out", "--size", 64, "--aligned"]
    assert call("complete", square.parent, *options)[0] == 0
    assert files_below(tmp_path / "out") == {"square.bmp.png", "square.png.png", "report.csv"}


def test_no_input_is_overwritten(call, square, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    ImageOps.expand(Image.new("L", (34, 34), 255), 15).save(masks / "square.png")
    (tmp_path / "linked").symlink_to(square.parent)
    shutil.copy(square, tmp_path / "report.csv")
    before = {path: path.read_bytes() for path in (square, masks / "square.png", tmp_path / "report.csv")}
    for photo, mask, out in (
        (square, "mask01", square.parent),
        (square.parent, "mask01", square.parent / ".." / "in"),
        (square, "mask01", tmp_path / "linked"),
        (square, masks, masks),
        (square, masks / "square.png", masks),
        (tmp_path / "report.csv", "mask01", tmp_path),
    ):
        status, _, err = call("complete", photo, "--mask", mask, "--out", out, "--aligned")
        assert status == 2 and "would overwrite" in err and is_sentence(err)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_output_folder_that_cannot_be_is_found_before_the_work(call, square, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Completer, "__call__", lambda *_, **__: pytest.fail("worked in vain"))
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        status, _, err = call("complete", square, "--mask", "mask01", "--out", out, "--aligned")
        assert status == 2 and "can't be written" in err and is_sentence(err)
    assert (tmp_path / "file").read_text() == "in the way"


# --------------------------------------------------------------------- weights, and things that fail


@pytest.fixture
def weight_files(monkeypatch, tmp_path):
    """A copy of the shipped weights that may be spoilt."""
    copy = tmp_path / "weights"
    shutil.copytree(weights.FOLDER, copy)
    monkeypatch.setattr(weights, "FOLDER", copy)
    monkeypatch.setattr(weights, "MANIFEST", copy / "manifest.json")
    weights.path_of.cache_clear()
    yield copy
    weights.path_of.cache_clear()


@pytest.mark.parametrize("name", ["generator", "landmarks", "embedded-judge"])
@pytest.mark.parametrize("fault", ["missing", "altered", "cut short"])
def test_missing_and_altered_weights(call, square, tmp_path, weight_files, name, fault):
    file = weight_files / json.loads((weight_files / "manifest.json").read_text())[name]["file"]
    content = bytearray(file.read_bytes())
    if fault == "missing":
        file.unlink()
    elif fault == "altered":
        content[-1] ^= 1  # the last bit of the last number
        file.write_bytes(content)
    else:
        file.write_bytes(content[:1000])
    status, _, err = call("complete", square, "--mask", "mask01", "--out", tmp_path / "out", "--aligned")
    assert status == 2 and str(file) in err and is_sentence(err)
    assert ("missing" if fault == "missing" else "altered") in err
    assert not (tmp_path / "out").exists()


def test_weights_of_a_file(call, square, tmp_path, weight_files):
    shutil.copy(weight_files / "generator.safetensors", tmp_path / "mine.safetensors")
    options = ["--out", tmp_path / "out", "--size", 64, "--aligned", "--weights"]
    assert call("complete", square, "--mask", "mask01", *options, tmp_path / "mine.safetensors")[0] == 0
    (tmp_path / "mine.safetensors").write_bytes(b"0" * 100)
    status, _, err = call("complete", square, "--mask", "mask01", *options, tmp_path / "mine.safetensors")
    assert status == 2 and "mine.safetensors" in err and is_sentence(err)


def test_a_photo_that_cannot_be_written_is_a_row_and_leaves_nothing(call, square, tmp_path, monkeypatch):
    shutil.copy(square, square.parent / "full.png")
    replace = os.replace

    def no_room(source, target):
        if Path(target).name == "full.png":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", no_room)
    options = ["--out", tmp_path / "out", "--size", 64, "--aligned"]
    assert call("complete", square.parent, "--mask", "mask01", *options)[0] == 1
    assert files_below(tmp_path / "out") == {"square.png", "report.csv"}
    rows = report(tmp_path / "out")
    assert "No space left" in rows["full.png"]["error"] and is_sentence(rows["full.png"]["error"])
    assert rows["square.png"]["error"] == ""


@pytest.mark.parametrize("error", [RuntimeError("not enough memory\nsecond line"), MemoryError()])
def test_memory_that_runs_out_costs_one_photo(call, square, tmp_path, monkeypatch, error):
    Image.new("RGB", (65, 65)).save(square.parent / "large.png")
    complete = Completer.__call__

    def out_of_memory(completer, photo, *arguments, **options):
        if photo.stem == "large":
            raise error
        return complete(completer, photo, *arguments, **options)

    monkeypatch.setattr(Completer, "__call__", out_of_memory)
    options = ["--out", tmp_path / "out", "--size", 64, "--aligned"]
    assert call("complete", square.parent, "--mask", "mask01", *options)[0] == 1
    rows = report(tmp_path / "out")
    assert "networks failed" in rows["large.png"]["error"] and is_sentence(rows["large.png"]["error"])
    assert rows["square.png"]["error"] == ""


# ------------------------------------------------------------------------------------------ help


def test_help_comes_without_torch():
    code = "import faceinpaint.cli, sys; print('torch' in sys.modules, faceinpaint.__version__)"
    environment = os.environ | {"PYTHONPATH": str(Path(commands.__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout.startswith("False") and result.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["complete"], ["train"], ["evaluate"], ["course"]])
def test_every_command_has_its_help(call, arguments):
    status, out, _ = call(*arguments, "--help")
    assert status == 0 and "Usage:" in out and "--help" in out


# ------------------------------------------------------------------------------------ references, answers


def test_answers_are_numbered_and_a_reference_changes_the_hole(call, portrait, tmp_path) -> None:
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    portrait.save(photo)
    ImageOps.mirror(portrait).save(other)
    plain, guided = tmp_path / "plain", tmp_path / "guided"
    assert call("complete", photo, "--out", plain, "--mask", "face-mask", "--size", "128", "--answers", "3")[0] == 0
    assert sorted(file.name for file in plain.iterdir()) == [
        "photo-2.png", "photo-3.png", "photo.png", "report.csv"]
    assert len((plain / "report.csv").read_text().splitlines()) == 2
    options = ["--mask", "face-mask", "--size", "128", "--reference", other]
    assert call("complete", photo, "--out", guided, *options)[0] == 0
    pictures = [np.asarray(Image.open(file), int) for file in (
        photo, plain / "photo.png", plain / "photo-2.png", plain / "photo-3.png", guided / "photo.png")]
    changed = [np.abs(one - pictures[1]).max(-1) for one in pictures]
    assert all(difference.max() > 10 for difference in (changed[0], *changed[2:]))
    untouched = changed[0] == 0
    assert all((difference[untouched] == 0).mean() > 0.999 for difference in changed[2:])


def test_bad_references_and_numbers_of_answers_end_in_a_sentence(call, portrait, tmp_path) -> None:
    photo, grey = tmp_path / "photo.png", tmp_path / "grey.png"
    portrait.save(photo)
    Image.new("RGB", (200, 200), "grey").save(grey)
    status, _, said = call("complete", photo, "--out", tmp_path / "a", "--mask", "mask01", "--reference", grey)
    assert status == 1 and "the reference is no good" in said
    (tmp_path / "others").mkdir()
    portrait.save(tmp_path / "others" / "somebody.png")
    others = tmp_path / "others"
    status, _, said = call("complete", photo, "--out", tmp_path / "b", "--mask", "mask01", "--reference", others)
    assert status == 2 and "no reference for photo.png" in said
    assert call("complete", photo, "--out", tmp_path / "c", "--mask", "mask01", "--answers", "0")[0] == 2
    assert not (tmp_path / "c").exists()


def test_a_verdict_says_when_it_is_about_the_reference(call, portrait, tmp_path) -> None:
    photo, drawn = tmp_path / "photo.png", tmp_path / "drawn.png"
    portrait.save(photo)
    mask = Image.new("L", portrait.size)
    mask.paste(255, HOLE)
    mask.save(drawn)
    options = ["--size", "64", "--reference", photo]
    for given, said in (
        (["--mask", drawn], "same person as in the reference: "), (["--mask", "mask01"], "same person: "),
        (["--mask", drawn, "--original", photo], "same person: "),
    ):
        status, out, _ = call("complete", photo, "--out", tmp_path / "out", *given, *options)
        assert status == 0 and said in out


@pytest.mark.parametrize("options, said", [
    (["--quality", "50"], "--format jpeg"), (["--quality", "50", "--format", "png"], "--format jpeg"),
    (["--mask", "transparent"], "an image that is transparent there"),
    (["--mask", "link.png"], "leads nowhere, to gone.png"),
])
def test_wrong_calls_say_what_is_right(call, square, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    Path("link.png").symlink_to("gone.png")
    mask = [] if "--mask" in options else ["--mask", "mask01"]
    status, _, error = call("complete", square, "--out", tmp_path / "out", *mask, *options)
    assert status == 2 and said in error and is_sentence(error) and "did you mean" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format, suffix", [("JPEG", "jpg"), ("Png", "png")])
def test_a_format_may_be_written_in_capitals(call, square, tmp_path, format, suffix):
    options = ["--mask", "mask01", "--aligned", "--size", "64", "--format", format]
    assert call("complete", square, "--out", tmp_path / "out", *options)[0] == 0
    assert (tmp_path / "out" / f"square.{suffix}").exists()


def test_a_run_that_is_killed_has_told_of_what_it_did(call, square, tmp_path, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in "abc":
        shutil.copy(square, photos / f"{name}.png")
    monkeypatch.setattr(commands, "REPORTED", 2)
    spoken = iter(range(3))

    def echo(text: str, err: bool) -> None:
        if next(spoken) == 2:
            raise KeyboardInterrupt  # as a kill: nothing after it happens

    monkeypatch.setattr(commands.typer, "echo", echo)
    with contextlib.suppress(KeyboardInterrupt):
        call("complete", photos, "--mask", "mask01", "--out", out, "--aligned", "--size", "64")
    assert [row["file"] for row in csv.DictReader(open(out / "report.csv"))] == ["a.png", "b.png"]


# --------------------------------------------------------------------------------- several photos at a time


@pytest.fixture
def three(astronaut, tmp_path) -> Path:
    """A folder with three aligned faces and what is no photo."""
    folder = tmp_path / "three"
    folder.mkdir()
    for number in range(3):
        astronaut.rotate(number).crop((136, 20, 300, 184)).resize((64, 64)).save(folder / f"{number}.png")
    (folder / "1b.png").write_bytes(b"no photo")
    return folder


def test_two_processes_write_what_one_writes(call, three, tmp_path):
    found = []
    for jobs in (1, 2):
        out = tmp_path / f"out{jobs}"
        status, said, error = call(
            "complete", three, "--mask", "irregular", "--aligned", "--size", 64, "--jobs", jobs, "--out", out
        )
        rows = [{key: value for key, value in row.items() if key not in ("seconds", "of_files")}
                for row in report(out).values()]
        files = [(out / f"{number}.png").read_bytes() for number in range(3)]
        found.append((status, said.replace(str(out), ""), error, rows, files))
    assert found[0] == found[1] and found[0][0] == 1
    assert [row["file"] for row in found[0][3]] == ["0.png", "1.png", "1b.png", "2.png"]


def end(task):
    os._exit(9)


def test_a_process_that_ends_is_one_sentence_and_what_was_done_is_told(call, three, tmp_path, monkeypatch):
    monkeypatch.setattr(completing, "_row_there", end)
    status, _, error = call(
        "complete", three, "--mask", "mask01", "--aligned", "--size", 64, "--jobs", 2, "--out", tmp_path / "out"
    )
    assert status == 1 and "give fewer --jobs" in error and error.count("\n") == 1
    assert report(tmp_path / "out") == {}
