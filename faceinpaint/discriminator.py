"""Discriminators, PatchGAN and projected: is each patch a photograph or paint? They see the hole too (figure 4)."""

from __future__ import annotations

from collections.abc import Mapping

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


class ProjectedDiscriminator(nn.Module):
    """Small heads on the maps of a frozen network, one at each of its scales (Sauer et al. 2021, *Projected GANs*).

    What skin and eyes look like need not be learnt from the game alone, so that paint is told from photographs within a
    few hundred steps. maps: name -> (B, C, h, w), as a network of `features` gives them of a picture; mask
    (B, 1, H, W), 1 = unknown, is laid beside each. Returns one logit per position of each map, (B, 1, h, w): positive
    means photograph. channels: those of the maps.
    """

    def __init__(self, channels: Mapping[str, int], width: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleList([_head(count + 1, min(width, 2 * count)) for count in channels.values()])

    def forward(self, maps: Mapping[str, Tensor], mask: Tensor) -> list[Tensor]:
        logits = []
        for head, x in zip(self.heads, maps.values()):
            hole = F.adaptive_avg_pool2d(mask, x.shape[-2:]).to(x.dtype)
            logits.append(head(torch.cat([x, hole], dim=1)).float())
        return logits


def _head(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, width, 3, padding=1)), nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, 1, 1)),
    )


def hole_patches(mask: Tensor, logits: Tensor) -> Tensor:
    """Which of the discriminator's patches have the hole in their middle: (B, 1, h, w) of zeros and ones.

    A patch of known pixels is a photograph in both pictures and teaches neither network. What lies further out in
    a patch's 70 pixels is left to its neighbours: otherwise nearly every patch would count under irregular masks.
    """
    return (F.adaptive_max_pool2d(mask, logits.shape[-2:]) > 0).to(logits.dtype)
