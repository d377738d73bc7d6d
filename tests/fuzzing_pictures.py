"""Broken pictures of every format, and small files that want to become large ones."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from fuzzing import Case, damaged
from PIL import Image, PngImagePlugin
from skimage import data

from faceinpaint.completion import Completer
from faceinpaint.faces.image_files import FORMATS
from faceinpaint.faces.mask_files import read_mask
from faceinpaint.faces.photos import Photo, read_photo
from faceinpaint.studio import Session

MODES = ("RGB", "L", "1", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV")


@cache
def portrait(size: int = 64) -> Image.Image:
    """A face, aligned."""
    return Image.fromarray(data.astronaut()).crop((136, 20, 300, 184)).resize((size, size))


# ------------------------------------------------------------------------------------------- pictures


DATED = {"creationDate": time.gmtime(0), "modDate": time.gmtime(0)}  # a PDF says when it was written


@cache
def pictures() -> dict[str, bytes]:
    """A small picture in every format that Pillow writes and every mode that the format has, by name."""
    Image.init()
    found = {}
    for kind in sorted(Image.SAVE):
        for mode in MODES:
            content, picture = io.BytesIO(), portrait()
            try:
                picture = picture.convert("RGB" if mode in ("I;16", "PA") else mode)
                picture = picture.convert("L").convert("I;16") if mode == "I;16" else picture
                picture = picture.convert("RGBA").convert("PA") if mode == "PA" else picture
                picture.save(content, kind, **DATED if kind == "PDF" else {})
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
                continue  # a mode that the format doesn't have
            found[f"{kind} {mode}"] = content.getvalue()
    return found | _films() | _with_metadata()


def _films() -> dict[str, bytes]:
    """Pictures of several frames, and TIFFs of every compression."""
    found, frames = {}, [portrait().rotate(turn) for turn in (90, 180)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG", "AVIF"):
        content = io.BytesIO()
        portrait().save(content, kind, save_all=True, append_images=frames)
        found[f"{kind} film"] = content.getvalue()
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        content = io.BytesIO()
        portrait().save(content, "TIFF", compression=compression)
        found[f"TIFF {compression}"] = content.getvalue()
    return found


def _with_metadata() -> dict[str, bytes]:
    """Pictures with EXIF, XMP, ICC and text, such as decoders trip over."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x9286] = 6, "a description", b"ASCII\0\0\0comment"
    told = PngImagePlugin.PngInfo()
    told.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    told.add_text("comment", "text " * 100, zip=True)
    found = {}
    for kind, options in (
        ("JPEG", {"exif": exif, "icc_profile": b"no profile" * 9, "xmp": b'<x tiff:Orientation="3"/>'}),
        ("JPEG", {"progressive": True, "exif": exif}),
        ("PNG", {"exif": exif, "pnginfo": told, "icc_profile": b"no profile" * 9}),
        ("WEBP", {"exif": exif, "xmp": b'<x tiff:Orientation="6"/>', "icc_profile": b"none"}),
        ("TIFF", {"exif": exif}),
    ):
        content = io.BytesIO()
        portrait().save(content, kind, **options)
        found[f"{kind} with {', '.join(options)}"] = content.getvalue()
    return found


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 2, pixels: bytes = b"",
    packed: bytes | None = None
) -> bytes:
    """A PNG that promises a size, with further chunks before its pixels, which may be given compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    packed = zlib.compress(pixels, 1) if packed is None else packed
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@cache
def zeros(megabytes: int) -> bytes:
    """Compressed zeros: a thousandth of what they become."""
    return zlib.compress(bytes(megabytes << 20), 1)


def exif_bomb(rng: random.Random) -> bytes:
    """A JPEG whose EXIF has an orientation, or a count, that nothing allows."""
    tag = struct.pack("<HHI", rng.choice((0x0112, 0x8769, 0x8825, 0x014A)), rng.randrange(14), rng.getrandbits(32))
    entries = b"".join(tag + struct.pack("<I", rng.choice((6, 8, 2**32 - 1))) for _ in range(rng.choice((1, 3, 4000))))
    count = rng.choice((1, 65535, len(entries) // 12 % 65536))
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + struct.pack("<I", rng.choice((0, 8)))
    whole = pictures()["JPEG RGB"]
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", min(65535, len(block) + 2)) + block[:65533] + whole[2:]


def tiff(rng: random.Random) -> bytes:
    """A TIFF with a few of its numbers set to extremes."""
    content = bytearray(pictures()[rng.choice([name for name in pictures() if name.startswith("TIFF")])])
    order = "<" if content[:2] == b"II" else ">"
    first = struct.unpack_from(order + "I", content, 4)[0]
    count = struct.unpack_from(order + "H", content, first)[0]
    for _ in range(rng.randrange(1, 4)):
        at = first + 2 + 12 * rng.randrange(count)
        value = rng.choice((0, 1, 2, 65535, 100_000, 2**31 - 1, 2**32 - 1, first))
        struct.pack_into(order + "I", content, at + rng.choice((4, 8, 8, 8)), value)
    return bytes(content)


def bombs(rng: random.Random) -> tuple[bytes, str]:
    """A small file that wants to become large, or has a size that no picture has, and its name."""
    side = rng.choice((0, 1, 2, 31, 100_000, 2**31 - 1, 2**32 - 1))
    made: dict[str, Callable[[], bytes]] = {
        "a PNG of any size": lambda: png(rng.choice((side, 1, 100_000)), side),
        "a PNG of 1 bit": lambda: png(100_000, side, bits=1, colour=0, pixels=bytes(1000)),
        "a PNG of one row": lambda: png(60_000_000, 1, bits=1, colour=0, pixels=bytes(7_500_001)),
        "a PNG of one column": lambda: png(1, 60_000_000, bits=1, colour=0, pixels=bytes(1000)),
        "a PNG with a bomb of text": lambda: png(64, 64, *[chunk(b"zTXt", b"k\0\0" + zeros(200))] * rng.choice((1, 9))),
        "a PNG with a bomb of XMP": lambda: png(64, 64, chunk(b"iTXt", b"k\0\1\0\0\0" + zeros(200))),
        "a PNG with a bomb of ICC": lambda: png(64, 64, chunk(b"iCCP", b"k\0\0" + zeros(200))),
        "a PNG whose pixels go on": lambda: png(64, 64, packed=zeros(200)),
        "a PNG with a long chunk": lambda: png(64, 64)[:33] + b"\x7f\xff\xff\xfftEXt",
        "a PNG of 99,999 chunks": lambda: png(64, 64, *[chunk(b"tEXt", b"k\0v")] * 99_999),
        "a PNG of 16 bits": lambda: png(64, 64, bits=16, colour=rng.choice((0, 2, 4, 6)),
        pixels=rng.randbytes(64 * 513)),
        "a GIF with a large screen": lambda: b"GIF89a" + b"\xff" * 4 + pictures()["GIF RGB"][10:],
        "a BMP of any size": lambda: (
            pictures()["BMP RGB"][:18] + struct.pack("<ii", rng.choice((side % 2**31, 1)), -(side % 2**31))
            + pictures()["BMP RGB"][26:]
        ),
        "a PPM of any size": lambda: (
            f"P{rng.randrange(1, 7)}\n{side} {rng.choice((side, 1))}\n255\n".encode() + bytes(99)
        ),
        "a PPM with a long number": lambda: b"P6\n" + b"9" * rng.choice((99, 9999)) + b" 1\n255\n",
        "an ICO around a large PNG": lambda: (
            b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0" + struct.pack("<II", len(png(12_000, 12_000)), 22) + png(12_000, 12_000)
        ),
        "an EPS that asks for a program": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n{} loop\n%%EOF",
        "an EXIF of any kind": lambda: exif_bomb(rng),
        "a TIFF with extremes": lambda: tiff(rng),
        "an XPM of many colours": lambda: b'/* XPM */\n"99999 99999 9999999 9"\n',
        "a FITS of any size": lambda: b"".join(
            line.ljust(80) for line in (b"SIMPLE = T", b"BITPIX = 8", b"NAXIS = 2", b"NAXIS1 = 99999",
            b"NAXIS2 = 99999")
        ) + b"END".ljust(80),
        "nothing": lambda: b"",
        "HTML": lambda: b"<!doctype html><title>404</title>" * 9,
        "an SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    name = rng.choice(list(made))
    return made[name](), name


def picture(rng: random.Random, folder: Path) -> Case:
    """A damaged picture of any format, most of those that are read at all, as a photo or as a mask."""
    readable = [name for name in pictures() if name.split()[0] in FORMATS]
    kind = rng.choice(readable if rng.random() < 0.7 else list(pictures()))
    content, how = damaged(pictures()[kind], rng, header=128)
    return _read(content, f"{kind}, {how}", rng, folder)


def bomb(rng: random.Random, folder: Path) -> Case:
    """A picture that is far larger than its file, or none at all."""
    return _read(*bombs(rng), rng, folder)


NAMES = ("photo.png", "naïve 写真 🙂.jpg", "a" * 251 + ".jpg", "ß" * 125 + ".png", "new\nline.png", b"\xff\xfe.png",
    "-.png",
         "a.b.c.tif", " .png", "%s{0}$x.webp", "photo")


def _read(content: bytes, what: str, rng: random.Random, folder: Path) -> Case:
    """A case that reads a picture in one of the ways that there are."""
    path = folder / os.fsdecode(rng.choice(NAMES))
    path.write_bytes(content)
    readers: dict[str, Callable[[], object]] = {
        "photo": partial(read_photo, path),
        "bytes": partial(read_photo, content),
        "mask": partial(read_mask, path, Photo(blank := Image.new("RGB", (64, rng.choice((1, 48, 500)))), blank)),
        "studio's mask": partial(Session(64).import_mask, content),
        "studio's photo": partial(Session(64).open, content),
        "aligned": partial(completer(), path, "mask01", aligned=True),
        "mask of a photo": partial(completer(), portrait(), path, aligned=True),
        "reference": partial(completer(), portrait(), "face-mask", aligned=True, reference=path),
    }
    # Completing takes longest, and reads them by the same functions.
    weigh = [6, 4, 5, 3, 1, 1, 1, 1]
    name = rng.choices(list(readers), weights=weigh)[0]
    return Case(f"{what}, as {name}", readers[name])


from_pretrained = Completer.from_pretrained  # while calls of the command line get another one


@cache
def completer() -> Completer:
    """The shipped networks, looking at 64 pixels."""
    return from_pretrained(size=64)
