"""The one on-disk format: photographs become images and rows, whole or not at all, and a stopped run goes on."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

from PIL import Image
from tqdm.auto import tqdm

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import in_sole_use, parse_json, write_whole
from faceinpaint.faces.photos import METADATA

SETTINGS = "settings.json"  # beside METADATA: how the folder was made
UNFINISHED = "unfinished.jsonl"  # the rows of the images that are there, while others are not
MOST_SKIPPED = 0.05  # of all photographs: with more than that, something is wrong with the set


class Entry(NamedTuple):
    """A photograph to be written: its `file_name`, and what makes the image file's bytes and the rest of its row.

    `make` raises InputError for a photograph that can't be used.
    """

    file_name: str
    make: Callable[[], tuple[bytes, dict]]


class Report(NamedTuple):
    """How many images a set has, and which were left out: name -> why."""

    written: int
    skipped: dict[str, str]


def make_folder(out: Path) -> None:
    """Make the folder of a set, before anything is downloaded for it; InputError when that can't be done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {out} can't be written ({error.strerror}): choose another --out") from None


@in_sole_use
def write_faces(out: Path, entries: Sequence[Entry], settings: dict) -> Report:
    """Write a face folder: the images one by one, and `metadata.jsonl` when all are there.

    Until then the rows lie in UNFINISHED, from which the next run goes on. settings: what decides about
    the images, kept beside them; a folder begun with others is refused, one that is complete stays as it is. An
    unusable photograph is left out and reported. Raises InputError for more than MOST_SKIPPED of those, for two of
    one name, and when there is no room.
    """
    _begin(out, settings)
    if (out / METADATA).is_file():
        (out / UNFINISHED).unlink(missing_ok=True)  # left by a run that was killed at its very end
        return Report(len((out / METADATA).read_text(encoding="utf-8").splitlines()), {})
    _refuse_twins(entries)
    begun = out / UNFINISHED
    rows = _begun_rows(begun)
    skipped: dict[str, str] = {}
    write_whole(begun, "".join(map(_line, rows.values())).encode())
    try:
        with open(begun, "a", encoding="utf-8") as file:
            for entry in tqdm(entries, desc=f"writing {out.name}", unit="photo", leave=False, disable=None):
                if entry.file_name in rows:
                    continue
                try:
                    content, row = entry.make()
                except InputError as error:
                    skipped[entry.file_name] = str(error)
                    _refuse_many(skipped, len(entries))
                    continue
                write_whole(out / entry.file_name, content)
                rows[entry.file_name] = {"file_name": entry.file_name} | row
                file.write(_line(rows[entry.file_name]))
                file.flush()
    except OSError as error:
        raise InputError(f"{begun} can't be written ({error.strerror}): choose another --out or make room") from None
    in_order = [rows[entry.file_name] for entry in entries if entry.file_name in rows]
    if not in_order:
        raise InputError(f"there is no photo to write into {out}: the set is empty")
    write_whole(out / METADATA, "".join(map(_line, in_order)).encode())
    begun.unlink()
    return Report(len(in_order), skipped)


def _begin(out: Path, settings: dict) -> None:
    """Note the settings in a new folder; InputError where it was begun with others, or holds something else."""
    file = out / SETTINGS
    if not file.is_file():
        if (out / METADATA).exists():
            raise InputError(f"{out} holds other faces already: choose another --out")
        write_whole(file, (json.dumps(settings, indent=1) + "\n").encode())
        return
    try:
        begun = parse_json(file.read_bytes())
    except ValueError:
        begun = None
    if begun != settings:
        raise InputError(f"{out} was begun otherwise, {file.name} in it tells how: repeat that or choose another --out")


def _refuse_twins(entries: Sequence[Entry]) -> None:
    """Raise InputError where two photographs would be written to one file, on any file system."""
    seen: set[str] = set()
    for entry in entries:
        if entry.file_name.casefold() in seen:
            raise InputError(f"two photos would be written as {entry.file_name}: rename one of them")
        seen.add(entry.file_name.casefold())


def _begun_rows(begun: Path) -> dict[str, dict]:
    """The rows that an earlier run has written, by file name."""
    rows: dict[str, dict] = {}
    lines = begun.read_bytes().splitlines() if begun.is_file() else []
    for line in lines:
        try:
            row = parse_json(line)
        except ValueError:  # the last line, of a run that was killed while it wrote
            break
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
            break
        rows[row["file_name"]] = row
    return rows


def _refuse_many(skipped: dict[str, str], total: int) -> None:
    """Stop as soon as too many are unusable to go on."""
    if len(skipped) > MOST_SKIPPED * total:
        names, reasons = list(skipped), list(skipped.values())
        raise InputError(
            f"more than {MOST_SKIPPED:.0%} of the {total} photos can't be used, among them {', '.join(names[:10])}; "
            f"the first one because {reasons[0].rstrip('.')}"
        )


def _line(row: dict) -> str:
    return json.dumps(row) + "\n"


# ------------------------------------------------------------------------------------- for the sets


def split_of(person: str) -> str:
    """The split of a person in sets without splits of their own: about 8 : 1 : 1, always the same."""
    tenth = zlib.crc32(person.encode(errors="surrogateescape")) % 10
    return {0: "test", 1: "val"}.get(tenth, "train")


def jpeg(photo: Image.Image) -> bytes:
    """A photo as a JPEG file of high quality."""
    file = io.BytesIO()
    photo.save(file, format="jpeg", quality=95, subsampling=0)
    return file.getvalue()


def rounded(points) -> list[list[float]]:
    """Points (N, 2) for a row: pixels to two decimals."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]
