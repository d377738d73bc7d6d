"""How hair is worn: colours, styles, beards, and where on the scalp it grows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic.maths import noise, step
from faceinpaint.faces.synthetic.parameters import Draw, Parameters, between

# Reflectances, linear: black, dark brown, brown, light brown, dark blond, blond, light blond; reds; white.
COLOURS = [(0.010, 0.008, 0.007), (0.025, 0.015, 0.010), (0.055, 0.030, 0.017), (0.11, 0.060, 0.032),
           (0.21, 0.135, 0.072), (0.36, 0.25, 0.135), (0.47, 0.36, 0.22)]
REDS = [(0.085, 0.022, 0.010), (0.19, 0.060, 0.020), (0.33, 0.14, 0.055)]
WHITE = (0.50, 0.49, 0.475)

# The hairline on a head of mean height: azimuths in radians from the forehead to the nape.
LINE_AZIMUTH = (0.0, 0.38, 0.66, 0.88, 1.06, 1.20, 1.44, 1.54, 1.92, 2.08, 2.32)
NAPE = -6.3  # cm


@dataclass(frozen=True)
class HairLook(Parameters):
    """Hair of a head and a face; cm unless said."""

    colour: Tensor  # (B, 3, 1, 1) mean reflectance, linear
    natural: Tensor  # (B, 3, 1, 1) of the hairs that are not grey
    tips: Tensor  # ratio of the tips' brightness to the roots'
    grey: Tensor  # 0 ... 1, share of grey hairs
    brows: Tensor  # (B, 3, 1, 1) colour of brows and lashes
    hairline: Tensor  # height of its middle over the eyes
    recession: Tensor  # that the temples lie higher
    ring: Tensor  # height over the eyes above which the head is bald
    sideburn: Tensor  # height of the sideburns' ends
    top: Tensor  # lengths
    side: Tensor
    back: Tensor
    front: Tensor
    level: Tensor  # height at which the hair is cut off
    part: Tensor  # x of the parting
    aside: Tensor  # how strongly it is combed away from the parting
    backward: Tensor  # to the back (< 0: to the front)
    lift: Tensor  # 0 flat ... 1 upright
    quiff: Tensor  # further lift of the front
    weight: Tensor  # 1/cm, how soon gravity bends it
    cling: Tensor  # 1/cm, how it is drawn to the head
    volume: Tensor  # thickness over the scalp
    open: Tensor  # half the width of the face that it leaves free
    wave: Tensor  # radius of curls
    turns: Tensor  # of a hair
    frizz: Tensor  # how far the tips stray
    clump: Tensor  # 0 ... 1, how locks end in points
    lashes: Tensor  # strength of their line, ratio
    beard: Tensor  # 0 ... 1
    moustache: Tensor  # 0 ... 1
    goatee: Tensor  # 0 ... 1: on the chin alone
    beard_length: Tensor
    moustache_length: Tensor


# Ways to wear hair: fields of HairLook, a number or the ends of a range. What a style leaves out is as in PLAIN.
# `parting`: "side", "middle" (or near it), or "none" (all hair to one side).
PLAIN = dict(
    top=4.0, side=2.0, back=2.5, front=0.0, level=-40.0, parting="middle", aside=0.3, backward=0.0, lift=0.3, quiff=0.0,
    weight=0.06, cling=0.12, volume=0.5, open=0.0, wave=0.0, turns=1.0, frizz=0.25, clump=0.35)
LONG = dict(aside=1.0, backward=0.35, lift=0.15, weight=0.6, volume=(0.4, 1.1), open=(5.4, 6.8))
STYLES = {
    "buzz": dict(top=(0.3, 0.9), side=(0.2, 0.5), back=0.4, aside=0.0, backward=-0.5, lift=0.45, weight=0.0, volume=0.0,
                 frizz=0.05, clump=0.0),
    "parted": dict(top=(5.0, 7.5), side=(1.2, 2.6), back=2.0, parting="side", aside=1.0, backward=(-0.2, 0.5),
                   lift=(0.12, 0.3), weight=0.16, volume=(0.4, 1.1)),
    "quiff": dict(top=(4.0, 6.5), side=(0.6, 1.6), back=1.2, front=1.0, parting="none", backward=(0.5, 1.0), lift=0.22,
                  quiff=(0.15, 0.35), cling=0.25, volume=(0.7, 1.5)),
    "crop": dict(top=(2.5, 4.5), side=(0.8, 1.8), back=1.3, backward=-0.9, lift=(0.1, 0.3), frizz=0.4, clump=0.6),
    "slick": dict(top=9.0, side=5.0, back=4.0, backward=1.0, lift=0.06, cling=0.7, frizz=0.08, clump=0.2),
    "curls": dict(top=(5.0, 8.0), side=(2.0, 4.5), back=3.0, backward=-0.2, lift=0.7, cling=0.05, volume=(0.8, 1.6),
                  wave=(0.3, 0.5), turns=(1.6, 2.6), frizz=0.5, clump=0.75),
    "afro": dict(top=(2.5, 5.0), side=(1.5, 4.0), back=3.0, aside=0.0, lift=0.95, weight=0.0, cling=0.0, volume=0.3,
                 wave=(0.18, 0.3), turns=(3, 4.5), frizz=0.5),
    "bob": dict(LONG, top=21.0, side=13.0, back=13.0, level=(-11.5, -5.5), wave=(-0.3, 0.35), turns=2.0),
    "fringe": dict(LONG, top=21.0, side=16.0, back=16.0, front=-13.5, level=(-18, -8), backward=0.05, frizz=0.2,
                   clump=0.0),
    "long": dict(LONG, top=26.5, side=22.0, back=22.0, wave=(-0.15, 0.25), turns=(1.5, 3), frizz=0.6, clump=0.2),
    "waves": dict(LONG, top=26.5, side=21.0, back=21.0, volume=(0.7, 1.6), wave=(0.25, 0.6), turns=(3.5, 6), frizz=0.6,
                  clump=0.6),
    "tied": dict(top=13.0, side=7.0, back=4.0, aside=0.0, backward=1.0, lift=0.03, weight=0.0, cling=0.7,
                 volume=(0.15, 0.5), frizz=0.12, clump=0.1),
    "ring": dict(top=1.0, side=(0.3, 2.5), back=2.0, backward=0.6, lift=0.08, weight=0.2, volume=0.1),
}


def _style(name: str, draw: Draw) -> dict:
    """Numbers of a way to wear hair."""
    style = {**PLAIN, **STYLES[name]}
    style = {key: draw.uniform(*value) if isinstance(value, tuple) else value for key, value in style.items()}
    side = -1.0 if draw.chance(0.35) else 1.0
    near_middle = draw.normal(0, 0.4) if draw.chance(0.55) else side * draw.uniform(1.5, 3.5)
    parts = {"side": side * draw.uniform(2.6, 4.2), "middle": near_middle, "none": -8.0 * side}
    style["part"] = parts[style.pop("parting")]
    style["wave"] = max(0.0, style["wave"])
    return style


def _style_weights(feminine: float, age: float, tone: float) -> dict[str, float]:
    """How often each way to wear hair is met."""
    curly = 0.35 + 0.5 * max(0.0, tone - 2)
    if feminine:
        return {"parted": 0.4 + 0.8 * age, "crop": 0.2, "curls": 0.6 * curly, "afro": 0.35 * curly, "bob": 2.0,
                "fringe": 1.2, "long": 2.4 - 1.6 * age, "waves": 2.0 - age, "tied": 1.8, "buzz": 0.05, "slick": 0.1}
    return {"buzz": 1.4 + 0.3 * tone, "parted": 2.0, "quiff": 1.6, "crop": 1.6, "slick": 0.7, "curls": curly,
            "afro": 0.4 * curly, "bob": 0.15, "long": 0.2, "waves": 0.15, "tied": 0.15}


def _hair_colour(draw: Draw, feminine: float, age: float, tone: float) -> tuple[tuple, float, tuple]:
    """Colour of the hair, its share of grey, and the colour of brows and lashes."""
    fair = draw.uniform(0, 5.6) if tone < 1.6 else draw.uniform(0, 3.2) if tone < 2.6 else draw.uniform(0, 1.3)
    natural = between(COLOURS, fair)
    if tone < 2 and draw.chance(0.1):
        natural = between(REDS, draw.uniform(0, 2))
    grey = max(0.0, min(1.0, draw.normal(1.8 * (age - 0.5), 0.25)))
    brows = tuple(0.75 * c for c in between(COLOURS, min(fair, 0.4 + 0.6 * fair)))
    if draw.chance(0.05 + 0.22 * feminine):  # dyed
        natural = between(COLOURS, draw.uniform(0, 6)) if draw.chance(0.75) else between(REDS, draw.uniform(0, 1.2))
        grey = 0.08 * grey
    return natural, grey, tuple((1 - 0.5 * grey) * c + 0.5 * grey * 0.25 for c in brows)


def sample_hair(draw: Draw, feminine: float, age: float, tone: float) -> dict:
    """Hair that goes with a person, from the person's draw."""
    natural, grey, brows = _hair_colour(draw, feminine, age, tone)
    style = _style(draw.choice(_style_weights(feminine, age, tone)), draw)
    loss = (1 - feminine) * max(0.0, draw.uniform(-1.3, 0.42) + 0.75 * age)  # > 0.5: at most a ring of hair is left
    look = dict(
        colour=[(1 - 0.9 * grey) * c + 0.9 * grey * w for c, w in zip(natural, WHITE)], natural=list(natural),
        tips=draw.uniform(1.0, 1.6), grey=grey, brows=list(brows),
        hairline=draw.normal(7.0 + 0.3 * (1 - feminine), 0.45) + 1.2 * min(loss, 0.6),
        recession=draw.uniform(0, 0.7) + 2.6 * min(loss, 0.6), ring=30.0, sideburn=draw.uniform(-2.2, 0.6),
        lashes=draw.uniform(0.75, 1.15) + 0.25 * feminine)
    if loss > 0.5:
        style = _style("ring", draw)
        look.update(hairline=12.5, recession=0.0, ring=-30.0 if draw.chance(0.4) else draw.uniform(3.8, 6.5))
    return {**look, **style, **_beard(draw, feminine)}


def _beard(draw: Draw, feminine: float) -> dict:
    """A beard, or none."""
    style = draw.choice({"none": 0.55, "short": 0.16, "full": 0.10, "long": 0.03, "goatee": 0.09, "moustache": 0.07})
    length = {"none": 0.1, "short": draw.uniform(0.35, 0.8), "full": draw.uniform(1.0, 2.4),
              "long": draw.uniform(4.0, 9.0), "goatee": draw.uniform(0.5, 2.0), "moustache": 0.3}[style]
    if feminine or style == "none":
        return dict(beard=0.0, moustache=0.0, goatee=0.0, beard_length=length, moustache_length=length)
    dense = draw.uniform(0.6, 1.0)
    lip = draw.chance(0.9) or style == "moustache"
    return dict(
        beard=0.0 if style == "moustache" else dense, moustache=dense if lip else 0.0,
        goatee=1.0 if style == "goatee" else 0.0, beard_length=length, moustache_length=max(0.5, min(1.1, length)))


# ------------------------------------------------------------------------------------------ where hair grows


def hairline(person, azimuth: Tensor) -> Tensor:
    """Height in cm, on a head of mean height, over which hair grows; azimuth (1 or B, 1, N) -> (B, 1, N)."""
    look, side = person.hair, azimuth.abs()
    front, temple = look.hairline, look.hairline + look.recession
    heights = (
        front, front + 0.12 + 0.25 * look.recession, temple - 0.55, 0.5 * temple + 1.3, 2.6 + 0.3 * look.recession,
        look.sideburn, look.sideburn - 0.15, 2.3, 2.2, -2.5, NAPE)
    height = heights[0] + torch.zeros_like(side)
    for i in range(len(heights) - 1):
        height = height + (heights[i + 1] - heights[i]) * step(LINE_AZIMUTH[i], LINE_AZIMUTH[i + 1], side)
    uneven = noise("cloudy", azimuth * 0.11 + person.offset_x, (azimuth * 0.05 + person.offset_y))
    return height + 0.22 * uneven


def covered(person, azimuth: Tensor, y: Tensor) -> Tensor:
    """How far in cm a place of the scalp lies inside the hair (< 0 outside); y as on a face of mean length."""
    y = y / torch.where(y > 0, person.head.height, torch.ones_like(person.head.height))
    ragged = noise("rough", azimuth * 0.2 + person.offset_y, azimuth * 0.02 + person.offset_x)
    thinning = 0.4 * (person.hair.ring - y) + 0.4 * ragged  # a ring of hair ends softly, a forehead's hairline does not
    return torch.minimum(y - hairline(person, azimuth), thinning)


# ------------------------------------------------------------------------------------------ random numbers


@lru_cache(maxsize=8)
def _table(count: int, channels: int, device: torch.device) -> Tensor:
    return torch.rand(channels, count, generator=torch.Generator().manual_seed(5)).to(device)


def chances(person, count: int, channels: int) -> Tensor:
    """Random numbers in [0, 1), each person's own and always the same: (B, channels, count).

    One fixed table, turned by the person's place in the noises (Cranley and Patterson 1976).
    """
    turn = (person.offset_x * 71.3 + person.offset_y * 37.7) % 1
    place = torch.arange(channels, device=person.device).view(1, -1, 1) * 0.618034
    return (_table(count, channels, person.device)[None] + turn + place * (1 + person.offset_x)) % 1
