"""Alignment: the upright square crop from eyes and mouth, and its exact inverse.

A `Crop` is a square with a centre, a size and a rotation, in pixels of the photo. `cut` shows the
photo inside it, `paste` brings completed pixels back; `to_crop` and `to_photo` do the same for points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.batch import Faces
from faceinpaint.prior.symmetry import SEAM, smooth_fill
from faceinpaint.prior.warps import enlarged, part_of, plane, planes, strips

# Over this share of the crop's half side, next to its edge, a completed hole fades into the photo around it.
RIM = 0.12

# Half the side of the largest crop, in photo pixels: of 64 megapixels a face takes less.
LARGEST_HALF_SIDE = 7_000

# Pixels of a mask that follows a face, at most: finer steps nobody sees.
FINEST = 2048

# Pixels of a photo's part above which what is smooth in it is worked out in coarser ones.
COARSE = 1024

# A crop pixel counts as unknown when unknown photo pixels have more than this share in its colour: not
# zero, because positions are rounded, but far below the 0.004 of one grey level.
UNKNOWN_SHARE = 1e-6


@dataclass(frozen=True)
class Crop:
    """A square in a photo: `centre` (x, y) and `axis_x`, the half side along its right direction.

    Both in photo pixels, pixel centres at integers. The down direction is `axis_x` turned by 90
    degrees, so a crop moves, turns and scales but never shears or mirrors.
    """

    centre: tuple[float, float]
    axis_x: tuple[float, float]

    @property
    def axis_y(self) -> tuple[float, float]:
        """The half side along the crop's down direction, in photo pixels."""
        return (-self.axis_x[1], self.axis_x[0])

    @property
    def half_side(self) -> float:
        """Half the side of the square, in photo pixels."""
        return math.hypot(*self.axis_x)

    def moved(self, left: float, top: float) -> Crop:
        """The crop in pixels of the part of the photo that begins there."""
        return Crop((self.centre[0] - left, self.centre[1] - top), self.axis_x)


# ---------------------------------------------------------------------------------- the square


def five_points(landmarks: Tensor) -> Tensor:
    """Left eye, right eye, nose tip, left and right mouth corner (left in the image) from 68 landmarks.

    landmarks: (B, 68, 2) pixels, iBUG 300-W order. Returns (B, 5, 2); differentiable.
    """
    left_eye = landmarks[:, 36:42].mean(dim=1)
    right_eye = landmarks[:, 42:48].mean(dim=1)
    return torch.stack([left_eye, right_eye, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], dim=1)


def crop_from_points(five: Tensor, margin: float = 1.0) -> Crop:
    """The upright square around a face, as FFHQ and CelebA-HQ cut it (Karras et al. 2018, 2019).

    five: (5, 2) photo pixels in the order of `five_points`. margin: the half side is multiplied by it.
    The square is turned half by the eyes and half by the line from the eyes to the mouth. Raises
    InputError when the points span no square (equal points, or left and right exchanged).
    """
    left_eye, right_eye, _, left_mouth, right_mouth = np.asarray(five.detach().cpu(), dtype=np.float64)
    eyes = (left_eye + right_eye) / 2
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = (left_mouth + right_mouth) / 2 - eyes

    right = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]])
    length = np.hypot(*right)
    half_side = max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8) * margin
    if not length > 1e-6 * half_side:  # written so that NaN fails too
        raise InputError(
            "The eye and mouth points span no square: give them as left eye, right eye, nose, left mouth "
            "corner, right mouth corner, left as seen in the image."
        )
    centre = eyes + 0.1 * eye_to_mouth
    axis_x = right / length * half_side
    return Crop((float(centre[0]), float(centre[1])), (float(axis_x[0]), float(axis_x[1])))


def crop_from_landmarks(landmarks: Tensor, margin: float = 1.0) -> Crop:
    """`crop_from_points` of the 68 landmarks of one face: (68, 2) or (1, 68, 2) photo pixels."""
    if landmarks.shape not in ((68, 2), (1, 68, 2)):
        raise InputError(f"the landmarks of a face are (68, 2) pixels, x then y: these are {tuple(landmarks.shape)}")
    return crop_from_points(five_points(landmarks.reshape(1, 68, 2))[0], margin)


def laid(faces: Faces, size: int, margin: float = 1.0) -> Faces:
    """Photographs (B, 3, H, W) with known landmarks, each cut to its own face: the same faces at `size` pixels."""
    crops = [crop_from_landmarks(one.double(), margin) for one in faces.landmarks]
    places = zip(faces.landmarks.split(1), crops)
    return Faces(
        torch.cat([cut(image, crop, size) for image, crop in zip(faces.image.split(1), crops)]),
        torch.cat([to_crop(one.double(), crop, size).float() for one, crop in places]),
        faces.identity, faces.name,
    )


def require_near(crop: Crop, photo_size: tuple[int, int]) -> None:
    """Raise InputError for a crop that can't be of a face in the photo (height, width): outside it, or of no size."""
    height, width = photo_size
    x, y = crop.centre
    inside = abs(x - width / 2) <= 2 * width and abs(y - height / 2) <= 2 * height
    if not (1 <= crop.half_side and inside):
        raise _no_face_there(photo_size)
    _require_bounded(crop, photo_size)


def _require_bounded(crop: Crop, photo_size: tuple[int, int]) -> None:
    """Raise InputError for a crop so much larger than the photo that memory would end."""
    largest = min(max(1_000, 2 * max(photo_size)), LARGEST_HALF_SIDE)  # some memory is always there
    if not (crop.half_side <= largest and all(map(math.isfinite, crop.centre))):  # written so that NaN fails too
        raise _no_face_there(photo_size)


def _no_face_there(photo_size: tuple[int, int]) -> InputError:
    height, width = photo_size
    return InputError(
        f"A photo of {width} x {height} pixels has no face where the points lie: give them in pixels of this photo."
    )


def aligned_crop(photo_size: tuple[int, int]) -> Crop:
    """The whole picture as a crop, for a square picture (height, width) that is aligned already.

    Raises InputError when the picture is not square.
    """
    height, width = photo_size
    if height != width:
        raise InputError(
            f"An aligned picture must be square but this one has {width} x {height} pixels: cut it square, "
            "or leave out --aligned so that the face is found."
        )
    return Crop(((width - 1) / 2, (height - 1) / 2), (width / 2, 0.0))


# ----------------------------------------------------------------------------------- its points


def to_photo(points: Tensor, crop: Crop, size: int) -> Tensor:
    """Points (..., 2) in pixels of the crop of `size` pixels, as pixels of the photo."""
    x, y = ((2 * points + 1) / size - 1).unbind(-1)  # -1 .. 1 from edge to edge of the crop
    (cx, cy), (ax, ay) = crop.centre, crop.axis_x
    return torch.stack([cx + x * ax - y * ay, cy + x * ay + y * ax], dim=-1)


def to_crop(points: Tensor, crop: Crop, size: int) -> Tensor:
    """Points (..., 2) in pixels of the photo, as pixels of the crop of `size` pixels: undoes `to_photo`."""
    (cx, cy), (ax, ay) = crop.centre, crop.axis_x
    x, y = points[..., 0] - cx, points[..., 1] - cy
    along = torch.stack([x * ax + y * ay, y * ax - x * ay], dim=-1) / (ax * ax + ay * ay)
    return ((along + 1) * size - 1) / 2


def affine(crop: Crop, size: int) -> np.ndarray:
    """The map from pixels of the photo to those of the crop of `size` pixels, as OpenCV takes it: (2, 3)."""
    origin, right, down = to_crop(torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=torch.float64), crop, size).numpy()
    return np.stack([right - origin, down - origin, origin], axis=1)


# ----------------------------------------------------------------------------------- its pixels


class Area(NamedTuple):
    """The part of a photo around a crop, all that completing it looks at; bounds in pixels, the last two excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, photo: Tensor) -> Tensor:
        """That part of (..., H, W), not copied."""
        return photo[..., self.top : self.bottom, self.left : self.right]

    def moved(self, crop: Crop) -> Crop:
        """The crop in pixels of the part."""
        return crop.moved(self.left, self.top)


def boxes(hole: Tensor) -> Iterator[Area]:
    """Parts of a hole (1, 1, H, W) that together hold all of it, some rows each."""
    for rows in strips(hole.shape[-2]):
        columns = hole[0, 0, rows].amax(0).nonzero()
        if len(columns):
            yield Area(int(columns[0]), rows.start, int(columns[-1]) + 1, rows.stop)


def nearer(crop: Crop, others: Sequence[Crop], photo_size: tuple[int, int], beyond: bool) -> Tensor:
    """Which pixels of a photo (height, width) are nearer to a crop than to others; beyond: also those outside it."""
    if beyond and not others:
        return torch.ones(1, 1, dtype=torch.bool)
    parts = []
    for rows in strips(photo_size[0]):
        here, *there = (_distance(one, slice(photo_size[1]), rows) for one in (crop, *others))
        parts.append(torch.stack([here <= one for one in there] + [(here < 1) | beyond]).all(0))
    return torch.cat(parts)


def area_around(crop: Crop, photo_size: tuple[int, int]) -> Area:
    """The part of a photo (height, width) around a crop."""
    height, width = photo_size
    left, top, right, bottom = _bounds(crop, max(16, math.ceil(crop.half_side * RIM)))
    return Area(max(left, 0), max(top, 0), min(right, width), min(bottom, height))


def cut(photo: Tensor, crop: Crop, size: int, hole: Tensor | None = None) -> Tensor:
    """The photo inside the crop, upright: (1, 3, H, W), bytes or in [0, 1], to (1, 3, size, size) in [0, 1].

    What a hole (1, 1, H, W), 1 = unknown, hides is black first, and has no influence. Each crop pixel is the mean of
    the (bicubically interpolated) photo over its area. Beyond the photo's edges lies its mirror image. A crop of
    exactly `size` photo pixels on the photo's own grid returns those very pixels.
    """
    return _resample(photo, crop, size, "bicubic", hole).clamp(0, 1)


def cut_mask(mask: Tensor, crop: Crop, size: int) -> Tensor:
    """The mask inside the crop: (1, 1, H, W) to (1, 1, size, size), 1 = unknown.

    Cautious: a crop pixel is unknown as soon as any unknown photo pixel has a share in the colour that
    `cut` gives it, so the hole grows by a pixel or two where the grids differ. Beyond the photo nothing is known,
    though `cut` shows its mirror image there.
    """
    # Bicubic weights reach further but may cancel out; bilinear weights are never negative.
    far = _resample(mask, crop, size, "bicubic").abs() > UNKNOWN_SHARE
    near = _resample(mask, crop, size, "bilinear") > UNKNOWN_SHARE
    return (far | near | beyond(crop, mask.shape[-2:], size)).to(mask.dtype)


def beyond(crop: Crop, photo_size: tuple[int, int], size: int) -> Tensor:
    """Where a crop of `size` pixels reaches out of the photo (height, width): (1, 1, size, size), true beyond it."""
    height, width = photo_size
    left, top, right, bottom = _bounds(crop)
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return torch.zeros(1, 1, size, size, dtype=torch.bool)
    x, y = to_photo(_pixel_grid(size, size, torch.device("cpu")), crop, size).unbind(-1)
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    return ~inside[None, None]


def mask_to_photo(mask: Tensor, crop: Crop, photo_size: tuple[int, int]) -> Tensor:
    """A mask of the crop (1, 1, S, S) laid on the photo: (1, 1, H, W), 0 outside the crop.

    photo_size: (height, width). A photo pixel takes the crop pixel in which its centre lies.
    """
    size = mask.shape[-1]
    height, width = photo_size
    left, top, right, bottom = _bounds(crop)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    result = torch.zeros(1, 1, height, width, dtype=mask.dtype, device=mask.device)
    if left >= right or top >= bottom:
        return result

    for rows in strips(bottom - top):
        rows = slice(top + rows.start, top + rows.stop)
        column, row = (one.add_(0.5).floor_().long() for one in _places(crop, size, slice(left, right), rows))
        inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        values = mask[0, 0, row.clamp_(0, size - 1), column.clamp_(0, size - 1)]
        result[0, 0, rows, left:right] = values * inside
    return result


def seen_mask(mask: Tensor, crop: Crop, size: int) -> Tensor:
    """A mask of the photo (1, 1, H, W) as one sees it in the crop: (1, 1, size, size), 0 beyond the photo.

    A pixel of the crop takes the one of the photo in which its centre lies: undoes `mask_to_photo`, and is not cautious
    as `cut_mask` is.
    """
    part, left_top = _window(mask.to(torch.uint8), crop, border=1)
    here = cv2.invertAffineTransform(affine(crop.moved(*left_top), size))
    pixels = np.ascontiguousarray(part[0, 0])
    seen = cv2.warpAffine(pixels, here, (size, size), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return (torch.from_numpy(seen) * ~beyond(crop, mask.shape[-2:], size)).to(mask.dtype)


def laid_mask(
    draw: Callable[[int, Tensor | None], Tensor], landmarks: Tensor | None, crop: Crop, photo_size: tuple[int, int],
    size: int,
) -> Tensor:
    """A mask of a face, drawn as finely as the photo (height, width) shows it: (1, 1, H, W), without stairs.

    draw: makes it, (1, 1, S, S), of a number of pixels and the landmarks (1, 68, 2) in them. landmarks: in those of the
    crop of `size` pixels.
    """
    times = finer(crop, size)
    points = None if landmarks is None else (landmarks + 0.5) * times - 0.5
    return mask_to_photo(draw(times * size, points), crop, photo_size)


def finer(crop: Crop, size: int) -> int:
    """How many pixels of the photo, each way, one of the crop of `size` pixels covers; no more than are of use."""
    return max(1, min(math.ceil(2 * crop.half_side / size), FINEST // size))


def paste(photo: Tensor, completed: Tensor, mask_photo: Tensor, crop: Crop) -> Tensor:
    """The photo, its unknown pixels inside the crop replaced by the completed crop: undoes `cut`.

    photo: (1, 3, H, W); completed: (1, 3, S, S), of which the known pixels are those of `cut`;
    mask_photo: (1, 1, H, W), 1 = unknown. Returns a new (1, 3, H, W) in which every other pixel is
    the photo's, bit for bit.
    """
    # No ramp at the hole's edge: the crop shows the photo on its known side, so the colours meet there already.
    size = completed.shape[-1]
    if 2 * crop.half_side >= size:
        inside = ~_outside(crop, Area(0, 0, photo.shape[-1], photo.shape[-2]))
        there = planes(completed), affine(crop, size), (photo.shape[-1], photo.shape[-2])
        colours = torch.from_numpy(enlarged(*there, cv2.INTER_CUBIC, cv2.BORDER_REFLECT)).permute(2, 0, 1)
        return torch.where((mask_photo == 1) & inside, colours.clamp(0, 1).to(photo), photo)

    result = photo.clone()
    y, x = (mask_photo[0, 0] == 1).nonzero(as_tuple=True)
    points = torch.stack([x, y], dim=-1).double()
    in_crop = to_crop(points, crop, size)
    inside = ((in_crop >= -0.5) & (in_crop < size - 0.5)).all(dim=-1)
    x, y, points = x[inside], y[inside], points[inside]
    # Each photo pixel is the mean of the crop over its area, as in `cut` the other way round.
    steps = _samples(size / (2 * crop.half_side))
    within = (_pixel_grid(steps, steps, photo.device).reshape(1, -1, 2) + 0.5) / steps - 0.5
    positions = to_crop(points[:, None] + within, crop, size)  # (N, steps², 2)
    samples = _sample(completed, positions, "bicubic")  # (1, 3, N, steps²)
    result[:, :, y, x] = samples.mean(dim=-1).clamp(0, 1).to(photo.dtype)
    return result


class Rim(NamedTuple):
    """How a hole that reaches the crop's edge runs smoothly into the photo around the crop, in means of some pixels."""

    crop: Crop
    coarse: int  # pixels
    change: np.ndarray  # (h, w, 3), within the crop
    beyond: np.ndarray  # (h, w, 3), the colours of the hole around it

    def fading(self, box: Area) -> Tensor:
        """How much a part of the painted area keeps of what it holds, (h, w): all of it, and nothing at the edge."""
        places = _distance(self.crop, slice(box.left, box.right), slice(box.top, box.bottom))
        return ((1 - places) / RIM).clamp(0, 1).float()

    def on(self, painted: Tensor, mask_photo: Tensor, box: Area) -> Tensor:
        """A part of the painted area (1, 3, h, w) with the change in its hole (1, 1, h, w)."""
        change, beyond = (at_full_size(one, self.coarse, box) for one in (self.change, self.beyond))
        outside = _outside(self.crop, box)
        return torch.where(outside & (mask_photo > 0), beyond, painted + mask_photo * change).clamp(0, 1)


class Glance(NamedTuple):
    """The area around a crop in means of some pixels: what varies slowly is worked out here."""

    seen: Tensor  # (1, 3, h, w) in [0, 1], means of known pixels
    known: Tensor  # (1, 1, h, w), their share
    crop: Crop
    coarse: int  # pixels

    @property
    def hole(self) -> Tensor:
        """Where most pixels are unknown, (1, 1, h, w)."""
        return (self.known < 0.5).float()


def glance_at(photo: Tensor, mask_photo: Tensor, crop: Crop) -> Glance:
    """The area (1, 3, h, w) of bytes around a crop, whose hole (1, 1, h, w), 1 = unknown, is not looked at."""
    coarse = math.ceil(max(photo.shape[-2:]) / COARSE)
    known = (mask_photo[0, 0] < 0.5).byte().numpy()
    pixels = photo[0].permute(1, 2, 0).numpy()
    size = [-(-side // coarse) for side in photo.shape[:-3:-1]]
    seen = cv2.bitwise_and(pixels, pixels, mask=known)
    seen, share = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (seen, 255 * known))
    seen = torch.from_numpy(seen / np.maximum(share, 1)[..., None].astype(np.float32)).permute(2, 0, 1)[None]
    (cx, cy), (ax, ay) = crop.centre, crop.axis_x
    small = Crop(((cx + 0.5) / coarse - 0.5, (cy + 0.5) / coarse - 0.5), (ax / coarse, ay / coarse))
    return Glance(seen, torch.from_numpy(share)[None, None] / 255, small, coarse)


def at_full_size(image: np.ndarray, coarse: int, box: Area) -> Tensor:
    """A picture (h, w, 3) in means of `coarse` pixels, at the pixels of a part of the area: (3, height, width)."""
    to_coarse = np.array([[1 / coarse, 0, 0.5 / coarse - 0.5], [0, 1 / coarse, 0.5 / coarse - 0.5]])
    return torch.from_numpy(enlarged(image, part_of(to_coarse, box.left, box.top), box.size[::-1])).permute(2, 0, 1)


def seam_of(glance: Glance, completed: Tensor, mask: Tensor) -> np.ndarray | None:
    """What the painting lacks at the hole's edge, carried into the hole, (h, w, 3); None where nothing tells.

    The crop's mask (1, 1, S, S) is cautious: along its edge lie pixels that were painted (1, 3, S, S) and that the
    photo knows. What they differ by is carried inwards, less and less, as `generator.without_seam` does it in the crop.
    """
    size, every = glance.hole.shape[-2:], torch.ones_like(glance.hole)
    painted = paste(torch.zeros_like(glance.seen), completed, every, glance.crop)
    both = mask_to_photo(mask, glance.crop, size) * (glance.known == 1)
    if not both.any():
        return None
    step = smooth_fill((glance.seen - painted) * both, both)
    depth = cv2.distanceTransform(plane(glance.hole).astype(np.uint8), cv2.DIST_L2, 5)
    reach = 2 * glance.crop.half_side * SEAM
    return planes(step) * (np.exp(-depth / reach) * (depth > 0))[..., None]


def rim_of(glance: Glance, completed: Tensor, face: Tensor, crop: Crop) -> Rim | None:
    """What lets a hole that reaches the crop's edge run smoothly into the photo around it; None where none does.

    The networks see nothing beyond the crop, so what they paint (1, 3, S, S) as its ground may differ from the photo
    there. The step at the crop's edge is carried inwards, less and less towards the face, (1, 1, S, S) of the crop, and
    towards what is known (Poisson blending's idea); over the outermost RIM the painted pixels fade into a smooth
    continuation of the known ones. Nothing changes where the photo ends with the crop.
    """
    hole, small = glance.hole, glance.crop
    pasted = paste(glance.seen, completed, hole, small)
    blended = _blended(pasted, hole, small, face)
    if blended is None:
        return None
    # Going on beyond the crop, or its outermost pixels would have the mean of the change and none.
    within = (_distance(small, slice(hole.shape[-1]), slice(hole.shape[-2])) <= 1).to(hole)[None, None]
    return Rim(crop, glance.coarse, planes(smooth_fill((blended - pasted) * within, within)), planes(blended))


def _blended(pasted: Tensor, hole: Tensor, crop: Crop, face: Tensor) -> Tensor | None:
    """The pasted area (1, 3, h, w) as `rim_of` wants it; None where nothing around the crop is known."""
    across, down, size = slice(pasted.shape[-1]), slice(pasted.shape[-2]), face.shape[-1]
    places = _distance(crop, across, down)  # 0 in the middle of the crop, 1 at its edge
    outside = places > 1
    around = (outside & (hole[0, 0] < 0.5))[None, None].to(pasted.dtype)
    if not (around.any() and hole.any()):
        return None

    # Only what lies around the crop is continued: the face's own edge of the hole is the painter's business.
    smooth = smooth_fill(pasted * around, around)
    edge = hole * ((places > 1 - RIM / 4) & ~outside)
    column, row = ((one + 0.5).long().clamp(0, size - 1) for one in _places(crop, size, across, down))
    still = torch.maximum(1 - hole, face[..., row, column]) * ~outside
    fixed = torch.maximum(edge, still).to(pasted.dtype)
    inside = hole * ~outside
    carried = pasted + inside * smooth_fill((smooth - pasted) * edge, fixed)
    weight = ((places - (1 - RIM)) / RIM).clamp(0, 1).to(pasted.dtype) * hole
    return torch.where(hole > 0, carried + weight * (smooth - carried), pasted).clamp(0, 1)


def _resample(photo: Tensor, crop: Crop, size: int, mode: str, hole: Tensor | None = None) -> Tensor:
    """The crop of (1, C, H, W) as (1, C, size, size), each pixel the mean over its area; not clamped."""
    scale = 2 * crop.half_side / size  # photo pixels per crop pixel
    _require_bounded(crop, (photo.shape[-2], photo.shape[-1]))
    coarse = max(1, int(scale / 2))  # a large photo is first averaged in blocks, which is quick
    window, (left, top) = _window(photo, crop, border=4 * coarse)
    hidden = None if hole is None else _window(hole, crop, border=4 * coarse)[0]
    window = torch.cat([
        F.avg_pool2d(_known(window[..., rows, :], hidden if hidden is None else hidden[..., rows, :]), coarse)
        for rows in strips(window.shape[-2] // coarse * coarse, coarse)
    ], dim=2)

    steps = _samples(scale / coarse)
    points = to_photo(_pixel_grid(size * steps, size * steps, photo.device), crop, size * steps)
    points = (points - _point(left, top, photo) + 0.5) / coarse - 0.5  # in pixels of the window
    return F.avg_pool2d(_sample(window, points, mode), steps)


def _known(pixels: Tensor, hole: Tensor | None) -> Tensor:
    """Pixels, bytes, truths or in [0, 1], as numbers in [0, 1], and black where a hole hides them."""
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    return pixels if hole is None else pixels * (1 - hole.float())


def _samples(scale: float) -> int:
    """How many samples, each way, show all of a pixel that is `scale` source pixels wide."""
    return max(1, math.ceil(scale - 1e-6))  # 1.0000000001 is rounding: one sample


def _sample(image: Tensor, points: Tensor, mode: str) -> Tensor:
    """image (1, C, H, W) at points (h, w, 2) in its pixels: (1, C, h, w); mirrored beyond its edges."""
    height, width = image.shape[-2:]
    # In double precision: a position rounded to single precision would miss the pixel's centre.
    grid = (2 * points + 1) / _point(width, height, image) - 1
    sampled = F.grid_sample(image.double(), grid[None], mode, padding_mode="reflection", align_corners=False)
    return sampled.to(image.dtype)


def _window(photo: Tensor, crop: Crop, border: int) -> tuple[Tensor, tuple[int, int]]:
    """The photo under the crop and a border, mirrored beyond its edges, and its first pixel (x, y)."""
    left, top, right, bottom = _bounds(crop, border)
    if left >= 0 and top >= 0 and right <= photo.shape[-1] and bottom <= photo.shape[-2]:
        return photo[..., top:bottom, left:right], (left, top)
    rows = _mirrored(torch.arange(top, bottom, device=photo.device), photo.shape[-2])
    columns = _mirrored(torch.arange(left, right, device=photo.device), photo.shape[-1])
    return photo[:, :, rows][:, :, :, columns], (left, top)


def _mirrored(index: Tensor, length: int) -> Tensor:
    """Indices of any value folded into 0 .. length - 1: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ..."""
    index = index % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index)


def _bounds(crop: Crop, border: int = 0) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the photo pixels under the crop and a border (the last two excluded)."""
    x, y = crop.centre
    reach = abs(crop.axis_x[0]) + abs(crop.axis_x[1])  # of the corners, along x and along y
    # Pixel 0 begins at -0.5.
    left, top = math.floor(x - reach + 0.5), math.floor(y - reach + 0.5)
    right, bottom = math.ceil(x + reach + 0.5), math.ceil(y + reach + 0.5)
    return left - border, top - border, right + border, bottom + border


def _places(crop: Crop, size: int, columns: slice, rows: slice) -> list[Tensor]:
    """Where pixels of the photo lie in the crop of `size` pixels, x and y, (height, width) each, double precision.

    As `to_crop` says, digit by digit, of a whole grid.
    """
    (cx, cy), (ax, ay) = crop.centre, crop.axis_x
    x = torch.arange(columns.start or 0, columns.stop, dtype=torch.float64) - cx
    y = torch.arange(rows.start or 0, rows.stop, dtype=torch.float64)[:, None] - cy
    along = x * ax + y * ay, y * ax - x * ay
    return [one.div_(ax * ax + ay * ay).add_(1).mul_(size).sub_(1).div_(2) for one in along]


def _distance(crop: Crop, columns: slice, rows: slice) -> Tensor:
    """How far pixels of the photo lie from the middle of the crop, (height, width): 1 at its edge."""
    x, y = (one.sub_(0.5).abs_() for one in _places(crop, 2, columns, rows))
    return torch.maximum(x, y)


def _outside(crop: Crop, box: Area) -> Tensor:
    """Which pixels of a part of the photo lie outside the crop: (height, width), or (1, 1) where none do."""
    corners = torch.tensor([[box.left, box.top], [box.right, box.top], [box.left, box.bottom], [box.right, box.bottom]])
    if (to_crop(corners.double(), crop, 2) - 0.5).abs().max() < 1:
        return torch.zeros(1, 1, dtype=torch.bool)
    return _distance(crop, slice(box.left, box.right), slice(box.top, box.bottom)) >= 1


def _pixel_grid(width: int, height: int, device: torch.device) -> Tensor:
    """The pixel centres of an image: (height, width, 2), x then y, double precision."""
    xs = torch.arange(width, dtype=torch.float64, device=device)
    ys = torch.arange(height, dtype=torch.float64, device=device)
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)


def _point(x: float, y: float, like: Tensor) -> Tensor:
    """The point (x, y) in double precision, on the device of `like`."""
    return torch.tensor([x, y], dtype=torch.float64, device=like.device)
