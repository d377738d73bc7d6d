"""Hair of the face: brows, moustaches and beards, rooted in the skin and moving with it."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.hair_looks import WHITE, chances
from faceinpaint.faces.synthetic.maths import bump, dot, mix, noise, step, unit
from faceinpaint.faces.synthetic.relief import Relief
from faceinpaint.faces.synthetic.surface import Surface, label_map

BROW_HAIRS, BEARD_HAIRS = 2.2, 7.0  # for each pixel of the picture's width


def face_hair(person, pose, face: Relief, detail: int) -> list[Surface]:
    """Brows, moustache and beard, in head space; they move with the expression."""
    surfaces = [_brows(person, pose, face, detail)]
    if bool((torch.maximum(person.hair.beard, person.hair.moustache) > 0).any()):
        surfaces.append(_beard(person, face, detail))
    return surfaces


def _skin_at(place: Tensor, face: Relief) -> tuple[Tensor, Tensor]:
    """Points and outward normals of the skin, (B, 3, N) each, at places (B, 1, N, 2) of its grid."""
    height, width = face.x.shape[-2:]
    across = torch.tensor([3.0 / width, 0.0], device=place.device)
    down = torch.tensor([0.0, 3.0 / height], device=place.device)
    five = torch.cat([place, place + across, place - across, place + down, place - down], 1)
    point, right, left, below, above = F.grid_sample(face.position, five, align_corners=True).unbind(2)
    return point, unit(torch.linalg.cross(below - above, right - left, dim=1))


@lru_cache(maxsize=16)
def _spread(count: int, device: torch.device) -> Tensor:
    """A low-discrepancy sequence in the unit square, (2, count) (Roberts 2018)."""
    i = torch.arange(count, dtype=torch.float64)
    return torch.stack([(0.5 + i * 0.7548776662466927) % 1, (0.5 + i * 0.5698402909980532) % 1]).float().to(device)


def _hairs(
    person, label: str, root: Tensor, direction: Tensor, bend: Tensor, length: Tensor, points: int, normal: Tensor,
    colour: Tensor, keep: Tensor, root_light: float, taper: float,
) -> Surface:
    """Hairs as parabolas: root, direction, bend, normal and colour (B, 3, N), length in cm and keep (B, 1, N).

    A fine hair covers `taper` less of its pixel at the tip; skin shows beside. Roots get `root_light` of the light
    from everywhere, tips all.
    """
    t = torch.linspace(0, 1, points, device=colour.device)
    along = length[..., None] * t
    position = root[..., None] + unit(direction)[..., None] * along + bend[..., None] * along * t
    count, share, light = root.shape[2], 1 - taper * t**2, root_light + (1 - root_light) * t
    return Surface(
        position, mix(person.skin.colour, colour[..., None], share),
        label_map(label, position[:1, :, :1, :1]).expand(len(person), 1, count, points),
        keep[..., None].expand(-1, -1, -1, points), light.view(1, 1, 1, -1).expand(len(person), -1, count, -1),
        torch.full_like(person.age[..., None], 0.4), normal=normal[..., None].expand(-1, -1, -1, points), strands=True)


# ------------------------------------------------------------------------------------------ brows


def _brows(person, pose, face: Relief, detail: int) -> Surface:
    count, points = 2 * round(BROW_HAIRS * detail / 2), max(4, round(detail / 18))
    brows = person.brows
    first, second = _spread(count, person.device)[:, None, None]
    random = chances(person, count, 6)
    side = torch.ones(count, device=person.device)
    side[1::2] = -1
    along = (first * 1.08 - 0.04).expand(len(person), 1, -1)
    out = shape.BROW_START + brows.inner + along * shape.BROW_SPAN * brows.length
    _, height, half = shape.brow_curve(out, brows, pose.brow_raise)
    rise = (shape.brow_curve(out + 0.2, brows, pose.brow_raise)[1] - height) / 0.2
    across = (2 * second - 1) * (0.80 + 0.35 * random[:, 0:1])
    x, y = (side * out)[:, 0], (height + across * half)[:, 0]
    root, normal = _skin_at(face.places(x, y, face.y[:, :, 0]), face)
    # The inner hairs stand up; further out they lie along the brow, the upper ones turned down, the lower ones up.
    upright = step(0.30, -0.02, along)
    slope = rise + 0.15 + 1.5 * upright - 0.55 * across * (1 - upright) + 0.4 * (random[:, 1:2] - 0.5)
    direction = torch.cat([side * (1.0 - 0.45 * upright), slope, 0 * slope], 1)
    direction = unit(direction - normal * dot(direction, normal)) + 0.22 * normal
    length = (0.55 + 0.5 * random[:, 2:3]) * (0.75 + 0.6 * brows.thickness) * (1 - 0.5 * step(0.55, 1.0, along))
    colour = person.hair.brows[..., 0] * (0.75 + 0.5 * random[:, 3:4])
    # Sparser at the upper and lower border and at both ends.
    place = (1.35 - 0.55 * across**2) * (0.2 + 0.8 * step(-0.04, 0.22, along)) * (1 - 0.5 * step(0.7, 1.05, along))
    keep = place * (0.35 + 0.65 * brows.density) - random[:, 4:5]
    return _hairs(
        person, "brows", root + 0.02 * normal, direction, -0.1 * normal, length, points, normal, colour, keep,
        root_light=0.85, taper=0.5)


# ------------------------------------------------------------------------------------------ beards


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


def _beard(person, face: Relief, detail: int) -> Surface:
    count, points = round(BEARD_HAIRS * detail), max(6, round(detail / 10))
    look, face = person.hair, _lower(face)
    u, v = _spread(count, person.device)
    place = torch.stack([(u * 2 - 1) * 0.86, (v * 2 - 1) * 0.98], -1).expand(len(person), 1, -1, -1)
    beard, moustache = beard_zone(person, face)
    zones = torch.stack([beard * look.beard, moustache * look.moustache, face.y], 1)
    beard, moustache, y = F.grid_sample(zones, place, align_corners=True)[:, :, 0].split(1, 1)
    root, normal = _skin_at(place, face)
    x = root[:, 0:1]
    random, lip, side = chances(person, count, 8), moustache > beard, torch.sign(x)
    # On cheeks and jaw hair grows down and a little forwards, over the lip down and aside, under the jaw forwards.
    tufts = 0.5 * noise("cloudy", x / 14 + person.offset_x, root[:, 1:2] / 22 + person.offset_y)
    sideways = torch.where(lip, 0.85 * side * step(0, 0.4, x.abs()), 0.20 * side) + 0.45 * tufts
    forward = 0.35 * (random[:, 1:2] - 0.3) + 0.2 * step(5.0, 7.5, x.abs())
    direction = torch.cat([sideways + 0.35 * (random[:, 0:1] - 0.5), -1.0 + 0 * side, forward], 1)
    direction = unit(direction - normal * dot(direction, normal)) + normal * (0.42 + 0.25 * random[:, 2:3])
    sparse = step(0.05, 0.85, torch.maximum(beard, moustache))
    low = (0.35 + 0.65 * step(-5.0, -9.0, y)) * (0.55 + 0.45 * bump(x, 3.2))  # longest at the chin
    length = torch.where(lip, look.moustache_length, look.beard_length * low)
    length = length * (0.55 + 0.6 * random[:, 3:4]) * (0.4 + 0.6 * sparse)
    down = torch.tensor([0.0, -0.55, 0.0], device=person.device).view(1, 3, 1)
    bend = down - 0.30 * normal + 0.45 * (random[:, 4:7] - 0.5)
    share = (1.25 * look.grey).clamp(max=1)  # beards turn grey first
    grey = (share + 1.2 * share * (1 - share) * (random[:, 7:8] - 0.5)).clamp(0, 1)
    white = torch.tensor(WHITE, device=person.device).view(1, 3, 1)
    colour = mix(0.9 * look.natural[..., 0], white, grey) * (0.70 + 0.6 * random[:, 4:5]) * (1 + 0.25 * tufts)
    return _hairs(
        person, "beard", root, direction, bend, length, points, normal, colour, sparse - random[:, 5:6],
        root_light=0.55, taper=0.25)
