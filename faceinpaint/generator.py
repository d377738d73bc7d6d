"""The generator, an encoder-decoder: image, mask and landmarks in, a whole face out (the paper, figure 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.landmarks import landmark_map
from faceinpaint.prior.appearance import COMPONENTS, SIZE, AppearanceModel
from faceinpaint.prior.grain import with_grain
from faceinpaint.prior.symmetry import SEAM, Prior, halved, shrunk, smooth_fill, symmetry_prior
from faceinpaint.prior.warps import by_opencv


class Window(NamedTuple):
    """A part of the picture, in eighths of its resolution, the coarsest that the network works at."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, x: Tensor, scale: int) -> Tensor:
        """The part of (B, C, H, W), whose resolution is `scale` eighths of the picture's."""
        return x[..., scale * self.top : scale * self.bottom, scale * self.left : scale * self.right]


REACH = 2  # eighths: how far from a painted pixel the decoder looks, 1 + 1/2 + 1/4 + 2/8
# A CPU's library keeps compiled code for each shape that it has met. Without these steps each hole drawn by hand brings
# shapes of its own, and a session of 200 of them takes 270 MB more.
STEP = 4  # eighths, to whose multiples windows are widened
STEP_OF_KEYS = 128  # positions, to whose multiples the known ones are filled up


def window_of(mask: Tensor) -> Window:
    """What has to be decoded to paint the holes of masks (B, 1, H, W), 1 = unknown: their box, and the reach around."""
    eighths = F.max_pool2d(mask.float(), 8).amax(dim=(0, 1))
    bounds = []
    for axis in (1, 0):
        hidden = eighths.amax(axis).nonzero()
        low, high = (int(hidden.min()), int(hidden.max()) + 1) if len(hidden) else (0, 1)
        low, high = (low - REACH) // STEP * STEP, -(-(high + REACH) // STEP) * STEP
        bounds += [max(0, low), min(eighths.shape[1 - axis], high)]
    return Window(*bounds)


class Generator(nn.Module):
    """Encoder, seven dilated residual blocks, long-short-term attention, decoder with known-part skips.

    `image` (B, 3, H, W) in [0, 1], `mask` (B, 1, H, W), 1 = unknown, `landmarks` (B, 68, 2) pixels; H = W, a
    multiple of 8. Returns the painted image (B, 3, H, W) in [0, 1]; `complete` keeps its hole only. What the
    image holds inside the hole is never looked at. `width` is the number of channels at half resolution.
    With `prior`, the network sees the symmetry prior too, decides by a gate how much of it to keep, and paints a
    residual over it. `rank` above 0 makes its residual blocks thin ones, see `ThinResidual`; `appearance` are the
    components and the pixels of that model, which has to be fitted before training; `style` lets what is visible of the
    whole face act on the decoder, see `StyleCode`. With prior=False, rank=0, style=False it is the paper's network.
    """

    def __init__(
        self, width: int = 48, prior: bool = True, rank: int = 32, appearance: Sequence[int] = (COMPONENTS, SIZE),
        style: bool = True,
    ) -> None:
        super().__init__()
        self.settings = {
            "width": width, "prior": prior, "rank": rank, "appearance": list(appearance), "style": style,
        }
        self.width, self.prior, self.rank = width, prior, rank
        self.whole = False  # whether `complete` paints all of the picture, though it keeps the hole only
        self.appearance = AppearanceModel(*appearance) if prior else None
        planes = 3 + 1 + 1 + (4 if prior else 0)
        self.down1 = Down(planes, width, kernel=6)  # H -> H/2
        self.down2 = Down(width, 2 * width)  # H/4
        self.down3 = Down(2 * width, 4 * width)  # H/8
        block = partial(ThinResidual, rank=rank) if rank else DilatedResidual
        self.residual = nn.Sequential(*[block(4 * width, dilation=2) for _ in range(7)])
        self.attention = LongShortTermAttention(4 * width)
        self.up3 = Up(4 * width, 4 * width, 2 * width)  # H/8 -> H/4
        self.up2 = Up(2 * width, 2 * width, width)  # H/2
        self.up1 = Up(width, width, width // 2)  # H
        self.paint = Paint(width // 2, 4 if prior else 3, 5)
        self.style = StyleCode(4 * width, (2 * width, width, width // 2)) if style else None
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation: there are no normalisation layers that would mend a signal fading from layer to layer."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.2)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in self.residual:  # a stack of residuals must not grow either
                block.last.weight.mul_(0.1)
            self.attention.merge.weight.zero_()  # at first the features pass unchanged
            if self.prior:
                # Start by believing the prior: an untrained network then is about as good as the mirror.
                self.paint.weight.zero_()

    def first_guess(
        self, image: Tensor, mask: Tensor, landmarks: Tensor, code: Tensor | None = None
    ) -> Prior | None:
        """The symmetry prior that this network starts from, see there; None for the paper's, which has none."""
        if not self.prior:
            return None
        # Positions need all their digits: half precision would move the prior by half a pixel.
        with torch.autocast(image.device.type, enabled=False):
            return symmetry_prior(image, mask, landmarks, self.appearance, code)

    def forward(
        self, image: Tensor, mask: Tensor, landmarks: Tensor, prior: Prior | None = None, window: Window | None = None
    ) -> Tensor:
        """The painted image, or a window of it; prior: another first guess than the network's own."""
        known = 1 - mask
        window = window or Window(0, image.shape[-2] // 8, 0, image.shape[-1] // 8)
        visible = image * known
        with torch.autocast(image.device.type, enabled=False):
            inputs = [visible, mask, landmark_map(landmarks, image.shape[-1])]
        if self.prior:
            prior = prior or self.first_guess(image, mask, landmarks)
            inputs += [prior.image, prior.mirrored]

        e1 = self.down1(torch.cat(inputs, dim=1).to(self.down1.convolution.weight.dtype))
        e2 = self.down2(e1)
        e3 = self.down3(e2)
        # How much of each feature's own pixels is known, at 1/2, 1/4 and 1/8 of the resolution.
        known1 = halved(known)
        known2 = halved(known1)
        known3 = halved(known2)

        x = self.residual(e3)
        styles = [None] * 3 if self.style is None else self.style(x, known3)
        x = self.attention(x, e3, known3, window=window)
        e1, known1 = window.cut(e1, 4), window.cut(known1, 4)
        e2, known2 = window.cut(e2, 2), window.cut(known2, 2)
        e3, known3 = window.cut(e3, 1), window.cut(known3, 1)
        # In the features' own precision, or the larger one of the two would be that of all that follows.
        x = self.up3(x, e3 * known3.to(e3.dtype), styles[0])
        x = self.up2(x, e2 * known2.to(e2.dtype), styles[1])
        x = self.up1(x, e1 * known1.to(e1.dtype), styles[2])
        painted = self.paint(x).float().contiguous()
        if not self.prior:
            return torch.sigmoid(painted)
        gate = torch.sigmoid(painted[:, 3:] + 4)  # 0.98 at first
        return Bounded.apply(window.cut(prior.image, 8) * gate + painted[:, :3])

    def complete(self, image: Tensor, mask: Tensor, landmarks: Tensor, prior: Prior | None = None) -> Tensor:
        """Paint the hole and keep every known pixel bit for bit (equation 1).

        The painted hole gets the grain of the visible skin, and no step is left at its edge; arguments as in `forward`.
        What lies so far from the hole that it is not seen is not even painted.
        """
        eighths = image.shape[-1] // 8
        window = Window(0, eighths, 0, eighths) if self.whole else window_of(mask)
        cut = partial(window.cut, scale=8)
        prior = prior or self.first_guess(image, mask, landmarks)
        painted = self(image, mask, landmarks, prior, window)
        unseen = mask if prior is None else mask * (1 - prior.mirrored)
        seen = image * (1 - mask) if prior is None else prior.image  # a blur looks across the hole's edge
        painted = with_grain(painted, seen, mask, landmarks, unseen, cut)
        around = [window.left, eighths - window.right, window.top, eighths - window.bottom]
        painted = F.pad(painted, [8 * side for side in around])
        return composite(without_seam(painted, image, mask), image, mask)


class Bounded(torch.autograd.Function):
    """Values cut to [0, 1], with a slope for those beyond that leads them back.

    `clamp` has none there: a pixel that has once overshot would stay black or white for good, and many of them did.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # A step goes against the slope: further down where that is positive, further up where it is negative.
        outwards = ((x < 0) & (slope > 0)) | ((x > 1) & (slope < 0))
        return slope.masked_fill(outwards, 0)


def composite(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Equation 1, G M + I (1 - M): the painted hole in the known picture, whose pixels stay bit for bit."""
    return torch.where(mask > 0.5, painted, image)


GIVEN_WAY = 0.7  # of the step; the rest is what neighbouring pixels differ by anyway


def without_seam(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The painted picture drawn towards the known pixels at the hole's edge, less and less away from it.

    What a network paints is right on the whole and a little too bright here and too dark there, which shows as a line.
    painted, image (B, 3, H, W) in [0, 1], mask (B, 1, H, W), 1 = unknown. The step at each pixel of the edge is
    carried inwards as `smooth_fill` does it, after the idea of Perez et al. 2003, who solve Poisson's equation.
    """
    hidden = (mask > 0.5).float()
    known = torch.where(mask > 0.5, 0.0, image)
    weight = _around(1 - hidden)
    beside = _around(known) / weight.clamp_min(1e-6)
    edge = hidden * (weight > 0)
    step = smooth_fill((beside - painted) * edge, edge)
    return (painted + GIVEN_WAY * _fading(hidden, SEAM * mask.shape[-1]) * step).clamp(0, 1)


def _around(x: Tensor) -> Tensor:
    """The sum of each pixel of (B, C, H, W) and its eight neighbours; beyond the picture is nothing."""
    wide = F.pad(x, [1, 1, 1, 1])
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


def _fading(hidden: Tensor, reach: float) -> Tensor:
    """1 at the edge of a hole (B, 1, H, W), exp(-distance / reach) inside it, at last 0; distances are in pixels."""
    steps = round(3 * reach)
    if by_opencv(hidden):
        depths = [cv2.distanceTransform(one, cv2.DIST_C, 3) for one in hidden[:, 0].byte().numpy()]
        depth = torch.from_numpy(np.stack(depths))[:, None]
    else:
        depth, wide = hidden, F.pad(hidden, [steps] * 4, value=1.0)  # beyond the picture the hole goes on
        for beyond in reversed(range(steps)):
            wide = shrunk(wide)
            depth = depth + (wide[:, :, beyond:-beyond, beyond:-beyond] if beyond else wide)
    inside = (depth > 0) & (depth <= steps)
    return torch.where(inside, torch.exp((1 - depth) / reach), 0.0)


class Down(nn.Module):
    """Halve the resolution by a strided convolution: (B, C, H, W) -> (B, C', H/2, W/2)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 4) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            channels_in, channels_out, kernel, stride=2, padding=kernel // 2 - 1, padding_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.convolution(x), 0.2)


class Up(nn.Module):
    """Join the known part of the encoder's features, then double the resolution."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(channels_in + channels_skip, channels_out, 1)
        self.convolution = nn.Conv2d(channels_out, channels_out, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor, skip: Tensor, style: Tensor | None = None) -> Tensor:
        """style: (B, 2 C', 1, 1), by how much each channel is stretched and shifted."""
        x = F.leaky_relu(self.join(torch.cat([x, skip], dim=1)), 0.2)
        if style is not None:
            stretch, shift = style.to(x.dtype).chunk(2, dim=1)
            x = x + x * stretch + shift
        return F.leaky_relu(self.enlarge(x), 0.2)

    def enlarge(self, x: Tensor) -> Tensor:
        """The 3 x 3 convolution of x with every pixel doubled, at 4/9 of its cost: (B, C, H, W) -> (B, C', 2 H, 2 W).

        Of the nine doubled pixels that an output looks at, some are the same one of x: there are four at most. So
        their weights are added up first, and the doubled picture is never made (Shi et al. 2016 call it sub-pixel).
        """
        w = F.pad(self.convolution.weight.flip(2, 3), [1, 1, 1, 1])
        kernel = w[..., 1:, 1:] + w[..., :-1, 1:] + w[..., 1:, :-1] + w[..., :-1, :-1]  # C', C, 4, 4
        # The border once more: what reflection is to the doubled picture. (F.pad's "replicate" can't be compiled.)
        x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
        x = torch.cat([x[..., :1], x, x[..., -1:]], dim=3)
        return F.conv_transpose2d(x, kernel.transpose(0, 1), self.convolution.bias, stride=2, padding=3)


class StyleCode(nn.Module):
    """What the visible part says of the whole face, age and skin and light, for every channel of the decoder.

    x (B, C, H, W) is averaged over its known positions, known (B, 1, H, W); a small network makes of that mean the
    stretch and shift of each of the decoder's `channels`, (B, 2 C', 1, 1) each. A hole is large and a face is one: what
    lies far apart in it is told the same (co-modulation: Zhao et al. 2021). At first it changes nothing.
    """

    def __init__(self, inputs: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.parts = [2 * count for count in channels]
        self.layers = nn.Sequential(
            nn.Linear(inputs, inputs // 2), nn.LeakyReLU(0.2), nn.Linear(inputs // 2, sum(self.parts))
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor, known: Tensor) -> list[Tensor]:
        mean = (x * known).sum(dim=(2, 3)) / known.sum(dim=(2, 3)).clamp_min(1)
        return list(self.layers(mean)[..., None, None].split(self.parts, dim=1))


class Paint(nn.Conv2d):
    """A convolution without stride, for few output channels: each 2 x 2 pixels at once, (B, C, H, W) -> (B, C', H, W).

    Four channels leave most of a CPU's vector units idle, four for each of four pixels do not. The kernel, one pixel
    larger, holds the same weights at four places, and zeros. H and W are even.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, [self.padding[0]] * 4, mode="reflect")
        places = [F.pad(self.weight, [column, 1 - column, row, 1 - row]) for row in (0, 1) for column in (0, 1)]
        kernel = torch.stack(places, dim=1).flatten(0, 1)  # 4 C', C, 6, 6
        return F.pixel_shuffle(F.conv2d(x, kernel, self.bias.repeat_interleave(4), stride=2), 2)


class DilatedResidual(nn.Module):
    """x + conv(act(dilated conv(x))): a wide view at no loss of resolution (Yu and Koltun 2016)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv2d(
            channels, channels, 3, padding=dilation, dilation=dilation, padding_mode="reflect"
        )
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convolution(F.leaky_relu(self.dilated(x), 0.2))

    @property
    def last(self) -> nn.Conv2d:
        """The convolution whose output is added to x."""
        return self.convolution


class ThinResidual(DilatedResidual):
    """The same with two convolutions for each: a 3 x 3 one to `rank` channels and a 1 x 1 one back to all of them.

    With a rank of a sixth of the channels it is a fifth of the weights and of the work (Zhang et al. 2016, section 3).
    """

    def __init__(self, channels: int, dilation: int, rank: int) -> None:
        super().__init__(channels, dilation)
        self.dilated, self.convolution = _thin(self.dilated, rank), _thin(self.convolution, rank)

    @property
    def last(self) -> nn.Conv2d:
        return self.convolution[1]


def _thin(convolution: nn.Conv2d, rank: int) -> nn.Sequential:
    """Two convolutions in the place of one: as far as it sees to `rank` channels, then pixel by pixel to its own."""
    narrow = nn.Conv2d(
        convolution.in_channels, rank, convolution.kernel_size, padding=convolution.padding,
        dilation=convolution.dilation, padding_mode=convolution.padding_mode,
    )
    return nn.Sequential(narrow, nn.Conv2d(rank, convolution.out_channels, 1))


class LongShortTermAttention(nn.Module):
    """Attention within the features (short) and to the encoder's known features (long) (Zheng et al. 2019).

    x, encoded (B, C, H, W); known (B, 1, H, W), the share of known pixels below each feature: a position with
    none is never attended to in the long term. window: only its positions look, and are returned. Memory grows
    linearly with H x W: the attention matrix is never formed as a whole.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.short_key_value = nn.Conv2d(channels, 2 * channels, 1)
        self.long_key_value = nn.Conv2d(channels, 2 * channels, 1)
        self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, encoded: Tensor, known: Tensor, window: Window | None = None) -> Tensor:
        looking = x if window is None else window.cut(x, 1)
        query = self.tokens(self.query(looking))
        key, value = self.short_key_value(x).chunk(2, dim=1)
        short = self.attend(query, self.tokens(key), self.tokens(value))
        key, value = self.long_key_value(encoded).chunk(2, dim=1)
        long = self.attend(query, self.tokens(key), self.tokens(value), known)
        both = [self.untokens(read, looking) for read in (short, long)]
        return looking + self.merge(torch.cat(both, dim=1))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, known: Tensor | None = None) -> Tensor:
        """softmax(query key^T / sqrt(D)) value of tokens (B, heads, H * W, D), over positions with a known pixel."""
        if by_opencv(query) and not torch.is_grad_enabled():
            return torch.stack([
                _attend_alone(query[one], key[one], value[one], None if known is None else known[one].flatten() > 0)
                for one in range(len(query))
            ])
        bias = None if known is None else known_bias(known, query)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)

    def tokens(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, heads, H * W, C / heads)."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).mT.contiguous()

    def untokens(self, x: Tensor, like: Tensor) -> Tensor:
        """(B, heads, H * W, C / heads) -> (B, C, H, W), of the size of `like`."""
        return x.mT.flatten(1, 2).unflatten(2, like.shape[-2:])


ROWS = 256  # of the attention matrix at a time


def _attend_alone(query: Tensor, key: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
    """Attention within one picture, (heads, N, D) each, on a CPU: positions that are not `known` (N,) are left out.

    In bfloat16 the matrix is formed some rows at a time: PyTorch's own attention is no faster there than in float32.
    """
    bias = None
    if known is not None and known.any():
        there = int(known.sum())
        count = min(len(known), -(-there // STEP_OF_KEYS) * STEP_OF_KEYS)
        places = known.byte().argsort(descending=True, stable=True)[:count]  # the known ones first
        key, value = key[:, places], value[:, places]
        if count > there:
            bias = torch.zeros(1, count, dtype=query.dtype).masked_fill(~known[places], -math.inf)
    if query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=bias)[0]
    key = key.mT / query.shape[-1] ** 0.5
    read = []
    for rows in query.split(ROWS, dim=1):
        scores = rows @ key
        read.append((scores if bias is None else scores + bias).softmax(dim=-1) @ value)
    return torch.cat(read, dim=1)


def known_bias(known: Tensor, query: Tensor) -> Tensor:
    """What to add to attention scores so that positions without a known pixel weigh nothing: (B, 1, 1, H * W).

    -1e4 rather than -inf: a picture without any known feature would divide zero by zero.
    """
    return ((known.flatten(2) <= 0).to(query.dtype) * -1e4)[:, None]
