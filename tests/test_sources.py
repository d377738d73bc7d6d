"""Real data sets written as face folders, from a server and archives made here."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from conftest import canonical_face
from test_download import refused, send, server, status  # noqa: F401  (server is a fixture)
from torchvision.datasets import CelebA

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align, detection
from faceinpaint.faces.photos import KEYS, METADATA, FaceFolder, read_photo, to_tensor
from faceinpaint.faces.sets import CHECKSUMS, find_set
from faceinpaint.faces.sources import celeba as celeba_module, labels
from faceinpaint.faces.sources.celeba import celeba, celeba_hq, read_mapping
from faceinpaint.faces.sources.irregular_masks import bin_name, irregular_masks
from faceinpaint.faces.sources.labels import Labeller
from faceinpaint.faces.sources.london import (
    cut_upright, landmarks_from_template, london, loose_crop, read_template, resampled
)
from faceinpaint.faces.sources.own import own
from faceinpaint.faces.sources.portraits import KEPT, MARGIN, MIN_SIDE, SIDE, portraits
from faceinpaint.faces.sources.writer import Entry, jpeg, split_of, write_faces
from faceinpaint.masks import HOLE_RATIO_BINS


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / METADATA).read_text().splitlines()]


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="png")
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    """Head and shoulders, 220 x 220 pixels."""
    return astronaut.crop((116, 0, 336, 220))


# ------------------------------------------------------------------------------- the face folder


def entries(count: int, bad: tuple[int, ...] = (), made: list[str] | None = None, stop: int | None = None):
    """Photographs 0 .. count - 1, some unusable; `made` is told which are made, number `stop` interrupts."""
    def make(number: int) -> tuple[bytes, dict]:
        if number == stop:
            raise KeyboardInterrupt
        if number in bad:
            raise InputError(f"{number}.jpg is cut short: get it again.")
        if made is not None:
            made.append(number)
        row = {"identity": "amy", "landmarks": None, "split": "train", "source": "s", "licence": "l"}
        return jpeg(Image.new("RGB", (32, 32), (number, 0, 0))), row
    return [Entry(f"images/{number}.jpg", partial(make, number)) for number in range(count)]


def test_folder_is_one_that_training_reads(tmp_path):
    report = write_faces(tmp_path / "out", entries(3), {"source": "s"})
    assert report == (3, {})
    assert [row["file_name"] for row in rows_of(tmp_path / "out")] == [f"images/{n}.jpg" for n in range(3)]
    assert set(KEYS) == set(rows_of(tmp_path / "out")[0])
    assert len(FaceFolder(tmp_path / "out", "train")) == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {METADATA, "images", "settings.json"}


def test_corrupt_images_are_left_out_counted_and_named(tmp_path):
    report = write_faces(tmp_path, entries(40, bad=(3, 17)), {})
    assert report.written == 38 and len(rows_of(tmp_path)) == 38
    assert list(report.skipped) == ["images/3.jpg", "images/17.jpg"]
    assert "cut short" in report.skipped["images/3.jpg"]


def test_more_than_5_percent_corrupt_is_an_error(tmp_path):
    made = []
    sentence = refused(write_faces, tmp_path, entries(40, bad=(3, 17, 20), made=made), {})
    assert "5%" in sentence and all(f"images/{n}.jpg" in sentence for n in (3, 17, 20)) and "cut short" in sentence
    assert not (tmp_path / METADATA).exists()
    assert max(made) == 19  # not after hours


@pytest.mark.parametrize("stop", [0, 5, 9])
def test_a_stopped_run_goes_on(tmp_path, stop):
    write_faces(tmp_path / "at once", entries(10, bad=()), {"size": 8})
    with pytest.raises(KeyboardInterrupt):
        write_faces(tmp_path / "twice", entries(10, stop=stop), {"size": 8})
    assert not (tmp_path / "twice" / METADATA).exists()
    made = []
    assert write_faces(tmp_path / "twice", entries(10, made=made), {"size": 8}).written == 10
    assert made == list(range(stop, 10))
    contents = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "at once", tmp_path / "twice")
    ]
    assert contents[0] == contents[1]


def test_a_row_cut_short_is_written_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_faces(tmp_path, entries(10, stop=5), {})
    begun = tmp_path / "unfinished.jsonl"
    begun.write_text(begun.read_text()[:-20])  # as when the machine went down
    made = []
    write_faces(tmp_path, entries(10, made=made), {})
    assert made == [4, 5, 6, 7, 8, 9] and len(rows_of(tmp_path)) == 10


def test_a_complete_folder_stays(tmp_path):
    write_faces(tmp_path, entries(3), {"size": 8})
    made = []
    assert write_faces(tmp_path, entries(3, made=made), {"size": 8}) == (3, {}) and made == []
    assert "was begun otherwise" in refused(write_faces, tmp_path, entries(3), {"size": 9})
    (tmp_path / "settings.json").unlink()
    assert "other faces" in refused(write_faces, tmp_path, entries(3), {"size": 8})


def test_folders_that_can_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert "can't be written" in refused(write_faces, tmp_path / "file" / "out", entries(1), {})

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")
    write_faces(tmp_path / "out", entries(1), {})
    (tmp_path / "out" / METADATA).unlink()
    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in refused(write_faces, tmp_path / "out", entries(1), {})
    assert not (tmp_path / "out" / METADATA).exists()


def test_two_photos_of_one_name_and_none_at_all(tmp_path):
    twins = [Entry(f"images/{name}.jpg", entries(1)[0].make) for name in ("a", "A")]
    assert "images/A.jpg" in refused(write_faces, tmp_path, twins, {})
    assert "no photo" in refused(write_faces, tmp_path, [], {})


def test_splits_divide_people_about_8_to_1_to_1():
    splits = [split_of(f"person-{number}") for number in range(2000)]
    assert [splits.count(name) for name in ("train", "val", "test")] == pytest.approx([1600, 200, 200], rel=0.15)
    assert split_of("amy") == split_of("amy")


# ------------------------------------------------------------------------------------ templates

# The published table, written as people would: groups of one are the template's point, groups of two their mean.
TABLE = {
    17: "71", 18: "72", 19: "73", 20: "74", 21: "75", 22: "78", 23: "79", 24: "80", 25: "81", 26: "82",
    36: "18", 37: "19 20", 38: "20 21", 39: "22", 40: "29 30", 41: "28 29",
    42: "23", 43: "24 25", 44: "25 26", 45: "27", 46: "32 33", 47: "31 32",
    48: "87", 49: "88", 50: "89", 51: "90", 52: "91", 53: "92", 54: "93",
    55: "108", 56: "107", 57: "106", 58: "105", 59: "104",
    60: "94 99", 61: "95", 62: "96", 63: "97", 64: "98 103", 65: "102", 66: "101", 67: "100",
}
LINES = {  # first and last landmark of a line -> the template's points along it
    (0, 16): "109 185 110 186 111 125 126 127 128 129 130 131 132 133 114 188 113 187 112",
    (31, 33): "63 64 65 179 180 55",
    (33, 35): "55 181 182 70 69 68",
}
BRIDGE = "50 56, 51 57, 52 58, 53 59, 54 60"


def scattered(seed: int = 0) -> np.ndarray:
    """A template of which no two points are alike."""
    return np.random.default_rng(seed).uniform(0, 1350, (189, 2))


def mean_of(template: np.ndarray, group: str) -> np.ndarray:
    return template[[int(number) for number in group.split()]].mean(axis=0)


def test_points_of_the_template_become_landmarks():
    template = scattered()
    landmarks = landmarks_from_template(template)
    assert landmarks.shape == (68, 2)
    for index, group in TABLE.items():
        assert landmarks[index] == pytest.approx(mean_of(template, group)), index


@pytest.mark.parametrize("ends, numbers", LINES.items())
def test_lines_of_the_template_are_divided_evenly(ends, numbers):
    first, last = ends
    indices = [int(number) for number in numbers.split()]
    template = scattered()
    begin, end = np.array([100.0, 40.0]), np.array([500.0, 340.0])
    uneven = np.sort(np.random.default_rng(1).uniform(0, 1, len(indices) - 2))
    template[indices] = begin + np.array([0, *uneven, 1])[:, None] * (end - begin)
    expected = begin + np.linspace(0, 1, last - first + 1)[:, None] * (end - begin)
    assert landmarks_from_template(template)[first : last + 1] == pytest.approx(expected)


def test_bridge_of_the_nose_lies_between_its_sides():
    template = scattered()
    groups = [group.split() for group in BRIDGE.split(",")]
    for step, (left, right) in enumerate(groups):
        template[int(left)], template[int(right)] = (300 - step, 100 + 30 * step), (340 + step, 100 + 30 * step)
    expected = np.stack([np.full(4, 320), np.linspace(100, 220, 4)], axis=1)
    assert landmarks_from_template(template)[27:31] == pytest.approx(expected)


def test_landmarks_move_with_the_template():
    template = scattered()
    turn = 2.5 * np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = landmarks_from_template(template @ turn.T + [10, -70])
    assert moved == pytest.approx(landmarks_from_template(template) @ turn.T + [10, -70])


def test_resampled_points_are_equally_far_along_the_line():
    corner = np.array([[0, 0], [3, 0], [3, 5]], dtype=float)
    assert resampled(corner, 5).tolist() == [[0, 0], [2, 0], [3, 1], [3, 3], [3, 5]]


def template_file(template: np.ndarray) -> bytes:
    """A template as WebMorph writes it: count, points, then lines that connect them."""
    lines = [str(len(template)), *[f"{x}\t{y}" for x, y in template], "1", "0", "3", "145 183 184"]
    return "\n".join(lines).encode()


def test_templates_are_read(tmp_path):
    (tmp_path / "a.tem").write_bytes(template_file(scattered()))
    assert np.array_equal(read_template(tmp_path / "a.tem"), scattered())
    for content in (b"", b"hello", template_file(scattered()[:188]), template_file(scattered())[:3000]):
        (tmp_path / "a.tem").write_bytes(content)
        assert "a.tem" in refused(read_template, tmp_path / "a.tem")
    assert "missing" in refused(read_template, tmp_path / "none.tem")


@pytest.mark.parametrize("centre, half", [((100.0, 90.0), 60.0), ((30.3, 150.2), 80.5), ((99.5, 99.5), 150.0)])
def test_crop_and_landmarks_agree(centre, half):
    """A spot in the photo is found in the crop where its landmark says."""
    ys, xs = np.indices((200, 200))
    spot = np.array([60.25, 110.75])
    light = 255 * np.exp(-((xs - spot[0]) ** 2 + (ys - spot[1]) ** 2) / (2 * 4**2))
    photo = Image.fromarray(np.repeat(light[:, :, None], 3, axis=2).round().astype(np.uint8))
    crop = align.Crop(centre, (half, 0.0))
    pixels = np.asarray(cut_upright(photo, crop, 96), dtype=float)[:, :, 0]
    ys, xs = np.indices(pixels.shape)
    found = [(pixels * xs).sum() / pixels.sum(), (pixels * ys).sum() / pixels.sum()]
    assert found == pytest.approx(align.to_crop(torch.from_numpy(spot), crop, 96).tolist(), abs=0.05)


def test_beyond_the_photo_its_edge_is_repeated():
    left_red = Image.new("RGB", (50, 50), "blue")
    left_red.paste("red", (0, 0, 10, 50))
    pixels = np.asarray(cut_upright(left_red, align.Crop((0.0, 25.0), (40.0, 0.0)), 80))
    assert np.all(pixels[:, :40] == [255, 0, 0]) and np.all(pixels[:, 60:] == [0, 0, 255])


def test_loose_crop_holds_eyes_and_mouth():
    left, right, mouth = np.array([40.0, 50.0]), np.array([80.0, 50.0]), np.array([60.0, 90.0])
    crop = loose_crop(left, right, mouth)
    assert crop.centre == (60.0, 54.0) and crop.half_side == pytest.approx(2.4 * 40)
    assert loose_crop(left, right, mouth + [0, 60]).half_side == pytest.approx(2.4 * 0.9 * 100)  # a long face


# --------------------------------------------------------------------------------------- London


def face_template(photo: Image.Image) -> np.ndarray:
    """A template whose landmarks' eyes and mouth lie where a face is detected."""
    five = detection.detect(photo)[0].points.numpy()
    template = np.tile(five[2], (189, 1)) + np.random.default_rng(0).uniform(-5, 5, (189, 2))
    for points, index in ((range(18, 23), 0), (range(28, 31), 0), (range(23, 28), 1), (range(31, 34), 1)):
        template[list(points)] = five[index]
    template[87:109] = (five[3] + five[4]) / 2
    return template


@pytest.fixture(scope="module")
def london_archives(portrait) -> dict[str, bytes]:
    """Two people, neutral with templates, and smiling."""
    photo, template = jpeg(portrait), template_file(face_template(portrait))
    neutral = {"__MACOSX/neutral_front/._001_03.jpg": b"not an image"}
    smiling = {}
    for person in ("001", "173"):
        neutral |= {f"neutral_front/{person}_03.jpg": photo, f"neutral_front/{person}_03.tem": template}
        smiling |= {f"smiling_front/{person}_08.jpg": photo}
    return {"neutral_front.zip": zipped(neutral), "smiling_front.zip": zipped(smiling)}


@pytest.fixture
def article(server, london_archives) -> str:  # noqa: F811
    """The address of figshare's description of the two archives, which are there too."""
    files = [
        {
            "id": number, "name": name, "size": len(content), "computed_md5": hashlib.md5(content).hexdigest(),
            "download_url": server.gives(f"/{name}", content),
        }
        for number, (name, content) in enumerate(london_archives.items())
    ]
    return server.gives("/article", json.dumps({"files": files}).encode())


def test_london(server, article, tmp_path, portrait):  # noqa: F811
    out = tmp_path / "london"
    assert london(out, tmp_path / "downloads", 128, article) == (4, {})
    rows = {row["file_name"]: row for row in rows_of(out)}
    assert list(rows) == [f"images/london-{p}-{e}.jpg" for e in ("neutral", "smiling") for p in ("001", "173")]
    neutral, smiling = rows["images/london-173-neutral.jpg"], rows["images/london-173-smiling.jpg"]
    assert neutral["identity"] == smiling["identity"] == "london-173" and neutral["split"] == smiling["split"]
    assert neutral["landmarks_by"] == "template" and neutral["expression"] == "neutral"
    assert smiling["landmarks"] is None and smiling["landmarks_by"] is None
    assert neutral["licence"] == "CC BY 4.0"

    # Both crops show the face at one place, that of the landmarks, although only one of them has a template.
    crops = [np.asarray(read_photo(out / name), dtype=float) for name in list(rows)[1::2]]
    assert crops[0].shape == (128, 128, 3) and np.abs(crops[0] - crops[1]).mean() < 5
    found = detection.detect(read_photo(out / "images/london-173-neutral.jpg"))[0].points
    eyes = align.five_points(torch.tensor(neutral["landmarks"])[None])[0][:2]
    assert (found[:2] - eyes).norm(dim=1).max() < 2.5
    assert len(FaceFolder(out)) == 4

    asked = len(server.asked)
    assert london(out, tmp_path / "downloads", 128, article).written == 4
    assert len(server.asked) == asked  # nothing is loaded twice


def test_london_from_the_mirror(server, article, tmp_path, london_archives):  # noqa: F811
    for number, (name, content) in enumerate(london_archives.items()):
        server.gives(f"/{name}", status(202) if number else bytes(len(content)))
        server.gives(f"/mirror/{number}/{name}", content)
    mirror = server.url("/mirror/{id}/{name}")
    assert london(tmp_path / "out", tmp_path / "downloads", 64, article, mirror).written == 4


def test_london_elsewhere_or_altered(server, article, tmp_path):  # noqa: F811
    nowhere = server.url("/none/{id}/{name}")
    server.gives("/neutral_front.zip", b"another file")
    assert "instead of" in refused(london, tmp_path / "out", tmp_path / "a", 64, article, nowhere)
    server.gives("/article", b'{"message": "Not found"}')
    assert "does not describe the set" in refused(london, tmp_path / "out", tmp_path / "b", 64, article, nowhere)
    server.gives("/article", b'{"files": [{"name": "neutral_front.zip"}]}')
    assert "does not describe the set" in refused(london, tmp_path / "out", tmp_path / "d", 64, article, nowhere)
    server.gives("/article", b'{"files": []}')
    assert "lists no neutral_front.zip" in refused(london, tmp_path / "out", tmp_path / "c", 64, article, nowhere)
    assert not (tmp_path / "out" / METADATA).exists()


# --------------------------------------------------------------------------------------- CelebA


@pytest.fixture
def celeba_files(tmp_path, monkeypatch, astronaut) -> Path:
    """CelebA as torchvision lays it out, but of 7 photographs, and not to be downloaded."""
    folder = tmp_path / "downloads" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    photo = astronaut.crop((136, 0, 314, 218))
    names = [f"{number:06d}.jpg" for number in range(1, 8)]
    for name in names:
        (folder / "img_align_celeba" / name).write_bytes(jpeg(photo))
    five = detection.detect(photo)[0].points.round().int().flatten().tolist()
    attributes = " ".join(["-1"] * 40)
    lists = {
        "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(names, "0001122")],
        "identity_CelebA.txt": [f"{name} {person}" for name, person in zip(names, (7, 8, 7, 90, 90, 1000, 1000))],
        "list_bbox_celeba.txt": ["7", "box", *[f"{name} 1 2 3 4" for name in names]],
        "list_landmarks_align_celeba.txt": ["7", "x", *[f"{name}  {' '.join(map(str, five))}" for name in names]],
        "list_attr_celeba.txt": ["7", "attributes", *[f"{name} {attributes}" for name in names]],
    }
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)  # theirs have other checksums
    monkeypatch.setattr(celeba_module, "download_file_from_google_drive", lambda *arguments: None)
    return tmp_path / "downloads"


def test_celeba(celeba_files, tmp_path, monkeypatch):
    assert celeba(tmp_path / "out", celeba_files, "none") == (7, {})
    rows = rows_of(tmp_path / "out")
    assert [row["identity"].removeprefix("celeba-") for row in rows] == ["7", "8", "7", "90", "90", "1000", "1000"]
    assert [row["split"] for row in rows] == ["train"] * 3 + ["val"] * 2 + ["test"] * 2
    assert rows[0]["landmarks"] is None and rows[0]["landmarks_by"] is None
    published = celeba_files / "celeba" / "img_align_celeba" / "000001.jpg"
    assert (tmp_path / "out" / "images" / "000001.jpg").read_bytes() == published.read_bytes()

    # Its five points spare the search for a face.
    expected = align.crop_from_points(detection.detect(read_photo(published))[0].points)
    monkeypatch.setattr(detection, "detect", lambda photo: pytest.fail("searched for a face"))
    face = FaceFolder(tmp_path / "out", "train", size=64)[0]
    found = align.crop_from_points(torch.tensor(rows[0]["points"]))
    assert found.centre == pytest.approx(expected.centre, abs=1) and face.landmarks.isnan().all()
    assert face.image.shape == (1, 3, 64, 64)


def test_celeba_landmarks_by_the_predictor(celeba_files, tmp_path):
    celeba(tmp_path / "out", celeba_files, "predictor")
    row = rows_of(tmp_path / "out")[0]
    assert row["landmarks_by"] == "predictor"
    found = align.five_points(torch.tensor(row["landmarks"])[None])[0]
    assert (found - torch.tensor(row["points"]))[:2].norm(dim=1).max() < 4  # the eyes, of 178 pixels


def test_a_damaged_photo_of_celeba(celeba_files, tmp_path):
    (celeba_files / "celeba" / "img_align_celeba" / "000003.jpg").write_bytes(b"half")
    sentence = refused(celeba, tmp_path / "out", celeba_files, "none")
    assert "images/000003.jpg" in sentence and "5%" in sentence  # one of seven is more


def test_celeba_is_not_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    sentence = refused(celeba, tmp_path / "out", tmp_path / "downloads", "none")
    assert "pip install gdown" in sentence and str(tmp_path / "downloads" / "celeba") in sentence
    assert "list of people" in refused(celeba_hq, tmp_path / "out", tmp_path / "downloads", 64, "none")


MAPPING = "idx        orig_idx       orig_file\n0    3    000004.jpg\n1    5    000006.jpg\n2    0    000001.jpg\n"


@pytest.fixture
def hq_archive(tmp_path, monkeypatch, portrait) -> Path:
    """An archive like that of CelebA-HQ, with masks beside, and no hub to get it from."""
    members = {"CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt": MAPPING.encode()}
    for number, side in enumerate((256, 128, 200)):
        members[f"CelebAMask-HQ/CelebA-HQ-img/{number}.jpg"] = jpeg(portrait.resize((side, side)))
        members[f"CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/0000{number}_skin.png"] = b"a mask"
    path = tmp_path / "hq.zip"
    path.write_bytes(zipped(members))
    monkeypatch.setattr(celeba_module, "_hub_file", Path)
    return path


def test_celeba_hq_knows_who_is_who(celeba_files, hq_archive, tmp_path):
    assert celeba_hq(tmp_path / "out", celeba_files, 64, "predictor", str(hq_archive)) == (3, {})
    rows = rows_of(tmp_path / "out")
    assert [row["file_name"] for row in rows] == [f"images/0000{n}.jpg" for n in range(3)]
    assert [row["identity"] for row in rows] == ["celeba-90", "celeba-1000", "celeba-7"]
    assert [row["split"] for row in rows] == ["val", "test", "train"]
    assert [row["landmarks_by"] for row in rows] == ["predictor"] * 3
    assert read_photo(tmp_path / "out" / "images" / "00001.jpg").size == (64, 64)
    landmarks = np.array(rows[0]["landmarks"])
    assert landmarks.min() > -10 and landmarks.max() < 74
    assert not list(celeba_files.rglob("*_skin.png"))  # masks stay packed


def test_celeba_hq_in_disorder(celeba_files, hq_archive, tmp_path):
    mapping = tmp_path / "mapping.txt"
    mapping.write_text(MAPPING)
    assert read_mapping(mapping) == {0: "000004.jpg", 1: "000006.jpg", 2: "000001.jpg"}
    for text in ("", "idx\n", MAPPING + "3 0 000001.jpg\n", MAPPING + "3 000002.jpg\n"):
        mapping.write_text(text)
        assert "mapping.txt" in refused(read_mapping, mapping)
    (celeba_files / "celeba" / "identity_CelebA.txt").write_text("000001.jpg 7\n")
    assert "no photo of CelebA" in refused(celeba_hq, tmp_path / "out", celeba_files, 64, "none", str(hq_archive))


def test_hub_files(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "file.zip").write_bytes(b"content")
    assert celeba_module._hub_file(str(tmp_path / "file.zip")).read_bytes() == b"content"
    assert "could not be downloaded" in refused(celeba_module._hub_file, str(tmp_path / "none.zip"))


# ------------------------------------------------------------------------------------ landmarks


class Stub:
    """Stands for the network of face-alignment: faces at given shifts from the middle of the picture."""

    shifts: list = []

    def __init__(self, kind: str, **options) -> None:
        assert kind == "2D"

    def get_landmarks_from_image(self, image: np.ndarray) -> list[np.ndarray] | None:
        assert image.shape == (labels.SIZE, labels.SIZE, 3) and image.dtype == np.uint8
        grid = np.random.default_rng(0).uniform(-40, 40, (68, 2))
        return [(labels.SIZE - 1) / 2 + grid - grid.mean(0) + shift for shift in self.shifts] or None


@pytest.fixture
def face_alignment(monkeypatch) -> type[Stub]:
    """The package face-alignment as if it were installed."""
    package = SimpleNamespace(FaceAlignment=Stub, LandmarksType=SimpleNamespace(TWO_D="2D"), __spec__="installed")
    monkeypatch.setitem(sys.modules, "face_alignment", package)
    monkeypatch.setattr(labels, "find_spec", lambda name: package if name == "face_alignment" else None)
    return Stub


def test_who_finds_landmarks(face_alignment, portrait, monkeypatch):
    crop = align.Crop((100.0, 90.0), (64.0, 0.0))
    labeller = Labeller("auto")
    assert labeller.method == "face-alignment"
    monkeypatch.setattr(Stub, "shifts", [70, 3, -60])  # the one in the middle is meant
    found, method = labeller.row(portrait, crop)
    assert method == "face-alignment" and found.shape == (68, 2)
    assert found.mean(0).tolist() == pytest.approx([100 + 3 / 2, 90 + 3 / 2])  # the crop is enlarged twice
    monkeypatch.setattr(Stub, "shifts", [])
    assert labeller.row(portrait, crop) == (None, None)
    assert Labeller("none").row(portrait, crop) == (None, None)


def test_landmarks_by_what_is_not_there(monkeypatch, face_alignment):
    monkeypatch.setattr(Stub, "__init__", lambda *arguments, **options: 1 / 0)
    assert "could not load its weights" in refused(Labeller, "face-alignment")
    monkeypatch.setattr(labels, "find_spec", lambda name: None)
    assert Labeller("auto").method == "predictor"
    assert "pip install face-alignment" in refused(Labeller, "face-alignment")
    assert "all: auto" in refused(Labeller, "dlib")


# --------------------------------------------------------------------------------- one's own photos


@pytest.fixture
def photos(tmp_path, portrait) -> Path:
    """Two people, one photo each, one lying on its side."""
    for person in ("Amy Ä", "zoe"):
        (tmp_path / "photos" / person).mkdir(parents=True)
    portrait.save(tmp_path / "photos" / "Amy Ä" / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    portrait.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photos" / "zoe" / "a.png", exif=exif)
    (tmp_path / "photos" / "notes.txt").touch()
    return tmp_path / "photos"


def test_own_photos(photos, tmp_path):
    assert own(photos, tmp_path / "out", 160, "predictor", "mine") == (2, {})
    rows = rows_of(tmp_path / "out")
    assert [row["file_name"] for row in rows] == ["images/Amy Ä-a.jpg", "images/zoe-a.jpg"]
    assert [row["identity"] for row in rows] == ["Amy Ä", "zoe"]
    assert rows[0]["licence"] == "mine" and rows[0]["landmarks_by"] == "predictor"
    for row in rows:
        image = read_photo(tmp_path / "out" / row["file_name"])
        assert image.size == (160, 160)
        points = torch.tensor(row["points"])
        assert (detection.detect(image)[0].points - points).norm(dim=1).max() < 3
        eyes = align.five_points(torch.tensor(row["landmarks"])[None])[0, :2]
        assert (eyes - points[:2]).norm(dim=1).max() < 3
        left, right = points[:2]
        assert abs(left[1] - right[1]) < 5  # upright
    assert len(FaceFolder(tmp_path / "out")) == 2


def test_own_photos_without_a_face(photos, tmp_path):
    Image.new("RGB", (64, 64)).save(photos / "zoe" / "b.png")
    sentence = refused(own, photos, tmp_path / "out", 64, "none")
    assert "images/zoe-b.jpg" in sentence and "no face" in sentence


def test_own_photos_in_disorder(photos, tmp_path, portrait):
    assert "no folder" in refused(own, tmp_path / "none", tmp_path / "out")
    assert "choose another --out" in refused(own, photos, photos / "out")
    (photos / "empty").mkdir()
    assert "holds no photo" in refused(own, photos, tmp_path / "out")
    portrait.save(photos / "loose.jpg")
    assert "loose.jpg" in refused(own, photos, tmp_path / "out")
    (photos / "loop").symlink_to(photos / "loop")
    assert "no folder" in refused(own, photos / "loop", tmp_path / "out")
    (tmp_path / "bare").mkdir()
    assert "no sub-folders" in refused(own, tmp_path / "bare", tmp_path / "out")


# -------------------------------------------------------------------- portraits in the public domain


def whole_photographs(folder: Path, astronaut: Image.Image) -> Path:
    """Two photographs of p00001, the second one cut close, and a small one of p00002; landmarks lie on the faces."""
    folder.mkdir()
    face = canonical_face(180)[0] + torch.tensor([135.0, 17.0])
    photographs = {
        "p00001-1": (astronaut, face),
        "p00001-2": (astronaut.crop((126, 20, 306, 220)), face - torch.tensor([126, 20])),
        "p00002-1": (astronaut.resize((200, 200)), (face + 0.5) * 200 / 512 - 0.5),
    }
    rows = []
    for name, (photo, landmarks) in photographs.items():
        photo.save(folder / f"{name}.png")
        rows.append(dict(
            file_name=f"{name}.png", identity=f"congress-{name[:6]}", split="train" if name < "p00002" else "val",
            landmarks=landmarks.tolist(), sex=None, born=1956, skin_tone_ita=40.0, yaw=0.1, source="test",
            licence="public domain", bioguide=f"X{name[:6]}",
        ))
    (folder / METADATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def people(tmp_path, astronaut) -> Path:
    return whole_photographs(tmp_path / "whole", astronaut)


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_portraits(people, tmp_path):
    assert portraits(people, tmp_path / "out") == (3, {})
    written = content_of(tmp_path / "out")
    images = {f"images/{name}.webp" for name in ("p00001-1", "p00001-2", "p00002-1")}
    assert set(written) == images | {METADATA, "settings.json", CHECKSUMS}
    for row, whole in zip(rows_of(tmp_path / "out"), rows_of(people)):
        assert set(row) == {"file_name", "landmarks", "photo", *KEPT}
        assert all(row[key] == whole[key] for key in KEPT)
    assert find_set(tmp_path / "out") == tmp_path / "out" and len(FaceFolder(tmp_path / "out", "train")) == 2
    portraits(people, tmp_path / "again")
    assert content_of(tmp_path / "again") == written
    portraits(people, tmp_path / "out")  # complete: it stays
    assert content_of(tmp_path / "out") == written


def test_pixels_landmarks_and_corners_of_a_portrait_agree(people, tmp_path):
    """A crop made anew from the whole photograph is the picture, and `photo` says what of it was photographed."""
    portraits(people, tmp_path / "out")
    for row, whole in zip(rows_of(tmp_path / "out"), rows_of(people)):
        photo, image = read_photo(people / whole["file_name"]), read_photo(tmp_path / "out" / row["file_name"])
        landmarks = torch.tensor(whole["landmarks"], dtype=torch.float64)
        crop = align.crop_from_landmarks(landmarks, MARGIN)
        assert image.width == image.height == min(SIDE, int(2 * crop.half_side))
        back = align.to_photo(torch.tensor(row["landmarks"], dtype=torch.float64), crop, image.width)
        assert (back - landmarks).abs().max() < 0.02
        expected = align.cut(to_tensor(photo), crop, image.width)
        assert (to_tensor(image) - expected).square().mean() < 10 ** -3.2  # 32 dB
        corners = align.to_photo(torch.tensor(row["photo"], dtype=torch.float64), crop, image.width) + 0.5
        right = torch.tensor([[0, 0], [photo.width, 0], [photo.width, photo.height], [0, photo.height]])
        assert (corners - right).abs().max() < 0.02


@pytest.mark.parametrize("change, sentence", [
    (lambda rows: rows[0].pop("identity"), "has no 'identity'"),
    (lambda rows: rows[0].update(landmarks=[[1, 2]]), "not 68 pairs of numbers"),
    (lambda rows: rows[0].update(landmarks=None), "more than 5% .* no landmarks"),
    (lambda rows: rows[0].update(landmarks=[[5, 5]] * 68), "more than 5% .* span no square"),
    (lambda rows: rows[0].update(landmarks=(canonical_face(12)[0] + 50).tolist()), f"wide: give .* {MIN_SIDE} or more"),
    (lambda rows: rows[0].update(landmarks=(canonical_face(99)[0] + 9e5).tolist()), "no face where the points lie"),
    (lambda rows: rows[0].update(file_name="none.png"), "none.png does not exist"),
    (lambda rows: rows[1].update(file_name="p00001-1.png"), "two photos would be written as"),
    (lambda rows: rows.clear(), "has no rows"),
], ids=["key", "points", "null", "equal", "small", "far", "missing", "twins", "none"])
def test_portraits_in_disorder(people, tmp_path, change, sentence):
    rows = rows_of(people)
    change(rows)
    (people / METADATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=sentence) as error:
        portraits(people, tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out" / METADATA).exists()


def test_portraits_of_no_folder_and_altered_ones(people, tmp_path):
    assert "is no face folder" in refused(portraits, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    portraits(people, tmp_path / "out")
    file = tmp_path / "out" / "images" / "p00002-1.webp"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert f"{file} is not as it was made" in refused(portraits, people, tmp_path / "out")


# ------------------------------------------------------------------------------- irregular masks


def mask_png(ratio: float, side: int = 100) -> bytes:
    """A mask with that share of white pixels."""
    pixels = np.zeros(side * side, dtype=np.uint8)
    pixels[: round(ratio * side * side)] = 255
    return png(Image.fromarray(pixels.reshape(side, side)))


@pytest.mark.parametrize("ratio, name", [
    (0.0101, "01-10"), (0.1, "01-10"), (0.1001, "10-20"), (0.35, "30-40"), (0.5, "40-50"), (0.6, "50-60"),
])
def test_bins_are_open_below_and_closed_above(ratio, name):
    assert bin_name(ratio) == name


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.6001, 1.0, float("nan")])
def test_ratios_in_no_bin(ratio):
    assert "in none of the bins" in refused(bin_name, ratio)


def test_masks_are_sorted_by_hole_ratio(server, tmp_path):  # noqa: F811
    ratios = {f"{number:05d}": 0.02 + 0.014 * number for number in range(40)}
    members = {f"mask/testing_mask_dataset/{name}.png": mask_png(ratio) for name, ratio in ratios.items()}
    members |= {"mask/testing_mask_dataset/00007.png": b"half", "mask/readme.txt": b"licence"}
    url = server.gives("/test_mask.zip", zipped(members))
    report = irregular_masks(tmp_path / "out", tmp_path / "downloads", (url,))
    assert report.written == 39 and list(report.skipped) == ["00007.png"]
    written = {path.stem: path for path in (tmp_path / "out").rglob("*.png")}
    assert set(written) == set(ratios) - {"00007"}
    for name, path in written.items():
        mask = np.asarray(Image.open(path))
        assert mask.shape == (100, 100)
        low, high = (int(percent) / 100 for percent in path.parent.name.split("-"))
        assert (low, high) in HOLE_RATIO_BINS and low < round(ratios[name], 4) <= high  # 0.3 is among them
        assert mask.mean().item() == pytest.approx(ratios[name], abs=1e-4)
    assert len((tmp_path / "out" / "masks.csv").read_text().splitlines()) == 40
    assert irregular_masks(tmp_path / "out", tmp_path / "none", ()).written == 39  # complete: it stays


def test_masks_the_wrong_way_round(server, tmp_path):  # noqa: F811
    members = {f"{number}.png": mask_png(0.9) for number in range(5)}
    url = server.gives("/test_mask.zip", zipped(members))
    assert "none of the bins" in refused(irregular_masks, tmp_path / "out", tmp_path / "downloads", (url,))
    assert not (tmp_path / "out" / "masks.csv").exists()


def test_masks_from_a_server_that_gives_something_else(server, tmp_path):  # noqa: F811
    page = server.gives("/page", lambda handler: send(handler, 200, b"<html>", Content_Type="text/html"))
    assert "web page" in refused(irregular_masks, tmp_path / "out", tmp_path / "a", (page,))
    text = server.gives("/text", b"Too many requests")
    assert "no zip, tar, tar.gz or tar.bz2" in refused(irregular_masks, tmp_path / "out", tmp_path / "b", (text,))
    empty = server.gives("/empty", zipped({"readme.txt": b"licence"}))
    assert "no PNG" in refused(irregular_masks, tmp_path / "out", tmp_path / "c", (empty,))
