"""The camera: turning heads, and perspective from centimetres to pixels."""

from __future__ import annotations

import torch
from torch import Tensor

PIVOT = (0.0, -6.0, -2.5)  # cm; where a head turns on its neck
HALF = 15.2  # cm from the centre of the picture to its edge, at the depth of the eyes
CENTRE = -1.6  # cm; height of the picture's centre
EYE_DEPTH = 6.0  # cm; z of the plane that HALF is measured in


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) of heads: first yaw, then pitch, then roll; radians, (B, 1, 1) each."""
    cos_y, sin_y, cos_p, sin_p = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    cos_r, sin_r, one, zero = roll.cos(), roll.sin(), torch.ones_like(yaw), torch.zeros_like(yaw)

    def matrix(*rows: Tensor) -> Tensor:
        return torch.cat(rows, 2).view(-1, 3, 3)

    about_y = matrix(cos_y, zero, sin_y, zero, one, zero, -sin_y, zero, cos_y)
    about_x = matrix(one, zero, zero, zero, cos_p, -sin_p, zero, sin_p, cos_p)
    about_z = matrix(cos_r, -sin_r, zero, sin_r, cos_r, zero, zero, zero, one)
    return about_z @ about_x @ about_y


def project(position: Tensor, pose, eye: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels x, y and distance in cm of points: (B, 3, H, W) -> three times (B, H, W).

    Pixel centres lie at whole numbers. eye: where the camera is, (B, 3, 1, 1) cm; it looks straight ahead.
    """
    depth = eye[:, 2] - position[:, 2]
    scale = pose.distance / depth * (size / 2) * pose.zoom / HALF
    x = (position[:, 0] - eye[:, 0]) * scale + (0.5 + pose.shift_x) * size - 0.5
    y = (eye[:, 1] - position[:, 1]) * scale + (0.5 + pose.shift_y) * size - 0.5
    return x, y, depth


def place(turn: Tensor, pose) -> Tensor:
    """Where the camera is, (B, 3, 1, 1) cm.

    Opposite a place between the resting and the turned middle of the face: the photographer follows a turned head
    seven tenths of the way, so that it stays in the picture.
    """
    pivot = torch.tensor(PIVOT, device=turn.device)
    middle = torch.tensor([0.0, CENTRE, 4.0], device=turn.device)
    aim = 0.3 * middle + 0.7 * (turn @ (middle - pivot) + pivot)
    return torch.cat([aim[:, :2], pose.distance[:, 0] + EYE_DEPTH], 1)[:, :, None, None]
