"""Files that appear whole or not at all, and texts that may hold anything."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any, Iterable, Sequence

from faceinpaint.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; InputError when there is no room or no right to."""
    beside = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        remedy = "shorten its name" if error.errno == errno.ENAMETOOLONG else "choose another --out or make room"
        raise InputError(f"{path} can't be written ({error.strerror}): {remedy}") from None
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
