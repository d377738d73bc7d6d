"""Faces to begin with: an astronaut, rendered people of the data folder, and new ones."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from faceinpaint.errors import unknown
from faceinpaint.faces.align import five_points
from faceinpaint.faces.photos import METADATA, read_photo, to_image

RENDERED = Path(__file__).resolve().parents[2] / "data" / "rendered"
SHOWN = (7, 11, 14, 18, 16)  # people of that folder who look as different as people do
ASTRONAUT = "astronaut"
# As `align.detect` finds them; that takes a second, for which a page would wait.
ASTRONAUT_POINTS = ((203.0, 100.6), (245.5, 102.3), (224.2, 128.3), (200.7, 139.6), (244.4, 141.3))
SIDE = 256  # pixels of a new person's photograph


@cache
def built_in() -> dict[str, tuple[Path | None, Tensor]]:
    """Name -> file and five points (5, 2), in pixels, of each portrait that is at hand; the astronaut has no file."""
    found: dict[str, tuple[Path | None, Tensor]] = {ASTRONAUT: (None, torch.tensor(ASTRONAUT_POINTS))}
    metadata = RENDERED / METADATA
    if not metadata.is_file():  # installed without the data folder
        return found
    rows = [json.loads(line) for line in metadata.read_text().splitlines()]
    for number in SHOWN:
        row = next((row for row in rows if row["file_name"].startswith(f"images/{number:06}")), None)
        if row is not None:
            points = five_points(torch.tensor([row["landmarks"]]))[0]
            found[f"rendered person {number}"] = RENDERED / row["file_name"], points
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
    from faceinpaint.faces import synthetic

    rendered = synthetic.render(synthetic.identities([seed]), synthetic.poses([seed], max_yaw=0.35), SIDE)
    return to_image(rendered.image), five_points(rendered.landmarks)[0]
