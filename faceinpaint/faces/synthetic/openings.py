"""What is seen through the openings of a face: eyeballs between the lids, teeth and tongue between the lips."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import bump, mix, noise, normals, step, unit, vector
from faceinpaint.faces.synthetic.relief import EYEBALL
from faceinpaint.faces.synthetic.surface import Surface, label_map

CAP = 1.40  # radians from the iris's centre that an eyeball is drawn
PUPIL = 0.23  # cm
CORNEA = 0.075  # cm that the cornea bulges
TOOTH = 0.74  # cm, width


# ------------------------------------------------------------------------------------------ eyes


def eyeball(person, pose, side: int, points: int) -> Surface:
    """The right (side 1) or left (side -1) eyeball of the picture as a grid round the gaze."""
    eyes, skin = person.eyes, person.skin
    a = torch.linspace(-CAP, CAP, points, device=person.device)
    down, right = torch.meshgrid(a, a, indexing="ij")
    direction = torch.stack([right.sin() * down.cos(), -down.sin(), right.cos() * down.cos()])[None]
    direction = direction.expand(len(person), -1, -1, -1)
    gaze_x = pose.gaze_x + 0.010 * -side
    toward = _look(direction, gaze_x, pose.gaze_y)
    arc = torch.acos(direction[:, 2].clamp(-1, 1)) * EYEBALL  # cm from the centre of the iris
    radius = EYEBALL + CORNEA * step(0.75, 0.0, arc)
    centre = torch.stack([side * eyes.apart, torch.zeros_like(eyes.depth), eyes.depth], 1)
    position = centre + radius[:, None] * toward
    albedo = _eye_colours(person, arc, torch.atan2(right, down)[None].expand_as(arc), toward, side)
    lidded, aperture = _between_lids(person, pose, position)
    iris = step(0.03, -0.03, arc - skin.iris_radius)
    # The cornea is more curved than the ball: over the iris normals lean outwards.
    steeper = unit(direction * vector((1.6, 1.6, 1.0), a.device))
    normal = unit(mix(toward, _look(steeper, gaze_x, pose.gaze_y), 0.5 * iris[:, None]))
    return Surface(
        position, albedo * (0.3 + 0.7 * lidded), label_map("eyes", position), aperture + 0.12, lidded * 0.85,
        5.0 * step(0.15, 0.5, lidded), sharpness=500.0, normal=normal)


def _look(direction: Tensor, gaze_x: Tensor, gaze_y: Tensor) -> Tensor:
    """Turn directions by a gaze, right and up, radians (B, 1, 1)."""
    x, y, z = direction.unbind(1)
    y, z = y * gaze_y.cos() + z * gaze_y.sin(), z * gaze_y.cos() - y * gaze_y.sin()
    x, z = x * gaze_x.cos() + z * gaze_x.sin(), z * gaze_x.cos() - x * gaze_x.sin()
    return torch.stack([x, y, z], 1)


def _eye_colours(person, arc: Tensor, angle: Tensor, toward: Tensor, side: int) -> Tensor:
    skin = person.skin
    fibres = noise("rough", angle / (4 * math.pi) + person.offset_x, arc * 0.10 + person.offset_y)
    shade = 0.85 + 0.30 * fibres * step(PUPIL, 0.45, arc)
    shade = shade - 0.70 * step(skin.iris_radius - 0.13, skin.iris_radius, arc)  # the dark limbus
    iris = skin.iris * (shade.clamp(min=0.10) * step(PUPIL - 0.03, PUPIL + 0.03, arc))[:, None] + 0.003
    dim = (skin.colour.mean(1, keepdim=True) * 2.2).clamp(0.72, 1.0)  # beside dark skin a white is never as bright
    reddened = 1 - (0.12 * step(0.8, 1.5, arc))[:, None] * vector((0.3, 1, 1), arc.device)
    white = vector((0.42, 0.385, 0.365), arc.device) * dim * reddened
    colour = mix(white, iris, step(0.045, -0.045, arc - skin.iris_radius)[:, None])
    inner = step(0.70, 0.92, -side * toward[:, 0])  # towards the nose lies the caruncle
    return mix(colour, vector((0.40, 0.17, 0.14), arc.device) * (0.5 + 0.5 * dim), inner[:, None])


def _between_lids(person, pose, position: Tensor) -> tuple[Tensor, Tensor]:
    """Share of light that the lids let through to the ball, and the signed distance to their edge; (B, 1, H, W)."""
    along, above = shape.eye_coordinates(position[:, 0], position[:, 1], person.eyes)
    upper, lower = shape.lid_curves(along.clamp(-1, 1), person.eyes, pose.blink, pose.smile.clamp(min=0))
    under_upper = 0.30 + 0.70 * step(-0.05, 0.36, upper - above)
    over_lower = 0.65 + 0.35 * step(-0.03, 0.18, above - lower)
    corners = 0.70 + 0.30 * step(1.02, 0.75, along.abs())
    inside = torch.minimum(torch.minimum(upper - above, above - lower), (1 - along.abs()) * person.eyes.width)
    return (under_upper * over_lower * corners)[:, None], inside[:, None]


# ------------------------------------------------------------------------------------------ mouth


def mouth(person, pose, points: int) -> Surface:
    """Teeth, tongue and dark as one grid behind the lips."""
    device = person.device
    x = torch.linspace(-3.0, 3.0, points, device=device).view(1, 1, -1).expand(len(person), points, -1)
    y = torch.linspace(1.4, -4.4, points, device=device).view(1, -1, 1).expand(len(person), -1, points)
    between = (x / TOOTH - (x / TOOTH).round()).abs() * TOOTH  # cm from the nearest border of two teeth
    lower_edge = -0.14 - pose.mouth_open * shape.JAW_DROP * 0.85
    lower = step(0.03, -0.03, y - lower_edge) * step(-0.85, -0.75, y - lower_edge)
    teeth = torch.maximum(step(-0.08, -0.02, y), lower)
    z = 7.75 + person.head.muzzle * 0.6 - 0.15 * x * x - 1.6 * (1 - teeth)
    position = torch.stack([x, shape.MOUTH * person.head.face_length + person.mouth.height + y, z], 1)
    tongue = step(0.25, -0.3, y - lower_edge - 0.15) * (1 - teeth) * bump(x, 1.6)
    flesh, deep = vector((0.24, 0.075, 0.065), device), vector((0.030, 0.009, 0.008), device)
    enamel = vector((0.60, 0.54, 0.45), device) * (1 - 0.15 * person.age[:, None])
    gums = step(0.75, 1.0, y)
    albedo = mix(mix(deep, flesh, 0.7 * tongue[:, None]), mix(enamel, flesh, gums[:, None]), teeth[:, None])
    albedo = albedo * (1 - 0.45 * bump(between, 0.04) * teeth)[:, None]
    # The lips and the cheeks keep light from the corners and from far inside.
    opened = 0.35 + 0.65 * (pose.mouth_open + 0.35 * pose.teeth)
    occlusion = (step(2.9, 0.6, x.abs()) * (0.35 + 0.65 * teeth) * opened.clamp(max=1))[:, None]
    half = shape.mouth_half_width(person.mouth, pose.smile, pose.mouth_open)
    # Beyond the lips it would come through cheeks and chin.
    keep = torch.minimum(half - x.abs(), y + 0.6 + shape.JAW_DROP * pose.mouth_open)[:, None]
    return Surface(
        position, albedo * occlusion, label_map("mouth", position), keep, occlusion, 0.8 * teeth[:, None],
        normals(position), sharpness=60.0)
