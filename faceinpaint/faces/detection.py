"""Finding faces in photos: detection by MTCNN, which never looks at what is hidden, and who is believed.

A detection is believed where the landmarks agree that are predicted in its crop. A photo in which none is believed is
turned: faces are found as they lie. Where a part is hidden, the face is completed first and then looked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align, mtcnn
from faceinpaint.faces.align import Crop
from faceinpaint.prior.symmetry import smooth_fill

# Photos are shrunk to this side (a face of 40 px in one of twice the side is still found easily) ...
DETECTION_SIDE = 1024
# ... but never below this shorter side, where nothing could be found (MTCNN looks for 20 px and more).
DETECTION_MIN_SIDE = 64
# The face that is looked at again is shown upright in a square of this side ...
UPRIGHT_SIDE = 256
# ... and to those who predict landmarks and paint in this: quick, and as good a place for it.
GLANCE_SIDE = 128
# MTCNN is above 0.99 for faces seen from the front; its mistakes mostly stay below this.
MIN_PROBABILITY = 0.9
THRESHOLDS = (0.6, 0.7, 0.7)  # of MTCNN's three networks, as published
# Of half a face they are less sure. Whether there is one is seen when it is completed.
OF_A_PART, OF_PARTS = 0.5, (0.4, 0.5, 0.4)

# MTCNN's points lie right of and below the truth by half a pixel (it counts from the pixel's edge, we from
# its centre) and by another half (it cuts its boxes at whole pixels): 0.9 is measured on mirrored photos.
POINT_OFFSET = 1.0

# How far detected and predicted eyes, nose and mouth lie apart, on the mean, over the crop's side: those of upright
# faces 0.005 to 0.02, of what MTCNN takes for faces in photos that stand on their head mostly 0.035 to 0.12.
AGREED = 0.03  # then no other way to turn the photo is tried
BELIEVED = 0.05  # the most
BELIEVED_OF_A_PART = 0.025  # of faces that were completed first: a painter sees faces, too, where there are none

SKIN = (1.3, 0.95, 0.75)  # red, green and blue over its brightness
TURNS = (0, 1, 3, 2)  # quarters, counterclockwise, the likelier first

Fill = Callable[[Tensor, Tensor], Tensor]  # image (1, 3, H, W), known (1, 1, H, W) -> the image without a hole
Predict = Callable[[Tensor, Tensor], Tensor]  # images (1, 3, S, S), masks (1, 1, S, S) -> landmarks (1, 68, 2)
Paint = Callable[[Tensor, Tensor, Tensor], Tensor]  # the same and landmarks -> completed images (1, 3, S, S)


class Look(NamedTuple):
    """How to look at a photo: for faces of how many pixels and more, once it was shrunk, and by how much at most."""

    smallest: float = 20.0
    shrink: float = float("inf")


USUAL = Look()
QUICK = Look(smallest=USUAL.smallest / mtcnn.STEP**2)  # without the two smallest sizes, three quarters of the work
CLOSE = Look(shrink=2)  # so that faces of 40 pixels have 20


class Detection(NamedTuple):
    """A face that was found: five points (5, 2), box (4,) left top right bottom, all photo pixels."""

    points: Tensor
    box: Tensor
    probability: float


class Sighting(NamedTuple):
    """A crop that may hold a face, and how far detection and predicted landmarks disagree, over the crop's side."""

    crop: Crop
    doubt: float


# ------------------------------------------------------------------------------------ who is believed


def find(
    photo: Image.Image, pixels: Tensor, hole: Tensor | None, predict: Predict, paint: Paint, many: bool = False
) -> list[Crop]:
    """The crops of the faces in an RGB photo, the largest first; an empty list when none is believed.

    pixels: the photo, (1, 3, H, W), bytes or in [0, 1]. hole: (1, 1, H, W), 1 = unknown; what it hides has no
    influence. predict: landmarks from what a mask leaves visible. paint: completes a face. many: look closely at once,
    also for small ones.
    """
    for look in (CLOSE,) if many else (QUICK, CLOSE):
        best: list[Sighting] = []
        view = cache(partial(_view, photo, hole, look))  # shrunk and filled once for all turns
        for turn in TURNS:
            seen = _believed(view, photo.size, pixels, hole, predict, paint, turn, look)
            best = min(filter(None, (best, seen)), key=_least_doubt, default=[])
            if best and _least_doubt(best) <= AGREED:
                break
        if best:
            return sorted((one.crop for one in best), key=lambda crop: -crop.half_side)
    return []


def _least_doubt(sightings: list[Sighting]) -> float:
    return min(one.doubt for one in sightings)


def _believed(
    view: Callable[[Fill | None], np.ndarray], size: tuple[int, int], pixels: Tensor, hole: Tensor | None,
    predict: Predict, paint: Paint, turn: int, look: Look,
) -> list[Sighting]:
    """What is believed of what is detected in the photo, turned by quarters; a hole is filled in three ways for it."""
    for fill in (None,) if hole is None else (smooth_fill, _mean_fill, _tinted_fill):
        found = _faces_in(view(fill), size, hole is not None, turn, look)
        seen = [_sighting(one, pixels, hole, predict, paint) for one in found]
        most = BELIEVED if hole is None else BELIEVED_OF_A_PART
        if believed := [one for one in seen if one is not None and one.doubt <= most]:
            return believed
    return []


def _sighting(
    found: Detection, pixels: Tensor, hole: Tensor | None, predict: Predict, paint: Paint
) -> Sighting | None:
    """A detection with the doubt about it; None where its points span no square, or a completed face is not one."""
    try:
        crop = align.crop_from_points(found.points)
        align.require_near(crop, pixels.shape[-2:])
        image, mask = _cut(pixels, hole, crop)
        if not mask[~align.beyond(crop, pixels.shape[-2:], GLANCE_SIDE)].any():
            return Sighting(crop, _apart(found.points, predict(image, mask), crop))
        # What a half face's detection is off by, predicted landmarks make good, and completed faces once more.
        for _ in range(2):
            landmarks = align.to_photo(predict(image, mask).double(), crop, GLANCE_SIDE)
            crop = align.crop_from_landmarks(landmarks)
            align.require_near(crop, pixels.shape[-2:])
            image, mask = _cut(pixels, hole, crop)
        if mask.all():
            return None
        landmarks = predict(image, mask)
        again = _upright_face(paint(image, mask, landmarks))
        if again is None:
            return None
        points = align.to_photo(again.double(), crop, GLANCE_SIDE)
        return Sighting(align.crop_from_points(points), _apart(points, landmarks, crop))
    except InputError:
        return None


def _cut(pixels: Tensor, hole: Tensor | None, crop: Crop) -> tuple[Tensor, Tensor]:
    """The crop, and what is unknown in it."""
    image = align.cut(pixels, crop, GLANCE_SIDE, hole)
    if hole is None:
        return image, align.beyond(crop, pixels.shape[-2:], GLANCE_SIDE).float()
    return image, align.cut_mask(hole, crop, GLANCE_SIDE).float()


def _apart(points: Tensor, landmarks: Tensor, crop: Crop) -> float:
    """The mean distance of five points in the photo to those of landmarks in the crop, over the crop's side."""
    there = align.five_points(landmarks.cpu().double())[0]
    here = align.to_crop(points.double(), crop, GLANCE_SIDE)
    return (here - there).norm(dim=-1).mean().item() / GLANCE_SIDE


# ------------------------------------------------------------------------------------ looking


def detect(photo: Image.Image) -> list[Detection]:
    """The faces in an RGB photo, the largest first; an empty list when there is none.

    Points in the order of `align.five_points`. Each face is looked at twice, the second time turned upright by what
    the first look found: MTCNN learnt from upright faces, and this halves its error on tilted ones.
    """
    return _faces_in(_view(photo, None, USUAL, None), photo.size, False, 0, USUAL)


def _view(photo: Image.Image, hole: Tensor | None, look: Look, fill: Fill | None) -> np.ndarray:
    """The photo as it is looked at, uint8 (h, w, 3): shrunk, and what a hole (1, 1, H, W) hides made good."""
    shrink = min(max(photo.size) / DETECTION_SIDE, min(photo.size) / DETECTION_MIN_SIDE, look.shrink)
    size = tuple(round(side / shrink) for side in photo.size) if shrink > 1 else photo.size
    return _shrunk(photo, size) if hole is None else _filled(photo, hole, size, fill)


def _faces_in(pixels: np.ndarray, photo_size: tuple[int, int], partly: bool, turn: int, look: Look) -> list[Detection]:
    """The faces in a view, turned by quarters counterclockwise, in pixels of the photo of a size (width, height).

    partly: whether a hole was made good in it; then the first look is all, and upright faces need be less sure.
    """
    size = pixels.shape[1], pixels.shape[0]
    turned = np.ascontiguousarray(np.rot90(pixels, turn))
    scale = torch.tensor([photo_size[0] / size[0], photo_size[1] / size[1]])
    found = []
    sure = (OF_A_PART, OF_PARTS) if partly and not turn else (MIN_PROBABILITY, THRESHOLDS)
    for face in _mtcnn(turned, *sure, look.smallest):
        points = face.points if partly else _second_look(turned, face.points)
        # The picture's edges stay edges.
        points = (_turned_back(points, turn, size) + 0.5) * scale - 0.5
        corners = (_turned_back(face.box.reshape(2, 2), turn, size) + 0.5) * scale - 0.5
        box = torch.cat([corners.amin(0), corners.amax(0)])
        found.append(Detection(points, box, face.probability))
    return found


def _shrunk(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    return np.array(picture if picture.size == size else picture.resize(size, Image.Resampling.BOX))


def _filled(photo: Image.Image, hole: Tensor, size: tuple[int, int], fill: Fill) -> np.ndarray:
    """The photo at a smaller size, its hole filled from what is known: uint8 (H, W, 3)."""
    known = Image.fromarray((hole[0, 0] < 0.5).byte().numpy() * 255)
    seen = Image.new("RGB", photo.size)
    seen.paste(photo, mask=known)
    share = torch.from_numpy(_shrunk(known, size)).float()[None, None] / 255
    visible = _to_tensor(_shrunk(seen, size))
    there = (share > 0.1).float()
    return _to_pixels(fill(visible / share.clamp_min(0.1) * there, there).clamp(0, 1))


def _to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) as (1, 3, H, W) in [0, 1]; `_to_pixels` undoes it."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def _to_pixels(image: Tensor) -> np.ndarray:
    return (image[0].cpu() * 255).round().byte().permute(1, 2, 0).numpy()


def _mean_fill(image: Tensor, known: Tensor) -> Tensor:
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum().clamp_min(1)
    return torch.where(known > 0, image, mean)


def _tinted_fill(image: Tensor, known: Tensor) -> Tensor:
    """All of the picture in the tone of skin, by which MTCNN knows half a face of a black-and-white photograph."""
    grey = smooth_fill(image, known).mean(1, keepdim=True)
    return grey * torch.tensor(SKIN).view(1, 3, 1, 1)


def _turned_back(points: Tensor, turn: int, size: tuple[int, int]) -> Tensor:
    """Points (N, 2) in a picture turned counterclockwise by quarters, as points of the picture, (width, height)."""
    x, y = points.unbind(-1)
    width, height = size
    if turn == 1:
        x, y = width - 1 - y, x
    elif turn == 2:
        x, y = width - 1 - x, height - 1 - y
    elif turn == 3:
        x, y = y, height - 1 - x
    return torch.stack([x, y], dim=-1)


def _second_look(pixels: np.ndarray, points: Tensor) -> Tensor:
    """The five points (5, 2) again, more exactly; as they were when the upright face is not found."""
    crop = align.crop_from_points(points, margin=1.5)
    again = _upright_face(align.cut(_to_tensor(pixels), crop, UPRIGHT_SIDE))
    return points if again is None else align.to_photo(again, crop, UPRIGHT_SIDE)


def _upright_face(image: Tensor) -> Tensor | None:
    """The five points (5, 2) of the face in the middle of a crop (1, 3, S, S); None where there is none."""
    for face in _mtcnn(_to_pixels(image)):
        from_middle = (face.points.mean(dim=0) - image.shape[-1] / 2).norm()
        if from_middle < image.shape[-1] / 6:  # about the distance of the eyes; further off is a neighbour
            return face.points
    return None


def _mtcnn(
    pixels: np.ndarray, least: float = MIN_PROBABILITY, thresholds: tuple[float, ...] = THRESHOLDS,
    smallest: float = USUAL.smallest,
) -> list[Detection]:
    """One look at uint8 pixels (H, W, 3): the faces that are likely enough, the largest first."""
    boxes, points = mtcnn.look(pixels, smallest, thresholds)
    found = [Detection(*face) for face in zip(points - POINT_OFFSET, boxes[:, :4], boxes[:, 4].tolist())]
    return [face for face in found if face.probability >= least]
