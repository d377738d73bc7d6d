"""What a face gives away about its hidden part before any learning: faces are nearly symmetric.

The paper's failure cases (a beard, glasses finished on one side only) come from ignoring symmetry.
`symmetry_prior` looks every hidden pixel up on the other side of the face, through a warp that carries
each landmark to its mirror partner, and adds what the seam tells about the difference in light. Where both
sides are hidden it falls back to a smooth fill. The generator starts from this picture instead of from a hole.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def _mirror_order() -> tuple[int, ...]:
    """Index of each iBUG-68 landmark's partner on the other side of the face."""
    jaw = range(16, -1, -1)
    brows = range(26, 16, -1)
    nose = (27, 28, 29, 30, 35, 34, 33, 32, 31)
    eyes = (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40)
    outer_lips = (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55)
    inner_lips = (64, 63, 62, 61, 60, 67, 66, 65)
    return (*jaw, *brows, *nose, *eyes, *outer_lips, *inner_lips)


MIRROR_ORDER = _mirror_order()


def mirror_landmarks(landmarks: Tensor, width: int) -> Tensor:
    """Landmarks of the horizontally flipped image: (B, 68, 2) pixels in, the same out, order kept iBUG-68."""
    flipped = landmarks[:, MIRROR_ORDER]
    return torch.stack([width - 1 - flipped[..., 0], flipped[..., 1]], dim=-1)


class ThinPlateSpline(NamedTuple):
    """The smoothest map that carries one set of points to another (Bookstein 1989)."""

    centres: Tensor  # (B, N, 2)
    weights: Tensor  # (B, N + 3, 2): one row per centre, then constant, x and y

    @staticmethod
    def fit(source: Tensor, target: Tensor, stiffness: float = 1e-3) -> ThinPlateSpline:
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
        right = torch.cat([target, target.new_zeros(batch, 3, 2)], dim=1)
        return ThinPlateSpline(source, torch.linalg.solve(system, right))

    def __call__(self, points: Tensor) -> Tensor:
        """Map (B, M, 2) points."""
        basis = [_thin_plate_kernel(points, self.centres), torch.ones_like(points[..., :1]), points]
        return torch.cat(basis, dim=-1) @ self.weights


def _thin_plate_kernel(a: Tensor, b: Tensor) -> Tensor:
    squared = (a[:, :, None] - b[:, None]).square().sum(-1)
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


def warp(image: Tensor, spline: ThinPlateSpline, unit: float, padding: str = "border") -> Tensor:
    """Resample `image` through a spline that maps output to input positions in multiples of `unit` pixels.

    The map is smooth, so it is evaluated on every fourth pixel and interpolated: 16 times less work.
    """
    batch, _, height, width = image.shape
    coarse_height, coarse_width = height // 4, width // 4
    # The centre of each 4 x 4 block, so that resizing with half-pixel centres is exact for linear maps.
    points = pixel_grid(coarse_height, coarse_width, image) * 4 + 1.5
    offsets = spline(points.expand(batch, -1, -1) / unit) * unit - points
    offsets = offsets.mT.reshape(batch, 2, coarse_height, coarse_width)
    offsets = F.interpolate(offsets, size=(height, width), mode="bicubic", align_corners=False)
    points = pixel_grid(height, width, image).reshape(1, height, width, 2) + offsets.permute(0, 2, 3, 1)
    return sample(image, points, padding)


def smooth_fill(image: Tensor, known: Tensor) -> Tensor:
    """Fill the unknown pixels of (B, C, H, W) `image` smoothly from the known ones (B, 1, H, W), 1 = known.

    Pull-push (Gortler et al. 1996): average the known pixels level by level until no hole is left, then fill
    each level's holes from the coarser one. Known pixels are returned as they are.
    """
    if min(image.shape[-2:]) == 1:
        return image
    known = known.to(image.dtype)
    weight = F.avg_pool2d(known, 2, ceil_mode=True)
    mean = F.avg_pool2d(image * known, 2, ceil_mode=True) / weight.clamp_min(1e-6)
    coarse = smooth_fill(mean, (weight > 0).to(image.dtype))
    fine = F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(known > 0, image, fine)


class Prior(NamedTuple):
    """A first guess at the whole face, and where it rests on the mirrored side."""

    image: Tensor  # (B, 3, H, W), known pixels unchanged
    mirrored: Tensor  # (B, 1, H, W), 1 where a hidden pixel has a visible partner


def symmetry_prior(image: Tensor, mask: Tensor, landmarks: Tensor) -> Prior:
    """Fill the hole from the other side of the face, corrected for light; smoothly where both are hidden.

    image (B, 3, H, W) in [0, 1], whose values in the hole are never looked at; mask (B, 1, H, W), 1 = unknown;
    landmarks (B, 68, 2) pixels.
    """
    image, landmarks = image.float(), landmarks.float()
    known = 1 - mask.float()
    visible = image * known
    unit = float(image.shape[-1])
    spline = ThinPlateSpline.fit(landmarks / unit, landmarks[:, MIRROR_ORDER] / unit)
    both = warp(torch.cat([visible, known], dim=1), spline, unit, padding="zeros")
    partner, partner_known = both[:, :3], (both[:, 3:] > 0.999).float()

    # What the visible side shows minus what its mirror predicts is mostly light: carry it smoothly into the hole.
    light = smooth_fill(visible - partner, known * partner_known)
    mirrored = mask.float() * partner_known
    filled = visible + mirrored * (partner + light)
    filled = smooth_fill(filled, known + mirrored)
    return Prior(filled.clamp(0, 1), mirrored)
