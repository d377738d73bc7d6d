"""The shape of a head: a loft of horizontal sections, with brows, sockets, nose, cheeks and lips raised on it.

Centimetres, head space: the origin lies between the pupils' heights on the axis of the head, x to the right of
the picture, y up, z towards the camera. The grid's rows run from the crown to below the chin, its columns from
behind the left ear of the picture round the face to behind the right one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from faceinpaint.faces.synthetic.maths import bump, mix, spline_weights, step
from faceinpaint.faces.synthetic.parameters import Draw, Parameters

# Horizontal sections of the mean head, crown to under the chin: height y, half width, front and back (z on the
# axis, without nose and lips), z of the widest place, and the exponent of the superellipse in front.
# Heights and widths follow the mean of 108 photographed people (at 6.4 cm between the pupils).
SECTIONS = torch.tensor([
    # y      width  front  back    middle exponent
    [11.45,  0.25,  -1.1,  -1.9,   -1.5,  2.0],
    [11.20,  2.90,   1.6,  -5.2,   -1.7,  2.0],
    [10.10,  5.35,   4.2,  -8.0,   -1.9,  2.0],
    [7.90,   6.95,   6.5,  -9.7,   -2.0,  2.05],
    [5.40,   7.60,   7.9,  -10.6,  -2.0,  2.15],
    [3.50,   7.65,   8.45, -10.8,  -1.9,  2.25],
    [2.10,   7.55,   8.55, -10.8,  -1.6,  2.30],
    [0.80,   7.60,   8.10, -10.5,  -1.3,  2.25],
    [-0.60,  7.65,   7.90, -10.0,  -1.0,  2.20],
    [-2.00,  7.60,   7.95, -9.3,   -0.8,  2.15],
    [-3.40,  7.45,   8.15, -8.5,   -0.5,  2.10],
    [-4.80,  7.15,   8.40, -7.4,   -0.2,  2.05],
    [-6.10,  6.85,   8.45, -6.2,    0.2,  2.05],
    [-7.40,  6.40,   8.30, -4.6,    0.8,  2.05],
    [-8.70,  5.85,   8.05, -2.6,    1.7,  2.05],
    [-10.00, 4.80,   8.00, -0.4,    2.9,  2.10],
    [-11.20, 3.20,   7.75,  1.2,    4.2,  2.10],
    [-11.85, 1.80,   6.85,  2.4,    5.0,  2.00],
    [-11.95, 0.35,   5.40,  4.6,    5.2,  2.00],
])
BACK = 2.88  # radians of azimuth that the grid reaches on each side; further back nothing is seen
MOUTH = -6.95  # y of the line between the lips
BROW_START, BROW_SPAN = 1.32, 5.05  # cm from the midline to the inner end of a brow, and its length across
JAW_DROP = 2.1  # cm that the chin sinks when the mouth is open (opening 1)


@dataclass(frozen=True)
class HeadShape(Parameters):
    """What tells one skull and its soft parts from another; ratios of the mean head, or cm."""

    width: Tensor  # ratio, cranium
    height: Tensor  # ratio, above the eyes
    depth: Tensor  # ratio, behind the ears
    face_width: Tensor  # ratio, at the cheekbones
    jaw_width: Tensor  # ratio, at the angle of the jaw
    jaw_angle: Tensor  # cm that the angle of the jaw stands out
    face_length: Tensor  # ratio, below the eyes
    chin_width: Tensor  # ratio
    chin: Tensor  # cm that the chin stands forward
    chin_cleft: Tensor  # cm
    forehead: Tensor  # cm that the forehead is upright (+) or leans back (-)
    brow_ridge: Tensor  # cm
    socket: Tensor  # cm of depth
    cheekbone: Tensor  # cm
    cheek: Tensor  # cm of fullness beside the mouth
    temple: Tensor  # cm of hollow
    muzzle: Tensor  # cm that the upper jaw stands forward
    jowl: Tensor  # cm, the softness of age
    lopsided: Tensor  # cm of asymmetry (deviation)
    relief: Tensor  # (B, 24) amplitudes of smooth bumps that belong to nobody else


@dataclass(frozen=True)
class NoseShape(Parameters):
    """A nose; ratios, or cm."""

    length: Tensor  # ratio
    projection: Tensor  # cm of the tip over the upper lip
    width: Tensor  # ratio, at the wings
    bridge_width: Tensor  # cm
    bridge_height: Tensor  # cm at the root, over the inner eye corners
    hump: Tensor  # cm
    tip: Tensor  # cm, radius of the ball
    tip_up: Tensor  # cm that the tip is turned up
    nostril: Tensor  # ratio
    bend: Tensor  # cm to one side


@dataclass(frozen=True)
class EyeShape(Parameters):
    """Eyes and their lids; cm unless said."""

    apart: Tensor  # from the midline to the pupil
    width: Tensor  # half of the opening
    upper: Tensor  # height of the opening over the line between the corners
    lower: Tensor  # and under it
    tilt: Tensor  # radians, outer corner up
    round: Tensor  # where the upper lid is highest: -1 inside ... 1 outside
    crease: Tensor  # between lid and fold; small for a hidden crease
    fold: Tensor  # depth of the fold
    bags: Tensor  # 0 ... 1
    depth: Tensor  # z of the eyeball's centre


@dataclass(frozen=True)
class BrowShape(Parameters):
    """Brows; cm unless said."""

    height: Tensor  # over the pupil
    arch: Tensor
    thickness: Tensor  # half
    length: Tensor  # ratio
    inner: Tensor  # shift of the inner ends from their mean place
    tilt: Tensor  # outer end down
    density: Tensor  # 0 ... 1


@dataclass(frozen=True)
class MouthShape(Parameters):
    """A mouth at rest; cm unless said."""

    height: Tensor  # shift of the line between the lips, up
    width: Tensor  # half
    upper: Tensor  # height of the upper lip
    lower: Tensor
    cupid: Tensor  # 0 ... 1, depth of the bow
    full: Tensor  # cm that the lips stand forward
    corners: Tensor  # cm that the corners are up or down
    philtrum: Tensor  # 0 ... 1


def sample_head(draw: Draw, feminine: float, age: float) -> dict:
    """A head, from the person's draw.

    Deviations, here and below, are about 1.4 times those between real adults: named ratios say less about a face
    than a face does, and people drawn with the real ones look too much alike to a recogniser.
    """
    masculine, old = 1 - feminine, max(0.0, age - 0.45)
    weight = draw.normal(0, 1)  # slight to heavy: several shapes go with it
    return dict(
        width=draw.normal(1, 0.0508) + 0.008 * weight, height=draw.normal(1, 0.0725), depth=draw.normal(1, 0.0725),
        face_width=draw.normal(1 - 0.015 * feminine, 0.0508) + 0.015 * weight,
        jaw_width=draw.normal(1 - 0.045 * feminine, 0.058) + 0.015 * weight,
        jaw_angle=draw.normal(0.02 + 0.16 * masculine, 0.174),
        face_length=draw.normal(1.01 - 0.02 * feminine, 0.058),
        chin_width=draw.normal(0.93 + 0.10 * masculine, 0.145) + 0.03 * weight,
        chin=draw.normal(0.15 + 0.15 * masculine, 0.507),
        chin_cleft=max(0.0, draw.normal(-0.05 + 0.06 * masculine, 0.174)),
        forehead=draw.normal(0.15 * feminine - 0.1 * masculine, 0.58),
        brow_ridge=max(0.0, draw.normal(0.10 + 0.22 * masculine, 0.189)),
        socket=draw.normal(0.85, 0.29), cheekbone=draw.normal(0.38, 0.29),
        cheek=draw.normal(-0.12 - 0.15 * old, 0.29) + 0.26 * weight, temple=draw.normal(0.3, 0.217) - 0.1 * weight,
        muzzle=draw.normal(0.1, 0.406),
        jowl=max(0.0, draw.normal(0.5 * old, 0.174) + 0.12 * max(0.0, weight)),
        lopsided=abs(draw.normal(0.05, 0.03)),
        relief=[draw.normal(0, 1) for _ in range(24)],
    )


def sample_nose(draw: Draw, feminine: float, tone: float) -> dict:
    """A nose; broader and lower on the average where skin is dark, with all noses everywhere."""
    return dict(
        length=draw.normal(1.0, 0.119), projection=draw.normal(2.2 - 0.15 * feminine - 0.05 * tone, 0.464),
        width=draw.normal(0.96 - 0.05 * feminine + 0.045 * tone, 0.184),
        bridge_width=draw.normal(0.74 + 0.03 * tone, 0.189),
        bridge_height=draw.normal(0.75 - 0.07 * tone, 0.434),
        hump=draw.normal(0.06, 0.32), tip=draw.normal(0.80 + 0.02 * tone, 0.217),
        tip_up=draw.normal(0.08 * feminine - 0.08, 0.25), nostril=draw.normal(1.0, 0.217), bend=draw.normal(0, 0.08),
    )


def sample_eyes(draw: Draw, feminine: float, age: float, tone: float) -> dict:
    """A pair of eyes."""
    hidden_crease = draw.chance(0.35 if 0.6 < tone < 2.8 else 0.05)
    return dict(
        apart=draw.normal(3.16, 0.12), width=min(1.56, draw.normal(1.44, 0.11)),
        upper=draw.normal(0.56 + 0.05 * feminine - 0.08 * age, 0.123), lower=draw.normal(0.44, 0.087),
        tilt=draw.normal(0.07 + (0.05 if hidden_crease else 0), 0.0725), round=draw.normal(0, 0.507),
        crease=0.08 if hidden_crease else max(0.12, draw.normal(0.42, 0.203)),
        fold=draw.uniform(0.02, 0.06) if hidden_crease else draw.uniform(0.05, 0.16),
        bags=draw.uniform(0, 0.5) + 0.5 * age, depth=draw.normal(5.50, 0.189),
    )


def sample_brows(draw: Draw, feminine: float, age: float) -> dict:
    """A pair of brows."""
    return dict(
        height=draw.normal(2.12 + 0.12 * feminine, 0.49), arch=draw.normal(0.42 + 0.16 * feminine, 0.377),
        thickness=max(0.16, draw.normal(0.40 - 0.11 * feminine, 0.167)), length=draw.normal(1.03, 0.075),
        inner=draw.normal(0.05, 0.415), tilt=draw.normal(1.1, 0.362),
        density=max(0.25, draw.normal(0.78 - 0.25 * age, 0.232)),
    )


def sample_mouth(draw: Draw, feminine: float, age: float, tone: float) -> dict:
    """A mouth."""
    thin = 0.16 * max(0.0, age - 0.4)
    return dict(
        height=draw.normal(-0.05, 0.22), width=draw.normal(2.66 - 0.10 * feminine, 0.16),
        upper=max(0.22, draw.normal(0.68 + 0.05 * feminine + 0.05 * tone, 0.189) - thin),
        lower=max(0.35, draw.normal(0.90 + 0.05 * feminine + 0.05 * tone, 0.203) - thin),
        cupid=draw.uniform(0.0, 1.0), full=max(0.1, draw.normal(0.36 + 0.04 * tone, 0.145)),
        corners=draw.normal(-0.15, 0.174), philtrum=draw.uniform(0.2, 1.0),
    )


# ------------------------------------------------------------------------------------------ the loft


@lru_cache(maxsize=8)
def _section_weights(rows: int, device: torch.device) -> Tensor:
    """Weights (rows, sections) of a spline through the sections."""
    return spline_weights(len(SECTIONS), rows).to(device)


def azimuths(columns: int, device: torch.device) -> Tensor:
    """Azimuths of the grid's columns, (columns,) radians: half of the columns lie on the front of the face."""
    s = torch.linspace(-1, 1, columns, device=device)
    return BACK * (0.5 * s + 0.5 * s**3)


def across_at(azimuth: Tensor) -> Tensor:
    """Where azimuths lie across the grid, -1 ... 1: the cubic of `azimuths`, solved."""
    root = math.sqrt(3)
    return 2 / root * (torch.asinh(3 * root * azimuth / BACK) / 3).sinh()


def loft(head: HeadShape, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """The bare head: x, y, z of the grid, each (B, rows, columns), in cm; y is the same along a row."""
    weights, azimuth = _section_weights(rows, head.device), azimuths(columns, head.device)
    y, width, front, back, middle, exponent = SECTIONS.to(head.device).T[:, None, :, None]  # each (1, sections, 1)
    cranium, cheeks = step(1.5, 6.0, y), bump(y + 1.0, 2.6)
    jaw, chin = bump(y + 7.0, 1.9), step(-8.5, -11.0, y)
    width = width * (
        1 + (head.width - 1) * (cranium + 0.6 * cheeks) + (head.face_width - 1) * cheeks
        + (head.jaw_width - 1) * (jaw + 0.5 * chin) + (head.chin_width - 1) * chin
    ) - head.temple * 0.6 * bump(y - 2.6, 1.3)
    front = front + head.forehead * step(2.5, 8.0, y) * (1 - step(9.5, 11.4, y))
    front = front + head.chin * 0.9 * step(-8.0, -10.3, y)
    back = back * (1 + (head.depth - 1) * step(-4.0, 0.0, y))
    y = y * torch.where(y > 0, head.height, head.face_length)
    y, width, front, back, middle = (weights @ v.expand(len(head), -1, 1) for v in (y, width, front, back, middle))
    exponent = weights @ exponent
    sin, cos = azimuth.sin()[None, None], azimuth.cos()[None, None]
    power = torch.where(cos > 0, exponent, 2.0)
    radius = (sin.abs() ** power + cos.abs() ** power) ** (-1 / power)
    depth = torch.where(cos > 0, front - middle, middle - back)
    return width * radius * sin, y.expand(-1, -1, len(azimuth)), middle + depth * radius * cos


# ------------------------------------------------------------------------------------------ curves of the face


def eye_coordinates(x: Tensor, y: Tensor, eyes: EyeShape) -> tuple[Tensor, Tensor]:
    """Place in the opening of the nearer eye: along (-1 inner corner, 1 outer) and above the corner line in cm."""
    out, up = x.abs() - eyes.apart, y
    cos, sin = eyes.tilt.cos(), eyes.tilt.sin()
    return (out * cos + up * sin) / eyes.width, up * cos - out * sin


def lid_curves(along: Tensor, eyes: EyeShape, blink: Tensor, squint: Tensor) -> tuple[Tensor, Tensor]:
    """Heights in cm of the upper and the lower lid's edge at `along` in [-1, 1]."""
    arc = (1 - along * along).clamp(min=0)
    upper = eyes.upper * arc**0.80 * (1 + 0.22 * (eyes.round - 0.35) * along) * (1 - 0.10 * squint)
    lower = -eyes.lower * arc**0.95 * (1 + 0.22 * along) * (1 - 0.28 * squint)
    closed = -0.55 * eyes.lower * arc  # where the lids meet when the eye is shut
    upper, lower = mix(upper, closed, blink), mix(lower, closed - 0.02, blink * 0.9)
    return torch.maximum(upper, lower + 0.01), lower


def mouth_half_width(mouth: MouthShape, smile: Tensor, opening: Tensor) -> Tensor:
    """From the middle of the mouth to a corner, cm."""
    return mouth.width * (1 + 0.15 * smile - 0.08 * opening)


def nose_heights(nose: NoseShape) -> tuple[Tensor, Tensor]:
    """Heights in cm of the foremost point of a nose and of its base, where the upper lip begins."""
    return -3.06 * nose.length + 0.35 * nose.tip_up, -4.46 * nose.length + 0.25 * nose.tip_up


def mouth_curves(x: Tensor, mouth: MouthShape, face_length: Tensor, smile: Tensor, opening: Tensor, teeth: Tensor):
    """Heights in cm at x of: the upper lip's top, its lower edge, the lower lip's upper edge, its bottom.

    Also where x lies in the mouth (-1 ... 1 between the corners), and the half width in cm.
    """
    half = mouth_half_width(mouth, smile, opening)
    across = x / half
    arc = (1 - across * across).clamp(min=0)
    centre = MOUTH * face_length + mouth.height
    line = centre + (mouth.corners + 0.46 * smile) * across * across - 0.09 * smile
    line = line - 0.05 * bump(across, 0.12) * (1 + mouth.cupid)
    gap = opening * JAW_DROP * 0.78 * arc**0.55 + teeth * 0.50 * arc**0.7
    upper_edge, lower_edge = line + 0.25 * gap * (1 - opening) + 0.08 * gap, line - gap * (0.75 + 0.17 * opening)
    bow = 1 - (0.10 + 0.22 * mouth.cupid) * bump(across, 0.10) + 0.10 * bump(across.abs() - 0.26, 0.14)
    thin = 1 - 0.22 * smile.clamp(min=0)
    top = upper_edge + mouth.upper * arc**0.72 * bow * thin
    bottom = lower_edge - mouth.lower * arc**0.62 * (1 - 0.12 * smile.clamp(min=0))
    return top, upper_edge, lower_edge, bottom, across, half


def brow_curve(x: Tensor, brows: BrowShape, raised: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Along a brow at |x|: position 0 (inner end) ... 1, the centre's height and half the thickness in cm."""
    along = (x.abs() - BROW_START - brows.inner) / (BROW_SPAN * brows.length)
    height = (
        brows.height - 0.20 + brows.arch * (1 - ((along - 0.58) / 0.58) ** 2).clamp(min=-1.5)
        - brows.tilt * 1.9 * (along - 0.45) * step(0.45, 1.0, along) + raised * 0.55 * (1 - 0.3 * along)
    )
    return along, height, brows.thickness * (0.70 + 0.30 * step(0, 0.3, along)) * (1 - 0.72 * step(0.45, 1.05, along))


def jaw_sink(y: Tensor, opening: Tensor, face_length: Tensor) -> Tensor:
    """How far in cm a point of the bare head sinks as the mouth opens: nothing above the lips, all at the chin."""
    return opening * JAW_DROP * step(-5.2, -8.6, y / face_length)
