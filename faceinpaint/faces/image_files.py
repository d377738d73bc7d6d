"""Image files: decoded whatever their names say, mended where viewers open them too, named where they can't be read."""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from faceinpaint.basics.errors import InputError, reason_of

# What Pillow may read: no format that runs a program (EPS), is a film or nests another picture of unknown size (ICO).
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000
MAX_SIDE = 65_535  # pixels, as of a JPEG; decoders take minutes for a picture of a million rows

BEGINS_AS_IMAGE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM....\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP|P[1-6]\s|\0\0\0\x0cjP  |\xff\x4f\xff\x51"
    rb"|....ftyp(?:avi|hei|hev|mif|msf|crx)|8BPS", re.DOTALL
)
T = TypeVar("T")
EXPORT = "export it as JPEG"
UNREADABLE = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), kind, remedy) for pattern, kind, remedy in (
    (rb"$", "an empty file", "get it again"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "run `git lfs pull` to get the file itself"),
    (rb"....ftyp(?:hei|hev|mif1|msf1)", "a HEIC photo", f"{EXPORT}, or let the phone take JPEG (most compatible)"),
    (rb"....ftypcrx |II\*\0....CR|FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|\0MRM", "a camera's RAW file", EXPORT),
    (rb"....(?:ftyp|moov|mdat|wide)|RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01\xba|FLV", "a film", "save a frame as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", "save it as JPEG or PNG"),
    (rb"%PDF", "a PDF document", "save the page as PNG"),
    (rb"8BPS", "a Photoshop document", "export it as PNG"),
    (rb"gimp xcf", "a GIMP document", "export it as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing", "save it as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!doctype svg[^>]*>\s*)?<svg", "an SVG drawing",
     "save it as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)", "a web page",
     "save the picture itself, not the page that shows it"),
    (rb"\0\0[\x01\x02]\0", "an icon", "save it as PNG"),
    (rb"icns", "an icon", "save it as PNG"),
    (rb"v/1\x01|#\?RADIANCE", "a picture of high dynamic range", "save it as PNG"),
    (rb".{128}DICM", "a DICOM image", "save it as PNG"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive or a document", "unpack it, or save its picture as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*[\[{<]", "a text", "give the picture itself"),
))


def named(source: str | Path | bytes | Image.Image) -> str:
    """What an error calls a file, or the content of one, or a picture."""
    if isinstance(source, (str, Path)):
        return str(source)
    return "the file" if isinstance(source, bytes) else "the picture"


def use_image(given: str | Path | bytes | Image.Image, use: Callable[[Image.Image, list[str]], T]) -> T:
    """What `use` makes of a picture, its file or the content of one: decoded, as stored, and what to say about it.

    Raises InputError for a file that is missing, of none of FORMATS, damaged so that viewers show nothing or half of
    it, or larger than MAX_PIXELS or MAX_SIDE.
    """
    source = named(given)
    try:
        if isinstance(given, Image.Image):
            return use(*_loaded(given, source))
        # An open file instead of a path: Pillow maps uncompressed TIFFs at a path into memory, and then
        # scrambles those with an EXIF rotation.
        with io.BytesIO(given) if isinstance(given, bytes) else _opened(given) as file:
            try:
                return use(*_decoded(file, source))
            except InputError:
                raise
            except Exception as error:  # a decoder may raise anything on a damaged file
                file.seek(0)
                content = file.read(2 * MAX_PIXELS)
                mended = _mended(content)
                if mended is None:
                    raise _unreadable(source, content, error) from error
                image, notes = _decoded(io.BytesIO(mended[0]), source)
                return use(image, [mended[1], *notes])
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{source} does not exist: check the path.") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder where one image is wanted: name a file in it.") from error
    except PermissionError as error:
        raise InputError(f"{source} may not be read: change its permissions.") from error
    except Exception as error:
        raise _damaged(source, error) from error


def _too_large(source: str, image: Image.Image | None = None) -> InputError:
    """The error of a picture with more pixels than the limit."""
    size = "is" if image is None else f"has {image.width} x {image.height} pixels,"
    limit = f"the limit of {MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE} pixels a side"
    return InputError(f"{source} {size} above {limit}: scale it down first.")


def begins_as_image(path: str | Path) -> bool:
    """Whether a file's first bytes are those of an image."""
    try:
        with _opened(path) as file:
            return bool(BEGINS_AS_IMAGE.match(file.read(64)))
    except (OSError, InputError):
        return False


def _opened(path: str | Path) -> BinaryIO:
    """A file opened to be read; InputError for what is none, such as a pipe, which would be waited for."""
    if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path} is no file but a pipe or a device: name a file.")
    return open(path, "rb")


def _decoded(file: BinaryIO, source: str) -> tuple[Image.Image, list[str]]:
    """The picture of an open file, and what to say about it; raises whatever a decoder does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError as error:  # Pillow's own limit, above ours
            raise _too_large(source) from error
        return _loaded(image, source)


def _loaded(image: Image.Image, source: str) -> tuple[Image.Image, list[str]]:
    if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
        raise _too_large(source, image)
    tags = getattr(image, "tag_v2", {})
    if 50706 in tags or tags.get(254) == 1 and 330 in tags:  # DNG; or a small preview before the sensor's data
        raise InputError(f"{source} is a camera's RAW file, not an image that can be read: {EXPORT}.")
    notes = _notes_of(image)
    image.load()
    return image, notes


def _notes_of(image: Image.Image) -> list[str]:
    """What of a picture that is not decoded yet its 8-bit RGB does not show."""
    notes = []
    try:
        further = getattr(image, "n_frames", 1) > 1
    except Exception:  # a later one is damaged
        further = True
    if further:
        notes.append("the file holds several pictures, of which this is one")
    if image.mode.startswith("I") or re.search(r";16|65535", str(getattr(image, "tile", ""))):
        notes.append("16 bits a colour became 8")
    if image.mode == "CMYK":
        notes.append("its inks (CMYK) became RGB")
    return notes


def _unreadable(source: str, content: bytes, error: Exception) -> InputError:
    """The error of a file that is no image, by what it is instead, or of a damaged one."""
    for pattern, kind, remedy in UNREADABLE:
        if pattern.match(content[:4096]):
            return InputError(f"{source} is {kind}, not an image that can be read: {remedy}.")
    if isinstance(error, UnidentifiedImageError):
        return InputError(f"{source} is not an image that can be read: save it as JPEG or PNG.")
    return _damaged(source, error)


def _damaged(source: str, error: Exception) -> InputError:
    reason = reason_of(error)
    return InputError(f"{source} is cut short, damaged or of a rare kind ({reason}): get it again, or save it as PNG.")


# ------------------------------------------------------------------------- what viewers open too

MISSING = 0.05  # of a picture's rows, the most that may be missing at its end
SHORT = "the file lacks its last bytes: the last rows of the photo may be missing"


def _mended(content: bytes) -> tuple[bytes, str] | None:
    """A damaged file's content as one that can be decoded, and what was wrong; None where too much is."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _mended_png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _mended_jpeg(content)
    if content.startswith((b"BM", b"P4", b"P5", b"P6", b"II*\0", b"MM\0*")):
        return content + bytes(int(len(content) * MISSING)), SHORT
    return None


def _mended_png(content: bytes) -> tuple[bytes, str] | None:
    """Without texts and the like, which may be too long or damaged; with an end, if almost all pixels are there."""
    chunks, pixels, at, whole = [], [], 8, False
    while at + 8 <= len(content) and not whole:
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data, end = content[at + 8 : at + 8 + length], at + 12 + length
        right = content[end - 4 : end] == zlib.crc32(kind + data).to_bytes(4, "big")
        if kind == b"IDAT":
            if not right and end <= len(content):  # altered pixels, not missing ones
                return None
            pixels.append(data)
        elif kind in (b"IHDR", b"PLTE") or right and kind in (b"tRNS", b"iCCP", b"eXIf", b"gAMA", b"sRGB", b"cHRM"):
            if not right:
                return None
            chunks.append((kind, data))
        at, whole = end, kind == b"IEND"
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        return None
    stream = b"".join(pixels)
    if not whole:
        stream = _mended_rows(chunks[0][1], stream)
        if stream is None:
            return None
    chunks += [(b"IDAT", stream), (b"IEND", b"")]
    parts = (len(d).to_bytes(4, "big") + k + d + zlib.crc32(k + d).to_bytes(4, "big") for k, d in chunks)
    return content[:8] + b"".join(parts), "the texts stored in the file are too long or damaged" if whole else SHORT


def _mended_rows(header: bytes, stream: bytes) -> bytes | None:
    """A PNG's compressed rows with those that are missing at the end, in black; None where these are too many."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(header[9], 0)
    expected = height * (1 + (width * channels * header[8] + 7) // 8)
    if width * height > MAX_PIXELS or header[12]:  # interlaced
        return None
    try:
        rows = zlib.decompressobj().decompress(stream, expected)
    except zlib.error:
        return None
    return zlib.compress(rows.ljust(expected, b"\0"), 1) if len(rows) >= (1 - MISSING) * expected > 0 else None


def _mended_jpeg(content: bytes) -> tuple[bytes, str] | None:
    """With an end, if almost all rows, and of a progressive one all scans, are there."""
    if b"\xff\xc2" in content[:65536] and not _has_all_scans(content):
        return None
    end = b"\xff\xd9"
    # Two continuations: the picture is known down to the first row that depends on which.
    first, second = (_pixels(content + filling + end) for filling in (b"", bytes(4096)))
    if first is None or second is None or first.shape != second.shape:
        return None
    off = np.abs(first.astype(np.int16) - second).reshape(len(first), -1).max(axis=1)
    differing = np.flatnonzero(off > 24)  # less are the last, finest details of a progressive one
    missing = len(first) - differing[0] if len(differing) else 0
    return (content + end, SHORT) if missing <= max(32, MISSING * len(first)) else None  # 32: two rows of blocks


def _pixels(content: bytes) -> np.ndarray | None:
    try:
        return np.asarray(_decoded(io.BytesIO(content), "")[0])
    except Exception:
        return None


def _has_all_scans(content: bytes) -> bool:
    """Whether a progressive JPEG's scans reach the last bit of the finest details."""
    finest = False
    for at in (match.start() for match in re.finditer(rb"\xff\xda\0", content)):
        parts = content[at + 4 : at + 5][0] if len(content) > at + 4 else 0
        spectrum = content[at + 5 + 2 * parts : at + 8 + 2 * parts]  # first, last, bits: before and now
        finest = finest or len(spectrum) == 3 and spectrum[1] == 63 and spectrum[2] & 15 == 0
    return finest
