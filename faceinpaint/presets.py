"""How long, how large, how strong: the settings of each training stage, by preset, and how to change one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields, replace
from typing import get_type_hints

from faceinpaint.errors import InputError


@dataclass(frozen=True)
class LandmarkTraining:
    """Stage 1: landmarks of partly hidden faces."""

    steps: int = 4000
    batch: int = 32
    lr: float = 1e-3
    size: int = 128  # pixels of the training crop
    width: float = 1.0  # of MobileNetV2


@dataclass(frozen=True)
class RecogniserTraining:
    """The embedded recogniser: who is it?"""

    steps: int = 2000
    batch: int = 48
    lr: float = 2e-3
    width: float = 0.5  # of MobileFaceNet
    embedding: int = 128
    margin: float = 0.3  # radians by which ArcFace asks for more
    morphs: int = 1000  # invented people, each a blend of two real ones


@dataclass(frozen=True)
class CompletionTraining:
    """Stage 2: the generator against the discriminator."""

    steps: int = 12000
    batch: int = 4
    lr: float = 3e-4
    size: int = 256
    width: int = 48  # of the generator
    discriminator_width: int = 32
    prior: bool = True  # False is the paper's plain network
    reconstruction: float = 50.0  # weights of equations 2 to 5
    perceptual: float = 0.5
    identity: float = 0.1
    adversarial: float = 0.05
    adversarial_from: int = 500  # step at which the discriminator joins
    ema: float = 0.998  # decay of the averaged generator, which is the one that ships
    validate_every: int = 500


@dataclass(frozen=True)
class Preset:
    """All stages of one preset."""

    landmarks: LandmarkTraining = field(default_factory=LandmarkTraining)
    recogniser: RecogniserTraining = field(default_factory=RecogniserTraining)
    completion: CompletionTraining = field(default_factory=CompletionTraining)


PRESETS = {
    # Minutes of headless testing: everything runs, nothing is learnt well.
    "smoke": Preset(
        LandmarkTraining(steps=20, batch=8, size=64, width=0.35),
        RecogniserTraining(steps=10, batch=8, width=0.125, morphs=10),
        CompletionTraining(steps=10, batch=2, size=64, width=8, discriminator_width=8, adversarial_from=4,
                           validate_every=5),
    ),
    # A laptop's evening; the shipped weights come from here, some with fewer steps: see their model card.
    "cpu": Preset(),
    # The paper's setting.
    "gpu": Preset(
        LandmarkTraining(steps=60_000, batch=64, size=128),
        RecogniserTraining(steps=60_000, batch=256, width=1.0, morphs=10_000),
        CompletionTraining(steps=970_000, batch=16, width=64, discriminator_width=64, validate_every=5000),
    ),
}


def preset(name: str, overrides: list[str] = ()) -> Preset:
    """The preset `name` with `stage.key=value` overrides; an unknown name or a wrong type names the remedy."""
    if name not in PRESETS:
        raise InputError(f"there is no preset '{name}': choose one of {', '.join(PRESETS)}")
    chosen = PRESETS[name]
    for override in overrides:
        chosen = _override(chosen, override)
    return chosen


def _override(chosen: Preset, text: str) -> Preset:
    path, equals, value = text.partition("=")
    stage, dot, key = path.strip().partition(".")
    if not (equals and dot):
        raise InputError(f"'{text}' is not a setting: write stage.key=value, for example completion.lr=1e-4")
    _known(stage, [one.name for one in fields(chosen)], "stage")
    settings = getattr(chosen, stage)
    _known(key, [one.name for one in fields(settings)], f"{stage} setting")
    parsed = _parse(value.strip(), get_type_hints(type(settings))[key], path)
    return replace(chosen, **{stage: replace(settings, **{key: parsed})})


def _known(name: str, valid: list[str], what: str) -> None:
    if name not in valid:
        nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0)[0]
        raise InputError(f"there is no {what} '{name}': did you mean '{nearest}'? (all: {', '.join(valid)})")


def _parse(value: str, kind: type, path: str) -> bool | int | float | str:
    words = {"true": True, "false": False}
    try:
        parsed = words[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise InputError(f"{path} takes a value of type {kind.__name__}, not '{value}'") from None
    if not 0 <= parsed < float("inf"):  # NaN is neither
        raise InputError(f"{path} takes a number from 0 upwards, not '{value}'")
    return parsed
