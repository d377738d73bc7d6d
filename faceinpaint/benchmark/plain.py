"""The networks as one would write them first: the reference that everything quicker is measured against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.completion import Completer
from faceinpaint.generator import Generator, LongShortTermAttention, Paint, Up, Window, known_bias
from faceinpaint.landmarks import LandmarkPredictor, mirror_landmarks


class ExplicitAttention(LongShortTermAttention):
    """The same attention with its matrix written out: memory grows with the square of the pixels."""

    def forward(self, x: Tensor, encoded: Tensor, known: Tensor, window: Window | None = None) -> Tensor:
        query = self.tokens(self.query(x))
        key, value = self.short_key_value(x).chunk(2, dim=1)
        short = _explicit(query, self.tokens(key), self.tokens(value), 0.0)
        key, value = self.long_key_value(encoded).chunk(2, dim=1)
        long = _explicit(query, self.tokens(key), self.tokens(value), known_bias(known, query))
        both = [self.untokens(short, x), self.untokens(long, x)]
        return x + self.merge(torch.cat(both, dim=1))


def _explicit(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | float) -> Tensor:
    scores = query @ key.mT / query.shape[-1] ** 0.5 + bias
    return scores.softmax(dim=-1) @ value


class DoubledUp(Up):
    """The same enlargement as one writes it: every pixel doubled, then convolved."""

    def enlarge(self, x: Tensor) -> Tensor:
        return self.convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class PlainPaint(Paint):
    """The same last convolution, pixel by pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, x)


PLAIN = {LongShortTermAttention: ExplicitAttention, Up: DoubledUp, Paint: PlainPaint}


def make_plain(generator: Generator) -> None:
    """Make a generator compute the same in the way in which one would write it first."""
    for part in generator.children():
        part.__class__ = PLAIN.get(type(part), type(part))
    generator.whole = True


class TwoLooks(LandmarkPredictor):
    """The same prediction by two looks, the second one at the mirror image, one after the other."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        mirrored = mirror_landmarks(self.look(image.flip(-1), mask.flip(-1)), image.shape[-1])
        return (self.look(image, mask) + mirrored) / 2


class PlainCompleter(Completer):
    """The same networks in float32, channels first, with the explicit attention matrix and nothing folded."""

    def make_quick(self) -> None:
        make_plain(self.generator)
        self.predictor.__class__ = TwoLooks
