"""How fast is a completion? Ratios against the plain reading of the same networks, in one run on one machine."""

from __future__ import annotations

import statistics
import time
from copy import deepcopy
from typing import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.completion import Completer
from faceinpaint.generator import Generator, LongShortTermAttention, Up, known_bias


class ExplicitAttention(LongShortTermAttention):
    """The same attention with its matrix written out: memory grows with the square of the pixels."""

    def forward(self, x: Tensor, encoded: Tensor, known: Tensor) -> Tensor:
        query = self.tokens(self.query(x))
        key, value = self.short_key_value(x).chunk(2, dim=1)
        short = _explicit(query, self.tokens(key), self.tokens(value), 0.0)
        key, value = self.long_key_value(encoded).chunk(2, dim=1)
        long = _explicit(query, self.tokens(key), self.tokens(value), known_bias(known, query))
        return x + self.merge(torch.cat([self.untokens(short, x), self.untokens(long, x)], dim=1))


def _explicit(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | float) -> Tensor:
    scores = query @ key.mT / query.shape[-1] ** 0.5 + bias
    return scores.softmax(dim=-1) @ value


class DoubledUp(Up):
    """The same enlargement as one writes it: every pixel doubled, then convolved."""

    def enlarge(self, x: Tensor) -> Tensor:
        return self.convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def make_plain(generator: Generator) -> None:
    """Make a generator compute the same in the way in which one would write it first."""
    for part in generator.children():
        if isinstance(part, LongShortTermAttention):
            part.__class__ = ExplicitAttention
        elif isinstance(part, Up):
            part.__class__ = DoubledUp


class PlainCompleter(Completer):
    """The same networks in float32, channels first, with the explicit attention matrix."""

    def __init__(self, completer: Completer) -> None:
        generator = deepcopy(completer.generator)
        make_plain(generator)
        super().__init__(generator, completer.predictor, completer.recogniser, completer.size, str(completer.device))
        self.generator.float().to(memory_format=torch.contiguous_format)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=False)


def completion_benchmark(size: int = 256, repeats: int = 9) -> str:
    """Seconds of one aligned completion, ours and plain in turn, as a table with the ratio of the medians."""
    ours = Completer.from_pretrained(size=size)
    plain = PlainCompleter(ours)
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    mask = masks.named("mask01", size)
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(repeats + 2):
        seconds["ours"].append(_seconds(lambda: ours.complete(image, mask)))
        seconds["plain"].append(_seconds(lambda: plain.complete(image, mask)))
    median = {name: statistics.median(values[2:]) for name, values in seconds.items()}  # two to warm up
    difference = (ours.complete(image, mask)[0] - plain.complete(image, mask)[0]).abs().max().item()
    return (
        f"one aligned completion at {size} px on {ours.device}, median of {repeats}\n"
        f"plain (float32, channels first, explicit attention): {median['plain']:.3f} s\n"
        f"ours: {median['ours']:.3f} s, {median['ours'] / median['plain']:.2f} of it\n"
        f"largest difference of a pixel: {difference:.4f}"
    )


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin
