"""Is it still a face, with its eyes in their place? The answer of a detector that knows nothing of completions."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import detection
from faceinpaint.faces.photos import to_image


def find_eyes(images: Tensor) -> Tensor:
    """The two eyes that MTCNN finds in each of some aligned faces: (B, 3, S, S) in [0, 1] to (B, 2, 2) pixels.

    Left before right, as seen in the image; NaN where no face is found. Of several faces that one counts which lies
    over the picture's middle, the largest of them first: a face beside it is somebody else's, or none.
    """
    return torch.stack([_eyes_in_the_middle(image[None]) for image in images])


def detector_measures(completed: Tensor, eyes: Tensor) -> dict[str, Tensor]:
    """Whether MTCNN finds a face in completed faces (B, 3, S, S), and how far its eyes have moved; (B,) each.

    eyes: (B, 2, 2), what `find_eyes` made of the originals. detected: 1 or 0. eye_shift: distance from the original's
    eye, mean of both, over the distance between the original's two; NaN where no face is detected. Both are NaN, and
    nobody looks, where the original's eyes are NaN.
    """
    asked = ~eyes.isnan().any(dim=(1, 2))
    found = torch.full_like(eyes, float("nan"))
    if asked.any():
        found[asked] = find_eyes(completed[asked])
    shift = (found - eyes).norm(dim=2).mean(1) / (eyes[:, 0] - eyes[:, 1]).norm(dim=1)
    detected = torch.where(asked, (~found.isnan().any(dim=(1, 2))).float(), float("nan"))
    return {"detected": detected, "eye_shift": shift}


def _eyes_in_the_middle(image: Tensor) -> Tensor:
    middle = torch.full((2,), (image.shape[-1] - 1) / 2)
    try:
        faces = detection.detect(to_image(image))  # the largest first
    except InputError:  # five points in which there is no face, as a botched completion may have them
        faces = []
    for face in faces:
        if (face.box[:2] <= middle).all() and (middle <= face.box[2:]).all():
            return face.points[:2].float()
    return torch.full((2, 2), float("nan"))
