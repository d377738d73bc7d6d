"""Sets of faces by their names: those under data/, and the portraits that come with the package."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from faceinpaint.errors import InputError

SETS = Path("data")  # where `faceinpaint data` is told to write by the README
PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = (PACKAGE / "portraits", PACKAGE.parent / "data" / "portraits")  # installed, and in a clone
PORTRAITS = "portraits"
CHECKSUMS = "SHA256SUMS"  # as `sha256sum` writes and checks it


def find_set(name: str | Path) -> Path:
    """The folder of a set: a path, the name of one under data/, or `portraits`, whole and unaltered.

    Raises InputError where there is none, and for files that are missing or are not those of its CHECKSUMS.
    """
    places = [Path(name), SETS / name, *(SHIPPED if str(name) == PORTRAITS else ())]
    folder = next((place for place in places if os.path.isdir(place)), None)
    if folder is None and str(name) == PORTRAITS:
        raise InputError(f"the portraits are not at {SHIPPED[-1]}: {REMEDY}")
    if folder is None:
        raise InputError(
            f"there are no faces {name}: give a face folder, a set under {SETS}/ (made by `faceinpaint data`), "
            f"or {PORTRAITS}, which come with the package"
        )
    if os.path.isfile(folder / CHECKSUMS):
        _require_unaltered(folder)
    return folder


REMEDY = "get them again by `git checkout -- data/portraits` in the clone, or install the package anew"


def checksums(folder: Path) -> bytes:
    """The lines of CHECKSUMS for all other files of a folder, by their names."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != CHECKSUMS)
    return b"".join(f"{_sha256(file)}  {file.relative_to(folder).as_posix()}\n".encode() for file in files)


def _require_unaltered(folder: Path) -> None:
    """InputError, which names the first, for files that CHECKSUMS lists and that are missing or others."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        listed = [line.split("  ", 1) for line in lines]
        wrong = next((name for digest, name in listed if _sha256(folder / name) != digest), None)
    except (OSError, ValueError) as error:
        missing = getattr(error, "filename", None) or folder / CHECKSUMS
        raise InputError(f"{missing} is missing or can't be read: {REMEDY}") from None
    if wrong or not listed:
        raise InputError(f"{folder / (wrong or CHECKSUMS)} is not as it was made: {REMEDY}")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
