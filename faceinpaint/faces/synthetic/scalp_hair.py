"""Hair of the head: hairs along combed guides, over a sheet of hair that nothing shines through.

Every guide (`combing`) carries a lock of 1 ... 8 hairs. All their points are one matrix product of the locks'
coefficients with a basis of curves, which is what makes a hundred and fifty thousand points cheap.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.combing import (
    CENTRE, STEPS, Guides, combed, loft_grid, on_mean_face, outside, rooted, skull_radii)
from faceinpaint.faces.synthetic.hair_looks import WHITE, chances, covered
from faceinpaint.faces.synthetic.head import azimuths
from faceinpaint.faces.synthetic.maths import bump, dot, mix, step, unit, vector
from faceinpaint.faces.synthetic.noise import noise
from faceinpaint.faces.synthetic.surface import Surface, label_map

GUIDES = 1.75  # guides for each pixel of the picture's width
LOCK = 8  # the most hairs of one guide
DENSE = 1.14  # points of a guide's row for each pixel of the picture's width
PIECE = 27.0  # cm; the longest hair that a row of points draws without gaps


def scalp_cover(person, face) -> Tensor:
    """Where hair covers the skin of the head, 0 ... 1 (B, H, W): painted dark under the strands."""
    azimuth = azimuths(face.x.shape[2], face.x.device)[None, None]
    inside = covered(person, azimuth, face.y) + 0.18 * face.middle + 0.10 * face.fine
    return step(-0.35, 0.75, inside) * (0.55 + 0.45 * person.hair.density)


def scalp_hair(person, detail: int) -> list[Surface]:
    """The hair of the head, in head space; the same on every photograph of a person."""
    count, points = 4 * round(GUIDES * detail / 4), LOCK * max(2, round(DENSE * detail / LOCK))
    radii = skull_radii(person)
    random = chances(person, count, 5 + 9 * LOCK)
    guides = rooted(person, random[:, :5])
    own = random[:, 5:].view(len(person), 9, LOCK, count).transpose(2, 3)  # (B, 9, N, LOCK), each hair's
    path = _clumped(combed(person, guides, radii), guides.side, person.hair.clump[..., None])
    outward = _outward(path)
    t, hair = _shared_out(person, points)
    curve = _catmull_rom(t, STEPS + 1)
    bend, turn = step(0.0, 0.3, t)[:, None], (2 * math.pi * person.hair.turns[:, 0] * t)[:, None]
    basis = torch.cat([curve, hair, hair * t[:, None], hair * turn.cos() * bend, hair * turn.sin() * bend], 1)
    position = _product(torch.cat([path, *_lock(person, guides, own, path, outward)], 3), basis)
    albedo = _product(_colours(person, guides, own), torch.cat([hair, hair * t[:, None]], 1))
    hairs = Surface(
        position, albedo, label_map("hair", position[:1, :, :1, :1]).expand(len(person), 1, count, points),
        _kept(person, guides, own, position, t, hair), _product(_occlusion(person, guides, path), curve),
        person.hair.gloss[..., None], normal=_product(outward, curve), strands=True)
    return [_underlayer(person, radii, detail), hairs]


# ------------------------------------------------------------------------------------------ curves along rows of points


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


def _catmull_rom(t: Tensor, knots: int) -> Tensor:
    """Weights of `knots` evenly spaced points at t (B, P) in [0, 1]: (B, knots, P)."""
    x = t[:, None] * (knots - 1) - torch.arange(knots, device=t.device).view(1, -1, 1)
    # The ends are continued: what falls on a knot beyond an end goes to the end.
    before = _cubic(t[:, None] * (knots - 1) + 1)
    after = _cubic(t[:, None] * (knots - 1) - knots)
    return torch.cat([_cubic(x[:, :1]) + before, _cubic(x[:, 1:-1]), _cubic(x[:, -1:]) + after], 1)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _product(coefficients: Tensor, basis: Tensor) -> Tensor:
    """(B, C, N, K) by (B, K, P) -> (B, C, N, P)."""
    batch, channels, count, _ = coefficients.shape
    return torch.bmm(coefficients.flatten(1, 2), basis).view(batch, channels, count, -1)


# ------------------------------------------------------------------------------------------ the hairs of a lock


def _clumped(path: Tensor, side: Tensor, clump: Tensor) -> Tensor:
    """Draw the four neighbours of each lock together towards their tips, but not across a parting."""
    batch, _, count, knots = path.shape
    four = path.view(batch, 3, count // 4, 4, knots)
    together = side.view(batch, 1, count // 4, 4, 1).mean(3, keepdim=True).abs() > 0.9
    t = torch.linspace(0, 1, knots, device=path.device)
    return mix(four, four.mean(3, keepdim=True), clump[..., None] * 0.8 * t * together).view_as(path)


def _outward(path: Tensor) -> Tensor:
    """Directions away from the skull and, under it, from the axis of the neck."""
    x, y, z = path.split(1, 1)
    return unit(torch.cat([x, (y - CENTRE[1]).clamp(min=0) + 0.12 * (y - CENTRE[1]).clamp(max=0), z - CENTRE[2]], 1))


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
    fly = 2.2 * (own[:, 2:3] > 0.95) * step(0.5, 2.5, guides.inside)[..., None]  # a few hairs leave the lock
    stray = look.frizz[..., None] * (0.35 + fly) * (guides.length.clamp(max=12) / 8)[..., None]
    # Round the head `forth` would come to point into it: it fades.
    drift = stray * (2 * own[:, 3:6] - 1) - across * look.clump[..., None] - forth
    phase = 2 * math.pi * (guides.vary[:, 0:1, :, None] + 0.35 * own[:, 6:7])
    size = look.wave[..., None] * (0.7 + 0.6 * own[:, 7:8])
    return (across + forth, drift, size * (phase.cos() * first + phase.sin() * second),
            size * (phase.cos() * second - phase.sin() * first))


def _occlusion(person, guides: Guides, path: Tensor) -> Tensor:
    """Light from everywhere on guides, (B, 1, N, STEPS + 1): roots and lower layers lie in the others' shadow."""
    from_root = guides.length[..., None] * torch.linspace(0, 1, STEPS + 1, device=path.device)
    deep = step(0.3, 1.6, person.hair.volume + 0.08 * person.hair.top)[..., None]
    deep = deep * (1 - 1.3 * person.hair.colour.mean(1, keepdim=True)).clamp(min=0.4)  # light hair passes light on
    root = 1 - 0.45 * deep * torch.exp(-from_root / 1.2)
    return root * (1 - 0.6 * deep * (1 - guides.layer[..., None]) ** 1.5) * (0.75 + 0.25 * step(-12, 2, path[:, 1:2]))


def _colours(person, guides: Guides, own: Tensor) -> Tensor:
    """Coefficients of the hairs' colours: at the root, and what is added towards the tip, (B, 3, N, 2 LOCK)."""
    look, vary = person.hair, guides.vary[..., None]
    shade = 1 + 0.30 * vary[:, 1:2] * vary[:, 2:3] + 0.40 * (own[:, 7:8] - 0.5)
    white = vector(WHITE, own.device)
    share = look.grey[..., None]
    grey = (share + 1.6 * share * (1 - share) * (own[:, 8:9] - 0.5)).clamp(0, 1)
    root = mix(look.natural, white, grey) * shade * (1 + 0.12 * vary[:, 3:4])
    return torch.cat([root, root * (look.tips[..., None] - 1) * (1 - grey)], 3)


def _kept(person, guides: Guides, own: Tensor, position: Tensor, t: Tensor, hair: Tensor) -> Tensor:
    """Which points are there (B, 1, N, P): hairs of the scalp, cut at different lengths, and none that joins two."""
    look, t = person.hair, t[:, None, None]
    grows = step(-0.5, 0.5, guides.inside)[..., None] * look.density[..., None] > own[:, 4:5]
    cut = _product(torch.where(grows, 1 - 0.35 * own[:, 2:3] ** 2, -1.0), hair)
    x, y, z = position.split(1, 1)
    level = look.level[..., None] + 2.0 * (own[:, 5:6, :, :1] - 0.5)
    ends = torch.minimum(cut - 0.999 * t, y - level) * (t < 1)
    # A fringe is cut at the height of the brows.
    before = torch.minimum(look.open[..., None] - 0.9 - x.abs(), z - 4.5) - 100 * (guides.fringe[..., None] < 0.05)
    brow_level = 2.6 + 1.2 * own[:, 6:7, :, :1]
    return torch.minimum(ends, torch.maximum(-before, y - brow_level))


# ------------------------------------------------------------------------------------------ the sheet under them


def _underlayer(person, radii: Tensor, detail: int) -> Surface:
    """A sheet over the scalp and hanging from it: nothing shines through voluminous hair."""
    look = person.hair
    columns, upper, hanging = round(0.50 * detail), round(0.29 * detail), round(0.32 * detail)
    scalp = loft_grid(person, 3 * upper, columns)[:, :, :upper]
    azimuth = azimuths(columns, person.device).view(1, 1, -1)
    inside = covered(person, azimuth, on_mean_face(person, scalp[:, 1]))
    thick = 0.45 * look.volume + 0.02
    fringe = (look.front < -3) * step(0.95, 0.70, azimuth.abs())
    parting = 1 - 0.9 * bump(scalp[:, 0] - look.part, 0.8) * step(0.5, 1.0, look.aside)
    puffed = thick * torch.maximum(step(0.2, 2.5, inside) * parting, fringe)
    worn = outside(scalp.flatten(2), radii, puffed.flatten(1)[:, None])[0].view_as(scalp)
    position = torch.cat([worn, _hanging(worn[:, :, -1], radii, thick + 0.1, hanging)], 2)
    x, y = azimuth.expand(len(person), position.shape[2], -1), position[:, 1]
    streaks = noise("rough", 0.9 * x + person.offset_x, y / 160 + person.offset_y)
    locks = noise("cloudy", 0.35 * x + person.offset_y, y / 60 + person.offset_x)
    # Where it is: on the scalp under thick hair, on the forehead under a fringe, and down from the sides of long hair.
    covers = torch.minimum(inside - 0.5, 6 * (look.volume - 0.25)) + 0.25 * streaks[:, :upper] - 100 * (look.top < 1.5)
    strips = (y - 11.4 + look.top + look.front - 0.7 * locks - 0.7 * streaks)[:, :upper]
    covers = torch.maximum(covers, torch.minimum(strips, 4 * (fringe - 0.5)))
    end = torch.maximum(look.level + 1.5, 7.0 - 0.8 * look.side) + 0.8 * locks
    hangs = torch.minimum(y - end, 6 * (x.abs() - 1.30 - 0.03 * locks)) - 100 * (look.tie + (look.side < 8))
    keep = torch.cat([covers, hangs[:, upper:]], 1)[:, None]
    albedo = look.colour * (0.62 + 0.22 * streaks + 0.10 * locks).clamp(min=0.15)[:, None]
    return Surface(position, albedo, label_map("hair", position), keep, torch.full_like(keep, 0.7), two_sided=True)


def _hanging(start: Tensor, radii: Tensor, clearance: Tensor, rows: int) -> Tensor:
    """Columns that hang down from `start` (B, 3, N) over what lies below, 24 cm, (B, 3, rows, N)."""
    down, path = torch.tensor([0.0, -1.5, 0.0], device=start.device).view(1, 3, 1), [start]
    for _ in range(16):
        path.append(outside(path[-1] + down, radii, clearance)[0])
    size = (rows + 1, start.shape[2])
    return F.interpolate(torch.stack(path, 2), size=size, mode="bilinear", align_corners=True)[:, :, 1:]
