"""Beards and moustaches: hairs rooted in the skin, which move with it."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.hair_looks import WHITE, chances
from faceinpaint.faces.synthetic.maths import bump, dot, mix, noise, normals, step, unit, vector
from faceinpaint.faces.synthetic.relief import Relief
from faceinpaint.faces.synthetic.surface import Surface, label_map

HAIRS = 7.0  # for each pixel of the picture's width


def beard_zone(person, face: Relief) -> tuple[Tensor, Tensor]:
    """Where a beard and a moustache grow, 0 ... 1 (B, H, W) each, for the person's kind of beard."""
    side, y = face.x.abs(), face.y
    uneven = 0.35 * face.coarse + 0.10 * face.middle
    below_lips, above_lips = face.lip_bottom - face.mouth_y, face.mouth_y - face.lip_top
    cheek_line = -4.7 - 1.2 * step(6.4, 3.2, side) + 3.4 * step(5.4, 7.2, side) + 0.5 * uneven
    beside_mouth = step(2.2, 3.4, side + 1.6 * step(-8.2, -9.6, y) + 0.3 * uneven)
    jaw = step(0.5, -0.7, y - cheek_line) * beside_mouth * step(-1.8, 0.4, face.z)
    chin = step(0.30, 1.1, below_lips + 0.25 * uneven) * step(4.2, 2.6, side) * face.front
    narrow = 1 - person.hair.goatee * step(2.3, 3.3, side + 0.4 * uneven)
    moustache = step(0.03, 0.22, above_lips) * step(-4.50, -5.0, y + 0.1 * uneven) * face.front
    moustache = moustache * step(3.5, 2.5, side + 0.3 * uneven) * (1 - 0.35 * bump(face.x, 0.16))
    corner = bump(side - 3.0, 0.45) * step(-5.6, -6.5, y) * step(-9.5, -8.5, y) * face.front * person.hair.beard
    clear = step(0.04, -0.06, face.lips)
    return torch.maximum(jaw, chin) * narrow * clear, torch.maximum(moustache, corner) * clear


def _lower(face: Relief) -> Relief:
    """Every second point of the lower face: enough to tell where a beard grows."""
    start = int(face.x.shape[1] * 0.4)
    return Relief(**{name: value[..., start::2, ::2] for name, value in vars(face).items()})


@lru_cache(maxsize=16)
def _roots(count: int, device: torch.device) -> Tensor:
    """Places (1, 1, count, 2) of the grid for `grid_sample`, a low-discrepancy sequence (Roberts 2018)."""
    i = torch.arange(count, dtype=torch.float64)
    u, v = (0.5 + i * 0.7548776662466927) % 1, (0.5 + i * 0.5698402909980532) % 1
    return torch.stack([(u * 2 - 1) * 0.86, (v * 2 - 1) * 0.98], -1).float()[None, None].to(device)


def beard(person, face: Relief, detail: int) -> list[Surface]:
    """Beard and moustache in head space as one surface; none where nobody of the batch has any."""
    look, count, points = person.hair, round(HAIRS * detail), max(6, round(detail / 10))
    if not bool((torch.maximum(look.beard, look.moustache) > 0).any()):
        return []
    face = _lower(face)
    chin, lip = beard_zone(person, face)
    zones = torch.stack([chin * look.beard, lip * look.moustache, face.y], 1)
    rooted = torch.cat([face.position, normals(face.position), zones], 1)
    rooted = F.grid_sample(rooted, _roots(count, person.device).expand(len(person), -1, -1, -1), align_corners=True)
    root, normal, chin, lip, y = rooted[:, :, 0].split([3, 3, 1, 1, 1], 1)
    x, random, on_lip, normal = root[:, 0:1], chances(person, count, 8), lip > chin, unit(normal)
    # On cheeks and jaw hair grows down and a little forwards, over the lip down and aside, under the jaw forwards.
    tufts = 0.5 * noise("cloudy", x / 14 + person.offset_x, root[:, 1:2] / 22 + person.offset_y)
    sideways = torch.where(on_lip, (2 * x).clamp(-0.85, 0.85), 0.20 * torch.sign(x)) + 0.45 * tufts
    forward = 0.35 * (random[:, 1:2] - 0.3) + 0.2 * step(5.0, 7.5, x.abs())
    direction = torch.cat([sideways + 0.35 * (random[:, 0:1] - 0.5), torch.full_like(x, -1.0), forward], 1)
    direction = unit(direction - normal * dot(direction, normal)) + normal * (0.42 + 0.25 * random[:, 2:3])
    sparse = step(0.05, 0.85, torch.maximum(chin, lip))
    low = (0.35 + 0.65 * step(-5.0, -9.0, y)) * (0.55 + 0.45 * bump(x, 3.2))  # longest at the chin
    length = torch.where(on_lip, look.moustache_length, look.beard_length * low)
    length = length * (0.55 + 0.6 * random[:, 3:4]) * (0.4 + 0.6 * sparse)
    bend = vector((0.0, -0.55, 0.0), x.device)[..., 0] - 0.30 * normal + 0.45 * (random[:, 4:7] - 0.5)
    t = torch.linspace(0, 1, points, device=x.device)
    along = length[..., None] * t
    position = root[..., None] + unit(direction)[..., None] * along + bend[..., None] * along * t
    share = (1.25 * look.grey).clamp(max=1)  # beards turn grey first
    grey = (share + 1.2 * share * (1 - share) * (random[:, 7:8] - 0.5)).clamp(0, 1)
    colour = mix(0.9 * look.natural, vector(WHITE, x.device), grey[..., None])[..., 0]
    colour = colour * (0.70 + 0.6 * random[:, 4:5]) * (1 + 0.25 * tufts)
    # A fine hair covers less of its pixel at the tip; roots get less of the light from everywhere.
    albedo = mix(person.skin.colour, colour[..., None], 1 - 0.25 * t**2)
    keep, occlusion = (sparse - random[:, 5:6])[..., None].expand(-1, -1, -1, points), (0.55 + 0.45 * t)
    return [Surface(
        position, albedo, label_map("beard", position), keep, occlusion.expand_as(keep),
        torch.full_like(person.age[..., None], 0.5), normal=normal[..., None].expand_as(position), strands=True)]
