"""Ears: a polar grid over the outline of an auricle, its rim, fold and hollow raised on it, rolled over at the rim.

An ear's own plane: `back` runs from the cheek backwards, `up` along the ear, `out` away from the head; cm, 0 at
the root of the tragus. Both ears are one shape, mirrored.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import bump, mix, normals, row_of, smooth_max, spline_weights, step, vector
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


def ears(person, points: int) -> list[Surface]:
    """Both ears in head space, `points` grid points across each."""
    right = _right_ear(person, points)
    mirror = vector((-1.0, 1.0, 1.0), person.device)
    left = Surface(**{**vars(right), "position": right.position * mirror, "normal": right.normal * mirror})
    return [left, right]


@lru_cache(maxsize=8)
def _grid(points: int, device: torch.device) -> tuple[Tensor, ...]:
    """The mean ear, (1, R, C) each: back and up in cm, share of the way to the outline, and of that behind it."""
    corners, centre = torch.tensor([*OUTLINE, OUTLINE[0]]), torch.tensor(CENTRE)
    outline = (spline_weights(len(corners), points) @ corners).flip(0)  # (C, 2), so that normals point outwards
    row = torch.linspace(0, 1, points)[:, None].expand(-1, points)
    share, behind = (row / FACE).clamp(max=1), ((row - FACE) / (1 - FACE)).clamp(min=0)
    place = centre + (share**0.85)[..., None] * (outline - centre)
    # Behind, the skin goes back to where the ear springs from the head.
    stem = torch.tensor([0.75, 0.1]) + (outline - centre) * torch.tensor([0.28, 0.62])
    back, up = mix(place, stem, step(0.25, 1.0, behind)[..., None]).unbind(2)
    return tuple(part[None].contiguous().to(device) for part in (back, up, share, behind))


def side_of_head(head, y: Tensor) -> Tensor:
    """Half width in cm of the bare head at heights y (B, N): (B, N)."""
    x, heights, _ = shape.loft(head, 41, 33)
    width, row = x.abs().amax(2), row_of(y, heights[..., 0])
    above = row.long().clamp(max=39)
    return mix(width.gather(1, above), width.gather(1, above + 1), row - above)


def _right_ear(person, points: int) -> Surface:
    look, head, skin = person.ears, person.head, person.skin
    back, up, share, behind = _grid(points, person.device)
    rim = bump(share - 0.95, 0.08) * step(-2.0, -0.9, up + 0.35 * back)  # the helix
    fold = bump(share - 0.56, 0.10) * step(1.0, 1.9, back)  # the antihelix
    hollow = step(0.70, 0.30, share) * step(-1.6, -1.0, up)  # the concha
    # A shallow dish that stands off the head, but for the lobe.
    rise = 0.26 + back * look.flare.sin() + 0.10 * (back - 1.4) ** 2
    rise = rise * step(-0.05, 0.7, back) * (1 - 0.55 * step(-1.9, -3.0, up))
    out = smooth_max(rise + 0.42 * rim + 0.42 * fold - 0.60 * hollow, torch.full_like(rise, 0.30), 0.25)
    # Round the rim, behind it, and in front where ear and cheek are one, the skin goes into the head.
    front = step(0.55, 0.0, back) * step(0.72, 1.0, share) * step(2.3, 1.2, up)
    out = mix(out, torch.full_like(out, -0.30), front)
    out = mix(out - 0.30 * step(0, 0.3, behind), torch.full_like(out, -0.9), step(0.3, 1.0, behind))
    up = up * (1 + (look.lobe - 1 + 0.12 * person.age) * 0.8 * step(-1.4, -3.0, up))
    back, up, out = back * look.size, up * look.size, out * look.size

    y0 = PLACE[0] * head.face_length + look.height
    y = y0 + up * math.cos(LEAN) - back * math.sin(LEAN)
    z = PLACE[1] - back * look.flare.cos() * math.cos(LEAN) - up * math.sin(LEAN)
    ends = torch.cat([y0 + 2.2, y0 - 2.6], 2)[:, 0]
    top, bottom = side_of_head(head, ends)[..., None, None].unbind(1)
    base = mix(bottom, top, ((y - y0 + 2.6) / 4.8).clamp(-0.2, 1.2))
    position = torch.stack([base + out * look.flare.cos(), y, z], 1)
    red = skin.redness * (0.6 + 0.4 * rim + 0.5 * hollow)
    albedo = skin.colour * (1 + red[:, None] * vector((0.02, -0.17, -0.15), y.device))
    dim = ((1 - 0.55 * hollow) * (1 - 0.6 * step(0.1, 0.8, behind)))[:, None].expand_as(y[:, None])
    return Surface(
        position, albedo, label_map("skin", position), None, dim, 0.55 * skin.shine[:, None] * dim, sharpness=18.0,
        scatter=True, normal=normals(position))
