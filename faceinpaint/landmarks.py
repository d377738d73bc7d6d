"""Landmark prediction (MobileNetV2): 68 landmarks, hidden or not, from the visible part of a face."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.basics.errors import InputError

LANDMARKS = 68
SIZES = (32, 1024)  # pixels that the predictor may look at
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # left and right in the image
OUTER_EYE_CORNERS = (36, 45)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue


def _mirror_order() -> tuple[int, ...]:
    """Index of each iBUG-68 landmark's partner on the other side of the face."""
    jaw = range(16, -1, -1)
    brows = range(26, 16, -1)
    nose = (27, 28, 29, 30, 35, 34, 33, 32, 31)
    eyes = (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40)
    outer_lips = (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55)
    inner_lips = (64, 63, 62, 61, 60, 67, 66, 65)
    return (*jaw, *brows, *nose, *eyes, *outer_lips, *inner_lips)


MIRROR_ORDER = _mirror_order()


def mirror_landmarks(landmarks: Tensor, width: int) -> Tensor:
    """Landmarks of the horizontally flipped image: (B, 68, 2) pixels in, the same out, order kept iBUG-68."""
    flipped = landmarks[:, MIRROR_ORDER]
    return torch.stack([width - 1 - flipped[..., 0], flipped[..., 1]], dim=-1)


class LandmarkPredictor(nn.Module):
    """68 landmarks of a partly hidden face, by MobileNetV2 with a head on three levels (the paper, figure 2).

    `image` (B, 3, H, W) in [0, 1], `mask` (B, 1, H, W), 1 = unknown; returns (B, 68, 2) pixels of that image.
    Any square input size: the network itself looks at `size` pixels. It predicts offsets from the mean face,
    so that an untrained one predicts the mean face. Backbone: Sandler et al. 2018; head after Yang et al. 2019.
    """

    def __init__(self, width: float = 1.0, size: int = 128) -> None:
        super().__init__()
        low, high = SIZES
        if not low <= size <= high:
            raise InputError(f"a landmark predictor can't look at {size} pixels: choose {low} to {high}")
        self.size = size
        backbone = mobilenet_v2(4, width)
        # Cut where the resolution falls to 1/8, 1/16 and 1/32.
        self.levels = nn.ModuleList([backbone[:7], backbone[7:14], backbone[14:]])
        channels = [level[-1].outputs for level in self.levels]
        self.reduce = nn.ModuleList([nn.Conv2d(count, 32, 1) for count in channels])
        self.head = nn.Sequential(
            nn.Linear(3 * 32 * 16, 256), nn.PReLU(), nn.Dropout(0.2), nn.Linear(256, 2 * LANDMARKS)
        )
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)
        self.register_buffer("mean_face", torch.full((LANDMARKS, 2), 0.5))  # in fractions of the image

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        if self.training:
            return self.look(image, mask)
        # Both looks as one batch: most of the time of so small a network goes into calling its layers.
        seen = self.seen(image, mask)
        straight, mirrored = self.located(torch.cat([seen, seen.flip(-1)]), image.shape[-1]).chunk(2)
        return (straight + mirror_landmarks(mirrored, image.shape[-1])) / 2

    def look(self, image: Tensor, mask: Tensor) -> Tensor:
        """The landmarks at a single look."""
        return self.located(self.seen(image, mask), image.shape[-1])

    def seen(self, image: Tensor, mask: Tensor) -> Tensor:
        """What the network looks at: visible part and mask, (B, 4, size, size)."""
        x = torch.cat([image * (1 - mask), mask], dim=1)
        if x.shape[-2:] != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        return x

    def located(self, x: Tensor, pixels: int) -> Tensor:
        """The landmarks in what `seen` returned, in a picture of so many pixels."""
        summaries = []
        for level, reduce in zip(self.levels, self.reduce):
            x = level(x)  # 4 x 128 x 128 -> 32 x 16 x 16 -> 96 x 8 x 8 -> 320 x 4 x 4
            summaries.append(F.adaptive_avg_pool2d(reduce(x), 4).flatten(1))
        offsets = self.head(torch.cat(summaries, dim=1)).float().reshape(-1, LANDMARKS, 2)
        return (self.mean_face + 0.1 * offsets) * pixels - 0.5

    @torch.no_grad()
    def set_mean_face(self, landmarks: Tensor, pixels: int) -> None:
        """Start from the mean of (N, 68, 2) landmarks given in images of `pixels` x `pixels`."""
        self.mean_face.copy_((landmarks + 0.5).mean(0) / pixels)

    @torch.no_grad()
    def start_from_imagenet(self, published: dict[str, Tensor]) -> None:
        """Take the backbone's weights out of torchvision's state of a whole MobileNetV2, of width 1.

        They expect pixels less `IMAGENET_MEAN` over `IMAGENET_DEVIATION`: that is worked into the first convolution,
        and its weights of the mask make a hole look like the mean colour. Raises InputError for another width.
        """
        state = {key.removeprefix("features."): value for key, value in published.items()}
        first = state["0.0.weight"] / torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1)
        mean = first * torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        state["0.0.weight"] = torch.cat([first, mean.sum(1, keepdim=True)], dim=1)
        state["0.1.running_mean"] = state["0.1.running_mean"] + mean.sum(dim=(1, 2, 3))
        try:
            for number, layer in enumerate(chain(*self.levels)):
                prefix = f"{number}."
                layer.load_state_dict({
                    key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
                })
        except RuntimeError:
            raise InputError("ImageNet's weights are of width 1: set landmarks.width=1, or leave out --start") from None


# Inverted residuals of MobileNetV2 (table 2): expansion, channels, repeats, stride of the first.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(planes: int, width: float = 1.0) -> nn.Sequential:
    """MobileNetV2's 18 layers (Sandler et al. 2018) without its classifier: (B, planes, H, W) -> (B, C, H/32, W/32).

    width: multiplies all channels, which stay multiples of 8. Layers and their names are those of torchvision, whose
    import takes as long as everything else here together.
    """
    channels = _multiple_of_8(32 * width)
    layers: list[nn.Module] = [_convolution(planes, channels, 3, stride=2)]
    for expansion, outputs, repeats, stride in BLOCKS:
        for repeat in range(repeats):
            block = InvertedResidual(channels, _multiple_of_8(outputs * width), stride if repeat == 0 else 1, expansion)
            layers.append(block)
            channels = block.outputs
    backbone = nn.Sequential(*layers)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return backbone


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow without an activation: (B, C, H, W) -> (B, outputs, H', W')."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.residual = stride == 1 and inputs == outputs
        hidden = inputs * expansion
        widen = [_convolution(inputs, hidden, 1)] if expansion > 1 else []
        filtered = _convolution(hidden, hidden, 3, stride, groups=hidden)
        self.conv = nn.Sequential(
            *widen, filtered, nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU6."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not less than 90 % of what was asked for."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def landmark_map(landmarks: Tensor, size: int) -> Tensor:
    """Draw (B, 68, 2) pixel landmarks as soft dots: (B, 1, size, size) in [0, 1].

    A dot is a Gaussian of 1/170 of the width: 1.5 pixels at 256. Differentiable with respect to the landmarks.
    """
    sigma = size / 170
    axis = torch.arange(size, device=landmarks.device, dtype=torch.float32)
    # A two-dimensional Gaussian is the product of two one-dimensional ones: draw all rows and columns at once.
    along = torch.exp(-(axis - landmarks.float()[..., None]).square() / (2 * sigma**2))  # (B, 68, 2, size)
    dots = torch.einsum("bnh,bnw->bhw", along[:, :, 1], along[:, :, 0])
    return dots.clamp(max=1)[:, None]


def hidden_landmarks(landmarks: Tensor, mask: Tensor) -> Tensor:
    """Which of (B, 68, 2) pixel landmarks lie under a mask (B, 1, H, W): (B, 68) bool.

    A landmark outside the picture is hidden: nobody sees it there.
    """
    column, row = landmarks.round().long().unbind(-1)
    height, width = mask.shape[-2:]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)  # in the mask as one long line
    return (mask.flatten(1).gather(1, place) > 0.5) | ~inside


# ------------------------------------------------------------------------------------ measures


def normalised_errors(predicted: Tensor, true: Tensor) -> Tensor:
    """Distance of each of (B, 68, 2) landmarks over the *true* distance of the outer eye corners: (B, 68)."""
    left, right = OUTER_EYE_CORNERS
    inter_ocular = (true[:, left] - true[:, right]).norm(dim=-1, keepdim=True)
    return (predicted - true).norm(dim=-1) / inter_ocular


def normalised_mean_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean of the `normalised_errors` of (B, 68, 2) landmarks: (B,).

    The measure of 300-W (Sagonas et al. 2013); 0.08 reads as 8 %.
    """
    return normalised_errors(predicted, true).mean(dim=-1)


def cumulative_error(errors: Tensor, limits: Tensor) -> Tensor:
    """The share of faces with errors (N,) up to each of some limits (L,): (L,), the cumulative error curve.

    An error that is no number is above every limit. Reported by 300-W (Sagonas et al. 2013).
    """
    return (errors[:, None] <= limits).float().mean(dim=0)


def failure_rate(errors: Tensor, limit: float = 0.1) -> float:
    """The share of faces whose error, of (N,), is above the limit: what the curve lacks to 1 there."""
    return 1 - cumulative_error(errors, torch.tensor([limit], device=errors.device)).item()


def area_under_curve(errors: Tensor, limit: float = 0.1) -> float:
    """The area under the cumulative error curve of errors (N,) up to the limit, over the limit: 1 is perfect.

    Exact. A face of error e adds a step of 1 / N from e on, so its part of the area is (limit - e) / N, or
    nothing where e is above the limit.
    """
    return (1 - errors / limit).nan_to_num(nan=0.0).clamp(min=0).mean().item()
