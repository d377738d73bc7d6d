"""Faces with what is known about them: landmarks, parts, directions, boxes, completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.colours import PARTS
from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn, show, to_pixels

if TYPE_CHECKING:  # the path from photo to photo needs no plotting, nor plotting that path
    from faceinpaint.completion import CompletedFace
    from faceinpaint.faces.align import Crop
    from faceinpaint.faces.detection import Detection
    from faceinpaint.faces.synthetic import RenderedFaces

# Part of a rendered picture, by its name in synthetic.LABELS; where a part has landmarks too, in their colour.
SEGMENTS = {
    "background": "#e8e8e8", "skin": "#cc79a7", "nose": "#f0e442", "mouth": "#d55e00", "eyes": "#009e73",
    "brows": "#e69f00", "hair": "#0072b2", "beard": "#56b4e9", "glasses": "#000000", "clothes": "#999999",
}
AXES = {"right": "#d55e00", "up": "#009e73", "ahead": "#0072b2"}  # the head's own directions
DARK_EDGE = "#00000070"  # around lines and points, to be seen on any skin


@drawn
def truth(face: RenderedFaces) -> Figure:
    """What is known about one rendered face: picture, landmarks, parts, and where the head is turned.

    Landmarks that the head itself hides are crosses. The arrows are the head's own right (as seen in the
    picture), up and ahead, drawn from the tip of the nose. Raises InputError unless there is just one face.
    """
    if len(face) != 1:
        raise InputError(f"these are {len(face)} faces: render one person in one pose to see the truth about it")
    figure, grid = plt.subplots(2, 2, figsize=(WIDTH * 0.86, WIDTH * 0.98), layout="compressed")
    pixels = to_pixels(face.image)
    parts, handles = _parts(face.segmentation[0])
    for ax, one in zip(grid.flat, (pixels, pixels, parts, pixels)):
        show(ax, one)
    hidden = int((~face.visible).sum())
    yaw, pitch, roll = (f"{angle:+.0f}°".replace("-", "−") for angle in face.angles[0].tolist())
    titles = ("image", f"landmarks, {hidden} of 68 hidden", "segmentation", f"yaw {yaw}, pitch {pitch}, roll {roll}")
    for ax, title in zip(grid.flat, titles):
        ax.set_title(title)
    _points(grid[0, 1], face.landmarks[0], face.visible[0])
    _head_axes(grid[1, 1], face)
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def found(ax: Axes, detection: Detection, crop: Crop) -> None:
    """Draw on `ax`, which shows the photo, what was found: box (orange), five points (yellow), square (sky blue)."""
    left, top, right, bottom = detection.box.tolist()
    _outline(ax, [(left, top), (right, top), (right, bottom), (left, bottom)], "#e69f00")
    (x, y), (right_x, right_y), (down_x, down_y) = crop.centre, crop.axis_x, crop.axis_y
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    _outline(ax, [(x + i * right_x + j * down_x, y + i * right_y + j * down_y) for i, j in corners], "#56b4e9")
    ax.plot(*detection.points.numpy().T, "o", color="#f0e442", markeredgecolor="black", markersize=4.5)


@drawn
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
        figsize=(WIDTH, len(faces) * (tall + 0.2) + 0.2), layout="compressed",
    )
    for axes, face, title in zip(grid, faces, titles):
        for ax, image in zip(axes, (face.original, face.masked, face.completed)):
            show(ax, to_pixels(image))
        landmarks(axes[1], face.landmarks)
        axes[0].set_ylabel(title)
        axes[1].set_xlabel(f"{face.hole_ratio:.0%} hidden")
        if face.distance is not None:
            axes[2].set_xlabel(f"face distance {face.distance:z.3f}")
    for ax, heading in zip(grid[0], ("original", "what the networks see", "completed")):
        ax.set_title(heading)
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
    dark_edge = [patheffects.withStroke(linewidth=2.8, foreground=DARK_EDGE)]
    for colour, lines in PARTS.values():
        for line in lines:
            x, y = points[list(line)].T
            ax.plot(x, y, color=colour, linewidth=1.7, solid_capstyle="round", path_effects=dark_edge)


def _points(ax: Axes, points: Tensor, visible: Tensor) -> None:
    """Landmarks (68, 2) in the colours of `PARTS`: a dot, or a cross where `visible` (68,) is False."""
    points, visible = points.cpu(), visible.cpu()
    dark_edge = [patheffects.withStroke(linewidth=3, foreground="black")]
    for colour, lines in PARTS.values():
        part = sorted({index for line in lines for index in line})
        seen, hidden = points[part][visible[part]], points[part][~visible[part]]
        ax.plot(*seen.T, "o", color=colour, markersize=3.8, markeredgewidth=0.5, markeredgecolor="black")
        ax.plot(*hidden.T, "x", color=colour, markersize=4.5, markeredgewidth=1.4, path_effects=dark_edge)


def _parts(segmentation: Tensor) -> tuple[np.ndarray, list[Patch]]:
    """A segmentation (H, W) in the colours of `SEGMENTS`, (H, W, 3), and the legend of the parts in it."""
    from faceinpaint.faces.synthetic import LABELS

    colours = np.array([to_rgb(SEGMENTS[name]) for name in LABELS])
    there = [LABELS[index] for index in segmentation.unique().tolist()]
    handles = [Patch(facecolor=SEGMENTS[name], edgecolor="0.5", linewidth=0.5, label=name) for name in there]
    return (colours[segmentation.cpu().numpy()] * 255).round().astype(np.uint8), handles


def _head_axes(ax: Axes, face: RenderedFaces) -> None:
    """Arrows from the tip of the nose along the head's right, up and ahead."""
    from faceinpaint.faces.synthetic.camera import rotation

    angles = torch.deg2rad(face.angles.float()).cpu().view(1, 3, 1, 1)
    turn = rotation(*angles.unbind(1))[0].numpy()  # its columns are the head's directions
    nose = face.landmarks[0, 30].cpu().numpy()
    length = 0.28 * face.image.shape[-1]
    edge = [patheffects.withStroke(linewidth=4.4, foreground="white")]
    for direction, (name, colour) in zip(turn.T, AXES.items()):
        along = length * direction[:2] * (1, -1)  # y grows downwards in a picture
        ax.plot(*zip(nose, nose + along), color=colour, linewidth=2.6, solid_capstyle="round", path_effects=edge)
        ax.plot(*(nose + along), "o", color=colour, markersize=6, markeredgecolor="white")
        ax.annotate(name, nose + along, (5, -4), textcoords="offset points", fontsize=FONT - 1, color=colour,
                    path_effects=[patheffects.withStroke(linewidth=2.4, foreground="white")])


def _outline(ax: Axes, corners: Sequence[tuple[float, float]], colour: str) -> None:
    """A closed line that is to be seen on any photo."""
    edge = [patheffects.withStroke(linewidth=3.2, foreground=DARK_EDGE)]
    ax.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=2, path_effects=edge))
