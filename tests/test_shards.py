"""Shards: what goes in comes out, processes share it, and training streams it and resumes exactly."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import canonical_face
from PIL import Image

from faceinpaint import training, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.faces import detection, shards
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.shards import ShardedFaces, is_sharded, write_shards
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import MobileFaceNet, Recogniser
from faceinpaint.training.batches import Mixture
from faceinpaint.training.presets import PRESETS
from faceinpaint.training.sources import Need, Shards

SMOKE = PRESETS["smoke"]


def add_face(root: Path, name: str, identity: str, split: str, photo: Image.Image, **changes) -> dict:
    """Save a photo of 64 x 64 pixels and return its row."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    photo.save(root / "images" / name, quality=95)
    known = {"source": "test", "licence": "public domain", "yaw": 1.5, "visible": [True] * 68}
    landmarks = canonical_face(64)[0].tolist()
    row = {"file_name": f"images/{name}", "identity": identity, "landmarks": landmarks, "split": split}
    return row | known | changes


def write_rows(root: Path, rows: list[dict]) -> Path:
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def coloured(number: int) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((64, 64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Forty-one faces of seven people to train on, six more to validate."""
    root = tmp_path_factory.mktemp("faces")
    rows = [
        add_face(root, f"t{n:02d}.jpg", f"person-{n % 7}", "train", coloured(n), number=n, note=None if n else "first")
        for n in range(41)
    ]
    rows += [add_face(root, f"v{n}.png", f"person-{7 + n % 2}", "val", coloured(100 + n), number=n) for n in range(6)]
    return write_rows(root, rows)


@pytest.fixture(scope="module")
def packed(folder, tmp_path_factory) -> Path:
    """The same in six shards of seven or six faces, and one."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    write_shards(folder, out, images_per_shard=7)
    return out


def names(faces) -> list[str]:
    return [face.name[0] for face in faces]


def same(first: Faces, second: Faces) -> bool:
    return (
        torch.equal(first.image, second.image) and torch.equal(first.identity, second.identity)
        and first.name == second.name and torch.allclose(first.landmarks, second.landmarks, rtol=0, equal_nan=True)
    )


# --------------------------------------------------------------------------------------- writing


def test_shards_are_named_as_datasets_does_and_equally_large(packed):
    files = sorted(packed.iterdir())
    assert [file.name for file in files] == [f"train-{n:05d}-of-00006.parquet" for n in range(6)] + [
        "val-00000-of-00001.parquet"
    ]
    assert sorted(pq.read_metadata(file).num_rows for file in files[:6]) == [6, 7, 7, 7, 7, 7]
    assert is_sharded(packed) and not is_sharded(packed.parent)


def test_every_key_and_byte_is_kept(folder, packed):
    rows = {row["file_name"]: row for row in map(json.loads, (folder / "metadata.jsonl").read_text().splitlines())}
    seen = 0
    for file in packed.iterdir():
        for found in pq.read_table(file).to_pylist():
            row = rows[found["file_name"]]
            assert found["image"]["bytes"] == (folder / row["file_name"]).read_bytes()
            assert {key: found[key] for key in row} == row
            seen += 1
    assert seen == len(rows)


def test_datasets_reads_them_without_us(packed, tmp_path):
    loaded = datasets.load_dataset(str(packed), cache_dir=str(tmp_path))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 41, "validation": 6}
    assert loaded["validation"][0]["image"].size == (64, 64)


def test_shards_are_fair_samples_and_always_the_same(folder, packed, tmp_path):
    write_shards(folder, tmp_path / "again", images_per_shard=7)
    for file in packed.iterdir():
        table = pq.read_table(file)
        assert table.equals(pq.read_table(tmp_path / "again" / file.name))
        numbers = table["number"].to_pylist()
        assert len(numbers) < 6 or numbers != sorted(numbers)


def test_pictures_of_rare_kinds_become_plain(tmp_path, astronaut):
    """A photo turned by EXIF, a transparent one and a grey one look as `FaceFolder` shows them."""
    photo = astronaut.crop((0, 0, 64, 64))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = photo.convert("RGBA")
    transparent.putalpha(100)
    rows = [
        add_face(tmp_path / "faces", "grey.png", "a", "train", photo.convert("L")),
        add_face(tmp_path / "faces", "transparent.png", "a", "train", transparent),
    ]
    (tmp_path / "faces" / "images" / "turned.jpg").write_bytes(jpeg_with(photo, turned))
    rows.append(rows[0] | {"file_name": "images/turned.jpg"})
    write_shards(write_rows(tmp_path / "faces", rows), tmp_path / "shards")
    there = FaceFolder(tmp_path / "faces", size=32)
    stored = {face.name: face for face in ShardedFaces(tmp_path / "shards", size=32)}
    assert len(stored) == 3 and all(same(face, stored[face.name]) for face in there)


def jpeg_with(photo: Image.Image, exif: Image.Exif) -> bytes:
    content = io.BytesIO()
    photo.save(content, format="jpeg", exif=exif)
    return content.getvalue()


def test_faces_without_landmarks_are_searched_once(tmp_path, astronaut, monkeypatch):
    row = add_face(tmp_path / "faces", "a.png", "a", "train", astronaut.crop((96, 0, 352, 256)), landmarks=None)
    other = add_face(tmp_path / "faces", "b.png", "b", "train", coloured(1))
    points = [[20.1, 25], [43, 25.2], [32, 35], [24, 45], [40, 46]]
    third = add_face(tmp_path / "faces", "c.png", "b", "train", coloured(2), landmarks=None, points=points)
    write_shards(write_rows(tmp_path / "faces", [row, other, third]), tmp_path / "shards")
    folder = FaceFolder(tmp_path / "faces", size=64)
    expected = folder[0]
    monkeypatch.setattr(detection, "detect", None)
    found = {face.name[0]: face for face in ShardedFaces(tmp_path / "shards", size=64)}
    assert same(expected, found["a"]) and found["a"].landmarks.isnan().all()
    assert same(folder[2], found["c"])
    assert names(ShardedFaces(tmp_path / "shards", size=64, labelled=True)) == ["b"]


def test_a_folder_of_faces_without_landmarks_has_none_to_train_landmarks_on(tmp_path, astronaut):
    row = add_face(tmp_path / "faces", "a.png", "a", "train", astronaut.crop((96, 0, 352, 256)), landmarks=None)
    write_shards(write_rows(tmp_path / "faces", [row]), tmp_path / "shards")
    with pytest.raises(InputError, match="landmarks"):
        ShardedFaces(tmp_path / "shards", labelled=True)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"landmarks": None}, "no face is found"),
        ({"landmarks": [[5, 5]] * 68}, "outline no face"),
        ({"split": "a/b"}, "can't name a file"),
        ({"yaw": "left"}, "several kinds"),
        ({"file_name": "images/none.png"}, "not there"),
    ],
)
def test_rows_that_do_not_fit_are_named_and_nothing_is_left(tmp_path, changes, told):
    good = add_face(tmp_path / "faces", "good.png", "a", "train", coloured(0))
    bad = add_face(tmp_path / "faces", "bad.png", "a", "train", coloured(1)) | changes
    with pytest.raises(InputError, match=told):
        write_shards(write_rows(tmp_path / "faces", [good, bad]), tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_damaged_picture_is_found_before_training(tmp_path):
    row = add_face(tmp_path / "faces", "a.png", "a", "train", coloured(0))
    file = tmp_path / "faces" / "images" / "a.png"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match="a.png"):
        write_shards(write_rows(tmp_path / "faces", [row]), tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_shards_never_take_the_place_of_anything(folder, packed):
    before = {file: file.stat().st_mtime_ns for file in packed.iterdir()}
    with pytest.raises(InputError, match="there already"):
        write_shards(folder, packed)
    assert {file: file.stat().st_mtime_ns for file in packed.iterdir()} == before
    with pytest.raises(InputError, match="1 or more"):
        write_shards(folder, packed.parent / "none", images_per_shard=0)


# ------------------------------------------------------------------------------------- streaming


def test_faces_are_those_of_the_folder(folder, packed):
    there = FaceFolder(folder, "train", size=48, margin=1.25)
    stream = ShardedFaces(packed, "train", size=48, margin=1.25)
    assert stream.identities == there.identities
    found = {face.name: face for face in stream}
    assert len(found) == 41 and all(same(face, found[face.name]) for face in there)


def test_brackets_in_the_name_of_the_folder_are_no_pattern(folder, tmp_path):
    write_shards(folder, tmp_path / "a [b]*", images_per_shard=50)
    assert len(list(ShardedFaces(tmp_path / "a [b]*", "val", size=32))) == 6


def test_order_follows_the_seed_and_the_epoch(packed):
    def order(seed: int, epoch: int) -> list[str]:
        stream = ShardedFaces(packed, size=32, seed=seed)
        stream.epoch = epoch
        return names(stream)

    first = order(0, 0)
    assert order(0, 0) == first and order(0, 1) != first and order(1, 0) != first
    assert sorted(order(0, 1)) == sorted(order(1, 0)) == sorted(first) != first


@pytest.mark.parametrize("processes", [1, 2, 4])  # six shards: four processes can't share them evenly
def test_processes_read_every_face_once(packed, processes):
    read = []
    for rank in range(processes):
        read.append(names(ShardedFaces(packed, size=32, rank=rank, world_size=processes)))
    assert len(sum(read, [])) == 41 and len(set(sum(read, []))) == 41
    assert max(map(len, read)) - min(map(len, read)) <= (1 if processes == 4 else 3)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_batches_begin_anywhere(packed, processes):
    """Over more than two passes, the sequence is the same from wherever a run goes on."""
    stream = ShardedFaces(packed, size=32, rank=processes - 1, world_size=processes)
    whole = [batch.name for batch in islice(stream.batches(4), 22)]
    assert all(len(batch) == 4 for batch in whole)
    for first in (1, 9, 18):
        assert [batch.name for batch in islice(stream.batches(4, first), 4)] == whole[first : first + 4]
    if processes == 1:
        passes = sum(whole, ())
        assert len(set(passes[:41])) == len(set(passes[41:82])) == 41 and passes[:41] != passes[41:82]


def test_what_a_run_has_seen_is_read_but_not_decoded(packed, monkeypatch):
    decoded = []
    face = ShardedFaces._face
    monkeypatch.setattr(ShardedFaces, "_face", lambda self, row: decoded.append(row) or face(self, row))
    next(ShardedFaces(packed, size=32).batches(4, first=9))
    assert len(decoded) <= 4 + 2 * 4 + 1  # the batch, and what the threads fetch ahead


def test_shuffling_holds_no_more_than_its_buffer():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    given = []
    for item in shards._shuffled(items(), 50, random.Random(0)):
        given.append(item)
        assert len(taken) - len(given) <= 50
    assert sorted(given) == list(range(1000)) and given != sorted(given)


def test_incomplete_and_foreign_shards_are_refused(packed, tmp_path):
    with pytest.raises(InputError, match="splits are train, val"):
        ShardedFaces(packed, "test")
    with pytest.raises(InputError, match="no shards"):
        ShardedFaces(tmp_path)
    for file in packed.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "train-00002-of-00006.parquet").unlink()
    with pytest.raises(InputError, match="5 shards of 'train', not 6"):
        ShardedFaces(tmp_path)
    pq.write_table(pq.read_table(packed / "val-00000-of-00001.parquet").drop(["image"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a.parquet is no shard"):
        ShardedFaces(tmp_path)


def test_a_small_shard_that_is_large_in_memory_is_refused(packed, tmp_path, monkeypatch):
    file = tmp_path / "val-00000-of-00001.parquet"
    rows = pq.read_table(packed / file.name)
    zeros = [{"bytes": bytes(1 << 20), "path": name} for name in rows["file_name"].to_pylist()]
    column = pa.array(zeros, type=rows["image"].type)
    pq.write_table(rows.set_column(rows.schema.get_field_index("image"), "image", column), file, compression="zstd",
                   use_dictionary=False)
    assert file.stat().st_size < 1 << 20
    monkeypatch.setattr(shards, "LARGEST", len(rows) << 20)
    with pytest.raises(InputError, match="unpacks to over"):
        ShardedFaces(tmp_path, "val")
    monkeypatch.setattr(shards, "LARGEST", len(rows) + 1 << 20)
    assert ShardedFaces(tmp_path, "val")


# -------------------------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def predictor() -> LandmarkPredictor:
    torch.manual_seed(0)
    predictor = LandmarkPredictor(width=0.35, size=64).eval()
    predictor.set_mean_face(canonical_face(64), 64)
    return predictor


def losses(out: Path) -> list[list[str]]:
    with open(out / "log.csv") as file:
        return list(csv.reader(file))


def test_each_period_of_a_run_gets_the_next_faces(packed):
    source = Shards(packed, Need(32, rendered=10))
    blocks = [source.block(period) for period in range(4)]
    names = [name for block in blocks for name in block.name]
    assert len(names) == len(set(names)) == 40  # of the 41 of a pass
    assert all(block.image.shape == (10, 3, 40, 40) and int(block.identity.max()) < source.people for block in blocks)
    again = Shards(packed, Need(32, rendered=10)).block(3)  # a resumed run begins in the middle
    assert again.name == blocks[3].name and torch.equal(again.image, blocks[3].image)


@pytest.mark.usefixtures("quick_training")
def test_every_stage_trains_on_shards(packed, tmp_path, predictor):
    """But landmarks: see below."""
    training.train_recogniser([packed], replace(SMOKE.recogniser, steps=2), tmp_path / "recogniser", predictor)
    torch.manual_seed(0)
    judge = Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)
    settings = replace(SMOKE.completion, steps=2, milestone_faces=0)
    training.train_completion([packed], settings, tmp_path / "completion", predictor, judge)
    assert len(losses(tmp_path / "completion")) > 2


def test_a_resumed_run_on_shards_is_the_undisturbed_one(packed, tmp_path, monkeypatch):
    settings = replace(SMOKE.landmarks, steps=8, batch=4, rendered=8, refresh=3)
    straight = training.train_landmarks([packed], settings, tmp_path / "straight")

    def stop_after_five(self):
        if self.done == 5:
            self._save()
            raise training.Stopped(15, "")

    with monkeypatch.context() as patch:
        patch.setattr("faceinpaint.training.run.Run._leave_if_told", stop_after_five)
        with pytest.raises(training.Stopped):
            training.train_landmarks([packed], settings, tmp_path / "resumed")
    resumed = training.train_landmarks([packed], settings, tmp_path / "resumed", resume=True)
    first, second = (weights.load(path, LandmarkPredictor).state_dict() for path in (straight, resumed))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert losses(tmp_path / "straight") == losses(tmp_path / "resumed")


def test_unknown_landmarks_are_predicted_while_streaming(tmp_path, astronaut, predictor):
    row = add_face(tmp_path / "faces", "a.png", "a", "train", astronaut.crop((96, 0, 352, 256)), landmarks=None)
    write_shards(write_rows(tmp_path / "faces", [row]), tmp_path / "shards")
    faces = Shards(tmp_path / "shards", Need(64, predictor=predictor, rendered=2)).block(0)
    assert len(faces) == 2 and faces.landmarks.isfinite().all()


def test_shards_and_a_folder_are_mixed_in_their_shares(folder, packed):
    mixture = Mixture([f"{folder}:0.25", f"{packed}:0.75"], Need(32, rendered=8))
    of_folder, of_shards = mixture.blocks(0)
    assert int(of_folder.identity.max()) < int(of_shards.identity.min()) < mixture.people
    identity = torch.cat([batch.identity for batch in mixture.batches(8, 0, 25, refresh=25)])
    shared = (identity >= of_shards.identity.min()).float().mean().item()
    assert shared == pytest.approx(0.75, abs=0.1)
