"""Seamless noise: four fixed tiles, looked up at any coordinates."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 512  # texels of a tile
# Power of the amplitude spectrum, 1 / f^p: the larger, the smoother.
KINDS = {"grain": 0.0, "rough": 0.6, "cloudy": 1.2, "smooth": 2.0}


@lru_cache(maxsize=4)
def _tiles(device: torch.device) -> Tensor:
    """Periodic noises of mean 0 and deviation 1, one row and column repeated; (4, SIDE + 1, SIDE + 1)."""
    generator = torch.Generator().manual_seed(7)
    frequency = torch.fft.fftfreq(SIDE)
    radius = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt()
    tiles = []
    for power in KINDS.values():
        white = torch.fft.fft2(torch.randn(SIDE, SIDE, generator=generator))
        amplitude = radius.clamp(min=1 / SIDE) ** -power * torch.exp(-((radius / 0.25) ** 2)) * (radius > 0)
        tile = torch.fft.ifft2(white * amplitude).real
        tiles.append(tile / tile.std())
    return F.pad(torch.stack(tiles)[None], (0, 1, 0, 1), mode="circular")[0].to(device)


def noise(kind: str, x: Tensor, y: Tensor) -> Tensor:
    """Noise of a kind at coordinates of period 1; (B, ...) -> the same shape, mean 0, deviation 1."""
    tile = _tiles(x.device)[list(KINDS).index(kind)][None, None]
    grid = torch.stack([x - x.floor(), y - y.floor()], -1).mul_(2).sub_(1)
    found = F.grid_sample(tile, grid.reshape(1, 1, -1, 2), mode="bilinear", align_corners=True)
    return found.reshape(x.shape)
