"""Sets of faces by their names: those under data/, and the portraits that come with the package."""

from __future__ import annotations

import json
import os
from pathlib import Path

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.basics.files import write_whole
from faceinpaint.faces.photos import METADATA, said_of
from faceinpaint.weights import sha256

SETS = Path("data")  # where `faceinpaint data` is told to write by the README
PORTRAITS = "portraits"
PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED, CLONED = PACKAGE / PORTRAITS, PACKAGE.parent / SETS / PORTRAITS  # where PORTRAITS may be
CHECKSUMS = "SHA256SUMS"  # as `sha256sum` writes and checks it
AGAIN = "get them again by `git checkout -- data/portraits` in the clone, or by installing the package anew"
ANEW = f"make the set anew, or, if you changed it yourself, its {CHECKSUMS} as data/README.md says"


def find_set(name: str | Path) -> Path:
    """The folder of a set: a path, the name of one under data/, or `portraits`, whole and unaltered.

    Raises InputError where there is none, and as `require_unaltered` does.
    """
    folder = next((place for place in (Path(name), SETS / name) if os.path.isdir(place)), None)
    if folder is None and str(name) == PORTRAITS:
        folder = shipped()
        if folder is None:
            raise InputError(f"the package's portraits are neither at {INSTALLED} nor at {CLONED}: {AGAIN}")
    if folder is None:
        raise InputError(
            f"there are no faces {name}: give a face folder, a set under {SETS}/ (made by `faceinpaint data`), "
            f"{PORTRAITS}, which come with the package, or, to train on, synthetic"
        )
    require_unaltered(folder)
    return folder


def some_people(name: str | Path, out: Path, **people: int) -> Path:
    """A face folder at `out` of so many people of each split that is named, evenly chosen from a set; returns `out`.

    train=32, val=4 is what a lesson needs. It holds rows alone: the photographs stay where they are. InputError for a
    split that the set lacks, or for fewer people than one.
    """
    root = find_set(name).resolve()
    rows, kept = said_of(root), []
    for split, count in people.items():
        require_known("split", split, sorted({row["split"] for row in rows}))
        if count < 1:
            raise InputError(f"{count} people of the split {split} are asked for: give 1 or more")
        known = sorted({row["identity"] for row in rows if row["split"] == split})
        count = min(count, len(known))
        chosen = {known[place * len(known) // count] for place in range(count)}
        kept += [row for row in rows if row["split"] == split and row["identity"] in chosen]
    placed = [row | {"file_name": str(root / row["file_name"])} for row in kept]
    write_whole(out / METADATA, "".join(json.dumps(row) + "\n" for row in placed).encode())
    return out


def shipped() -> Path | None:
    """The folder of PORTRAITS, of an installation or a clone, unchecked; None where it is missing."""
    return next((place for place in (INSTALLED, CLONED) if os.path.isfile(place / METADATA)), None)


def checksums(folder: Path) -> bytes:
    """The lines of CHECKSUMS for all other files of a folder, by their names."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != CHECKSUMS)
    return b"".join(f"{_sha256(file)}  {file.relative_to(folder).as_posix()}\n".encode() for file in files)


def require_unaltered(folder: Path) -> None:
    """InputError, which names the first, for files that CHECKSUMS lists and that are missing or others.

    A set without CHECKSUMS is taken as it is, but for PORTRAITS.
    """
    ours = folder.resolve() in (INSTALLED, CLONED)
    remedy = AGAIN if ours else ANEW
    file = folder / CHECKSUMS
    if not os.path.isfile(file):
        if ours:
            raise InputError(f"{file} is missing: {remedy}")
        return
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    listed = {line[66:]: line[:64] for line in lines}  # between the two a blank, and a blank or a star
    if METADATA not in listed:
        raise InputError(f"{file} does not list {METADATA}: {remedy}")
    for name, digest in listed.items():
        if not os.path.isfile(folder / name):
            raise InputError(f"{folder / name} is missing: {remedy}")
        if _sha256(folder / name) != digest:
            raise InputError(f"{folder / name} is not as it was made: {remedy}")


def _sha256(file: Path) -> str:
    try:
        return sha256(file)
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror}): change its permissions") from None
