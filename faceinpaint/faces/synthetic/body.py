"""Neck, shoulders and clothes: one figure of rings from inside the head down to the chest, and a garment laid over it.

World space, cm: the shoulders stay where they are while the neck's upper rings follow the turned head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic.camera import PIVOT
from faceinpaint.faces.synthetic.maths import bump, mix, noise, normals, rotate, spline_weights, step, vector
from faceinpaint.faces.synthetic.surface import Surface, label_map

# Rings of the mean figure from inside the head downwards. Half width = share of the neck's + cm of the shoulders'
# at the sides; height of the ring in front and at the sides; z of its middle; depth from there to the front;
# exponent of the superellipse; how far round it is drawn (radians each way); share of the head's turn it takes.
RINGS = torch.tensor([
    # neck   cm    front   side    middle depth exponent reach turn
    [0.84,  0.0,  -8.6,   -5.6,   -2.8,  4.3,  2.0,  2.9,  1.00],
    [0.98,  0.0,  -11.3,  -8.6,   -2.7,  5.4,  2.0,  2.9,  1.00],
    [0.99,  0.0,  -13.7,  -10.9,  -2.9,  5.4,  2.0,  2.9,  0.66],
    [1.02,  0.1,  -16.0,  -12.8,  -3.0,  5.3,  2.0,  2.7,  0.30],
    [1.08,  1.0,  -17.9,  -14.2,  -3.2,  5.2,  2.0,  2.2,  0.07],
    [1.00,  4.2,  -19.0,  -15.8,  -3.5,  6.2,  2.1,  1.9,  0.00],
    [0.90,  8.5,  -20.6,  -17.3,  -3.6,  7.3,  2.2,  1.75, 0.00],
    [0.70,  13.5, -22.7,  -18.6,  -3.7,  8.5,  2.3,  1.72, 0.00],
    [0.50,  17.8, -25.3,  -20.4,  -3.7,  9.4,  2.4,  1.72, 0.00],
    [0.40,  20.0, -28.5,  -24.5,  -3.7,  10.2, 2.4,  1.72, 0.00],
])
CM = 1.75  # cm along the figure from one ring to the next, on the average round the neckline

KINDS = ("crew neck", "V-neck", "top")
CREW, VEE, TOP = range(len(KINDS))


@dataclass(frozen=True)
class Figure:
    """The bare figure as a grid, (B, R, C) each."""

    turned: Tensor  # (B, 3, R, C) cm, with the head's turn
    normal: Tensor  # (B, 3, R, C)
    ring: Tensor  # which ring a point lies on
    azimuth: Tensor  # radians round the neck, 0 in front
    x: Tensor  # at rest
    y: Tensor


def body(person, pose, turn: Tensor, points: int) -> list[Surface]:
    """Neck, shoulders and clothes in world space; `turn` (B, 3, 3) is the head's, `points` the picture's width."""
    figure = _figure(person, turn, round(0.32 * points), round(0.60 * points))
    kind = _kinds(person, pose)
    return [_skin(person, kind, pose, figure), _garment(kind, pose, figure)]


# ------------------------------------------------------------------------------------------ the bare figure


@lru_cache(maxsize=8)
def _grid(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """RINGS along a Catmull-Rom spline (9, R, 1), ring numbers (R,), azimuths (R, C)."""
    rings = torch.linspace(0, len(RINGS) - 1, rows)
    weights = spline_weights(len(RINGS), rows)
    along = (weights @ RINGS).T[..., None]
    across = torch.linspace(-1, 1, columns)[None]
    # Round the neck the columns lie evenly; over the shoulders rather as they are seen from the front.
    flat = (0.62 * torch.asin(0.999 * across) + 0.74 * across) / 1.69
    azimuth = along[7] * mix(across, flat, step(3.2, 5.0, rings)[:, None])
    return along.to(device), rings.to(device), azimuth.to(device)


def _figure(person, turn: Tensor, rows: int, columns: int) -> Figure:
    along, rings, azimuth = _grid(rows, columns, person.device)
    neck_share, cm, front, side, middle, depth, exponent, _, share = (v[None] for v in along)
    low = step(4.0, 1.0, rings)[:, None]  # 1 at the head, where the face's length counts
    longer = -9.5 * (person.head.face_length - 1) * (0.35 + 0.65 * low)
    width = person.neck * neck_share + person.shoulders * cm
    depth = depth * (1 + 0.5 * (person.neck / 5.4 - 1))
    sin, cos = azimuth.sin()[None], azimuth.cos()[None]
    radius = (sin.abs() ** exponent + cos.abs() ** exponent) ** (-1 / exponent)
    y = side + (front - side) * cos * cos.abs()
    out = _muscles(person, azimuth[None], width * sin, y, rings[None, :, None])
    x, y = (width * radius + out) * sin, y + longer
    rest = torch.stack([x, y, middle + (depth * radius + out) * cos], 1)
    turned = _bent(rest, turn, share[0, :, 0])
    ring = rings[None, :, None].expand_as(x)
    return Figure(turned, normals(turned), ring, azimuth[None].expand_as(x), x, y)


def _muscles(person, azimuth: Tensor, x: Tensor, y: Tensor, ring: Tensor) -> Tensor:
    """The muscles from behind the ears to the breastbone, and the Adam's apple; cm outwards."""
    down = ((ring - 0.6) / 3.5).clamp(0, 1)
    course = 1.85 - 1.68 * down**0.8
    strap = 0.30 * bump(azimuth.abs() - course, 0.20 - 0.08 * down) * step(4.5, 3.7, ring)
    apple = bump(x, 0.55 + 0.012 * (y + 13.9) ** 2) * bump(y + 13.9, 0.65)
    return strap + (0.40 - 0.34 * person.feminine) * apple


def _bent(position: Tensor, turn: Tensor, share: Tensor) -> Tensor:
    """Linear blend skinning: each row (R,) follows a rotation (B, 3, 3) about the head's pivot by its share."""
    pivot = vector(PIVOT, turn.device)
    return mix(position, rotate(turn, position - pivot) + pivot, share[None, None, :, None])


# ------------------------------------------------------------------------------------------ skin


def _skin(person, kind: Tensor, pose, figure: Figure) -> Surface:
    skin, ring = person.skin, figure.ring
    u, v = figure.azimuth / 4 + person.offset_x, figure.y / 28 + person.offset_y
    uneven = 0.05 * skin.mottle * noise("cloudy", u, v)
    albedo = skin.colour * vector((0.97, 0.94, 0.935), u.device) * (1 + uneven[:, None])
    grown = torch.maximum(0.6 * person.hair.beard, 0.5 * person.skin.stubble)
    grown = 0.45 * grown * step(2.1, 1.0, ring) * step(1.5, 1.1, figure.azimuth.abs())
    albedo = mix(albedo, person.hair.colour * 0.5 + 0.25 * albedo, grown[:, None])
    # A little under the edge of what is worn the skin ends, or it would shine through the cloth.
    keep = (0.18 - _below(kind, pose, figure))[:, None]
    return Surface(
        figure.turned, albedo, label_map("skin", figure.turned), keep, _under_head(figure)[:, None],
        (0.35 * skin.shine).expand_as(ring)[:, None], sharpness=14.0, scatter=True, normal=figure.normal)


def _under_head(figure: Figure) -> Tensor:
    """Share of the light from everywhere that head and jaw leave to the neck, (B, R, C)."""
    behind = 0.5 - 0.5 * figure.azimuth.cos()
    return 0.40 + 0.58 * step(0.6, 4.6, figure.ring + 0.5 * behind)


# ------------------------------------------------------------------------------------------ clothes


def _kinds(person, pose) -> Tensor:
    """What each person wears, (B, 1, 1) index into KINDS, from the photograph's numbers: tops are women's alone."""
    place = (pose.pattern * 7.31 + pose.collar * 2.77) % 1
    return (place > 0.6).float() + (place > 0.8) * person.feminine


def _neckline(kind: Tensor, pose, figure: Figure) -> Tensor:
    """The ring that the garment begins on at each azimuth, (B, R, C): level, a round dip in front, or a V."""
    low = pose.collar / 2.5
    front = figure.azimuth.cos().clamp(min=0)
    crew = 3.62 + 0.35 * low * front * front
    vee = 3.7 + (0.9 + 0.9 * low) * (1 - figure.azimuth.abs() / 0.95).clamp(min=0)
    top = 4.15 + (0.5 + 0.7 * low) * front * front
    return torch.where(kind == CREW, crew, torch.where(kind == VEE, vee, top))


def _below(kind: Tensor, pose, figure: Figure) -> Tensor:
    """How far in cm a point of the figure lies under the garment's edge."""
    return (figure.ring - _neckline(kind, pose, figure)) * CM


def _garment(kind: Tensor, pose, figure: Figure) -> Surface:
    below = _below(kind, pose, figure)
    # Folds of cloth that hangs from the shoulders.
    x, y = figure.x + 31 * pose.pattern, figure.y + 17 * pose.collar
    fold = 0.15 * (noise("smooth", (x + 0.35 * figure.y) / 34, y / 75) + 0.5 * noise("cloudy", x / 40, y / 60))
    width = 1.5 - 1.15 * (kind == TOP)  # cm of the band round the neck
    band, edge = step(width + 0.08, width - 0.04, below), step(0.0, 0.12, below)
    out = 0.10 + 0.08 * edge + 0.10 * band + fold * step(0.3, 2.5, below)
    position = figure.turned + figure.normal * out[:, None]
    seam = 0.35 * bump(below - width, 0.06)
    occlusion = _under_head(figure) * (1 + 1.6 * fold.clamp(-0.35, 0.08))
    return Surface(
        position, _cloth(pose, kind, figure) * (1 - seam)[:, None], label_map("clothes", position),
        below[:, None], occlusion[:, None], torch.full_like(below, 0.12)[:, None], normals(position), sharpness=6.0)


def _cloth(pose, kind: Tensor, figure: Figure) -> Tensor:
    """Colours (B, 3, R, C): plain or striped, with weave."""
    grey = pose.cloth.mean(1, keepdim=True)
    plain = (0.5 * pose.cloth + 0.5 * grey) * (0.3 + 1.3 * grey)  # most clothes are muted, and many are dark
    place, wave = (pose.pattern * 13.7) % 1, 2 * torch.pi / (1.0 + 1.4 * pose.pattern)
    striped = (place > 0.62) & (place < 0.78) & (kind != VEE)
    stripes = step(-0.25, 0.25, torch.sin(figure.ring * CM * wave)) * striped
    dark = plain.mean(1, keepdim=True)
    other = torch.where(dark < 0.2, (0.30 + 0.5 * dark).expand_as(plain), plain * 0.3)
    weave = noise("grain", figure.azimuth * 1.1, figure.y / 7) + noise("cloudy", figure.x / 50, figure.y / 50)
    return mix(plain, other, stripes[:, None]) * (1 + 0.05 * weave)[:, None]
