"""Every picture of the course: faces side by side, landmarks drawn on them, and the source of what made them.

The functions return a matplotlib Figure and leave none open: a notebook shows it where it ends a cell, a
script writes it with `figure.savefig`. Colours are those of Okabe and Ito (2008), which colour-blind people
tell apart too.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from torch import Tensor

from faceinpaint.errors import InputError

if TYPE_CHECKING:  # the path from photo to photo needs no plotting, nor plotting that path
    from faceinpaint.completion import CompletedFace

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH = 6.6  # inches: with its margins, about 750 pixels of a page of 800
TALLEST = WIDTH / 2  # of one picture
DPI = 110
FONT = 10  # points

# Part of the face: its colour and its lines of iBUG-68 landmarks; a line that ends where it began is closed.
PARTS = {
    "jaw": ("#56b4e9", [range(0, 17)]),
    "brows": ("#e69f00", [range(17, 22), range(22, 27)]),
    "nose": ("#f0e442", [range(27, 31), range(31, 36)]),
    "eyes": ("#009e73", [[*range(36, 42), 36], [*range(42, 48), 42]]),
    "lips": ("#d55e00", [[*range(48, 60), 48], [*range(60, 68), 60]]),
}

Picture = Tensor | Image.Image


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
        figsize=(tall * sum(widths), tall + 0.4), dpi=DPI, layout="compressed",
    )
    for ax, one, title in zip(axes[0], pixels, titles):
        _show(ax, one)
        ax.set_title(title, fontsize=FONT)
    plt.close(figure)  # or the notebook would show it a second time, and keep it
    return figure


def completions(faces: Sequence[CompletedFace], titles: Sequence[str]) -> Figure:
    """One row for each completed face: original, what the networks saw with the landmarks, completed.

    titles: beside each row, for instance the mask's name. Below the pictures stand the hidden share and the
    face distance. Raises InputError unless there is one title for each face.
    """
    if not faces or len(titles) != len(faces):
        raise InputError(f"{len(faces)} faces have {len(titles)} titles: give one for each")
    tall = WIDTH / 3
    figure, grid = plt.subplots(
        len(faces), 3, squeeze=False,
        figsize=(WIDTH, len(faces) * (tall + 0.2) + 0.2), dpi=DPI, layout="compressed",
    )
    for axes, face, title in zip(grid, faces, titles):
        for ax, image in zip(axes, (face.original, face.masked, face.completed)):
            _show(ax, to_pixels(image))
        landmarks(axes[1], face.landmarks)
        axes[0].set_ylabel(title, fontsize=FONT)
        axes[1].set_xlabel(f"{face.hole_ratio:.0%} hidden", fontsize=FONT)
        axes[2].set_xlabel(f"face distance {face.distance:z.3f}", fontsize=FONT)
    for ax, heading in zip(grid[0], ("original", "what the networks see", "completed")):
        ax.set_title(heading, fontsize=FONT)
    plt.close(figure)
    return figure


def landmarks(ax: Axes, landmarks: Tensor) -> None:
    """Draw the landmarks of one face on `ax` as its lines, in the colours of `PARTS`.

    landmarks: (68, 2) or (1, 68, 2) pixels. Raises InputError for another shape.
    """
    if landmarks.shape not in ((68, 2), (1, 68, 2)):
        raise InputError(
            f"landmarks to draw are (68, 2) pixels of one face, these are {tuple(landmarks.shape)}: "
            "take one out of a batch with landmarks[:1]"
        )
    points = landmarks.detach().cpu().float().reshape(68, 2).numpy()
    dark_edge = [patheffects.withStroke(linewidth=2.8, foreground="#00000070")]  # to be seen on any skin
    for colour, lines in PARTS.values():
        for line in lines:
            x, y = points[list(line)].T
            ax.plot(x, y, color=colour, linewidth=1.7, solid_capstyle="round", path_effects=dark_edge)


def source(code: Callable) -> HTML:
    """The highlighted source of the very function, method or class that runs, with its file and line.

    Raises InputError for what has no Python source: values, and functions written in C.
    """
    code = inspect.unwrap(code)  # not the source of a decorator
    try:
        lines, first = inspect.getsourcelines(code)
        file = Path(inspect.getsourcefile(code))
    except (TypeError, OSError):
        raise InputError(
            f"{code!r} has no Python source to show: give a function, a method or a class"
        ) from None
    text = textwrap.dedent("".join(lines))  # a method moves to the left
    formatter = HtmlFormatter(
        noclasses=True, style="default",
        cssstyles="padding: 0.3em 0.8em; border-left: 4px solid #0072b2",
        prestyles="font: 0.9em monospace; color: #222; background: none; margin: 0; white-space: pre-wrap",
    )
    place = file.relative_to(REPOSITORY).as_posix() if file.is_relative_to(REPOSITORY) else file.name
    highlighted = highlight(text, PythonLexer(), formatter)
    return HTML(f"<div><small>{place}, line {max(first, 1)}</small>{highlighted}</div>")


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


def _show(ax: Axes, pixels: np.ndarray) -> None:
    """A picture without ticks, whose limits later drawing does not move."""
    ax.imshow(pixels)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(color="0.7", linewidth=0.6)  # the edge of a white mask on a white page
    ax.autoscale(False)
