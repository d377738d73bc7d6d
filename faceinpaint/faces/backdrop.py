"""Background replacement: people before a plain backdrop, cut out by a matte and put before another background.

Studio sets show every person before the same grey, so a generator learns that behind a face there is grey. The
backdrop is told by its colour: it is even, and it reaches the picture's upper border.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from skimage.measure import label
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from faceinpaint.faces.batch import Faces
from faceinpaint.faces.synthetic.background import backgrounds
from faceinpaint.masks import face_region

NEAR, FAR = 0.04, 0.11  # differences of colour up to which a pixel is backdrop, and from which it is not
UNEVEN = 0.2  # by which the two sides of a backdrop may differ
LEAST = 0.06  # of the picture that has to be backdrop, or there is none to speak of


def backdrop_matte(faces: Faces) -> Tensor:
    """The matte of the backdrop: how much of each pixel it is, (B, 1, H, W) in [0, 1]; 0 where there is no plain one.

    image (B, 3, H, H) in [0, 1], landmarks (B, 68, 2) known: a face is never backdrop, whatever its colour.
    """
    face = face_region(faces.landmarks, faces.image.shape[-1], forehead=0.6)
    mattes = [_matte(image, inside[0]) for image, inside in zip(faces.image, face)]
    return torch.stack(mattes)


def _matte(image: Tensor, face: Tensor) -> Tensor:
    colour = gaussian_blur(image, 3)
    upper = image.shape[-1] // 2
    # A light from one side makes one half of the backdrop brighter than the other.
    columns = torch.linspace(0, 1, image.shape[-1])
    left, right = [colour[:, :upper, side].median(dim=1).values[:, None, None] for side in (0, -1)]
    if (left - right).abs().max() > UNEVEN:  # hair reaches one side
        return torch.zeros_like(face)[None]
    soft = _alike(colour, left + (right - left) * columns) * (1 - face)
    for _ in range(2):  # and corners darker than the middle
        soft = _alike(colour, _smooth_colour(colour, soft * _joined(soft, upper) > 0.5)) * (1 - face)
    matte = soft * _joined(soft, upper)
    return matte[None] if matte.mean() > LEAST else torch.zeros_like(matte)[None]


def _alike(colour: Tensor, plain: Tensor) -> Tensor:
    """1 where two pictures (3, H, W) have the same colour, 0 where they are too different: (H, W)."""
    difference = (colour - plain).abs().amax(0)
    return ((FAR - difference) / (FAR - NEAR)).clamp(0, 1)


def _smooth_colour(colour: Tensor, where: Tensor) -> Tensor:
    """The quadratic surface through the colours of some pixels (H, W), (3, H, W); no colour at all for too few."""
    if where.sum() < 100:
        return colour.new_full(colour.shape, 9.0)
    line = torch.linspace(-1, 1, colour.shape[-1])
    y, x = torch.meshgrid(line, line, indexing="ij")
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=-1)
    surface = torch.linalg.lstsq(terms[where], colour[:, where].T).solution
    return (terms @ surface).permute(2, 0, 1)


def _joined(soft: Tensor, upper: int) -> Tensor:
    """Which pixels (H, W) belong to a part that reaches the left or right border of the upper half, and its edge.

    White shirts and shine on hair have the backdrop's colour too, but are not joined to it.
    """
    parts = label((soft > 0.5).numpy(), connectivity=1)
    outside = np.unique(np.concatenate([parts[:upper, 0], parts[:upper, -1]]))
    joined = torch.from_numpy(np.isin(parts, outside[outside > 0])).to(soft)
    return F.max_pool2d(joined[None], 5, 1, padding=2)[0]


def before_other_backgrounds(faces: Faces, count: int, generator: torch.Generator) -> Faces:
    """`count` of the faces, chosen at random, before rendered backgrounds; those without a plain backdrop are left out.

    Landmarks, identities and names are those of the originals.
    """
    chosen = faces.select(torch.randint(len(faces), (count,), generator=generator))
    matte = backdrop_matte(chosen)
    there = matte.flatten(1).any(dim=1).nonzero()[:, 0]
    if not len(there):
        return chosen.select(there)
    chosen, matte = chosen.select(there), matte[there]
    seeds = torch.randint(2**31, (len(chosen), 1, 1), generator=generator)
    behind = _as_photographed(backgrounds(seeds, chosen.image.shape[-1]))
    return replace(chosen, image=_without_spill(chosen.image, matte) * (1 - matte) + behind * matte)


def _as_photographed(linear: Tensor) -> Tensor:
    """Linear light as the numbers of a picture: the sRGB curve, roughly."""
    return linear.clamp(0, 1) ** (1 / 2.2)


def _without_spill(image: Tensor, matte: Tensor) -> Tensor:
    """The picture whose half transparent pixels have the colour of the person next to them, not the backdrop's."""
    # What the lens has blurred into the backdrop is two pixels wide.
    opaque = (F.max_pool2d(matte, 5, 1, padding=2) < 0.02).to(image)
    weight = gaussian_blur(opaque, 9, 2.0)
    person = gaussian_blur(image * opaque, 9, 2.0) / weight.clamp_min(1e-3)
    edge = (opaque == 0) & (weight > 1e-2)
    return torch.where(edge, person, image)
