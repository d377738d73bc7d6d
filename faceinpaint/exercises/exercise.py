"""One exercise: hints, an automatic check that says what is wrong, and the solution, out of sight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import torch
from IPython.display import HTML
from torch import Tensor

from faceinpaint import figures
from faceinpaint.errors import InputError


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
        return f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em">{escape(str(self))}</div>'


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
            return Verdict(False, f"{name} stops with {what}; call it by yourself to see where.")
        return Verdict(True, "your answer passes every check.")

    def hint(self, level: int = 1) -> HTML:
        """The hint of a level: 1 says least. InputError beyond the last."""
        if not 1 <= level <= len(self.hints):
            raise InputError(f"exercise {self.number} has the hints 1 to {len(self.hints)}: there is no hint {level}")
        return HTML(f"<div><b>Hint {level} of {len(self.hints)}</b> {self.hints[level - 1]}</div>")

    def solution(self) -> HTML:
        """The highlighted source of the function that solves the exercise."""
        return figures.source(self.solved_by)


def require(condition: bool | Tensor, sentence: str) -> None:
    """Raise WrongAnswer with the sentence unless the condition holds."""
    if not condition:
        raise WrongAnswer(sentence)


def require_tensor(value: object, shape: tuple[int, ...], what: str) -> None:
    """Raise WrongAnswer unless the value is a tensor of a shape, all of whose values are numbers. what: it should be."""
    require(value is not None, "your function returns nothing; does it end in `return`?")
    require(isinstance(value, Tensor), f"your function returns a {type(value).__name__}; {what} is a tensor.")
    found = tuple(value.shape)
    require(found == shape, f"what you return has the shape {found}; {what} has {shape}.")
    require(value.isfinite().all(), "what you return is no number everywhere (inf or nan); do you divide by 0?")


def near(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for rounding."""
    return torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-6)
