"""Helpers of checks that are written by hand; the chapters that still have such use them."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from faceinpaint.course.exercises.exercise import WrongAnswer


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
