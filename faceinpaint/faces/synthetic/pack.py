"""The small sets that come with the project, made anew by

    python -m faceinpaint.faces.synthetic.pack data

`data/rendered` is a face folder, `data/masks` holds irregular masks, white = unknown.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import torch
from PIL import Image

from faceinpaint import masks
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.files import write_whole

SIZE = 256  # pixels
PEOPLE, PHOTOS = 24, 2
MASKS_PER_BIN = 4


def write_pack(out: str | Path) -> None:
    """Write `out`/rendered (24 people, two photographs each) and `out`/masks (24 masks), 256 pixels square."""
    write_folder(Path(out) / "rendered", PEOPLE, PHOTOS, SIZE)
    write_masks(Path(out) / "masks")


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
