"""Ears: a polar grid over the outline of an auricle, its relief drawn by named curves, rolled over at the rim.

An ear's own plane: `back` runs from the cheek backwards, `up` along the ear, `out` away from the head; cm, 0 at
the root of the tragus. Both ears are one shape, mirrored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import blur, bump, mix, normals, smooth_max, step, vector
from faceinpaint.faces.synthetic.surface import Surface, label_map

PLACE = (-2.35, -0.95)  # y and z in head space of the middle of the attachment, mean
LEAN = 0.16  # radians that the top of an ear lies further back than its lobe
LEAN_COS, LEAN_SIN = math.cos(LEAN), math.sin(LEAN)

# Outline and the ridges on it, as (back, up) in cm for an ear 6.3 cm high.
OUTLINE = [
    (0.00, -0.30), (0.10, 0.45), (0.15, 1.20), (0.35, 2.05), (0.85, 2.80), (1.60, 3.15), (2.40, 2.98), (3.05, 2.35),
    (3.38, 1.40), (3.38, 0.35), (3.10, -0.60), (2.62, -1.45), (2.18, -2.15), (1.72, -2.78), (1.12, -3.12),
    (0.55, -2.90), (0.20, -2.25), (0.05, -1.40)]
ANTIHELIX = [(1.55, -1.22), (2.05, -0.88), (2.38, -0.35), (2.48, 0.25), (2.36, 0.85), (2.08, 1.40)]
UPPER_FORK = [(2.08, 1.40), (1.85, 1.95), (1.65, 2.40)]
LOWER_FORK = [(2.08, 1.40), (1.60, 1.45), (1.05, 1.35), (0.70, 1.20)]
HELIX_ROOT = [(1.50, 0.22), (1.00, 0.42), (0.55, 0.75), (0.28, 1.20)]
CENTRE = (1.50, 0.05)
FACE = 0.74  # share of the rows that lie on the face of the ear; the others go round its rim and behind


@dataclass(frozen=True)
class Anatomy:
    """The mean ear on its grid, each (R, C): place in cm, and heights in cm of the parts of its relief."""

    back: Tensor
    up: Tensor
    round: Tensor  # 0 on the face of the ear ... 1 at the end of its back
    helix: Tensor
    antihelix: Tensor
    concha: Tensor
    tragus: Tensor
    lobe: Tensor  # 1 on the lobe
    hollow: Tensor  # 0 ... 1, how deep in the ear


def ears(person, points: int) -> list[Surface]:
    """Both ears in head space, `points` grid points across each."""
    anatomy = _anatomy(points, person.device)
    return [_ear(person, anatomy, side) for side in (-1, 1)]


@lru_cache(maxsize=8)
def _anatomy(points: int, device: torch.device) -> Anatomy:
    outline = _smooth_loop(torch.tensor(OUTLINE), points).flip(0)  # (C, 2), so that normals point outwards
    centre = torch.tensor(CENTRE)
    row = torch.linspace(0, 1, points)
    share = (row / FACE).clamp(max=1) ** 0.85
    behind = ((row - FACE) / (1 - FACE)).clamp(min=0)
    # Behind, the skin goes back to where the ear springs from the head.
    stem = torch.tensor([0.75, 0.1]) + (outline - centre) * torch.tensor([0.28, 0.62])
    place = centre + share[:, None, None] * (outline - centre)[None]
    place = mix(place, stem[None], step(0.25, 1.0, behind)[:, None, None])
    back, up = place[..., 0], place[..., 1]
    rim = _distance(back, up, outline, closed=True)
    upper = step(-2.0, -0.9, up + 0.35 * back) * step(0.05, 0.30, back + 0.2 * (up - 0.6).clamp(min=0))
    folded = 0.30 + 0.20 * step(0.5, 2.5, up)  # cm of the rim that is rolled over
    helix = upper * (0.42 * bump(rim - 0.12, 0.17) - 0.16 * bump(rim - folded - 0.18, 0.16))
    root = 0.34 * bump(_distance(back, up, torch.tensor(HELIX_ROOT)), 0.15)
    ridge = _distance(back, up, torch.tensor(ANTIHELIX))
    upper_fork = _distance(back, up, torch.tensor(UPPER_FORK)) + 0.05
    forks = torch.minimum(upper_fork, _distance(back, up, torch.tensor(LOWER_FORK)) + 0.02)
    antihelix = torch.maximum(0.42 * bump(ridge, 0.26), 0.30 * bump(forks, 0.17))
    fossa = 0.22 * torch.exp(-(((back - 1.35) / 0.42) ** 2 + ((up - 1.85) / 0.30) ** 2))
    cavum = torch.exp(-((((back - 1.32) / 0.80) ** 2 + ((up + 0.42) / 0.72) ** 2) ** 2))
    cymba = torch.exp(-((((back - 1.50) / 0.72) ** 2 + ((up - 0.78) / 0.42) ** 2) ** 2))
    concha = -torch.maximum(0.85 * cavum, 0.62 * cymba) - fossa
    tragus = 0.55 * torch.exp(-(((back - 0.36) / 0.32) ** 2 + ((up + 0.28) / 0.48) ** 2))
    antitragus = 0.30 * torch.exp(-(((back - 1.50) / 0.36) ** 2 + ((up + 1.20) / 0.26) ** 2))
    notch = -0.30 * torch.exp(-(((back - 0.85) / 0.26) ** 2 + ((up + 1.05) / 0.30) ** 2))
    lobe = torch.exp(-(((back - 1.10) / 0.85) ** 2 + ((up + 2.30) / 0.75) ** 2))
    canal = torch.exp(-(((back - 0.78) / 0.26) ** 2 + ((up + 0.18) / 0.32) ** 2))
    hollow = (0.75 * cavum + 0.45 * cymba + 0.3 * fossa / 0.22 + canal).clamp(0, 1.3)
    hollow = (hollow * (1 - 0.8 * tragus / 0.55) + 0.35 * upper * bump(rim - folded - 0.12, 0.14)).clamp(0, 1)
    round_ = behind[:, None].expand_as(back)
    parts = (back, up, round_, helix, antihelix + root + antitragus, concha + notch, tragus, lobe, hollow)
    return Anatomy(*(part[None].contiguous().to(device) for part in parts))


def _smooth_loop(corners: Tensor, points: int) -> Tensor:
    """A closed Catmull-Rom curve through corners (N, 2), its points evenly spaced; first and last are the same."""
    p0, p1, p2, p3 = corners.roll(1, 0), corners, corners.roll(-1, 0), corners.roll(-2, 0)
    t = torch.linspace(0, 1, 33)[:-1, None, None]
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    curve = curve.transpose(0, 1).reshape(-1, 2)
    curve = torch.cat([curve, curve[:1]])
    length = torch.cat([torch.zeros(1), (curve[1:] - curve[:-1]).norm(dim=1).cumsum(0)])
    wanted = torch.linspace(0, 1, points) * length[-1]
    i = torch.searchsorted(length, wanted, right=True).clamp(1, len(length) - 1)
    share = ((wanted - length[i - 1]) / (length[i] - length[i - 1]))[:, None]
    return mix(curve[i - 1], curve[i], share)


def _distance(x: Tensor, y: Tensor, line: Tensor, closed: bool = False) -> Tensor:
    """Distance of points (R, C) to a line of corners (N, 2)."""
    ends = torch.cat([line, line[:1]]) if closed else line
    a, b = ends[:-1], ends[1:]
    along = b - a
    px, py = x[..., None] - a[:, 0], y[..., None] - a[:, 1]
    t = ((px * along[:, 0] + py * along[:, 1]) / (along**2).sum(1).clamp(min=1e-9)).clamp(0, 1)
    return ((px - t * along[:, 0]) ** 2 + (py - t * along[:, 1]) ** 2).min(-1).values.sqrt()


def side_of_head(head, y: Tensor) -> Tensor:
    """Half width in cm of the bare head at heights y (B, N): (B, N)."""
    x, rows_y, _ = shape.loft(head, 41, 33)
    width, height = x.abs().amax(2), rows_y[..., 0]  # (B, 41), from the crown down
    below = (height[:, None] > y[..., None]).sum(2).clamp(1, 40)
    upper, lower = height.gather(1, below - 1), height.gather(1, below)
    share = ((upper - y) / (upper - lower).clamp(min=1e-3)).clamp(0, 1)
    return mix(width.gather(1, below - 1), width.gather(1, below), share)


def _ear(person, anatomy: Anatomy, side: int) -> Surface:
    """One ear, the right (side 1) or left (side -1) one of the picture."""
    look = person.ears
    own = (person.offset_x * 17.3) % 1 - 0.5, (person.offset_y * 23.7) % 1 - 0.5, (person.offset_x * 91.7) % 1 - 0.5
    longer = 1 + (look.lobe - 1 + 0.12 * person.age) * 0.8 * step(-1.4, -3.0, anatomy.up)
    back, up = anatomy.back * (1 + 0.16 * own[0]), anatomy.up * longer
    relief = (
        anatomy.helix * (1 + 0.7 * own[1]) + anatomy.antihelix * (1 + 0.7 * own[2])
        + anatomy.concha * (0.75 + 0.6 * (look.flare - 0.25)) + anatomy.tragus * (1 + 0.5 * own[0])
        + anatomy.lobe * (0.10 + 0.10 * own[1])
    )
    dish = 0.10 * (back - 1.4) ** 2 - 0.10  # the whole ear is a shallow dish
    size = look.size
    rise = (0.30 + back * look.flare.sin() + dish) * step(-0.05, 0.7, back) * (1 - 0.55 * step(-1.9, -3.0, anatomy.up))
    out = smooth_max(rise + relief, torch.full_like(rise, 0.16), 0.25)
    # Round the rim, behind it, and in front where ear and cheek are one, the skin goes into the head.
    front = step(0.55, 0.0, back) * step(0.72, 1.0, _share(anatomy)) * step(2.3, 1.2, up)
    out = out * (1 - front) - 0.30 * front
    behind = anatomy.round
    thick = 0.30 + 0.10 * own[1]
    out = mix(out - thick * step(0, 0.3, behind), torch.full_like(out, -0.9), step(0.3, 1.0, behind))
    return _placed(person, anatomy, side, back * size, up * size, out * size)


def _share(anatomy: Anatomy) -> Tensor:
    """0 in the middle of an ear ... 1 at its outline and behind it."""
    rows = anatomy.back.shape[1]
    return (torch.linspace(0, 1, rows, device=anatomy.back.device) / FACE).clamp(max=1)[None, :, None]


def _placed(person, anatomy: Anatomy, side: int, back: Tensor, up: Tensor, out: Tensor) -> Surface:
    look, head = person.ears, person.head
    y0 = PLACE[0] * head.face_length + look.height
    y = y0 + up * LEAN_COS - back * LEAN_SIN
    z = PLACE[1] - back * look.flare.cos() * LEAN_COS - up * LEAN_SIN
    ends = torch.cat([y0 + 2.2, y0 - 2.6], 2)[:, 0]
    top, bottom = side_of_head(head, ends)[..., None, None].unbind(1)
    base = mix(bottom, top, ((y - y0 + 2.6) / 4.8).clamp(-0.2, 1.2))
    x = base + out * look.flare.cos()
    position = torch.stack([x, y, z], 1)
    normal = normals(position)
    outward = vector((side, 1.0, 1.0), x.device)
    skin, behind = person.skin, anatomy.round
    thin = anatomy.helix.clamp(min=0) / 0.42
    red = (skin.redness * (0.55 + 0.4 * thin + 0.4 * anatomy.lobe + 0.5 * anatomy.hollow))[:, None]
    tint = vector((0.02, -0.17, -0.15), x.device)
    albedo = skin.colour * (1 + red * tint)
    radius = max(1, x.shape[-1] // 24)
    sunk = (blur(out[:, None], radius) - out[:, None]).clamp(min=-0.1)
    hidden = (1 - 0.55 * anatomy.hollow) * (1 - 0.6 * step(0.1, 0.8, behind))
    occlusion = torch.exp(-1.6 * sunk) * hidden[:, None]
    gloss = (0.55 * skin.shine * (1 - 0.6 * anatomy.hollow))[:, None]
    return Surface(
        position * outward, albedo, label_map("skin", position), None, occlusion.clamp(0.15, 1.05), gloss,
        sharpness=18.0, scatter=True, normal=normal * outward)

