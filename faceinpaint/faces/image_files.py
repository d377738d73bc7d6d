"""Image files: decoded whatever their names say, mended where viewers open them too, named where they can't be read."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
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
TURNED = "turned"  # in a picture's `info`: the orientation by which Pillow itself has turned it, a TIFF, on loading
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
    (rb"....(?:ftyp(?!avi[fs])|moov|mdat|wide)|RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01\xba|FLV", "a film",
     "save a frame as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", "save it as JPEG or PNG"),
    (rb"%PDF", "a PDF document", "save the page as PNG"),
    (rb"8BPS", "a Photoshop document", "export it as PNG"),
    (rb"gimp xcf", "a GIMP document", "export it as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing", "save it as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!doctype svg[^>]*>\s*)?<svg", "an SVG drawing",
     "save it as PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)", "a web page",
     "save the picture itself, not the page that shows it"),
    (rb"\0\0[\x01\x02]\0|icns", "an icon", "save it as PNG"),
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
                mended, note = _mended(content) or (b"", "")
                try:
                    image, notes = _decoded(io.BytesIO(mended), source)
                except Exception:
                    raise _unreadable(source, content, error) from error
                return use(image, [note, *notes])
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(missing(source, "check the path.")) from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder where one image is wanted: name a file in it.") from error
    except PermissionError as error:
        raise InputError(f"{source} may not be read: change its permissions.") from error
    except Exception as error:
        raise _damaged(source, error) from error


def missing(path: str | Path, remedy: str) -> str:
    """The sentence about a path that leads to nothing."""
    if os.path.islink(path):
        return f"{path} is a link that leads nowhere, to {os.readlink(path)}: {remedy}"
    return f"{path} does not exist: {remedy}"


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
    turned = {TURNED: tags[274]} if 274 in tags else {}
    image.load()
    image = _convertible(image)
    image.info |= turned
    return image, notes


def _convertible(image: Image.Image) -> Image.Image:
    """The picture in a mode that Pillow converts to all that is asked for later."""
    if image.mode == "LAB":
        from PIL import ImageCms

        profiles = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    return image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image


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
    if not isinstance(error, UnidentifiedImageError):
        return _damaged(source, error)
    if BEGINS_AS_IMAGE.match(content):
        return _damaged(source, ValueError("it begins as an image and does not go on as one"))
    return InputError(f"{source} is not an image that can be read: save it as JPEG or PNG.")


def _damaged(source: str, error: Exception) -> InputError:
    reason = re.sub(r" *<[^<>]* at 0x[0-9a-f]+>", "", reason_of(error))  # Pillow names its own objects
    return InputError(f"{source} is cut short, damaged or of a rare kind ({reason}): get it again, or save it as PNG.")


# ------------------------------------------------------------------------- what viewers open too

MISSING = 0.05  # of a picture's rows, the most that may be missing at its end
SHORT = "the file lacks its last bytes: some rows of the photo may be missing"  # of a BMP the first ones


def _mended(content: bytes) -> tuple[bytes, str] | None:
    """A damaged file's content as one that can be decoded, and what was wrong; None where too much is."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _mended_png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _mended_jpeg(content)
    if content.startswith((b"BM", b"P4", b"P5", b"P6", b"II*\0", b"MM\0*")):
        return content + bytes(int(len(content) * MISSING)), SHORT
    if content.startswith(b"GIF8"):
        return _mended_gif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _continued(content, int.from_bytes(content[4:8], "little") + 8 - len(content))
    if content[4:11] in (b"ftypavi", b"ftypmif"):
        return _continued(content, int(len(content) * MISSING))
    if content.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        end = _end_of_tiles(content)
        return _continued(content[:end], end - len(content[:end]), b"\xff\xd9")
    return None


def _continued(content: bytes, missing: int, end: bytes = b"") -> tuple[bytes, str] | None:
    """With so many further bytes and an end, if nearly all rows are the same whatever these bytes are."""
    if not 0 <= missing <= max(64, MISSING * len(content)):
        return None
    first, second = (content + filling * missing + end for filling in (b"\0", b"\x55"))
    return (first, SHORT) if _missing_rows(_pixels(first), _pixels(second)) <= MISSING else None


def _missing_rows(first: np.ndarray | None, second: np.ndarray | None) -> float:
    """The share of a picture's rows below the first one that differs between two continuations, 1 if all do."""
    if first is None or second is None or first.shape != second.shape:
        return 1
    off = np.abs(first.astype(np.int16) - second).reshape(len(first), -1).max(axis=1)
    differing = np.flatnonzero(off > 24)  # less are the last, finest details of a progressive one
    missing = len(first) - differing[0] if len(differing) else 0
    return 0 if missing <= 32 else missing / len(first)  # 32: two rows of blocks


def _end_of_tiles(content: bytes) -> int:
    """Where the last tile of a JPEG 2000 says that it ends; 0 where it is not there, or does not say so."""
    size = content.find(b"\xff\x4f\xff\x51") + 8
    if len(content) < size + 32:
        return 0
    width, height, _, _, wide, high, left, top = struct.unpack(">8I", content[size : size + 32])
    tiles = -((left - width) // max(wide, 1)) * -((top - height) // max(high, 1))
    at, last = content.find(b"\xff\x90\0\x0a"), -1
    while 0 <= at and content[at : at + 4] == b"\xff\x90\0\x0a":
        last, length = int.from_bytes(content[at + 4 : at + 6], "big"), int.from_bytes(content[at + 6 : at + 10], "big")
        at += length or len(content)
    return at if last == tiles - 1 else 0


def _mended_gif(content: bytes) -> tuple[bytes, str] | None:
    """With a few further pixels of the first colour."""
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 128 else 0)
    while content[at : at + 1] == b"!":
        at = _after_blocks(content, at + 2)
    if content[at : at + 1] != b",":
        return None
    area = int.from_bytes(content[at + 5 : at + 7], "little") * int.from_bytes(content[at + 7 : at + 9], "little")
    at = _after_blocks(content, at + 11 + (3 << (content[at + 9] & 7) + 1 if content[at + 9] & 128 else 0))
    if at <= len(content) or area > MAX_PIXELS:
        return None
    blocks = int(MISSING * area * 1.5 / 255) + 1  # at most 12 bits a pixel
    return content + bytes(at - 1 - len(content)) + (b"\xff" + bytes(255)) * blocks + b"\0;", SHORT


def _after_blocks(content: bytes, at: int) -> int:
    """Where a GIF goes on after blocks of up to 255 bytes, each led by its length, and a last one without any."""
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return at + 1


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
    return (content + end, SHORT) if _missing_rows(first, second) <= MISSING else None


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
