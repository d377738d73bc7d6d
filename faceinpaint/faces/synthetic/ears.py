"""Ears: a polar grid over the outline of an auricle, its relief drawn by a few curves, rolled over at the rim.

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
from faceinpaint.faces.synthetic.maths import blur, bump, mix, normals, row_of, smooth_max, spline_weights, step, vector
from faceinpaint.faces.synthetic.surface import Surface, label_map

PLACE = (-2.35, -0.95)  # y and z in head space of the middle of the attachment, mean
LEAN = 0.16  # radians that the top of an ear lies further back than its lobe
FACE = 0.74  # share of the rows that lie on the face of the ear; the others go round its rim and behind

# The outline, as (back, up) in cm for an ear 6.3 cm high.
OUTLINE = [
    (0.00, -0.30), (0.10, 0.45), (0.15, 1.20), (0.35, 2.05), (0.85, 2.80), (1.60, 3.15), (2.40, 2.98), (3.05, 2.35),
    (3.38, 1.40), (3.38, 0.35), (3.10, -0.60), (2.62, -1.45), (2.18, -2.15), (1.72, -2.78), (1.12, -3.12),
    (0.55, -2.90), (0.20, -2.25), (0.05, -1.40)]
CENTRE = (1.50, 0.05)


@dataclass(frozen=True)
class Anatomy:
    """The mean ear on its grid, each (1, R, C): place in cm, and heights in cm of the parts of its relief."""

    back: Tensor
    up: Tensor
    share: Tensor  # 0 in the middle of the ear ... 1 at its outline and behind it
    behind: Tensor  # 0 on the face of the ear ... 1 at the end of its back
    helix: Tensor
    antihelix: Tensor
    concha: Tensor
    tragus: Tensor
    lobe: Tensor  # 1 on the lobe
    hollow: Tensor  # 0 ... 1, how deep in the ear


def ears(person, points: int) -> list[Surface]:
    """Both ears in head space, `points` grid points across each."""
    right = _right_ear(person, _anatomy(points, person.device))
    mirror = vector((-1.0, 1.0, 1.0), person.device)
    left = Surface(**{**vars(right), "position": right.position * mirror, "normal": right.normal * mirror})
    return [left, right]


@lru_cache(maxsize=8)
def _anatomy(points: int, device: torch.device) -> Anatomy:
    corners, centre = torch.tensor([*OUTLINE, OUTLINE[0]]), torch.tensor(CENTRE)
    smooth = spline_weights(len(corners), points) @ corners
    outline = smooth.flip(0)  # (C, 2), so that normals point outwards
    row = torch.linspace(0, 1, points)[:, None].expand(-1, points)
    share, behind = (row / FACE).clamp(max=1), ((row - FACE) / (1 - FACE)).clamp(min=0)
    place = centre + (share**0.85)[..., None] * (outline - centre)
    # Behind, the skin goes back to where the ear springs from the head.
    stem = torch.tensor([0.75, 0.1]) + (outline - centre) * torch.tensor([0.28, 0.62])
    back, up = mix(place, stem, step(0.25, 1.0, behind)[..., None]).unbind(2)

    def hill(x: float, y: float, width: float, height: float) -> Tensor:
        return torch.exp(-((back - x) / width) ** 2 - ((up - y) / height) ** 2)

    upper = step(-2.0, -0.9, up + 0.35 * back) * step(0.05, 0.30, back + 0.2 * (up - 0.6).clamp(min=0))
    helix = upper * (0.42 * bump(share - 0.95, 0.08) - 0.16 * bump(share - 0.76, 0.08))
    antihelix = 0.42 * bump(share - 0.56, 0.10) * step(1.0, 1.9, back)
    bowl = step(0.70, 0.30, share) * step(-1.6, -1.0, up)
    tragus, lobe = hill(0.36, -0.28, 0.32, 0.48), hill(1.10, -2.30, 0.85, 0.75)
    hollow = (bowl * (1 - 0.8 * tragus) + 0.35 * upper * bump(share - 0.76, 0.07)).clamp(0, 1)
    parts = (back, up, share, behind, helix, antihelix, -0.66 * bowl, 0.55 * tragus, lobe, hollow)
    return Anatomy(*(part[None].contiguous().to(device) for part in parts))


def side_of_head(head, y: Tensor) -> Tensor:
    """Half width in cm of the bare head at heights y (B, N): (B, N)."""
    x, heights, _ = shape.loft(head, 41, 33)
    width, row = x.abs().amax(2), row_of(y, heights[..., 0])
    above = row.long().clamp(max=39)
    return mix(width.gather(1, above), width.gather(1, above + 1), row - above)


def _right_ear(person, anatomy: Anatomy) -> Surface:
    look, head, skin, behind = person.ears, person.head, person.skin, anatomy.behind
    own = [(value % 1) - 0.5 for value in (person.offset_x * 17.3, person.offset_y * 23.7, person.offset_x * 91.7)]
    longer = 1 + (look.lobe - 1 + 0.12 * person.age) * 0.8 * step(-1.4, -3.0, anatomy.up)
    back, up = anatomy.back * (1 + 0.16 * own[0]), anatomy.up * longer
    relief = (
        anatomy.helix * (1 + 0.7 * own[1]) + anatomy.antihelix * (1 + 0.7 * own[2])
        + anatomy.concha * (0.75 + 0.6 * (look.flare - 0.25)) + anatomy.tragus + 0.10 * anatomy.lobe
    )
    dish = 0.10 * (back - 1.4) ** 2 - 0.10  # the whole ear is a shallow dish
    rise = (0.30 + back * look.flare.sin() + dish) * step(-0.05, 0.7, back) * (1 - 0.55 * step(-1.9, -3.0, anatomy.up))
    out = smooth_max(rise + relief, torch.full_like(rise, 0.25), 0.25)
    # Round the rim, behind it, and in front where ear and cheek are one, the skin goes into the head.
    front = step(0.55, 0.0, back) * step(0.72, 1.0, anatomy.share) * step(2.3, 1.2, up)
    out = mix(out, torch.full_like(out, -0.30), front)
    out = mix(out - 0.30 * step(0, 0.3, behind), torch.full_like(out, -0.9), step(0.3, 1.0, behind))
    back, up, out = back * look.size, up * look.size, out * look.size

    y0 = PLACE[0] * head.face_length + look.height
    y = y0 + up * math.cos(LEAN) - back * math.sin(LEAN)
    z = PLACE[1] - back * look.flare.cos() * math.cos(LEAN) - up * math.sin(LEAN)
    ends = torch.cat([y0 + 2.2, y0 - 2.6], 2)[:, 0]
    top, bottom = side_of_head(head, ends)[..., None, None].unbind(1)
    base = mix(bottom, top, ((y - y0 + 2.6) / 4.8).clamp(-0.2, 1.2))
    position = torch.stack([base + out * look.flare.cos(), y, z], 1)
    red = skin.redness * (0.55 + anatomy.helix.clamp(min=0) + 0.4 * anatomy.lobe + 0.5 * anatomy.hollow)
    albedo = skin.colour * (1 + red[:, None] * vector((0.02, -0.17, -0.15), y.device))
    sunk = (blur(out[:, None], max(1, y.shape[-1] // 24)) - out[:, None]).clamp(min=-0.1)
    occlusion = torch.exp(-1.6 * sunk) * ((1 - 0.55 * anatomy.hollow) * (1 - 0.6 * step(0.1, 0.8, behind)))[:, None]
    gloss = (0.55 * skin.shine * (1 - 0.6 * anatomy.hollow))[:, None]
    return Surface(
        position, albedo, label_map("skin", position), None, occlusion.clamp(0.15, 1.05), gloss, sharpness=18.0,
        scatter=True, normal=normals(position))
