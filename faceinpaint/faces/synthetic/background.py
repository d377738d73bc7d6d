"""What is behind the head: studio walls, rooms, windows, streets and greenery, out of focus."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.maths import blur, mix
from faceinpaint.faces.synthetic.parameters import Draw, between

CANVAS = 64  # texels; backgrounds are out of focus, so this is enough
# Reflectances times light, linear.
WALLS = [(0.62, 0.59, 0.55), (0.42, 0.40, 0.37), (0.30, 0.31, 0.32), (0.20, 0.23, 0.26), (0.33, 0.29, 0.23),
         (0.13, 0.13, 0.14)]
WOODS = [(0.05, 0.030, 0.018), (0.16, 0.095, 0.05), (0.28, 0.20, 0.13)]
LEAVES = [(0.018, 0.032, 0.012), (0.05, 0.085, 0.025), (0.12, 0.16, 0.05), (0.20, 0.19, 0.08)]
STONES = [(0.10, 0.095, 0.09), (0.24, 0.22, 0.20), (0.38, 0.35, 0.31), (0.26, 0.17, 0.13)]
SKIES = [(0.45, 0.58, 0.78), (0.62, 0.68, 0.76), (0.75, 0.76, 0.77), (0.85, 0.72, 0.58)]
BOOKS = [(0.25, 0.07, 0.05), (0.05, 0.09, 0.17), (0.32, 0.28, 0.20), (0.06, 0.12, 0.08),
         (0.03, 0.03, 0.035), (0.45, 0.43, 0.40)]
SCENES = {"studio": 0.32, "wall": 0.17, "window": 0.12, "shelves": 0.07, "office": 0.10, "leaves": 0.12, "street": 0.10}


def backgrounds(seed: Tensor, size: int) -> Tensor:
    """Linear colours (B, 3, S, S), one background for each seed (B, 1, 1); the same picture at every size."""
    small = torch.stack([_background(int(s)) for s in seed.flatten().tolist()]).to(seed.device)
    smooth = F.interpolate(small, scale_factor=2, mode="bicubic").clamp(0.002, 1.6)
    return F.interpolate(smooth, size=(size, size), mode="bilinear", antialias=size < 2 * CANVAS)


def scene_of(seed: int) -> str:
    """Which of the SCENES is the background of a seed."""
    return _draw(seed).choice(SCENES)


def surroundings(background: Tensor) -> tuple[Tensor, Tensor]:
    """Colours of the light from above and from below, (B, 3, 1, 1) each: like the background, much paler."""
    mean = F.avg_pool2d(background, 8).mean((2, 3), keepdim=True)
    pale = 0.75 + 0.25 * mean / mean.mean(1, keepdim=True).clamp(min=0.02)
    return 1.15 * pale, 0.75 * pale


def _draw(seed: int) -> Draw:
    return Draw(104_729 * seed + 77)


def _background(seed: int) -> Tensor:
    """One background on the canvas, (3, CANVAS, CANVAS)."""
    draw = _draw(seed)
    scene = draw.choice(SCENES)
    picture = {
        "studio": _studio, "wall": _wall, "window": _window, "shelves": _shelves, "office": _office,
        "leaves": _leaves, "street": _street}[scene](draw)
    focus = 0 if scene == "studio" else 1 + int(draw.uniform(0, 2.99))
    warm = draw.normal(0, 0.05)
    tint = torch.tensor([1 + warm, 1.0, 1 - warm]).view(3, 1, 1)
    return blur(picture[None], focus)[0] * draw.uniform(0.55, 1.15) * tint


# ------------------------------------------------------------------------------------------ what scenes are made of


def _colour(ramp, draw: Draw, low: float = 0.0, high: float = 1.0) -> Tensor:
    """A colour between places of a ramp, given as shares of its length."""
    return torch.tensor(between(ramp, draw.uniform(low, high) * (len(ramp) - 1))).view(3, 1, 1)


def _axes() -> tuple[Tensor, Tensor]:
    """x to the right and y down, 0 ... 1, (1, C) and (C, 1)."""
    line = (torch.arange(CANVAS) + 0.5) / CANVAS
    return line[None], line[:, None]


def _clouds(draw: Draw, cells: int) -> Tensor:
    """Smooth random field of mean 0 within +-1, (1, C, C)."""
    generator = torch.Generator().manual_seed(int(draw.uniform(0, 2**31)))
    grid = torch.rand(1, 1, cells, cells, generator=generator) * 2 - 1
    return F.interpolate(grid, size=(CANVAS, CANVAS), mode="bicubic", align_corners=True)[0]


def _above(edge: Tensor, soft: float = 0.012) -> Tensor:
    """1 where a signed distance is above 0, 0 below, with a soft edge; in shares of the picture's side."""
    return torch.sigmoid(edge / soft)


def _box(picture: Tensor, colour: Tensor, left: float, top: float, width: float, height: float) -> Tensor:
    """The picture with a rectangle of a colour on it."""
    x, y = _axes()
    inside = _above(x - left) * _above(left + width - x) * _above(y - top) * _above(top + height - y)
    return mix(picture, colour, inside)


def _lit_wall(draw: Draw, low: float = 0.0, high: float = 1.0) -> Tensor:
    """A plain wall with light falling off across it."""
    x, y = _axes()
    fall = 1 + draw.uniform(-0.45, 0.45) * (x - 0.5) + draw.uniform(-0.5, 0.2) * (y - 0.5)
    return _colour(WALLS, draw, low, high) * (fall + 0.05 * _clouds(draw, 4))


# ------------------------------------------------------------------------------------------ scenes


def _studio(draw: Draw) -> Tensor:
    """Paper or painted canvas behind the sitter, with a spot of light on it."""
    x, y = _axes()
    base = _colour(WALLS, draw)
    if draw.chance(0.35):
        base = base * (0.8 + 0.4 * torch.tensor([draw.uniform(), draw.uniform(), draw.uniform()]).view(3, 1, 1))
    reach = (x - draw.uniform(0.3, 0.7)) ** 2 + (y - draw.uniform(0.25, 0.6)) ** 2
    spot = torch.exp(-reach / (2 * draw.uniform(0.22, 0.55) ** 2))
    painted = draw.uniform(0, 0.16) if draw.chance(0.4) else 0.0
    return base * (0.6 + draw.uniform(0.1, 0.7) * spot + painted * (_clouds(draw, 5) + 0.5 * _clouds(draw, 11)))


def _wall(draw: Draw) -> Tensor:
    """A wall of a room with a picture and a door on it."""
    picture, wood = _lit_wall(draw), _colour(WOODS, draw)
    left, top = draw.uniform(-0.3, 0.75), draw.uniform(-0.1, 0.3)
    width, height = draw.uniform(0.2, 0.4), draw.uniform(0.2, 0.45)
    picture = _box(picture, wood, left - 0.025, top - 0.025, width + 0.05, height + 0.05)
    picture = _box(picture, _colour(STONES, draw) * (1 + 0.5 * _clouds(draw, 5)), left, top, width, height)
    if draw.chance(0.5):
        left = draw.uniform(-0.25, 0.02) if draw.chance(0.5) else draw.uniform(0.7, 0.9)
        picture = _box(picture, 0.7 * wood, left - 0.03, -0.2, 0.41, 1.5)
        picture = _box(picture, wood, left, -0.2, 0.35, 1.5)
    return picture


def _window(draw: Draw) -> Tensor:
    """A window with daylight, and its bars."""
    picture, frame = _lit_wall(draw, 0.2, 1.0) * 0.6, _colour(WALLS, draw, 0, 0.3)
    left, width = draw.uniform(-0.3, 0.5), draw.uniform(0.4, 0.9)
    top, height = draw.uniform(-0.3, 0.05), draw.uniform(0.6, 0.95)
    _, y = _axes()
    trees = _above(y - top - 0.75 * height + 0.06 * _clouds(draw, 6), 0.03)
    view = mix(_colour(SKIES, draw) * (1.15 - 0.3 * y), _colour(LEAVES, draw, 0.3) * 2, trees)
    picture = _box(picture, frame, left - 0.03, top, width + 0.06, height + 0.03)
    picture = _box(picture, view, left, top, width, height)
    for share in (0.33, 0.67):
        picture = _box(picture, frame, left + share * width - 0.012, top, 0.024, height)
    return picture


def _shelves(draw: Draw) -> Tensor:
    """Rows of books."""
    x, y = _axes()
    shelves, books = draw.uniform(3.0, 5.0), draw.uniform(12, 24)
    random = torch.rand(3, 6, 25, generator=torch.Generator().manual_seed(int(draw.uniform(0, 2**31))))
    place = y * shelves + draw.uniform()
    number = ((place + 0 * x).long(), (x * books + 0 * y).long())
    kind, light, height = random[:, number[0], number[1]]
    colour = torch.tensor(BOOKS)[(kind * len(BOOKS)).long()].permute(2, 0, 1) * (0.3 + 0.6 * light)
    down = place % 1
    picture = mix(_lit_wall(draw, 0.4, 1.0) * 0.25, colour, _above(down - 0.1 - 0.4 * height, 0.03))
    return mix(picture, _colour(WOODS, draw), _above(0.1 - down, 0.03))


def _office(draw: Draw) -> Tensor:
    """A deep room: floor, ceiling with lamps, partitions and desks."""
    picture, lamp = _lit_wall(draw, 0.0, 0.7), torch.tensor([1.3, 1.25, 1.15]).view(3, 1, 1)
    horizon = draw.uniform(0.5, 0.75)
    picture = _box(picture, _colour(STONES, draw, 0.1, 0.8), -0.1, horizon, 1.2, 1)
    picture = _box(picture, _colour(WALLS, draw, 0, 0.3), -0.1, -0.1, 1.2, 0.26)
    for _ in range(3):
        left, top, width = draw.uniform(-0.1, 1), draw.uniform(0.2, 0.45), draw.uniform(0.08, 0.3)
        picture = _box(picture, _colour(WALLS, draw, 0.2), left, top, width, 0.7)
        left, top, width = draw.uniform(-0.1, 1), horizon - draw.uniform(0.0, 0.15), draw.uniform(0.1, 0.35)
        picture = _box(picture, _colour(WOODS, draw), left, top, width, 0.16)
        picture = _box(picture, lamp, draw.uniform(), draw.uniform(-0.02, 0.12), draw.uniform(0.06, 0.2), 0.025)
    return picture


def _leaves(draw: Draw) -> Tensor:
    """A garden or a park far out of focus."""
    _, y = _axes()
    clumps = 0.5 + 0.34 * _clouds(draw, 4) + 0.24 * _clouds(draw, 9) + 0.16 * _clouds(draw, 22)
    picture = mix(_colour(LEAVES, draw, 0.0, 0.3), _colour(LEAVES, draw, 0.4, 1.0), clumps.clamp(0, 1))
    sky = _above(draw.uniform(-0.2, 0.35) - y + 0.16 * _clouds(draw, 7), 0.03)
    picture = mix(picture, _colour(SKIES, draw), sky * draw.uniform(0.5, 1))
    return mix(picture, _colour(LEAVES, draw, 0.4, 0.9) * 1.3, _above(y - draw.uniform(0.65, 1.2), 0.03))


def _street(draw: Draw) -> Tensor:
    """Houses with windows, pavement and a strip of sky, by day or at dusk."""
    x, y = _axes()
    picture, left = _colour(SKIES, draw) * (1.1 - 0.3 * y), -0.1
    while left < 1:
        width, top, pitch = draw.uniform(0.15, 0.4), draw.uniform(-0.4, 0.25), draw.uniform(0.08, 0.14)
        panes = ((x - left) / pitch % 1 - 0.5).abs() + (((y - top) / (1.6 * pitch)) % 1 - 0.5).abs()
        house = _colour(STONES, draw) * draw.uniform(0.6, 1.2) * (1 - 0.5 * _above(0.32 - panes, 0.06))
        picture = _box(picture, house, left, top, width, 1.5)
        left += width
    picture = mix(picture, _colour(STONES, draw, 0, 0.5), _above(y - draw.uniform(0.75, 0.95)))
    return picture * (draw.uniform(0.15, 0.4) if draw.chance(0.35) else 1.0)
