"""The one exception that a user may see: a sentence saying what is wrong and what to do; and others quoted in it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def reason_of(error: Exception) -> str:
    """Another package's exception as a few words that fit into a sentence."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".").replace(". ", ", ")


def one_line(text: str) -> str:
    """A text, such as the name of a file, in one line that can be read: line ends and the like are escaped."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


LONGEST = 1000  # characters of a sentence


class InputError(ValueError):
    """Bad input: its text is one sentence that names the input, the fault and the remedy.

    What it quotes may be anything: line ends and the like are escaped, and of a long quotation the middle is left out.
    """

    def __init__(self, sentence: str) -> None:
        sentence = one_line(sentence)
        if len(sentence) > LONGEST:
            sentence = f"{sentence[: LONGEST // 2]}…{sentence[1 - LONGEST // 2 :]}"
        super().__init__(sentence)


def require_known(what: str, name: str, valid: Sequence[str]) -> None:
    """Raise the error of `unknown` for a name that is none of the valid ones."""
    if name in valid:
        return
    if not valid:
        raise InputError(f"there is no {what} '{name}': none at all may be given here")
    raise unknown(what, name, valid)


def unknown(what: str, name: str, valid: Sequence[str]) -> InputError:
    """The error of a name that is none of the valid ones: what it should name, the nearest, and all."""
    nearest = max(valid, key=lambda one: difflib.SequenceMatcher(None, name, one).ratio())  # of equals the first
    return InputError(f"there is no {what} '{name}': did you mean '{nearest}'? (all: {', '.join(valid)})")
