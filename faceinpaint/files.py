"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

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
