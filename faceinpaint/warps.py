"""Smooth warps by landmarks: thin-plate splines and the resampling of pictures through them."""

from __future__ import annotations

from typing import Callable, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ThinPlateSpline(NamedTuple):
    """The smoothest map that carries one set of points to another (Bookstein 1989)."""

    centres: Tensor  # (B, N, 2)
    weights: Tensor  # (B, N + 3, 2): one row per centre, then constant, x and y

    @staticmethod
    def fit(source: Tensor, target: Tensor, stiffness: float = 1e-2) -> ThinPlateSpline:
        """Fit a map from `source` to `target` points, (B, N, 2) each, in units where a face is about 1.

        `stiffness` trades exactness for smoothness, so that a landmark that is a pixel off does not fold the map.
        """
        batch, count, _ = source.shape
        system = source.new_zeros(batch, count + 3, count + 3)
        system[:, :count, :count] = _thin_plate_kernel(source, source)
        system[:, range(count), range(count)] += stiffness
        system[:, :count, count] = system[:, count, :count] = 1
        system[:, :count, count + 1 :] = source
        system[:, count + 1 :, :count] = source.mT
        # A touch of stiffness for the linear part too: points that all lie on one line have no unique map.
        system[:, range(count, count + 3), range(count, count + 3)] = -1e-6
        right = torch.cat([target, target.new_zeros(batch, 3, 2)], dim=1)
        return ThinPlateSpline(source, torch.linalg.solve(system, right))

    def __call__(self, points: Tensor) -> Tensor:
        """Map (B, M, 2) points."""
        bent, shift, linear = self.weights.split([self.centres.shape[1], 1, 2], dim=1)
        return _thin_plate_kernel(points, self.centres) @ bent + shift + points @ linear


def _thin_plate_kernel(a: Tensor, b: Tensor) -> Tensor:
    # Of x and y each a matrix: sums over an axis of two numbers would take most of the time.
    squared = sum((a[:, :, None, axis] - b[:, None, :, axis]).square() for axis in (0, 1))
    return squared * torch.log(squared + 1e-9)


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Pixel centres as (1, height * width, 2), x then y, on the device of `like`."""
    y = torch.arange(height, device=like.device, dtype=torch.float32)
    x = torch.arange(width, device=like.device, dtype=torch.float32)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(1, -1, 2)


def sample(image: Tensor, points: Tensor, padding: str = "border") -> Tensor:
    """Bilinear values of (B, C, H, W) `image` at (B, H', W', 2) pixel positions, x then y."""
    size = points.new_tensor([image.shape[-1], image.shape[-2]])
    grid = (2 * points + 1) / size - 1
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def dense_map(transform: Callable[[Tensor], Tensor], size: int, like: Tensor) -> Tensor:
    """Where a smooth `transform` of pixel positions (B, N, 2) sends each pixel: (B, size, size, 2).

    It is evaluated on every fourth pixel and interpolated linearly, 16 times less work; exact for affine maps. The
    coarse grid goes one cell beyond the picture, because the interpolation is flat where it has no neighbours.
    """
    cells = -(-size // 4) + 2
    points = (pixel_grid(cells, cells, like) - 1) * 4 + 1.5  # the centres of blocks of 4 x 4 pixels
    offsets = (transform(points) - points).mT.unflatten(2, (cells, cells))
    offsets = F.interpolate(offsets, scale_factor=4.0, mode="bilinear", align_corners=False)
    offsets = offsets[:, :, 4 : 4 + size, 4 : 4 + size].permute(0, 2, 3, 1)
    return pixel_grid(size, size, like).unflatten(1, (size, size)) + offsets


def warp_to(image: Tensor, spline: ThinPlateSpline, size: int, padding: str = "zeros") -> Tensor:
    """Resample (B, C, H, H) `image` at `size` pixels; the spline maps output to input in fractions of the picture.

    padding: what lies beyond the picture, as in `torch.nn.functional.grid_sample`.
    """
    pixels, batch = image.shape[-1], len(image)

    def to_input(points: Tensor) -> Tensor:
        return spline(((points + 0.5) / size).expand(batch, -1, -1)) * pixels - 0.5

    return sample(image, dense_map(to_input, size, image), padding)
