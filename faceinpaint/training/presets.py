"""Hyperparameters: the settings of each training stage, by preset, and how to change one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, get_args, get_type_hints

from faceinpaint.basics.errors import InputError, require_known


@dataclass(frozen=True)
class Training:
    """What all stages have in common."""

    steps: int = 4000
    batch: int = 32  # pictures of each process
    lr: float = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"  # of the rate, after a short rise
    clip: float = 1.0  # longest gradient that is followed as it is
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bfloat16 where the machine is quick at it
    compile: Literal["auto", "on", "off"] = "auto"  # torch.compile; auto: on a GPU, for long runs
    validate_every: int = 500  # steps, and after the last one; 0, for a measurement of speed: never
    checkpoint_every: int = 250


@dataclass(frozen=True)
class MixtureTraining(Training):
    """What the stages have in common that learn from any mixture of faces."""

    rendered: int = 256  # rendered faces in memory at a time
    refresh: int = 1000  # steps after which they, and those of streams, are replaced
    workers: int = 0  # processes that prepare batches; 0: the one that trains does it
    morphs: int = 0  # invented people for each folder, each a blend of two real ones
    backdrops: int = 0  # faces of each folder that come once more, before another background


@dataclass(frozen=True)
class LandmarkTraining(MixtureTraining):
    """Stage 1: landmarks of partly hidden faces."""

    size: int = 128  # pixels of the training crop
    width: float = 1.0  # of MobileNetV2
    masks: Literal["all", "none"] = "all"  # kinds of masks that are trained on
    ema: float = 0.998  # decay of the averaged predictor, which is the one that ships


@dataclass(frozen=True)
class RecogniserTraining(MixtureTraining):
    """A recogniser: who is it?"""

    steps: int = 2400
    batch: int = 48
    lr: float = 2e-3
    rendered: int = 3200
    refresh: int = 1200
    validate_every: int = 400
    network: Literal["mobilefacenet", "resnet"] = "mobilefacenet"
    width: float = 0.5  # times the channels of MobileFaceNet, or times 48 channels of the residual network
    embedding: int = 128
    head: Literal["arcface", "cosface"] = "arcface"
    margin: float = 0.3  # ArcFace: radians added to the angle; CosFace: taken off the cosine
    morphs: int = 1000
    people: int = 1600  # rendered people of `synthetic`
    validation: int = 200  # faces of each source, at most; a threshold wants many pairs


@dataclass(frozen=True)
class CompletionTraining(MixtureTraining):
    """Stage 2: the generator against the discriminator."""

    steps: int = 12000
    batch: int = 4
    lr: float = 3e-4
    refresh: int = 500
    size: int = 256
    width: int = 48  # of the generator
    rank: int = 32  # channels between the two halves of each thin residual convolution; 0: whole ones
    style_code: bool = True  # whether the visible part as a whole acts on the decoder
    discriminator: Literal["projected", "patch"] = "projected"  # patch is the paper's
    discriminator_width: int = 64
    prior: bool = True  # False is the paper's plain network
    masks: Literal["all", "unseen"] = "all"  # unseen: mostly those under which neither side of the face is visible
    landmark_noise: float = 0.0  # by how much predicted landmarks are led astray, over the distance of the eyes
    reconstruction: float = 50.0  # weights of equations 2 to 5
    perceptual: float = 0.5
    identity: float = 0.1
    adversarial: float = 0.05
    background: float = 1.0  # share of the reconstruction's weight where the hole is neither face nor mirrored
    mirrored: float = 1.0  # share of the adversarial weight where the other side of the face is visible
    total_variation: float = 0.0  # weights of the optional terms
    style: float = 0.0
    symmetry: float = 0.0
    texture: float = 0.0
    r1: float = 0.0
    gan: Literal["paper", "hinge"] = "paper"  # which form of equation 5
    features: str = "imagenet"  # of the perceptual loss and the projected discriminator: imagenet or vgg19
    discriminator_rate: float = 1.0  # times the generator's rate (two time scales: Heusel et al. 2017)
    adversarial_from: int = 500  # step at which the discriminator joins
    milestone_faces: int = 24  # that each of the paper's five milestones is measured on; 0: none
    ema: float = 0.998  # decay of the averaged generator, which is the one that ships


@dataclass(frozen=True)
class Preset:
    """All stages of one preset."""

    landmarks: LandmarkTraining = field(default_factory=LandmarkTraining)
    recogniser: RecogniserTraining = field(default_factory=RecogniserTraining)
    completion: CompletionTraining = field(default_factory=CompletionTraining)


PRESETS = {
    # Minutes of headless testing: everything runs, nothing is learnt well.
    "smoke": Preset(
        LandmarkTraining(steps=20, batch=8, size=64, width=0.35, rendered=32),
        RecogniserTraining(steps=10, batch=8, width=0.125, morphs=10, people=20, rendered=32, validate_every=10,
                            validation=16),
        CompletionTraining(steps=10, batch=2, size=64, width=8, discriminator_width=8, adversarial_from=4,
                           validate_every=5, rendered=32, milestone_faces=2),
    ),
    # A laptop's evening; the shipped weights come from here, some with fewer steps: see their model card.
    "cpu": Preset(),
    # The paper's setting.
    "gpu": Preset(
        LandmarkTraining(steps=60_000, batch=64, rendered=4096, workers=12, validate_every=2000, checkpoint_every=2000),
        RecogniserTraining(steps=60_000, batch=256, width=1.0, morphs=10_000, people=50_000, rendered=8192, workers=12,
                           validate_every=2000, checkpoint_every=2000),
        CompletionTraining(steps=970_000, batch=16, width=64, discriminator_width=64, rendered=2048, refresh=2000,
                           workers=12, validate_every=5000, checkpoint_every=2000, milestone_faces=48),
    ),
}


def preset(name: str, overrides: Sequence[str] = ()) -> Preset:
    """The preset `name` with `stage.key=value` overrides; an unknown name or a wrong type names the remedy."""
    require_known("preset", name, list(PRESETS))
    chosen = PRESETS[name]
    for override in overrides:
        chosen = _override(chosen, override)
    return chosen


def _override(chosen: Preset, text: str) -> Preset:
    path, equals, value = text.partition("=")
    stage, dot, key = path.strip().partition(".")
    if not (equals and dot):
        raise InputError(f"'{text}' is not a setting: write stage.key=value, for example completion.lr=1e-4")
    require_known("stage", stage, [one.name for one in fields(chosen)])
    settings = getattr(chosen, stage)
    require_known(f"{stage} setting", key, [one.name for one in fields(settings)])
    parsed = _parse(value.strip(), get_type_hints(type(settings))[key], f"{stage}.{key}")
    return replace(chosen, **{stage: replace(settings, **{key: parsed})})


def _parse(value: str, kind: type, path: str) -> bool | int | float | str:
    if kind is str:
        return value
    if words := get_args(kind):
        require_known(path, value, words)
        return value
    booleans = {"true": True, "false": False}
    try:
        parsed = booleans[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise InputError(f"{path} takes a value of type {kind.__name__}, not '{value}'") from None
    if not 0 <= parsed < float("inf"):  # NaN is neither
        raise InputError(f"{path} takes a number from 0 upwards, not '{value}'")
    if kind is int and parsed == 0 and path.partition(".")[2] in AT_LEAST_ONE:
        raise InputError(f"{path} takes a number from 1 upwards, not '{value}'")
    most = AT_MOST.get(path.partition(".")[2], LARGEST)
    if parsed > most:
        raise InputError(f"{path} takes a number up to {most:,}, not '{value}'")
    if path == "completion.size" and parsed % 8:
        raise InputError(f"{path} takes a multiple of 8, not '{value}'")
    return parsed


# Nothing could be counted or divided by them otherwise.
AT_LEAST_ONE = {
    "steps", "batch", "refresh", "rendered", "validate_every", "checkpoint_every", "size", "width",
    "discriminator_width", "embedding", "people", "validation",
}
# Beyond them no memory is enough, or, for a decay, there is no mean.
AT_MOST = {
    "size": 1024, "width": 1024, "discriminator_width": 1024, "embedding": 4096, "batch": 65_536, "workers": 256,
    "rendered": 1_000_000, "validation": 1_000_000, "ema": 1, "rank": 1024,
}
LARGEST = 1_000_000_000
