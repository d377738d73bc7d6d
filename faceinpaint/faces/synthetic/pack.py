"""The masks that come with the project, and sheets of what the renderer can do, made anew by

    python -m faceinpaint.faces.synthetic.pack data
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import torch
from PIL import Image
from torchvision.utils import make_grid

from faceinpaint import masks
from faceinpaint.basics.files import write_whole
from faceinpaint.faces.photos import to_image
from faceinpaint.faces.sources.writer import jpeg
from faceinpaint.faces.synthetic.people import identities, poses
from faceinpaint.faces.synthetic.render import render

SIZE = 256  # pixels
MASKS_PER_BIN = 4
ONE_PERSON = 7  # whose photographs fill a sheet


def write_sheets(out: Path) -> None:
    """Write `out`/people.jpg, 48 people, and `out`/one-person.jpg, 16 photographs of one."""
    people, one = identities(range(100, 148)), identities([ONE_PERSON])
    crowd = [render(people.select(torch.tensor([i])), poses([i]), 144).image for i in range(len(people))]
    photos = render(one, poses(range(16)), 192).image
    for name, pictures, columns in (("people", torch.cat(crowd), 8), ("one-person", photos, 8)):
        sheet = make_grid(pictures, columns, padding=2, pad_value=1)
        write_whole(out / f"{name}.jpg", jpeg(to_image(sheet[None])))


def write_masks(out: str | Path) -> list[Path]:
    """Write four irregular masks for each of `masks.HOLE_RATIO_BINS`, 1-bit PNG; returns the files.

    irregular-20-30-1.png is the first one with between 20 and 30 % unknown. Always the same masks.
    """
    generator = torch.Generator().manual_seed(0)
    files = []
    for low, high in masks.HOLE_RATIO_BINS:
        drawn = masks.irregular(MASKS_PER_BIN, SIZE, generator, (low, high))
        for number, mask in enumerate(drawn, start=1):
            file = Path(out) / f"irregular-{100 * low:02.0f}-{100 * high:02.0f}-{number}.png"
            content = io.BytesIO()
            Image.fromarray(mask[0].bool().numpy()).save(content, format="png", optimize=True)
            write_whole(file, content.getvalue())
            files.append(file)
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the masks of the project, and sheets of rendered faces.")
    parser.add_argument("out", type=Path, help="folder for the sheets and masks/")
    folder = parser.parse_args().out
    write_masks(folder / "masks")
    write_sheets(folder)
