"""What a completion may break on, one factor at a time: rendered test people under plain conditions, and one change.

Plain conditions: from the front, neutral, eyes open, soft light a little from above, an empty studio behind, no
glasses; beard, skin and age as the person has them. A `Level` says what else is different, and nothing else is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count, islice
from typing import TypeVar

import torch
from torch import Tensor

from faceinpaint import weights
from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.evaluation.examination import Guide, Located
from faceinpaint.faces import align, synthetic
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.synthetic.background import SCENES, scene_of
from faceinpaint.faces.synthetic.dataset import person_of, photo_seed
from faceinpaint.faces.synthetic.hair_looks import WHITE
from faceinpaint.faces.synthetic.parameters import Parameters, between
from faceinpaint.faces.synthetic.people import SKIN, Identity, Pose
from faceinpaint.landmarks import OUTER_EYE_CORNERS, LandmarkPredictor, hidden_landmarks

FINE = 256  # pixels from which on a picture needs no more samples than pixels
FIELD = 1.15  # pictures show that much more than the aligned crop, as those of training do
HEIGHT = 0.35  # radians that the light stands above the eyes
REFERENCE_YAW = 0.35  # radians that the head is turned by at most on the other photograph of a person
YEARS = (20, 75)  # of Identity.age 0 and 1


P = TypeVar("P", bound=Parameters)


def unchanged(parameters: P) -> P:
    """What a level does to people or photographs that it leaves alone."""
    return parameters


@dataclass(frozen=True)
class Level:
    """One level of a factor: its name, its place on an axis, and what is different from plain conditions.

    person, pose: make other people or photographs of the plain ones. guide: other landmarks than the predicted ones for
    the methods.
    """

    name: str
    place: float
    person: Callable[[Identity], Identity] = unchanged
    pose: Callable[[Pose], Pose] = unchanged
    guide: Guide | None = None


@dataclass(frozen=True)
class Factor:
    """One thing that varies. label: of the axis. masks: those under which it matters most.

    feminine: of which presentation the people are, None for both. adds: each level lays something over the face of
    the first one, so that one can ask how much of it is painted. ordered: whether there is anything between levels.
    """

    name: str
    label: str
    levels: tuple[Level, ...]
    masks: tuple[str, ...] = ("mask01", "face-mask")
    feminine: bool | None = None
    adds: bool = False
    ordered: bool = True

    def at(self, *names: str) -> Factor:
        """The same with the levels of some names only; InputError, which names the nearest, for an unknown one."""
        levels = {level.name: level for level in self.levels}
        for name in names:
            require_known(f"level of {self.name}", name, list(levels))
        return replace(self, levels=tuple(levels[name] for name in names))

    def few(self, number: int) -> Factor:
        """The same with so many of its levels, evenly spread from the first to the last."""
        chosen = torch.linspace(0, len(self.levels) - 1, min(number, len(self.levels))).round().int().tolist()
        return replace(self, levels=tuple(self.levels[index] for index in chosen))


# ---------------------------------------------------------------------------------- people and photographs


def strangers(number: int, feminine: bool | None = None, seed: int = 0) -> list[int]:
    """The numbers of so many test people, of both presentations or of one; nobody was trained on them.

    Always the same ones first; others for another seed.
    """
    if number < 1:
        raise InputError(f"the number of people is {number}: give 1 or more")
    everybody = (person_of("test", index) for index in count(10_000 * seed))
    wanted = (one for one in everybody if feminine is None or bool(_person(one).feminine) == feminine)
    return list(islice(wanted, number))


def plain_poses(people: Sequence[int]) -> Pose:
    """A photograph under plain conditions of each person; clothes, studio and grain are the person's own."""
    pose = synthetic.poses([photo_seed(0, person, 0) for person in people])
    plain = dict(
        yaw=0, pitch=0, roll=0, mouth_open=0, smile=0, teeth=0, blink=0.03, brow_raise=0, gaze_x=0, gaze_y=0,
        key_softness=1, fill=0.35, rim=0, ambient=0.5, distance=120, zoom=1, shift_x=0, shift_y=0, exposure=1, blur=0.2,
        grain=0.003, glasses=0,
    )
    pose = lit(with_values(pose, **plain, seed=[_seed("studio", person) for person in people]), azimuth=0.2)
    return replace(pose, key_colour=torch.ones_like(pose.key_colour))


def reference_poses(people: Sequence[int]) -> Pose:
    """Another photograph of each person: turned a little, with an expression, light and background of its own."""
    pose = synthetic.poses([photo_seed(0, person, 1) for person in people], REFERENCE_YAW)
    return with_values(pose, glasses=0)


def photographs(identity: Identity, pose: Pose, people: Sequence[int], size: int) -> Faces:
    """Rendered and laid by their true landmarks, as those of training are: aligned faces of `size` pixels."""
    wide = with_values(pose, zoom=(pose.zoom / FIELD).flatten().tolist())
    rendered = synthetic.render(identity, wide, round(size * FIELD), supersample=1 if size >= FINE else 2)
    names = tuple(f"{person:06d}" for person in people)
    return align.laid(Faces(rendered.image, rendered.landmarks, torch.tensor(people), names), size)


def at_level(people: Sequence[int], level: Level, size: int) -> Faces:
    """Each person once, under plain conditions but for the level."""
    identity = level.person(synthetic.identities(people))
    return photographs(identity, level.pose(plain_poses(people)), people, size)


def references(people: Sequence[int], level: Level, size: int) -> Faces:
    """Another photograph of each person. Who is changed by the level is changed here too: it is the same person."""
    return photographs(level.person(synthetic.identities(people)), reference_poses(people), people, size)


# ---------------------------------------------------------------------------------- changes


def with_values(parameters: P, **values: float | Sequence[float]) -> P:
    """Parameters with other numbers: one for all, or one each."""
    return replace(parameters, **{
        name: torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1).expand(len(parameters), 1, 1).clone()
        for name, value in values.items()
    })


def turned(pose: Pose, **degrees: float) -> Pose:
    """The head turned: yaw > 0 to the right of the picture, pitch > 0 down."""
    return with_values(pose, **{name: math.radians(value) for name, value in degrees.items()})


def lit(pose: Pose, azimuth: float) -> Pose:
    """The strongest light from `azimuth` radians to the right of the camera."""
    away = math.cos(HEIGHT)
    towards = torch.tensor([math.sin(azimuth) * away, math.sin(HEIGHT), math.cos(azimuth) * away])
    return replace(pose, key=towards.view(1, 3, 1, 1).repeat(len(pose), 1, 1, 1))


def before(pose: Pose, scene: str) -> Pose:
    """The same before another kind of background, one of its own for each person; it lights the face, too."""
    seeds = [int(one) for one in pose.seed.flatten()]
    return with_values(pose, seed=[one if scene_of(one) == scene else _seed(scene, one) for one in seeds])


def with_beard(identity: Identity, dense: float, length: float = 0.1) -> Identity:
    """People with a beard and moustache: how dense (0 none, and shaved ... 1), and how long in cm."""
    hair = with_values(identity.hair, beard=dense, moustache=dense, goatee=0, beard_length=length,
                       moustache_length=min(length, 0.9))
    return replace(identity, hair=hair, skin=with_values(identity.skin, stubble=0))


def with_age(identity: Identity, years: float) -> Identity:
    """The same people, their skin and hair as old as said; how the head is built stays."""
    young, old = YEARS
    age = (years - young) / (old - young)
    hair, grey = identity.hair, min(1.0, max(0.0, 1.8 * (age - 0.5)))  # the mean of `hair_looks`
    pigment = ((hair.brows - 0.125 * hair.grey[..., None]) / (1 - 0.5 * hair.grey[..., None])).clamp(min=0.005)
    white = torch.tensor(WHITE).view(1, 3, 1, 1)
    hair = replace(
        with_values(hair, grey=grey), colour=(1 - 0.9 * grey) * hair.natural + 0.9 * grey * white,
        brows=(1 - 0.5 * grey) * pigment + 0.125 * grey,
    )
    return replace(with_values(identity, age=age), hair=hair)


def with_tone(identity: Identity, tone: float) -> Identity:
    """The same people in other skin: 0 (lightest) ... 6. Shape, hair and eyes stay, and how warm the skin is."""
    own = torch.tensor([between(SKIN, one) for one in identity.tone.flatten().tolist()])
    change = torch.tensor(between(SKIN, tone)) / own
    skin = replace(identity.skin, colour=identity.skin.colour * change[:, :, None, None])
    return replace(with_values(identity, tone=tone), skin=skin)


def hidden_shifted(share: float, block: Located, mask: Tensor, predicted: Tensor) -> Tensor:
    """Predicted landmarks, the hidden ones moved by a share of the true inter-ocular distance.

    All of a face in one direction, which is the photograph's own at every share.
    """
    left, right = OUTER_EYE_CORNERS
    inter_ocular = (block.truth[:, left] - block.truth[:, right]).norm(dim=-1)
    angle = block.index * 2.399963  # the golden angle: directions of any few photographs are spread out
    step = torch.stack([angle.cos(), angle.sin()], -1) * (share * inter_ocular)[:, None]
    return predicted + hidden_landmarks(block.truth, mask)[..., None] * step[:, None]


def true_landmarks(block: Located, mask: Tensor, predicted: Tensor) -> Tensor:
    """What the renderer knows."""
    return block.truth


def mean_face(block: Located, mask: Tensor, predicted: Tensor) -> Tensor:
    """The mean face of the shipped predictor, whoever it is."""
    return (_mean_face() * mask.shape[-1] - 0.5).expand_as(predicted)


@lru_cache(maxsize=1)
def _mean_face() -> Tensor:
    return weights.load("landmarks", LandmarkPredictor).mean_face


@lru_cache(maxsize=4096)
def _person(number: int) -> Identity:
    return synthetic.identities([number])


@lru_cache(maxsize=4096)
def _seed(scene: str, start: int) -> int:
    """The first seed from 1000 start on that has a scene as its background."""
    return next(seed for seed in count(1000 * start % 900_001) if scene_of(seed) == scene)


# ---------------------------------------------------------------------------------- all of them


def _degrees(values: Sequence[int], change: Callable[[int], Callable[[Pose], Pose]]) -> tuple[Level, ...]:
    return tuple(Level(f"{value}°".replace("-", "−"), value, pose=change(value)) for value in values)


def _in_order(**levels: dict) -> tuple[Level, ...]:
    return tuple(Level(name.replace("_", " "), place, **level) for place, (name, level) in enumerate(levels.items()))


_SHIFTS = tuple(
    Level(f"{share} %", share, guide=partial(hidden_shifted, share / 100)) for share in (0, 2, 4, 8, 16)
)

FACTORS: Mapping[str, Factor] = {one.name: one for one in (
    Factor("yaw", "head turned to the right of the picture", _degrees(
        (0, 15, 30, 45, 60), lambda value: partial(turned, yaw=value)), ("mask01", "mask02")),
    Factor("pitch", "head lowered (above 0) or raised", _degrees(
        (-24, -12, 0, 12, 24), lambda value: partial(turned, pitch=value)), ("mask04", "face-mask")),
    Factor("light", "direction of the light, from the front to the right", _degrees(
        (0, 30, 60, 90), lambda value: partial(lit, azimuth=math.radians(value))), ("mask01", "mask02")),
    Factor("glasses", "glasses", _in_order(none={}, glasses=dict(pose=partial(with_values, glasses=1))),
           ("mask01", "mask05"), adds=True, ordered=False),
    Factor("beard", "beard", _in_order(
        none=dict(person=partial(with_beard, dense=0)),
        stubble=dict(person=partial(with_beard, dense=0.7, length=0.2)),
        full=dict(person=partial(with_beard, dense=0.9, length=1.6))),
        feminine=False, adds=True),
    Factor("tone", "skin tone, lightest to darkest", tuple(
        Level(str(tone), tone, person=partial(with_tone, tone=tone)) for tone in range(7))),
    Factor("age", "age of skin and hair (years)", tuple(
        Level(str(years), years, person=partial(with_age, years=years)) for years in (20, 38, 57, 75))),
    Factor("background", "background", tuple(
        Level(scene, place, pose=partial(before, scene=scene)) for place, scene in enumerate(SCENES)),
        ("mask01", "irregular-30-40"), ordered=False),
    Factor("landmarks", "landmarks that the methods are told", (
        Level("true", 0, guide=true_landmarks), Level("predicted", 1),
        *(replace(one, name=f"{one.name} off", place=place) for place, one in enumerate(_SHIFTS[1:], 2)),
        Level("mean face", len(_SHIFTS) + 1, guide=mean_face)), ordered=False),
    Factor("people", "plain conditions", (Level("plain", 0),)),
)}


def factor(name: str) -> Factor:
    """The factor of a name; InputError, which names the nearest, for an unknown one."""
    require_known("factor", name, list(FACTORS))
    return FACTORS[name]
