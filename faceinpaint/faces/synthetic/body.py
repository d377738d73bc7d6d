"""Neck, shoulders and clothes: one figure of rings from inside the head down to the chest, and layers laid over it.

World space, cm: the shoulders stay where they are while the neck's upper rings follow the turned head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic.camera import PIVOT
from faceinpaint.faces.synthetic.maths import bump, mix, noise, normals, spline_weights, step, vector
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

KINDS = ("crew neck", "V-neck", "shirt", "top", "roll-neck")
CREW, VEE, SHIRT, TOP, ROLL = range(len(KINDS))
SHARES = ((0.30, 0.42), (0.14, 0.12), (0.20, 0.38), (0.28, 0.0), (0.08, 0.08))  # of each among women and among men


@dataclass(frozen=True)
class Figure:
    """The bare figure as a grid; all but `rings` and `turned` are (B, R, C)."""

    turned: Tensor  # (B, 3, R, C) cm, with the head's turn
    normal: Tensor  # (B, 3, R, C)
    rings: Tensor  # (R,) which ring each row lies on
    ring: Tensor  # the same, with the shape of the grid
    azimuth: Tensor  # radians round the neck, 0 in front
    x: Tensor  # at rest
    y: Tensor

    def rows(self, low: float, high: float) -> Figure:
        """Only the rows between two rings."""
        chosen = (self.rings >= low) & (self.rings <= high)
        return Figure(rings=self.rings[chosen], **{
            name: value[..., chosen, :] for name, value in vars(self).items() if name != "rings"})


def body(person, pose, turn: Tensor, points: int) -> list[Surface]:
    """Neck, shoulders and clothes in world space; `turn` (B, 3, 3) is the head's, `points` the picture's width."""
    figure = _figure(person, turn, round(0.32 * points), round(0.60 * points))
    kind = _kinds(person, pose)
    return [
        _skin(person, pose, kind, figure.rows(0, 5.7)),
        _garment(person, pose, kind, figure.rows(1.5, 8.7)),
        _collar(pose, kind, figure.rows(2.5, 5.7)),
    ]


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
    front, side = front + longer, side + 0.8 * longer
    width = person.neck * neck_share + person.shoulders * cm
    depth = depth * (1 + 0.5 * (person.neck / 5.4 - 1))
    sin, cos = azimuth.sin()[None], azimuth.cos()[None]
    radius = (sin.abs() ** exponent + cos.abs() ** exponent) ** (-1 / exponent)
    y = side + (front - side) * cos * cos.abs()
    out = _muscles(person, azimuth[None], width * sin, y - longer, rings[None, :, None])
    x = (width * radius + out) * sin
    y = y + 0.3 * out.clamp(max=0.6) * step(4.5, 5.5, rings)[None, :, None]
    position = torch.stack([x, y, middle + (depth * radius + out) * cos], 1)
    turned = _bent(position, turn, share[0, :, 0])
    ring = rings[None, :, None].expand(len(person), -1, columns)
    return Figure(turned, normals(turned), rings, ring, azimuth[None].expand_as(x), x, y)


def _muscles(person, azimuth: Tensor, x: Tensor, y: Tensor, ring: Tensor) -> Tensor:
    """Sternomastoids, Adam's apple, the notch over the breastbone and collarbones; cm outwards."""
    masculine, lean = 1 - person.feminine, (1.0 - person.head.cheek).clamp(0.5, 1.5)
    down = ((ring - 0.6) / 3.5).clamp(0, 1)  # from behind the ear to the breastbone
    course = 1.85 - 1.68 * down**0.8
    strap = 0.30 * bump(azimuth.abs() - course, 0.20 - 0.08 * down) * step(4.5, 3.7, ring)
    apple = (0.06 + 0.34 * masculine) * bump(x, 0.55 + 0.012 * (y + 13.9) ** 2) * bump(y + 13.9, 0.65)
    notch = -0.45 * bump(x, 0.75) * bump(y + 18.1, 0.55)
    wide = x.abs()
    bone = 0.42 * bump(y + 18.35 - 0.5 * step(1.0, 9.0, wide), 0.42) * step(0.8, 1.7, wide) * step(16.0, 11.0, wide)
    return apple + notch + (strap + bone) * lean


def _bent(position: Tensor, turn: Tensor, share: Tensor) -> Tensor:
    """Rows turned about the head's pivot by a share (R,) of a rotation: about its axis by that share of its angle."""
    skew = 0.5 * (turn - turn.transpose(1, 2))
    sine = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1).norm(dim=1)
    cosine = 0.5 * (turn.diagonal(dim1=1, dim2=2).sum(1) - 1)
    angle = torch.atan2(sine, cosine)[:, None, None, None] * share[None, :, None, None]
    cross = (skew / sine.clamp(min=1e-6)[:, None, None])[:, None]
    matrix = torch.eye(3, device=turn.device) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    pivot = torch.tensor(PIVOT, device=turn.device)
    rows = position.permute(0, 2, 3, 1) - pivot  # (B, R, C, 3)
    return (rows @ matrix.transpose(2, 3) + pivot).permute(0, 3, 1, 2)


# ------------------------------------------------------------------------------------------ skin


def _skin(person, pose, kind: Tensor, figure: Figure) -> Surface:
    skin, ring = person.skin, figure.ring
    u, v = figure.azimuth / 4 + person.offset_x, figure.y / 28 + person.offset_y
    uneven = 0.05 * skin.mottle * noise("cloudy", u, v)
    creases = (person.age + 0.3) * (bump(figure.y + 13.2 + 0.15 * figure.x.abs(), 0.09) + bump(figure.y + 15.3, 0.08))
    creases = 0.10 * creases * step(1.5, 0.9, figure.azimuth.abs())
    albedo = skin.colour * vector((0.97, 0.94, 0.935), u.device) * (1 + (uneven - creases)[:, None])
    grown = torch.maximum(0.6 * person.hair.beard, 0.5 * person.skin.stubble)
    grown = 0.45 * grown * step(2.1, 1.0, ring) * step(1.5, 1.1, figure.azimuth.abs())
    albedo = mix(albedo, person.hair.colour * 0.5 + 0.25 * albedo, grown[:, None])
    # A little under the edge of what is worn the skin ends, or it would shine through the cloth.
    below = _below(kind, pose, figure)
    covered = torch.where(kind == SHIRT, torch.maximum(below, _collar_edge(pose, figure) - 0.3), below)
    return Surface(
        figure.turned, albedo, label_map("skin", figure.turned), (0.18 - covered)[:, None],
        _under_head(figure)[:, None], (0.35 * skin.shine).expand_as(ring)[:, None], sharpness=14.0, scatter=True,
        normal=figure.normal)


def _under_head(figure: Figure) -> Tensor:
    """Share of the light from everywhere that head and jaw leave to the neck, (B, R, C)."""
    behind = 0.5 - 0.5 * figure.azimuth.cos()
    return 0.40 + 0.58 * step(0.6, 4.6, figure.ring + 0.5 * behind)


# ------------------------------------------------------------------------------------------ clothes


def _kinds(person, pose) -> Tensor:
    """What each person wears, (B, 1, 1) index into KINDS, from the photograph's numbers."""
    place, reached = (pose.pattern * 7.31 + pose.collar * 2.77) % 1, torch.zeros_like(pose.pattern)
    kind = torch.zeros_like(place)
    for women, men in SHARES[:-1]:
        reached = reached + men + (women - men) * person.feminine
        kind = kind + (place > reached)
    return kind


def _choose(kind: Tensor, *values: Tensor | float) -> Tensor:
    """For each person the value (a number, or (B, 1, 1)) that their kind of garment has, in the order of KINDS."""
    return sum((kind == index) * value for index, value in enumerate(values))


def _neckline(kind: Tensor, pose, figure: Figure) -> Tensor:
    """The ring that the garment begins on at each azimuth, (B, R, C): level, a round dip in front, and a V."""
    side, low = figure.azimuth.abs(), pose.collar / 2.5
    level = _choose(kind, 3.62, 3.7, 3.5, 4.15, 1.85)
    dip = _choose(kind, 0.35 * low, 0, 0, 0.5 + 0.7 * low, 0.25)
    cut = _choose(kind, 0, 0.9 + 0.9 * low, 0.5 + 1.4 * low, 0, 0)
    half = _choose(kind, 1, 0.95, 0.55, 1, 1)
    front = figure.azimuth.cos().clamp(min=0)
    return level + dip * front * front + cut * (1 - side / half).clamp(min=0)


def _below(kind: Tensor, pose, figure: Figure) -> Tensor:
    """How far in cm a point of the figure lies under the garment's edge."""
    return (figure.ring - _neckline(kind, pose, figure)) * CM


def _collar_edge(pose, figure: Figure) -> Tensor:
    """Signed distance in cm to the edge of a shirt's collar, > 0 on it; it is open in a V."""
    side, ring = figure.azimuth.abs(), figure.ring
    opening = (0.55 * (1 - (ring - 3.5) / (0.5 + 0.56 * pose.collar))).clamp(min=0)
    top = ring - 2.75 - 0.70 * step(1.2, 0.1, side)
    bottom = 4.25 + 0.95 * step(1.15, 0.25, side) - ring
    return torch.minimum((side - opening) * 6.5, CM * torch.minimum(top, bottom))


def _garment(person, pose, kind: Tensor, figure: Figure) -> Surface:
    below = _below(kind, pose, figure)
    # Folds of cloth that hangs from the shoulders.
    x, y = figure.x + 31 * pose.pattern, figure.y + 17 * pose.collar
    fold = 0.15 * (noise("smooth", (x + 0.35 * figure.y) / 34, y / 75) + 0.5 * noise("cloudy", x / 40, y / 60))
    width = _choose(kind, 1.5, 1.2, 0, 0.35, 0)  # of the band round the neck
    band = step(width + 0.08, width - 0.04, below) * (width > 0)
    rolled = _choose(kind, 0, 0, 0, 0, 0.30) * step(0.0, 0.5, below) * step(4.4, 4.0, below)
    edge = step(0.0, 0.12, below)  # the cloth's edge is rounded towards the skin
    thick = _choose(kind, 0.16, 0.24, 0.12, 0.10, 0.28)
    out = thick * (0.55 + 0.45 * edge) + 0.10 * band + fold * step(0.3, 2.5, below) + rolled
    position = figure.turned + figure.normal * out[:, None]
    seam = bump(below - width, 0.06) * (width > 1)
    under_collar = (kind == SHIRT) * step(-0.7, 0.0, _collar_edge(pose, figure))
    occlusion = _under_head(figure) * (1 + 1.6 * fold.clamp(-0.35, 0.08)) * (1 - 0.45 * under_collar)
    return Surface(
        position, _cloth(pose, kind, figure) * (1 - 0.35 * seam)[:, None], label_map("clothes", position),
        below[:, None], occlusion[:, None], torch.full_like(below, 0.12)[:, None], normals(position), sharpness=6.0)


def _collar(pose, kind: Tensor, figure: Figure) -> Surface:
    """A shirt's collar, which lies over the garment at the neck."""
    edge = _collar_edge(pose, figure)
    position = figure.turned + figure.normal * (0.24 + 0.28 * step(0.0, 0.6, edge))[:, None]
    stitched = 0.12 * bump(edge - 0.40, 0.06)
    keep = torch.where(kind == SHIRT, edge, -torch.ones_like(edge))
    return Surface(
        position, _cloth(pose, kind, figure) * (1 - stitched)[:, None], label_map("clothes", position),
        keep[:, None], _under_head(figure)[:, None], torch.full_like(edge, 0.12)[:, None], normals(position),
        sharpness=6.0)


def _cloth(pose, kind: Tensor, figure: Figure) -> Tensor:
    """Colours (B, 3, R, C): plain, striped or checked, with weave."""
    grey = pose.cloth.mean(1, keepdim=True)
    plain = (0.5 * pose.cloth + 0.5 * grey) * (0.3 + 1.3 * grey)  # most clothes are muted, and many are dark
    place, wave = (pose.pattern * 13.7) % 1, 2 * torch.pi / (1.0 + 1.4 * pose.pattern)
    stripes = step(-0.25, 0.25, torch.sin(figure.ring * CM * wave))
    checks = 0.5 * stripes + 0.5 * step(-0.25, 0.25, torch.sin(figure.azimuth * 7.5 * wave))
    striped, checked = (place > 0.62) & (place < 0.78) & (kind != VEE), (place > 0.78) & (kind == SHIRT)
    amount = torch.where(checked, checks, stripes * striped)
    dark = plain.mean(1, keepdim=True)
    other = torch.where(dark < 0.2, (0.30 + 0.5 * dark).expand_as(plain), plain * 0.3)
    weave = noise("grain", figure.azimuth * 1.1, figure.y / 7) + noise("cloudy", figure.x / 50, figure.y / 50)
    return mix(plain, other, amount[:, None]) * (1 + 0.05 * weave)[:, None]
