"""Black-and-white and toned photographs stay so: painted pixels take their colours from the visible ones."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 32  # of brightness, in each of which a toned photograph has one colour
SPREAD = 0.012  # standard deviation around that colour: 0.001 to 0.005 in toned JPEGs, 0.03 and more in coloured ones


def toned(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Painted pictures (B, 3, H, W) in the tone of those whose visible part has one colour for each brightness.

    image (B, 3, H, W) in [0, 1]; mask (B, 1, H, W), 1 = unknown. Coloured pictures and known pixels stay as they are.
    """
    hidden = mask > 0.5
    # Every fourth row and column show well enough that pictures are coloured, as most are.
    if not torch.compiler.is_exporting():
        _, spread = _tone(image[..., ::4, ::4], hidden[..., ::4, ::4])
        if (spread > 2 * SPREAD).all():
            return painted
    colours, spread = _tone(image, hidden)
    has_tone = (spread <= SPREAD)[:, None, None, None]  # where nothing is visible the spread is no number
    brightness = painted.float().mean(1, keepdim=True)
    toned_ones = _coloured(brightness.flatten(2), colours).view_as(painted).clamp(0, 1)
    return torch.where(hidden & has_tone, toned_ones, painted)


def _tone(image: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What the bins differ by from grey, (B, 3, BINS + 1), and visible pixels' standard deviation around that, (B,)."""
    visible = ~hidden.flatten(2)  # B, 1, N
    pixels = torch.where(visible, image.flatten(2).float(), 0.0)
    brightness = pixels.mean(1, keepdim=True)
    nearness = _nearness(brightness) * visible
    weight = nearness.sum(2)[:, None]  # B, 1, BINS + 1
    colours = (pixels - brightness) @ nearness.mT / weight.clamp_min(1e-6)
    bins = torch.arange(BINS + 1, device=image.device)
    apart = (bins[:, None] - bins).abs().where(weight > 0, BINS + 2)
    colours = colours.gather(2, apart.argmin(2)[:, None].expand_as(colours))  # of the nearest bin that is filled
    off = (pixels - _coloured(brightness, colours)).square() * visible
    return colours, (off.sum((1, 2)) / (3 * visible.sum((1, 2)))).sqrt()


def _coloured(brightness: Tensor, colours: Tensor) -> Tensor:
    """Pixels of a brightness, (B, 1, N), in the colours of the bins, (B, 3, BINS + 1): (B, 3, N)."""
    return brightness + colours @ _nearness(brightness)


def _nearness(brightness: Tensor) -> Tensor:
    """How much each pixel of a brightness in [0, 1], (B, 1, N), belongs to the two bins beside it, (B, BINS + 1, N)."""
    bins = torch.arange(BINS + 1, device=brightness.device, dtype=torch.float32)[:, None]
    return (1 - (brightness.clamp(0, 1) * BINS - bins).abs()).clamp_min(0)
