"""`Surface`: a grid of points with what light needs to know about each; heads, eyeballs, ears and hairs are such."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.maths import blur, dot, rotate

LABELS = ("background", "skin", "nose", "mouth", "eyes", "brows", "hair", "beard", "glasses", "clothes")
LABEL = {name: i for i, name in enumerate(LABELS)}


@dataclass(frozen=True)
class Surface:
    """A grid of points on a surface, or (`strands`) hairs: each row one hair from root to tip.

    position: (B, 3, H, W) cm. albedo: (B, 3, H, W) linear reflectance. label: (B, 1, H, W) index into LABELS.
    keep: (B, 1, H, W), points with a value <= 0 are not there (a signed distance gives a crisp edge); or None.
    occlusion: (B, 1, H, W), share of the light from everywhere that arrives. gloss: (B, 1, H, W) strength of
    the highlight, sharpness: its exponent. scatter: light spreads under the surface as in skin. normal: (B, 3, H, W).
    """

    position: Tensor
    albedo: Tensor
    label: Tensor
    keep: Tensor | None
    occlusion: Tensor
    gloss: Tensor
    normal: Tensor
    sharpness: float = 20.0
    scatter: bool = False
    strands: bool = False

    def turned(self, rotation: Tensor, pivot: Tensor) -> Surface:
        """Rotated about a point: (B, 3, 3), (3,)."""
        pivot = pivot.view(1, 3, 1, 1)
        position = rotate(rotation, self.position - pivot) + pivot
        return replace(self, position=position, normal=rotate(rotation, self.normal))

    def select(self, index: Tensor) -> Surface:
        """The surfaces at `index` (N,) of the batch, in that order."""
        return replace(self, **{name: value[index] for name, value in vars(self).items() if isinstance(value, Tensor)})


def label_map(name: str, like: Tensor) -> Tensor:
    """One label everywhere, (B, 1, H, W)."""
    return torch.full_like(like[:, :1], float(LABEL[name]))


def crevices(position: Tensor, normal: Tensor, radius: int, strength: float) -> Tensor:
    """Ambient occlusion of a bumpy grid: the share of the light from everywhere that reaches it, (B, 1, H, W).

    A point below the mean of its surroundings lies in a hollow and sees less of the sky.
    """
    small = F.avg_pool2d(position, 2, ceil_mode=True, count_include_pad=False)
    near = blur(small, max(1, radius // 2))
    wide = blur(near, 2 * radius)
    around = F.interpolate(0.6 * near + 0.4 * wide, size=position.shape[-2:], mode="bilinear")
    depth = 1.15 * dot(around - position, normal)
    return torch.exp(-strength * depth).clamp(0.15, 1.1)
