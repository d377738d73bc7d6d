"""A training pipeline by one command: every stage of a recipe, one after the other, and a record of what it did.

A recipe is a TOML file:

    [let]                              # what the caller may change by --let; an empty one has to be given
    photographs = ""

    [[stage]]
    name = "landmarks"                 # its folder in --out
    train = "landmarks"                # landmarks, recogniser or completion
    faces = ["synthetic:0.4", "{photographs}:0.6"]
    set = { steps = 4000, morphs = 200 }
    ships = "landmarks"                # as which weights of the package; not every stage does

    [[stage]]
    name = "evaluation"
    evaluate = ["completion"]          # generators

Where a stage takes weights (`start`, `landmarks`, `recogniser`, `evaluate`), the name of an earlier stage stands for
what that one has made; anything else is a file, or weights that come with the package.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
import tomllib
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from string import Formatter

import torch

from faceinpaint import evaluation, training, weights
from faceinpaint.basics.errors import InputError, reason_of, require_known
from faceinpaint.basics.files import in_sole_use, parse_json, write_whole
from faceinpaint.completion import find_device
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import JUDGE, LOSS, load_recogniser
from faceinpaint.training.presets import Training, preset

RECORD = "release.json"
LARGEST = 1_000_000  # bytes of a recipe
HELD = {"set": (bool, int, float, str)}  # what tables of a stage hold, if not texts
KINDS = ("landmarks", "recogniser", "completion")


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe: a training run, or an evaluation of generators."""

    name: str
    train: str = ""
    faces: list[str] = field(default_factory=list)
    preset: str = "cpu"
    seed: int = 0
    set: dict[str, bool | int | float | str] = field(default_factory=dict)
    start: str = ""  # weights to begin with
    landmarks: str = "landmarks"
    recogniser: str = ""  # of the identity loss, or who judges
    ships: str = ""
    about: dict[str, str] = field(default_factory=dict)  # what the manifest shall say: licence, training_data, ...
    evaluate: list[str] = field(default_factory=list)
    masks: str = "all"
    split: str = "test"
    size: int = 256
    labelled: bool = False
    baselines: list[str] = field(default_factory=lambda: list(evaluation.DEFAULT_BASELINES))


@dataclass(frozen=True)
class Recipe:
    """The stages of a release, in their order; `written` are the same with `{name}` as NAME, for those who read."""

    stages: list[Stage]
    written: list[Stage]

    @classmethod
    def read(cls, file: Path, given: dict[str, str]) -> Recipe:
        """From a TOML file, its `[let]` changed by what was given; InputError for whatever it can't mean."""
        if not os.path.isfile(file):
            raise InputError(f"the recipe {file} can't be read (no such file): give a .toml file")
        if file.stat().st_size > LARGEST:
            raise InputError(f"the recipe {file} has more than {LARGEST:,} bytes, which is none: give a .toml file")
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"the recipe {file} can't be read ({error.strerror}): give a .toml file") from None
        except (ValueError, RecursionError) as error:  # the former for a number of too many digits too
            raise InputError(f"the recipe {file} is no TOML file ({reason_of(error)}): mend it") from None
        for key in content:
            require_known("part of a recipe", key, ["let", "stage"])
        rows = content.get("stage", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"the stages of the recipe {file} are no tables: write [[stage]] above each")
        values = _values(content.get("let", {}), given)
        stages = [_stage(row, values) for row in rows]
        written = [_stage(row, {name: name.upper() for name in values}) for row in rows]
        if not stages:
            raise InputError(f"the recipe {file} has no stage: write at least one [[stage]]")
        names = [stage.name for stage in stages]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"two stages of the recipe are called {name}: each needs a folder of its own")
        return cls(stages, written)


def _values(defaults: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    if not isinstance(defaults, dict) or not all(isinstance(value, str) for value in defaults.values()):
        raise InputError("the recipe's [let] is no table of texts: write NAME = \"VALUE\" in it")
    for name in given:
        require_known("name of the recipe's [let]", name, list(defaults))
    values = defaults | given
    for name, value in values.items():
        if value == "":
            raise InputError(f"the recipe needs {name}: give it by --let {name}=...")
    return values


def _stage(row: dict, values: dict[str, str]) -> Stage:
    """A stage with everything in it checked before the first one runs for hours."""
    names = [one.name for one in fields(Stage)]
    for key in row:
        require_known("setting of a stage", key, names)
    if "name" not in row:
        raise InputError("a stage of the recipe has no name: give it one, it becomes the name of its folder")
    filled = {key: _filled(value, values) for key, value in row.items()}
    for key, value in filled.items():
        kind = type(getattr(Stage("example"), key))
        if not isinstance(value, kind) or kind is not bool and isinstance(value, bool):
            raise InputError(f"{key} of the stage {row['name']} is no {kind.__name__}: {value!r}")
        inside = value.values() if kind is dict else value if kind is list else ()
        if not all(isinstance(one, HELD.get(key, str)) for one in inside):
            raise InputError(f"{key} of the stage {row['name']} holds what it can't: {value!r}, write texts in quotes")
    stage = Stage(**filled)
    for name in (stage.name, stage.ships or stage.name):
        if not re.fullmatch(r"[\w-][\w.-]*", name):  # nothing that leads to another folder
            raise InputError(f"a stage can't be called, or ship as, {name!r}: take letters, digits, - and _")
    if not 0 <= stage.seed < 2**31:
        raise InputError(f"the stage {stage.name} has a seed that is none: take one from 0 to {2**31 - 1}")
    if bool(stage.train) == bool(stage.evaluate):
        raise InputError(f"the stage {stage.name} has to have one of `train` and `evaluate`")
    if not stage.faces or stage.evaluate and len(stage.faces) > 1:
        wanted = "one face folder" if stage.evaluate else "faces"
        raise InputError(f"the stage {stage.name} needs {wanted}: write faces = [...]")
    if stage.train:
        require_known("kind of training", stage.train, KINDS)
        settings(stage)
    return stage


def _filled(value: object, values: dict[str, str]) -> object:
    """A recipe's value with `{name}` replaced, in lists and tables too."""
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    try:
        parts = list(Formatter().parse(value))
    except ValueError as error:
        raise InputError(f"{value!r} in the recipe can't be filled in ({error}): write {{{{ for a brace") from None
    for _, name, form, conversion in parts:
        if name is not None:
            require_known("name of the recipe's [let]", name, list(values))
        if form or conversion:  # which could make a text of any length
            raise InputError(f"{value!r} in the recipe asks for a form: write the name in braces alone, {{{name}}}")
    return value.format(**values)


def settings(stage: Stage) -> Training:
    """The settings of a training stage; InputError for one that its kind of training doesn't have."""
    words = {True: "true", False: "false"}
    overrides = [
        f"{stage.train}.{key}={words[value] if isinstance(value, bool) else value}" for key, value in stage.set.items()
    ]
    return getattr(preset(stage.preset, overrides), stage.train)


# --------------------------------------------------------------------------------------------- running


@in_sole_use
def release(recipe: Recipe, out: Path) -> Path:
    """Run every stage that is not done; returns the file of the record. A call that was stopped is taken up again.

    out: a folder for each stage and `release.json`, which says of each stage what it was told, what it ran on, how
    long it took and the sha256 of what it made. Raises InputError where a stage that is done was told something else.
    """
    record = _read_record(out)
    for stage in recipe.stages:
        told = _told(stage)
        done = record.get(stage.name, {})
        if done and done["told"] != told:
            raise InputError(
                f"{out / stage.name} was made by a stage {stage.name} with other settings: "
                "choose another --out, or delete that folder and its part of the record"
            )
        if done.get("finished"):
            continue
        before = done.get("seconds", 0.0)
        begin = time.monotonic()
        entry = {"told": told, "machine": machine(), "started": done.get("started") or _now()}
        try:
            made = _run(stage, out)
        finally:  # hours that were stopped were spent too
            entry["seconds"] = round(before + time.monotonic() - begin, 1)
            _write_record(out, record | {stage.name: entry})
        entry |= {"finished": _now(), "file": made.relative_to(out).as_posix(), "sha256": weights.sha256(made)}
        record |= {stage.name: entry}
        _write_record(out, record)
    return out / RECORD


def _run(stage: Stage, out: Path) -> Path:
    """One stage, from its newest checkpoint if it has one; returns the file that it makes."""
    folder = out / stage.name

    def file_of(given: str) -> str:
        made = made_by(out, given)
        return str(made) if made else given

    if stage.evaluate:
        judge = file_of(stage.recogniser or JUDGE)
        evaluation.evaluate(
            stage.faces[0], folder, [file_of(one) for one in stage.evaluate], stage.masks, stage.split, judge,
            size=stage.size, labelled=stage.labelled, compared=stage.baselines, landmarks=file_of(stage.landmarks),
        )
        return folder / "tables.md"

    chosen, resume = settings(stage), any(folder.glob("checkpoints/step-*.pt"))
    start = file_of(stage.start) or None
    if stage.train == "landmarks":
        return training.train_landmarks(stage.faces, chosen, folder, stage.seed, resume, start)
    predictor = weights.load(file_of(stage.landmarks), LandmarkPredictor)
    if stage.train == "recogniser":
        return training.train_recogniser(stage.faces, chosen, folder, predictor, stage.seed, resume, start)
    recogniser = load_recogniser(file_of(stage.recogniser or LOSS))
    return training.train_completion(stage.faces, chosen, folder, predictor, recogniser, stage.seed, resume, start)


def made_by(out: Path, name: str) -> Path | None:
    """What the finished stage `name` has made; None where there is none of this name."""
    entry = _read_record(out).get(name, {})
    return out / entry["file"] if entry.get("finished") else None


def install(recipe: Recipe, out: Path) -> list[str]:
    """Put what the stages made that say `ships` into the package, with the manifest's entries; returns their names."""
    installed = []
    for stage, written in zip(recipe.stages, recipe.written):
        if not stage.ships:
            continue
        made = made_by(out, stage.name)
        if made is None:
            raise InputError(f"the stage {stage.name} has not finished: run the recipe to its end, then install")
        weights.ship(stage.ships, made, **stage.about, command=command(written))
        installed.append(stage.ships)
    return installed


def command(stage: Stage) -> str:
    """The call that does by itself what a training stage does."""
    words = ["faceinpaint train", stage.train, "--preset", stage.preset, "--faces", *stage.faces]
    for option in ("start", "landmarks", "recogniser"):
        given = getattr(stage, option)
        if given != getattr(Stage("example"), option):
            words += [f"--{option}", given]
    words += ["--seed", str(stage.seed)] if stage.seed else []
    words += ["--set", *(f"{stage.train}.{key}={value}" for key, value in stage.set.items())] if stage.set else []
    return " ".join(words)


# --------------------------------------------------------------------------------------------- the record


def _told(stage: Stage) -> dict:
    """What a stage says about its run beyond the defaults."""
    default = Stage(stage.name)
    said = {one.name: getattr(stage, one.name) for one in fields(stage) if one.name not in ("name", "ships", "about")}
    return {key: value for key, value in said.items() if value != getattr(default, key)}


def machine() -> dict[str, str | int]:
    """What a stage ran on."""
    device = find_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": device.type, "name": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _read_record(out: Path) -> dict[str, dict]:
    file = out / RECORD
    if not file.is_file():
        return {}
    try:
        record = parse_json(file.read_bytes())
    except ValueError:
        record = None
    if not isinstance(record, dict) or not all(map(_is_entry, record.values())):
        raise InputError(f"{file} is damaged: delete it, the stages then find their checkpoints again")
    return record


def _is_entry(entry: object) -> bool:
    """Whether this is what a record says of a stage."""
    if not isinstance(entry, dict) or not isinstance(entry.get("told"), dict):
        return False
    made = isinstance(entry.get("file"), str) or not entry.get("finished")
    return made and isinstance(entry.get("seconds", 0.0), (int, float))


def _write_record(out: Path, record: dict[str, dict]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / RECORD, (json.dumps(record, indent=2) + "\n").encode())
