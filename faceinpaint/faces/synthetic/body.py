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

KINDS = ("crew neck", "V-neck", "open shirt", "top", "hoodie", "jacket", "roll-neck")
CREW, VEE, SHIRT, TOP, HOODIE, JACKET, ROLL = range(len(KINDS))


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
        chosen = ((self.rings >= low) & (self.rings <= high)).nonzero()[:, 0]
        first, last = int(chosen[0]), int(chosen[-1]) + 1
        return Figure(
            self.turned[:, :, first:last], self.normal[:, :, first:last], self.rings[first:last],
            *(v[:, first:last] for v in (self.ring, self.azimuth, self.x, self.y)))


def body(person, pose, turn: Tensor, points: int) -> list[Surface]:
    """Neck, shoulders and clothes in world space; `turn` (B, 3, 3) is the head's, `points` the picture's width."""
    figure = _figure(person, turn, round(0.32 * points), round(0.60 * points))
    kind = _kinds(person, pose)
    return [
        _skin(person, pose, kind, figure.rows(0, 5.7)),
        _garment(person, pose, kind, figure.rows(1.5, 8.7)),
        _collar(person, pose, kind, figure.rows(2.5, 5.7)),
    ]


# ------------------------------------------------------------------------------------------ the bare figure


@lru_cache(maxsize=8)
def _grid(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """RINGS along a Catmull-Rom spline (9, R, 1), ring numbers (R,), places across -1 ... 1 (1, C), azimuths (R, C)."""
    rings = torch.linspace(0, len(RINGS) - 1, rows)
    weights = spline_weights(len(RINGS), rows)
    along = (weights @ RINGS).T[..., None]
    across = torch.linspace(-1, 1, columns)[None]
    # Round the neck the columns lie evenly; over the shoulders rather as they are seen from the front.
    flat = (0.62 * torch.asin(0.999 * across) + 0.74 * across) / 1.69
    azimuth = along[7] * mix(across, flat, step(3.2, 5.0, rings)[:, None])
    return along.to(device), rings.to(device), across.to(device), azimuth.to(device)


def _figure(person, turn: Tensor, rows: int, columns: int) -> Figure:
    along, rings, _, azimuth = _grid(rows, columns, person.device)
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
    """Sternomastoids, windpipe, Adam's apple, the notch over the breastbone and collarbones; cm outwards."""
    masculine, lean = 1 - person.feminine, (1.0 - person.head.cheek).clamp(0.5, 1.5)
    side = azimuth.abs()
    down = ((ring - 0.6) / 3.5).clamp(0, 1)  # from behind the ear to the breastbone
    course = mix(torch.full_like(down, 1.85), torch.full_like(down, 0.17), down**0.8)
    strap = 0.30 * bump(side - course, 0.20 - 0.08 * down) * step(4.5, 3.7, ring)
    hollow = -0.22 * bump(side - course - 0.55, 0.3) * step(2.2, 3.6, ring) * step(5.0, 4.2, ring)
    throat = step(1.2, 2.2, ring) * step(4.3, 3.6, ring)
    pipe = 0.22 * bump(x, 1.2) * throat
    apple = (0.06 + 0.34 * masculine) * bump(x, 0.55 + 0.012 * (y + 13.9) ** 2) * bump(y + 13.9, 0.65)
    notch = -0.45 * bump(x, 0.75) * bump(y + 18.1, 0.55)
    wide = x.abs()
    bone_y = -18.35 + 0.5 * step(1.0, 9.0, wide) - 0.03 * (wide - 7) * step(7.0, 16.0, wide)
    bone = 0.42 * bump(y - bone_y, 0.42) * step(0.8, 1.7, wide) * step(16.0, 11.0, wide)
    pit = -0.40 * bump(y - bone_y - 1.15, 0.6) * bump(wide - 6.0, 2.6)
    return strap * lean + hollow * lean + pipe + apple + notch + (bone + pit) * lean


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
    pale = vector((0.97, 0.955, 0.95), u.device)
    blush = 0.5 * bump(figure.x, 4.0) * step(3.2, 5.0, ring) * skin.redness
    uneven = skin.mottle * (0.05 * noise("cloudy", u, v) + 0.02 * noise("rough", 3 * u, 3 * v))
    creases = (person.age + 0.3) * (bump(figure.y + 13.2 + 0.15 * figure.x.abs(), 0.09) + bump(figure.y + 15.3, 0.08))
    creases = 0.10 * creases * step(1.5, 0.9, figure.azimuth.abs())
    albedo = skin.colour * pale * (1 + (uneven - creases)[:, None])
    albedo = albedo * (1 + blush[:, None] * vector((0.0, -0.10, -0.08), u.device))
    albedo = mix(albedo, person.hair.colour * 0.5 + 0.25 * albedo, _neck_stubble(person, figure)[:, None])
    gloss = (0.35 * skin.shine).expand_as(ring)[:, None]
    # A little under the edge of what is worn the skin ends, or it would shine through the cloth.
    bare = 0.18 - _covered(kind, pose, figure)
    return Surface(
        figure.turned, albedo, label_map("skin", figure.turned), bare[:, None], _under_head(figure)[:, None], gloss,
        sharpness=14.0, scatter=True, normal=figure.normal)


def _neck_stubble(person, figure: Figure) -> Tensor:
    grown = torch.maximum(0.6 * person.hair.beard, 0.5 * person.skin.stubble)
    return 0.45 * grown * step(2.1, 1.0, figure.ring) * step(1.5, 1.1, figure.azimuth.abs())


def _under_head(figure: Figure) -> Tensor:
    """Share of the light from everywhere that head and jaw leave to the neck, (B, R, C)."""
    front = 0.5 + 0.5 * figure.azimuth.cos()
    open_ = step(0.6, 4.6, figure.ring + 0.5 * (1 - front))
    return 0.40 + 0.58 * open_


# ------------------------------------------------------------------------------------------ clothes


def _kinds(person, pose) -> Tensor:
    """What each person wears, (B, 1, 1) index into KINDS, from the photograph's numbers."""
    place = (pose.pattern * 7.31 + pose.collar * 2.77) % 1
    likely = {  # share of each kind among women and among men
        CREW: (0.24, 0.30), VEE: (0.14, 0.12), SHIRT: (0.12, 0.22), TOP: (0.28, 0.0), HOODIE: (0.06, 0.12),
        JACKET: (0.08, 0.16), ROLL: (0.08, 0.08)}
    kind, reached = torch.zeros_like(place), torch.zeros_like(place)
    for index, (women, men) in likely.items():
        reached = reached + mix(torch.full_like(place, men), torch.full_like(place, women), person.feminine)
        kind = torch.where(place > reached - 1e-6, torch.full_like(kind, index + 1.0), kind)
    return kind.clamp(max=ROLL)


def _is(kind: Tensor, *indices: int) -> Tensor:
    """1 for those who wear one of these kinds, else 0."""
    return sum((kind == index).float() for index in indices)


def _choose(kind: Tensor, values: dict[int, Tensor | float]) -> Tensor:
    """For each person the value (a number, or (B, 1, 1)) that their kind of garment has; 0 for kinds not named."""
    return sum((kind == index) * value for index, value in values.items()) + torch.zeros_like(kind)


def _neckline(kind: Tensor, pose, figure: Figure) -> Tensor:
    """The ring that the garment begins on at each azimuth, (B, R, C): level, a round dip in front, and a V."""
    side, low = figure.azimuth.abs(), pose.collar / 2.5
    level = _choose(kind, {CREW: 3.62, VEE: 3.7, SHIRT: 3.5, TOP: 4.15, HOODIE: 3.7, JACKET: 3.35, ROLL: 1.85})
    dip = _choose(kind, {CREW: 0.35 * low, TOP: 0.5 + 0.7 * low, HOODIE: 0.5, ROLL: 0.25})
    cut = _choose(kind, {VEE: 0.9 + 0.9 * low, SHIRT: 0.5 + 1.4 * low, JACKET: 0.25})
    half = _choose(kind, {VEE: 0.95, SHIRT: 0.55, JACKET: 0.4}) + 1e-3
    front = figure.azimuth.cos().clamp(min=0)
    return level + dip * front * front + cut * (1 - side / half).clamp(min=0)


def _folds(pose, figure: Figure, depth: Tensor) -> Tensor:
    """Folds of cloth that hangs from the shoulders, cm."""
    x, y = figure.x + 31 * pose.pattern, figure.y + 17 * pose.collar
    hanging = noise("smooth", (x + 0.35 * figure.y) / 34, y / 75)
    return depth * (hanging + 0.5 * noise("cloudy", (x - 0.5 * figure.y) / 40, y / 60))


def _garment(person, pose, kind: Tensor, figure: Figure) -> Surface:
    below = (figure.ring - _neckline(kind, pose, figure)) * CM  # cm from the edge down
    loose = {CREW: 0.16, VEE: 0.14, SHIRT: 0.14, TOP: 0.12, HOODIE: 0.30, JACKET: 0.07, ROLL: 0.14}
    fold = _folds(pose, figure, _choose(kind, loose))
    thick = _choose(kind, {CREW: 0.16, VEE: 0.24, SHIRT: 0.12, TOP: 0.10, HOODIE: 0.40, JACKET: 0.15, ROLL: 0.28})
    band = _band(kind, below)
    jacket = _is(kind, JACKET) * step(-0.06, 0.06, _lapel_edge(figure))
    edge = step(0.0, 0.12, below)  # the cloth's edge is rounded towards the skin
    out = thick * (0.55 + 0.45 * edge) + 0.10 * band + fold * step(0.3, 2.5, below) + 0.35 * jacket
    ribs = band * (1 - _is(kind, TOP))
    ribs = ribs * _ribs(figure, 90)
    out = out + _roll(kind, figure, below) + 0.02 * ribs
    position = figure.turned + figure.normal * out[:, None]
    albedo = _cloth(person, pose, kind, figure, jacket) * (1 - 0.10 * ribs)[:, None]
    seam = bump(below - _band_width(kind), 0.06) * _is(kind, CREW, VEE)
    button = _buttons(kind, figure)
    albedo = mix(albedo * (1 - 0.35 * seam)[:, None], albedo.mean(1, keepdim=True) * 0.5 + 0.2, button[:, None])
    hollow = (1 + 1.6 * fold.clamp(-0.35, 0.08)) * (1 - 0.45 * _beside_collar(kind, pose, figure, jacket))
    occlusion = (_under_head(figure) * hollow)[:, None]
    gloss = (0.12 + 0.3 * button)[:, None]
    return Surface(position, albedo, label_map("clothes", position), below[:, None], occlusion, gloss, sharpness=6.0)


def _beside_collar(kind: Tensor, pose, figure: Figure, jacket: Tensor) -> Tensor:
    """The soft shadow under a shirt's collar, and that of a jacket's front on the shirt; 0 ... 1."""
    gap, _, bottom = _collar_edges(kind, pose, figure)
    under = step(-0.7, 0.0, torch.minimum(bottom, gap + 0.2)) * (_is(kind, SHIRT, JACKET) * (1 - jacket))
    return torch.maximum(under, _is(kind, JACKET) * (1 - jacket) * step(-0.8, 0.0, _lapel_edge(figure)))


def _ribs(figure: Figure, count: float) -> Tensor:
    """Knitted ribs round the neck, -1 ... 1, `count` / 2 pi for each radian; none on a grid too coarse for them."""
    columns = figure.azimuth.shape[-1]
    return torch.sin(figure.azimuth * count) * min(1.0, max(0.0, columns * 2.9 / count / 2 - 1.2))


def _band_width(kind: Tensor) -> Tensor:
    return 1.5 * _is(kind, CREW) + 1.2 * _is(kind, VEE) + 0.35 * _is(kind, TOP)


def _band(kind: Tensor, below: Tensor) -> Tensor:
    """1 on the knitted band round the neck."""
    width = _band_width(kind)
    return step(width + 0.08, width - 0.04, below) * (width > 0)


def _roll(kind: Tensor, figure: Figure, below: Tensor) -> Tensor:
    """The turned-over collar of a roll-neck: a thick ring with its lower edge, cm outwards."""
    over = step(0.0, 0.5, below) * step(4.4, 4.0, below)
    slack = 0.12 * noise("smooth", figure.azimuth / 2.2, below / 14) * step(0.3, 1.2, below)
    ribs = 0.03 * _ribs(figure, 75) * step(0.1, 0.5, below)
    return _is(kind, ROLL) * (0.30 * over + slack + ribs)


def _lapel_edge(figure: Figure) -> Tensor:
    """Signed distance to the inner edge of a jacket's front, cm, > 0 on the jacket."""
    return (figure.x.abs() - 6.6) * 0.85 + (-15.6 - figure.y) * 0.52 + 0.25 * bump(figure.y + 15.2, 0.8)


def _buttons(kind: Tensor, figure: Figure) -> Tensor:
    place = (figure.y + 19.4) / 4.2
    from_button = (place - place.round()) * 4.2
    reach = (figure.x**2 + from_button**2).sqrt()
    return _is(kind, SHIRT) * step(0.50, 0.38, reach) * step(-18.6, -19.0, figure.y)


def _cloth(person, pose, kind: Tensor, figure: Figure, jacket: Tensor) -> Tensor:
    """Colours (B, 3, R, C): plain, striped or checked, with weave and wear."""
    grey = pose.cloth.mean(1, keepdim=True)
    dyed = (0.5 * pose.cloth + 0.5 * grey) * (0.3 + 1.3 * grey)  # most clothes are muted, and many are dark
    plain = dyed.expand(-1, -1, *figure.x.shape[1:])
    place = (pose.pattern * 13.7) % 1
    along, across = figure.ring * CM, figure.azimuth * 7.5
    striped = (place > 0.62) & (place < 0.78) & (_is(kind, CREW, TOP, SHIRT) > 0)
    checked = (place > 0.78) & (_is(kind, SHIRT, TOP) > 0)
    width = 1.0 + 1.4 * pose.pattern
    stripes = step(-0.25, 0.25, torch.sin(along * 2 * torch.pi / width))
    checks = 0.5 * stripes + 0.5 * step(-0.25, 0.25, torch.sin(across * 2 * torch.pi / width))
    amount = torch.where(striped, stripes, torch.where(checked, checks, torch.zeros_like(stripes)))
    light = (0.30 + 0.5 * plain.mean(1, keepdim=True)).clamp(max=0.6)
    other = torch.where(plain.mean(1, keepdim=True) < 0.2, light.expand_as(plain), plain * 0.3)
    colour = mix(plain, other, amount[:, None])
    # Under a jacket goes a pale shirt.
    shirt = (0.45 + 0.15 * place)[:, None] * vector((0.97, 0.99, 1.03), colour.device)
    suit = plain * 0.35 + 0.008
    tie = (place > 0.45) * (1 - person.feminine) * _tie(figure)
    silk = torch.tensor([[0.20, 0.02, 0.03], [0.02, 0.04, 0.12], [0.03, 0.03, 0.035]], device=colour.device)
    silk = silk[(place * 97 % 3).long()[:, 0, 0].clamp(0, 2)][:, :, None, None]
    worn = mix(mix(shirt.expand_as(plain), silk, tie[:, None]), suit, jacket[:, None])
    colour = torch.where(_is(kind, JACKET)[:, None] > 0, worn, colour)
    weave = noise("grain", figure.azimuth * 1.1, figure.y / 7) + noise("cloudy", figure.x / 50, figure.y / 50)
    return colour * (1 + 0.05 * weave)[:, None]


def _hood_edge(figure: Figure) -> tuple[Tensor, Tensor]:
    """Place across the roll of a hood, -1 at the neck ... 1 outside, and the signed distance to its edge in cm."""
    side = figure.azimuth.abs()
    across = (figure.ring - 4.0 - 0.55 * side.cos().clamp(min=0) ** 2) / 1.05
    return across, torch.minimum(1 - across.abs(), (side - 0.10) * 2.5) * CM


def _covered(kind: Tensor, pose, figure: Figure) -> Tensor:
    """How far in cm a point of the figure lies inside the edge of the garment or of its collar."""
    below = (figure.ring - _neckline(kind, pose, figure)) * CM
    gap, top, _ = _collar_edges(kind, pose, figure)
    shirt = torch.maximum(below, torch.minimum(gap, top) - 0.3)
    _, hood = _hood_edge(figure)
    covered = torch.where(_is(kind, SHIRT, JACKET) > 0, shirt, below)
    return torch.where(kind == HOODIE, torch.maximum(below, hood - 0.25), covered)


def _opening(kind: Tensor, pose, ring: Tensor) -> Tensor:
    """Half the azimuth that a shirt is open in front at each ring: a V, or a gap that widens under a knot."""
    low = pose.collar / 2.5
    vee = 0.55 * (1 - (ring - 3.5) / (0.5 + 1.4 * low))
    return torch.where(kind == JACKET, 0.05 + 0.26 * (ring - 3.35), vee).clamp(min=0)


def _tie(figure: Figure) -> Tensor:
    """1 on a tie: a knot that narrows downwards and the blade under it."""
    down = -16.9 - figure.y
    half = torch.where(down < 2.2, 1.55 - 0.28 * down, 0.85 + 0.16 * (down - 2.2))
    return step(-0.06, 0.06, half - figure.x.abs()) * step(0.0, 0.15, down)


def _collar_edges(kind: Tensor, pose, figure: Figure) -> tuple[Tensor, Tensor, Tensor]:
    """Signed distances in cm, > 0 on a shirt's collar, to its edges in front, on top and below."""
    side, ring = figure.azimuth.abs(), figure.ring
    gap = (side - _opening(kind, pose, ring)) * 6.5
    top = (ring - 2.75 - 0.70 * step(1.2, 0.1, side)) * CM
    bottom = (4.25 + 0.95 * step(1.15, 0.25, side) - ring) * CM
    return gap, top, bottom


def _collar(person, pose, kind: Tensor, figure: Figure) -> Surface:
    """What lies over the garment at the neck: a shirt's collar, a hood."""
    side, ring = figure.azimuth.abs(), figure.ring
    gap, top, bottom = _collar_edges(kind, pose, figure)
    shirt = torch.minimum(torch.minimum(gap, top), bottom)
    shirt_out = 0.24 + 0.28 * step(0.0, 0.6, top) + 0.08 * step(1.0, 0.0, bottom)
    # A hood lies round the neck as a thick roll, open in front.
    across, hood = _hood_edge(figure)
    slack = 1 + 0.20 * noise("smooth", figure.azimuth / 5 + pose.pattern, ring / 9)
    hood_out = 0.30 + 1.40 * (1 - across**2).clamp(min=0) ** 0.5 * slack * step(0.0, 0.6, side)
    keep = torch.where(kind == HOODIE, hood, torch.where(_is(kind, SHIRT, JACKET) > 0, shirt, -torch.ones_like(ring)))
    out = torch.where(kind == HOODIE, hood_out, shirt_out)
    position = figure.turned + figure.normal * out[:, None]
    stitched = 0.12 * bump(shirt - 0.40, 0.06) * (kind != HOODIE)
    albedo = _cloth(person, pose, kind, figure, torch.zeros_like(ring)) * (1 - stitched)[:, None]
    inner = torch.where(kind == HOODIE, step(-1.0, -0.2, across), torch.ones_like(ring))  # a hood is dark inside
    occlusion = (_under_head(figure) * (0.55 + 0.45 * inner))[:, None]
    gloss = torch.full_like(ring, 0.12)[:, None]
    return Surface(position, albedo, label_map("clothes", position), keep[:, None], occlusion, gloss, sharpness=6.0)
