"""The 68 landmarks of iBUG 300-W on a rendered head: exact, from the grid that is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.relief import Relief, row_of

# Places between inner corner (-1) and outer corner (1) of an eye at which the lids' landmarks lie.
LID_PLACES = (0.37, -0.17)
# Heights of the jaw's seventeen landmarks on the mean head, ear to chin, and the azimuths they are seen at.
JAW_Y = (-0.30, -2.25, -4.15, -6.05, -7.85, -9.45, -10.70, -11.55, -11.90)
JAW_AZIMUTH = (1.50, 1.48, 1.45, 1.42, 1.38, 1.30, 1.16, 0.80, 0.0)


def landmark_places(person, pose, face: Relief) -> Tensor:
    """Where on the grid of the skin the landmarks lie, for `grid_sample` with aligned corners: (B, 1, 68, 2)."""
    parts = [_jaw(person, face), _brows(person, pose, face), _nose(person, face)]
    rows, columns = zip(*parts, _eyes(person, pose, face), _mouth(person, pose, face))
    row, column = torch.cat(rows, 1), torch.cat(columns, 1)
    return face.on_grid(row, column)


def _at(x: Tensor, y: Tensor, face: Relief, heights: Tensor) -> tuple[Tensor, Tensor]:
    row = row_of(y, heights)
    return row, face.column_of(x, row)


def _jaw(person, face: Relief) -> tuple[Tensor, Tensor]:
    device = face.x.device
    y = torch.tensor(JAW_Y + JAW_Y[-2::-1], device=device)[None].expand(len(person), -1)
    azimuth = torch.tensor(JAW_AZIMUTH, device=device)
    azimuth = torch.cat([-azimuth, azimuth[:-1].flip(0)])[None].expand(len(person), -1)
    row = row_of(y, face.y[:, :, 0])
    # The grid's azimuth is BACK (s + s^3) / 2: solved for s by Newton's method.
    s = azimuth / shape.BACK
    for _ in range(6):
        s = s - (0.5 * s + 0.5 * s**3 - azimuth / shape.BACK) / (0.5 + 1.5 * s * s)
    return row, (s + 1) / 2 * (face.x.shape[2] - 1)


def _brows(person, pose, face: Relief) -> tuple[Tensor, Tensor]:
    along = torch.tensor([0.03, 0.34, 0.60, 0.80, 0.94], device=face.x.device).view(1, 1, -1)
    side = shape.BROW_START + person.brows.inner + along * shape.BROW_SPAN * person.brows.length
    _, height, half = shape.brow_curve(side, person.brows, pose.brow_raise)
    x, y = side[:, 0], (height + 0.3 * half)[:, 0]
    return _at(torch.cat([-x.flip(1), x], 1), torch.cat([y.flip(1), y], 1), face, face.y[:, :, 0])


def _nose(person, face: Relief) -> tuple[Tensor, Tensor]:
    nose = person.nose
    tip, base = (height[:, 0] for height in shape.nose_heights(nose))
    tip, width = tip - 0.12, nose.width[:, 0]  # people mark the tip a little under its foremost point
    top = torch.full_like(tip, 0.65)
    bridge = torch.cat([top + (tip - top) * k for k in (0, 1 / 3, 2 / 3, 1)], 1)
    below = torch.cat([base + 0.38, base + 0.40, base, base + 0.40, base + 0.38], 1)
    x = torch.cat([torch.zeros_like(bridge)] + [k * width for k in (-1.72, -0.95, 0.0, 0.95, 1.72)], 1)
    return _at(x, torch.cat([bridge, below], 1), face, face.y[:, :, 0])


def _eyes(person, pose, face: Relief) -> tuple[Tensor, Tensor]:
    eyes = person.eyes
    outer, inner = LID_PLACES
    along = torch.tensor([1.0, outer, inner, -1.0, inner, outer], device=face.x.device).view(1, 1, -1)
    along = along.expand(len(person), -1, -1)
    upper, lower = shape.lid_curves(along, eyes, pose.blink, pose.smile.clamp(min=0))
    which = torch.tensor([0, 1, 1, 0, -1, -1], device=face.x.device)
    above = torch.where(which > 0, upper, torch.where(which < 0, lower, torch.zeros_like(upper)))
    cos, sin = eyes.tilt.cos(), eyes.tilt.sin()
    out = eyes.apart + along * eyes.width * cos - above * sin
    y = above * cos + along * eyes.width * sin
    x, y = out[:, 0], y[:, 0]
    order = [3, 2, 1, 0, 5, 4]  # the other eye begins at its inner corner
    x, y = torch.cat([-x, x[:, order]], 1), torch.cat([y, y[:, order]], 1)
    return _at(x, y, face, face.y[:, :, 0] * _stretch(person, face))


def _stretch(person, face: Relief) -> Tensor:
    """Eyes lie at true heights, also below the line between the pupils: undo the mean-length heights."""
    length = person.head.face_length[:, 0]
    return torch.where(face.y[:, :, 0] < 0, length, torch.ones_like(length))


def _mouth(person, pose, face: Relief) -> tuple[Tensor, Tensor]:
    outer = ((-1, "corner"), (-0.62, "top"), (-0.27, "top"), (0, "top"), (0.27, "top"), (0.62, "top"), (1, "corner"),
             (0.70, "bottom"), (0.39, "bottom"), (0, "bottom"), (-0.39, "bottom"), (-0.70, "bottom"))
    inner = ((-0.62, "corner"), (-0.31, "upper"), (0, "upper"), (0.31, "upper"), (0.62, "corner"),
             (0.31, "lower"), (0, "lower"), (-0.31, "lower"))
    across = torch.tensor([place for place, _ in outer + inner], device=face.x.device).view(1, 1, -1)
    half = shape.mouth_half_width(person.mouth, pose.smile, pose.mouth_open)
    x = across * half
    top, upper, lower, bottom, _, _ = shape.mouth_curves(
        x, person.mouth, person.head.face_length, pose.smile, pose.mouth_open, pose.teeth)
    curves = {"top": top, "upper": upper, "lower": lower, "bottom": bottom, "corner": (upper + lower) / 2}
    y = torch.cat([curves[name][:, 0, i : i + 1] for i, (_, name) in enumerate(outer + inner)], 1)
    return _at(x[:, 0], y, face, face.mouth_y[:, :, 0])
