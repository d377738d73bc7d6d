"""One exercise: hints, an automatic check that says what is wrong, and the solution, out of sight."""

from __future__ import annotations

import inspect
import linecache
import math
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from html import escape
from numbers import Real
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


def ask(answer: Callable, *case: object) -> object:
    """What an answer returns in a case."""
    return answer(*case)


def require_like(found: object, right: object, what: str) -> None:
    """Raise WrongAnswer unless what was found is of the kind of what is right. what: it should be."""
    require(found is not None, "your function returns nothing; does it end in `return`?")
    if isinstance(right, Tensor):
        require_tensor(found, tuple(right.shape), what)
    elif isinstance(right, (int, float)):
        require_number(found, what)
    else:
        require(isinstance(found, type(right)), f"your function returns {kind_of(found)}; {what} is {kind_of(right)}.")


def near(a: object, b: object, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """Whether two values, tensors, or what holds such, are the same but for rounding; errors by their words."""
    alike = partial(near, rtol=rtol, atol=atol)
    if isinstance(a, (Tensor, Real)) and isinstance(b, (Tensor, Real)):
        one, other = (torch.as_tensor(value).detach().double() for value in (a, b))
        if not isinstance(b, Tensor) and one.numel() == 1:
            one = one.reshape(())
        return one.shape == other.shape and torch.allclose(one, other, rtol, atol, equal_nan=True)
    if isinstance(a, Tensor) and isinstance(b, list):
        a = a.tolist()
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(alike(a[name], b[name]) for name in a)
    if isinstance(a, Exception):
        return type(a) is type(b) and str(a) == str(b)
    if isinstance(a, str) or isinstance(b, str) or not (isinstance(a, Sequence) and isinstance(b, Sequence)):
        return type(a) is type(b) and bool(a == b)
    return len(a) == len(b) and all(map(alike, a, b))


exactly = partial(near, rtol=0, atol=0)


@dataclass(frozen=True)
class Exercise:
    """One exercise: its hints, a function that solves it, and what an answer is tried with.

    what: an answer returns. cases: the arguments of each, by a name that follows "for". mistakes: typical ones, each a
    function that makes it, by its sentence. asked: how an answer is asked. like: raises WrongAnswer unless what it
    returns is of the right kind. same: whether two such are the same. may_change: arguments. more: raises WrongAnswer
    for what no single case shows. solve: check the solution instead of the student's answer, and raise unless it
    passes; for whoever runs the whole course unattended.
    """

    hints: tuple[str, ...]
    solved_by: Callable
    what: str = ""
    cases: Callable[[], Mapping[str, tuple]] = dict
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    asked: Callable = ask
    like: Callable[[object, object, str], object] = require_like
    same: Callable[[object, object], bool] = near
    may_change: tuple[str, ...] = ()
    more: Callable[[Callable], None] | None = None
    number: str = ""
    solve: bool = False

    def test(self, answer: Callable) -> None:
        """Raise WrongAnswer, or what the answer itself stops with, unless it is right."""
        cases = self.cases()
        given = [deepcopy(case) for case in cases.values()]
        found = [self._outcome(answer, case) for case in given]
        right = [self._outcome(self.solved_by, deepcopy(case)) for case in cases.values()]
        self._require_no_mistake(list(cases.values()), found, right)
        for name, one, other in zip(cases, found, right):
            if isinstance(one, Exception):
                raise one
            self.like(one, other, self.what)
            if not self.same(one, other):
                raise WrongAnswer(difference(name, one, other))
        for before, after in zip(cases.values(), given):
            self._require_untouched(before, after)
        if self.more:
            self.more(answer)

    def _outcome(self, answer: Callable, case: tuple) -> object:
        """What an answer returns in a case, or the error that it stops with."""
        try:
            return self.asked(answer, *case)
        except Exception as error:
            return error

    def _require_no_mistake(self, cases: list[tuple], found: list, right: list) -> None:
        """Tell the mistake that explains all cases; if none does, one that explains those up to the first wrong one."""
        wrong = [place for place, (one, other) in enumerate(zip(found, right)) if not self.same(one, other)]
        for end in dict.fromkeys((len(cases), wrong[0] + 1)) if wrong else ():
            for sentence, mistake in self.mistakes.items():
                made = (self._outcome(mistake, deepcopy(case)) for case in cases[:end])
                require(not all(map(self.same, found, made)), sentence)

    def _require_untouched(self, case: tuple, given: tuple) -> None:
        """Raise WrongAnswer where an answer has changed what it was given in a case."""
        for name, before, after in zip(inspect.signature(self.solved_by).parameters, case, given):
            require(
                name in self.may_change or exactly(before, after),
                f"your function changes `{name}`, which it is given; work on a copy of it.",
            )

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


def kind_of(value: object) -> str:
    """The type of a value, with its article: "a list", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioun' else 'a'} {name}"  # an ndarray, as it is spoken


def require_tensor(value: object, shape: tuple[int, ...], what: str) -> None:
    """Raise WrongAnswer unless the value is a tensor of a shape, of finite numbers. what: it should be."""
    require(isinstance(value, Tensor), f"your function returns {kind_of(value)}; {what} is a tensor.")
    found = tuple(value.shape)
    require(found == shape, f"what you return has the shape {found}; {what} has {shape}.")
    require(value.isfinite().all(), "what you return is no number everywhere (inf or nan); do you divide by 0?")


def require_mask(value: object, right: Tensor, what: str) -> None:
    """Raise WrongAnswer unless the value is a tensor of zeros and ones, of the shape of what is right."""
    require_like(value, right, what)
    require(((value == 0) | (value == 1)).all(), f"you return other values than 0 and 1; {what} has only these.")


def require_number(value: object, what: str) -> None:
    """Raise WrongAnswer unless the value is one number. what: it should be."""
    try:
        number = float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise WrongAnswer(f"your function returns {kind_of(value)}{shape}; {what} is one number.") from None
    require(math.isfinite(number), f"your function returns {number}, and {what} is a number; do you divide by 0?")


def difference(case: str, found: object, right: object) -> str:
    """One sentence about an answer that is wrong: of a tensor, the place where it is farthest off."""
    if not isinstance(right, Tensor) or right.dim() == 0:
        return f"for {case} you return {shown(found)}; it is {shown(right)}."
    off = (found.double() - right.double()).abs()
    place = tuple(int(index) for index in torch.unravel_index(off.argmax(), off.shape))
    return f"for {case} you return {shown(found[place])} at {list(place)}; it is {shown(right[place])}."


def shown(value: object) -> str:
    """A value as a sentence has it: numbers in few digits."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(one)}" for name, one in value.items())
    value = value.tolist() if isinstance(value, Tensor) else value
    return f"{value:.6g}" if isinstance(value, Real) else repr(value)
