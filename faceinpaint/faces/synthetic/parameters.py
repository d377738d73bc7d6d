"""Named parameters of people and photographs, drawn from integers and batched as tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Sequence, TypeVar

import torch
from torch import Tensor

P = TypeVar("P", bound="Parameters")


@dataclass(frozen=True)
class Parameters:
    """A batch of named parameters; frozen dataclasses of tensors, or of further parameters, derive from it.

    A number is held as (B, 1, 1), so that it broadcasts over grids (B, H, W); a colour or a direction as
    (B, 3, 1, 1), so that it broadcasts over (B, 3, H, W); a list of n numbers as (B, n).
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def select(self: P, indices: Tensor) -> P:
        """The people at `indices` (N,) int64, in that order."""
        return self._map(lambda value: value.select(indices) if isinstance(value, Parameters) else value[indices])

    def to(self: P, device: torch.device | str) -> P:
        """The same parameters on another device."""
        return self._map(lambda value: value.to(device))

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return getattr(self, fields(self)[0].name).device

    @classmethod
    def stack(cls: type[P], rows: Sequence[dict]) -> P:
        """A batch from one dict for each person: floats, colours as triples, lists, or nested dicts."""
        kinds = {field.name: field for field in fields(cls)}
        return cls(**{name: _stacked(kinds[name], [row[name] for row in rows]) for name in kinds})

    def _map(self: P, function) -> P:
        return type(self)(**{field.name: function(getattr(self, field.name)) for field in fields(self)})


def _stacked(field, values: list) -> Tensor | Parameters:
    kind = field.metadata.get("of")
    if kind is not None:
        return kind.stack(values)
    tensor = torch.tensor(values, dtype=torch.float32)
    if tensor.dim() == 1:
        return tensor[:, None, None]
    return tensor[:, :, None, None] if tensor.shape[1] == 3 else tensor


class Draw:
    """Random numbers from one integer; the same integer gives the same numbers on every machine."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed % 2**63)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Between `low` and `high`."""
        return low + (high - low) * torch.rand((), generator=self._generator).item()

    def normal(self, mean: float, sigma: float, clip: float = 2.2) -> float:
        """Around `mean`, never further than `clip` sigmas."""
        z = torch.randn((), generator=self._generator).item()
        return mean + sigma * max(-clip, min(clip, z))

    def normal_within(self, mean: float, sigma: float, reach: float) -> float:
        """Around `mean` and at most `reach` away from it: drawn again until it is, so that nothing piles up there."""
        while True:
            value = self.normal(mean, sigma, clip=10)
            if abs(value - mean) <= reach:
                return value

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.uniform() < probability

    def choice(self, weights: dict[str, float]) -> str:
        """A word, drawn by the weights."""
        left = self.uniform(0, sum(weights.values()))
        for word, weight in weights.items():
            left -= weight
            if left < 0:
                return word
        return word

    def direction(self, azimuth: float, elevation: float) -> tuple[float, float, float]:
        """The unit vector (x right, y up, z to the camera) at these angles in radians."""
        cos = math.cos(elevation)
        return (math.sin(azimuth) * cos, math.sin(elevation), math.cos(azimuth) * cos)


def between(colours: Sequence[tuple[float, float, float]], position: float) -> tuple[float, float, float]:
    """The colour at `position` (0 ... len - 1) along a ramp of colours."""
    position = max(0.0, min(len(colours) - 1.0, position))
    i = min(int(position), len(colours) - 2)
    t = position - i
    return tuple((1 - t) * a + t * b for a, b in zip(colours[i], colours[i + 1]))
