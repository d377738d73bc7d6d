"""The small sets that come with the project, made anew by

    python -m faceinpaint.faces.synthetic.pack data

`data/rendered` is a face folder, `data/masks` holds irregular masks, white = unknown, and two sheets of pictures show
what the renderer can do.
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
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.faces.synthetic.people import identities, poses
from faceinpaint.faces.synthetic.render import render

SIZE = 256  # pixels
PEOPLE, PHOTOS = 24, 2
MASKS_PER_BIN = 4
ONE_PERSON = 7  # whose photographs fill a sheet


def write_pack(out: str | Path) -> None:
    """Write `out`/rendered (24 people, two photographs each), `out`/masks (24 masks), 256 pixels square, and sheets."""
    write_folder(Path(out) / "rendered", PEOPLE, PHOTOS, SIZE)
    write_masks(Path(out) / "masks")
    write_sheets(Path(out))


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
    parser = argparse.ArgumentParser(description="Make the rendered faces and the masks that come with the project.")
    parser.add_argument("out", type=Path, help="folder for rendered/ and masks/")
    write_pack(parser.parse_args().out)
