"""Pictures side by side, in rows, and tinted where they are hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import COLOURS, HOLE

WIDTH = 6.6  # inches: with its margins, about 750 pixels of a page of 800
TALLEST = WIDTH / 2  # of one picture
DPI = 110
FONT = 10  # points
STYLE = {
    "figure.dpi": DPI, "figure.constrained_layout.use": True, "figure.labelsize": FONT, "axes.labelsize": FONT,
    "axes.titlesize": FONT - 1, "xtick.labelsize": FONT - 1, "ytick.labelsize": FONT - 1, "legend.fontsize": FONT - 1,
    "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "0.92", "axes.prop_cycle": plt.cycler(color=COLOURS),
}

Picture = Tensor | Image.Image
P = ParamSpec("P")


def drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that draws in STYLE, whose figure is closed: a notebook would show it a second time, and keep it."""
    @wraps(draw)
    def in_style(*args: P.args, **options: P.kwargs) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*args, **options)
        plt.close(figure)
        return figure

    return in_style


@drawn
def row(images: Sequence[Picture], titles: Sequence[str] = ()) -> Figure:
    """Pictures side by side, all equally tall, each below its title.

    images: colour (1, 3, H, W) or mask (1, 1, H, W) tensors in [0, 1], or PIL images. Raises InputError for
    a picture of another shape and unless there is one title for each picture, or none at all.
    """
    pixels = [to_pixels(image) for image in images]
    titles = list(titles) or [""] * len(pixels)
    if not pixels or len(titles) != len(pixels):
        raise InputError(f"{len(pixels)} pictures have {len(titles)} titles: give one for each")
    widths = [one.shape[1] / one.shape[0] for one in pixels]  # of pictures that are 1 tall
    tall = min(TALLEST, WIDTH / sum(widths))
    figure, axes = plt.subplots(
        1, len(pixels), width_ratios=widths, squeeze=False,
        figsize=(tall * sum(widths), tall + 0.4), layout="compressed",
    )
    for ax, one, title in zip(axes[0], pixels, titles):
        show(ax, one)
        ax.set_title(title)
    return figure


@drawn
def board(
    images: Sequence[Picture], titles: Sequence[str] = (), columns: int = 6, beside: Sequence[str] = ()
) -> Figure:
    """Pictures in rows of `columns`, each below its title; `beside` names the rows.

    images: as in `row`, all of one shape. titles: one for each picture, or only for the first row, or none.
    Raises InputError for other numbers of titles or names.
    """
    count, rows = len(images), -(-len(images) // columns)
    titles, beside = list(titles), list(beside) or [""] * rows
    if not count or len(titles) not in (0, min(columns, count), count):
        raise InputError(f"{count} pictures have {len(titles)} titles: give one for each, or for each column")
    if len(beside) != rows:
        raise InputError(f"{rows} rows have {len(beside)} names: give one for each")
    pixels = [to_pixels(image) for image in images]
    wide = WIDTH / columns
    tall = wide * pixels[0].shape[0] / pixels[0].shape[1]
    title_lines = sum(title.count("\n") + 1 for title in titles[::columns])
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, figsize=(WIDTH, rows * (tall + 0.05) + 0.25 * title_lines),
        layout="compressed",
    )
    for ax in grid.flat[count:]:
        ax.set_axis_off()
    for ax, one in zip(grid.flat, pixels):
        show(ax, one)
    for ax, title in zip(grid.flat, titles):
        ax.set_title(title)
    for ax, name in zip(grid[:, 0], beside):
        ax.set_ylabel(name)
    return figure


def tinted(image: Tensor, mask: Tensor) -> Tensor:
    """A picture (1, 3, H, W) with what the mask (1, 1, H, W) hides still to be seen, under the colour `HOLE`."""
    colour = torch.tensor(to_rgb(HOLE), device=image.device).view(1, 3, 1, 1)
    return torch.where(mask.to(image.device) > 0.5, 0.3 * image + 0.7 * colour, image)


def to_pixels(image: Picture) -> np.ndarray:
    """A tensor (1, 3, H, W) or (1, 1, H, W) in [0, 1], or a PIL image, as (H, W, 3) of 0 .. 255 to draw.

    Masks become white where they hide. Raises InputError for another shape.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise InputError(
            f"a picture is (1, 3, H, W), a mask (1, 1, H, W): this one is {tuple(image.shape)}, "
            "so cut one out of a batch with images[:1]"
        )
    pixels = (image.detach().cpu().float().clamp(0, 1) * 255).round().byte()
    return pixels[0].expand(3, -1, -1).permute(1, 2, 0).numpy()


def show(ax: Axes, pixels: np.ndarray) -> None:
    """A picture without ticks, whose limits later drawing does not move."""
    ax.imshow(pixels)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.7", linewidth=0.6)  # the edge of a white mask on a white page
    ax.autoscale(False)
