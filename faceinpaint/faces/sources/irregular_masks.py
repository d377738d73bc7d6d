"""The 12,000 irregular test masks of Liu et al. 2018, sorted by hole ratio.

NVIDIA Irregular Mask Dataset, CC BY-NC-SA 4.0: half of them leave the border free, half don't.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from faceinpaint import masks
from faceinpaint.basics.download import fetch, unpack
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import in_sole_use, write_csv, write_whole
from faceinpaint.faces.image_files import use_image
from faceinpaint.faces.sources.writer import MOST_SKIPPED, Report

# The authors' link. They publish neither size nor checksum: the archive's own checksums and the masks' hole ratios,
# of which none is above 0.6, are what can be verified.
ARCHIVE = ("https://www.dropbox.com/s/01dfayns9s0kevy/test_mask.zip?dl=1",)
COLUMNS = ("file", "hole_ratio")
INDEX = "masks.csv"


@in_sole_use
def irregular_masks(out: Path, downloads: Path, sources: tuple[str, ...] = ARCHIVE) -> Report:
    """Write the masks as `out/10-20/00123.png` (hole ratio above 10 and up to 20 %), white = unknown, and masks.csv.

    A damaged mask, or one whose ratio is in none of `masks.HOLE_RATIO_BINS`, is left out and reported. Raises
    InputError for more than 5 % of those, and as `fetch` and `unpack` do.
    """
    if (out / INDEX).is_file():
        return Report(len((out / INDEX).read_text(encoding="utf-8").splitlines()) - 1, {})
    folder = unpack(fetch(sources, downloads / "test_mask.zip"), downloads / "test_mask")
    files = sorted(path for path in folder.rglob("*.png") if not path.name.startswith("."))
    rows, skipped = [], {}
    for file in tqdm(files, desc=f"writing {out.name}", unit="mask", leave=False, disable=None):
        try:
            mask, ratio = _checked_mask(file)
        except InputError as error:
            skipped[file.name] = str(error)
            continue
        name = f"{bin_name(ratio)}/{file.stem}.png"
        write_whole(out / name, _png(mask))
        rows.append({"file": name, "hole_ratio": f"{ratio:.4f}"})
    if not rows or len(skipped) > MOST_SKIPPED * len(files):
        first = next(iter(skipped.values()), "the archive holds no PNG").rstrip(".")
        raise InputError(f"{len(skipped)} of {len(files)} masks can't be used; the first one because {first}")
    write_csv(out / INDEX, COLUMNS, rows)
    return Report(len(rows), skipped)


def bin_name(ratio: float) -> str:
    """The bin of a hole ratio in percent, `01-10` to `50-60`: above the first number, up to the second."""
    for low, high in masks.HOLE_RATIO_BINS:
        if low < ratio <= high:
            return f"{low * 100:02.0f}-{high * 100:02.0f}"
    raise InputError(f"a hole ratio of {ratio:.4f} is in none of the bins: leave the mask out")


def _checked_mask(file: Path) -> tuple[torch.Tensor, float]:
    """A mask (1, 1, H, W) and its hole ratio, which is in one of the bins."""
    white = use_image(file, lambda image, _: np.asarray(image.convert("L")) >= 128)
    mask = torch.from_numpy(white).float()[None, None]
    ratio = int(mask.sum()) / mask.numel()  # exact: 0.3 is in the bin up to 30 %
    bin_name(ratio)
    return mask, ratio


def _png(mask: torch.Tensor) -> bytes:
    """A mask as a PNG file of one bit a pixel."""
    file = io.BytesIO()
    Image.fromarray(mask[0, 0].bool().numpy()).save(file, format="png")
    return file.getvalue()
