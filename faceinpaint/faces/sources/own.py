"""Photos of one's own: a folder with a sub-folder for each person."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align
from faceinpaint.faces.folders import find_photos
from faceinpaint.faces.photos import PHOTO_SUFFIXES, read_photo, to_image, to_tensor
from faceinpaint.faces.sources.labels import Labeller, largest_face
from faceinpaint.faces.sources.writer import Entry, Report, jpeg, make_folder, rounded, split_of, write_faces

SOURCE = "own photos"
MARGIN = 1.5  # times the aligned crop: training varies the framing


def own(photos: Path, out: Path, size: int = 512, landmarks: str = "auto", licence: str = "unknown") -> Report:
    """Write the largest face of every photo in the sub-folders of `photos`, upright, in `size` pixels.

    landmarks: one of `labels.METHODS`. The sub-folder's name is the person's. Raises InputError for a folder of
    another shape, and as `write_faces` does.
    """
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(photos)):
        raise InputError(f"{out} lies in {photos} and would be taken for a person: choose another --out")
    people = _people(photos)
    labeller = Labeller(landmarks)
    entries = [
        Entry(f"images/{'-'.join((person.name, *photo.result.parts))}.jpg",
              partial(_face, photo.path, person.name, size, labeller, licence))
        for person in people
        for photo in find_photos([person], ())[0]
    ]
    make_folder(out)
    settings = {"source": SOURCE, "size": size, "landmarks": labeller.method, "licence": licence}
    return write_faces(out, entries, settings)


def _people(photos: Path) -> list[Path]:
    """The sub-folders by name."""
    if not photos.is_dir():
        raise InputError(f"{photos} is no folder: give one with a sub-folder of photos for each person")
    entries = sorted(path for path in photos.iterdir() if not path.name.startswith("."))
    loose = [path.name for path in entries if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()]
    if loose:
        raise InputError(f"{loose[0]} lies in {photos} itself: move it into a sub-folder named like its person")
    people = [path for path in entries if path.is_dir()]
    if not people:
        raise InputError(f"{photos} has no sub-folders: make one for each person and put the photos there")
    return people


def _face(path: Path, person: str, size: int, labeller: Labeller, licence: str) -> tuple[bytes, dict]:
    """One photo as the bytes of its crop, and its row."""
    photo = read_photo(path)
    five = largest_face(photo, path)
    crop = align.crop_from_points(five, MARGIN)
    found, method = labeller.row(photo, align.crop_from_points(five))
    row = {
        "identity": person,
        "landmarks": None if found is None else rounded(align.to_crop(found, crop, size)),
        "split": split_of(person),
        "source": SOURCE,
        "licence": licence,
        "landmarks_by": method,
        "points": rounded(align.to_crop(five.double(), crop, size)),
    }
    return jpeg(to_image(align.cut(to_tensor(photo), crop, size))), row
