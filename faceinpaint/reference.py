"""A second photograph of the same person: what it shows of the part that is hidden in the first.

Of a face behind a mask the visible part says little: not how the mouth looks, nor whether there is a beard. Another
photograph does. It was taken from elsewhere, in other light and with another expression, so it is warped to the
landmarks of the first, given its light, and a small network decides where it is to be believed. What comes out is a
first guess for the generator, instead of the symmetry prior alone; the generator stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.generator import DilatedResidual, Down, Up, he_initialise
from faceinpaint.masks import face_region
from faceinpaint.priors import Prior, smooth_fill
from faceinpaint.warps import ThinPlateSpline, warp_to


@dataclass(frozen=True)
class Reference:
    """Aligned photographs of the people whose faces are to be completed.

    image: (B, 3, H, H) in [0, 1]. landmarks: (B, 68, 2) pixels. embedding: (B, D), of length 1, by the recogniser that
    the guide was trained with.
    """

    image: Tensor
    landmarks: Tensor
    embedding: Tensor


def warped_reference(prior: Prior, image: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
    """The reference in the shape and the light of the face to be completed, and where it shows a face.

    prior: the first guess without it, from which the light is taken; image (B, 3, H, H), mask (B, 1, H, H), 1 =
    unknown, landmarks (B, 68, 2) as `symmetry_prior` has them. Returns (B, 3, H, H) and (B, 1, H, H), which fades out
    towards the edge of the face, since hair and background are those of another day.
    """
    size = image.shape[-1]
    spline = ThinPlateSpline.fit((landmarks + 0.5) / size, (reference.landmarks + 0.5) / size)
    both = warp_to(torch.cat([reference.image, torch.ones_like(mask)], dim=1), spline, size)
    warped, region = both[:, :3], (both[:, 3:] > 0.999) * face_region(landmarks, size).to(image)
    seen = region * (1 - mask)
    warped = (warped * (mean_over(image, seen) / mean_over(warped, seen).clamp_min(DARK))).clamp(0, 1)
    lit = (warped + low_frequencies(prior.image - warped, region)).clamp(0, 1)
    soft = 2 * (size // 64) + 1
    return lit, F.avg_pool2d(region, soft, 1, soft // 2)


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


class ReferenceGuide(nn.Module):
    """How far a reference is to be believed at each hidden pixel; a first guess for the generator.

    Called with the generator's own first guess, image (B, 3, H, H), mask (B, 1, H, H), landmarks (B, 68, 2) and a
    `Reference`, it returns the better `Prior`; H is a multiple of 8. width: channels at half the resolution.
    embedding: numbers of an embedding.
    """

    def __init__(self, width: int = 16, embedding: int = 256) -> None:
        super().__init__()
        self.width, self.embedding = width, embedding
        self.down1 = Down(3 + 3 + 3 + 1 + 1 + 1, width, kernel=6)  # H -> H/2
        self.down2 = Down(width, 2 * width)  # H/4
        self.down3 = Down(2 * width, 4 * width)  # H/8
        self.residual = nn.Sequential(*[DilatedResidual(4 * width, dilation=2) for _ in range(3)])
        self.who = nn.Linear(embedding, 8 * width)
        self.up3 = Up(4 * width, 4 * width, 2 * width)
        self.up2 = Up(2 * width, 2 * width, width)
        self.up1 = Up(width, width, width)
        self.paint = nn.Conv2d(width, 4, 5, padding=2, padding_mode="reflect")
        he_initialise(self)
        with torch.no_grad():
            for block in self.residual:
                block.convolution.weight.mul_(0.1)
            # At first the reference is believed rather than not, everywhere, and whoever it is.
            for layer in (self.who, self.paint):
                layer.weight.zero_()
                layer.bias.zero_()
            self.paint.bias[3] = 1.0

    def forward(
        self, prior: Prior, image: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference
    ) -> Prior:
        with torch.autocast(image.device.type, enabled=False):
            image, mask, landmarks = image.float(), mask.float(), landmarks.float()
            warped, region = warped_reference(prior, image, mask, landmarks, reference)
        planes = [prior.image, warped, warped - prior.image, mask, prior.mirrored, region]
        e1 = self.down1(torch.cat(planes, dim=1))
        e2 = self.down2(e1)
        e3 = self.down3(e2)
        scale, shift = self.who(reference.embedding)[..., None, None].chunk(2, dim=1)
        x = self.residual(e3 * (1 + scale) + shift)
        x = self.up1(self.up2(self.up3(x, e3), e2), e1)
        painted = self.paint(x).float()
        share = region * torch.sigmoid(painted[:, 3:])
        better = prior.image + mask * (share * (warped - prior.image) + painted[:, :3])
        return Prior(better.clamp(0, 1), prior.mirrored)
