"""Thin-plate splines: smooth warps by landmarks, and the resampling of pictures through them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Callable, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class ThinPlateSpline(NamedTuple):
    """The smoothest map that carries one set of points to another (Bookstein 1989)."""

    centres: Tensor  # (B, N, 2)
    weights: Tensor  # (B, N + 3, 2 K): one row per centre, then constant, x and y

    @staticmethod
    def fit(source: Tensor, target: Tensor, stiffness: float = 1e-2) -> ThinPlateSpline:
        """Fit a map from `source` to `target` points, (B, N, 2) each, in units where a face is about 1.

        Several maps from one source are one of targets (B, N, 2 K): most of the work is in the source.

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
        right = F.pad(target, [0, 0, 0, 3])
        return ThinPlateSpline(source, torch.linalg.solve_ex(system, right).result)

    def __call__(self, points: Tensor) -> Tensor:
        """Map (B, M, 2) points."""
        return self._mapped(points, _thin_plate_kernel(points, self.centres))

    def on_grid(self, x: Tensor, y: Tensor) -> Tensor:
        """Map the points of a grid with columns at x (W,) and rows at y (H,), row by row: (B, H * W, 2).

        The same as for any points in a third of the time: one of its distances needs one addition.
        """
        across, down = ((line[:, None] - self.centres[:, None, :, axis]).square() for axis, line in enumerate((x, y)))
        kernel = _bending(across[:, None] + down[:, :, None]).flatten(1, 2)  # B, H * W, N
        return self._mapped(crossings(x, y), kernel)

    def _mapped(self, points: Tensor, kernel: Tensor) -> Tensor:
        bent, shift, linear = self.weights.split([self.centres.shape[1], 1, 2], dim=1)
        return kernel @ bent + shift + points @ linear


def _thin_plate_kernel(a: Tensor, b: Tensor) -> Tensor:
    # Of x and y each a matrix: sums over an axis of two numbers would take most of the time.
    return _bending(sum((a[:, :, None, axis] - b[:, None, :, axis]).square() for axis in (0, 1)))


def _bending(squared: Tensor) -> Tensor:
    return squared * torch.log(squared + 1e-9)


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Pixel centres as (1, height * width, 2), x then y, on the device of `like`."""
    y = torch.arange(height, device=like.device, dtype=torch.float32)
    x = torch.arange(width, device=like.device, dtype=torch.float32)
    return crossings(x, y)


def crossings(x: Tensor, y: Tensor) -> Tensor:
    """The points of a grid with columns at x (W,) and rows at y (H,), row by row: (1, H * W, 2), x then y."""
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(1, -1, 2)


def sample(image: Tensor, points: Tensor, padding: str = "border") -> Tensor:
    """Bilinear values of (B, C, H, W) `image` at (B, H', W', 2) pixel positions, x then y."""
    size = points.new_tensor([image.shape[-1], image.shape[-2]])
    return warped(image, (2 * points + 1) / size - 1, padding)


def dense_map(transform: Callable[[Tensor], Tensor], size: int, like: Tensor) -> Tensor:
    """Where a smooth `transform` of pixel positions (B, N, 2) sends each pixel: (B, size, size, 2).

    It is evaluated on every fourth pixel and interpolated linearly, 16 times less work; exact for affine maps.
    """
    line = _every_fourth(size, like)
    return _interpolated(transform(crossings(line, line)), size)


def by_opencv(x: Tensor) -> bool:
    """Whether OpenCV may do a tensor's work, quicker than PyTorch: on a CPU, and not where a graph is recorded."""
    return x.device.type == "cpu" and not torch.compiler.is_exporting()


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) at another size, bilinear; on a CPU by OpenCV, in a fifth of PyTorch's time for the same."""
    if not by_opencv(x) or x.requires_grad:
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    result = x.new_empty(*x.shape[:2], height, width)
    for before, after in zip(x.flatten(0, 1).numpy(), result.flatten(0, 1).numpy()):
        cv2.resize(before, (width, height), after, interpolation=cv2.INTER_LINEAR)
    return result


def _every_fourth(size: int, like: Tensor) -> Tensor:
    """Where `size` pixels in a row are looked at: the centres of each four, and of one four more at both ends.

    Beyond the picture, because the interpolation is flat where it has no neighbours.
    """
    return torch.arange(-1, -(-size // 4) + 1, device=like.device, dtype=torch.float32) * 4 + 1.5


def _interpolated(mapped: Tensor, size: int) -> Tensor:
    """Where each pixel is sent, (B, size, size, 2), given that of `_every_fourth` row and column, (B, N, 2)."""
    cells = math.isqrt(mapped.shape[1])
    planes = mapped.mT.unflatten(2, (cells, cells)).contiguous()
    return resized(planes, 4 * cells, 4 * cells)[:, :, 4 : 4 + size, 4 : 4 + size].permute(0, 2, 3, 1)


def warp_to(image: Tensor, spline: ThinPlateSpline, size: int, padding: str = "zeros") -> Tensor:
    """Resample (B, C, H, H) `image` at `size` pixels; the spline maps output to input in fractions of the picture.

    padding: what lies beyond the picture, as in `torch.nn.functional.grid_sample`.
    """
    return warped(image, map_of(spline, size, image), padding)


def warped(image: Tensor, places: Tensor, padding: str = "zeros") -> Tensor:
    """Bilinear values of (B, C, H, W) `image` at (B, H', W', 2) places as `map_of` has them."""
    return F.grid_sample(image, places, mode="bilinear", padding_mode=padding, align_corners=False)


def map_of(spline: ThinPlateSpline, size: int, like: Tensor) -> Tensor:
    """Where each pixel of `warp_to` comes from, (B, size, size, 2), x then y, from -1 to 1 over the picture."""
    line = (_every_fourth(size, like) + 0.5) / size
    return _interpolated(2 * spline.on_grid(line, line) - 1, size)


def enlarged(
    image: np.ndarray, affine: np.ndarray, size: tuple[int, int], how: int = cv2.INTER_LINEAR,
    border: int = cv2.BORDER_REPLICATE,
) -> np.ndarray:
    """A picture (h, w, ...) at other pixels, `size` (width, height), which an affine map (2, 3) carries to its own.

    how, border: how OpenCV interpolates, and what lies beyond the picture.
    """
    image = np.ascontiguousarray(image, np.float32)
    return cv2.warpAffine(image, affine, size, flags=how | cv2.WARP_INVERSE_MAP, borderMode=border)


def part_of(affine: np.ndarray, left: int, top: int) -> np.ndarray:
    """An affine map (2, 3) of pixels that are counted from a part's first one."""
    return np.column_stack([affine[:, :2], affine @ [left, top, 1]])


ROWS = 128


def strips(height: int, times: int = 1) -> Iterator[slice]:
    """The rows of a photo, some at a time, a multiple of `times`: copies of all would take more time than the work."""
    rows = times * max(1, ROWS // times)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


def planes(image: Tensor) -> np.ndarray:
    """(1, C, H, W) as float32 (H, W, C), OpenCV's way."""
    return image[0].permute(1, 2, 0).float().cpu().contiguous().numpy()


def plane(image: Tensor) -> np.ndarray:
    """(1, 1, H, W) as float32 (H, W)."""
    return image[0, 0].float().cpu().contiguous().numpy()
