"""Portraits in the public domain: whole photographs with known landmarks, cut to their faces for the package."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from faceinpaint.errors import InputError
from faceinpaint.faces import align
from faceinpaint.faces.photos import METADATA, read_photo, to_image, to_tensor
from faceinpaint.faces.sets import CHECKSUMS, checksums
from faceinpaint.faces.sources.writer import Entry, Report, make_folder, rounded, write_faces
from faceinpaint.files import parse_json, write_whole

MARGIN = 1.25  # times the aligned crop: training varies the framing
SIDE = 320  # pixels at most; no face is enlarged
QUALITY = 90  # of WebP: 40 dB to the photograph in half the bytes of a JPEG
KEPT = ("identity", "split", "sex", "born", "skin_tone_ita", "yaw", "source", "licence", "bioguide")


def portraits(people: Path, out: Path) -> Report:
    """Write the faces of a folder of whole photographs, METADATA with 68 landmarks beside them, and their CHECKSUMS.

    Each face becomes an upright square of MARGIN times the aligned crop, SIDE pixels at most. `photo` of a row are the
    corners of the photograph in it: beyond them its mirror image is shown. Raises InputError as `write_faces` does, and
    for rows that are none.
    """
    rows = _rows(people)
    entries = [Entry(f"images/{Path(row['file_name']).stem}.webp", partial(_face, people, row)) for row in rows]
    make_folder(out)
    report = write_faces(out, entries, {"source": "portraits", "margin": MARGIN, "size": SIDE, "quality": QUALITY})
    write_whole(out / CHECKSUMS, checksums(out))
    return report


def _rows(people: Path) -> list[dict]:
    file = people / METADATA
    try:
        rows = [parse_json(line) for line in file.read_bytes().splitlines()]
    except OSError:
        raise InputError(f"{people} is no folder of portraits: it needs a {METADATA} beside its photographs") from None
    except ValueError:
        rows = []
    if not all(isinstance(row, dict) and {"file_name", "landmarks", *KEPT} <= set(row) for row in rows) or not rows:
        keys = ", ".join(("file_name", "landmarks", *KEPT))
        raise InputError(f"{file} has a line that is no row of a portrait: write {keys} into each")
    return rows


def _face(people: Path, row: dict) -> tuple[bytes, dict]:
    """One photograph as the bytes of its crop, and its row."""
    photo = read_photo(people / row["file_name"])
    landmarks = torch.tensor(row["landmarks"], dtype=torch.float64)
    crop = align.crop_from_landmarks(landmarks, MARGIN)
    size = min(SIDE, int(2 * crop.half_side))
    right, bottom = photo.width - 0.5, photo.height - 0.5
    corners = torch.tensor([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], dtype=torch.float64)
    kept = {key: row[key] for key in KEPT} | {
        "landmarks": rounded(align.to_crop(landmarks, crop, size)),
        "photo": rounded(align.to_crop(corners, crop, size)),
    }
    return _webp(to_image(align.cut(to_tensor(photo), crop, size))), kept


def _webp(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, format="webp", quality=QUALITY, method=6)
    return file.getvalue()
