"""The outline of a face mask that is really worn, so that it can be taken off."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.faces.photos import to_image
from faceinpaint.landmarks import LEFT_EYE, RIGHT_EYE
from faceinpaint.prior.warps import plane, planes

LOOKS = 2  # at the landmarks: the first takes the cloth for skin
CORE, REACH, MARGIN = 8, 12, 3  # of 100 pixels of the face's width: surely cloth, possibly cloth, rim and shadow
ROUNDS = 5  # of GrabCut
LEAST = 15  # Delta E between cloth and the skin above it: bare chins have 2 to 14, masks of six colours 16 and more


def worn_mask(image: Tensor, predict: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What a worn face mask hides of an aligned face (1, 3, S, S) in [0, 1]: (1, 1, S, S), 1 = unknown.

    predict: landmarks (1, 68, 2) from images and masks. The cloth is told from skin and ground by their colours, from
    where a mask is worn outwards (GrabCut: Rother et al. 2004); its rim and its shadow belong to it. Nothing is hidden
    where a mask would have the colour of the skin: then there is none.
    """
    region = torch.zeros_like(image[:, :1])
    for _ in range(LOOKS):
        landmarks = predict(image, region).cpu()
        region = masks.face_mask(landmarks, image.shape[-1])
    unit = (landmarks[0, 16] - landmarks[0, 0]).norm().item() / 100
    usual = region[0, 0].byte().numpy()
    labels = np.full_like(usual, cv2.GC_BGD)
    labels[_grown(usual, REACH * unit) > 0] = cv2.GC_PR_BGD
    labels[usual > 0] = cv2.GC_PR_FGD
    labels[_grown(usual, -CORE * unit) > 0] = cv2.GC_FGD
    # Nobody wears it over the eyes.
    eyes = masks.part(landmarks, image.shape[-1], slice(LEFT_EYE.start, RIGHT_EYE.stop), 0.05)[0, 0].numpy()
    labels[eyes > 0] = cv2.GC_BGD
    skin = plane(masks.face_region(landmarks, image.shape[-1], forehead=0)) * (labels == cv2.GC_BGD)
    if _apart(image, labels == cv2.GC_FGD, skin > 0) < LEAST:
        return torch.zeros_like(image[:, :1])
    pixels = np.ascontiguousarray(np.asarray(to_image(image))[..., ::-1])
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    cloth = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    cloth = _grown(_grown(cloth, -unit), unit)  # without strands of hair of the same colour
    _, parts = cv2.connectedComponents(cloth)
    cloth = np.isin(parts, np.unique(parts[(cloth > 0) & (_grown(usual, -CORE * unit) > 0)])).astype(np.uint8)
    whole = _grown(_grown(cloth, 4 * unit), -4 * unit)  # prints and folds
    return torch.from_numpy(_grown(whole, MARGIN * unit) * (eyes == 0)).float()[None, None]


def _apart(image: Tensor, one: np.ndarray, other: np.ndarray) -> float:
    """Delta E between the median colours of two regions (S, S) of (1, 3, S, S); without limit where one is empty."""
    lab = cv2.cvtColor(planes(image), cv2.COLOR_RGB2LAB)
    if not (one.any() and other.any()):
        return float("inf")
    return float(np.linalg.norm(np.median(lab[one], axis=0) - np.median(lab[other], axis=0)))


def _grown(region: np.ndarray, pixels: float) -> np.ndarray:
    """A region (H, W) of 0 and 1 that reaches so many pixels further, or less far."""
    side = 2 * round(abs(pixels)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return (cv2.dilate if pixels > 0 else cv2.erode)(region, disc)
