"""Broken inputs by the hundred, each the same for the same seed and number, and what has to come of every one.

A broken input is taken as it is, or refused by one sentence: no other exception, no end of time or memory, and no file
that is left behind. `fuzzing_inputs`, and the modules that it takes them from, make the inputs; here they are damaged,
run, and judged.
"""

from __future__ import annotations

import contextlib
import io
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from unittest import mock

import psutil

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.memory import peak_memory, restart_peak
from faceinpaint.cli import commands

SECONDS = 10  # of computing that an input may take
WAITING = 120  # seconds by the clock: what waits for something doesn't compute, and a busy machine is no fault
MEMORY = 1 << 30  # bytes beyond those that were held before
ROOM = 4 << 30  # bytes that may be asked for at all: what wants more is stopped before the machine is
LONGEST = 1000  # characters of a sentence: it names the fault, and doesn't repeat the input


@dataclass(frozen=True)
class Case:
    """A broken input and what reads it.

    what: how it is broken. kept: names, relative to the folder, that may be there after a failure though they were not
    there before.
    """

    what: str
    run: Callable[[], object]
    kept: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Outcome:
    """What came of a case: the sentence by which it was refused, if it was; and the fault of the package, if any."""

    kind: str
    seed: int
    number: int
    what: str
    said: str
    fault: str
    seconds: float
    memory: int  # bytes, at most, beyond those held before

    def __str__(self) -> str:
        name = f"{self.kind} {self.seed}/{self.number}: {self.what}"
        return f"{name}: {self.fault or self.said or 'taken'} ({self.seconds:.2f} s, {self.memory / 2**20:.0f} MiB)"


Maker = Callable[[random.Random, Path], Case]


def judged(kind: str, maker: Maker, seed: int, number: int, folder: Path) -> Outcome:
    """Make the case of a number in an empty folder, run it, and say what came of it."""
    case = maker(random.Random(f"{kind} {seed} {number}"), folder)
    (folder / "tmp").mkdir()
    before, said, fault = files_below(folder), "", ""
    begin, held = time.process_time(), restart_peak()
    try:
        with _bounded(), mock.patch.object(tempfile, "tempdir", str(folder / "tmp")), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.run()
    except InputError as error:
        said = str(error)
        fault = "" if is_sentence(said) else f"no sentence: {said[:300]!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        fault = f"{type(error).__name__}: {str(error)[:200]} at {_place(error)}"
    seconds, memory = time.process_time() - begin, 0 if held is None else peak_memory() - held
    left = files_below(folder) - before - case.kept
    if left and said or any(".part" in name or name.startswith("tmp/") for name in left):
        fault = fault or f"left behind: {sorted(left)[:3]}"
    if memory > MEMORY:
        fault = fault or f"too much memory: {memory / 2**20:.0f} MiB"
    return Outcome(kind, seed, number, case.what, said, fault, seconds, memory)


def is_sentence(text: str) -> bool:
    """One line that is no more than a sentence, and can be read."""
    ends_within = re.search(r"\S\. ", text)  # a folder may be called "."
    return bool(text.strip()) and "\n" not in text.strip() and not ends_within and len(text) <= LONGEST


def files_below(folder: Path) -> set[str]:
    """The names of the files, links and empty folders below a folder, relative to it."""
    paths = folder.rglob("*")
    return {str(path.relative_to(folder)) for path in paths if not path.is_dir() or not any(path.iterdir())}


def command(*arguments: object) -> str:
    """Call `faceinpaint` in this process; what it prints. Raises InputError with its sentence where it fails.

    AssertionError where a call fails without one: it has to end with status 2 and a sentence, or with status 1 and a
    line for each thing that failed.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace") for _ in range(2)]
    status: object = 0
    with mock.patch.object(sys, "argv", ["faceinpaint", *map(str, arguments)]):
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            try:
                commands.main()
            except SystemExit as end:
                status = end.code
    out, err = (stream.buffer.getvalue().decode(errors="replace") for stream in (streams[0],
        streams[1]) if not stream.flush())
    if not status:
        return out
    if status not in (1, 2):
        raise AssertionError(f"status {status}: {err[:200]}")
    if "Usage:" in err:  # by typer, which says it in several lines
        raise InputError("a call that is not understood")
    lines = [line for line in err.splitlines() if line.strip() and "%|" not in line]  # but for bars of progress
    if not lines:
        raise AssertionError(f"status {status} without a word")
    if status == 2 and not lines[-1].startswith("faceinpaint: "):
        raise AssertionError(f"no sentence: {err[:200]!r}")
    raise InputError(lines[-1])


# ------------------------------------------------------------------------------------ damage

EXTREMES = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x80")


def damaged(content: bytes, rng: random.Random, header: int = 64) -> tuple[bytes, str]:
    """Bytes damaged in one to three of many ways, and their names; half of the damage hits the first `header` bytes."""
    names = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(list(DAMAGES))
        end = max(1, min(header, len(content)) if rng.random() < 0.5 else len(content))
        content = bytes(DAMAGES[name](bytearray(content), rng.randrange(end), rng))
        names.append(name)
    return content, " and ".join(names)


def _flip_bit(content: bytearray, at: int, rng: random.Random) -> bytearray:
    if content:
        content[at % len(content)] ^= 1 << rng.randrange(8)
    return content


def _set_byte(content: bytearray, at: int, rng: random.Random) -> bytearray:
    if content:
        content[at % len(content)] = rng.randrange(256)
    return content


def _set_word(content: bytearray, at: int, rng: random.Random) -> bytearray:
    content[at : at + 4] = rng.choice(EXTREMES)
    return content


def _noise(content: bytearray, at: int, rng: random.Random) -> bytearray:
    count = rng.randrange(1, 64)
    content[at : at + count] = rng.randbytes(count)
    return content


def _splice(content: bytearray, at: int, rng: random.Random) -> bytearray:
    first, count = rng.randrange(len(content) + 1), rng.randrange(1, 256)
    content[at:at] = content[first : first + count]
    return content


def _delete(content: bytearray, at: int, rng: random.Random) -> bytearray:
    del content[at : at + rng.randrange(1, 64)]
    return content


def _zero(content: bytearray, at: int, rng: random.Random) -> bytearray:
    count = min(rng.randrange(1, 64), len(content) - at)
    content[at : at + count] = bytes(max(0, count))
    return content


DAMAGES: dict[str, Callable[[bytearray, int, random.Random], bytearray]] = {
    "a bit flipped": _flip_bit,
    "a byte changed": _set_byte,
    "an extreme number": _set_word,
    "noise": _noise,
    "a piece twice": _splice,
    "a piece missing": _delete,
    "zeros": _zero,
    "cut short": lambda content, at, rng: content[:at],
    "more at the end": lambda content, at, rng: content + rng.randbytes(rng.randrange(1, 2000)),
}


# ------------------------------------------------------------------------------------ values

DEEP = 100_000  # lists in each other
# What stands where another value is expected.
NASTY = (
    None, True, False, 0, -1, 1.5, 1e308, -1e308, 10**400, float("nan"), float("inf"), "", " ", "\0", "\ud800", "..",
    "../../../etc/passwd", "/etc/passwd", "x" * 300, "x" * 1_000_000, "naïve 写真 🙂", "a/b\\c:d", "__class__", "NaN",
    "{name}", "%s", "${HOME}", [], {}, [None], [[]], [[[1, 2]]], [1, "2"], {"a": 1}, list(range(1000)),
)


def member(name: str) -> zipfile.ZipInfo:
    """A member of a zip that was written at no particular time."""
    return zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))


# ------------------------------------------------------------------------------------ bounds


class TookTooLong(BaseException):
    """No Exception, which a decoder's caller may catch."""


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Stop what takes more than SECONDS, and refuse memory beyond ROOM; where the machine can."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {SECONDS} s of computing, or {WAITING} of waiting")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    if sys.platform == "linux":  # macOS counts terabytes that nobody holds
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _place(error: BaseException) -> str:
    """The last line of the package that an exception came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "faceinpaint/" in frame.filename and "/tests/" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
