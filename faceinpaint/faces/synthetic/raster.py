"""From points to pixels: every surface is diced finer than a pixel and splatted into a depth buffer.

The scheme of Reyes (Cook, Carpenter, Catmull 1987): shade the vertices of small grids, then hide what lies
behind. A depth buffer keeps the nearest point of each pixel; points hardly behind it are averaged with it, which
is what smooths the picture (surface splatting, Zwicker et al. 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FAR = 1e4  # cm
TOLERANCE = 0.12  # cm; points of a pixel within this depth belong to one surface


@dataclass(frozen=True)
class Points:
    """Loose points of a batch: pixel (N,) int64 index into B x H x W, depth (N,), colour (N, 3), label (N,)."""

    pixel: Tensor
    depth: Tensor
    colour: Tensor
    label: Tensor


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
    column, row = (x + 0.5).floor(), (y + 0.5).floor()
    seen = there & (column >= 0) & (column < size) & (row >= 0) & (row < size)
    batch = torch.arange(len(x), device=x.device).view(-1, *[1] * (x.dim() - 1)) * size * size
    index = row.nan_to_num_().clamp_(0, size - 1).mul_(size).add_(column.nan_to_num_().clamp_(0, size - 1)).long() + batch
    chosen = seen.flatten().nonzero()[:, 0]
    return chosen, index.flatten().index_select(0, chosen)


def nearest(pixel: Tensor, depth: Tensor, pixels: int) -> Tensor:
    """The depth buffer (pixels,): the smallest depth that falls into each, FAR where none does."""
    buffer = torch.full((pixels,), FAR, device=depth.device)
    return buffer.scatter_reduce_(0, pixel, depth, "amin")


def splat(points: Points, batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Colours (B, 3, S, S), 0 where nothing is; depths (B, 1, S, S), FAR there; labels (B, 1, S, S)."""
    pixels = batch * size * size
    depth = nearest(points.pixel, points.depth, pixels)
    seen = (points.depth <= depth.index_select(0, points.pixel) + TOLERANCE).nonzero()[:, 0]
    pixel = points.pixel.index_select(0, seen)
    ones = torch.ones(len(seen), 1, device=pixel.device)
    total = torch.zeros(pixels, 4, device=pixel.device)
    total.index_add_(0, pixel, torch.cat([points.colour.index_select(0, seen), ones], 1))
    first = (points.depth == depth.index_select(0, points.pixel)).nonzero()[:, 0]
    label = torch.zeros(pixels, device=pixel.device)
    label[points.pixel.index_select(0, first)] = points.label.index_select(0, first)
    colour = (total[:, :3] / total[:, 3:].clamp(min=1)).view(batch, size, size, 3).permute(0, 3, 1, 2)
    return _closed(colour.contiguous(), depth.view(batch, 1, size, size), label.view(batch, 1, size, size))


def _closed(colour: Tensor, depth: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fill the holes between splats: pixels that lie behind the closed depth take their neighbours' mean."""
    opened = F.max_pool2d(-F.max_pool2d(-depth, 3, 1, 1), 3, 1, 1)
    hole = depth > opened + 1.0
    near = (depth <= -F.max_pool2d(-depth, 3, 1, 1) + 2.0).float() * (depth < FAR)
    weight = F.avg_pool2d(near, 3, 1, 1)
    mean = F.avg_pool2d(colour * near, 3, 1, 1) / weight.clamp(min=1e-3)
    mean_label = F.max_pool2d(label * near, 3, 1, 1)
    return torch.where(hole, mean, colour), torch.where(hole, opened, depth), torch.where(hole, mean_label, label)
