"""Masks as people draw them, of every make, as one kind: (1, 1, H, W), 1 = unknown, as large as the photo.

Plain is white on black. Other makes are understood where they can be, and the notes say how; what may mean two things
is asked back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.basics.errors import InputError, unknown
from faceinpaint.faces.image_files import named, use_image
from faceinpaint.faces.photos import Photo, box_around, upright

Source = str | Path | bytes | Image.Image | np.ndarray | Tensor

MOST = 0.85  # of the photo hidden, above which it is asked whether the mask is the other way round
NEAR = 40  # of 255: colours that are one, in a JPEG
FLAT = 0.5  # the most of a mask that may be neither hidden nor known; a photo has more
LABELS = 9  # the most flat colours of a mask; a photo has more
FAINT = 32  # of 255: what differs less, is noise of a JPEG
TURNS = (  # what EXIF's orientations 1 to 8 do to stored pixels (H, W)
    lambda one: one, np.fliplr, lambda one: np.rot90(one, 2), np.flipud, np.transpose, lambda one: np.rot90(one, -1),
    lambda one: np.rot90(one, 2).T, np.rot90,
)


@dataclass(frozen=True)
class DrawnMask:
    """A mask, and what to do with it; its bare source will do where nothing is."""

    source: Source  # a file or its content, a picture, an array, a tensor, or a colour that is painted in the photo
    invert: bool | None = None  # what was understood as the hole is known; False: it is not, however much it hides
    grow: int = 0  # pixels of the photo
    drawn_on: str | None = None  # the photo as it is "shown" or as it is "stored", before its EXIF turned it


class WhichWayRound(InputError):
    """A mask hides so much that only who made it knows which part of it is the hole."""


class ReadMask(NamedTuple):
    """A mask (1, 1, H, W), 1 = unknown, and what was understood, in sentences."""

    mask: Tensor
    notes: list[str]


class _Levels(NamedTuple):
    """How much each pixel (H, W) belongs to the hole, in any unit; `said`: how that was understood."""

    values: np.ndarray
    said: str = ""
    top: float = 255
    turned: bool = False  # its file says how it stands: it is drawn on the photo as shown
    inverted: bool = False


def read_mask(given: Source | DrawnMask, photo: Photo) -> ReadMask:
    """The hole in a photo that a mask of any make shows.

    Raises InputError for what can't be read, is a picture and no mask, hides nothing or, unless `invert` says so,
    nearly everything, or fits the photo neither as it is shown nor as it is stored, or both.
    """
    drawn = given if isinstance(given, DrawnMask) else DrawnMask(given)
    colour = colour_of(drawn.source)
    inverted = bool(drawn.invert)
    levels = _painted_in(photo, colour, str(drawn.source), inverted) if colour else _levels(drawn.source, photo)
    hole, said = _hole_of(_the_other_way_round(levels) if inverted else levels)
    notes = [one for one in (levels.said.replace("is the hole", "is known") if inverted else levels.said, said) if one]
    _ask_back(hole, drawn, colour is not None)
    if not colour:
        hole = _turned(hole, levels.turned, photo, drawn.drawn_on, notes)
    mask = _fitted(torch.from_numpy(np.ascontiguousarray(hole))[None, None].float(), photo, notes)
    return ReadMask(grown(mask, drawn.grow), notes)


def colour_of(source: object) -> tuple[int, int, int] | None:
    """The colour that a text names (`white`, `#00ff00`), unless there is a file of that name."""
    if not isinstance(source, str) or Path(source).suffix or len(source) > 100:
        return None
    try:
        colour = ImageColor.getrgb(source)[:3]
        return None if Path(source).exists() else colour
    except (ValueError, OSError):
        return None


def grown(mask: Tensor, pixels: int) -> Tensor:
    """A mask (1, 1, H, W) that reaches so many pixels further in each direction."""
    for side in ((2 * pixels + 1, 1), (1, 2 * pixels + 1)) if pixels else ():
        mask = F.max_pool2d(mask, side, stride=1, padding=(side[0] // 2, side[1] // 2))
    return mask


# ------------------------------------------------------------------------------- what is the hole


def _the_other_way_round(levels: _Levels) -> _Levels:
    """Levels whose highest are the lowest, before an edge is looked for: its margin belongs to the hole."""
    low, high = levels.values.min(), levels.values.max()
    return levels if low == high else levels._replace(values=low + (high - levels.values), inverted=True)


def _levels(source: Source, photo: Photo) -> _Levels:
    if isinstance(source, Tensor):
        source = source.detach().cpu().float().numpy() if source.is_floating_point() else source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _levels_of_array(source, photo)
    if not isinstance(source, (str, Path, bytes, Image.Image)):
        raise InputError(_NO_MASK)
    return use_image(source, lambda image, _: _levels_of_picture(image, named(source), photo))


_NO_MASK = "this is no mask: give a name, a file, a PIL image, an array (H, W) or a tensor (1, 1, H, W)"


def _levels_of_array(values: np.ndarray, photo: Photo) -> _Levels:
    """Of (H, W), with axes of length 1 anywhere, or with 3 or 4 colours on the first axis or the last one."""
    if values.dtype.kind not in "biuf" or not values.size or not np.isfinite(values).all():
        raise InputError(_NO_MASK)
    while values.ndim > 3 and 1 in values.shape:
        values = values.squeeze(values.shape.index(1))
    if values.ndim == 3 and 1 not in values.shape and values.shape[-1] not in (3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and 1 not in values.shape and values.shape[-1] in (3, 4):
        if values.shape[-1] == 4 or values.dtype == np.uint8 or (values != values[..., :1]).any():
            return _levels_of_picture(Image.fromarray(_bytes_of(values)), "the mask", photo)
        values = values[..., 0]
    if values.ndim < 2 or len([side for side in values.shape if side != 1]) > 2:
        raise InputError(_NO_MASK)
    last = values.shape[-3:-1] if values.shape[-1] == 1 and values.ndim > 2 else values.shape[-2:]
    if values.size != last[0] * last[1]:
        raise InputError(_NO_MASK)
    values = values.reshape(last).astype(np.float32)
    top = 1 if values.max() <= 1 else 255 if values.max() <= 255 else 65535
    return _Levels(values, top=top)


def _bytes_of(colours: np.ndarray) -> np.ndarray:
    """Colours in [0, 1], up to 255 or of 16 bits as bytes."""
    if colours.dtype == np.uint8:
        return np.ascontiguousarray(colours)
    low, high = float(colours.min()), float(colours.max())
    if low < 0 or high > 65535:
        raise InputError(f"the mask's colours reach from {low:g} to {high:g}: give them from 0 to 1, or to 255")
    scale = 255 if high <= 1 else 1 if high <= 255 else 255 / 65535
    return (colours.astype(np.float32) * scale).round().astype(np.uint8)


def _levels_of_picture(image: Image.Image, name: str, photo: Photo) -> _Levels:
    """Of a picture, upright as its own EXIF says."""
    image, orientation = upright(image)
    turned = orientation != 1
    if image.has_transparency_data:
        image = image.convert("RGBA")
        pixels = np.asarray(image)
        if pixels[..., 3].min() < 250:
            levels = _of_transparency(pixels, photo)
            if levels is not None:
                return levels._replace(turned=turned)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    if image.mode[0] in "IF1":
        top = {"1": 1, "F": 1}.get(image.mode, 65535)
        values = np.asarray(image, dtype=np.float32)
        return _Levels(values, top=top if values.max() <= top else 255, turned=turned)
    if _is_same(image, photo.shown):
        raise InputError(
            f"photo and mask are one picture ({name}): give a mask that is white where the photo is to be completed, "
            "or the colour of what is painted in it, as in --mask white"
        )
    return _of_colours(image, name, photo)._replace(turned=turned)


def _is_same(image: Image.Image, photo: Image.Image) -> bool:
    """Whether two pictures show the same, in grey and seen from afar."""
    small = (picture.convert("L").resize((64, 64), Image.Resampling.BOX) for picture in (image, photo))
    one, other = (np.asarray(picture, int) for picture in small)
    return bool(min(one.std(), other.std()) > 8 and np.abs(one - other).mean() < 3)


def _of_transparency(pixels: np.ndarray, photo: Photo) -> _Levels | None:
    """Of (H, W, 4): what is painted on nothing, or what was cut out; None where neither tells."""
    alpha = pixels[..., 3]
    share = (alpha > 8).mean()
    if not share:
        raise InputError("the mask is transparent all over: paint what is to be completed white, on black")
    visible = _some(pixels[alpha > 8][:, :3]).astype(int)
    paint = np.median(visible, axis=0)
    flat = (np.abs(visible - paint).max(axis=-1) <= NEAR).mean() > 0.99
    if flat and share <= 0.5:
        said = "" if paint.min() > 250 and alpha.max() == 255 else f"what is painted ({_hex(paint)}) is the hole"
        return _Levels(alpha, said)
    if not flat and not _shows(pixels, photo) and _kinds(pixels[..., :3], alpha > 8) is not None:
        return None
    frame = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    if share <= 0.5 and (frame <= 8).mean() > 0.9 and not _is_cut_out(alpha, photo):
        return _Levels((alpha > 8) * 255, "what is visible in the mask is the hole")
    return _Levels(255 - alpha.astype(int), "what is transparent in the mask is the hole")


def _is_cut_out(alpha: np.ndarray, photo: Photo) -> bool:
    """Whether the transparency (H, W) is the photo's own: then what was erased is to be completed."""
    return photo.own.mode == "RGBA" and np.array_equal(np.asarray(photo.own)[..., 3], alpha)


def _shows(pixels: np.ndarray, photo: Photo) -> bool:
    """Whether what is visible of (H, W, 4) is a part of the photo."""
    if pixels.shape[1::-1] != photo.shown.size:
        return False
    seen = pixels[..., 3] > 250
    off = np.abs(pixels[seen][:, :3].astype(np.int16) - np.asarray(photo.shown)[seen]).max(axis=-1)
    return bool(seen.any() and (off <= NEAR).mean() > 0.99)


def _of_the_photo(image: Image.Image, photo: Photo) -> _Levels | None:
    """Of a mask that holds a part of the photo itself on one colour; None of one that does not."""
    if image.size != photo.shown.size:
        return None
    mode = "L" if image.mode == "L" else "RGB"
    both = (np.atleast_3d(np.asarray(one.convert(mode))) for one in (image, photo.shown))
    colours, shown = (np.broadcast_to(one, (*one.shape[:2], 3)) for one in both)
    ground = _ground_beside(colours, shown)
    if ground is None:
        return None
    other, part = _off(colours, shown) > NEAR, _off(colours, ground) > FAINT // 2
    _, pieces, about, _ = cv2.connectedComponentsWithStats((~part & ~other).astype(np.uint8))
    small = about[:, cv2.CC_STAT_AREA] <= part.size / 50  # what has that colour in the photo too, beside the rest
    beside = np.zeros_like(small)
    beside[pieces[_wider(part)]] = True
    hole = part | beside[pieces] & (small[pieces] | box_around(part)) & ~other
    return _Levels(hole * 255, f"what of the photo is in the mask, on {_hex(ground)}, is the hole")


def _ground_beside(colours: np.ndarray, shown: np.ndarray) -> np.ndarray | None:
    """The one colour that a mask (H, W, 3) has where it is not the photo, if that is enough; a part of it decides."""
    step = max(1, round((colours.size / 750_000) ** 0.5))
    colours, shown = colours[::step, ::step], shown[::step, ::step]
    other = _off(colours, shown) > NEAR
    if not 0.05 < other.mean() < 1:
        return None
    ground = _commonest(colours[other])
    off = _off(colours, ground)
    part = off > FAINT // 2
    if (off[other] > FAINT // 2).mean() > 0.01 or not part.any() or colours[part].std(axis=0).max() < 10:
        return None
    return ground


def _of_colours(image: Image.Image, name: str, photo: Photo) -> _Levels:
    """Of an opaque picture: grey, of two colours, of which the painted or brighter one is the hole, or of more."""
    held = _of_the_photo(image, photo)
    if held is not None:
        return held
    if image.mode == "L":
        return _Levels(np.asarray(image))
    colours = np.asarray(image.convert("RGB"))
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    brightest = _most([red, green, blue])
    if (brightest - np.minimum(np.minimum(red, green), blue) > NEAR).mean() < 0.0005:
        return _Levels(brightest)
    two = _two_colours(colours)
    if two is None:
        return _of_labels(colours, name)
    # What has a colour is painted, on black, grey or white; of two colours, or none, the brighter is.
    first, second = sorted(two, key=lambda one: (np.ptp(one) > NEAR, one @ [0.299, 0.587, 0.114]))
    line = (second - first) / ((second - first) @ (second - first))
    along = red * line[0] + green * line[1] + blue * line[2] - first @ line  # 0 at the first, 1 at the second
    if (np.minimum(abs(along), abs(along - 1)) > 0.1).mean() > FLAT:  # a photo in shades of one colour
        raise _many_colours(name)
    if np.ptp(first) > NEAR:
        said = f"of two colours the brighter one ({_hex(second)}) is the hole"
    else:
        said = f"what is painted ({_hex(second)}) is the hole"
    values = (along.clip(0, 1) * 255).round()
    third = _in_strips(lambda strip: _off_line(strip, first, second) > NEAR, colours)
    if _is_noisy(colours, first):  # a JPEG's edges have any colour
        third = _wider(third & _is_flat(colours), 2)
    if third.any():
        values[third], said = 255, f"what is painted on {_hex(first)}, in any colour, is the hole"
    return _Levels(values, said)


def _of_labels(colours: np.ndarray, name: str) -> _Levels:
    """Of several flat colours (H, W, 3) on black, grey or white: all of them are the hole."""
    kinds = _kinds(colours)
    if kinds is None:
        raise _many_colours(name)
    grounds = [one for one, share in kinds if np.ptp(one) <= NEAR and share > 0.05]
    if len(grounds) != 1:
        said = f"{name} holds {len(kinds)} colours, of which any may be the hole"
        raise InputError(f"{said}: paint what is to be completed white, and all else black")
    off = _off(colours, grounds[0])
    painted = _wider(off > FAINT) if _is_noisy(colours, grounds[0]) else off > 0.05 * 255
    return _Levels(painted * 255, f"what is painted on {_hex(grounds[0])}, in any colour, is the hole")


def _is_noisy(colours: np.ndarray, ground: np.ndarray) -> bool:
    """Whether the ground of a mask (H, W, 3) has the noise of a JPEG."""
    off = _off(colours, ground)
    return bool(((off > 2) & (off <= FAINT)).mean() > 0.001)


def _wider(hole: np.ndarray, pixels: int = 1) -> np.ndarray:
    """A hole (H, W) that reaches so many pixels further."""
    return cv2.dilate(hole.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def _kinds(colours: np.ndarray, where: np.ndarray | None = None) -> list[tuple[np.ndarray, float]] | None:
    """The few flat colours of (H, W, 3), `where` it counts, each with its share of them; None where it has others."""
    flat = _is_flat(colours)
    where = np.ones_like(flat) if where is None else cv2.erode(where.astype(np.uint8), np.ones((3, 3))) > 0
    rest = _some(colours[flat & where]).astype(np.float32)
    count, kinds = len(rest), []
    if not count or (flat & where).sum() < FLAT * where.sum():
        return None
    while len(rest) > 0.01 * count and len(kinds) < LABELS:
        kind = _commonest(rest)
        near = np.abs(rest - kind).max(axis=-1) <= FAINT // 2
        kinds.append((kind, near.sum() / count))
        rest = rest[~near]
    return kinds if len(rest) <= 0.01 * count else None


def _many_colours(name: str) -> InputError:
    return InputError(
        f"{name} is a picture in many colours, not a mask: paint what is to be completed white, and all else black"
    )


def _two_colours(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The two colours that (H, W, 3) consists of, nearly all others being mixed of them; None where there are more."""
    flat = _some(_is_flat(colours).reshape(-1, 1))[:, 0]  # other pixels are a JPEG's edges, which have any colour
    pixels = _some(colours.reshape(-1, 3)).astype(np.float32)
    first = _commonest(pixels)
    painted = np.abs(pixels - first).max(axis=-1) > NEAR
    second = _commonest(pixels[painted]) if painted.any() else first
    off, painted = _off_line(pixels, first, second), painted & flat
    more = (off > NEAR).mean() > 0.02 or painted.any() and (off[painted] > FAINT // 2).mean() > 0.15
    return None if more else (first, second)


def _is_flat(colours: np.ndarray) -> np.ndarray:
    """Where (H, W, 3) has one colour around a pixel, (H, W)."""
    square = np.ones((3, 3), np.uint8)
    return _most(np.moveaxis(cv2.dilate(colours, square) - cv2.erode(colours, square), -1, 0)) <= FAINT // 2


def _off(colours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By how much (H, W, 3) is off a colour, or another picture's, in the channel where it is most, (H, W)."""
    other = np.asarray(other).round().astype(np.uint8)
    pairs = [(colours[..., channel], other[..., channel]) for channel in range(3)]
    return _most([np.maximum(one, another) - np.minimum(one, another) for one, another in pairs])


def _most(channels: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """The largest of three channels (3, ...): far quicker than numpy's own over a last axis."""
    return np.maximum(np.maximum(channels[0], channels[1]), channels[2])


def _in_strips(function: Callable[[np.ndarray], np.ndarray], colours: np.ndarray) -> np.ndarray:
    """A function of each pixel of (H, W, C), a few rows at a time: it would take much memory for all."""
    return np.concatenate([function(colours[row : row + 256]) for row in range(0, len(colours), 256)])


def _off_line(pixels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how much (..., 3) is off the nearest mixture of two colours, of 255, (...,)."""
    line = second - first
    share = ((pixels - first) @ line / max(line @ line, 1)).clip(0, 1)[..., None]
    return _most(np.moveaxis(np.abs(pixels - first - share * line), -1, 0))


def _some(pixels: np.ndarray) -> np.ndarray:
    """Enough of the pixels (N, 3) to judge them all by."""
    return pixels[:: max(1, len(pixels) // 250_000)]


def _commonest(pixels: np.ndarray) -> np.ndarray:
    """The commonest colour of (N, 3), roughly."""
    coarse = (pixels // 16) @ [256, 16, 1]
    kinds, counts = np.unique(coarse, return_counts=True)
    return np.median(pixels[coarse == kinds[counts.argmax()]], axis=0)


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(round(float(one))):02x}" for one in colour)


def _painted_in(photo: Photo, colour: tuple[int, int, int], name: str, inverted: bool) -> _Levels:
    """What is painted into a photo in a colour, and the edges of the strokes, which JPEG smears: always in the hole."""
    off = np.abs(np.asarray(photo.shown).astype(np.int16) - np.array(colour, np.int16)).max(axis=-1)
    for most in (FAINT // 4, FAINT) if photo.lossy else (1, FAINT):  # the second for thin strokes
        _, parts, about, _ = cv2.connectedComponentsWithStats((off <= most).astype(np.uint8), connectivity=8)
        strokes = about[:, cv2.CC_STAT_AREA] >= max(16, off.size // 50_000)  # a glint in an eye is none
        strokes[0] = False
        painted = strokes[parts]
        if painted.any():
            break
    else:
        raise InputError(f"nothing in the photo is {name}: give the colour of the strokes as #rrggbb, or a mask")
    margin = 3 if photo.lossy else 1
    if inverted:
        hole = ~_wider(~painted, margin)
    else:
        hole = _wider(painted | _wider(painted, 3) & (off <= 4 * FAINT), margin)
    said = f"what is {name} in the photo is the hole, {hole.mean():.0%} of it with a margin"
    return _Levels(hole.astype(np.uint8), said, top=1)


# --------------------------------------------------------------------------------- where its edge is


def _hole_of(levels: _Levels) -> tuple[np.ndarray, str]:
    """Which pixels are the hole, everything that is not clearly known; and what to say of it."""
    values, low, high = levels.values, float(levels.values.min()), float(levels.values.max())
    if low == high:
        if low in (0, levels.top):
            what = "is empty" if low == 0 else "hides the whole face"
            raise InputError(f"the mask {what}: paint what is to be completed white, and all else black")
        raise InputError(f"the mask has the value {low:g} everywhere: paint what is to be completed white, on black")
    hole = values == high
    between = ~hole & (values != low)
    if not between.any():
        plain = levels.said or low == 0 and high == levels.top
        which = "lower" if levels.inverted else "higher"
        return hole, "" if plain else f"of the mask's two values, {low:g} and {high:g}, the {which} is the hole"
    if (high - low) * 255 / levels.top < FAINT:
        said = f"the mask holds values from {low:g} to {high:g}, of which none stands out"
        raise InputError(f"{said}: paint what is to be completed white, and all else black")
    share = ((values - low) / (high - low)).astype(np.float32)
    middle = (share > 0.05) & (share < 0.95)
    if middle.mean() > FLAT:
        raise InputError("this is a picture, not a mask: paint what is to be completed white, and all else black")
    flat = middle[:-1, :-1] & (values[:-1, :-1] == values[1:, :-1]) & (values[:-1, :-1] == values[:-1, 1:])
    if flat.sum() > middle.sum() / 2:  # no soft edge
        others = np.unique(values[:-1, :-1][flat])
        if len(others) == 1:
            two = (low, low + (high - others[0])) if levels.inverted else (others[0], high)
            return share > 0.05, f"the mask's values {two[0]:g} and {two[1]:g} are both the hole"
        said = f"the mask holds {len(others) + 2} values, of which any may be the hole"
        raise InputError(f"{said}: paint it white, and all else black")
    hole, width = _sharp(share)
    deep = cv2.distanceTransform(middle.astype(np.uint8), cv2.DIST_L2, 5) > 2 * width + 2  # deeper than an edge is wide
    if (deep & ~hole).any() and deep.sum() > 0.01 * min(hole.sum(), (~hole).sum()):
        raise InputError("the mask holds a picture in grey: paint what is to be completed white, and all else black")
    return hole, "the soft edges of the mask belong to the hole"


def _sharp(share: np.ndarray) -> tuple[np.ndarray, float]:
    """The hole of which a soft mask (H, W) was made, with a margin: a fifth of it, once it is sharpened.

    And the width of its edge, pixels.
    """
    edge = (share > 0.4) & (share < 0.6)
    steep = np.median(np.hypot(*np.gradient(share))[edge]) if edge.any() and min(share.shape) > 1 else 1
    width = 1 / max(steep * (2 * np.pi) ** 0.5, 1e-3)  # of the Gaussian that has blurred it, pixels
    if width < 1.5:  # edges a pixel wide, and JPEG's noise
        return _wider(share > 0.45), width
    coarse = max(1, width / 4)
    size = tuple(max(8, round(side / coarse)) for side in share.shape[::-1])
    known = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
    sharp = known
    for _ in range(20):  # van Cittert's: what blurring it again lacks, is added
        sharp = np.clip(sharp + known - cv2.GaussianBlur(sharp, (0, 0), width / coarse), 0, 1)
    return cv2.resize(sharp, share.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.2, width


# ------------------------------------------------------------------------------------ where it lies


def _ask_back(hole: np.ndarray, drawn: DrawnMask, in_photo: bool) -> None:
    """InputError for a mask that hides nothing, everything, or so much that it may be the other way round."""
    hidden = hole.mean()
    if hidden in (0, 1):
        what = "is empty" if hidden == 0 else "hides the whole face"
        raise InputError(f"the mask {what}: leave out --invert-mask, or paint what is to be completed white")
    if drawn.invert and hidden > MOST:
        raise InputError(f"the mask hides {hidden:.0%} of the photo, the other way round: leave out --invert-mask")
    frame = np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]])
    if drawn.invert is None and (hidden > MOST or hidden > 0.5 and frame.mean() > 0.99):
        if in_photo:
            raise InputError(
                f"{hidden:.0%} of the photo is {drawn.source}, not strokes alone but a backdrop or a frame too: give a "
                "mask image, white where the photo is to be completed, or paint in another colour"
            )
        raise WhichWayRound(
            f"the mask hides {hidden:.0%} of the photo: is it the other way round? Then give --invert-mask, "
            "and otherwise --no-invert-mask"
        )


def _turned(hole: np.ndarray, stands: bool, photo: Photo, drawn_on: str | None, notes: list[str]) -> np.ndarray:
    """A hole as the photo stands; one that fits the photo's stored pixels only, or is said to, is turned with it."""
    if drawn_on not in (None, "shown", "stored"):
        raise unknown("way to draw a mask", str(drawn_on), ("shown", "stored"))
    if photo.orientation == 1:
        return hole
    again = TURNS[photo.orientation - 1](hole)
    shown, stored = (fit(one.shape, photo.shown.size[::-1]) for one in (hole, again))
    if drawn_on is None and not stands and shown == stored > 0 and not np.array_equal(hole, again):
        raise InputError(
            "EXIF turns or mirrors the photo, and the mask would fit it both as viewers show it and as it is stored: "
            "say --mask-on shown or --mask-on stored"
        )
    if drawn_on == "shown" or drawn_on is None and (stands or shown >= stored):
        return hole
    notes.append("the mask was drawn on the photo as it is stored, and was turned with it")
    return again


def fit(shape: tuple[int, ...], size: tuple[int, int]) -> int:
    """How well (height, width) fits the photo's: 2 as large, 1 of another scale, 0 of another form."""
    if tuple(shape) == tuple(size):
        return 2
    off = shape[1] * size[0] / (shape[0] * size[1])  # a scaled side is off by half a pixel
    return int(max(off, 1 / off) <= 1 + max(0.01, 1 / min(shape), 1 / min(size)))


def _fitted(mask: Tensor, photo: Photo, notes: list[str]) -> Tensor:
    """A mask as large as the photo: unknown is all that touches an unknown pixel."""
    size = photo.shown.size[::-1]
    fitting = fit(mask.shape[-2:], size)
    if not fitting:
        raise InputError(
            f"the mask has {mask.shape[-1]} x {mask.shape[-2]} pixels and the photo {size[1]} x {size[0]}, which is "
            "another form: draw the mask on the whole photo"
        )
    if fitting == 1:
        notes.append("the mask had another size than the photo and was resized to it")
    return mask if fitting == 2 else F.adaptive_max_pool2d(mask, size)
