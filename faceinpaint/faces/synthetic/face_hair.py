"""Hair of the face: brows, lashes, moustaches and beards, rooted in the skin and moving with it."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.hair_looks import WHITE, chances
from faceinpaint.faces.synthetic.maths import bump, dot, mix, step, unit
from faceinpaint.faces.synthetic.noise import noise
from faceinpaint.faces.synthetic.relief import Relief, row_of
from faceinpaint.faces.synthetic.surface import Surface, label_map

# Hairs for each pixel of the picture's width.
BROW_HAIRS, UPPER_LASHES, LOWER_LASHES, BEARD_HAIRS = 2.2, 0.36, 0.16, 7.0


def face_hair(person, pose, face: Relief, detail: int) -> list[Surface]:
    """Brows, lashes, moustache and beard, in head space; they move with the expression."""
    surfaces = [_brows(person, pose, face, detail), _lashes(person, pose, face, detail)]
    if bool((torch.maximum(person.hair.beard, person.hair.moustache) > 0).any()):
        surfaces.append(_beard(person, face, detail))
    return surfaces


# ------------------------------------------------------------------------------------------ places on the skin


def _place(x: Tensor, y: Tensor, face: Relief) -> Tensor:
    """Where places x, y (B, N) on the front of the bare face lie in its grid, for grid_sample (B, 1, N, 2)."""
    row = row_of(y, face.y[:, :, 0])
    return face.on_grid(row, face.column_of(x, row))


def _skin_at(place: Tensor, face: Relief) -> tuple[Tensor, Tensor]:
    """Points and outward normals of the skin, (B, 3, N) each."""
    height, width = face.x.shape[-2:]
    across = torch.tensor([3.0 / width, 0.0], device=place.device)
    down = torch.tensor([0.0, 3.0 / height], device=place.device)
    five = torch.cat([place, place + across, place - across, place + down, place - down], 1)
    point, right, left, below, above = F.grid_sample(face.position, five, align_corners=True).unbind(2)
    return point, unit(torch.linalg.cross(below - above, right - left, dim=1))


@lru_cache(maxsize=16)
def _spread(count: int, offset: float, device: torch.device) -> Tensor:
    """A low-discrepancy sequence in the unit square, (2, count) (Roberts 2018)."""
    i = torch.arange(count, dtype=torch.float64)
    return torch.stack([(offset + i * 0.7548776662466927) % 1, (0.5 + i * 0.5698402909980532) % 1]).float().to(device)


def _grown(root: Tensor, direction: Tensor, bend: Tensor, length: Tensor, points: int) -> Tensor:
    """Hairs as parabolas: (B, 3, N) root, direction and bend, (B, 1, N) cm -> (B, 3, N, points)."""
    t = torch.linspace(0, 1, points, device=root.device)
    along = length[..., None] * t
    return root[..., None] + unit(direction)[..., None] * along + bend[..., None] * along * t


def _hairs(
    person, label: str, position: Tensor, normal: Tensor, colour: Tensor, keep: Tensor, root_light: float, gloss: float,
    thick: float, taper: float,
) -> Surface:
    """A surface of hairs that each have one colour (B, 3, N), one normal (B, 3, N) and one keep (B, 1, N).

    A fine hair covers only a part of its pixel: `thick` of it at the root, `taper` less at the tip; skin shows beside.
    Roots get `root_light` of the light from everywhere, tips all.
    """
    count, points = position.shape[2:]
    t = torch.linspace(0, 1, points, device=colour.device)
    share, light = thick * (1 - taper * t**2), root_light + (1 - root_light) * t
    return Surface(
        position, mix(person.skin.colour, colour[..., None], share),
        label_map(label, position[:1, :, :1, :1]).expand(len(person), 1, count, points),
        keep[..., None].expand(-1, -1, -1, points), light.view(1, 1, 1, -1).expand(len(person), -1, count, -1),
        torch.full_like(person.age[..., None], gloss),
        normal=normal[..., None].expand(-1, -1, -1, points), strands=True)


# ------------------------------------------------------------------------------------------ brows


def _brows(person, pose, face: Relief, detail: int) -> Surface:
    count, points = 2 * round(BROW_HAIRS * detail / 2), max(4, round(detail / 18))
    brows = person.brows
    first, second = _spread(count, 0.5, person.device)[:, None, None]
    random = chances(person, count, 6)
    side = torch.ones(count, device=person.device)
    side[1::2] = -1
    along = (first * 1.08 - 0.04).expand(len(person), 1, -1)
    out = shape.BROW_START + brows.inner + along * shape.BROW_SPAN * brows.length
    _, height, half = shape.brow_curve(out, brows, pose.brow_raise)
    rise = (shape.brow_curve(out + 0.2, brows, pose.brow_raise)[1] - height) / 0.2
    across = (2 * second - 1) * (0.80 + 0.35 * random[:, 0:1])
    thick = torch.where(along < 0.0, half * 0.6, half)
    x, y = (side * (out + 0.05 * (random[:, 1:2] - 0.5)))[:, 0], (height + across * thick)[:, 0]
    root, normal = _skin_at(_place(x, y, face), face)
    # The inner hairs stand up; further out they lie along the brow, the upper ones turned down, the lower ones up.
    upright = step(0.30, -0.02, along)
    slope = rise + 0.15 + 1.5 * upright - 0.55 * across * (1 - upright) + 0.4 * (random[:, 2:3] - 0.5)
    direction = torch.cat([side * (1.0 - 0.45 * upright), slope, 0 * slope], 1)
    direction = unit(direction - normal * dot(direction, normal)) + 0.22 * normal
    length = (0.55 + 0.5 * random[:, 3:4]) * (0.75 + 0.6 * brows.thickness)
    length = length * (1 - 0.5 * step(0.55, 1.0, along)) * (1 - 0.25 * upright)
    position = _grown(root + 0.02 * normal, direction, -0.16 * normal / length.clamp(min=0.3) * 0.5, length, points)
    shade = 0.75 + 0.5 * random[:, 4:5]
    colour = person.hair.brows[..., 0] * shade
    # Sparser at the upper and lower border and at both ends.
    place = (1.35 - 0.55 * across**2) * (0.2 + 0.8 * step(-0.04, 0.22, along)) * (1 - 0.5 * step(0.7, 1.05, along))
    keep = place * (0.35 + 0.65 * brows.density) - random[:, 5:6]
    return _hairs(person, "brows", position, normal, colour, keep, root_light=0.85, gloss=0.3, thick=0.9, taper=0.5)


# ------------------------------------------------------------------------------------------ lashes


def _lashes(person, pose, face: Relief, detail: int) -> Surface:
    upper, lower = 2 * round(UPPER_LASHES * detail / 2), 2 * round(LOWER_LASHES * detail / 2)
    count, points, device, eyes = upper + lower, max(4, round(detail / 22)), person.device, person.eyes
    random = chances(person, count, 6)
    is_upper = torch.arange(count, device=device) < upper
    first = torch.cat([_spread(upper, 0.5, device)[0], _spread(lower, 0.25, device)[0]]).view(1, 1, -1)
    side = torch.ones(count, device=device)
    side[1::2] = -1
    along = torch.where(is_upper, first * 1.9 - 0.88, first * 1.5 - 0.55).expand(len(person), 1, -1)
    up_edge, low_edge = shape.lid_curves(along.clamp(-1, 1), eyes, pose.blink, pose.smile.clamp(min=0))
    above = torch.where(is_upper, up_edge + 0.015, low_edge - 0.025)
    cos, sin = eyes.tilt.cos(), eyes.tilt.sin()
    x = side * (eyes.apart + along * eyes.width * cos - above * sin)
    y = above * cos + along * eyes.width * sin
    root, normal = _skin_at(_place(x[:, 0], y[:, 0], face), face)
    sign = torch.where(is_upper, 1.0, -1.0)
    # They leave the lid forwards, fan out towards the outer corner and curve away from the eye; a shut lid points down.
    fan = 0.15 + 0.75 * along + 0.35 * (random[:, 0:1] - 0.5)
    shut = pose.blink * is_upper
    direction = torch.cat([side * fan * 0.8, sign * (0.20 - 0.55 * shut) + 0 * fan, 1.0 + 0 * fan], 1)
    curl = torch.cat([side * fan * 0.35, sign * (0.75 - 0.45 * shut) + 0 * fan, -0.25 + 0 * fan], 1)
    reach = 1 - 0.55 * ((along - 0.35).abs() / 1.25) ** 2
    length = torch.where(is_upper, 0.62, 0.30) * (0.7 + 0.5 * random[:, 1:2]) * reach * person.hair.lashes
    position = _grown(root, direction, curl, length, points)
    colour = person.hair.brows[..., 0] * 0.35 * (0.6 + 0.8 * random[:, 2:3])
    keep = torch.where(is_upper, 0.15 + 0.6 * person.hair.lashes, 0.6) - random[:, 3:4]
    return _hairs(person, "eyes", position, normal, colour, keep, root_light=0.8, gloss=0.1, thick=0.8, taper=0.7)


# ------------------------------------------------------------------------------------------ beards


def beard_zone(person, face: Relief) -> tuple[Tensor, Tensor]:
    """Where a beard and a moustache grow, 0 ... 1 (B, H, W) each, for the person's kind of beard."""
    side, y, z = face.x.abs(), face.y, face.z
    uneven = 0.35 * face.coarse + 0.10 * face.middle
    below_lips = face.lip_bottom - face.mouth_y
    cheek_line = -4.7 - 1.2 * step(6.4, 3.2, side) + 3.4 * step(5.4, 7.2, side) + 0.5 * uneven
    beside_mouth = step(2.2, 3.4, side + 1.6 * step(-8.2, -9.6, y) + 0.3 * uneven)
    jaw = step(0.5, -0.7, y - cheek_line) * beside_mouth * step(-1.8, 0.4, z)
    chin = step(0.30, 1.1, below_lips + 0.25 * uneven) * step(4.2, 2.6, side) * face.front
    soul = 0.8 * bump(face.x, 0.4) * step(0.05, 0.3, below_lips) * face.front
    narrow = 1 - person.hair.goatee * step(2.3, 3.3, side + 0.4 * uneven)
    above = face.mouth_y - face.lip_top
    moustache = step(0.03, 0.22, above) * step(-4.50, -5.0, y + 0.1 * uneven) * step(3.5, 2.5, side + 0.3 * uneven)
    moustache = moustache * (1 - 0.35 * bump(face.x, 0.16)) * face.front
    corner = bump(side - 3.0, 0.45) * step(-5.6, -6.5, y) * step(-9.5, -8.5, y) * face.front * person.hair.beard
    clear = step(0.04, -0.06, face.lips)
    return torch.maximum(torch.maximum(jaw, chin) * narrow, soul) * clear, torch.maximum(moustache, corner) * clear


def _lower(face: Relief) -> Relief:
    """Every second point of the lower face: enough to tell where a beard grows."""
    start = int(face.x.shape[1] * 0.4)
    return Relief(**{name: value[..., start::2, ::2] for name, value in vars(face).items()})


def _beard(person, face: Relief, detail: int) -> Surface:
    count, points = round(BEARD_HAIRS * detail), max(6, round(detail / 10))
    look, face = person.hair, _lower(face)
    u, v = _spread(count, 0.5, person.device)
    place = torch.stack([(u * 2 - 1) * 0.86, (v * 2 - 1) * 0.98], -1).expand(len(person), 1, -1, -1)
    beard, moustache = beard_zone(person, face)
    zones = torch.stack([beard * look.beard, moustache * look.moustache, face.across.clamp(-3, 3), face.y], 1)
    beard, moustache, across, y = F.grid_sample(zones, place, align_corners=True)[:, :, 0].split(1, 1)
    root, normal = _skin_at(place, face)
    random = chances(person, count, 8)
    lip = moustache > beard
    side = torch.sign(root[:, 0:1])
    # On cheeks and jaw hair grows down and a little forwards, over the lip down and aside, under the jaw forwards.
    tufts = 0.5 * noise("cloudy", root[:, 0:1] / 14 + person.offset_x, root[:, 1:2] / 22 + person.offset_y)
    sideways = torch.where(lip, 0.85 * side * step(0, 0.4, root[:, 0:1].abs()), 0.20 * side) + 0.45 * tufts
    forward = 0.35 * (random[:, 1:2] - 0.3) + 0.2 * step(5.0, 7.5, root[:, 0:1].abs())
    direction = torch.cat([sideways + 0.35 * (random[:, 0:1] - 0.5), -1.0 + 0 * side, forward], 1)
    direction = unit(direction - normal * dot(direction, normal))
    direction = unit(direction + normal * (0.42 + 0.25 * random[:, 2:3]))
    sparse = step(0.05, 0.85, torch.maximum(beard, moustache))
    low = (0.35 + 0.65 * step(-5.0, -9.0, y)) * (0.55 + 0.45 * bump(root[:, 0:1], 3.2))  # longest at the chin
    length = torch.where(lip, look.moustache_length, look.beard_length * low)
    length = length * (0.55 + 0.6 * random[:, 3:4]) * (0.4 + 0.6 * sparse)
    down = torch.tensor([0.0, -0.55, 0.0], device=person.device).view(1, 3, 1)
    bend = down - 0.30 * normal + 0.45 * (random[:, 4:7] - 0.5)
    position = _grown(root, direction, bend, length, points)
    share = (1.15 * look.grey + 0.1 * step(0, 0.2, look.grey)).clamp(max=1)  # beards turn grey first
    grey = (share + 1.2 * share * (1 - share) * (random[:, 7:8] - 0.5)).clamp(0, 1)
    white = torch.tensor(WHITE, device=person.device).view(1, 3, 1)
    colour = mix(0.9 * look.natural[..., 0], white, grey)
    colour = colour * (0.70 + 0.6 * random[:, 4:5]) * (1 + 0.25 * tufts)
    keep = sparse - random[:, 5:6]
    return _hairs(person, "beard", position, normal, colour, keep, root_light=0.55, gloss=0.5, thick=1.0, taper=0.25)
