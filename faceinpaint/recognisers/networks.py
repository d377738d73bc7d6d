"""Embedding networks (MobileFaceNet, ResNet, dlib's): an aligned face in, a vector that is not normalised out."""

from __future__ import annotations

import math
from typing import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.recognisers.alignment import ALIGNED_SIZE

# Inverted residuals of MobileFaceNet (table 1): expansion, channels, repeats, stride of the first.
BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class ConvBlock(nn.Module):
    """Convolution, batch norm and, unless `linear`, PReLU. (B, inputs, H, W) -> (B, outputs, H', W')."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int = 0,
        groups: int = 1, linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class InvertedResidual(nn.Module):
    """MobileNetV2's block with PReLU: expand, filter each channel, project without activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.PReLU(hidden),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.PReLU(hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileFaceNet(nn.Module):
    """Chen et al. (2018), MobileFaceNets, table 1: a face recogniser of one million parameters.

    blocks: (expansion, channels, repeats, stride) each. width: multiplies all channels but the embedding's.
    threshold: of the cosine distance, once calibrated; a setting, so that it stays with its weights.
    forward: (B, 3, 112, 96) RGB in [-1, 1], aligned -> (B, embedding_size), not normalised.
    """

    def __init__(
        self, blocks: Sequence[Sequence[int]] = BLOCKS, embedding_size: int = 128, width: float = 1.0,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.threshold = threshold
        channels, features = round(64 * width), round(512 * width)
        self.conv1 = ConvBlock(3, channels, 3, stride=2, padding=1)  # 112x96 -> 56x48
        self.dw_conv1 = ConvBlock(channels, channels, 3, padding=1, groups=channels)
        layers, (height, breadth) = [], (56, 48)
        for expansion, outputs, repeats, stride in blocks:
            outputs = round(outputs * width)
            for repeat in range(repeats):
                layers.append(InvertedResidual(channels, outputs, stride if repeat == 0 else 1, expansion))
                channels = outputs
            height, breadth = math.ceil(height / stride), math.ceil(breadth / stride)
        self.blocks = nn.Sequential(*layers)  # 56x48 -> 7x6
        self.conv2 = ConvBlock(channels, features, 1)
        # A weighted mean over positions instead of a plain one: corners of a face say less than its middle.
        self.linear7 = ConvBlock(features, features, (height, breadth), groups=features, linear=True)
        self.linear1 = ConvBlock(features, embedding_size, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        return self.linear1(self.linear7(self.conv2(x))).flatten(1)


class FaceResNet(nn.Module):
    """A residual network (He et al. 2016) for aligned faces, four stages of two blocks each.

    It shares nothing with MobileFaceNet but its input, so that the two err on different faces. width: channels of
    the first stage; 2, 4 and 8 times as many in the next ones. threshold: as of MobileFaceNet.
    forward: (B, 3, 112, 96) RGB in [-1, 1], aligned -> (B, embedding_size), not normalised.
    """

    SQUEEZED = 64  # channels that the last map is brought down to, so that its positions need not be averaged

    def __init__(self, width: int = 24, embedding_size: int = 128, threshold: float | None = None) -> None:
        super().__init__()
        self.threshold = threshold
        layers = [nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        for stage in range(4):  # 56x48, 28x24, 14x12, 7x6
            outputs = width * 2**stage
            layers += [ResidualBlock(channels, outputs, 1 if stage == 0 else 2), ResidualBlock(outputs, outputs, 1)]
            channels = outputs
        self.layers = nn.Sequential(*layers)
        self.squeeze = nn.Sequential(nn.Conv2d(channels, self.SQUEEZED, 1, bias=False), nn.BatchNorm2d(self.SQUEEZED))
        positions = math.ceil(ALIGNED_SIZE[0] / 16) * math.ceil(ALIGNED_SIZE[1] / 16)
        self.linear = nn.Linear(self.SQUEEZED * positions, embedding_size)
        self.norm = nn.BatchNorm1d(embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(self.squeeze(self.layers(x)).flatten(1)))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm beside a shortcut. (B, inputs, H, W) -> (B, outputs, H', W')."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.convolutions(x) + self.shortcut(x))


class DlibResNet(nn.Module):
    """The residual network of 29 layers of dlib's face recogniser (King 2017), its affine layers folded in.

    width: channels of the first stage; 2, 4, 8 and 8 times as many in the next ones. threshold: as of MobileFaceNet.
    forward: (B, 3, 150, 150) RGB, dlib's face chips, less their mean and over 256 -> (B, embedding_size), not
    normalised. Source: `anet_type` of dlib's `dnn_face_recognition_ex.cpp`.
    """

    REPEATS = (3, 4, 3, 3, 1)  # blocks of each stage: alevel4 ... alevel0 there

    def __init__(self, width: int = 32, embedding_size: int = 128, threshold: float | None = None) -> None:
        super().__init__()
        self.threshold = threshold
        layers = [nn.Conv2d(3, width, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2)]  # 150 -> 72 -> 35
        channels = width
        for stage, repeats in enumerate(self.REPEATS):  # 35, 17, 8, 4, 2
            outputs = width * min(2**stage, 8)
            for repeat in range(repeats):
                layers.append(DlibBlock(channels, outputs, 2 if stage > 0 and repeat == 0 else 1))
                channels = outputs
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, embedding_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.layers(x).mean((2, 3)))


class DlibBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without weights. (B, inputs, H, W) -> (B, outputs, H', W').

    Where it halves the size the shortcut is a mean of 2 x 2 pixels, and what it lacks in channels is zero (`add_prev`).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 2 - stride),  # no padding where it halves
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolutions(x)
        if self.stride > 1:
            x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
            # 8 -> 3 by the convolution but 4 by the mean: dlib fills up with zeros on the right and below.
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
        return F.relu(x + y)


NETWORKS = {kind.__name__: kind for kind in (MobileFaceNet, FaceResNet, DlibResNet)}
