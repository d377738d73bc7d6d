"""Reference-guided completion: what a second photograph of the person shows of the part hidden in the first.

Of a face behind a mask the visible part says little: not how the mouth looks, nor whether there is a beard. Another
photograph does. It was taken from elsewhere, in other light and with another expression, so it is warped to the
landmarks of the first and given its light. What comes out is a first guess for the generator, instead of the symmetry
prior alone; the generator stays as it is. A network that learns where to believe the reference, with its embedding at
hand, was tried: it learnt to believe it less, and judges that had no part in its training liked it less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.masks import face_region
from faceinpaint.prior.details import Layer, Source, as_coarse, layer_of
from faceinpaint.prior.symmetry import Prior, smooth_fill
from faceinpaint.prior.warps import ThinPlateSpline, map_of, pixel_grid, warp_to


@dataclass(frozen=True)
class Reference:
    """Aligned photographs of the people whose faces are to be completed: image (B, 3, H, H), landmarks (B, 68, 2).

    source: what the photograph shows beyond the aligned one, of one person.
    """

    image: Tensor
    landmarks: Tensor
    source: Source | None = None

    def of(self, rows: slice) -> Reference:
        """Those of some of the people."""
        return Reference(self.image[rows], self.landmarks[rows])


BELIEF = 0.7  # of the face, where the reference shows it; the rest is the prior's, which has the expression
EDGE_ON = (0.2, 0.6)  # of the mean scale of area: below the first nothing is believed, above the second everything


def with_reference(prior: Prior, image: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference) -> Prior:
    """A first guess that takes the hidden part of the face from the reference; arguments as in `warped_reference`."""
    image, mask, landmarks = image.float(), mask.float(), landmarks.float()
    warped, region = warped_reference(prior, image, mask, landmarks, reference)
    return Prior(prior.image + BELIEF * mask * region * (warped - prior.image), prior.mirrored)


def warped_reference(
    prior: Prior, image: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference
) -> tuple[Tensor, Tensor]:
    """The reference in the shape and the light of the face to be completed, and where it shows a face.

    prior: the first guess without it, from which the light is taken; image (B, 3, H, H), mask (B, 1, H, H), 1 =
    unknown, landmarks (B, 68, 2) as `symmetry_prior` has them. Returns (B, 3, H, H) and (B, 1, H, H), which fades out
    towards the edge of the face, since hair and background are those of another day, and where the reference shows the
    face edge-on, since there is next to nothing to be seen of it.
    """
    warped, region, _, soft = _seen_in(reference, landmarks)
    seen = region * (1 - mask)
    warped = (warped * (mean_over(image, seen) / mean_over(warped, seen).clamp_min(DARK))).clamp(0, 1)
    lit = (warped + low_frequencies(prior.image - warped, region)).clamp(0, 1)
    return lit, soft


def details_of(reference: Reference, mask: Tensor, landmarks: Tensor, pixels: float) -> Layer:
    """What the reference shows in its photo's own pixels of a face that is hidden under mask (1, 1, H, W).

    pixels: how many the hidden one's photo has for one of the crop; a finer reference is shrunk to them.
    """
    _, _, spline, soft = _seen_in(reference, landmarks)
    return layer_of(as_coarse(reference.source, pixels), map_of(spline, soft.shape[-1], soft), BELIEF * mask * soft)


def _seen_in(reference: Reference, landmarks: Tensor) -> tuple[Tensor, Tensor, ThinPlateSpline, Tensor]:
    """The reference in the shape of landmarks, where it shows a face, the warp, and where that is to be believed."""
    size = reference.image.shape[-1]
    spline = ThinPlateSpline.fit((landmarks + 0.5) / size, (reference.landmarks + 0.5) / size)
    both = warp_to(F.pad(reference.image, [0, 0, 0, 0, 0, 1], value=1.0), spline, size)
    region = (both[:, 3:] > 0.999) * face_region(landmarks, size).to(reference.image)
    width = 2 * (size // 64) + 1
    soft = F.avg_pool2d(region * _facing(spline, region), width, 1, width // 2)
    return both[:, :3], region, spline, soft


def _facing(spline: ThinPlateSpline, region: Tensor) -> Tensor:
    """From 0, where a turned head shows a part of the face edge-on, to 1: (B, 1, H, H), by the warp's scale of area."""
    size = region.shape[-1]
    cells = size // 4  # a warp is smooth
    centres = (pixel_grid(cells, cells, region) + 0.5) / cells
    x, y = spline(centres.expand(len(region), -1, -1)).mT.unflatten(2, (cells, cells)).unbind(1)
    (x_down, x_right), (y_down, y_right) = (torch.gradient(one, dim=(1, 2)) for one in (x, y))
    area = (x_right * y_down - x_down * y_right).clamp_min(0)[:, None]
    face = F.adaptive_avg_pool2d(region, cells)
    low, high = EDGE_ON
    facing = ((area / mean_over(area, face) - low) / (high - low)).clamp(0, 1)
    return F.interpolate(facing, size=(size, size), mode="bilinear", align_corners=False)


DARK = 0.02  # below it a mean colour says nothing


def mean_over(image: Tensor, region: Tensor) -> Tensor:
    """The mean colour of (B, C, H, W) over (B, 1, H, W): (B, C, 1, 1), DARK where the region is empty."""
    count = region.sum(dim=(2, 3), keepdim=True)
    return torch.where(count > 0, (image * region).sum(dim=(2, 3), keepdim=True) / count.clamp_min(1), DARK)


def low_frequencies(values: Tensor, region: Tensor, cells: int = 16, reach: int = 4) -> Tensor:
    """What of (B, C, H, W) varies slowly within a region (B, 1, H, W): means over half the picture's width."""
    weight = F.adaptive_avg_pool2d(region, cells)
    mean = F.adaptive_avg_pool2d(values * region, cells)
    window = 2 * reach + 1
    weight, mean = (F.avg_pool2d(F.pad(one, [reach] * 4), window, 1) for one in (weight, mean))
    slow = smooth_fill(mean / weight.clamp_min(1e-6), (weight > 0).to(values.dtype))
    return F.interpolate(slow, size=values.shape[-2:], mode="bilinear", align_corners=False)
