"""Rendered people as a dataset: always the same ones, and a folder that survives a kill."""

from __future__ import annotations

import json
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import canonical_face
from PIL import Image

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import synthetic
from faceinpaint.faces.photos import KEYS, FaceFolder, read_photo, to_tensor
from faceinpaint.faces.synthetic.dataset import (
    PALETTE, person_seed, photo_seed, render_people, split_of, write_folder
)


def cheap_render(identity, pose, size: int, supersample: int = 2) -> synthetic.RenderedFaces:
    """In place of the renderer: the colour is the person's, the noise the photograph's, the rest made up."""
    photos = len(pose) // len(identity)
    colour = torch.cat([identity.age, identity.neck / 10, identity.tone / 6], dim=1)
    colour = colour.repeat_interleave(photos, dim=0).reshape(-1, 3, 1, 1)
    noise = [torch.rand(3, size, size, generator=seeded(angle)) for angle in pose.yaw.flatten()]
    image = 0.8 * colour + 0.2 * torch.stack(noise)
    landmarks = canonical_face(size).repeat(len(pose), 1, 1) + 30 * pose.yaw.reshape(-1, 1, 1)
    segmentation = (image[:, 0] * len(synthetic.LABELS)).clamp(0, len(synthetic.LABELS) - 1).byte()
    visible = landmarks[:, :, 0] > size / 3
    angles = torch.rad2deg(torch.cat([pose.yaw, pose.pitch, pose.roll], dim=1)).reshape(-1, 3)
    return synthetic.RenderedFaces(image, landmarks, None, None, segmentation, visible, angles)


def seeded(number: torch.Tensor) -> torch.Generator:
    return torch.Generator().manual_seed(int(1e6 * number) % 2**31)


@pytest.fixture
def cheap(monkeypatch):
    monkeypatch.setattr(synthetic, "render", cheap_render)


def photographs(people: range, photos: range, seed: int = 0) -> dict[str, torch.Tensor]:
    """Image by name."""
    faces = render_people(people, photos, 32, seed)
    return dict(zip(faces.name, faces.image, strict=True))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ------------------------------------------------------------------------------------ by number


def test_the_real_renderer_draws_people_by_their_numbers():
    faces = render_people(range(2), range(2), size=32, supersample=1)
    assert isinstance(faces, synthetic.RenderedFaces)
    assert faces.image.shape == (4, 3, 32, 32) and faces.landmarks.shape == (4, 68, 2)
    assert faces.identity.tolist() == [0, 0, 1, 1]
    assert faces.name == ("000000-00", "000000-01", "000001-00", "000001-01")
    assert not torch.equal(faces.image[0], faces.image[1])
    again = render_people([1], range(2), size=32, supersample=1)
    torch.testing.assert_close(again.image, faces.image[2:], atol=1e-4, rtol=0)
    assert again.identity.tolist() == [1, 1]


def test_a_person_does_not_depend_on_how_many_there_are(cheap):
    few, many = photographs(range(3), range(2)), photographs(range(7), range(3))
    assert all(torch.equal(few[name], many[name]) for name in few)
    other = photographs(range(3), range(2), seed=1)
    assert not any(torch.equal(few[name], other[name]) for name in few)


def test_every_person_and_photograph_has_an_integer_of_its_own():
    seeds = [person_seed(seed, person) for seed in range(5) for person in range(2000)]
    # The low 32 bits alone decide about the random numbers of torch on the CPU.
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)
    photos = [photo_seed(seed, person, photo) for seed in range(3) for person in range(500) for photo in range(9)]
    assert len({seed % 2**32 for seed in photos}) == len(photos)
    assert person_seed(0, 7) == 7


# ------------------------------------------------------------------------------------ on disk


def test_folder_holds_what_was_rendered(cheap, tmp_path):
    file = write_folder(tmp_path / "faces", people=23, photos=2, size=48)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 46 and len({row["file_name"] for row in rows}) == 46
    faces = render_people(range(23), range(2), size=48)
    for index in (0, 17, 45):
        row = rows[index]
        assert {*KEYS, "visible", "yaw", "pitch", "roll"} == set(row)
        photo = to_tensor(read_photo(file.parent / row["file_name"]))
        assert (photo - faces.image[index]).abs().mean() < 0.02  # it is a JPEG
        np.testing.assert_allclose(row["landmarks"], faces.landmarks[index].numpy(), atol=0.006)
        assert row["visible"] == faces.visible[index].tolist()
        np.testing.assert_allclose([row["yaw"], row["pitch"], row["roll"]], faces.angles[index].numpy(), atol=0.006)
        labels = Image.open(file.parent / "segmentation" / f"{Path(row['file_name']).stem}.png")
        assert np.array_equal(np.array(labels), faces.segmentation[index].numpy())
    assert any(not (0 <= x <= 47) for row in rows for x, _ in row["landmarks"])  # outside, and kept
    assert json.loads((file.parent / "settings.json").read_text())["labels"] == list(synthetic.LABELS)
    assert len(PALETTE) >= len(synthetic.LABELS)


def test_folder_is_read_as_faces_and_split_by_person(cheap, tmp_path):
    write_folder(tmp_path, people=23, photos=2, size=48)
    splits = {name: FaceFolder(tmp_path, name, size=32) for name in ("train", "val", "test")}
    people = {name: {row.identity for row in folder.rows} for name, folder in splits.items()}
    assert [len(folder) for folder in splits.values()] == [38, 4, 4]
    assert not (people["train"] & people["val"] or people["train"] & people["test"] or people["val"] & people["test"])
    face = splits["val"][0]
    assert face.identity.item() == 1 and face.image.shape == (1, 3, 32, 32)


def test_splits_are_ninety_five_and_five_percent():
    splits = [split_of(person) for person in range(500)]
    assert [splits.count(name) for name in ("train", "val", "test")] == [450, 25, 25]


# Just before or just after which file appears the process is killed, one after the other.
MOMENTS = [
    ("settings.json", "before"), ("images/000002-01.jpg", "after"), ("segmentation/000006-02.png", "before"),
    ("images/000007-00.jpg", "before"), ("metadata.jsonl", "before"), ("metadata.jsonl", "after"),
]


def write_and_be_killed(out: Path, name: str, when: str) -> None:
    """Render until a file is about to appear, or has just appeared, and stop as if the power failed."""
    replace_file = os.replace

    def replace_or_die(source: Path, target: Path) -> None:
        if target == out / name and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace_file(source, target)
        if target == out / name:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_or_die
    write_folder(out, people=10, photos=3, size=32)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="jobs are forked, which Windows can't")
def test_a_killed_run_goes_on_and_ends_with_the_same_files(cheap, tmp_path):
    write_folder(tmp_path / "undisturbed", people=10, photos=3, size=32)
    out, written, again = tmp_path / "killed", {}, []
    for moment in MOMENTS:
        process = get_context("fork").Process(target=write_and_be_killed, args=(out, *moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, moment
        times = {path.name: path.stat().st_mtime_ns for path in out.glob("images/*.jpg")}
        again += [name for name, time in written.items() if times[name] != time]
        written = times
    assert again in ([], ["000002-01.jpg"])  # that one was there, but its row not yet
    write_folder(out, people=10, photos=3, size=32)
    assert files_of(out) == files_of(tmp_path / "undisturbed")


def test_what_is_there_is_not_rendered_again(tmp_path, monkeypatch):
    rendered = []

    def counting(identity, pose, size, supersample=2):
        rendered.append(len(pose))
        if len(rendered) == 3:
            raise KeyboardInterrupt
        return cheap_render(identity, pose, size, supersample)

    monkeypatch.setattr(synthetic, "render", counting)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path, people=20, photos=4, size=32)
    write_folder(tmp_path, people=20, photos=4, size=32)
    assert rendered == [16, 16, 16, 16, 16, 16]  # the third once more, and no other
    write_folder(tmp_path, people=20, photos=4, size=32)
    assert len(rendered) == 6


def test_many_photographs_of_one_person_are_rendered_in_parts(tmp_path, monkeypatch):
    rendered = []

    def counting(identity, pose, size, supersample=2):
        rendered.append(len(pose))
        return cheap_render(identity, pose, size, supersample)

    monkeypatch.setattr(synthetic, "render", counting)
    write_folder(tmp_path, people=2, photos=20, size=32)
    assert rendered == [16, 4, 16, 4]
    whole = render_people([1], range(20), size=32)
    for photo in (0, 15, 16, 19):
        found = to_tensor(read_photo(tmp_path / "images" / f"{whole.name[photo]}.jpg"))
        errors = (found - whole.image).abs().mean(dim=(1, 2, 3))
        assert errors.argmin() == photo


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("change", [{"people": 5}, {"photos": 3}, {"size": 48}, {"seed": 1}, {"max_yaw": 0.5}])
def test_other_settings_in_the_same_folder_are_refused(tmp_path, monkeypatch, finished, change):
    asked = dict(people=4, photos=2, size=32)
    if finished:
        monkeypatch.setattr(synthetic, "render", cheap_render)
        write_folder(tmp_path, **asked)
    else:
        monkeypatch.setattr(synthetic, "render", None)
        with pytest.raises(TypeError):
            write_folder(tmp_path, **asked)
    before = files_of(tmp_path)
    with pytest.raises(InputError, match="settings.json"):
        write_folder(tmp_path, **(asked | change))
    assert files_of(tmp_path) == before


def test_faces_of_others_are_left_alone(cheap, tmp_path):
    (tmp_path / "metadata.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="other faces"):
        write_folder(tmp_path, people=1, photos=1, size=32)
    (tmp_path / "settings.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="settings.json"):
        write_folder(tmp_path, people=1, photos=1, size=32)


@pytest.mark.parametrize("wrong", [{"people": 0}, {"photos": 0}, {"supersample": 0}, {"size": 16}])
def test_impossible_numbers_are_refused(tmp_path, wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name):
        write_folder(tmp_path / "none", **(dict(people=1, photos=1, size=32) | wrong))
    assert not (tmp_path / "none").exists()
