"""Hair of the head: guides grown over the skull from fixed places of the scalp, and hairs along them.

Every guide carries a lock of 1 ... 8 hairs. All their points are one matrix product of the locks' coefficients with a
basis of curves, which is what makes a hundred and fifty thousand points cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.hair_looks import WHITE, chances, covered
from faceinpaint.faces.synthetic.maths import bump, dot, mix, normals, row_of, step, unit, vector
from faceinpaint.faces.synthetic.surface import Surface, label_map

GUIDES = 1.75  # guides for each pixel of the picture's width
LOCK = 8  # the most hairs of one guide
DENSE = 1.14  # points of a guide's row for each pixel of the picture's width
PIECE = 27.0  # cm; the longest hair that a row of points draws without gaps
STEPS = 24  # pieces that a guide is grown in
CENTRE = (0.0, 3.6, -1.8)  # cm; middle of the skull, from which its radius is measured
LEVELS, AROUND = 30, 64  # elevations and azimuths of the table of radii
LOWEST = -1.25  # radians of elevation
LONG = 5.0  # cm of `open`, from which hair hangs beside the face


def scalp_cover(person, face) -> Tensor:
    """Where hair covers the skin of the head, 0 ... 1 (B, H, W): painted dark under the hairs."""
    azimuth = shape.azimuths(face.x.shape[2], face.x.device)[None, None]
    inside = covered(person, azimuth, face.y) + 0.18 * face.middle + 0.10 * face.fine
    return step(-0.35, 0.75, inside)


def scalp_hair(person, detail: int) -> Surface:
    """The hair of the head, in head space; the same on every photograph of a person."""
    count, points = 4 * round(GUIDES * detail / 4), LOCK * max(2, round(DENSE * detail / LOCK))
    random = chances(person, count, 5 + 9 * LOCK)
    guides = rooted(person, random[:, :5])
    own = random[:, 5:].view(len(person), 9, LOCK, count).transpose(2, 3)  # (B, 9, N, LOCK), each hair's
    path = _clumped(combed(person, guides), person.hair.clump[..., None])
    outward = _outward(path)
    t, hair = _shared_out(person, points)
    knots = torch.arange(STEPS + 1, device=t.device).view(1, -1, 1)
    curve = (1 - (t[:, None] * STEPS - knots).abs()).clamp(min=0)  # straight from each point of a guide to the next
    bend, turn = step(0.0, 0.3, t)[:, None], (2 * math.pi * person.hair.turns[:, 0] * t)[:, None]
    basis = torch.cat([curve, hair, hair * t[:, None], hair * turn.cos() * bend, hair * turn.sin() * bend], 1)
    position = _product(torch.cat([path, *_lock(person, guides, own, path, outward)], 3), basis)
    albedo = _product(_colours(person, guides, own), torch.cat([hair, hair * t[:, None]], 1))
    return Surface(
        position, albedo, label_map("hair", position), _kept(person, guides, own, position, t, hair),
        _product(_occlusion(person, guides, path), curve),
        torch.full_like(person.age[..., None], 0.9), normal=_product(outward, curve), strands=True)


# ------------------------------------------------------------------------------------------ the skull


def loft_grid(person, rows: int, columns: int) -> Tensor:
    """The bare head as one tensor (B, 3, rows, columns)."""
    return torch.stack(shape.loft(person.head, rows, columns), 1)


def skull_radii(person) -> Tensor:
    """Radius of the head round CENTRE at elevations, top first, and the grid's columns, (B, 1, LEVELS, AROUND)."""
    grid = loft_grid(person, 48, AROUND) - vector(CENTRE, person.device)
    radius = dot(grid, grid).sqrt()
    elevation = (grid[:, 1] / radius[:, 0]).clamp(-1, 1).asin().transpose(1, 2).flatten(0, 1)
    level = torch.linspace(math.pi / 2, LOWEST, LEVELS, device=person.device)
    row = row_of(level.expand(len(elevation), -1), elevation).view(-1, AROUND, LEVELS).transpose(1, 2)
    across = torch.linspace(-1, 1, AROUND, device=person.device).expand_as(row)
    table = F.grid_sample(radius, torch.stack([across, row / 47 * 2 - 1], -1), align_corners=True)
    ear = bump(shape.azimuths(AROUND, person.device).abs() - 1.65, 0.22) * bump(level + 0.5, 0.30)[:, None]
    return table + 1.7 * ear * step(4.0, 8.0, person.hair.side)[:, None]  # long hair falls over the ears


def outside(point: Tensor, radii: Tensor, clearance: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, 3, N) moved out of the head where they lie less than `clearance` (B, 1, N) cm over it.

    Also how far over that height they were, (B, 1, N) cm.
    """
    centre = vector(CENTRE, point.device)[..., 0]
    p = point - centre
    radius = dot(p, p).sqrt().clamp(min=1e-3)
    elevation, azimuth = (p[:, 1:2] / radius).clamp(-1, 1).asin(), torch.atan2(p[:, 0:1], p[:, 2:3])
    level = (math.pi / 2 - elevation) / (math.pi / 2 - LOWEST) * 2 - 1
    place = torch.stack([shape.across_at(azimuth), level], -1)
    over = radius - F.grid_sample(radii, place, align_corners=True, padding_mode="border")[:, 0] - clearance
    return centre + p * (1 - over.clamp(max=0) / radius), over.clamp(min=0)


# ------------------------------------------------------------------------------------------ guides


@dataclass(frozen=True)
class Guides:
    """Where guides grow, (B, 3, N) or (B, 1, N), and what tells one from its neighbours."""

    position: Tensor
    normal: Tensor
    inside: Tensor  # cm from the hairline
    top: Tensor  # 0 ... 1, on the top of the head
    front: Tensor  # 0 ... 1, over the forehead
    brink: Tensor  # 0 ... 1, at the forehead's hairline where hair is long
    fringe: Tensor  # 0 ... 1, falls over the forehead
    side: Tensor  # of the parting, -1 or 1
    length: Tensor  # cm
    layer: Tensor  # 0 next to the scalp ... 1 outermost
    vary: Tensor  # (B, 4, N) random numbers in [-1, 1]


@lru_cache(maxsize=8)
def _places(guides: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where guides root on every head: places (1, 1, guides, 2) for `grid_sample`, and azimuths (guides,).

    A low-discrepancy sequence of directions (Roberts 2018), four guides round each, face and neck left out.
    """
    i = torch.arange(guides, dtype=torch.float64)
    sine = 1 - 1.74 * ((0.5 + i * 0.7548776662466927) % 1)
    azimuth = (2 * ((0.5 + i * 0.5698402909980532) % 1) - 1) * 2.86
    side = azimuth.abs()
    lowest = 4.5 - 7.5 * step(0.7, 1.2, side) - 4.1 * step(1.9, 2.3, side)  # no hairline lies lower, cm
    chosen = (CENTRE[1] + 9.5 * sine > lowest).nonzero()[: guides // 4, 0]
    sine, azimuth = sine[chosen], azimuth[chosen]
    cosine = (1 - sine**2).sqrt()
    middle = torch.stack([cosine * azimuth.sin(), sine, cosine * azimuth.cos()], 1).float()
    around = torch.randn(4 * len(middle), 3, generator=torch.Generator().manual_seed(11))
    x, y, z = (middle.repeat_interleave(4, 0) + 3.0 / math.sqrt(guides) * around).unbind(1)
    azimuth = torch.atan2(x, z).clamp(-2.87, 2.87)
    height, _, front, back = shape.SECTIONS.T[:4]
    elevation = torch.atan2(height - CENTRE[1], 0.5 * (front - back))
    row = row_of(torch.atan2(y, torch.hypot(x, z))[None], elevation[None])[0]
    place = torch.stack([shape.across_at(azimuth), row / (len(elevation) - 1) * 2 - 1], -1)
    return place[None, None].to(device), azimuth.to(device)


def rooted(person, random: Tensor) -> Guides:
    """Guides in the scalp; random: (B, 5, N) numbers in [0, 1)."""
    look, grid = person.hair, loft_grid(person, 40, 56)
    place, azimuth = _places(random.shape[2], person.device)
    both = F.grid_sample(
        torch.cat([grid, normals(grid)], 1), place.expand(len(person), -1, -1, -1), mode="bicubic",
        padding_mode="border", align_corners=True)[:, :, 0]
    position, normal = both.split(3, 1)
    y = position[:, 1:2]
    height = y / person.head.height
    upwards = vector((0, 1, 0), person.device)[..., 0]
    normal = unit(mix(unit(normal), upwards, step(10.0, 11.0, height)))  # the grid ends in a point
    mean_y = torch.where(y < 0, y / person.head.face_length, y)
    inside = covered(person, azimuth.view(1, 1, -1), mean_y)
    top = step(5.2, 8.6, height)
    front = (step(1.15, 0.6, azimuth.abs()) * step(10.8, 8.6, height)).expand_as(y)
    back = step(1.6, 2.2, azimuth.abs()) * (1 - top)
    vary = 2 * random[:, 1:5] - 1
    side = torch.where(position[:, 0:1] > look.part + 0.2 * vary[:, 3:4], 1.0, -1.0)
    length = mix(mix(look.side, look.back, back), look.top, top) + look.front * front
    length = length * (1 + 0.12 * vary[:, 0:1]) * (0.35 + 0.65 * step(-0.3, 1.3, inside))  # shorter at the hairline
    brink = step(2.0, 0.0, inside) * front * (look.open > LONG)
    return Guides(
        position, normal, inside, top, front, brink, front * (look.front < -3), side, length.clamp(min=0.15),
        random[:, 0:1], vary)


def _comb(look, guides: Guides) -> Tensor:
    """Which way each guide is combed at its root, along the scalp, (B, 3, N)."""
    x, z = guides.vary[:, 1:2], guides.vary[:, 2:3]
    stray = 0.25 + 0.5 * look.frizz
    back = look.backward + 1.3 * guides.brink  # at the forehead long hair first goes back
    across = guides.side * look.aside * (0.35 + 0.65 * guides.top) * (1 - 0.85 * guides.fringe) + stray * x
    forward = 0.9 * guides.fringe - back * (1 - guides.fringe) + stray * z
    down = 0.9 * (guides.top - 1) * (1 - look.lift)
    comb = torch.cat([across, down, forward], 1)
    return comb - guides.normal * dot(comb, guides.normal)


def combed(person, guides: Guides) -> Tensor:
    """Grow guides: their points (B, 3, N, STEPS + 1), root first."""
    look, radii = person.hair, skull_radii(person)
    down, centre = vector((0, -1, 0), person.device)[..., 0], vector(CENTRE, person.device)[..., 0]
    comb = _comb(look, guides)
    lift = look.lift * (0.6 + 0.5 * guides.layer) * (0.55 + 0.45 * torch.maximum(guides.top, look.lift))
    lift = lift + look.quiff * guides.front + 0.25 * guides.brink + 0.06 * guides.vary[:, 3:4]
    velocity = unit(mix(unit(comb), guides.normal, lift.clamp(0, 1)))
    thick = 0.6 * look.wave + look.volume * (0.15 + 0.85 * guides.layer**1.5)
    point, stride, over = guides.position, guides.length / STEPS, torch.zeros_like(guides.length)
    path = [point]
    for i in range(STEPS):
        travelled = stride * (i + 1)
        held = torch.exp(-travelled / 6.0)  # how much of the comb is left
        outward = unit(point - centre)
        sliding = comb - outward * dot(comb, outward).clamp(min=0)
        heavy = look.weight * mix(1.0, step(0.0, 7.0, travelled), 0.85 * guides.top)
        pull = heavy * down + 0.25 * held * sliding - look.cling * over.clamp(max=1.5) * outward
        velocity = unit(velocity + stride * pull)
        moved = _beside_face(look, guides, point + velocity * stride)
        moved, over = outside(moved, radii, 0.04 + thick * step(0.0, 2.5, travelled))
        velocity = unit(mix(velocity, unit(moved - point), 0.7))
        point = moved
        path.append(point)
    return torch.stack(path, 3)


def _beside_face(look, guides: Guides, point: Tensor) -> Tensor:
    """Hair that would hang before the face is drawn to its own side."""
    x, y, z = point.split(1, 1)
    free = look.open * (1 - guides.fringe) * step(1.0, 4.0, z) * step(6.5, 3.0, y)
    return torch.cat([torch.where(free > 0.5, torch.maximum(x * guides.side, free) * guides.side, x), y, z], 1)


def _clumped(path: Tensor, clump: Tensor) -> Tensor:
    """Draw the four neighbours of each lock together towards their tips."""
    four = path.unflatten(2, (-1, 4))
    t = torch.linspace(0, 1, path.shape[-1], device=path.device)
    return mix(four, four.mean(3, keepdim=True), clump[..., None] * 0.8 * t).flatten(2, 3)


def _outward(path: Tensor) -> Tensor:
    """Directions away from the skull and, under it, from the axis of the neck."""
    x, y, z = path.split(1, 1)
    return unit(torch.cat([x, (y - CENTRE[1]).clamp(min=0) + 0.12 * (y - CENTRE[1]).clamp(max=0), z - CENTRE[2]], 1))


# ------------------------------------------------------------------------------------------ the hairs of a lock


def _shared_out(person, points: int) -> tuple[Tensor, Tensor]:
    """How the points of a row are shared out: place t along a hair (B, P), and which hair of the lock (B, LOCK, P).

    A row of points is one long hair, or 2, 4 or 8 shorter ones.
    """
    look = person.hair
    longest = torch.maximum(torch.maximum(look.top, look.side), torch.maximum(look.back, look.top + look.front))[:, 0]
    share = points / 2 ** torch.log2(PIECE / longest).floor().clamp(0, math.log2(LOCK))
    i = torch.arange(points, device=look.device)[None]
    which = (i / share).floor()
    t = ((i - which * share) / (share - 1)).clamp(0, 1)
    return t, (which[:, None] == torch.arange(LOCK, device=look.device).view(1, -1, 1)).float()


def _product(coefficients: Tensor, basis: Tensor) -> Tensor:
    """(B, C, N, K) by (B, K, P) -> (B, C, N, P)."""
    batch, channels, count, _ = coefficients.shape
    return torch.bmm(coefficients.flatten(1, 2), basis).view(batch, channels, count, -1)


def _lock(person, guides: Guides, own: Tensor, path: Tensor, outward: Tensor) -> tuple[Tensor, ...]:
    """What a hair adds to its guide: an offset, a drift that grows along it, and the two waves of a curl.

    Coefficients (B, 3, N, LOCK) of 1, t, cos and sin.
    """
    look, count = person.hair, path.shape[2]
    along = unit(path[..., STEPS * 2 // 3] - path[..., STEPS // 4])
    out = outward[..., STEPS // 2]
    first = unit(out - along * dot(out, along))[..., None]
    second = torch.linalg.cross(along, first[..., 0], dim=1)[..., None]
    across = unit(torch.linalg.cross(guides.normal, path[..., 3] - path[..., 0] + 0.01 * along, dim=1))[..., None]
    forth = torch.linalg.cross(guides.normal[..., None], across, dim=1)
    angle, far = 2 * math.pi * own[:, 0:1], 13.0 / math.sqrt(count) * own[:, 1:2].sqrt()
    across, forth = far * angle.cos() * across, far * angle.sin() * forth
    stray = 0.35 * look.frizz[..., None] * (guides.length.clamp(max=12) / 8)[..., None]
    # Round the head `forth` would come to point into it: it fades.
    drift = stray * (2 * own[:, 3:6] - 1) - across * look.clump[..., None] - forth
    phase = 2 * math.pi * (guides.vary[:, 0:1, :, None] + 0.35 * own[:, 6:7])
    size = look.wave[..., None] * (0.7 + 0.6 * own[:, 7:8])
    return (across + forth, drift, size * (phase.cos() * first + phase.sin() * second),
            size * (phase.cos() * second - phase.sin() * first))


def _occlusion(person, guides: Guides, path: Tensor) -> Tensor:
    """Light from everywhere on guides, (B, 1, N, STEPS + 1): roots and lower layers lie in the others' shadow."""
    deep = step(0.3, 1.6, person.hair.volume + 0.08 * person.hair.top)[..., None]
    deep = deep * (1 - 1.3 * person.hair.colour.mean(1, keepdim=True)).clamp(min=0.4)  # light hair passes light on
    root = torch.exp(-guides.length[..., None] / 1.2 * torch.linspace(0, 1, STEPS + 1, device=path.device))
    return (1 - 0.45 * deep * root) * (1 - 0.6 * deep * (1 - guides.layer[..., None]) ** 1.5)


def _colours(person, guides: Guides, own: Tensor) -> Tensor:
    """Coefficients of the hairs' colours: at the root, and what is added towards the tip, (B, 3, N, 2 LOCK)."""
    look, vary = person.hair, guides.vary[..., None]
    shade = 1 + 0.25 * vary[:, 1:2] + 0.40 * (own[:, 7:8] - 0.5)
    share = look.grey[..., None]
    grey = (share + 1.6 * share * (1 - share) * (own[:, 8:9] - 0.5)).clamp(0, 1)
    root = mix(look.natural, vector(WHITE, own.device), grey) * shade
    return torch.cat([root, root * (look.tips[..., None] - 1) * (1 - grey)], 3)


def _kept(person, guides: Guides, own: Tensor, position: Tensor, t: Tensor, hair: Tensor) -> Tensor:
    """Which points are there (B, 1, N, P): hairs of the scalp, cut at different lengths, and none that joins two."""
    look, t = person.hair, t[:, None, None]
    grows = step(-0.5, 0.5, guides.inside)[..., None] > own[:, 4:5]
    cut = _product(torch.where(grows, 1 - 0.35 * own[:, 2:3] ** 2, -1.0), hair)
    x, y, z = position.split(1, 1)
    level = look.level[..., None] + 2.0 * (own[:, 5:6, :, :1] - 0.5)
    ends = torch.minimum(cut - 0.999 * t, y - level) * (t < 1)
    # A fringe is cut at the height of the brows.
    before = torch.minimum(look.open[..., None] - 0.9 - x.abs(), z - 4.5) - 100 * (guides.fringe[..., None] < 0.05)
    brow_level = 2.6 + 1.2 * own[:, 6:7, :, :1]
    return torch.minimum(ends, torch.maximum(-before, y - brow_level))
