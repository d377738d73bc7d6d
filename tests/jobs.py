"""Kinds of work that tests kill and starve, the server that starts them, and what each ends with undisturbed.

The fixtures are those of all test files: to import everything once more, and to train again, takes longer than to kill.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import torch
from forks import PATIENCE, Forks, Job
from PIL import ImageEnhance, ImageOps

PASSING = ("tensorboard", "speed.csv")  # what says how long it took
CHECKPOINT_EVERY = 3


@dataclass
class Kind:
    """A kind of work that is killed. words: the command up to --out, before: see `forks.BEFORE`.

    done: counts what a kill must not take away; lost: how much of that it may.
    """

    words: list[str | Path]
    before: dict = field(default_factory=dict)
    lost: int = 0
    resumes: bool = False  # by --resume

    def start(self, forks: Forks, out: Path, **more: object) -> Job:
        resume = ["--resume"] if self.resumes and any((out / "checkpoints").glob("step-*.pt")) else []
        return forks.start(*self.words, "--out", out, *resume, **self.before, **more)

    def done(self, out: Path) -> int:
        """What is on the disk of the work: steps that are logged, or files."""
        return len([file for file in files(out) if not file.name.endswith((".part", ".lock"))])

    def kept(self, out: Path) -> int:
        """What of it the next start will not do again."""
        return self.done(out)


class Training(Kind):
    """Steps of a training run."""

    def done(self, out: Path) -> int:
        log = out / "speed.csv"
        if not log.exists():
            return 0  # killed before its first step
        return max((int(line.split(",")[0]) for line in log.read_text().splitlines()[1:]), default=0)

    def kept(self, out: Path) -> int:
        return max((int(file.stem.split("-")[1]) for file in (out / "checkpoints").glob("step-*.pt")), default=0)


def files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file())


def contents(out: Path) -> dict[str, str]:
    """The files of a run, but those that tell the time, by hashes of what is in them."""
    return {
        str(file.relative_to(out)): hashlib.sha256(content(file)).hexdigest()
        for file in files(out) if not set(PASSING) & set(file.relative_to(out).parts)
    }


def content(file: Path) -> bytes:
    """The bytes of a file; of a checkpoint, whose pickle may say the same in two ways, those of its numbers."""
    if file.suffix != ".pt":
        return file.read_bytes()
    return b"".join(numbers(torch.load(file, weights_only=True)))


def numbers(value: object) -> Iterator[bytes]:
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple):
        for part in value:
            yield from numbers(part)
    else:
        yield value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()


def state(out: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for file in files(out) if out.exists() else []:
        try:
            found[str(file)] = file.stat().st_size, file.stat().st_mtime_ns
        except FileNotFoundError:  # it has just got its name
            pass
    return found


def first_sign(job: Job, out: Path) -> float:
    """Wait until the job has written something; returns when that was."""
    before, end = state(out), time.monotonic() + PATIENCE
    while not job.ended and state(out) == before:
        assert time.monotonic() < end
        time.sleep(0.005)
    return time.monotonic()


def undisturbed(forks: Forks, kind: Kind, out: Path) -> tuple[dict[str, str], float]:
    """What it ends with, and the seconds from its first sign to its end."""
    job = kind.start(forks, out)
    begin = first_sign(job, out)
    assert job.wait() == 0, job.said
    return contents(out), time.monotonic() - begin


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """The server that starts jobs: one, for it imports everything."""
    if not hasattr(os, "fork"):
        pytest.skip("jobs are forked, which Windows can't")
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def kinds(face_folder, people, tmp_path_factory, astronaut):
    photos = tmp_path_factory.mktemp("photos")
    portrait = astronaut.crop((110, 0, 350, 240))
    looks = [portrait, ImageOps.mirror(portrait), ImageEnhance.Brightness(portrait).enhance(0.8)]
    for number, look in enumerate(looks):
        (photos / f"person-{number % 2}").mkdir(exist_ok=True)
        look.save(photos / f"person-{number % 2}" / f"photo-{number}.png")
    quick, every = {"quick": True}, f"checkpoint_every={CHECKPOINT_EVERY}"
    smoke = ["--faces", face_folder(people=3), "--preset", "smoke"]
    return {
        "landmarks": Training(
            ["train", "landmarks", *smoke, "--set", f"landmarks.{every}", "landmarks.steps=7", "landmarks.batch=2",
             "landmarks.validate_every=4"], quick, CHECKPOINT_EVERY, resumes=True),
        "completion": Training(
            ["train", "completion", *smoke, "--set", f"completion.{every}", "completion.steps=10"],
            quick, CHECKPOINT_EVERY, resumes=True),
        "synthetic": Kind(
            ["data", "synthetic", "--people", "3", "--photos", "2", "--size", "32", "--supersample", "1"]),
        "folder": Kind(["data", "folder", photos, "--size", "64", "--landmarks", "predictor"]),
        "evaluation": Kind(["evaluate", people, "--masks", "face-mask", "--size", "64", "--baselines", "none"], quick),
    }


@pytest.fixture(scope="session")
def whole(forks, kinds, tmp_path_factory):
    """What an undisturbed run of a kind ends with, and the seconds from its first sign to its end."""

    @cache
    def of(name: str) -> tuple[dict[str, str], float]:
        return undisturbed(forks, kinds[name], tmp_path_factory.mktemp("whole") / name)

    return of
