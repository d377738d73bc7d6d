"""Photographs: reading any image file as a photo, and folders of faces as a dataset."""

from __future__ import annotations

import difflib
import io
import os
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageChops, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.basics.files import parse_json
from faceinpaint.faces import align, detection
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.image_files import TURNED, named, use_image
from faceinpaint.prior.warps import strips

PHOTO_SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MIN_SIDE = 32  # pixels; a smaller picture shows no face that could be aligned

METADATA = "metadata.jsonl"
KEYS = ("file_name", "identity", "landmarks", "split", "source", "licence")
LONGEST_ROW = 1_000_000  # characters; those of rendered faces have 6,000

ORIENTATION, EXIF, PLACE, PROFILE = 0x0112, 0x8769, 0x8825, "icc_profile"
# Of EXIF's first part what is about the photo, not about how this file stores it; of the second, what is not.
ABOUT = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298)
NOT_ABOUT = (0x927C, 0xA002, 0xA003, 0xA005)  # a maker's own notes may hold the place or a small picture
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000", "GIF")


# ------------------------------------------------------------------------------------ one photo


@dataclass(frozen=True)
class Photo:
    """A photo as the networks see it and as it is kept, both upright, and what to say about it."""

    shown: Image.Image  # 8-bit sRGB, transparency over white
    own: Image.Image  # RGB, RGBA or L in its own colours; its `info` holds its profile, and EXIF without the place
    orientation: int = 1  # as EXIF counts: how it was turned to stand upright
    notes: list[str] = field(default_factory=list)
    lossy: bool = False  # colours in the file are off by a little

    def painted(self, result: Image.Image, hole: np.ndarray | None = None) -> Image.Image:
        """The photo with what differs in a `result` (sRGB), in its own colours; all else stays, bit for bit.

        Transparency stays too, but where it was the `hole` (H, W): there it ends.
        """
        box = ImageChops.difference(self.shown, result).getbbox()
        if box is None:
            return self.own
        before, after, own = (np.array(one.crop(box)) for one in (self.shown, result, self.own))
        where = (before != after).any(axis=-1)
        colours = after[where]
        if self.own.mode == "RGBA":
            if hole is not None:
                hole = hole[box[1] : box[3], box[0] : box[2]]
                where |= hole & (own[..., 3] < 255)  # painted white is painted too
                own[where & hole, 3] = 255
                colours = after[where]
            share = np.maximum(own[where, 3:], 1) / 255  # laid over white again, the colour is the painted one
            colours = np.clip((colours - 255 * (1 - share)) / share, 0, 255).round().astype(np.uint8)
            own[where, :3] = _from_srgb(colours, "RGB", self.own.info.get(PROFILE))
        else:
            own[where] = _from_srgb(colours, self.own.mode, self.own.info.get(PROFILE))
        photo = self.own.copy()
        photo.paste(Image.fromarray(own), box)
        return photo


def box_around(where: np.ndarray) -> np.ndarray:
    """The smallest box that holds all that is true in (H, W), as (H, W)."""
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    box = np.zeros_like(where)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def read_photo(source: str | Path | bytes | Image.Image) -> Image.Image:
    """An image file, or the content of one, as an upright 8-bit sRGB photo; see `open_photo`."""
    return open_photo(source).shown


def open_photo(source: str | Path | bytes | Image.Image) -> Photo:
    """An image file, the content of one or a picture, with everything that a result should keep.

    Turned as its EXIF says; the first frame of an animation; 16 bits scaled to 8; transparency over
    white; colours of its profile in sRGB. Raises InputError for a file that is missing, of none of FORMATS, damaged,
    larger than MAX_PIXELS or with a side under MIN_SIDE or above MAX_SIDE.
    """
    photo = use_image(source, partial(_photo_of, source=named(source)))
    if min(photo.shown.size) < MIN_SIDE:
        raise InputError(
            f"{named(source)} has {photo.shown.width} x {photo.shown.height} pixels, too few to show a face: "
            f"give a photo of at least {MIN_SIDE} x {MIN_SIDE} pixels."
        )
    return photo


def upright(image: Image.Image) -> tuple[Image.Image, int]:
    """A copy of a picture as a viewer shows it, and its orientation as EXIF counts."""
    try:
        orientation = image.info.get(TURNED) or image.getexif().get(ORIENTATION, 1)
        turned = ImageOps.exif_transpose(image)
    except Exception:  # EXIF may hold anything
        return image.copy(), 1
    return turned, orientation if orientation in range(1, 9) else 1


def _photo_of(image: Image.Image, notes: list[str], source: str) -> Photo:
    """The photo of a decoded picture; raises whatever Pillow does."""
    about, said = _exif_of(image)
    turned, orientation = upright(image)
    own, profile = _plain(eight_bit(turned, source)), image.info.get(PROFILE)
    space = _space_of(profile)
    if own.mode == "L" and space != "GRAY":
        own = own.convert("RGB")
    if profile and space != {"L": "GRAY", "CMYK": "CMYK"}.get(own.mode, "RGB"):
        said, profile = [*said, "its colour profile does not fit it and is left out"], None
    try:
        shown = _in_srgb(own, profile)
    except Exception as error:  # a profile may hold anything
        said, profile = [*said, f"its colour profile can't be used ({reason_of(error)}) and is left out"], None
        shown = _in_srgb(own, None)
    if own.mode == "CMYK" or not _leads_back(profile, own.mode):
        said = said if own.mode == "CMYK" else [*said, "its colours became sRGB, for its profile does not lead back"]
        own, profile = shown, None
    shown = _flattened(shown)
    own.info = {key: value for key, value in ((PROFILE, profile), ("exif", about)) if value}
    return Photo(shown, own, orientation, [*notes, *said], image.format in LOSSY)


def _plain(image: Image.Image) -> Image.Image:
    """In one of the modes RGBA, RGB, L and CMYK."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("L" if image.mode == "1" else "RGB")


def _exif_of(image: Image.Image) -> tuple[bytes, list[str]]:
    """What EXIF says about the photo, without the place, its orientation and small pictures; and what is left out."""
    try:
        exif, kept = image.getexif(), Image.Exif()
        for tag in ABOUT:
            if tag in exif:
                kept[tag] = exif[tag]
        details = {tag: value for tag, value in exif.get_ifd(EXIF).items() if tag not in NOT_ABOUT}
        if details:
            kept.get_ifd(EXIF).update(details)
        said = ["the place where it was taken (GPS) is not kept"] if exif.get_ifd(PLACE) else []
        return kept.tobytes() if len(kept) or details else b"", said
    except Exception:  # EXIF may hold anything
        return b"", ["its EXIF is damaged and was left out"]


def eight_bit(image: Image.Image, source: str) -> Image.Image:
    """16-bit greyscale scaled to 8 bits, where Pillow's own conversion clips; other modes as they are."""
    if image.mode == "F" or image.mode == "I" and not _has_16_bits(image):
        raise InputError(f"{source} stores more than 16 bits for a pixel: save it with 8 or 16.")
    if image.mode.startswith("I"):  # I;16, I;16B, or I
        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))  # 65535 / 257 = 255
    return image


def _has_16_bits(image: Image.Image) -> bool:
    """Whether a picture in Pillow's 32-bit mode comes from a 16-bit format, as PGM does."""
    darkest, brightest = image.getextrema()
    return 0 <= darkest and brightest <= 65535


def _flattened(image: Image.Image) -> Image.Image:
    """The image without transparency, laid over white."""
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


# ------------------------------------------------------------------------------------- colours


def _space_of(profile: bytes | None) -> str:
    """The colours that a profile is about, `RGB`, `GRAY` or `CMYK`; nothing of one that can't be read."""
    if not profile:
        return ""
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except Exception:  # a profile may hold anything
        return ""


@lru_cache(8)
def _transforms(profile: bytes, mode: str) -> tuple | None:
    """From a profile's colours to sRGB, and back; None where these are the same."""
    from PIL import ImageCms

    other, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    there = ImageCms.buildTransform(other, srgb, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    if mode == "CMYK":
        return there, None
    try:
        back = ImageCms.buildTransform(srgb, other, "RGB", mode, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except ImageCms.PyCMSError:  # of a scanner, say, into whose colours nothing is converted
        return there, None
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * 3), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(levels).convert(mode)
    if np.abs(np.asarray(ImageCms.applyTransform(probe, there), int) - np.asarray(probe.convert("RGB"), int)).max() < 3:
        return None
    return there, back


def _leads_back(profile: bytes | None, mode: str) -> bool:
    """Whether what is painted in sRGB can be converted into a profile's colours, if there is a profile."""
    transforms = _transforms(profile, "RGB" if mode == "RGBA" else mode) if profile else None
    return transforms is None or transforms[1] is not None


def _in_srgb(own: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of a profile's colours as RGB, or RGBA, of sRGB's."""
    picture = own.convert("RGB") if own.mode == "RGBA" else own
    transforms = _transforms(profile, picture.mode) if profile else None
    if transforms:
        from PIL import ImageCms

        picture = ImageCms.applyTransform(picture, transforms[0])
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if own.mode == "RGBA":
        picture.putalpha(own.getchannel("A"))
    return picture


def _from_srgb(colours: np.ndarray, mode: str, profile: bytes | None) -> np.ndarray:
    """Colours (N, 3) of sRGB as those of a profile, (N, 3), or (N,) for the mode L."""
    if not len(colours):
        return colours[:, 0] if mode == "L" else colours
    picture, mode = Image.fromarray(colours[None]), mode if mode == "L" else "RGB"
    transforms = _transforms(profile, mode) if profile else None
    if transforms:
        from PIL import ImageCms

        picture = ImageCms.applyTransform(picture, transforms[1])
    return np.asarray(picture.convert(mode))[0]


def encoded(photo: Image.Image, form: str = "png", quality: int = 95) -> bytes:
    """A photo as the content of a PNG or JPEG file with its profile and EXIF; a JPEG has no transparency: white."""
    about = {key: photo.info[key] for key in (PROFILE, "exif") if key in photo.info}
    content = io.BytesIO()
    if form == "png":
        photo.save(content, "png", **about)
    else:
        _flattened(photo).save(content, "jpeg", quality=quality, **about)
    return content.getvalue()


# ------------------------------------------------------------------------------------- tensors


def to_tensor(photo: Image.Image) -> Tensor:
    """A photo as (1, 3, H, W) float32 RGB in [0, 1]."""
    return to_bytes(photo).float() / 255


def to_bytes(photo: Image.Image) -> Tensor:
    """A photo as (1, 3, H, W) bytes: a large one would take four times the memory as numbers in [0, 1]."""
    pixels = np.empty((photo.height, photo.width, 3), np.uint8)
    for rows in strips(photo.height):  # Pillow's own way copies all of it three times
        pixels[rows] = photo.crop((0, rows.start, photo.width, rows.stop)).convert("RGB")
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def rounded(tensor: Tensor) -> Tensor:
    """Numbers in [0, 1] as bytes, each rounded to the nearest."""
    return (tensor.clamp(0, 1) * 255).round().byte()


def to_image(tensor: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] as an 8-bit RGB photo, each value rounded to the nearest; undoes `to_tensor`.

    Bytes are taken as they are.
    """
    pixels = tensor[0] if tensor.dtype == torch.uint8 else rounded(tensor.detach().float())[0]
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


# --------------------------------------------------------------------------------- faces on disk


class FaceFolder(Dataset):
    """Faces on disk in the `imagefolder` layout: `metadata.jsonl` beside the images, one row for each.

    split: only its rows; None for all. Item i is a `Faces` of one: its image cut to (1, 3, size, size)
    around its landmarks (pixels of the upright photo), or where they are null around the five `points` of
    its row or MTCNN's; then its landmarks are NaN. margin: the crop's half side is multiplied by it. `identities`
    are the sorted names over all splits, `identity` the index among them. Raises InputError for a
    folder, a row or an image that does not fit.
    """

    def __init__(
        self, root: str | Path, split: str | None = None, size: int = 256, margin: float = 1.0
    ) -> None:
        self.root = Path(root)
        self.size = size
        self.margin = margin
        rows = read_metadata(self.root)
        self.identities = sorted({row.identity for row in rows})
        self.rows = [row for row in rows if split in (None, row.split)]
        if not self.rows:
            splits = ", ".join(sorted({row.split for row in rows}))
            raise InputError(f"{self.root} has no faces in the split {split!r}: its splits are {splits}.")
        self._check_files()
        self._index = {identity: index for index, identity in enumerate(self.identities)}
        self._detected: dict[str, align.Crop] = {}
        self.sides: dict[int, float] = {}  # item -> pixels of the photo along the crop's side, once it was read

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Faces:
        row = self.rows[index]
        photo = read_photo(self.root / row.file_name)
        crop = self._crop(row, photo)
        self.sides[index] = 2 * crop.half_side
        if row.landmarks is None:
            landmarks = torch.full((1, 68, 2), float("nan"))
        else:
            landmarks = align.to_crop(torch.from_numpy(row.landmarks)[None], crop, self.size).float()
        image = align.cut(to_tensor(photo), crop, self.size)
        identity = torch.tensor([self._index[row.identity]])
        return Faces(image, landmarks, identity, (Path(row.file_name).stem,))

    def _crop(self, row: _Row, photo: Image.Image) -> align.Crop:
        if row.landmarks is None and row.points is None:
            return self._crop_of_detection(row, photo)
        try:
            if row.landmarks is None:
                crop = align.crop_from_points(torch.from_numpy(row.points), self.margin)
            else:
                crop = align.crop_from_landmarks(torch.from_numpy(row.landmarks), self.margin)
            align.require_near(crop, (photo.height, photo.width))
        except InputError as error:
            what, order = ("points", "README's") if row.landmarks is None else ("landmarks", "iBUG 300-W's")
            raise InputError(
                f"{self.root / row.file_name} has {what} that outline no face in it: give them in {order} order, in "
                "pixels, left as seen in the image."
            ) from error
        return crop

    def _check_files(self) -> None:
        """Every image is looked for now, not after an hour of training."""
        for row in self.rows:
            if not os.path.isfile(self.root / row.file_name):
                raise InputError(
                    f"{row.file_name} is named in {self.root / METADATA} but is not there: "
                    "add the image or remove its row."
                )

    def _crop_of_detection(self, row: _Row, photo: Image.Image) -> align.Crop:
        """The crop of the largest face that MTCNN finds, remembered from then on."""
        if row.file_name not in self._detected:
            faces = detection.detect(photo)
            if not faces:
                raise InputError(
                    f"{self.root / row.file_name} has no landmarks, and no face is found in it: "
                    f"write its landmarks into {METADATA} or remove its row."
                )
            self._detected[row.file_name] = align.crop_from_points(faces[0].points, self.margin)
        return self._detected[row.file_name]


class _Row(NamedTuple):
    """What `FaceFolder` needs of a row of metadata."""

    file_name: str
    identity: str
    split: str
    landmarks: np.ndarray | None  # (68, 2) pixels; an array, because many workers share it cheaply
    points: np.ndarray | None  # (5, 2) pixels in the order of `align.five_points`, which sets without landmarks have


def read_metadata(root: Path) -> list[_Row]:
    """The checked rows of a face folder."""
    file = root / METADATA
    if not os.path.isfile(file):
        raise InputError(
            f"{root} is no face folder: it needs images and, beside them, a {METADATA} with one row "
            f"for each image whose keys are {', '.join(KEYS)}."
        )
    rows = []
    with open(file, encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LONGEST_ROW), ""), start=1):
            if len(line) == LONGEST_ROW:  # the rest of it may be larger than the memory
                said = f"Line {number} of {file} has {LONGEST_ROW:,} characters or more"
                raise InputError(f"{said}: write one row a line.")
            if line.strip():
                rows.append(_checked_row(line, f"Line {number} of {file}"))
    if not rows:
        raise InputError(f"{file} has no rows: write one for each image, whose keys are {', '.join(KEYS)}.")
    return rows


def said_of(folder: Path) -> list[dict]:
    """All that the rows of a face folder's metadata say, in the order of `FaceFolder`, which has checked them."""
    with open(folder / METADATA, encoding="utf-8-sig", errors="replace") as lines:
        return [parse_json(line) for line in lines if line.strip()]


def _checked_row(line: str, where: str) -> _Row:
    """One row of metadata; `where` says in errors which."""
    try:
        row = parse_json(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({reason_of(error)}): write one row in braces a line.") from error
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a row: write its keys and values in braces.")
    for key in KEYS:
        if key not in row:
            near = difflib.get_close_matches(key, set(row) - set(KEYS), n=1)
            remedy = f"rename its {near[0]!r}" if near else "add it"
            raise InputError(f"{where} has no {key!r}: {remedy}.")
    for key in ("file_name", "identity", "split"):
        if not isinstance(row[key], str):
            raise InputError(f"{where} has a {key!r} that is no text: write it in quotes.")
    landmarks = _checked_points(row, "landmarks", 68, where)
    return _Row(row["file_name"], row["identity"], row["split"], landmarks, _checked_points(row, "points", 5, where))


def _checked_points(row: dict, key: str, count: int, where: str) -> np.ndarray | None:
    """Points of a row as (count, 2), or None where nobody knows them."""
    if row.get(key) is None:
        return None
    wrong = f"{where} has {key!r} that are not {count} pairs of numbers: write [[x, y], ...] or null."
    try:
        points = np.array(row[key])
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(wrong) from error
    if points.shape != (count, 2) or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        raise InputError(wrong)  # texts, truths, and numbers that no type holds, are of other kinds
    return points.astype(np.float64)
