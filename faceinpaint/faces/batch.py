"""`Faces`: the one typed batch that flows through data, training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Callable, Sequence

import torch
from torch import Tensor


@dataclass(frozen=True)
class Faces:
    """A batch of aligned faces; everything but the image may be absent (None).

    image: (B, 3, H, W) float32 RGB in [0, 1]. landmarks: (B, 68, 2) pixels, x then y, iBUG 300-W
    order; NaN for a face whose landmarks nobody knows. identity: (B,) int64. name: B strings.
    Raises ValueError when the batch sizes disagree.
    """

    image: Tensor
    landmarks: Tensor | None = None
    identity: Tensor | None = None
    name: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and len(value) != len(self.image):
                raise ValueError(f"{field.name} has {len(value)} entries for {len(self.image)} images")

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> Faces:
        """The same faces with every tensor on `device`."""
        return self._map(lambda values: values.to(device) if isinstance(values, Tensor) else values)

    def __getitem__(self, index: slice) -> Faces:
        """A slice of the batch, itself a batch."""
        if not isinstance(index, slice):
            raise TypeError(f"a batch is sliced, not indexed: write faces[{index}:{index + 1}]")
        return self._map(lambda values: values[index])

    def select(self, indices: Tensor) -> Faces:
        """The faces at `indices` (N,) int64, in that order."""
        chosen = indices.tolist()

        def pick(values: Tensor | tuple[str, ...]) -> Tensor | tuple[str, ...]:
            return values[indices] if isinstance(values, Tensor) else tuple(values[i] for i in chosen)

        return self._map(pick)

    @classmethod
    def cat(cls, batches: Sequence[Faces]) -> Faces:
        """One batch from several; a field is kept only where all of them have it."""

        def joined(parts: tuple) -> Tensor | tuple[str, ...] | None:
            if any(part is None for part in parts):
                return None
            return torch.cat(parts) if isinstance(parts[0], Tensor) else sum(parts, ())

        if len(batches) == 1 and type(batches[0]) is cls:
            return batches[0]  # whose copy may have gigabytes
        rows = [[getattr(batch, field.name) for field in fields(cls)] for batch in batches]
        return cls(*map(joined, zip(*rows)))

    def _map(self, function: Callable) -> Faces:
        """The batch with `function` applied to every field that is there."""
        return type(self)(*[None if value is None else function(value) for value in self._values()])

    def _values(self) -> list:
        return [getattr(self, field.name) for field in fields(self)]
