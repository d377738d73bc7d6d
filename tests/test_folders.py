"""Folders of photos: nothing in them is passed over without a word."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.folders import beside, find_photos

PHOTO = io.BytesIO()
Image.new("RGB", (40, 40)).save(PHOTO, "jpeg")


def fill(folder: Path, names: dict[str, bytes]) -> Path:
    for name, content in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def names(found: list) -> list[str]:
    return [one.name.as_posix() for one in found]


def test_everything_that_may_be_meant_as_a_photo_is_found(tmp_path):
    meant = ["IMG_0005", "a.JPE", "b.heic", "c.jp2", "d.unknown", "e.pdf", "empty.png", "sub/x/g.jfif", "sub/h.svg"]
    other = [".DS_Store", "notes.txt", "x.json", "sub/y.csv", "sub/.z/i.jpg", "__MACOSX/a.jpg"]
    fill(tmp_path, {name: b"" for name in other + meant} | {"f.txt": PHOTO.getvalue()})
    found, left_out = find_photos([tmp_path], [])
    assert sorted(names(found)) == sorted([*meant, "f.txt"]) and all(one.path == tmp_path / one.name for one in found)
    assert sorted(path.name for path in left_out) == ["notes.txt", "x.json", "y.csv"]


def test_folders_of_results_masks_and_references_in_it_are_left_out(tmp_path):
    fill(tmp_path, {"a.jpg": b"", "out/a.png": b"", "masks/a.png": b"", "b/c.jpg": b""})
    besides = [tmp_path / "out", tmp_path / "b" / ".." / "masks", tmp_path / "none"]
    assert names(find_photos([tmp_path], besides)[0]) == ["a.jpg", "b/c.jpg"]
    assert names(find_photos([tmp_path / "masks"], [tmp_path / "masks"])[0]) == ["a.png"]  # who asks for it gets it


def test_links_are_followed_once(tmp_path):
    fill(tmp_path, {"in/a.jpg": b"", "elsewhere/b.jpg": b""})
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in" / "link")
    assert names(find_photos([tmp_path / "in"], [])[0]) == ["a.jpg", "link/b.jpg"]


def test_several_photos_and_folders(tmp_path):
    fill(tmp_path, {"a.jpg": b"", "b/c.jpg": b"", "b/d/e.jpg": b"", "notes.txt": b""})
    given = [tmp_path / "a.jpg", tmp_path / "b", tmp_path / "notes.txt"]
    assert names(find_photos(given, [])[0]) == ["a.jpg", "c.jpg", "d/e.jpg", "notes.txt"]


def test_names_that_differ_by_their_endings_alone_keep_these(tmp_path):
    fill(tmp_path, {name: b"" for name in ("a.jpg", "A.png", "b.jpg", "c/a.jpg", "d.e.tif")})
    results = [one.result.as_posix() for one in find_photos([tmp_path], [])[0]]
    assert sorted(results) == ["A.png", "a.jpg", "b", "c/a", "d.e"]


@pytest.mark.parametrize("given, said", [
    ("none.jpg", "does not exist"), ("empty", "holds no photo"), ("link.jpg", "leads nowhere, to gone.jpg"),
    ("https://example.org/a.jpg", "^https://example.org/a.jpg .* save the photo"),
])
def test_what_is_no_photo_and_no_folder(tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, {"empty/notes.txt": b""})
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    with pytest.raises(InputError, match=said):
        find_photos([Path(given)], [])


def test_what_lies_beside_a_photo_is_named_like_it(tmp_path):
    fill(tmp_path, {name: b"" for name in ("in/a.jpg", "in/b/a.png", "in/c.jpg", "in/a.png")})
    masks = ("a.gif", "a.jpg", "a.png.png", "a.json", "b/a.tif", "c.txt", "d.png")
    fill(tmp_path, {f"masks/{name}": b"" for name in masks})
    there = {one.name.as_posix(): one for one in find_photos([tmp_path / "in"], [])[0]}
    taken = {name: [path.name for path in beside(tmp_path / "masks", one)[:1]] for name, one in there.items()}
    assert taken == {"a.jpg": ["a.gif"], "a.png": ["a.png.png"], "b/a.png": ["a.tif"], "c.jpg": []}
