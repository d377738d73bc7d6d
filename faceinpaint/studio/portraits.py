"""Faces to begin with: six people of the portraits that come with the package, an astronaut, and new people."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from faceinpaint.basics.errors import InputError, unknown
from faceinpaint.basics.files import parse_json
from faceinpaint.faces import sets
from faceinpaint.faces.align import five_points
from faceinpaint.faces.photos import METADATA, read_photo, to_image

# People whom no network has learnt from, as different as people are; of some there is a second photograph.
SHOWN = ("p00563", "p00485", "p00353", "p00134", "p01299", "p00600")
ASTRONAUT = "astronaut"
# As `detection.detect` finds them; that takes a second, for which a page would wait.
ASTRONAUT_POINTS = ((203.0, 100.6), (245.5, 102.3), (224.2, 128.3), (200.7, 139.6), (244.4, 141.3))
SIDE = 256  # pixels of a new person's photograph
ANOTHER_DAY = 5_000_000  # between the numbers of a new person's two photographs; no person has one so high

Photographs = list[tuple[Path | None, Tensor]]  # file, and five points (5, 2) in pixels, of each


@cache
def built_in() -> dict[str, Photographs]:
    """Name -> photographs of each person at hand; the astronaut comes with scikit-image and has no file.

    Raises InputError for portraits that can't be read.
    """
    folder = sets.shipped()
    people = {} if folder is None else _people(folder)
    found = [people[person] for person in SHOWN if person in people]
    named = {f"portrait {number}": photographs for number, photographs in enumerate(found, start=1)}
    return named | {ASTRONAUT: [(None, torch.tensor(ASTRONAUT_POINTS))]}


def _people(folder: Path) -> dict[str, Photographs]:
    """The photographs of those of SHOWN that a folder has."""
    found: dict[str, Photographs] = {}
    try:
        lines = (folder / METADATA).read_text(encoding="utf-8").splitlines()
        for row in (parse_json(line) for line in lines if any(person in line for person in SHOWN)):
            points = five_points(torch.tensor([row["landmarks"]]))[0]
            found.setdefault(row["identity"].rpartition("-")[2], []).append((folder / row["file_name"], points))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{folder / METADATA} can't be read: {sets.AGAIN}") from None
    return found


def portrait(name: str) -> tuple[Image.Image, Tensor]:
    """A built-in photo and the five points (5, 2) of its face, in pixels; InputError for an unknown name."""
    if name not in built_in():
        raise unknown("built-in face", name, list(built_in()))
    return _read(*built_in()[name][0])


@torch.no_grad()
def new_person(seed: int) -> tuple[Image.Image, Tensor]:
    """A photograph, just rendered, of somebody who does not exist, and the five points (5, 2) of the face."""
    return _photograph(seed, seed)


def has_another(person: str | int | None) -> bool:
    """Whether `another` has a second photograph: of a built-in portrait by its name, of a new person by the seed."""
    return isinstance(person, int) or len(built_in().get(person, [])) > 1


@torch.no_grad()
def another(person: str | int | None) -> tuple[Image.Image, Tensor]:
    """A second photograph of somebody, taken on another day, and the five points (5, 2) of the face.

    Raises InputError for who has none, an uploaded photo's person (None) among them.
    """
    if not has_another(person):
        raise InputError("there is no second photo of this person at hand: open one of your own")
    if isinstance(person, int):
        return _photograph(person, person + ANOTHER_DAY)
    return _read(*built_in()[person][1])


def _read(file: Path | None, points: Tensor) -> tuple[Image.Image, Tensor]:
    if file is not None:
        return read_photo(file), points
    from skimage import data  # late: half a second

    return Image.fromarray(data.astronaut()), points


def _photograph(seed: int, pose: int) -> tuple[Image.Image, Tensor]:
    from faceinpaint.faces import synthetic  # late: the renderer is large

    rendered = synthetic.render(synthetic.identities([seed]), synthetic.poses([pose], max_yaw=0.35), SIDE)
    return to_image(rendered.image), five_points(rendered.landmarks)[0]
