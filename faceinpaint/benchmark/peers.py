"""Networks that others complete faces with, rebuilt from their descriptions for their cost alone: they know nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceinpaint.benchmark.plain import ExplicitAttention

WIDTH, DEEPEST = 64, 256  # channels of the first layer, and of the layers between
DILATIONS = (2, 2, 2, 4, 4, 8, 8)


class Residual(nn.Module):
    """A residual block as EdgeConnect has it: a dilated convolution, and one that is not."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(*_layer(width, width, 3, dilation=dilation), *_layer(width, width, 3)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class LaFIn(nn.Module):
    """LaFIn's generator (Yang et al. 2020): three blocks down, seven dilated ones, attention, three blocks up.

    Picture, mask and landmarks as a map, (B, 3 + 1 + 1, S, S), become (B, 3, S, S); 12.0 million parameters, of 11.7.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH, 2 * WIDTH, DEEPEST, DEEPEST)
        self.first = nn.Sequential(*_layer(5, WIDTH, 7))
        self.down = nn.ModuleList(
            nn.Sequential(*_layer(before, after, 4 if before < after else 3, stride=2))
            for before, after in zip(widths, widths[1:])
        )
        self.middle = nn.Sequential(*(Residual(DEEPEST, dilation) for dilation in DILATIONS))
        self.attention = ExplicitAttention(DEEPEST)
        self.merge = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths[:0:-1])
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.InstanceNorm2d(after), nn.ReLU())
            for before, after in zip(widths[:0:-1], widths[-2::-1])
        )
        self.last = nn.Conv2d(WIDTH, 3, 7, padding=3)

    def forward(self, image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
        x, seen = self.first(torch.cat([image, mask, landmarks], dim=1)), []
        for block in self.down:
            x = block(x)
            seen.append(x)
        known = nn.functional.interpolate(1 - mask, x.shape[-2:], mode="area")
        x = self.attention(self.middle(x), x, known)
        for merge, up in zip(self.merge, self.up):
            x = up(merge(torch.cat([x, seen.pop()], dim=1)))
        return (torch.tanh(self.last(x)) + 1) / 2


def _layer(before: int, after: int, side: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (side - 1) // 2  # of 4 pixels, too: it halves
    convolution = nn.Conv2d(before, after, side, stride, padding, dilation)
    return [convolution, nn.InstanceNorm2d(after), nn.ReLU()]
