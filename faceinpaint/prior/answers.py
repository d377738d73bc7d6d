"""Diverse completions: half a hidden face has no single truth; a style code says which probable one is given.

A `Style` has two parts. `expression` moves what is hidden of the mouth, the eyes, the brows and the jaw, each number a
standard deviation of how faces move; `appearance` is a draw from what the appearance model leaves open once it has seen
the visible part: a beard or none, the colour of lips, a broader nose. All numbers 0 is the most probable answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from faceinpaint.landmarks import hidden_landmarks
from faceinpaint.prior.appearance import COMPONENTS

EXPRESSIONS = ("smile", "open mouth", "wide eyes", "raised brows", "long jaw")


@dataclass(frozen=True)
class Style:
    """Which answer. expression: (B, 5), in the order of EXPRESSIONS. appearance: (B, components)."""

    expression: Tensor
    appearance: Tensor

    @classmethod
    def draw(cls, count: int, generator: torch.Generator | None = None) -> Style:
        """`count` styles at random, as probable as faces are."""
        return cls(*(torch.randn(count, size, generator=generator) for size in (len(EXPRESSIONS), COMPONENTS)))

    def of(self, rows: slice) -> Style:
        """Some of the styles."""
        return Style(self.expression[rows], self.appearance[rows])

    def each(self) -> list[Style]:
        """The styles one by one."""
        return [self.of(slice(i, i + 1)) for i in range(len(self.expression))]


def expressed(landmarks: Tensor, mask: Tensor, expression: Tensor) -> Tensor:
    """Predicted landmarks (B, 68, 2) whose hidden ones (under `mask`, (B, 1, H, W)) show another expression (B, 5).

    One standard deviation of each, in widths of the face: corners of the mouth up by 0.03 beside its middle, lips apart
    by 0.03, eyes open a seventh wider, brows up by 0.015, chin down by 0.02.
    """
    smile, opened, wide, raised, longer = expression.to(landmarks).split(1, dim=1)
    width = (landmarks[:, 16] - landmarks[:, 0]).norm(dim=-1)[:, None]
    up = torch.zeros_like(landmarks[..., 1])  # in widths of the face
    mouth = slice(48, 68)
    from_middle = (landmarks[:, mouth, 0] - landmarks[:, mouth, 0].mean(1, keepdim=True)) / width
    up[:, mouth] += smile * (from_middle.square() - 0.01)  # corners are 0.17 from the middle
    lower_lip = [*range(55, 60), 65, 66, 67]
    up[:, lower_lip] -= 0.03 * opened.clamp_min(-0.3)  # lips that are shut can't be shut further
    for eye in (slice(36, 42), slice(42, 48)):
        height = (landmarks[:, eye, 1].mean(1, keepdim=True) - landmarks[:, eye, 1]) / width
        up[:, eye] += 0.15 * wide * height
    up[:, 17:27] += 0.015 * raised
    up[:, 5:12] -= 0.02 * longer
    hidden = hidden_landmarks(landmarks, mask)
    moved = landmarks - torch.stack([torch.zeros_like(up), up * width], dim=-1)
    return torch.where(hidden[..., None], moved, landmarks)
