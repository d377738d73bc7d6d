"""What is behind the head: studio walls, rooms, windows, streets and greenery, out of focus."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.maths import blur
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
    picture = blur(picture[None], focus)[0]
    gain = draw.uniform(0.55, 1.15)
    warm = draw.normal(0, 0.05)
    return picture * gain * torch.tensor([1 + warm, 1.0, 1 - warm]).view(3, 1, 1)


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


def _box(left: float, top: float, width: float, height: float) -> Tensor:
    """1 inside a rectangle of the picture; (C, C)."""
    x, y = _axes()
    return _above(x - left) * _above(left + width - x) * _above(y - top) * _above(top + height - y)


def _lay(picture: Tensor, mask: Tensor, colour: Tensor) -> Tensor:
    return picture + (colour - picture) * mask


def _lit_wall(draw: Draw, low: float = 0.0, high: float = 1.0) -> Tensor:
    """A plain wall with light falling off across it."""
    x, y = _axes()
    fall = 1 + draw.uniform(-0.45, 0.45) * (x - 0.5) + draw.uniform(-0.5, 0.2) * (y - 0.5)
    return _colour(WALLS, draw, low, high) * (fall + 0.05 * _clouds(draw, 4))


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
    """A wall of a room with a picture or a door frame on it."""
    picture = _lit_wall(draw)
    if draw.chance(0.6):
        left, top = draw.uniform(-0.1, 0.75), draw.uniform(-0.1, 0.3)
        width, height = draw.uniform(0.2, 0.4), draw.uniform(0.2, 0.45)
        picture = _lay(picture, _box(left - 0.025, top - 0.025, width + 0.05, height + 0.05), _colour(WOODS, draw))
        inside = _colour(STONES, draw) * (1 + 0.5 * _clouds(draw, 5))
        picture = _lay(picture, _box(left, top, width, height), inside)
    if draw.chance(0.5):
        door = _colour(WOODS, draw)
        left = draw.uniform(-0.25, 0.02) if draw.chance(0.5) else draw.uniform(0.7, 0.9)
        picture = _lay(picture, _box(left - 0.03, -0.2, 0.41, 1.5), door * 0.7)
        picture = _lay(picture, _box(left, -0.2, 0.35, 1.5), door)
    return picture


def _window(draw: Draw) -> Tensor:
    """A window with daylight, and its bars."""
    picture = _lit_wall(draw, 0.2, 1.0) * 0.6
    left, width = draw.uniform(-0.3, 0.5), draw.uniform(0.4, 0.9)
    top, height = draw.uniform(-0.3, 0.05), draw.uniform(0.6, 0.95)
    _, y = _axes()
    view = _colour(SKIES, draw) * (1.15 - 0.3 * y)
    trees = _above(y - top - 0.75 * height + 0.06 * _clouds(draw, 6), 0.03)
    view = _lay(view, trees, _colour(LEAVES, draw, 0.3) * 2)
    frame = _colour(WALLS, draw, 0, 0.3)
    picture = _lay(picture, _box(left - 0.03, top, width + 0.06, height + 0.03), frame)
    picture = _lay(picture, _box(left, top, width, height), view)
    for share in (0.33, 0.67):
        picture = _lay(picture, _box(left + share * width - 0.012, top, 0.024, height), frame)
    return picture


def _shelves(draw: Draw) -> Tensor:
    """Rows of books."""
    picture = _lit_wall(draw, 0.4, 1.0) * 0.25
    pitch, first = draw.uniform(0.2, 0.34), draw.uniform(-0.2, 0)
    wood, covers = _colour(WOODS, draw), torch.tensor(BOOKS)
    generator = torch.Generator().manual_seed(int(draw.uniform(0, 2**31)))
    x, y = _axes()
    for shelf in range(7):
        bottom = first + pitch * shelf
        random = torch.rand(5, 24, generator=generator)
        spines = (0.03 + 0.09 * random[0]).cumsum(0) - 0.1  # where each book ends, from left to right
        book = torch.searchsorted(spines, x[0]).clamp(max=23)
        height = (pitch * (0.5 + 0.35 * random[1]) * (random[2] > 0.12))[book]
        colour = (covers[(random[3] * len(covers)).long()] * (0.3 + 0.6 * random[4])[:, None])[book].T[:, None]
        picture = _lay(picture, _above(y - bottom + height) * _above(bottom - y), colour)
        picture = _lay(picture, _box(-0.1, bottom, 1.2, 0.022), wood)
    return picture


def _office(draw: Draw) -> Tensor:
    """A deep room: floor, ceiling with lamps, partitions and desks."""
    picture = _lit_wall(draw, 0.0, 0.7)
    _, y = _axes()
    horizon = draw.uniform(0.5, 0.75)
    picture = _lay(picture, _above(y - horizon), _colour(STONES, draw, 0.1, 0.8))
    picture = _lay(picture, _above(0.16 - y), _colour(WALLS, draw, 0, 0.3))
    for _ in range(3):
        screen = _box(draw.uniform(-0.1, 1), draw.uniform(0.2, 0.45), draw.uniform(0.08, 0.3), 0.7)
        picture = _lay(picture, screen, _colour(WALLS, draw, 0.2))
        desk = _box(draw.uniform(-0.1, 1), horizon - draw.uniform(0.0, 0.15), draw.uniform(0.1, 0.35), 0.16)
        picture = _lay(picture, desk, _colour(WOODS, draw))
        lamp = _box(draw.uniform(0, 1), draw.uniform(-0.02, 0.12), draw.uniform(0.06, 0.2), 0.025)
        picture = picture + lamp * torch.tensor([1.1, 1.05, 0.95]).view(3, 1, 1)
    return picture


def _leaves(draw: Draw) -> Tensor:
    """A garden or a park far out of focus."""
    _, y = _axes()
    clumps = 0.5 + 0.34 * _clouds(draw, 4) + 0.24 * _clouds(draw, 9) + 0.16 * _clouds(draw, 22)
    dark, light = _colour(LEAVES, draw, 0.0, 0.3), _colour(LEAVES, draw, 0.4, 1.0)
    picture = _lay(dark, clumps.clamp(0, 1), light)
    if draw.chance(0.6):
        sky = _above(draw.uniform(0.0, 0.35) - y + 0.16 * _clouds(draw, 7), 0.03)
        picture = _lay(picture, sky * draw.uniform(0.5, 1), _colour(SKIES, draw))
    if draw.chance(0.5):
        lawn = _above(y - draw.uniform(0.65, 0.95), 0.03)
        picture = _lay(picture, lawn, _colour(LEAVES, draw, 0.4, 0.9) * 1.3)
    return picture


def _street(draw: Draw) -> Tensor:
    """Houses with windows, pavement and a strip of sky, by day or at dusk."""
    x, y = _axes()
    light = draw.uniform(0.15, 0.4) if draw.chance(0.35) else 1.0
    picture = _colour(SKIES, draw) * (1.1 - 0.3 * y) * light
    left = -0.1
    while left < 1:
        width, top = draw.uniform(0.15, 0.4), draw.uniform(-0.4, 0.25)
        house = _colour(STONES, draw) * light * draw.uniform(0.6, 1.2)
        picture = _lay(picture, _box(left, top, width, 1.5), house)
        pitch = draw.uniform(0.08, 0.14)
        panes = ((x - left) / pitch % 1 - 0.5).abs() + (((y - top) / (1.6 * pitch)) % 1 - 0.5).abs()
        windows = _above(0.32 - panes, 0.06) * _box(left, top + 0.05, width, 1.0 - top)
        picture = _lay(picture, windows * 0.8, house * 0.35)
        left += width
    return _lay(picture, _above(y - draw.uniform(0.75, 0.95)), _colour(STONES, draw, 0, 0.5) * light)


def surroundings(background: Tensor) -> tuple[Tensor, Tensor]:
    """Colours of the light from above and from below, (B, 3, 1, 1) each: like the background, much paler."""
    mean = F.avg_pool2d(background, 8).mean((2, 3), keepdim=True)
    pale = 0.75 + 0.25 * mean / mean.mean(1, keepdim=True).clamp(min=0.02)
    return 1.15 * pale, 0.75 * pale
