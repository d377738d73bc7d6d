"""Faces to begin with: an astronaut, rendered people of the data folder, and new ones."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from faceinpaint.errors import InputError, unknown
from faceinpaint.faces.align import five_points
from faceinpaint.faces.photos import METADATA, read_photo, to_image

RENDERED = Path(__file__).resolve().parents[2] / "data" / "rendered"
SHOWN = (7, 11, 14, 18, 16)  # people of that folder who look as different as people do
ASTRONAUT = "astronaut"
# As `align.detect` finds them; that takes a second, for which a page would wait.
ASTRONAUT_POINTS = ((203.0, 100.6), (245.5, 102.3), (224.2, 128.3), (200.7, 139.6), (244.4, 141.3))
SIDE = 256  # pixels of a new person's photograph
ANOTHER_DAY = 5_000_000  # between the numbers of a new person's two photographs; no person has one so high


@cache
def built_in() -> dict[str, tuple[Path | None, Tensor]]:
    """Name -> file and five points (5, 2), in pixels, of each portrait that is at hand; the astronaut has no file."""
    return {ASTRONAUT: (None, torch.tensor(ASTRONAUT_POINTS)), **_rendered(0)}


def _rendered(which: int) -> dict[str, tuple[Path | None, Tensor]]:
    """The first (0) or the second (1) photograph of each rendered person, as `built_in` has them."""
    metadata = RENDERED / METADATA
    if not metadata.is_file():  # installed without the data folder
        return {}
    rows = {row["file_name"]: row for row in map(json.loads, metadata.read_text().splitlines())}
    found: dict[str, tuple[Path | None, Tensor]] = {}
    for number in SHOWN:
        file = next((name for name in sorted(rows) if name.startswith(f"images/{number:06}-{which:02}")), None)
        if file is not None:
            points = five_points(torch.tensor([rows[file]["landmarks"]]))[0]
            found[f"rendered person {number}"] = RENDERED / file, points
    return found


def portrait(name: str) -> tuple[Image.Image, Tensor]:
    """A built-in photo and the five points (5, 2) of its face, in pixels; InputError for an unknown name."""
    if name not in built_in():
        raise unknown("built-in face", name, list(built_in()))
    file, points = built_in()[name]
    if file is not None:
        return read_photo(file), points
    from skimage import data  # late: half a second

    return Image.fromarray(data.astronaut()), points


@torch.no_grad()
def new_person(seed: int) -> tuple[Image.Image, Tensor]:
    """A photograph, just rendered, of somebody who does not exist, and the five points (5, 2) of the face."""
    return _photograph(seed, seed)


def has_another(person: str | int | None) -> bool:
    """Whether `another` has a second photograph: of a built-in portrait by its name, of a new person by the seed."""
    return isinstance(person, int) or person in _rendered(1)


@torch.no_grad()
def another(person: str | int | None) -> tuple[Image.Image, Tensor]:
    """A second photograph of somebody, taken on another day, and the five points (5, 2) of the face.

    Raises InputError for who has none, an uploaded photo's person (None) among them.
    """
    if not has_another(person):
        raise InputError("there is no second photo of this person at hand: open one of your own")
    if isinstance(person, int):
        return _photograph(person, person + ANOTHER_DAY)
    file, points = _rendered(1)[person]
    return read_photo(file), points


def _photograph(seed: int, pose: int) -> tuple[Image.Image, Tensor]:
    from faceinpaint.faces import synthetic  # late: the renderer is large

    rendered = synthetic.render(synthetic.identities([seed]), synthetic.poses([pose], max_yaw=0.35), SIDE)
    return to_image(rendered.image), five_points(rendered.landmarks)[0]
