"""Photographs: reading any image file as a photo or a mask, and folders of faces as a dataset."""

from __future__ import annotations

import difflib
import io
import os
import stat
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.basics.files import parse_json
from faceinpaint.faces import align
from faceinpaint.faces.batch import Faces

PHOTO_SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# What Pillow may read: no format that runs a program (EPS), is a film or nests another picture of unknown size (ICO).
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000
MAX_SIDE = 65_535  # pixels, as of a JPEG; decoders take minutes for a picture of a million rows
MIN_SIDE = 32  # pixels; a smaller picture shows no face that could be aligned

METADATA = "metadata.jsonl"
KEYS = ("file_name", "identity", "landmarks", "split", "source", "licence")
LONGEST_ROW = 1_000_000  # characters; those of rendered faces have 6,000


class MaskFile(NamedTuple):
    """A mask (1, 1, H, W), 1 = unknown, and whether its file had another size than the photo."""

    mask: Tensor
    resized: bool


# ------------------------------------------------------------------------------------ one file


def read_photo(source: str | Path | bytes) -> Image.Image:
    """An image file, or the content of one, as an upright 8-bit RGB photo.

    Turned as its EXIF says; the first frame of an animation; 16 bits scaled to 8; transparency over
    white. Raises InputError for a file that is missing, of none of FORMATS, damaged, larger than MAX_PIXELS
    or with a side under MIN_SIDE or above MAX_SIDE.
    """
    photo = _read(source, "RGB", background="white")
    if min(photo.size) < MIN_SIDE:
        raise InputError(
            f"{_named(source)} has {photo.width} x {photo.height} pixels, too few to show a face: "
            f"give a photo of at least {MIN_SIDE} x {MIN_SIDE} pixels."
        )
    return photo


def read_mask(source: str | Path | bytes, size: tuple[int, int] | None = None) -> MaskFile:
    """An image file, or its content, as a mask for a photo of `size` (height, width): white (128 and above) = unknown.

    Transparent pixels are known, as if the mask were drawn on black. A file of another size is resized
    to the nearest pixel, and says so; without a size it keeps its own. Raises InputError as `read_photo` does, but for
    small sides.
    """
    grey = _read(source, "L", background="black")
    height, width = size or (grey.height, grey.width)
    resized = grey.size != (width, height)
    if resized:
        grey = grey.resize((width, height), Image.Resampling.NEAREST)
    mask = torch.from_numpy(np.array(grey) >= 128).float()
    return MaskFile(mask[None, None], resized)


def _named(source: str | Path | bytes) -> str:
    """What an error calls a file, or the content of one."""
    return "the file" if isinstance(source, bytes) else str(source)


def _read(given: str | Path | bytes, mode: str, background: str) -> Image.Image:
    """The first frame, upright, in a Pillow mode, transparency over a colour; every fault an InputError."""
    source = _named(given)
    limit = f"the limit of {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE} pixels a side: scale it down first."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # An open file instead of a path: Pillow maps uncompressed TIFFs at a path into memory, and then
            # scrambles those with an EXIF rotation.
            opened = io.BytesIO(given) if isinstance(given, bytes) else _opened(given)
            with opened as file, Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
                    raise InputError(f"{source} has {image.width} x {image.height} pixels, above {limit}")
                image.load()
                upright = _eight_bit(ImageOps.exif_transpose(image), source)
                return _flattened(upright, background).convert(mode)
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{source} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder where one image is wanted: name a file in it.") from error
    except PermissionError as error:
        raise InputError(f"{source} may not be read: change its permissions.") from error
    except Image.DecompressionBombError as error:  # Pillow's own limit, above ours
        raise InputError(f"{source} is above {limit}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{source} is not an image that can be read: save it as JPEG or PNG.") from error
    except Exception as error:  # a decoder may raise anything on a damaged file
        reason = reason_of(error)
        raise InputError(
            f"{source} is cut short, damaged or of a rare kind ({reason}): get it again, or save it as PNG."
        ) from error


def _opened(path: str | Path) -> BinaryIO:
    """A file opened to be read; InputError for what is none, such as a pipe, which would be waited for."""
    if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path} is no file but a pipe or a device: name a file.")
    return open(path, "rb")


def _eight_bit(image: Image.Image, source: str) -> Image.Image:
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


def _flattened(image: Image.Image, background: str) -> Image.Image:
    """The image without transparency, laid over a background colour."""
    if not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, background), over)


# ------------------------------------------------------------------------------------- tensors


def to_tensor(photo: Image.Image) -> Tensor:
    """A photo as (1, 3, H, W) float32 RGB in [0, 1]."""
    pixels = torch.from_numpy(np.array(photo.convert("RGB")))
    return pixels.permute(2, 0, 1)[None].float() / 255


def to_image(tensor: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] as an 8-bit RGB photo, each value rounded to the nearest; undoes `to_tensor`."""
    pixels = (tensor.detach()[0].float().clamp(0, 1) * 255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


# ------------------------------------------------------------------------------------- folders


def list_photos(path: str | Path) -> list[Path]:
    """The photo at `path`, or the photos of the folder at `path` by name, hidden files left out.

    Raises InputError when there is none, or when two share a stem and would get the same output file.
    """
    path = Path(path)
    if os.path.isfile(path):  # unlike the methods of Path, not an OSError for a name that can't be
        return [path]
    if not os.path.isdir(path):
        raise InputError(f"{path} does not exist: give a photo or a folder of photos.")
    photos = sorted(p for p in path.iterdir() if _is_photo(p))
    if not photos:
        suffixes = ", ".join(PHOTO_SUFFIXES)
        raise InputError(f"{path} holds no photo: put files there whose names end in one of {suffixes}.")
    first_of_stem: dict[str, Path] = {}
    for photo in photos:
        other = first_of_stem.setdefault(photo.stem.casefold(), photo)
        if other is not photo:
            raise InputError(
                f"{other.name} and {photo.name} in {path} would both be written as {photo.stem}.png: "
                "rename one of them."
            )
    return photos


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()


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
            faces = align.detect(photo)
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
