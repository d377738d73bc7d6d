"""Which photographs of a face folder are evaluated: those with a number in their row of metadata within limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.faces.photos import METADATA, said_of


class Limits(NamedTuple):
    """What is asked of a photograph: low <= |its number `key`| <= high. Without sign, as of angles."""

    key: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"|{self.key}| from {self.low:g} to {self.high:g}"


def limits(text: str) -> Limits:
    """The limits that are written as KEY=LOW:HIGH, e.g. `yaw=30:60`; HIGH may be `inf`. InputError for other text."""
    key, _, span = text.partition("=")
    low, _, high = span.partition(":")
    try:
        found = Limits(key.strip(), float(low), float(high))
    except ValueError:
        raise InputError(f"'{text}' sets no limits: write KEY=LOW:HIGH with two numbers, as in yaw=30:60") from None
    if not found.key:
        raise InputError(f"'{text}' names no number to set limits to: write KEY=LOW:HIGH, as in yaw=30:60")
    if not 0 <= found.low <= found.high:  # written so that NaN fails too
        raise InputError(
            f"nothing lies within '{text}', since values are taken without their sign: write two numbers from 0 on, "
            "the lower one first"
        )
    return found


def within(folder: Path, split: str, where: Sequence[Limits]) -> list[bool]:
    """Whether each row of a split lies within all limits, in the order of `FaceFolder`; one without a number doesn't.

    The folder's metadata has been checked. Raises InputError for a key under which no row of the split has a number.
    """
    rows = [row for row in said_of(folder) if row["split"] == split]
    keys = sorted({key for row in rows for key in row if is_number(row[key])})
    for one in where:
        if not keys:
            raise InputError(f"{folder / METADATA} has no numbers to set limits to: leave out --where")
        require_known(f"number in {folder / METADATA} named", one.key, keys)
    return [all(is_number(row.get(key)) and low <= abs(row[key]) <= high for key, low, high in where) for row in rows]


def is_number(value: object) -> bool:
    """Whether a value of a row is a number, and no truth."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
