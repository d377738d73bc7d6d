"""Files that appear whole or not at all, texts that may hold anything, folders in which one run works at a time."""

from __future__ import annotations

import csv
import errno
import hashlib
import inspect
import io
import json
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from filelock import FileLock, Timeout

from faceinpaint.basics.errors import InputError

LOCK = ".lock"
P = ParamSpec("P")
R = TypeVar("R")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; InputError when there is no room or no right to."""
    beside = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if os.path.isfile(beside):  # also after Ctrl-C
            beside.unlink()


def _beside(path: Path) -> Path:
    """Where a file lies until it is whole: its name and `.part`, or a hash where that would be too long a name."""
    name = os.fsencode(path.name)
    if len(name) + len(".part") > LONGEST_NAME:
        return path.with_name(hashlib.sha256(name).hexdigest() + ".part")
    return path.with_name(path.name + ".part")


LONGEST_NAME = 255  # bytes, on nearly every file system


def unwritable(path: Path, error: OSError) -> InputError:
    """The error of a file that can't be written."""
    remedy = "shorten its name" if error.errno == errno.ENAMETOOLONG else "choose another --out or make room"
    return InputError(f"{path} can't be written ({error.strerror or error}): {remedy}")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write rows whole, with `columns` and nothing else; what a row lacks stays empty. Errors as `write_whole`."""
    text = io.StringIO(newline="")  # the csv module writes the line ends itself
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Names of files are any bytes on Linux: those that are no UTF-8 come out as they went in.
    write_whole(path, text.getvalue().encode(errors="surrogateescape"))


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says; ValueError, and nothing else, for one that says nothing or is nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


# --------------------------------------------------------------------------------------------- folders


@contextmanager
def sole_use(folder: Path, lock_name: str = LOCK) -> Generator[None]:
    """Keep other runs out of a folder, which is made, while this one is at work there.

    What keeps them out is a lock of the operating system: it ends with the process, however that ends. Raises
    InputError where another run is at work, and where nothing can be written.
    """
    missing = [one for one in (folder, *folder.parents) if not os.path.exists(one)]
    lock = FileLock(folder / lock_name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"another run is at work in {folder}: wait for its end, or choose another --out") from None
    except OSError as error:
        reason = f"the folder {folder} can't be written ({error.strerror or error})"
        raise InputError(f"{reason}: choose another --out") from None
    try:
        yield
    finally:
        with suppress(OSError):
            # While it is held: whoever has the file open sees then that it has lost its name, and guards nothing.
            (folder / lock_name).unlink()
        lock.release()
        with suppress(OSError):  # what was made for a run that has written nothing goes
            for one in missing:
                one.rmdir()


def in_sole_use(work: Callable[P, R]) -> Callable[P, R]:
    """A function that has its parameter `out`, a folder, to itself; of several processes the first one sees to it."""
    signature = inspect.signature(work)

    @wraps(work)
    def alone(*args: P.args, **options: P.kwargs) -> R:
        out = Path(signature.bind(*args, **options).arguments["out"])
        first = int(os.environ.get("RANK", 0)) == 0  # as launchers set it
        with sole_use(out) if first else nullcontext():
            return work(*args, **options)

    return alone
