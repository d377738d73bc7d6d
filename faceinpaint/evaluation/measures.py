"""Measures of quality: PSNR, SSIM, sharpness, seam, perceptual and Frechet distance (FID), colour of the skin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from skimage.color import deltaE_cie76, rgb2lab
from torch import Tensor
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.completion import quick_bfloat16
from faceinpaint.features import Features, load_features
from faceinpaint.losses import PerceptualLoss
from faceinpaint.weights import fetch

Distance = Callable[[Tensor, Tensor], Tensor]  # (B, 3, H, W) twice -> (B,)

BAND = 1 / 32  # of the picture's shorter side: how far a seam's surroundings reach, 8 pixels of 256 ...
LEAST_BAND = 4  # ... but never fewer, of which the mean would be chance
GREY_LEVEL = 1 / 255  # what is less than that nobody sees
NO_SKIN = (slice(17, 22), slice(22, 27), slice(36, 42), slice(42, 48), slice(48, 68))  # brows, eyes and mouth
WHITES, WHITE_MARGIN = (slice(36, 42), slice(42, 48), slice(60, 68)), 0.02  # eyes and inner mouth
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue, ITU-R BT.709
BESIDE = 0.08  # of the way from eyes to mouth: so far around them nothing is taken for skin, either


def pixel_measures(completed: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """PSNR (dB) and SSIM of the whole image and of its hole, sharpness, seam; (B,) each, from (B, 3, H, W) in [0, 1].

    mask: (B, 1, H, W), 1 = unknown, with a hole in every picture. SSIM in the hole is the mean of SSIM's map there.
    Sharpness is the mean gradient magnitude inside the hole over the truth's: below 1 is blurred. For the `seam` see
    there: above 1 the hole's boundary shows.
    """
    from torchmetrics.functional.image import (  # late: it takes a second
        peak_signal_noise_ratio, structural_similarity_index_measure,
    )

    hole = ((completed - image).square() * mask).sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))
    ssim, ssim_map = structural_similarity_index_measure(
        completed, image, data_range=1.0, reduction="none", return_full_image=True
    )
    inside = mask.expand_as(ssim_map)
    return {
        "psnr": peak_signal_noise_ratio(completed, image, data_range=1.0, reduction="none", dim=(1, 2, 3)),
        "psnr_hole": decibels(hole),
        "ssim": ssim.reshape(-1),
        "ssim_hole": (ssim_map * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3)),
        "sharpness": _gradient(completed, mask) / _gradient(image, mask),
        "seam": seam(completed, mask),
    }


def seam(completed: Tensor, mask: Tensor) -> Tensor:
    """How much more a picture (B, 3, H, W) changes across its hole's boundary than around it; 1 = nothing to be seen.

    mask: (B, 1, H, W), 1 = unknown. Changes are absolute differences in brightness of horizontal and of vertical
    neighbours. Mean over those of which one is hidden and the other known, divided by the mean over those that lie on
    one side and in a band along the boundary, on either side of it as wide as BAND says. Horizontal and vertical ones
    count there in the same shares as across the boundary, or an even ramp would show a seam wherever the boundary
    runs across it. Both means are at least one grey level: in flat surroundings an offset is a seam, and rounding is
    none. Where the hole touches the picture's border it has no boundary. (B,), NaN for a picture without any.
    """
    band = max(LEAST_BAND, round(BAND * min(mask.shape[-2:])))
    window = dict(kernel_size=2 * band + 1, stride=1, padding=band)
    hidden = (mask > 0.5).float()
    near = F.max_pool2d(hidden, **window) > -F.max_pool2d(-hidden, **window)  # both sides are in the window
    across, around, pairs = 0, 0, 0
    views = hidden, near, completed.mean(1, keepdim=True)
    for side, close, grey in (views, [view.mT for view in views]):  # horizontal neighbours, then vertical ones
        change = grey.diff(dim=-1).abs()
        crossing = side[..., 1:] != side[..., :-1]
        beside = close[..., 1:] & close[..., :-1] & ~crossing
        count = crossing.sum(dim=(1, 2, 3))
        mean = (change * beside).sum(dim=(1, 2, 3)) / beside.sum(dim=(1, 2, 3))
        across = across + (change * crossing).sum(dim=(1, 2, 3))
        around = around + count * mean
        pairs = pairs + count
    return (across / pairs).clamp_min(GREY_LEVEL) / (around / pairs).clamp_min(GREY_LEVEL)


def decibels(mean_squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio for values in [0, 1]; identical pictures have an infinite one."""
    return -10 * mean_squared_error.log10()


def skin_region(landmarks: Tensor, size: int) -> Tensor:
    """Where a face (B, 68, 2) has skin: the hull of jaw and brows without brows, eyes and mouth, (B, 1, S, S).

    Nostrils, beards and rims of glasses are taken for skin, too, for landmarks don't know of them.
    """
    skin = masks.face_region(landmarks, size, forehead=0)
    for points in NO_SKIN:
        skin = skin * (1 - masks.part(landmarks, size, points, BESIDE))
    return skin


def skin_beside_white(image: Tensor, landmarks: Tensor) -> Tensor:
    """How much light the skin of faces (B, 3, S, S) sends back beside the white of eyes and teeth, (B,).

    Median luminance of the skin over the 95th percentile of an eye or the inner mouth, whichever is brightest. All are
    in one light, before one camera, whose exposure cancels out. Small pictures blur the white: from 128 pixels on.
    """
    size = image.shape[-1]
    light = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)  # sRGB, IEC 61966-2-1
    light = (light * image.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1)
    skin = skin_region(landmarks, size)[:, 0] > 0
    whites = [masks.part(landmarks, size, points, WHITE_MARGIN)[:, 0] > 0 for points in WHITES]
    ratios = []
    for number, one in enumerate(light):
        found = [one[white[number]] for white in whites]
        white = max([float(there.quantile(0.95)) for there in found if len(there)], default=0.0)
        ratios.append(float(one[skin[number]].median()) / max(white, GREY_LEVEL))
    return torch.tensor(ratios)


def skin_measures(completed: Tensor, image: Tensor, mask: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
    """Is painted skin of the colour of the skin beside it? (B,) each, NaN where skin is all hidden or all visible.

    skin: the distance of the two mean colours in CIELAB, Delta E of 1976, of which 2.3 is just to be noticed (Mahy et
    al. 1994). skin_open: the same in the untouched face, since light and beards differ over a face. lighter: by how
    much the painted skin is lighter than what was there, in L*, 0 black ... 100 white.
    """
    skin = skin_region(landmarks, image.shape[-1])
    hidden, visible = skin * (mask > 0.5), skin * (mask <= 0.5)
    painted, there, beside = _mean_lab(completed, hidden), _mean_lab(image, hidden), _mean_lab(image, visible)
    return {
        "skin": torch.from_numpy(deltaE_cie76(painted, beside)).float(),
        "skin_open": torch.from_numpy(deltaE_cie76(there, beside)).float(),
        "lighter": torch.from_numpy(painted[:, 0] - there[:, 0]).float(),
    }


def looks(images: Tensor, mask: Tensor, features: Features) -> Tensor:
    """What is painted, as `frechet_distance` compares it: the mean of the deepest feature map over the hole, (B, C)."""
    maps = list(features(images).values())[-1]
    weight = F.interpolate(mask, size=maps.shape[-2:], mode="area")
    return (maps * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))


def frechet_distance(ours: Tensor, theirs: Tensor) -> float:
    """Heusel et al. 2017 (FID, there of Inception's features): of two sets of `looks`, (N, C) and (M, C).

    It asks whether the pictures as a whole could be photographs, not whether each is like its own. 0 for the same set;
    few pictures make it larger, so compare sets of one size.
    """
    ours, theirs = ours.double(), theirs.double()
    one, other = ours.T.cov(), theirs.T.cov()
    roots = torch.linalg.eigvals(one @ other).real.clamp_min(0).sqrt()
    return float((ours.mean(0) - theirs.mean(0)).square().sum() + one.trace() + other.trace() - 2 * roots.sum())


def _mean_lab(image: Tensor, region: Tensor) -> np.ndarray:
    """The mean colour (B, 3) in CIELAB over a region (B, 1, S, S) of pictures; NaN for an empty one."""
    lab = rgb2lab(image.clamp(0, 1).permute(0, 2, 3, 1).double().numpy())
    inside = region[:, 0].double().numpy()
    with np.errstate(invalid="ignore"):
        return np.einsum("bhwc,bhw->bc", lab, inside) / inside.sum((1, 2))[:, None]


def _gradient(image: Tensor, mask: Tensor) -> Tensor:
    """Mean gradient magnitude of the brightness inside the hole (B,)."""
    grey = image.mean(1, keepdim=True)
    dx, dy = grey[..., :-1, 1:] - grey[..., :-1, :-1], grey[..., 1:, :-1] - grey[..., :-1, :-1]
    inside = mask[..., :-1, :-1]
    return ((dx.square() + dy.square()).sqrt() * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))


def perceptual_distance() -> tuple[str, Distance]:
    """The distance of two pictures as people see them, and its name; less is better.

    `lpips`: LPIPS on AlexNet (Zhang et al. 2018), once `faceinpaint fetch alexnet` has got its weights. Until then
    `features`, with a scale of its own: the perceptual loss on ImageNet features, MobileNetV2's first layers.
    """
    if fetch.path_of("alexnet").is_file():
        fetch.checked("alexnet")
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity  # late, as above

        name, one = "lpips", LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    else:
        name, one = "features", PerceptualLoss(load_features())

    @torch.no_grad()
    def distance(completed: Tensor, image: Tensor) -> Tensor:
        # Picture by picture: both give the mean of a batch.
        pairs = zip(completed.clamp(0, 1).split(1), image.split(1))
        quick = name == "features" and quick_bfloat16(image.device)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=quick):
            return torch.stack([one(*pair).reshape(()).float() for pair in pairs])

    return name, distance
