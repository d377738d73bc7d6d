"""Faces to begin with: an astronaut, rendered people of the data folder, and new ones."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from faceinpaint.errors import unknown
from faceinpaint.faces.photos import METADATA, read_photo, to_image

RENDERED = Path(__file__).resolve().parents[2] / "data" / "rendered"
SHOWN = (7, 11, 14, 18, 16)  # people of that folder who look as different as people do
ASTRONAUT = "astronaut"
SIDE = 256  # pixels of a new person's photograph


@cache
def built_in() -> dict[str, tuple[Path, Tensor] | None]:
    """Name -> file and landmarks (1, 68, 2) of each portrait that is at hand; the astronaut has neither."""
    found: dict[str, tuple[Path, Tensor] | None] = {ASTRONAUT: None}
    metadata = RENDERED / METADATA
    if not metadata.is_file():  # installed without the data folder
        return found
    rows = [json.loads(line) for line in metadata.read_text().splitlines()]
    for number in SHOWN:
        row = next((row for row in rows if row["file_name"].startswith(f"images/{number:06}")), None)
        if row is not None:
            found[f"rendered person {number}"] = RENDERED / row["file_name"], torch.tensor([row["landmarks"]])
    return found


def portrait(name: str) -> tuple[Image.Image, Tensor | None]:
    """A built-in photo, and its landmarks (1, 68, 2) in pixels if they are known; InputError for an unknown name."""
    if name not in built_in():
        raise unknown("built-in face", name, list(built_in()))
    known = built_in()[name]
    if known is not None:
        return read_photo(known[0]), known[1]
    from skimage import data  # late: half a second

    return Image.fromarray(data.astronaut()), None


@torch.no_grad()
def new_person(seed: int) -> tuple[Image.Image, Tensor]:
    """A photograph, just rendered, of somebody who does not exist, with landmarks (1, 68, 2) in pixels."""
    from faceinpaint.faces import synthetic

    rendered = synthetic.render(synthetic.identities([seed]), synthetic.poses([seed], max_yaw=0.35), SIDE)
    return to_image(rendered.image), rendered.landmarks
