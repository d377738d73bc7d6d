"""What the generator is told: be right, look right, be the same person, look real (equations 2 to 5)."""

from __future__ import annotations

from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.discriminator import hole_patches


def reconstruction_loss(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the hole alone (equation 2), so that a small hole counts like a large one.

    completed, image (B, 3, H, W) in [0, 1]; mask (B, 1, H, W), 1 = unknown. A face without a hole adds nothing.
    """
    squared = ((completed - image).square() * mask).sum(dim=(1, 2, 3))
    hole = 3 * mask.sum(dim=(1, 2, 3))
    return (squared / hole.clamp_min(1)).mean()


class PerceptualLoss(nn.Module):
    """Distance of feature maps of a frozen network (equation 3; Johnson et al. 2016).

    `features` maps (B, 3, H, W) in [0, 1] to a sequence of feature maps; each is normalised to unit length per
    position (Zhang et al. 2018), so that no layer shouts louder than another. Gradients reach the first
    argument only.
    """

    def __init__(self, features: Callable[[Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.features = features

    def forward(self, completed: Tensor, image: Tensor) -> Tensor:
        with torch.no_grad():
            truth = self.features(image)
        total = completed.new_zeros(())
        for ours, theirs in zip(self.features(completed), truth):
            difference = F.normalize(ours.float(), dim=1) - F.normalize(theirs.float(), dim=1)
            total = total + difference.square().sum(1).mean()
        return total


def identity_loss(completed: Tensor, original: Tensor) -> Tensor:
    """Mean distance of two sets of unit embeddings, (B, D) each (equation 4); 0 = same person, 2 = opposite."""
    # The small constant keeps the gradient of the root finite where both pictures are the same.
    return ((completed - original).square().sum(-1) + 1e-8).sqrt().mean()


def discriminator_loss(real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """Equation 5 as the discriminator sees it: logits of photographs up, of completed pictures down.

    real, fake (B, 1, h, w) logits; mask (B, 1, H, W). Patches that see no hole are left out.
    """
    return _over_hole(F.softplus(-real) + F.softplus(fake), mask)


def adversarial_loss(fake: Tensor, mask: Tensor) -> Tensor:
    """Equation 5 as the generator sees it, in the non-saturating form of Goodfellow et al. 2014."""
    return _over_hole(F.softplus(-fake), mask)


def _over_hole(values: Tensor, mask: Tensor) -> Tensor:
    patches = hole_patches(mask, values)
    return (values * patches).sum() / patches.sum().clamp_min(1)
