"""Rasterisation: every surface is diced finer than a pixel and splatted into a depth buffer.

The scheme of Reyes (Cook, Carpenter, Catmull 1987): shade the vertices of small grids, then hide what lies
behind. A depth buffer keeps the nearest point of each pixel; points hardly behind it are averaged with it, which
is what smooths the picture (surface splatting, Zwicker et al. 2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

FAR = 1e4  # cm
TOLERANCE = 0.12  # cm; points of a pixel within this depth belong to one surface


@dataclass(frozen=True)
class Points:
    """Points of a diced surface that fall into the picture.

    pixel: (N,) int64 into B x H x W. depth: (N,) cm. colour: (N, 3). label: (N,).
    """

    pixel: Tensor
    depth: Tensor
    colour: Tensor
    label: Tensor

    def nearest_of(self, buffer: Tensor) -> Points:
        """Those that lie in front in the depth buffer (pixels,), or hardly behind."""
        front = (self.depth <= buffer.index_select(0, self.pixel) + TOLERANCE).nonzero()[:, 0]
        return Points(*[values.index_select(0, front) for values in vars(self).values()])


def dice(grid: Tensor, factor: int, smooth: bool = True) -> Tensor:
    """A grid (B, C, H, W) with `factor` times as many points each way, between the old ones."""
    if factor == 1:
        return grid
    height, width = grid.shape[-2:]
    size = ((height - 1) * factor + 1, (width - 1) * factor + 1)
    if smooth:
        return F.interpolate(grid, size=size, mode="bilinear", align_corners=True)
    return F.interpolate(grid, size=size, mode="nearest")


def pixels_of(x: Tensor, y: Tensor, there: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Which points fall into the picture, (N,) flat, and the pixel of each; x, y (B, ...) in pixels."""
    inside = there & (x > -0.5) & (x < size - 0.5) & (y > -0.5) & (y < size - 0.5)
    chosen = inside.flatten().nonzero()[:, 0]
    column = (x.flatten().index_select(0, chosen) + 0.5).long()
    row = (y.flatten().index_select(0, chosen) + 0.5).long()
    return chosen, (chosen // x[0].numel() * size + row) * size + column


def nearest(pixel: Tensor, depth: Tensor, pixels: int) -> Tensor:
    """The depth buffer (pixels,): the smallest depth that falls into each, FAR where none does."""
    buffer = torch.full((pixels,), FAR, device=depth.device)
    return buffer.scatter_reduce_(0, pixel, depth, "amin")


def splat(parts: Sequence[Points], batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures of the points of some surfaces that lie in front.

    Returns colours (B, 3, S, S), 0 where nothing is; depths (B, 1, S, S), FAR there; labels (B, 1, S, S).
    """
    pixel, depth = torch.cat([part.pixel for part in parts]), torch.cat([part.depth for part in parts])
    buffer = nearest(pixel, depth, batch * size * size)
    total = torch.zeros(len(buffer), 4, device=buffer.device)
    label = torch.zeros(len(buffer), device=buffer.device)
    for part in parts:
        front = part.nearest_of(buffer)
        total.index_add_(0, front.pixel, torch.cat([front.colour, torch.ones_like(front.colour[:, :1])], 1))
        first = (front.depth == buffer.index_select(0, front.pixel)).nonzero()[:, 0]
        label[front.pixel.index_select(0, first)] = front.label.index_select(0, first)
    colour = (total[:, :3] / total[:, 3:].clamp(min=1)).view(batch, size, size, 3).permute(0, 3, 1, 2)
    return _closed(colour.contiguous(), buffer.view(batch, 1, size, size), label.view(batch, 1, size, size))


def _closed(colour: Tensor, depth: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fill the holes between splats: pixels that lie behind the closed depth take their neighbours' mean."""
    around = -F.max_pool2d(-depth, 3, 1, 1)  # the nearest of nine pixels
    opened = F.max_pool2d(around, 3, 1, 1)
    hole = depth > opened + 1.0
    near = (depth <= around + 2.0).float() * (depth < FAR)
    weight = F.avg_pool2d(near, 3, 1, 1)
    mean = F.avg_pool2d(colour * near, 3, 1, 1) / weight.clamp(min=1e-3)
    mean_label = F.max_pool2d(label * near, 3, 1, 1)
    return torch.where(hole, mean, colour), torch.where(hole, opened, depth), torch.where(hole, mean_label, label)
