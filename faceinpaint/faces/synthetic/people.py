"""`Identity`: who a rendered person is; `Pose`: how that person was photographed. Both from integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.hair_looks import HairLook, sample_hair
from faceinpaint.faces.synthetic.parameters import Draw, Parameters, between

# Skin by tone 0 (lightest) ... 6, and irises by hue; reflectances, linear light.
SKIN = [(0.56, 0.345, 0.265), (0.52, 0.305, 0.220), (0.47, 0.265, 0.170), (0.37, 0.195, 0.118), (0.25, 0.122, 0.070),
        (0.145, 0.069, 0.040), (0.078, 0.038, 0.025)]
IRIS = [(0.030, 0.012, 0.005), (0.075, 0.028, 0.009), (0.13, 0.075, 0.022), (0.095, 0.115, 0.055),
        (0.085, 0.155, 0.24), (0.19, 0.25, 0.30)]


@dataclass(frozen=True)
class SkinLook(Parameters):
    """The skin's colours and marks."""

    colour: Tensor  # (B, 3, 1, 1) reflectance, linear
    redness: Tensor  # of cheeks, nose and ears; 1 = mean
    mottle: Tensor  # unevenness; 1 = mean
    freckles: Tensor  # 0 ... 1
    moles: Tensor  # (B, 18): x, y, radius in cm of each of six
    shine: Tensor  # 1 = mean
    lip_colour: Tensor  # (B, 3, 1, 1) factor on the skin's
    iris: Tensor  # (B, 3, 1, 1) reflectance
    iris_radius: Tensor  # cm
    shadow: Tensor  # of the eyelids, 0 ... 1
    stubble: Tensor  # 0 ... 1


@dataclass(frozen=True)
class EarShape(Parameters):
    """Ears."""

    size: Tensor  # ratio
    flare: Tensor  # radians off the head
    lobe: Tensor  # ratio
    height: Tensor  # cm


@dataclass(frozen=True)
class Identity(Parameters):
    """People: everything that is the same on each of their photographs."""

    feminine: Tensor  # 0 or 1: which averages shape and hair were drawn from
    age: Tensor  # 0 (20 years) ... 1 (75 years)
    tone: Tensor  # 0 (lightest skin) ... 6
    offset_x: Tensor  # where in the noises this person lies
    offset_y: Tensor
    neck: Tensor  # cm, half width
    shoulders: Tensor  # ratio
    head: shape.HeadShape = field(metadata={"of": shape.HeadShape})
    nose: shape.NoseShape = field(metadata={"of": shape.NoseShape})
    eyes: shape.EyeShape = field(metadata={"of": shape.EyeShape})
    brows: shape.BrowShape = field(metadata={"of": shape.BrowShape})
    mouth: shape.MouthShape = field(metadata={"of": shape.MouthShape})
    skin: SkinLook = field(metadata={"of": SkinLook})
    ears: EarShape = field(metadata={"of": EarShape})
    hair: HairLook = field(metadata={"of": HairLook})


@dataclass(frozen=True)
class Pose(Parameters):
    """Photographs: pose, expression, light, camera and surroundings; angles in radians."""

    yaw: Tensor  # > 0 turns the face to the right of the picture
    pitch: Tensor  # > 0 looks down
    roll: Tensor  # > 0 tilts the head to the left of the picture
    mouth_open: Tensor  # 0 ... 1
    smile: Tensor  # -0.3 ... 1
    teeth: Tensor  # 0 ... 1, shown by a smile
    blink: Tensor  # 0 open ... 1 shut
    brow_raise: Tensor  # -0.5 ... 1
    gaze_x: Tensor  # of the eyes in the head, > 0 to the right of the picture
    gaze_y: Tensor
    key: Tensor  # (B, 3, 1, 1) direction to the strongest light
    key_colour: Tensor  # (B, 3, 1, 1)
    key_softness: Tensor  # 0 (a bare bulb) ... 1 (a window)
    fill: Tensor  # strength of a second light on the other side
    rim: Tensor  # strength of a third one behind
    ambient: Tensor  # strength of the light from everywhere
    distance: Tensor  # cm from the camera to the face
    zoom: Tensor  # ratio
    shift_x: Tensor  # of the face in the picture, as a share of its width
    shift_y: Tensor
    exposure: Tensor
    blur: Tensor  # pixels at 128 px
    grain: Tensor  # sensor noise, standard deviation
    seed: Tensor  # of the background and the grain
    glasses: Tensor  # 0 or 1
    rim_width: Tensor  # cm, half width of a lens
    rim_height: Tensor  # cm, half height
    rim_round: Tensor  # 0 square ... 1 round
    rim_thick: Tensor  # cm
    rim_colour: Tensor  # (B, 3, 1, 1)
    cloth: Tensor  # (B, 3, 1, 1)
    collar: Tensor  # cm that the neckline is cut low
    pattern: Tensor  # 0 ... 1


def _sample_skin(draw: Draw, feminine: float, age: float, tone: float) -> dict:
    base = between(SKIN, tone)
    warm = draw.normal(0, 0.06)
    colour = [base[0] * (1 + 0.2 * warm), base[1] * (1 - 0.4 * warm), base[2] * (1 - warm)]
    dark_iris = tone > 2.4 or draw.chance(0.15 * tone)
    made_up = feminine * max(0.0, draw.uniform(-0.6, 1))
    red = draw.normal(0.14 + 0.25 * made_up, 0.08)
    return dict(
        colour=colour, redness=draw.uniform(0.4, 1.4), mottle=draw.uniform(0.5, 1.4) + 0.3 * age,
        freckles=max(0.0, draw.uniform(-1.5, 1)) if tone < 2.2 else 0.0,
        moles=[value for _ in range(6) for value in (
            draw.uniform(-6, 6), draw.uniform(-10, 7), max(0.02, draw.uniform(-0.08, 0.15)))],
        shine=draw.uniform(0.6, 1.3),
        lip_colour=[0.84 + 0.05 * red, 0.56 - 0.8 * red, 0.60 - 0.7 * red],
        iris=list(between(IRIS, draw.uniform(0, 1.3) if dark_iris else draw.uniform(0.6, 5.0))),
        iris_radius=draw.normal(0.59, 0.018), shadow=made_up * draw.uniform(0.2, 1),
        stubble=draw.uniform(0.0, 0.8) * (1 - feminine),
    )


def _sample_person(seed: int) -> dict:
    draw = Draw(1_000_003 * seed + 17)
    feminine = 1.0 if draw.chance(0.5) else 0.0
    age, tone = draw.uniform() ** 1.25, draw.uniform(0, 6)
    return dict(
        feminine=feminine, age=age, tone=tone, offset_x=draw.uniform(), offset_y=draw.uniform(),
        neck=draw.normal(5.0 + 0.75 * (1 - feminine), 0.35), shoulders=draw.normal(1 - 0.08 * feminine, 0.05),
        head=shape.sample_head(draw, feminine, age), nose=shape.sample_nose(draw, feminine, tone * 0.5),
        eyes=shape.sample_eyes(draw, feminine, age, tone), brows=shape.sample_brows(draw, feminine, age),
        mouth=shape.sample_mouth(draw, feminine, age, tone * 0.5), skin=_sample_skin(draw, feminine, age, tone),
        ears=dict(size=draw.normal(1 + 0.06 * age, 0.08), flare=draw.uniform(0.25, 0.62), lobe=draw.normal(1, 0.15),
                  height=draw.normal(0, 0.3)),
        hair=sample_hair(draw, feminine, age, tone),
    )


def identities(seeds: Sequence[int]) -> Identity:
    """The people with these numbers: always the same person for the same integer."""
    return Identity.stack([_sample_person(int(seed)) for seed in seeds])


def _sample_pose(seed: int, max_yaw: float) -> dict:
    draw = Draw(7_919 * seed + 5)
    yaw = draw.normal_within(0, 0.30, max_yaw)
    smile = max(-0.25, min(1.0, draw.normal(0.3, 0.45)))
    warmth = draw.uniform(-1, 1)
    grey = draw.chance(0.6)
    frame = draw.uniform(0.005, 0.10)
    light = draw.uniform(0.02, 0.6)
    return dict(
        yaw=yaw, pitch=draw.normal(0.0, 0.11, 3.9), roll=draw.normal(0, 0.08, 4.3),
        mouth_open=max(0.0, draw.normal(-0.2, 0.22)), smile=smile,
        teeth=max(0.0, smile - 0.35) * 1.5 if draw.chance(0.7) else 0.0,
        blink=1.0 if draw.chance(0.02) else max(0.0, draw.normal(0.05, 0.08)), brow_raise=draw.normal(0, 0.15),
        gaze_x=draw.normal(0, 0.04) - 0.3 * yaw * draw.uniform(0, 1), gaze_y=draw.normal(0, 0.03),
        key=draw.direction(draw.uniform(-1.25, 1.25), draw.uniform(0.0, 1.0)),
        key_colour=(1 + 0.14 * warmth, 1.0, 1 - 0.20 * warmth), key_softness=draw.uniform(0.3, 1),
        fill=draw.uniform(0.05, 0.5), rim=max(0.0, draw.uniform(-0.6, 1)), ambient=draw.uniform(0.18, 0.65),
        distance=draw.uniform(70, 160), zoom=draw.uniform(0.94, 1.06), shift_x=draw.normal(0, 0.02),
        shift_y=draw.normal(0, 0.02), exposure=draw.uniform(0.82, 1.25), blur=max(0.0, draw.uniform(-0.2, 0.8)),
        grain=draw.uniform(0.001, 0.008), seed=float(seed % 1_000_003),
        glasses=1.0 if draw.chance(0.18) else 0.0, rim_width=draw.uniform(2.35, 2.8), rim_height=draw.uniform(1.6, 2.3),
        rim_round=draw.uniform(0.3, 1), rim_thick=draw.uniform(0.06, 0.24),
        rim_colour=(frame, frame, frame) if grey else (frame * 2.2, frame, frame * 0.45),
        cloth=(light, light, light) if draw.chance(0.4) else tuple(draw.uniform(0.02, 0.55) for _ in range(3)),
        collar=draw.uniform(0, 2.5), pattern=draw.uniform(),
    )


def poses(seeds: Sequence[int], max_yaw: float | None = None) -> Pose:
    """The circumstances of photographs with these numbers; |yaw| at most `max_yaw` radians (60 degrees unless told)."""
    return Pose.stack([_sample_pose(int(seed), 1.0472 if max_yaw is None else max_yaw) for seed in seeds])
