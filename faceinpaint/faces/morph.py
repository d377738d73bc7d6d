"""Face morphing: new people from two, whose faces are warped to the mean of their shapes and blended there."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from faceinpaint.faces.batch import Faces
from faceinpaint.masks import face_region
from faceinpaint.prior.warps import ThinPlateSpline, warp_to

SOFT = 12  # of the picture's width on either side of the face's edge, one face turns into the other


def morph(a: Faces, b: Faces) -> Faces:
    """The morphs half-way between `a` and `b`, pair by pair; image (B, 3, H, H), landmarks (B, 68, 2) known.

    The child of two people looks like a third one to people and recognisers alike (Ferrara et al. 2014). Hair, the
    forehead below it and the background are those of `a`, in the new shape: two heads of hair on one another are
    nobody's.
    """
    between = (a.landmarks + b.landmarks) / 2
    pixels = a.image.shape[-1]
    soft = 2 * (pixels // SOFT) + 1
    share = gaussian_blur(face_region(between, pixels, forehead=0.2).to(a.image), soft, soft / 4) / 2
    return Faces(torch.lerp(_to_shape(a, between), _to_shape(b, between), share), between)


def _to_shape(faces: Faces, landmarks: Tensor) -> Tensor:
    pixels = faces.image.shape[-1]
    spline = ThinPlateSpline.fit((landmarks + 0.5) / pixels, (faces.landmarks + 0.5) / pixels)
    return warp_to(faces.image, spline, pixels, padding="border")


def morphed_people(faces: Faces, count: int, generator: torch.Generator) -> Faces:
    """`count` invented people from random pairs of the people in `faces`, numbered on from theirs.

    Both photographs of a pair of people with two are morphed, so that such a child has two as well.
    """
    photographs = [(faces.identity == identity).nonzero()[:, 0] for identity in faces.identity.unique()]
    children = []
    for child in range(count):
        mother, father = torch.randperm(len(photographs), generator=generator)[:2].tolist()
        both = min(len(photographs[mother]), len(photographs[father]))
        pair = morph(faces.select(photographs[mother][:both]), faces.select(photographs[father][:both]))
        identity = torch.full((both,), int(faces.identity.max()) + 1 + child)
        children.append(Faces(pair.image, pair.landmarks, identity, (f"morph-{child}",) * both))
    return Faces.cat(children)
