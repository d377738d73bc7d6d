"""Files that appear whole or not at all, and folders in which one run works at a time."""

from __future__ import annotations

import csv
import errno
import inspect
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import FileLock, Timeout

from faceinpaint.errors import InputError

LOCK = ".lock"
P = ParamSpec("P")
R = TypeVar("R")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; InputError when there is no room or no right to."""
    beside = path.with_name(_short(path.name) + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if beside.is_file():  # also after Ctrl-C
            beside.unlink()


def _short(name: str) -> str:
    """A name that has room for an ending: a photo's may have all the 255 bytes that there are."""
    given = os.fsencode(name)
    return name if len(given) < 250 else f"{zlib.crc32(given):08x}"


def unwritable(path: Path, error: OSError) -> InputError:
    """The error of a file that can't be written."""
    remedy = "give it a shorter name" if error.errno == errno.ENAMETOOLONG else "choose another --out or make room"
    return InputError(f"{path} can't be written ({error.strerror or error}): {remedy}")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write rows whole, with `columns` and nothing else; what a row lacks stays empty. Errors as `write_whole`."""
    text = io.StringIO(newline="")  # the csv module writes the line ends itself
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Names of files are any bytes on Linux: those that are no UTF-8 come out as they went in.
    write_whole(path, text.getvalue().encode(errors="surrogateescape"))


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
