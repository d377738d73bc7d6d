"""Masks, 1 where a pixel is unknown: standard, irregular, block, worn-face-mask and free-drawn masks.

Every mask is float32 (B, 1, H, W) and exactly 0 (known) or 1 (unknown). A `size` is the side of a square
in pixels, or (height, width). Random masks are reproducible from the seed of their `torch.Generator`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from faceinpaint.basics.errors import InputError, require_known

Size = int | tuple[int, int]

STANDARD = tuple(f"mask{number:02d}" for number in range(1, 13))
NAMES = STANDARD + ("irregular", "block", "face-mask")

# Liu et al. 2018, "Image Inpainting for Irregular Holes Using Partial Convolutions", section 4.1.
HOLE_RATIO_BINS = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))

# Rows and columns of each standard mask, as (first, last) fractions of the image.
_WHOLE, _FIRST, _SECOND = (0.0, 1.0), (0.0, 0.5), (0.5, 1.0)
_STANDARD_BOXES = {
    "mask01": (_WHOLE, _FIRST), "mask02": (_WHOLE, _SECOND),
    "mask03": (_FIRST, _FIRST), "mask04": (_SECOND, _FIRST),
    "mask05": (_FIRST, _SECOND), "mask06": (_SECOND, _SECOND),
}

# How far each brow point (17 .. 26) moves up, in eyes-to-mouth distances. Anatomy's thirds put the hairline
# as far above the brows as the nose's base is below them, about 0.75; less at the temples, where the
# forehead rounds off.
_FOREHEAD = (0.36, 0.53, 0.65, 0.72, 0.75, 0.75, 0.72, 0.65, 0.53, 0.36)

# Half outlines of worn masks, from nose to chin on the left of the image: (landmark there, its mirror
# image, outward, down); the last two move the point, in eyes-to-mouth distances, along the face's own axes.
_FACE_MASK_OUTLINES = {
    # A pleated rectangle: follows the cheek just outside the jaw and ends flat under the chin.
    "surgical": (
        (28, 28, 0.00, 0.02), (40, 47, 0.05, 0.24), (1, 15, 0.02, 0.10),
        (3, 13, 0.05, 0.00), (5, 11, 0.06, 0.04), (7, 9, 0.08, 0.12),
        (8, 8, 0.00, 0.12),
    ),
    # Sewn cloth: a round arch over the nose, cut low on the cheeks, close to the chin.
    "cloth": (
        (29, 29, 0.00, -0.04), (31, 35, 0.28, -0.08), (3, 13, 0.02, -0.10),
        (4, 12, 0.04, 0.00), (6, 10, 0.04, 0.05), (8, 8, 0.00, 0.06),
    ),
    # A moulded cup: narrow at the nose, leaves the outer cheeks free, juts out below the chin.
    "ffp2": (
        (28, 28, 0.00, 0.00), (31, 35, 0.10, -0.18), (48, 54, 0.42, -0.14),
        (5, 11, -0.05, 0.00), (7, 9, 0.10, 0.14), (8, 8, 0.00, 0.18),
    ),
    # A scarf tied behind the head: wider than the face, ends in a point on the neck.
    "scarf": (
        (29, 29, 0.00, -0.10), (41, 46, 0.10, 0.32), (1, 15, 0.12, 0.12),
        (4, 12, 0.20, 0.05), (6, 10, 0.15, 0.35), (8, 8, 0.00, 0.65),
    ),
}
FACE_MASK_SHAPES = tuple(_FACE_MASK_OUTLINES)
WORN = "worn-mask"  # the name of what `faces.worn` finds in a photo
ALL_NAMES = (*NAMES, *(f"face-mask-{shape}" for shape in FACE_MASK_SHAPES), WORN)

FINE_STROKES = 4_000_000  # pixels, up to which drawn strokes are exact to a quarter of one
LARGE_HOLE = (0.6, 0.85)  # hole ratio of free-form holes that leave little of the face
PARTS = (slice(36, 48), slice(48, 68))  # landmarks of both eyes, and of the mouth

# What the networks are trained on, and how often: by default, and where the mirror has nothing to show.
TRAINING_MIX = {
    "standard": 0.2, "standard-on-face": 0.15, "irregular": 0.25, "large": 0.15, "block": 0.05, "face-mask": 0.15,
    "part": 0.05,
}
UNSEEN_MIX = {
    "standard": 0.1, "standard-on-face": 0.05, "irregular": 0.25, "large": 0.2, "block": 0.05, "face-mask": 0.3,
    "part": 0.05,
}
MIXES = {"all": TRAINING_MIX, "unseen": UNSEEN_MIX}


def standard(name: str, size: Size, landmarks: Tensor | None = None) -> Tensor:
    """One of the twelve standard masks: half or quarter of the image, or of the face only.

    mask01 left half, mask02 right half, mask03 upper left, mask04 lower left, mask05 upper right, mask06
    lower right quarter, as seen in the image: (1, 1, H, W). mask07 .. mask12 are the same six cut to the
    face given by landmarks (B, 68, 2): (B, 1, H, W). InputError for another name, or without landmarks.
    """
    require_known("standard mask", name, STANDARD)
    height, width = _height_width(size)
    number = int(name[4:])
    (top, bottom), (left, right) = _STANDARD_BOXES[f"mask{(number - 1) % 6 + 1:02d}"]
    mask = torch.zeros(1, 1, height, width)
    mask[..., int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = 1
    return mask if number <= 6 else cut_to_face(mask, landmarks)


def face_region(landmarks: Tensor, size: Size, forehead: float = 1.0) -> Tensor:
    """The face filled: convex hull of the jaw line and of the brows moved up to the hairline.

    landmarks (B, 68, 2) in pixels -> (B, 1, H, W). "Up" runs from the mouth to the eyes, so that a tilted
    face gets a tilted forehead; `_FOREHEAD` says how far. forehead: the share of that way; 0 ends at the brows.
    """
    if torch.compiler.is_exporting():
        return _convex_region(_outline(landmarks.float(), forehead), size)
    outlines = _outline(torch.from_numpy(_checked(landmarks)), forehead).numpy()
    return _fill([_convex_hull(outline) for outline in outlines], size).to(landmarks.device)


def cut_to_face(mask: Tensor, landmarks: Tensor) -> Tensor:
    """The part of a mask (1 or B, 1, H, W) inside the faces of landmarks (B, 68, 2) -> (B, 1, H, W)."""
    region = face_region(landmarks, tuple(mask.shape[-2:]))
    return mask.to(region) * region


def block(
    count: int, size: Size, generator: torch.Generator, sides: tuple[float, float] = (0.25, 0.5)
) -> Tensor:
    """One random rectangle per mask, anywhere inside the image; sides: its least and greatest, over the image's."""
    height, width = _height_width(size)
    masks = torch.zeros(count, 1, height, width)
    for mask in masks:
        rng = _random(generator)
        rows = max(1, round(height * rng.uniform(*sides)))
        columns = max(1, round(width * rng.uniform(*sides)))
        top, left = rng.randint(0, height - rows), rng.randint(0, width - columns)
        mask[:, top : top + rows, left : left + columns] = 1
    return masks.to(generator.device)


def irregular(
    count: int, size: Size, generator: torch.Generator, hole_ratio: tuple[float, float] | None = None
) -> Tensor:
    """Irregular holes in the manner of Liu et al. 2018: curved, jointed strokes of changing width, and dots.

    hole_ratio: (low, high), for instance one of `HOLE_RATIO_BINS`; every mask then has low < ratio < high,
    counted in its pixels. None: each mask draws one of the six bins. InputError for an empty interval.
    """
    height, width = _height_width(size)
    masks = []
    for _ in range(count):
        rng = _random(generator)
        low, high = hole_ratio if hole_ratio is not None else rng.choice(HOLE_RATIO_BINS)
        masks.append(_irregular_hole(rng, height, width, low, high))
    return _stack(masks, (height, width)).to(generator.device)


def face_mask(landmarks: Tensor, size: Size, shape: str = "surgical") -> Tensor:
    """A simulated worn face mask, from the bridge of the nose to under the chin, along the jaw.

    landmarks (B, 68, 2) in pixels -> (B, 1, H, W). shape: one of `FACE_MASK_SHAPES`, else InputError. The
    outline is a closed Catmull-Rom curve through landmarks shifted along the face's own axes.
    """
    require_known("shape of a face mask", shape, FACE_MASK_SHAPES)
    points = _checked(landmarks)
    right, down, unit = _face_axes(points)
    right, down = right * unit[:, None], down * unit[:, None]
    left_side = [points[:, i] - out * right + drop * down for i, _, out, drop in _FACE_MASK_OUTLINES[shape]]
    right_side = [points[:, j] + out * right + drop * down for _, j, out, drop in _FACE_MASK_OUTLINES[shape]]
    # Nose and chin, the two ends, lie on the midline: they are in both sides and taken once.
    outlines = np.stack(left_side + right_side[-2:0:-1], axis=1)  # (B, N, 2)
    return _fill([_closed_curve(outline) for outline in outlines], size).to(landmarks.device)


def part(landmarks: Tensor, size: Size, points: slice, margin: float) -> Tensor:
    """The hull of some `points` of landmarks (B, 68, 2) and `margin` around it, in eyes-to-mouth distances."""
    right, down, unit = _face_axes(_checked(landmarks))
    around = np.array([(1, 0.5), (0.5, 1), (-0.5, 1), (-1, 0.5), (-1, -0.5), (-0.5, -1), (0.5, -1), (1, -0.5)])
    shifts = (around[:, :1] * right[:, None] + around[:, 1:] * down[:, None]) * margin * unit[:, None, None]
    grown = _checked(landmarks)[:, points, None] + shifts[:, None]  # (B, N, 8, 2)
    return _fill([_convex_hull(outline) for outline in grown.reshape(len(grown), -1, 2)], size).to(landmarks.device)


def strokes(strokes: Sequence[Sequence], size: Size) -> Tensor:
    """Free-drawn strokes `[[radius, [x, y, x, y, ...]], ...]` in pixels -> (1, 1, H, W).

    Caps and joints are round, a single point is a dot. InputError for a stroke of another form.
    """
    height, width = _height_width(size)
    # Drawn four times finer and read at the pixel centres, because ImageDraw knows whole pixels only: if not too many.
    fine = 4 if width * height < FINE_STROKES else 1
    image = Image.new("L", (fine * width, fine * height))
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        radius, points = checked_stroke(stroke)
        _paint(draw, points * fine, [radius * fine] * len(points))
    return _stack([np.asarray(image)[::fine, ::fine]], (height, width))


def checked_stroke(stroke: Sequence) -> tuple[float, np.ndarray]:
    """Radius and points (N, 2) of a stroke; InputError for what is none."""
    try:
        radius, points = float(stroke[0]), np.array(stroke[1], dtype=float).reshape(-1, 2)
        if 0 < radius < 1e6 and len(points) > 0 and (np.abs(points) < 1e6).all():
            return radius, points
    except (TypeError, ValueError, LookupError, OverflowError):
        pass
    raise InputError(f"a stroke is [radius, [x, y, x, y, ...]] in pixels: {str(stroke)[:80]} is none")


def smoothed(mask: Tensor, times: int) -> Tensor:
    """A mask (1, 1, H, W) in `times` as many pixels each way, round where it had steps, and nowhere smaller."""
    if times == 1:
        return mask
    shape = times * mask.shape[-1], times * mask.shape[-2]
    soft = cv2.resize(cv2.GaussianBlur(mask[0, 0].numpy(), (0, 0), 1), shape, interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(soft > 0.15)[None, None].to(mask)


def hole_ratio(mask: Tensor) -> Tensor:
    """The unknown share of each mask (B, 1, H, W) -> (B,), between 0 and 1."""
    return mask.float().mean(dim=(1, 2, 3))


def named(
    name: str, size: Size, landmarks: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """The mask of a name in `ALL_NAMES`: (1, 1, H, W), or one per face (B, 1, H, W) where landmarks shape it.

    "irregular" and "block" draw one mask per face of the landmarks (one without them) from the generator
    (seed 0 without one). InputError for an unknown name, where the mask needs landmarks, and for WORN.
    """
    check_name(name)
    generator = generator or torch.Generator().manual_seed(0)
    count = 1 if landmarks is None else len(landmarks)
    if name == "irregular":
        return irregular(count, size, generator)
    if name == "block":
        return block(count, size, generator)
    if name == WORN:
        raise InputError(f"{WORN} is what a photo shows, not what is drawn: choose one of {', '.join(NAMES)}")
    if name.startswith("face-mask"):
        return face_mask(landmarks, size, name.removeprefix("face-mask").removeprefix("-") or FACE_MASK_SHAPES[0])
    return standard(name, size, landmarks)


def check_name(name: str) -> None:
    """Raise InputError, which names the nearest, unless `name` is one of ALL_NAMES."""
    if name.lower() in ("transparent", "transparency", "alpha"):
        said = f"there is no mask '{name}', for transparency is no colour"
        raise InputError(f"{said}: give an image that is transparent there as the mask, be it the photo itself")
    require_known("mask", name, ALL_NAMES)


def random_training_mask(
    landmarks: Tensor, size: Size, generator: torch.Generator, mix: Mapping[str, float] = TRAINING_MIX
) -> Tensor:
    """One mask per face of landmarks (B, 68, 2), of kinds drawn in the shares of `mix` -> (B, 1, H, W).

    A face whose landmarks are unknown (NaN) gets an irregular mask where its kind would need them.
    """
    masks = []
    for face in landmarks.split(1):
        rng = _random(generator)
        kind = rng.choices(list(mix), weights=list(mix.values()))[0]
        if kind in ("standard-on-face", "face-mask", "part") and not face.isfinite().all():
            kind = "irregular"
        if kind == "standard":
            mask = standard(rng.choice(STANDARD[:6]), size)
        elif kind == "standard-on-face":
            mask = standard(rng.choice(STANDARD[6:]), size, face)
        elif kind == "irregular":
            mask = irregular(1, size, generator)
        elif kind == "large" and rng.random() < 0.7:
            mask = irregular(1, size, generator, LARGE_HOLE)
        elif kind == "large":
            mask = block(1, size, generator, (0.6, 0.92))
        elif kind == "block":
            mask = block(1, size, generator)
        elif kind == "part":
            mask = part(face, size, rng.choice(PARTS), rng.uniform(0.1, 0.4))
        else:
            mask = face_mask(face, size, rng.choice(FACE_MASK_SHAPES))
        masks.append(mask.to(landmarks.device))
    return torch.cat(masks)


def _irregular_hole(rng: random.Random, height: int, width: int, low: float, high: float) -> np.ndarray:
    """Strokes until the hole's share of the pixels lies in (low, high) -> (H, W), 0 or 255."""
    pixels = height * width
    within = 0 <= low < high <= 1  # as NaN is not
    fewest = math.floor(low * pixels + 1e-6) + 1 if within else 0  # 1e-6: 0.29 * 100 is 28.999999999999996
    most = math.ceil(high * pixels - 1e-6) - 1 if within else -1
    if fewest > most:
        raise InputError(
            f"no mask of {width} x {height} pixels has a hole ratio between {low} and {high}: "
            "give a wider (low, high) within 0 and 1, for instance one of HOLE_RATIO_BINS"
        )
    target = rng.randint(fewest, most)
    # Larger holes get wider strokes too, or they would be a dense hatching.
    thickness = 0.7 + 1.2 * target / pixels
    image = Image.new("L", (width, height))
    holes = 0
    for _ in range(60):
        before = image.copy()
        _paint(ImageDraw.Draw(image), *_random_stroke(rng, height, width, thickness))
        holes = image.histogram()[255]
        if holes > most:  # too much: take it back, and go on with a finer brush
            image, thickness = before, 0.7 * thickness
        elif holes >= target:
            return np.asarray(image)
    hole = np.array(image)
    # Sixty strokes missed a narrow interval: a round dot then fills up what is missing, to the pixel.
    missing = max(0, target - np.count_nonzero(hole))
    rows, columns = np.indices(hole.shape)
    distance = np.hypot(rows - rng.uniform(0, height), columns - rng.uniform(0, width))
    distance[hole > 0] = np.inf
    hole.flat[np.argsort(distance, axis=None, kind="stable")[:missing]] = 255
    return hole


def _random_stroke(
    rng: random.Random, height: int, width: int, thickness: float
) -> tuple[np.ndarray, list[float]]:
    """A random walk with slowly changing heading and radius, now and then a joint -> points, radii."""
    side = min(height, width)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    radius = thickness * side * rng.uniform(0.012, 0.06)
    heading, turn = rng.uniform(0, 2 * math.pi), rng.gauss(0, 0.3)
    is_dot = rng.random() < 0.15
    points, radii = [], []
    for _ in range(1 if is_dot else rng.randint(4, 14)):
        points.append((x, y))
        radii.append(radius)
        turn = 0.7 * turn + rng.gauss(0, 0.2)
        heading += turn + (rng.uniform(-2, 2) if rng.random() < 0.08 else 0)
        step = side * rng.uniform(0.03, 0.07)
        x, y = x + step * math.cos(heading), y + step * math.sin(heading)
        radius *= rng.uniform(0.8, 1.25)
    return np.array(points), radii


def _paint(draw: ImageDraw.ImageDraw, points: np.ndarray, radii: Sequence[float]) -> None:
    """A stroke with round caps and joints: discs at the points (N, 2), thick lines between them."""
    points = points.tolist()
    for (x, y), r in zip(points, radii):
        draw.ellipse((round(x - r), round(y - r), round(x + r), round(y + r)), fill=255)
    for (x0, y0), (x1, y1), r0, r1 in zip(points, points[1:], radii, radii[1:]):
        ends = (round(x0), round(y0), round(x1), round(y1))
        draw.line(ends, fill=255, width=max(1, round(r0 + r1)))


def _face_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The face's own right and down (B, 2), of length 1, and its unit (B,): eyes to mouth in pixels."""
    eyes, mouth = points[:, 36:48].mean(axis=1), points[:, 48:68].mean(axis=1)
    unit = np.linalg.norm(mouth - eyes, axis=1)
    down = (mouth - eyes) / np.maximum(unit, 1e-6)[:, None]
    right = np.stack([down[:, 1], -down[:, 0]], axis=1)
    return right, down, unit


def _outline(points: Tensor, forehead: float) -> Tensor:
    """The jaw line, and the brows moved up, of landmarks (B, 68, 2): (B, 27, 2)."""
    up = points[:, 36:48].mean(1) - points[:, 48:68].mean(1)
    lift = forehead * points.new_tensor(_FOREHEAD)[:, None] * up[:, None]
    return torch.cat([points[:, :17], points[:, 17:27] + lift], dim=1)


def _convex_region(points: Tensor, size: int) -> Tensor:
    """The convex hull of points (B, N, 2) filled by tensors alone, for a recorded graph: (B, 1, size, size).

    Each pair of points is an edge of some direction, which the farthest point bounds; a few pixels of its rim more
    than `_fill` has.
    """
    points = points.round()
    x, y = points.unbind(-1)
    out_x, out_y = (y[:, None] - y[:, :, None]).flatten(1), (x[:, :, None] - x[:, None]).flatten(1)  # B, N * N
    reach = (out_x[..., None] * x[:, None] + out_y[..., None] * y[:, None]).amax(2)
    line = torch.arange(size, dtype=points.dtype)
    across = (reach[..., None] - out_y[..., None] * line) / out_x[..., None]  # B, N * N, rows
    right = across.masked_fill(out_x[..., None] <= 0, torch.inf).amin(1)[..., None] + 0.499
    left = across.masked_fill(out_x[..., None] >= 0, -torch.inf).amax(1)[..., None] - 0.499
    rows = (line >= y.amin(1, keepdim=True)) & (line <= y.amax(1, keepdim=True))
    return ((line > left) & (line < right) & rows[..., None])[:, None].float()


def _convex_hull(points: np.ndarray) -> np.ndarray:
    """The corners of the convex hull of points (N, 2), in order."""
    return cv2.convexHull(points.astype(np.float32))[:, 0]


def _closed_curve(corners: np.ndarray, samples: int = 8) -> np.ndarray:
    """A closed Catmull-Rom curve through corners (N, 2) -> (N * samples, 2)."""
    before, after, next_after = (np.roll(corners, shift, axis=0)[:, None] for shift in (1, -1, -2))
    start = corners[:, None]
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    linear, square = after - before, 2 * before - 5 * start + 4 * after - next_after
    cube = 3 * start - before - 3 * after + next_after
    return (start + 0.5 * (linear * t + square * t**2 + cube * t**3)).reshape(-1, 2)


def _fill(outlines: Sequence[np.ndarray], size: Size) -> Tensor:
    """Filled polygons, one (N, 2) in pixels per mask -> (B, 1, H, W)."""
    height, width = _height_width(size)
    images = []
    for outline in outlines:
        image = Image.new("L", (width, height))
        ImageDraw.Draw(image).polygon(outline.round().ravel().tolist(), fill=255)
        images.append(np.asarray(image))
    return _stack(images, (height, width))


def _stack(images: Sequence[np.ndarray], shape: tuple[int, int]) -> Tensor:
    """Pictures (H, W) of 0 and 255 -> masks (B, 1, H, W) of 0 and 1."""
    masks = np.zeros((len(images), 1, *shape), dtype=np.float32)
    for mask, image in zip(masks, images):
        mask[0] = image > 0
    return torch.from_numpy(masks)


def _random(generator: torch.Generator) -> random.Random:
    """A source of scalars seeded by the generator: ten times cheaper than one tensor per number."""
    return random.Random(int(torch.randint(2**62, (), generator=generator, device=generator.device)))


def _height_width(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 2 or width < 2:
        raise InputError(f"a mask of {width} x {height} pixels is too small: give at least 2 x 2")
    return height, width


def _checked(landmarks: Tensor | None) -> np.ndarray:
    if landmarks is None:
        raise InputError("this mask follows the face and needs its landmarks: give (B, 68, 2) pixels")
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise InputError(f"landmarks are (B, 68, 2) pixels, x then y: these are {tuple(landmarks.shape)}")
    if not landmarks.isfinite().all():
        raise InputError("a face has no landmarks (NaN): predict them, or take a mask that needs none")
    return landmarks.detach().cpu().double().numpy()
