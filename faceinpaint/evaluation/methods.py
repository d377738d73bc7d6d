"""Baselines: completion without learning, by mirroring and diffusion, which every network has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from faceinpaint.basics.errors import require_known
from faceinpaint.completion import CompletedFace, Completer, paste
from faceinpaint.faces import align
from faceinpaint.faces.photos import rounded
from faceinpaint.generator import composite
from faceinpaint.prior.symmetry import mirror_map, other_side, smooth_fill, symmetry_prior

# Aligned images (B, 3, S, S), masks (B, 1, S, S) and predicted landmarks (B, 68, 2) in, completed images out.
Method = Callable[[Tensor, Tensor, Tensor], Tensor]

RADIUS = 3  # pixels, of OpenCV's methods


def mirror(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The hole filled from the flipped image; where that is hidden too, with the mean colour."""
    flipped_known = 1 - mask.flip(-1)
    filled = torch.where(flipped_known > 0.5, image.flip(-1), _mean_of_known(image, mask))
    return composite(filled, image, mask)


def mean_colour(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The hole filled with the mean of the known pixels."""
    return composite(_mean_of_known(image, mask).expand_as(image), image, mask)


def warped_mirror(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The hole filled from the face's other side, warped by the landmarks; smoothly where that is hidden too.

    It mirrors where the symmetry prior does, but takes the pixels as they are, without the prior's correction for
    light: beside `prior_alone` it shows what that is worth, and beside `mirror` what the landmarks are.
    """
    known = 1 - mask
    other = other_side(image * known, known, *mirror_map(landmarks, mask.shape[-1]))
    filled = image * known + other.mirrored * other.image
    return composite(smooth_fill(filled, known + other.mirrored), image, mask)


def prior_alone(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The symmetry prior without a network."""
    return composite(symmetry_prior(image, mask, landmarks).image, image, mask)


def telea(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """Fast marching inpainting of Telea 2004, by OpenCV with a radius of 3 pixels."""
    return _one_by_one(lambda pixels, hole: cv2.inpaint(pixels, hole, RADIUS, cv2.INPAINT_TELEA), image, mask)


def navier_stokes(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """Inpainting by fluid dynamics of Bertalmio et al. 2001, by OpenCV with a radius of 3 pixels."""
    return _one_by_one(lambda pixels, hole: cv2.inpaint(pixels, hole, RADIUS, cv2.INPAINT_NS), image, mask)


def biharmonic(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The smoothest surface through the known pixels, of Damelin and Hoang 2018, by scikit-image.

    Seconds for a large hole at 256 pixels: it solves an equation for each unknown pixel, all at once.
    """
    def fill(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return inpaint_biharmonic(pixels, hole > 0, channel_axis=-1) * 255

    return _one_by_one(fill, image, mask)


def painter(completer: Completer) -> Method:
    """A generator, which larger faces than its own get in their own pixels, as photos do."""
    def complete(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
        if image.shape[-1] <= completer.size:
            return completer.paint(image, mask, landmarks)
        each = zip(*(batch.split(1) for batch in (image, mask, landmarks)))
        return torch.cat([_in_its_pixels(completer, *one) for one in each])

    return complete


def _in_its_pixels(completer: Completer, image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """One face (1, 3, S, S), painted at the completer's size and pasted back."""
    photo, crop, size = rounded(image), align.aligned_crop(image.shape[-2:]), completer.size
    seen, hidden = align.cut(photo, crop, size, mask), align.cut_mask(mask, crop, size)
    landmarks = (landmarks + 0.5) * (size / image.shape[-1]) - 0.5
    painted = completer.paint(seen, hidden, landmarks).cpu().float()
    result = photo.clone()
    paste(result, photo, mask, CompletedFace(seen, hidden, landmarks, painted, crop))
    return composite(result / 255, image, mask)


def _one_by_one(fill: Callable[[np.ndarray, np.ndarray], np.ndarray], image: Tensor, mask: Tensor) -> Tensor:
    """Holes filled by a function of 8-bit pixels (H, W, 3) and hole (H, W), which returns values of 0 to 255."""
    filled = []
    for one, hidden in zip(image, mask):
        hole = hidden[0].byte().numpy()
        pixels = (one.permute(1, 2, 0) * 255).round().byte().numpy()
        pixels = np.ascontiguousarray(pixels * (1 - hole[..., None]))  # some look at what they should not see
        filled.append(torch.from_numpy(fill(pixels, hole)).permute(2, 0, 1).float().clamp(0, 255) / 255)
    return composite(torch.stack(filled), image, mask)


def _mean_of_known(image: Tensor, mask: Tensor) -> Tensor:
    known = 1 - mask
    return (image * known).sum(dim=(2, 3), keepdim=True) / known.sum(dim=(2, 3), keepdim=True)


BASELINES: dict[str, Method] = {
    "mirror": mirror, "telea": telea, "navier-stokes": navier_stokes, "biharmonic": biharmonic,
    "mean-colour": mean_colour, "warped-mirror": warped_mirror, "prior-alone": prior_alone,
}


def baselines(names: Sequence[str]) -> dict[str, Method]:
    """The methods of some names, in their order; InputError, which names the nearest, for an unknown one."""
    for name in names:
        require_known("baseline", name, list(BASELINES))
    return {name: BASELINES[name] for name in names}
