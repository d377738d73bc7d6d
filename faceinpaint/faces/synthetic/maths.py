"""The few curves, vector formulas and noises that every part of the renderer is written in.

They are called hundreds of times on whole grids, so they work in place where a value is their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 512  # texels of a tile of noise
# Power of the amplitude spectrum of noises, 1 / f^p: the larger, the smoother.
KINDS = {"grain": 0.0, "rough": 0.6, "cloudy": 1.2, "smooth": 2.0}


def step(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """Smooth step: 0 below `low`, 1 above `high`, 3t^2 - 2t^3 between; `low` > `high` steps down."""
    t = ((x - low) / (high - low)).clamp_(0, 1)
    return (-2 * t).add_(3).mul_(t).mul_(t)


def bump(x: Tensor, sigma: float | Tensor) -> Tensor:
    """A Gaussian hill of height 1 around 0."""
    return (x / sigma).square_().mul_(-0.5).exp_()


def twins(x: Tensor, centre: float | Tensor, sigma: float | Tensor) -> Tensor:
    """Two Gaussian hills, left and right of the midline. Not bump(|x| - centre), which has a ridge at x = 0."""
    return bump(x - centre, sigma).add_(bump(x + centre, sigma))


def smooth_max(a: Tensor, b: Tensor, k: float | Tensor) -> Tensor:
    """The larger of two heights with a fillet of width k (quadratic smooth maximum)."""
    blend = (k - (a - b).abs_()).clamp_(min=0)
    return torch.maximum(a, b).add_(blend.square_().div_(4 * k))


def smooth_min(a: Tensor, b: Tensor, k: float | Tensor) -> Tensor:
    """The smaller of two heights with a fillet of width k."""
    return -smooth_max(-a, -b, k)


def mix(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Linear interpolation: a where the weight is 0, b where it is 1."""
    return a + (b - a) * weight


def vector(values: Sequence[float], device: torch.device) -> Tensor:
    """Three numbers, a direction or a colour, to go with (B, 3, H, W): (1, 3, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product over channels, (B, 3, ...) -> (B, 1, ...). Written out: a sum over dim 1 is slow."""
    return (a[:, 0:1] * b[:, 0:1]).addcmul_(a[:, 1:2], b[:, 1:2]).addcmul_(a[:, 2:3], b[:, 2:3])


def unit(v: Tensor) -> Tensor:
    """Vectors of length 1, (B, 3, ...)."""
    return v * dot(v, v).add_(1e-12).rsqrt_()


def rotate(matrix: Tensor, v: Tensor) -> Tensor:
    """Rotate channel-first vectors: (B, 3, 3), (B, 3, ...) -> (B, 3, ...)."""
    return torch.bmm(matrix, v.flatten(2)).view_as(v)


def blur(x: Tensor, radius: int) -> Tensor:
    """Two box blurs of a half-width in texels, nearly a Gaussian of sigma 0.8 radius; (B, C, H, W).

    Separable, and more than one: a single box leaves rectangles, and a square window is slow.
    """
    if radius < 1:
        return x
    for _ in range(2):
        x = F.avg_pool2d(x, (1, 2 * radius + 1), 1, (0, radius), count_include_pad=False)
        x = F.avg_pool2d(x, (2 * radius + 1, 1), 1, (radius, 0), count_include_pad=False)
    return x


def spline_weights(knots: int, rows: int) -> Tensor:
    """Weights (rows, knots) of a Catmull-Rom spline through evenly spaced knots, at evenly spaced rows."""
    position = torch.linspace(0, knots - 1, rows)
    i = position.floor().clamp(max=knots - 2).long()
    t = position - i
    cubic = torch.stack([
        -0.5 * t + t**2 - 0.5 * t**3, 1 - 2.5 * t**2 + 1.5 * t**3, 0.5 * t + 2 * t**2 - 1.5 * t**3, 0.5 * (t**3 - t**2)
    ], 1)
    weights = torch.zeros(rows, knots)
    for k in range(4):
        weights.scatter_add_(1, (i + k - 1).clamp(0, knots - 1)[:, None], cubic[:, k : k + 1])
    return weights


def normals(position: Tensor) -> Tensor:
    """Outward unit normals of a grid of points (B, 3, H, W): rows run down, columns to the right."""
    padded = F.pad(position, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    return unit(torch.linalg.cross(down, across, dim=1))


def row_of(y: Tensor, heights: Tensor) -> Tensor:
    """Fractional rows of heights y (B, N) among the falling heights of the rows (B, H)."""
    falling = heights.contiguous()
    after = torch.searchsorted(-falling, -y.contiguous()).clamp(1, falling.shape[1] - 1)
    over, under = falling.gather(1, after - 1), falling.gather(1, after)
    return after - 1 + ((over - y) / (over - under).clamp(min=1e-6)).clamp(0, 1)


# ------------------------------------------------------------------------------------------ noise


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
