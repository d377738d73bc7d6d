"""Portraits in the public domain: whole photographs with known landmarks, cut to their faces for the package."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import write_whole
from faceinpaint.faces import align
from faceinpaint.faces.photos import METADATA, MIN_SIDE, read_metadata, read_photo, said_of, to_image, to_tensor
from faceinpaint.faces.sets import CHECKSUMS, checksums, require_unaltered
from faceinpaint.faces.sources.writer import Entry, Report, rounded, write_faces

MARGIN = 1.25  # times the aligned crop: training varies the framing
SIDE = 320  # pixels at most; no face is enlarged
QUALITY = 90  # of WebP: 40 dB to the photograph in half the bytes of a JPEG
KEPT = ("identity", "split", "sex", "born", "skin_tone_ita", "yaw", "source", "licence", "bioguide")


def portraits(people: Path, out: Path) -> Report:
    """Write the faces of a folder of whole photographs, METADATA with 68 landmarks beside them, and their CHECKSUMS.

    Each face becomes an upright square of MARGIN times the aligned crop, SIDE pixels at most. `photo` of a row are the
    corners of the photograph in it: beyond them its mirror image is shown. Photographs without landmarks, or with a
    face that is too small, are left out and reported. Raises InputError as `read_metadata` and `write_faces` do, and
    for a folder that was finished and altered since.
    """
    read_metadata(people)  # which checks them
    rows = said_of(people)
    entries = [Entry(f"images/{Path(row['file_name']).stem}.webp", partial(_face, people, row)) for row in rows]
    report = write_faces(out, entries, {"source": "portraits", "margin": MARGIN, "size": SIDE, "quality": QUALITY})
    if (out / CHECKSUMS).is_file():
        require_unaltered(out)
    else:
        write_whole(out / CHECKSUMS, checksums(out))
    return report


def _face(people: Path, row: dict) -> tuple[bytes, dict]:
    """One photograph as the bytes of its crop, and its row."""
    photo = read_photo(people / row["file_name"])
    if row["landmarks"] is None:
        raise InputError(f"{row['file_name']} has no landmarks: write them into {METADATA}")
    landmarks = torch.tensor(row["landmarks"], dtype=torch.float64)
    crop = align.crop_from_landmarks(landmarks, MARGIN)
    align.require_near(crop, (photo.height, photo.width))
    size = min(SIDE, int(2 * crop.half_side))
    if size < MIN_SIDE:
        raise InputError(f"the face in {row['file_name']} is {size} pixels wide: give a photo with {MIN_SIDE} or more")
    right, bottom = photo.width - 0.5, photo.height - 0.5
    corners = torch.tensor([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], dtype=torch.float64)
    kept = {key: row.get(key) for key in KEPT} | {
        "landmarks": rounded(align.to_crop(landmarks, crop, size)),
        "photo": rounded(align.to_crop(corners, crop, size)),
    }
    return _webp(to_image(align.cut(to_tensor(photo), crop, size))), kept


def _webp(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, format="webp", quality=QUALITY, method=6)
    return file.getvalue()
