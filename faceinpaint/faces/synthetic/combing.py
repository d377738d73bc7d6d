"""Combing: guides of hair grown over the skull from fixed places of the scalp."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.hair_looks import LINE_AZIMUTH, NAPE, covered
from faceinpaint.faces.synthetic.head import azimuths
from faceinpaint.faces.synthetic.maths import bump, dot, mix, normals, step, unit
from faceinpaint.faces.synthetic.noise import noise

STEPS = 24  # pieces that a guide is grown in
CENTRE = (0.0, 3.6, -1.8)  # cm; middle of the skull, from which its radius is measured
LEVELS, AROUND = 30, 48  # elevations and azimuths of the table of radii
LOWEST = -1.25  # radians of elevation
LONG = 5.0  # cm of `open`, from which hair hangs beside the face


# ------------------------------------------------------------------------------------------ fixed places


@lru_cache(maxsize=8)
def _places(guides: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where guides root on every head: fractional row of the sections and azimuth, (guides,) each.

    A low-discrepancy sequence of directions (Roberts 2018), four guides round each, face and neck left out.
    """
    generator = torch.Generator().manual_seed(11)
    i = torch.arange(3 * guides, dtype=torch.float64)
    sine = 1 - 1.74 * ((0.5 + i * 0.7548776662466927) % 1)
    azimuth = (2 * ((0.5 + i * 0.5698402909980532) % 1) - 1) * 2.86
    cosine = (1 - sine**2).sqrt()
    middle = torch.stack([cosine * azimuth.sin(), sine, cosine * azimuth.cos()], 1)
    around = torch.randn(len(i), 4, 3, generator=generator, dtype=torch.float64)
    direction = middle[:, None] + 3.0 / math.sqrt(guides) * around
    direction = (direction / direction.norm(dim=2, keepdim=True)).flatten(0, 1)
    azimuth = torch.atan2(direction[:, 0], direction[:, 2]).clamp(-2.87, 2.87)
    y, _, front, back = shape.SECTIONS.T.double()[:4]
    elevation = torch.atan2(y - CENTRE[1], 0.5 * (front - back))
    rows = torch.arange(len(y), dtype=torch.float64)
    row = interpolated(direction[:, 1].asin(), elevation.flip(0), rows.flip(0))
    lowest = torch.tensor([4.9, 4.9, 4.6, 3.4, 1.4, -2.6, -2.6, 1.6, 1.6, -4.0, NAPE - 0.4], dtype=torch.float64)
    line = interpolated(azimuth.abs(), torch.tensor(LINE_AZIMUTH, dtype=torch.float64), lowest)
    hairy = (interpolated(row, rows, y) > line).view(-1, 4).all(1)
    chosen = hairy.repeat_interleave(4).nonzero()[:guides, 0]
    return row[chosen].float().to(device), azimuth[chosen].float().to(device)


def interpolated(x: Tensor, known_x: Tensor, known_y: Tensor) -> Tensor:
    """Piecewise linear interpolation; `known_x` rises, its ends are kept beyond them."""
    after = torch.searchsorted(known_x, x).clamp(1, len(known_x) - 1)
    x0, x1, y0, y1 = known_x[after - 1], known_x[after], known_y[after - 1], known_y[after]
    return y0 + (y1 - y0) * ((x - x0) / (x1 - x0)).clamp(0, 1)


# ------------------------------------------------------------------------------------------ the skull


def skull_radii(person) -> Tensor:
    """Radius of the head round CENTRE over elevation (rows, top first) and azimuth, (B, 1, LEVELS, AROUND)."""
    device, columns = person.device, 64
    grid = loft_grid(person, 48, columns) - _vector(CENTRE, device)[..., None]
    radius = dot(grid, grid)[:, 0].sqrt().transpose(1, 2).contiguous()  # (B, columns, rows)
    falling = -(grid[:, 1].transpose(1, 2) / radius).clamp(-1, 1).asin().contiguous()
    level = torch.linspace(-math.pi / 2, -LOWEST, LEVELS, device=device)
    after = torch.searchsorted(falling, level.expand(len(person), columns, -1).contiguous()).clamp(1, 47)
    low, high = falling.gather(2, after - 1), falling.gather(2, after)
    share = ((level - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    found = mix(radius.gather(2, after - 1), radius.gather(2, after), share)  # (B, columns, LEVELS)
    known, wanted = azimuths(columns, device), torch.linspace(-math.pi, math.pi, AROUND, device=device)
    after = torch.searchsorted(known, wanted).clamp(1, columns - 1)
    share = ((wanted - known[after - 1]) / (known[after] - known[after - 1])).clamp(0, 1).view(1, -1, 1)
    table = mix(found[:, after - 1], found[:, after], share).transpose(1, 2)
    ear = bump(wanted.abs() - 1.65, 0.22) * bump(0.5 - level, 0.30)[:, None]
    over_ears = step(4.0, 8.0, person.hair.side) * (1 - person.hair.tie)  # long hair falls over the ears
    return (table + 1.7 * ear * over_ears)[:, None]


def outside(point: Tensor, radii: Tensor, clearance: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, 3, N) moved out of the head where they lie less than `clearance` (B, 1, N) cm over it.

    Also how far over that height they were, (B, 1, N) cm.
    """
    centre = _vector(CENTRE, point.device)
    p = point - centre
    radius = dot(p, p).sqrt().clamp(min=1e-3)
    elevation, azimuth = (p[:, 1:2] / radius).clamp(-1, 1).asin(), torch.atan2(p[:, 0:1], p[:, 2:3])
    place = torch.stack([azimuth / math.pi, (math.pi / 2 - elevation) / (math.pi / 2 - LOWEST) * 2 - 1], -1)
    over = radius - F.grid_sample(radii, place, align_corners=True, padding_mode="border")[:, 0] - clearance
    return centre + p * (1 - over.clamp(max=0) / radius), over.clamp(min=0)


def loft_grid(person, rows: int, columns: int) -> Tensor:
    """The bare head as one tensor (B, 3, rows, columns)."""
    return torch.stack(shape.loft(person.head, rows, columns), 1)


def on_mean_face(person, y: Tensor) -> Tensor:
    """Heights of the bare head as they would be on a face of mean length."""
    return torch.where(y < 0, y / person.head.face_length, y)


def _vector(values: tuple[float, float, float], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(1, 3, 1)


# ------------------------------------------------------------------------------------------ guides


@dataclass(frozen=True)
class Guides:
    """Where guides grow, (B, 3, N) or (B, 1, N), and what tells one from its neighbours."""

    position: Tensor
    normal: Tensor
    inside: Tensor  # cm from the hairline
    top: Tensor  # 0 ... 1, on the top of the head
    front: Tensor  # 0 ... 1, over the forehead
    brink: Tensor  # 0 ... 1, at the forehead's hairline
    fringe: Tensor  # 0 ... 1, falls over the forehead
    side: Tensor  # of the parting, -1 or 1
    length: Tensor  # cm
    layer: Tensor  # 0 next to the scalp ... 1 outermost
    vary: Tensor  # (B, 4, N) random numbers in [-1, 1]


def rooted(person, random: Tensor) -> Guides:
    """Guides in the scalp; random: (B, 5, N) numbers in [0, 1)."""
    look, device, columns = person.hair, person.device, 56
    row, azimuth = _places(random.shape[2], device)
    grid = loft_grid(person, 40, columns)
    column = interpolated(azimuth, azimuths(columns, device), torch.arange(columns, device=device).float())
    place = torch.stack([column / (columns - 1) * 2 - 1, row / (len(shape.SECTIONS) - 1) * 2 - 1], -1)
    place, both = place.expand(len(person), 1, -1, -1), torch.cat([grid, normals(grid)], 1)
    both = F.grid_sample(both, place, mode="bicubic", padding_mode="border", align_corners=True)[:, :, 0]
    position, normal = both.split(3, 1)
    y = position[:, 1:2]
    height = y / person.head.height
    normal = unit(mix(unit(normal), _vector((0, 1, 0), device), step(10.0, 11.0, height)))  # the grid ends in a point
    inside = covered(person, azimuth.view(1, 1, -1), on_mean_face(person, y))
    top = step(5.2, 8.6, height)
    front = (step(1.15, 0.6, azimuth.abs()) * step(10.8, 8.6, height)).expand_as(y)
    back = step(1.6, 2.2, azimuth.abs()) * (1 - top)
    wander = noise("cloudy", position[:, 2:3] / 30 + person.offset_x, person.offset_y.expand_as(y))
    side = torch.where(position[:, 0:1] > look.part + 0.18 * wander, 1.0, -1.0)
    vary = 2 * random[:, 1:5] - 1
    length = mix(mix(look.side, look.back, back), look.top, top) + look.front * front
    length = length * (1 + 0.12 * vary[:, 0:1]) * (0.35 + 0.65 * step(-0.3, 1.3, inside))  # shorter at the hairline
    return Guides(
        position, normal, inside, top, front, step(2.0, 0.0, inside) * front, front * (look.front < -3), side,
        length.clamp(min=0.15), random[:, 0:1], vary)


def _comb(look, guides: Guides) -> Tensor:
    """Which way each guide is combed at its root, along the scalp, (B, 3, N)."""
    x, z = guides.vary[:, 1:2], guides.vary[:, 2:3]
    stray = 0.25 + 0.5 * look.frizz
    back = look.backward + 1.3 * guides.brink * (look.open > LONG)  # at the forehead long hair first goes back
    across = guides.side * look.aside * (0.35 + 0.65 * guides.top) * (1 - 0.85 * guides.fringe) + stray * x
    forward = 0.9 * guides.fringe - back * (1 - guides.fringe) + stray * z
    down = 0.9 * (guides.top - 1) * (1 - look.lift)
    comb = torch.cat([across, down, forward], 1)
    return comb - guides.normal * dot(comb, guides.normal)


def combed(person, guides: Guides, radii: Tensor) -> Tensor:
    """Grow guides: their points (B, 3, N, STEPS + 1), root first."""
    look, device = person.hair, person.device
    down, centre = _vector((0, -1, 0), device), _vector(CENTRE, device)
    comb, knot = _comb(look, guides), _knot(look, radii)
    lift = look.lift * (0.6 + 0.5 * guides.layer) * (0.55 + 0.45 * torch.maximum(guides.top, look.lift))
    lift = lift + look.quiff * guides.front + 0.25 * guides.brink * (look.open > LONG) + 0.06 * guides.vary[:, 3:4]
    velocity = unit(mix(unit(comb), guides.normal, lift.clamp(0, 1)))
    point, stride, over = guides.position, guides.length / STEPS, torch.zeros_like(guides.length)
    path = [point]
    for i in range(STEPS):
        travelled = stride * (i + 1)
        held = torch.exp(-travelled / 6.0)  # how much of the comb is left
        outward = unit(point - centre)
        sliding = comb - outward * dot(comb, outward).clamp(min=0)
        heavy = look.weight * mix(1.0, step(0.0, 7.0, travelled), 0.85 * guides.top)
        pull = heavy * down + 0.25 * held * sliding - look.cling * over.clamp(max=1.5) * outward
        pull = mix(pull, 0.5 * unit(knot - point), look.tie * (1 - 0.5 * guides.top * held))
        velocity = unit(velocity + stride * pull)
        moved = _beside_face(look, guides, point + velocity * stride)
        moved = _wound(look, guides, knot, point, moved, stride)
        thick = 0.6 * look.wave + look.volume * (0.15 + 0.85 * guides.layer**1.5)
        clearance = 0.04 + thick * step(0.0, 2.5, travelled)
        moved, over = outside(moved, radii, clearance)
        velocity = unit(mix(velocity, unit(moved - point), 0.7 - 0.4 * look.tie))
        point = moved
        path.append(point)
    return torch.stack(path, 3)


def _beside_face(look, guides: Guides, point: Tensor) -> Tensor:
    """Hair that would hang before the face is drawn to its own side."""
    x, y, z = point.split(1, 1)
    free = look.open * (1 - guides.fringe) * step(1.0, 4.0, z) * step(6.5, 3.0, y)
    return torch.cat([torch.where(free > 0.5, torch.maximum(x * guides.side, free) * guides.side, x), y, z], 1)


def _knot(look, radii: Tensor) -> Tensor:
    """Where hair is tied, (B, 3, 1): on the back of the head, at an elevation."""
    up = look.tie_up
    towards = torch.cat([torch.zeros_like(up), up.sin(), -up.cos()], 1)
    return outside(_vector(CENTRE, up.device) + 0.1 * towards, radii, 0.7 * look.bun)[0]


def _wound(look, guides: Guides, knot: Tensor, point: Tensor, moved: Tensor, stride: Tensor) -> Tensor:
    """Hair that has come to the knot winds round it, each hair about an axis of its own."""
    toward = point - knot
    distance = dot(toward, toward).sqrt()
    radius = look.bun * (0.45 + 0.55 * guides.layer)
    axis = guides.vary[:, 1:4]
    round_ = torch.linalg.cross(axis, toward / distance.clamp(min=1e-3), dim=1)
    wound = knot + unit(toward + stride * unit(round_)) * radius
    return torch.where((look.tie > 0.5) & (distance < radius + stride), wound, moved)
