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
    return torch.stack([_toned(*one) for one in zip(painted, image, mask[:, 0] > 0.5)])


def _toned(painted: Tensor, image: Tensor, hidden: Tensor) -> Tensor:
    # Every fourth row and column show well enough that a picture is coloured, as most are.
    if _tone(image[:, ::4, ::4], hidden[::4, ::4])[1] > 2 * SPREAD:
        return painted
    colours, spread = _tone(image, hidden)
    if not spread <= SPREAD:  # where nothing is visible it is no number
        return painted
    return torch.where(hidden, _coloured(painted.float().mean(0), colours).clamp(0, 1), painted)


def _tone(image: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What the bins differ by from grey, (3, BINS + 1), and the standard deviation of visible pixels around that."""
    visible = image[:, ~hidden].float()  # (3, N)
    place = _place(visible.mean(0))
    low, share = place.long(), place.frac()
    # Each pixel tells the two bins beside it of its difference from grey, by its nearness.
    colours, weight = visible.new_zeros(3, BINS + 1), visible.new_zeros(BINS + 1)
    for index, nearness in ((low, 1 - share), (low + 1, share)):
        colours.index_add_(1, index, (visible - visible.mean(0)) * nearness)
        weight.index_add_(0, index, nearness)
    filled = weight > 0
    nearest = (torch.arange(BINS + 1)[:, None] - torch.arange(BINS + 1)).abs().float()
    colours = (colours / weight.clamp_min(1e-6))[:, nearest.masked_fill(~filled.cpu(), BINS + 2).argmin(1)]
    return colours, (visible - _coloured(visible.mean(0), colours)).square().mean().sqrt()


def _place(brightness: Tensor) -> Tensor:
    """Brightness in [0, 1] in bins, below the last."""
    return (brightness.clamp(0, 1) * BINS).clamp(max=BINS - 1e-3)


def _coloured(brightness: Tensor, colours: Tensor) -> Tensor:
    """Pixels of a brightness, (...), in the colours of the bins, (3, BINS + 1): (3, ...)."""
    place = _place(brightness)
    low, share = place.long(), place.frac()
    return brightness + colours[:, low] * (1 - share) + colours[:, low + 1] * share
