"""kill -9 at any moment: the next start goes on, loses at most one interval, and ends as an undisturbed run does.

A few kills of each kind here; `pytest --long tests/test_kills.py` gives thirty to each, by a seed that it prints.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from forks import PATIENCE, Forks, Job
from PIL import ImageEnhance, ImageOps
from test_download import Loopback, send

SEED = 20
PASSING = ("tensorboard", "speed.csv")  # what says how long it took
CHECKPOINT_EVERY = 3
CONTENT = bytes(range(256)) * 4096  # 1 MiB, of which PIECE may be lost


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


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


def disturbed(forks: Forks, kind: Kind, out: Path, kills: list[float], seconds: float, chance: random.Random) -> int:
    """Kill it so many times and let it end. kills: shares of the time. Returns the most that a kill has cost."""
    most = 0
    for share in kills:
        job = kind.start(forks, out)
        begin = first_sign(job, out)
        time.sleep(max(0.0, begin + share * seconds - time.monotonic()))
        assert job.kill() in (0, -signal.SIGKILL), job.said
        lost = kind.done(out) - kind.kept(out)
        assert lost <= kind.lost, f"{lost} lost of {kind.done(out)}"
        most = max(most, lost)
        if job.status == 0:
            break
    job = kind.start(forks, out)
    assert job.wait() == 0 or "already holds a run" in job.said, job.said
    return most


@pytest.fixture(scope="module")
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


@pytest.mark.parametrize("name", ["landmarks", "synthetic", "folder", "evaluation"])
def test_killed_at_two_moments_it_ends_as_if_nothing_had_been(forks, kinds, tmp_path, name):
    chance = random.Random(SEED)
    expected, seconds = undisturbed(forks, kinds[name], tmp_path / "whole")
    kills = [chance.uniform(0, 0.6), chance.uniform(0, 0.6)]
    disturbed(forks, kinds[name], tmp_path / "killed", kills, seconds, chance)
    assert contents(tmp_path / "killed") == expected


@pytest.mark.parametrize("name, before", [
    ("landmarks", {"kill_in_write": 6}), ("evaluation", {"kill_in_write": 7}),
    pytest.param("landmarks", {"kill_before_move": 6}, marks=pytest.mark.long),
], ids=["in a checkpoint", "in a part", "before its name"])
def test_killed_while_it_writes_it_ends_as_if_nothing_had_been(forks, kinds, tmp_path, whole, name, before):
    out = tmp_path / "killed"
    job = kinds[name].start(forks, out, **before)
    assert job.wait() == -signal.SIGKILL, job.said
    assert [file for file in files(out) if file.suffix == ".part"]
    assert kinds[name].start(forks, out).wait() == 0
    assert contents(out) == whole(name)


@pytest.fixture(scope="module")
def whole(forks, kinds, tmp_path_factory):
    """What an undisturbed run of a kind ends with."""
    found: dict[str, dict[str, str]] = {}

    def of(name: str) -> dict[str, str]:
        if name not in found:
            found[name], _ = undisturbed(forks, kinds[name], tmp_path_factory.mktemp("whole") / name)
        return found[name]

    return of


@pytest.mark.long
@pytest.mark.parametrize("name", ["landmarks", "completion", "synthetic", "folder", "evaluation"])
def test_thirty_kills(forks, kinds, tmp_path, name):
    chance, kind = random.Random(f"{SEED} {name}"), kinds[name]
    expected, seconds = undisturbed(forks, kind, tmp_path / "whole")
    most, given, rounds = 0, 0, 0
    while given < 30:
        begin, count = forks.count, min(chance.randint(2, 6), 30 - given)
        kills = [chance.uniform(0, 0.8) for _ in range(count)]
        most = max(most, disturbed(forks, kind, tmp_path / "killed", kills, seconds, chance))
        assert contents(tmp_path / "killed") == expected
        shutil.rmtree(tmp_path / "killed")
        given, rounds = given + forks.count - begin - 1, rounds + 1
        print(f"{name}: {given} kills in {rounds} runs, seed {SEED}; the most that one cost: {most} of {kind.lost}")


@pytest.mark.long
@pytest.mark.parametrize("name", ["landmarks", "completion", "synthetic", "folder", "evaluation"])
@pytest.mark.parametrize("way", ["kill_in_write", "kill_before_move"])
def test_killed_in_every_file_that_it_writes(forks, kinds, tmp_path, whole, name, way):
    for number in range(1, 1000):
        out = tmp_path / str(number)
        job = kinds[name].start(forks, out, **{way: number})
        if job.wait() == 0:
            break
        assert job.status == -signal.SIGKILL, job.said
        again = kinds[name].start(forks, out)
        assert again.wait() == 0, again.said
        assert contents(out) == whole(name), number
    print(f"{name}: {way} of each of {number - 1} files")
    assert number > 3


# ------------------------------------------------------------------------------------------- downloads


@pytest.fixture
def slow_server():
    """Gives /small in pieces, a while apart; what was asked for is noted."""
    server = Loopback()

    def answer(handler) -> None:
        begin = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if begin >= len(CONTENT):
            send(handler, 416, b"", Content_Range=f"bytes */{len(CONTENT)}")
            return
        handler.send_response(206 if begin else 200)
        handler.send_header("Content-Length", str(len(CONTENT) - begin))
        handler.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        for first in range(begin, len(CONTENT), 1 << 15):
            handler.wfile.write(CONTENT[first : min(first + (1 << 15), len(CONTENT))])
            server.closing.wait(0.02)

    server.gives("/small.pth", answer)
    yield server
    server.close()


def killed_download(forks: Forks, server: Loopback, folder: Path, shares: list[float]) -> list[int]:
    """Kill a download at such shares of it; returns where each start began."""
    published = {"url": server.url("/small.pth"), "size": len(CONTENT), "folder": str(folder / "hub"),
                 "sha256": hashlib.sha256(CONTENT).hexdigest()}
    target = folder / "hub" / "checkpoints" / "small.pth"
    part = target.with_name("small.pth.part")
    for share in shares:
        there = part.stat().st_size if part.exists() else 0
        job = forks.start("fetch", "small", publish=published)
        wanted = there + share * (len(CONTENT) - there)
        while not job.ended and not target.exists() and (not part.exists() or part.stat().st_size < wanted):
            time.sleep(0.002)
        job.kill()
        assert not part.exists() or part.stat().st_size >= there
    job = forks.run("fetch", "small", publish=published)
    assert job.status == 0, job.said
    left = [file.name for file in files(folder) if file.suffix != ".lock"]  # one killed between its file and its lock
    assert target.read_bytes() == CONTENT and left == ["small.pth"]
    return [int((asked or "bytes=0-").removeprefix("bytes=").removesuffix("-")) for _, asked in server.asked]


def test_a_killed_download_goes_on_where_it_was(forks, slow_server, tmp_path):
    begun = killed_download(forks, slow_server, tmp_path, [0.3, 0.5])
    assert len(begun) == 3 and 0 == begun[0] < begun[1] < begun[2]


@pytest.mark.long
def test_thirty_kills_of_downloads(forks, slow_server, tmp_path):
    chance = random.Random(SEED)
    for run in range(10):
        slow_server.asked.clear()
        begun = killed_download(forks, slow_server, tmp_path / str(run), [chance.uniform(0, 0.9) for _ in range(3)])
        assert begun == sorted(begun)
