"""Losses: reconstruction, perceptual, identity, adversarial (equations 2 to 5), and optional ones.

Every loss is a mean over the faces of a batch of something that each face has for itself. So the gradient of two
processes with half a batch each, averaged, is that of one process with the whole batch.
"""

from __future__ import annotations

from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.basics.errors import require_known
from faceinpaint.discriminator import hole_patches
from faceinpaint.features import Features
from faceinpaint.landmarks import MIRROR_ORDER
from faceinpaint.prior.warps import ThinPlateSpline, warp_to

KINDS = ("paper", "hinge")  # of the adversarial game


# ------------------------------------------------------------------------------------ equations 2 to 4


def reconstruction_loss(completed: Tensor, image: Tensor, mask: Tensor, counts: Tensor | None = None) -> Tensor:
    """Mean squared error over the hole alone (equation 2), so that a small hole counts like a large one.

    completed, image (B, 3, H, W) in [0, 1]; mask (B, 1, H, W), 1 = unknown. A face without a hole adds nothing.
    counts: (B, 1, H, W) from 0 to 1, how much each pixel of the hole matters; without it all matter alike.
    """
    squared = ((completed - image).square() * (mask if counts is None else mask * counts)).sum(dim=(1, 2, 3))
    hole = 3 * mask.sum(dim=(1, 2, 3))
    return (squared / hole.clamp_min(1)).mean()


class PerceptualLoss(nn.Module):
    """Distance of feature maps of a frozen network (equation 3; Johnson et al. 2016).

    features: from `features.load_features`. layers: names of its layers to compare; without them its own choice.
    Each map is normalised to unit length per position (Zhang et al. 2018), so that no layer shouts louder than
    another. Both arguments are (B, 3, H, W) in [0, 1]; gradients reach the first only. Raises InputError, which names
    the nearest, for a layer that the network doesn't have.
    """

    def __init__(self, features: Features, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.features = features
        self.layers = features.checked(layers)

    def forward(self, completed: Tensor, image: Tensor) -> Tensor:
        return sum(self.by_layer(completed, image).values())

    def by_layer(self, completed: Tensor, image: Tensor) -> dict[str, Tensor]:
        """The terms of equation 3's sum by their layers' names."""
        with torch.no_grad():
            truth = self.features(image, self.layers)
        return self.between(self.features(completed, self.layers), truth)

    def between(self, ours: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same of maps that are known already."""
        return {name: _UnitDistance.apply(ours[name], truth[name]).mean() for name in ours}


class _UnitDistance(torch.autograd.Function):
    """Squared distance of two maps' directions, (B, C, h, w) twice -> (B, h, w).

    PyTorch would keep each step of it for the backward pass, in float32. Here the two maps are kept as they are.
    """

    FLOOR = 1e-4  # of a length: a position where nothing fires has no direction, and its gradient is to be small

    @staticmethod
    def forward(ctx, ours: Tensor, truth: Tensor) -> Tensor:
        ctx.save_for_backward(ours, truth)
        return (_unit(ours)[0] - _unit(truth)[0]).square().sum(1)

    @staticmethod
    def backward(ctx, slope: Tensor) -> tuple[Tensor, None]:
        ours, truth = ctx.saved_tensors
        (unit, length), (wanted, _) = _unit(ours), _unit(truth)
        pull = unit.sub(wanted).mul_(2 * slope[:, None])
        # What pulls along its own direction changes a map's length only; unless it is below the floor.
        along = (pull * unit).sum(1, keepdim=True) * (length > _UnitDistance.FLOOR)
        return pull.addcmul_(unit, along, value=-1).div_(length).to(ours.dtype), None


def _unit(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The directions of maps (B, C, h, w) and their lengths (B, 1, h, w), in float32."""
    maps = maps.float()
    length = maps.norm(dim=1, keepdim=True).clamp_min(_UnitDistance.FLOOR)
    return maps / length, length


def identity_loss(completed: Tensor, original: Tensor) -> Tensor:
    """Mean distance of two sets of unit embeddings, (B, D) each (equation 4); 0 = same person, 2 = opposite."""
    # The small constant keeps the gradient of the root finite where both pictures are the same.
    return ((completed - original).square().sum(-1) + 1e-8).sqrt().mean()


# ------------------------------------------------------------------------------------ equation 5


Logits = Tensor | Sequence[Tensor]  # of one scale, or of several


def discriminator_loss(real: Logits, fake: Logits, mask: Tensor, kind: str = "paper") -> Tensor:
    """Equation 5 as the discriminator sees it: logits of photographs up, of completed pictures down.

    real, fake (B, 1, h, w) logits, or such of several scales, over which the mean is taken; mask (B, 1, H, W). Patches
    that see no hole are left out. kind: `paper`, the cross-entropy of Goodfellow et al. 2014, or `hinge` (Lim and Ye
    2017), which asks no more of a patch once its logit is beyond 1 on the right side. Raises InputError for another
    word.
    """
    require_known("adversarial loss", kind, KINDS)
    if kind == "hinge":
        wrong = [F.relu(1 - up) + F.relu(1 + down) for up, down in zip(_scales(real), _scales(fake))]
    else:
        wrong = [F.softplus(-up) + F.softplus(down) for up, down in zip(_scales(real), _scales(fake))]
    return _over_hole(wrong, mask)


def adversarial_loss(fake: Logits, mask: Tensor, kind: str = "paper", counts: Tensor | None = None) -> Tensor:
    """Equation 5 as the generator sees it; arguments as in `discriminator_loss`.

    `paper` is the non-saturating form of Goodfellow et al. 2014, -log D instead of log(1 - D): it has a slope where
    the discriminator is sure, which is where a generator begins. With `hinge` the slope is the same everywhere.
    counts: (B, 1, H, W) from 0 to 1, how much each pixel of the hole matters; without it all matter alike.
    """
    require_known("adversarial loss", kind, KINDS)
    verdicts = [-logits if kind == "hinge" else F.softplus(-logits) for logits in _scales(fake)]
    if counts is not None:
        verdicts = [verdict * F.adaptive_max_pool2d(mask * counts, verdict.shape[-2:]) for verdict in verdicts]
    return _over_hole(verdicts, mask)


def r1_penalty(discriminator: Callable[[Tensor, Tensor], Logits], image: Tensor, mask: Tensor) -> Tensor:
    """Squared slope of the discriminator's verdict at photographs (Mescheder et al. 2018, equation 9, times gamma / 2).

    Without it the discriminator has no reason to rest once it is right, and around the truth its slope goes on
    pushing the generator away. The verdict is the mean logit over the hole. image (B, 3, H, W), mask (B, 1, H, W).
    Add it, times gamma / 2, to `discriminator_loss` before its `backward`: it is a second derivative.
    """
    image = image.detach().requires_grad_()
    with torch.autocast(image.device.type, enabled=False):  # squares of slopes are too small for 16 bits
        logits = discriminator(image, mask)
        verdict = sum(_of_each_hole(one, mask).sum() for one in _scales(logits))
        (slope,) = torch.autograd.grad(verdict, image, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3)).mean()


def _scales(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def _over_hole(values: Sequence[Tensor], mask: Tensor) -> Tensor:
    return torch.stack([_of_each_hole(one, mask).mean() for one in values]).mean()


def _of_each_hole(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over each face's patches that see its hole, (B, 1, h, w) -> (B,); 0 for a face without one."""
    patches = hole_patches(mask, values)
    return (values * patches).sum(dim=(1, 2, 3)) / patches.sum(dim=(1, 2, 3)).clamp_min(1)


# ------------------------------------------------------------------------------------ terms the paper does without


def total_variation_loss(completed: Tensor, mask: Tensor) -> Tensor:
    """Mean difference of neighbouring pixels of which at least one is in the hole: against speckles and seams.

    completed (B, 3, H, W), mask (B, 1, H, W). Liu et al. (2018) use it where pixels are painted freely; off by
    default, because it likes a flat face best and hair, lashes and stubble least. A face without a hole adds nothing.
    """
    total, pairs = 0, 0
    for axis in (2, 3):
        length = mask.shape[axis] - 1
        touched = torch.maximum(mask.narrow(axis, 0, length), mask.narrow(axis, 1, length))
        total = total + (completed.diff(dim=axis).abs() * touched).sum(dim=(1, 2, 3))
        pairs = pairs + 3 * touched.sum(dim=(1, 2, 3))
    return (total / pairs.clamp_min(1)).mean()


class StyleLoss(nn.Module):
    """Distance of Gram matrices: which features occur together, wherever they are (Gatys et al. 2016).

    It asks for the right texture without asking for it at the right place, for skin and hair that one cannot know
    strand by strand; off by default, because it also likes an eye's texture on a cheek. Arguments as in
    `PerceptualLoss`. For each layer the squared difference is taken relative to the truth's square.
    """

    def __init__(self, features: Features, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.features = features
        self.layers = features.checked(layers)

    def forward(self, completed: Tensor, image: Tensor) -> Tensor:
        with torch.no_grad():
            truth = {name: gram_matrix(maps) for name, maps in self.features(image, self.layers).items()}
        total = completed.new_zeros(len(completed))
        for name, maps in self.features(completed, self.layers).items():
            squared = (gram_matrix(maps) - truth[name]).square().sum(dim=(1, 2))
            total = total + squared / truth[name].square().sum(dim=(1, 2)).clamp_min(1e-12)
        return total.mean()


def gram_matrix(maps: Tensor) -> Tensor:
    """Mean product of each two channels over all positions: (B, C, h, w) -> (B, C, C)."""
    with torch.autocast(maps.device.type, enabled=False):  # differences of two of them need all their digits
        flat = maps.float().flatten(2)
        return flat @ flat.mT / flat.shape[2]


TEXTURE = 1 / 16  # of the picture's width: over how large a window there is to be as much texture as in the truth


def texture_loss(completed: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Mean difference of how much the two pictures change from pixel to pixel around each pixel of the hole.

    A squared error is least where a painter that does not know each hair and pore paints their mean, which is smooth.
    This asks for the truth's amount of texture in each window of TEXTURE and leaves open how it lies; alone it would be
    content with noise, so the discriminator has to be there. completed, image (B, 3, H, W) in [0, 1]; mask
    (B, 1, H, W), 1 = unknown. Off by default. A face without a hole adds nothing.
    """
    with torch.autocast(completed.device.type, enabled=False):  # neighbours differ in their last digits
        width = 2 * round(TEXTURE * mask.shape[-1] / 2) + 1
        difference = (_roughness(completed.float(), mask, width) - _roughness(image.float(), mask, width)).abs() * mask
    return (difference.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp_min(1)).mean()


def _roughness(image: Tensor, mask: Tensor, width: int) -> Tensor:
    """Mean gradient magnitude of the brightness over a window's hidden pixels, (B, 1, H, W)."""
    grey = F.pad(image.mean(1, keepdim=True), [0, 1, 0, 1], mode="replicate")
    dx, dy = grey[..., :-1, 1:] - grey[..., :-1, :-1], grey[..., 1:, :-1] - grey[..., :-1, :-1]
    # The small constant keeps the root's slope finite where nothing changes.
    magnitude = (dx.square() + dy.square() + 1e-6).sqrt() * mask
    return F.avg_pool2d(magnitude, width, 1, width // 2) / F.avg_pool2d(mask, width, 1, width // 2).clamp_min(1e-6)


def symmetry_loss(completed: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """Mean difference of the hole and its mirror image on the other side of the face, by landmarks.

    Against a beard or glasses finished on one side only. Off by default, because light, parting and moles are no
    mirror images, and because the symmetry prior tells the generator the same without forcing it. completed
    (B, 3, H, H); mask (B, 1, H, H); landmarks (B, 68, 2) pixels. It looks at the hidden pixels of the face whose
    partner lies in the picture; a face without any adds nothing. Raises InputError for unknown landmarks (NaN).
    """
    size = completed.shape[-1]
    with torch.autocast(completed.device.type, enabled=False):  # 16 bits would move the partner by half a pixel
        places = (landmarks.float() + 0.5) / size
        spline = ThinPlateSpline.fit(places, places[:, MIRROR_ORDER])
        both = warp_to(torch.cat([completed.float(), torch.ones_like(mask)], dim=1), spline, size)
    partner, inside = both[:, :3], both[:, 3:] > 0.999
    counted = mask * inside * masks.face_region(landmarks, size).to(mask)
    difference = ((completed - partner).abs() * counted).sum(dim=(1, 2, 3))
    return (difference / (3 * counted.sum(dim=(1, 2, 3))).clamp_min(1)).mean()
