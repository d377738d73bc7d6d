"""The judge: is each patch of a picture a photograph or paint? It is told where the hole was (figure 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """PatchGAN of Isola et al. 2017 on image and mask, spectrally normalised (Miyato et al. 2018).

    image (B, 3, H, W) in [0, 1], mask (B, 1, H, W), 1 = unknown; returns one logit per patch of 70 pixels,
    (B, 1, H/8 - 2, W/8 - 2): positive means photograph. H and W are at least 32.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        layers: list[nn.Module] = []
        channels = 4
        for factor, stride in ((1, 2), (2, 2), (4, 2), (8, 1)):
            layers += [
                spectral_norm(nn.Conv2d(channels, factor * width, 4, stride, padding=1)),
                nn.LeakyReLU(0.2),
            ]
            channels = factor * width
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 4, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        x = torch.cat([image * 2 - 1, mask], dim=1)
        return self.layers(x).float()


def hole_patches(mask: Tensor, logits: Tensor) -> Tensor:
    """Which of the discriminator's patches have the hole in their middle: (B, 1, h, w) of zeros and ones.

    A patch of known pixels is a photograph in both pictures and teaches neither network. What lies further out in
    a patch's 70 pixels is left to its neighbours: otherwise nearly every patch would count under irregular masks.
    """
    return (F.adaptive_max_pool2d(mask, logits.shape[-2:]) > 0).to(logits.dtype)
