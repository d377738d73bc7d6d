"""Alignment before comparison: by a similarity transform, or by an upright crop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.align import five_points

# Where the five points come to lie (x, y) in an aligned face of 112 x 96 (H x W) pixels: the eye on the
# left of the picture, the eye on the right, the tip of the nose, the left and the right mouth corner.
TEMPLATE = ((30.29, 51.70), (65.53, 51.50), (48.03, 71.74), (33.55, 92.37), (62.73, 92.20))
ALIGNED_SIZE = (112, 96)


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """The rotation, scale and shift that bring `source` closest to `target` in least squares.

    source, target: (B, N, 2) points. Returns (B, 2, 3): [:, :, :2] · source + [:, :, 2] ≈ target.
    Umeyama (1991), eq. 40-42, without reflection: in the plane its singular value decomposition comes
    down to one division of complex numbers, so it has a gradient everywhere.
    """
    source_mean, target_mean = source.mean(1), target.mean(1)
    p, q = source - source_mean[:, None], target - target_mean[:, None]
    spread = p.square().sum((1, 2))
    cos = (p * q).sum((1, 2)) / spread  # scale times cosine of the angle
    sin = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    # Sums of products instead of `@`: autocast would do a matrix product in 16 bits, pixels off.
    shift = target_mean - (rotation * source_mean[:, None]).sum(2)
    return torch.cat([rotation, shift[:, :, None]], 2)


def warp(images: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample `images` where `matrix` sends the pixels of an output of `size`; differentiable.

    images: (B, 3, H, W). matrix: (B, 2, 3), output pixel (x, y) -> image pixel (x, y). size: (height, width).
    Returns (B, 3, *size). Against aliasing each output pixel is the mean of a fixed number of samples
    for the image's size (2 x 2 at 256 pixels), so that a face's result never depends on its batch.
    Outside the image the edge is repeated.
    """
    height, width = images.shape[-2:]
    samples = min(math.ceil(max(height, width) / 128), 8)
    y = (torch.arange(size[0] * samples, device=images.device)[:, None] + 0.5) / samples - 0.5
    x = (torch.arange(size[1] * samples, device=images.device) + 0.5) / samples - 0.5
    by_x, by_y, shift = matrix[..., None, None].unbind(2)  # B, 2, 1, 1 each
    source = (by_x * x + by_y * y + shift).permute(0, 2, 3, 1)  # B, h, w, 2
    grid = (2 * source + 1) / source.new_tensor([width, height]) - 1  # pixel centres at whole numbers
    sampled = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(sampled, samples)


def align_points(
    images: Tensor, points: Tensor, template: Sequence[tuple[float, float]] = TEMPLATE,
    size: tuple[int, int] = ALIGNED_SIZE,
) -> Tensor:
    """Faces turned, scaled and shifted so that their five points fall on a template.

    images: (B, 3, H, W) in [0, 1]. points: (B, 5, 2) pixels in the order of `TEMPLATE`. template: where they come to
    lie in the aligned face of `size` (height, width). Returns (B, 3, *size) float32. Raises InputError when points
    are unknown (NaN) or all in one place.
    """
    images, points = images.float(), points.to(images.device, torch.float32)
    matrix = similarity(points, points.new_tensor(template).expand_as(points))
    rotation, shift = matrix[:, :, :2], matrix[:, :, 2]
    inverse = rotation.mT / rotation[:, 0].square().sum(1)[:, None, None]  # of a rotation times a scale
    inverse = torch.cat([inverse, -(inverse * shift[:, None]).sum(2, keepdim=True)], 2)
    _require_finite(inverse)
    return warp(images, inverse, size)


def align(images: Tensor, landmarks: Tensor) -> Tensor:
    """Faces aligned by their landmarks for a recogniser; gradients flow to the images.

    images: (B, 3, H, W) in [0, 1]. landmarks: (B, 68, 2) pixels. Returns (B, 3, 112, 96).
    Raises InputError when landmarks are unknown (NaN) or all in one place.
    """
    return align_points(images, five_points(landmarks))


def standardised(images: Tensor) -> Tensor:
    """Pixels in [0, 1] as every recogniser here wants them, about -1 to 1: (x - 127.5) / 128 of 8-bit values."""
    return (images * 255 - 127.5) / 128


def crop_face(images: Tensor, landmarks: Tensor, size: int = 160, margin: float = 14) -> Tensor:
    """The upright crop that the MTCNN detector would have made, the kind that FaceNet was trained on.

    images: (B, 3, H, W) in [0, 1]. landmarks: (B, 68, 2) pixels. margin: pixels of the crop, both sides
    together, as in facenet-pytorch. Returns (B, 3, size, size) float32, sides scaled separately like
    MTCNN's. The detector's box is the hull of the landmarks with a forehead of 0.36 of its height
    (mean over 90 photographs; standard deviation 0.04). Raises InputError as `align`.
    """
    images, landmarks = images.float(), landmarks.to(images.device, torch.float32)
    low, high = landmarks.amin(1), landmarks.amax(1)  # B, 2
    low = low - (high - low) * low.new_tensor([0.0, 0.36])
    side = (high - low) * size / (size - margin)
    scale = side / size
    shift = (low + high) / 2 - scale * (size - 1) / 2  # centre to centre
    matrix = torch.cat([torch.diag_embed(scale), shift[:, :, None]], 2)
    _require_finite(matrix / scale[:, :, None])
    return warp(images, matrix, (size, size))


def _require_finite(matrix: Tensor) -> None:
    if not torch.compiler.is_exporting() and not matrix.isfinite().all():
        raise InputError(
            "a face has unknown landmarks, or all of them in one place, so it cannot be aligned: "
            "give 68 finite points or predict them first"
        )
