"""Eyeballs: iris, pupil, limbus, veins, the moist corner, and the shadow of the lids."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import bump, mix, noise, step, unit, vector
from faceinpaint.faces.synthetic.relief import EYEBALL
from faceinpaint.faces.synthetic.surface import Surface, label_map

CAP = 1.40  # radians from the iris's centre that an eyeball is drawn
PUPIL = 0.23  # cm
CORNEA = 0.075  # cm that the cornea bulges


def eyeball(person, pose, side: int, points: int) -> Surface:
    """The right (side 1) or left (side -1) eyeball of the picture as a grid round the gaze."""
    eyes, skin = person.eyes, person.skin
    a = torch.linspace(-CAP, CAP, points, device=person.device)
    down, right = torch.meshgrid(a, a, indexing="ij")
    direction = torch.stack([right.sin() * down.cos(), -down.sin(), right.cos() * down.cos()])[None]
    direction = direction.expand(len(person), -1, -1, -1)
    toward = _look(direction, pose.gaze_x + 0.010 * -side, pose.gaze_y)
    arc = torch.acos(direction[:, 2].clamp(-1, 1)) * EYEBALL  # cm from the centre of the iris
    radius = EYEBALL + CORNEA * step(0.75, 0.0, arc)
    centre = torch.stack([side * eyes.apart[:, 0, 0], torch.zeros_like(eyes.depth[:, 0, 0]), eyes.depth[:, 0, 0]], 1)
    position = centre[:, :, None, None] + radius[:, None] * toward
    albedo = _colours(person, arc, torch.atan2(right, down)[None].expand_as(arc), toward, side)
    lidded, aperture = _between_lids(person, pose, position)
    iris = step(0.03, -0.03, arc - skin.iris_radius)
    # The cornea is more curved than the ball: over the iris normals lean outwards.
    steeper = unit(direction * vector((1.6, 1.6, 1.0), a.device))
    normal = unit(mix(toward, _look(steeper, pose.gaze_x, pose.gaze_y), 0.5 * iris[:, None]))
    return Surface(
        position, albedo * (0.3 + 0.7 * lidded), label_map("eyes", position), aperture + 0.12, lidded * 0.85,
        5.0 * step(0.15, 0.5, lidded), sharpness=500.0, normal=normal)


def _look(direction: Tensor, gaze_x: Tensor, gaze_y: Tensor) -> Tensor:
    """Turn directions by a gaze, right and up, radians (B, 1, 1)."""
    x, y, z = direction.unbind(1)
    y, z = y * gaze_y.cos() + z * gaze_y.sin(), z * gaze_y.cos() - y * gaze_y.sin()
    x, z = x * gaze_x.cos() + z * gaze_x.sin(), z * gaze_x.cos() - x * gaze_x.sin()
    return torch.stack([x, y, z], 1)


def _colours(person, arc: Tensor, angle: Tensor, toward: Tensor, side: int) -> Tensor:
    skin = person.skin
    radius = skin.iris_radius
    fibres = noise("rough", angle / (2 * math.pi) * 0.5 + person.offset_x, arc * 0.10 + person.offset_y)
    shade = 0.80 + 0.30 * fibres * step(PUPIL, 0.45, arc) + 0.40 * bump(arc - 0.34, 0.08)
    shade = shade - 0.70 * step(radius - 0.13, radius, arc)  # the dark limbus
    iris = skin.iris * shade.clamp(min=0.10)[:, None] * step(PUPIL - 0.03, PUPIL + 0.03, arc)[:, None] + 0.003
    white = vector((0.42, 0.385, 0.365), arc.device)
    dim = (skin.colour.mean(1, keepdim=True) * 2.2).clamp(0.72, 1.0)  # beside dark skin a white is never as bright
    veins = noise("cloudy", toward[:, 0] / 3, toward[:, 1] / 3).clamp(min=0) * step(0.7, 1.3, arc)
    red = vector((0.3, 1, 1), arc.device)
    white = white * dim * (1 - (0.06 * veins + 0.10 * step(0.8, 1.5, arc))[:, None] * red)
    colour = mix(white, iris, step(0.045, -0.045, arc - radius)[:, None])
    inner = step(0.70, 0.92, -side * toward[:, 0])  # towards the nose lies the caruncle
    pink = vector((0.40, 0.17, 0.14), arc.device)
    return mix(colour, pink * (0.5 + 0.5 * dim), inner[:, None])


def _between_lids(person, pose, position: Tensor) -> tuple[Tensor, Tensor]:
    """Share of light that the lids let through to the ball, and the signed distance to their edge; (B, 1, H, W)."""
    along, above = shape.eye_coordinates(position[:, 0], position[:, 1], person.eyes)
    upper, lower = shape.lid_curves(along.clamp(-1, 1), person.eyes, pose.blink, pose.smile.clamp(min=0))
    under_upper = 0.30 + 0.70 * step(-0.05, 0.36, upper - above)
    over_lower = 0.65 + 0.35 * step(-0.03, 0.18, above - lower)
    corners = 0.70 + 0.30 * step(1.02, 0.75, along.abs())
    inside = torch.minimum(torch.minimum(upper - above, above - lower), (1 - along.abs()) * person.eyes.width)
    return (under_upper * over_lower * corners)[:, None], inside[:, None]
