"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Iterable, Sequence

from faceinpaint.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there; InputError when there is no room or no right to."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise InputError(f"{path} can't be written ({error.strerror}): choose another --out or make room") from None
    finally:
        if beside.is_file():  # also after Ctrl-C
            beside.unlink()


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write rows whole, with `columns` and nothing else; what a row lacks stays empty. Errors as `write_whole`."""
    text = io.StringIO(newline="")  # the csv module writes the line ends itself
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Names of files are any bytes on Linux: those that are no UTF-8 come out as they went in.
    write_whole(path, text.getvalue().encode(errors="surrogateescape"))
