"""The 68 landmarks of iBUG 300-W on a rendered head: exact, from the grid that is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import row_of
from faceinpaint.faces.synthetic.relief import Relief

# Places between inner corner (-1) and outer corner (1) of an eye at which the lids' landmarks lie.
LID_OUTER, LID_INNER = 0.37, -0.17
# Heights of the jaw's seventeen landmarks on the mean head, ear to chin, and the azimuths they are seen at.
JAW_Y = (-0.30, -2.25, -4.15, -6.05, -7.85, -9.45, -10.70, -11.55, -11.90)
JAW_AZIMUTH = (1.50, 1.48, 1.45, 1.42, 1.38, 1.30, 1.16, 0.80, 0.0)
# Places across the mouth and which curve they lie on.
MOUTH = ((-1, "corner"), (-0.62, "top"), (-0.27, "top"), (0, "top"), (0.27, "top"), (0.62, "top"), (1, "corner"),
         (0.70, "bottom"), (0.39, "bottom"), (0, "bottom"), (-0.39, "bottom"), (-0.70, "bottom"),
         (-0.62, "corner"), (-0.31, "upper"), (0, "upper"), (0.31, "upper"), (0.62, "corner"),
         (0.31, "lower"), (0, "lower"), (-0.31, "lower"))


def landmark_places(person, pose, face: Relief) -> Tensor:
    """Where on the grid of the skin the landmarks lie, for `grid_sample` with aligned corners: (B, 1, 68, 2)."""
    heights = face.y[:, :, 0]  # as on a face of mean length
    length = person.head.face_length[:, 0]
    true_heights = heights * torch.where(heights < 0, length, torch.ones_like(length))
    return torch.cat([
        _jaw(person, face), face.places(*_brows(person, pose), heights), face.places(*_nose(person), heights),
        face.places(*_eyes(person, pose), true_heights), face.places(*_mouth(person, pose), face.mouth_y[:, :, 0]),
    ], 2)


def _jaw(person, face: Relief) -> Tensor:
    device = face.x.device
    y = torch.tensor(JAW_Y + JAW_Y[-2::-1], device=device)[None].expand(len(person), -1)
    azimuth = torch.tensor(JAW_AZIMUTH, device=device)
    azimuth = torch.cat([-azimuth, azimuth[:-1].flip(0)])[None].expand(len(person), -1)
    down = row_of(y, face.y[:, :, 0]) / (face.x.shape[1] - 1) * 2 - 1
    return torch.stack([shape.across_at(azimuth), down], -1)[:, None]


def _brows(person, pose) -> tuple[Tensor, Tensor]:
    along = torch.tensor([0.03, 0.34, 0.60, 0.80, 0.94], device=person.device).view(1, 1, -1)
    side = shape.BROW_START + person.brows.inner + along * shape.BROW_SPAN * person.brows.length
    _, height, half = shape.brow_curve(side, person.brows, pose.brow_raise)
    x, y = side[:, 0], (height + 0.3 * half)[:, 0]
    return torch.cat([-x.flip(1), x], 1), torch.cat([y.flip(1), y], 1)


def _nose(person) -> tuple[Tensor, Tensor]:
    tip, base = (height[:, 0] for height in shape.nose_heights(person.nose))
    tip, width = tip - 0.12, person.nose.width[:, 0]  # people mark the tip a little under its foremost point
    top = torch.full_like(tip, 0.65)
    bridge = torch.cat([top + (tip - top) * k for k in (0, 1 / 3, 2 / 3, 1)], 1)
    below = torch.cat([base + 0.38, base + 0.40, base, base + 0.40, base + 0.38], 1)
    x = torch.cat([torch.zeros_like(bridge)] + [k * width for k in (-1.72, -0.95, 0.0, 0.95, 1.72)], 1)
    return x, torch.cat([bridge, below], 1)


def _eyes(person, pose) -> tuple[Tensor, Tensor]:
    eyes, device = person.eyes, person.device
    along = torch.tensor([1.0, LID_OUTER, LID_INNER, -1.0, LID_INNER, LID_OUTER], device=device).view(1, 1, -1)
    along = along.expand(len(person), -1, -1)
    upper, lower = shape.lid_curves(along, eyes, pose.blink, pose.smile.clamp(min=0))
    which = torch.tensor([0, 1, 1, 0, -1, -1], device=device)
    above = torch.where(which > 0, upper, torch.where(which < 0, lower, torch.zeros_like(upper)))
    cos, sin = eyes.tilt.cos(), eyes.tilt.sin()
    x = (eyes.apart + along * eyes.width * cos - above * sin)[:, 0]
    y = (above * cos + along * eyes.width * sin)[:, 0]
    order = [3, 2, 1, 0, 5, 4]  # the other eye begins at its inner corner
    return torch.cat([-x, x[:, order]], 1), torch.cat([y, y[:, order]], 1)


def _mouth(person, pose) -> tuple[Tensor, Tensor]:
    across = torch.tensor([place for place, _ in MOUTH], device=person.device).view(1, 1, -1)
    x = across * shape.mouth_half_width(person.mouth, pose.smile, pose.mouth_open)
    top, upper, lower, bottom, _, _ = shape.mouth_curves(
        x, person.mouth, person.head.face_length, pose.smile, pose.mouth_open, pose.teeth)
    curves = {"top": top, "upper": upper, "lower": lower, "bottom": bottom, "corner": (upper + lower) / 2}
    return x[:, 0], torch.cat([curves[name][:, 0, i : i + 1] for i, (_, name) in enumerate(MOUTH)], 1)
