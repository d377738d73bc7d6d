"""Rendered people by their numbers: as they are asked for, or as a face folder on disk.

Person number k of a seed is always the same person and photograph j of that person always the same
photograph, whoever renders it: `person_seed` and `photo_seed` turn the numbers into the integers from which
`synthetic.identities` and `synthetic.poses` draw.
"""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
from PIL import Image

import faceinpaint
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import write_whole
from faceinpaint.faces import synthetic
from faceinpaint.faces.photos import METADATA, MIN_SIDE, to_image
from faceinpaint.faces.sources.writer import Entry, jpeg, rounded, write_faces

SOURCE = "faceinpaint renderer"
AT_ONCE = 16  # photographs that are rendered together

# To look at a segmentation: one colour for each of synthetic.LABELS, in their order.
PALETTE = ((32, 32, 40), (224, 172, 140), (238, 140, 100), (190, 50, 70), (245, 245, 250), (110, 70, 40),
           (60, 40, 30), (140, 110, 90), (40, 120, 200), (90, 150, 90), (200, 200, 60), (150, 80, 180))


def person_seed(seed: int, person: int) -> int:
    """The integer of a person, 1,000,000,007 seed + person: those of seed 0 are simply numbered."""
    return 1_000_000_007 * seed + person


def photo_seed(seed: int, person: int, photo: int) -> int:
    """The integer of a photograph's circumstances: 10,007 person_seed + photo."""
    return 10_007 * person_seed(seed, person) + photo


@torch.no_grad()
def render_people(
    people: Sequence[int], photos: Sequence[int], size: int, seed: int = 0, supersample: int = 2,
    max_yaw: float | None = None, device: torch.device | str = "cpu", field: float = 1.0,
) -> synthetic.RenderedFaces:
    """The photographs with some numbers of the people with some numbers, person by person.

    len(people) * len(photos) faces, whose `identity` is the person's number. max_yaw: radians. The photographs of a
    person share one bake. field: how many times the usual width the pictures show.
    """
    pairs = [(person, photo) for person in people for photo in photos]
    identity = synthetic.identities([person_seed(seed, person) for person in people])
    pose = synthetic.poses([photo_seed(seed, person, photo) for person, photo in pairs], max_yaw)
    pose = replace(pose, zoom=pose.zoom / field)
    faces = synthetic.render(identity.to(device), pose.to(device), size, supersample)
    numbers = torch.tensor([person for person, _ in pairs], device=faces.image.device)
    return replace(faces, identity=numbers, name=tuple(_name(*pair) for pair in pairs))


# ------------------------------------------------------------------------------------ on disk


def write_folder(
    out: str | Path, people: int, photos: int, size: int, seed: int = 0, supersample: int = 2,
    max_yaw: float | None = None, device: torch.device | str = "cpu",
) -> Path:
    """Render people into a face folder: images/, segmentation/ (indices into LABELS) and, last, metadata.jsonl.

    Each row has `photos.KEYS` and `visible` (68 booleans), `yaw`, `pitch`, `roll` (degrees). Landmarks outside
    the picture stay there. Called again after a stop, at whatever moment, it goes on and ends with the very same
    files (on the same device). max_yaw: radians. Returns the file of metadata. Raises InputError where `out`
    holds something else, for numbers below 1, and when the disk is full.
    """
    out = Path(out)
    _check_settings(people, photos, size, supersample)
    settings = dict(people=people, photos=photos, size=size, seed=seed, supersample=supersample, max_yaw=max_yaw)
    settings |= {"source": SOURCE, "version": faceinpaint.__version__, "labels": list(synthetic.LABELS)}
    # Always the same photographs together, also after a stop: in another batch sums may round otherwise.
    some_people, some_photos = max(1, AT_ONCE // photos), min(AT_ONCE, photos)

    @lru_cache(maxsize=1)  # the photographs are written one by one, in order
    def rendered(first_person: int, first_photo: int) -> synthetic.RenderedFaces:
        numbers = range(first_person, min(first_person + some_people, people))
        chosen = range(first_photo, min(first_photo + some_photos, photos))
        return render_people(numbers, chosen, size, seed, supersample, max_yaw, device)

    def make(person: int, photo: int) -> tuple[bytes, dict]:
        faces = rendered(person - person % some_people, photo - photo % some_photos)
        return _write_photo(out, faces, faces.name.index(_name(person, photo)))

    entries = [
        Entry(f"images/{_name(person, photo)}.jpg", partial(make, person, photo))
        for person in range(people) for photo in range(photos)
    ]
    write_faces(out, entries, settings)
    return out / METADATA


def _write_photo(out: Path, faces: synthetic.RenderedFaces, index: int) -> tuple[bytes, dict]:
    """Write the segmentation of one photograph; returns the photograph's JPEG and its row."""
    labels = Image.fromarray(faces.segmentation[index].cpu().numpy().astype(np.uint8))
    labels.putpalette(sum(PALETTE, ()))
    content = io.BytesIO()
    labels.save(content, format="png", optimize=True)
    write_whole(out / "segmentation" / f"{faces.name[index]}.png", content.getvalue())

    person = int(faces.identity[index])
    yaw, pitch, roll = [round(angle, 2) for angle in faces.angles[index].tolist()]
    return jpeg(to_image(faces.image[index : index + 1])), {
        "identity": f"person-{person:06d}",
        "landmarks": rounded(faces.landmarks[index]),
        "split": split_of(person),
        "source": SOURCE,
        "licence": "CC0 1.0",
        "visible": faces.visible[index].tolist(),
        "yaw": yaw, "pitch": pitch, "roll": roll,
    }


def split_of(person: int) -> str:
    """Of twenty people one is for validation and one for tests, all others for training; the same in any folder."""
    return {1: "val", 2: "test"}.get(person % 20, "train")


def person_of(split: str, index: int) -> int:
    """The number of person `index` of a split: the other way round from `split_of`, for splits without end."""
    if split == "train":
        return 20 * (index // 18) + (0, *range(3, 20))[index % 18]
    return 20 * index + {"val": 1, "test": 2}[split]


def _name(person: int, photo: int) -> str:
    return f"{person:06d}-{photo:02d}"


def _check_settings(people: int, photos: int, size: int, supersample: int) -> None:
    for name, value in {"people": people, "photos": photos, "supersample": supersample}.items():
        if value < 1:
            raise InputError(f"the number of {name} is {value}: give 1 or more.")
    if size < MIN_SIDE:
        raise InputError(f"pictures of {size} pixels are too small to show a face: give a size of {MIN_SIDE} or more.")
