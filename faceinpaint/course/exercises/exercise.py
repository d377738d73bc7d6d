"""One exercise: hints, an automatic check that says what is wrong, and the solution, out of sight."""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from traceback import walk_tb
from types import FunctionType

import torch
from IPython.display import HTML
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures


class WrongAnswer(Exception):
    """What is wrong with an answer, in one sentence to the student."""


@dataclass(frozen=True)
class Verdict:
    """What a check found: `passed`, and one sentence."""

    passed: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'Right:' if self.passed else 'Not yet:'} {self.sentence}"

    def _repr_html_(self) -> str:
        colour = "#009e73" if self.passed else "#d55e00"
        text = re.sub(r"`([^`]+)`|(?<![\w*])\*(\w+)\*(?![\w*])", _marked, escape(str(self)))
        return f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em">{text}</div>'


def _marked(found: re.Match) -> str:
    """What stands between backticks as code, a word between asterisks in italics."""
    return f"<code>{found[1]}</code>" if found[1] else f"<em>{found[2]}</em>"


@dataclass(frozen=True)
class Exercise:
    """One exercise: its number in the course, its hints, a function that solves it, and one that tries an answer.

    test: raises WrongAnswer unless the function that it is given is right. solve: check the solution instead of the
    student's answer, and raise unless it passes; for whoever runs the whole course unattended.
    """

    number: str
    hints: tuple[str, ...]
    solved_by: Callable
    test: Callable[[Callable], None]
    solve: bool = False

    def check(self, answer: Callable) -> Verdict:
        """Whether the answer is right, and what is wrong with it; never an exception of the answer's own."""
        if self.solve:
            self.test(self.solved_by)
            return Verdict(True, f"the solution of exercise {self.number} passes.")
        try:
            self.test(answer)
        except WrongAnswer as wrong:
            return Verdict(False, str(wrong))
        except Exception as error:
            name = getattr(answer, "__name__", "your function")
            what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            return Verdict(False, f"{name} stops with {what}{where_it_stops(error, answer)}.")
        return Verdict(True, "your answer passes every check.")

    def hint(self, level: int = 1) -> HTML:
        """The hint of a level: 1 says least; beyond the last, what comes then. InputError below 1."""
        if level < 1:
            raise InputError(f"exercise {self.number} has the hints 1 to {len(self.hints)}: there is no hint {level}")
        if level > len(self.hints):
            solution = f'<code>exercises.get("{self.number}").solution()</code>'
            return HTML(f"<div>There are no more than {len(self.hints)} hints; {solution} shows a solution.</div>")
        return HTML(f"<div><b>Hint {level} of {len(self.hints)}</b> {self.hints[level - 1]}</div>")

    def solution(self) -> HTML:
        """The highlighted source of the function that solves the exercise, and how to run it in a cell."""
        name = f"<code>{self.solved_by.__name__}</code>"
        return HTML(
            f"{figures.source(self.solved_by).data}<div>To run it in the cell of the exercise, begin the cell with "
            "<code>from __future__ import annotations</code> (its types are not imported there), and check "
            f"{name}.</div>"
        )


def where_it_stops(error: Exception, answer: Callable) -> str:
    """The line of an answer, or of what was defined beside it, in which an error came up; how to find it else."""
    file = answer.__code__.co_filename if isinstance(answer, FunctionType) else None
    lines = [number for frame, number in walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    line = linecache.getline(file, lines[-1]).strip() if file and lines else ""
    return f", in the line `{line}`" if line else "; call it by yourself to see where"


def require(condition: bool | Tensor, sentence: str) -> None:
    """Raise WrongAnswer with the sentence unless the condition holds."""
    if not condition:
        raise WrongAnswer(sentence)


@contextmanager
def instead_of(words: str, sentence: str) -> Generator[None]:
    """Raise WrongAnswer with the sentence where an answer stops with an error of torch's that has these words."""
    try:
        yield
    except (RuntimeError, IndexError) as error:
        if words not in str(error):
            raise
        raise WrongAnswer(sentence) from error


def kind_of(value: object) -> str:
    """The type of a value, with its article: "a list", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioun' else 'a'} {name}"  # an ndarray, as it is spoken


def require_tensor(value: object, shape: tuple[int, ...], what: str) -> None:
    """Raise WrongAnswer unless the value is a tensor of a shape, of finite numbers. what: it should be."""
    require(value is not None, "your function returns nothing; does it end in `return`?")
    require(isinstance(value, Tensor), f"your function returns {kind_of(value)}; {what} is a tensor.")
    found = tuple(value.shape)
    require(found == shape, f"what you return has the shape {found}; {what} has {shape}.")
    require(value.isfinite().all(), "what you return is no number everywhere (inf or nan); do you divide by 0?")


def require_mask(mask: object, height: int, width: int) -> None:
    """Raise WrongAnswer unless the value is a mask: a tensor (1, 1, height, width) of zeros and ones."""
    require(mask is not None, "your function returns nothing; does it end in `return mask`?")
    require(isinstance(mask, Tensor), f"your function returns {kind_of(mask)}; a mask is a tensor.")
    shape, wanted = tuple(mask.shape), (1, 1, height, width)
    require(
        shape != (1, 1, width, height) or height == width,
        "your mask lies on its side; the height comes before the width.",
    )
    require(
        shape == wanted, f"your mask has the shape {shape}; for {height} rows and {width} columns it is {wanted}."
    )
    require(mask.isfinite().all(), "your mask holds values that are no numbers; it takes only 0 and 1.")
    require(((mask == 0) | (mask == 1)).all(), "your mask holds other values than 0 and 1; 1 hides a pixel.")


def require_number(value: object, what: str) -> float:
    """The value as a number; raise WrongAnswer where it is none, or more than one. what: it should be."""
    require(value is not None, "your function returns nothing; does it end in `return`?")
    try:
        number = float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise WrongAnswer(f"your function returns {kind_of(value)}{shape}; {what} is one number.") from None
    require(math.isfinite(number), f"your function returns {number}, and {what} is a number; do you divide by 0?")
    return number


def near(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for rounding."""
    return torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-6)


def farthest(a: Tensor, b: Tensor) -> int:
    """Where along their first axis two tensors of one shape differ most."""
    return int((a.float() - b.float()).abs().reshape(len(a), -1).amax(1).argmax())
