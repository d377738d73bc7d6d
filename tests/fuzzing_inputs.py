"""The broken inputs themselves: for each kind a function that makes one, by chance, and says what reads it."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from conftest import canonical_face
from fuzzing import Case, Maker, command, damaged
from PIL import Image, PngImagePlugin
from safetensors.torch import save as serialised
from skimage import data

from faceinpaint import masks, presets, release, weights
from faceinpaint.completion import Completer
from faceinpaint.evaluation.run import read_metrics
from faceinpaint.evaluation.selection import limits, within
from faceinpaint.faces import align
from faceinpaint.faces.download import unpack
from faceinpaint.faces.photos import FORMATS, METADATA, FaceFolder, read_mask, read_photo
from faceinpaint.faces.shards import ShardedFaces, write_shards
from faceinpaint.faces.sources.celeba import read_mapping
from faceinpaint.faces.sources.london import read_template
from faceinpaint.faces.sources.writer import Entry, write_faces
from faceinpaint.features import FeatureNetwork
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import FaceResNet, MobileFaceNet, load_recogniser
from faceinpaint.studio import Session
from faceinpaint.training.sources import FaceSpec

MODES = ("RGB", "L", "1", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV")


@cache
def portrait(size: int = 64) -> Image.Image:
    """A face, aligned."""
    return Image.fromarray(data.astronaut()).crop((136, 20, 300, 184)).resize((size, size))


# ------------------------------------------------------------------------------------------- pictures


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
                picture.save(content, kind)
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
        "mask": partial(read_mask, path, (rng.choice((1, 48, 500)), 64)),
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


# ------------------------------------------------------------------------------------------- metadata

DEEP = 100_000
NASTY = (
    None, True, False, 0, -1, 1.5, 1e308, -1e308, 10**400, float("nan"), float("inf"), "", " ", "\0", "\ud800", "..",
    "../../../etc/passwd", "/etc/passwd", "x" * 300, "x" * 1_000_000, "naïve 写真 🙂", "a/b\\c:d", "__class__", "NaN",
    "{name}", "%s", "${HOME}", [], {}, [None], [[]], [[[1, 2]]], [1, "2"], {"a": 1}, list(range(1000)),
)


def row(rng: random.Random) -> dict:
    """A row of metadata that is right."""
    return {
        "file_name": "images/a.png", "identity": rng.choice(("ann", "bob")),
        "landmarks": canonical_face(64)[0].tolist(),
        "split": "train", "source": "test", "licence": "CC0", "yaw": 12.5,
        "points": [[21, 28], [42, 28], [32, 39], [26, 48], [38, 48]],
    }


def wrong_points(rng: random.Random, count: int) -> object:
    """Points that are none: of another number or shape, too far off, all one, of another type."""
    right = canonical_face(64)[0].tolist()[:count]
    scale, shift = rng.choice((0, 1e-9, 1e-3, -1, 30, 1e3, 1e5, 1e9, 1e200)), rng.choice((0, -1e3, 1e4, 1e12, 1e300))
    bad = rng.choice((float("nan"), float("inf"), 1e308, "1", None, [1], 10**400, True))
    at = rng.randrange(count)
    return rng.choice((
        [[x * scale + shift, y * scale] for x, y in right],
        [[5, 5]] * count, [[0, 0]] * count, right[:-1], right + right, [[x, y, 0] for x, y in right],
        [x for x, _ in right], right[:at] + [[bad, 1]] + right[at + 1 :], right[:at] + [bad] + right[at + 1 :], bad,
        right[::-1],
        [[y, x] for x, y in right], {"x": right}, [right] * 100, [[float(bad is True)] * 2] * count,
    ))


def metadata(rng: random.Random) -> tuple[bytes, str]:
    """The content of a metadata file with something wrong in one of its rows, and what."""
    rows = [row(rng) for _ in range(3)]
    lines = [json.dumps(one) for one in rows]
    key = rng.choice(list(rows[0]))
    how = rng.choice(("value",) * 3 + ("points",) * 4 + ("key", "text", "bytes", "deep", "long", "file"))
    if how == "value":
        rows[1][key] = rng.choice(NASTY)
        lines[1] = json.dumps(rows[1])
    elif how == "points":
        key, count = rng.choice((("landmarks", 68), ("points", 5)))
        rows[1] |= {"landmarks": None} if key == "points" else {}
        rows[1][key] = wrong_points(rng, count)
        lines[1] = json.dumps(rows[1])
    elif how == "key":
        rows[1][rng.choice(NASTY[10:25])] = rows[1].pop(key)
        lines[1] = json.dumps(rows[1])
    elif how == "text":
        lines[1] = rng.choice((
            "[]", "1", "null", "{", '{"a": }', "NaN", "[" * 99, lines[1] * 2, lines[1] + "\0", "9" * 5000,
            '"' + "x" * 99, lines[1].replace(":", "=", 1), lines[1].replace('"', "'"), lines[1][:-9], "\u2028",
            "{" + '"a":1,' * 9 + "}",
            *(lines[1].replace("12.5", number) for number in ("9" * 5000, "1e999", "-Infinity")),
        ))
    elif how == "deep":
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        lines[1] = lines[1].replace("12.5", opening * DEEP + "1" * (opening != "[") + closing * DEEP)
    elif how == "long":
        lines[1] = rng.choice((
            " " * 3_000_000, lines[1].replace("12.5", "[" + "1," * 1_000_000 + "1]"), "x" * 5_000_000,
            lines[1].replace('"yaw"', '"' + "k" * 1_000_000 + '"'), lines[1][:-1] + ', "k": "' + "x" * 2_000_000 + '"}',
        ))
    text = "\n".join(lines).encode(errors="surrogatepass") + b"\n"
    if how == "bytes":
        text, more = damaged(text, rng, len(text))
        how += f", {more}"
    elif how == "file":
        wide = text.decode(errors="replace").encode("utf-16")
        text = rng.choice((b"", b"\n\n", wide, b"\xff" * 99, bytes(999), gzip.compress(text), b"\xef"))
    return text, f"{key} by {how}"


def rows(rng: random.Random, folder: Path) -> Case:
    """A face folder with a wrong row, as whatever reads face folders."""
    faces = folder / "faces"
    (faces / "images").mkdir(parents=True)
    portrait().save(faces / "images" / "a.png")
    text, what = metadata(rng)
    (faces / METADATA).write_bytes(text)
    split = rng.choice((None, "train"))

    def each() -> None:
        found = FaceFolder(faces, split, 64, rng.choice((1.0, 1.5)))
        for index in range(len(found)):
            found[index]

    def chosen() -> None:
        found = FaceFolder(faces, "train", 64)
        assert len(within(faces, "train", [limits("yaw=0:90")])) == len(found)

    readers: dict[str, Callable[[], object]] = {
        "faces": each, "limits": chosen, "shards": partial(write_shards, faces, folder / "shards"),
    }
    name = rng.choices(list(readers), weights=[5, 1, 2])[0]
    return Case(f"{what}, as {name}", readers[name])


# ------------------------------------------------------------------------------------------- weights


@cache
def networks() -> dict[type, dict]:
    """Small networks of every class, and their settings."""
    return {
        LandmarkPredictor: {"width": 0.35, "size": 64}, MobileFaceNet: {"width": 0.125, "threshold": 0.5},
        FaceResNet: {"width": 4, "threshold": 0.5}, FeatureNetwork: {"widths": [4, 4, 4, 4, 4]},
        Generator: {"width": 8, "prior": False},
    }


@cache
def network_file(kind: type) -> bytes:
    """A whole weight file."""
    torch.manual_seed(0)
    module, settings = kind(**networks()[kind]), networks()[kind]
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in module.state_dict().items()}
    return serialised(tensors, {"architecture": kind.__name__, "settings": json.dumps(settings)})


def header_of(content: bytes) -> tuple[dict, bytes]:
    """The header of a weight file, and the numbers behind it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def with_header(header: object, numbers: bytes, length: int | None = None) -> bytes:
    """A weight file with another header, or a length of it that is none."""
    text = json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def broken_weights(kind: type, rng: random.Random) -> tuple[bytes, str]:
    """A weight file of a network with something wrong in it, and what."""
    content = network_file(kind)
    header, numbers = header_of(content)
    about, name = header["__metadata__"], rng.choice([key for key in header if key != "__metadata__"])
    entry, settings = header[name], json.loads(about["settings"])
    how = rng.choice((
        "bytes", "header", "length", "type", "shape", "offsets", "name", "missing", "numbers", "settings", "settings",
        "metadata", "disguise",
    ))
    if how == "bytes":
        return damaged(content, rng, len(content) - len(numbers))
    if how == "header":
        text, more = damaged(content[8 : len(content) - len(numbers)], rng)
        return len(text).to_bytes(8, "little") + text + numbers, f"a header with {more}"
    if how == "length":
        length = rng.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1, len(content), 100_000_001, 99_999_999))
        return with_header(header, numbers, length), f"a header of {length} bytes"
    if how == "type":
        entry["dtype"] = rng.choice(("F64", "I8", "BOOL", "F8_E4M3", "C64", "F4", "U64", "BF16", "x", "", 5, None))
    elif how == "shape":
        entry["shape"] = rng.choice(([], [0], entry["shape"][::-1], [2**62, 4], [1] * 999, [-1], "x", None, [1.5],
            [2**64]))
    elif how == "offsets":
        entry["data_offsets"] = rng.choice(([0, 0], [5, 1], [0, 2**63], [-1, 4], [0], "x", None, [0, len(numbers)]))
    elif how == "name":
        header[rng.choice(("", "x" * 100_000, "写真", "a.b", "__metadata", "\ud800"))] = header.pop(name)
    elif how == "missing":
        del header[name]
    elif how == "numbers":
        value = rng.choice((float("nan"), float("inf"), 65504.0, -float("inf")))
        wrong = np.frombuffer(numbers, np.float16).copy()
        wrong[rng.randrange(len(wrong)) :: rng.choice((1, 999_983))] = value
        return with_header(header, wrong.tobytes()), f"numbers {value}"
    elif how == "settings":
        key = rng.choice([*settings, "depth", "blocks"])
        settings[key] = rng.choice((*NASTY, 10**6, 10**9, 10**12, [[2, 64, 10**6, 2]], [10**6] * 5, 64.0, "64"))
        about["settings"] = json.dumps(settings)
        how = f"settings {key}={str(settings[key])[:20]}"
    elif how == "metadata":
        key = rng.choice(("architecture", "settings"))
        about[key] = rng.choice(("", "x", "[" * DEEP + "]" * DEEP, "9" * 5000, "null", "[]", "{", "NaN", "Generator",
            "x" * 10**6))
        header["__metadata__"] = rng.choice((about, about, about, {key: 5}, [], "x", None))
    elif how == "disguise":
        return disguise(rng), "another kind of file"
    return with_header(header, numbers), f"{how} of {name}"


class Evil:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch evil",)


def disguise(rng: random.Random) -> bytes:
    """A file of another kind under the name of one of weights."""
    state, zipped = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.zeros(3)}, state)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
        archive.writestr("archive/version", "3")
    return rng.choice((
        b"", b"\x80", state.getvalue(), zipped.getvalue(), pickle.dumps(Evil()), pickle.dumps({"a": 1}),
        b"PK\3\4" + bytes(99),
        damaged(state.getvalue(), rng)[0], gzip.compress(network_file(FaceResNet)), b"{}", pictures()["PNG RGB"],
        b"\x08\x08" * 99,
    ))


def weight_file(rng: random.Random, folder: Path) -> Case:
    """A wrong weight file, as whatever reads weight files."""
    kind = rng.choice(list(networks()))
    content, what = broken_weights(kind, rng)
    file = folder / rng.choice(("a.safetensors", "写真.safetensors"))
    file.write_bytes(content)
    readers: list[tuple[str, Callable[[], object]]] = [(f"a {kind.__name__}", partial(used, kind, file))] * 6
    readers += [("about", partial(weights.about, file, "settings"))]
    if rng.random() < 0.15:
        other = folder / ("a" + rng.choice((".pt", ".onnx")))
        other.write_bytes(disguise(rng))
        readers = [(other.suffix, partial(load_recogniser, other))]
    name, run = rng.choice(readers)
    return Case(f"{what}, as {name}", run)


def used(kind: type, file: Path) -> None:
    """Load a network and let it look at something: what is loaded has to work."""
    images, mask, face = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), canonical_face(64)
    mask[..., :32] = 1
    with torch.no_grad():
        if kind in (MobileFaceNet, FaceResNet):
            recogniser = load_recogniser(file)
            assert recogniser.verdict(0.4) and recogniser.embed(images, face).isfinite().all()
        elif kind is FeatureNetwork:
            assert all(one.isfinite().all() for one in weights.load(file, kind)(images).values())
        elif kind is LandmarkPredictor:
            assert weights.load(file, kind)(images, mask).isfinite().all()
        else:
            weights.load(file, kind)(images, mask, face)  # finite numbers may still be too large to compute with


# A class of bugs that a byte can make: entries of another type.
def manifest(rng: random.Random, folder: Path) -> Case:
    """A wrong manifest of the shipped weights."""
    content = weights.manifest()
    name, how = rng.choice(list(content)), rng.choice(("value", "value", "entry", "bytes", "text"))
    if how == "value":
        content[name][rng.choice(("file", "sha256", "bytes", "threshold", "licence"))] = rng.choice(NASTY)
    elif how == "entry":
        content[name] = rng.choice(NASTY)
    text = json.dumps(content).encode(errors="surrogatepass")
    if how == "bytes":
        text, how = damaged(text, rng, len(text))
    elif how == "text":
        text = rng.choice((b"", b"[]", b"null", b"5", b"{}", b'"x"', b"[" * DEEP, b"9" * 5000, b"\xff\xfe", text[:-1]))
    file = folder / "manifest.json"
    file.write_bytes(text)

    def run() -> None:
        weights.path_of.cache_clear()
        try:
            with mock.patch.object(weights, "MANIFEST", file):
                rng.choice((weights.path_of, partial(weights.about, key="licence"), weights.file_of))(name)
        finally:
            weights.path_of.cache_clear()

    return Case(f"{name}, {how}", run)


# ------------------------------------------------------------------------------------------- settings

WORDS = ("", " ", "=", ".", "..", "=.", "a.b=c", "completion", "completion.", ".lr=1", "completion.lr",
    "completion..lr=1", "\0",
         "completion.lr=1=2", "写真.lr=1", "\ud800", "x" * 100_000, "completion.__class__=1", "completion.lr =1", "-5",
         "[]")
VALUES = ("", "nan", "inf", "-inf", "1e400", "-1", "0", "1e-400", "9" * 5000, "9" * 18, "true", "None", "[]", "{}",
    "0x10", "1_000",
          "１２", " 5 ", "5.5", "\0", "x" * 100_000, "1;2", "cosine", "fp16", "\ud800", "½", "1e5", "--", "on",
          "99999999999999999999")


def setting(rng: random.Random, folder: Path) -> Case:
    """A wrong `--set`, a wrong share of faces, wrong limits."""
    chosen = presets.PRESETS["smoke"]
    stage = rng.choice(list(vars(chosen)))
    key = rng.choice([*vars(getattr(chosen, stage)), "stepz", ""])
    text = rng.choice((rng.choice(WORDS), f"{stage}.{key}={rng.choice(VALUES)}", f"{stage}.{key}={rng.choice(VALUES)}"))
    if rng.random() < 0.3:
        text = damaged(text.encode(errors="surrogatepass")[:1000], rng)[0].decode(errors="replace")
    readers: dict[str, Callable[[], object]] = {
        "a setting": partial(presets.preset, "smoke", [text]),
        "a preset": partial(presets.preset, rng.choice(WORDS)),
        "a share": partial(FaceSpec.parse, f"faces:{rng.choice(VALUES)}"),
        "limits": partial(limits, f"yaw={rng.choice(VALUES)}:{rng.choice(VALUES)}"),
        "limits by text": partial(limits, text),
        "a mask": partial(masks.named, rng.choice(WORDS), rng.choice((64, (64, 1), 0, -5)), canonical_face(64)),
        "a recogniser": partial(load_recogniser, rng.choice(WORDS)),
    }
    name = rng.choices(list(readers), weights=[12, 1, 2, 2, 1, 2, 2])[0]
    return Case(f"{text[:40]!r}, as {name}", readers[name])


RECIPE = """
[let]
photographs = ""
share = "0.5"

[[stage]]
name = "painter"
train = "completion"
preset = "smoke"
faces = ["{photographs}:1", "synthetic:{share}"]
landmarks = "predictor"
set = { steps = 2, milestone_faces = 0, gan = "hinge" }
about = { licence = "MIT" }
seed = 3

[[stage]]
name = "evaluation"
evaluate = ["painter"]
faces = ["{photographs}"]
"""
TOML = ("1", "-1", "1.5", "nan", "inf", "9" * 5000, "true", "''", "'x'", "[]", "[[]]", "{}", "{a=1}", "1979-05-27",
    "12:00:00", "[1, 'a']",
        "'{'", "'}'", "'{}'", "'{0}'", "'{photographs.__class__}'", "'{photographs[0]}'", "'{photographs!r}'",
        "'{photographs:>2000000000}'", "'{photographs:{photographs}}'", "'{{}}'", "'../../etc'", "'/etc'", "'\\u0000'",
        "'a/b'",
        "[" * 5000 + "]" * 5000, "'" + "x" * 100_000 + "'", "[1, 2, 3]", "{steps = [1]}", "{steps = {a = 1}}",
        "{'' = 1}", "'.'", "'..'")


def recipe(rng: random.Random, folder: Path) -> Case:
    """A wrong recipe, or a wrong record of a release."""
    text, file, out = RECIPE, folder / "recipe.toml", folder / "out"
    how = rng.choice(("value", "value", "value", "let", "line", "bytes", "text", "record"))
    lines = text.splitlines()
    if how == "value":
        at = rng.choice([number for number, line in enumerate(lines) if "=" in line])
        lines[at] = f"{lines[at].partition('=')[0]}= {rng.choice(TOML)}"
        text = "\n".join(lines)
        how = lines[at][:60]
    elif how == "let":
        text = text.replace("[let]", rng.choice(("let = 5", "let = []", "[[let]]", "[let.a]", "[let]\nx = [1]",
            "[let]\n'a.b' = ''")))
    elif how == "line":
        lines.insert(rng.randrange(len(lines)), rng.choice(("stage = 5", "[stage]", "=", "[[let]]", "x = 1",
            "[[stage]]", "'' = 1", "[a.b]")))
        text = "\n".join(lines)
    content = text.encode(errors="surrogatepass")
    if how == "bytes":
        content, how = damaged(content, rng, len(content))
    elif how == "text":
        content = rng.choice((b"", b"\xff\xfe", b"stage = 5", b"stage = [1]", b"stage = 'x'", b"let = 5\n" + STAGE,
            b"\0", b"a" * 10**6))
    elif how == "record":
        out.mkdir()
        (out / release.RECORD).write_bytes(rng.choice((
            b"", b"[]", b"5", b"null", b'"x"', b"[" * DEEP, b"9" * 5000, b'{"painter": 5}', b'{"painter": {}}',
            b'{"painter": []}',
            b'{"painter": {"told": 5}}', b'{"painter": {"finished": "x"}}', b'{"painter": {"seconds": "x"}}', b"\xff",
        )))
        run = partial(command, "release", file, "--out", out, "--let", "photographs=nowhere")
    file.write_bytes(content)
    if how != "record":
        run = partial(release.Recipe.read, file, rng.choice(({"photographs": "faces"},
            {"photographs": rng.choice(WORDS)}, {})))
    return Case(how, run, frozenset({"out/release.json"}))


STAGE = b'[[stage]]\nname = "a"\ntrain = "landmarks"\nfaces = ["b"]\n'


# ------------------------------------------------------------------------------------------- archives

MEMBERS = ("a.txt", "../a", "/a", "a/../../b", "..\\a", "C:\\a", "a\0b", "", ".", "..", "./", "/", "写真/🙂.txt",
    "x" * 256, "d/" * 2000 + "f",
           "a", "a/b", "A", "./a", "a//b", "a\\b", "\ud800", "con", " ", "a\nb", "deep/" * 60 + "f", "-", "~", "$HOME")


def zip_of(names: list[str], rng: random.Random, content: bytes = b"some text " * 50) -> bytes:
    """A zip of files with these names, kinds and compressions."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("a", (2020, 1, 1, 0, 0, 0))
            info.filename = name.encode(errors="replace").decode() or "."
            info.compress_type = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2,
                zipfile.ZIP_LZMA))
            info.external_attr = rng.choice((0o100644, 0o100644, 0o120777, 0o010644, 0o040755, 0)) << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one name twice
                archive.writestr(info, content)
    return file.getvalue()


def tar_of(names: list[str], rng: random.Random, mode: str = "w", content: bytes = b"some text " * 50) -> bytes:
    """A tar of members with these names, some of them links or devices."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        for name in names:
            info = tarfile.TarInfo(name.encode(errors="replace").decode())
            info.type = rng.choice([tarfile.REGTYPE] * 6 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                tarfile.DIRTYPE, b"S", b"?"])
            info.linkname, info.size = rng.choice(("../../a", "/etc/passwd", "a", "")), len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def long_header(kind: bytes, size: int) -> bytes:
    """A tar whose first header announces a name, or further headers, of a size; zeros follow."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@cache
def tar_bomb(kind: bytes, megabytes: int) -> bytes:
    """A small gz of a tar of zeros: in a file, or where the reader looks for a name."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, compresslevel=1) as packed:
        packed.write(long_header(kind, megabytes << 20))
        for _ in range(megabytes):
            packed.write(bytes(1 << 20))
    return file.getvalue()


@cache
def zip_bomb(megabytes: int) -> bytes:
    """A small zip of a large file of zeros."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (2020, 1, 1, 0, 0, 0)), bytes(megabytes << 20), zipfile.ZIP_DEFLATED, 1)
    return file.getvalue()


def overlapping(count: int) -> bytes:
    """A zip whose every member is the same compressed megabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a0000", (2020, 1, 1, 0, 0, 0)), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    content = file.getvalue()
    start = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    entry, last = content[start:end], bytearray(content[end:])
    entries = b"".join(entry.replace(b"a0000", b"a%04d" % number) for number in range(count))
    struct.pack_into("<HHI", last, 8, count, count, len(entries))
    return content[:start] + entries + bytes(last)


def archives(rng: random.Random) -> tuple[bytes, str]:
    """An archive that is not to be trusted, or none, and what is wrong with it."""
    names = [rng.choice(MEMBERS) for _ in range(rng.randrange(1, 4))]
    mode = rng.choice(("w", "w:gz", "w:bz2", "w:xz"))
    whole = {"zip": lambda: zip_of(["a", "b/c", "写真"], rng), "tar": lambda: tar_of(["a", "b/c", "写真"], rng, mode)}
    made: dict[str, Callable[[], bytes]] = {
        "a zip of names": lambda: zip_of(names, rng),
        "a tar of names": lambda: tar_of(names, rng, mode),
        "a tar of a long name": lambda: tar_bomb(rng.choice((b"L", b"K", b"x", b"g")), 160),
        "a tar of a large file": lambda: tar_bomb(b"0", 160),
        "a zip of a large file": lambda: zip_bomb(160),
        "a zip of one file many times": lambda: overlapping(5000),
        "a header alone": lambda: long_header(rng.choice((b"0", b"L", b"x", b"g", b"S")), rng.choice((0, 1, 2**33 - 1,
        99))),
        "a zip in a zip": lambda: zip_of(["a.zip"], rng, zip_of(["../a"], rng)),
        "no archive": lambda: disguise(rng),
        "zeros": lambda: gzip.compress(bytes(20 << 20), 1, mtime=0),
    }
    if rng.random() < 0.55:
        kind = rng.choice(list(whole))
        content, how = damaged(whole[kind](), rng, header=rng.choice((64, 512)))
        return content, f"{kind}, {how}"
    name = rng.choice(list(made))
    return made[name](), f"{name} {names if 'names' in name else ''}"[:80]


def archive(rng: random.Random, folder: Path) -> Case:
    """An archive that is not to be trusted."""
    content, what = archives(rng)
    (folder / "archive").write_bytes(content)
    wanted = rng.choice((lambda name: True, lambda name: True, lambda name: name.endswith("c")))
    return Case(what, partial(unpack, folder / "archive", folder / "out", wanted))


# ------------------------------------------------------------------------------------------- shards


def shard(rng: random.Random, folder: Path) -> Case:
    """A folder of Parquet shards with something wrong in one of them."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row(rng) | {"image": {"bytes": pictures()["PNG RGB"], "path": "a.png"}} for _ in range(4)]
    how = rng.choice(("bytes", "bytes", "bytes", "picture", "points", "column", "null", "name", "size"))
    if how == "picture":
        content, name = bombs(rng) if rng.random() < 0.5 else damaged(pictures()[rng.choice(list(pictures()))], rng)
        rows[1]["image"] = {"bytes": rng.choice((content, content, content, None)), "path": "a.png"}
        how = f"a picture, {name}"
    elif how == "points":
        right = canonical_face(64)[0].tolist()
        rows[1]["landmarks"] = rng.choice((
            right[:5], [], [[]], [[1.0]], [[float("nan")] * 2] * 68, [[1e308] * 2] * 68, [[5.0, 5.0]] * 68,
            right + right,
            [[x * 1e5, y * 1e5] for x, y in right], [[x + 1e9, y] for x, y in right], [[None, 1.0]] * 68, [None] * 68,
        ))
    elif how == "null":
        rows[1][rng.choice(("file_name", "identity", "image", "split"))] = None
    table = pa.Table.from_pylist(rows)
    if how == "column":
        key = rng.choice(table.column_names)
        wrong = rng.choice((pa.array([1] * 4), pa.array(["x"] * 4), pa.array([[1.0]] * 4), pa.array([None] * 4),
            pa.array([b"x"] * 4)))
        table = table.set_column(table.column_names.index(key), key, wrong)
        how = f"{key} as {wrong.type}"
    content = io.BytesIO()
    pq.write_table(table, content, compression=rng.choice(("snappy", "gzip", "zstd", "none")))
    text = content.getvalue()
    if how == "bytes":
        at = len(text) - rng.randrange(8, 2000)  # the footer, half of the time
        text, more = damaged(text, rng) if rng.random() < 0.5 else (damaged(text[at:], rng, len(text) - at))
        text, how = (text, more) if len(text) > 2500 else (content.getvalue()[:at] + text, f"{more} in the footer")
    shards = folder / "shards"
    shards.mkdir()
    name = rng.choice(("train-00000-of-00002.parquet", "x.parquet", "train-99999-of-00000.parquet",
        "\nx-00000-of-00001.parquet"))
    name = name if how == "name" else "train-00000-of-00001.parquet"
    (shards / name).write_bytes(b"PAR1" if how == "size" else text)
    labelled = rng.random() < 0.5

    def run() -> None:
        with mock.patch.object(datasets.config, "HF_DATASETS_CACHE", folder.parent / "cache"):
            for _ in ShardedFaces(shards, "train", 64, labelled=labelled, rank=0, world_size=1):
                pass

    return Case(how, run)


# ------------------------------------------------------------------------------------------- small files


def text_file(rng: random.Random, folder: Path) -> Case:
    """A damaged one of the small files that the package finds again: lists, templates, settings, metrics."""
    mapping = "idx orig_idx orig_file\n" + "".join(f"{n} {n + 9} {n:06d}.jpg\n" for n in range(5))
    template = "189\n" + "1.5 2.5\n" * 189 + "0\n"
    metrics = "image,identity,mask,weights,psnr\n" + "a,ann,mask01,mirror,20.5\n" * 3
    begun = json.dumps({"file_name": "images/a.jpg"} | row(rng)) + "\n"
    kind, text = rng.choice((("mapping", mapping), ("template", template), ("metrics", metrics), ("settings", "{}"),
        ("begun", begun)))
    nasty = rng.choice((
        text + "9" * 5000 + " " + "9" * 5000 + " x\n", "[" * DEEP, "nan " * 3, "5", "[]", "null", '"x"',
        text.replace("1", "NaN"),
        text.replace("2", "1e999"), text * 2, text.replace("\n", "\r"), "\0" * 99, text[:-5], '"' + "x" * 200_000,
        "{}", '{"file_name": 5}',
    ))
    content, how = damaged(text.encode(), rng, len(text)) if rng.random() < 0.6 else (nasty.encode(), repr(nasty[:20]))
    out = folder / "out"
    out.mkdir()
    file = out / {"settings": "settings.json", "begun": "unfinished.jsonl"}.get(kind, "file")
    file.write_bytes(content)
    if kind == "begun":
        (out / "settings.json").write_text("{}")
    entries = [Entry("images/a.jpg", lambda: (b"picture", row(rng)))]
    readers: dict[str, Callable[[], object]] = {
        "mapping": partial(read_mapping, file), "template": partial(read_template, file),
        "metrics": partial(read_metrics, file),
        "settings": partial(write_faces, out, entries, {}), "begun": partial(write_faces, out, entries, {}),
    }
    kept = frozenset({"out/settings.json", "out/unfinished.jsonl"})
    return Case(f"{kind}, {how}", readers[kind], kept)


# ------------------------------------------------------------------------------------------- arguments


def argument(rng: random.Random, folder: Path) -> Case:
    """Tensors, strokes and pictures that functions are given wrong."""
    number = rng.choice((float("nan"), float("inf"), -1.0, 0.0, 1e308, 1e9, 5.0))
    tensor = rng.choice((
        torch.full((1, 1, 64, 64), number, dtype=torch.float64), torch.zeros(0, 0), torch.zeros(1, 1, 0, 64),
        torch.zeros(5), torch.tensor(1.0),
        torch.ones(1, 3, 64, 64), torch.ones(1, 1, 1, 1), torch.ones(64, 64, dtype=torch.bool), torch.ones(1, 1, 64, 1),
    ))
    face = rng.choice((
        canonical_face(64) * number, canonical_face(64)[:, :5], torch.full((1, 68, 2), 5.0), canonical_face(64)[0],
        torch.zeros(0, 68, 2),
        canonical_face(64) + number, canonical_face(64).flip(1),
    ))
    stroke = rng.choice(([], [1], [number, [1, 2]], [3, [number, 2]], [3, [1, 2, 3]], "xx", [3, "xx"], [3, [[1, 2]]],
        [3, []], None, [[], []],
                         [3, [1, 2] * 30_000], [1e5, [1, 2, 9e5, 9e5]], {"a": 1}, [10**400, [1, 2]], [3, [10**400, 1]],
                         ["\0", [1, 2]]))
    session = Session(64)
    mode = rng.choice(MODES[:-3])
    sides = rng.choice(((1, 1), (64, 1), (1, 64), (64, 64), (33, 64), (31, 31)))
    readers: dict[str, Callable[[], object]] = {
        f"a mask of {tuple(tensor.shape)}, {number}": partial(completer(), portrait(), tensor, aligned=True),
        f"landmarks of {tuple(face.shape)}, {number}": partial(masks.named, rng.choice(("mask07", "face-mask",
        "irregular")), 64, face),
        f"a crop of {tuple(face.shape)}, {number}": lambda: align.cut(torch.rand(1, 3, 64, 64),
        align.crop_from_landmarks(face), 64),
        f"a stroke {str(stroke)[:40]}": partial(masks.strokes, rng.choice(([stroke], stroke)), 64),
        f"the studio's stroke {str(stroke)[:40]}": partial(session.draw, stroke),
        f"a picture of {mode}, {sides}": partial(completer(), Image.new(mode, sides), "mask01", aligned=True),
        f"a mask's picture of {mode}, {sides}": partial(completer(), portrait(), Image.new(mode, sides), aligned=True),
        f"a hole ratio of {number}": partial(masks.irregular, 1, 64, torch.Generator().manual_seed(0), (number,
        rng.choice((number, 0.5, 2)))),
    }
    name = rng.choice(list(readers))
    return Case(name, readers[name])


# ------------------------------------------------------------------------------------------- the command line


def call(rng: random.Random, folder: Path) -> Case:
    """The command line with broken files, and with options that say nothing."""
    photos, out = folder / "photos", folder / "out"
    photos.mkdir()
    names = rng.sample(NAMES, 2)
    for name in names:
        content = pictures()[rng.choice([kind for kind in pictures() if kind.split()[0] in FORMATS])]
        (photos / os.fsdecode(name)).write_bytes(damaged(content, rng)[0] if rng.random() < 0.5 else content)
    link = photos / rng.choice(("link.png", "loop.png", "pipe.png", "folder.png"))
    {
        "link.png": lambda: link.symlink_to("/nowhere"), "loop.png": lambda: link.symlink_to(link),
        "pipe.png": lambda: os.mkfifo(link), "folder.png": link.mkdir,
    }[link.name]()
    file = folder / "file"
    file.write_bytes(rng.choice((bombs(rng)[0], disguise(rng), archives(rng)[0], metadata(rng)[0])))
    paths = (photos, file, link, folder / "none", folder / ("x" * 300), "\0", "", "/dev/null", "/dev/zero",
        photos / os.fsdecode(names[0]))

    def path() -> object:
        return rng.choice(paths)

    word = rng.choice(WORDS).replace("\0", "").encode(errors="replace").decode()
    calls: dict[str, list] = {
        "complete": ["complete", photos, "--mask", "mask01", "--aligned", "--size", 64, "--out", out],
        "complete a path": ["complete", path(), "--mask", "mask01", "--aligned", "--size", 64, "--out", out],
        "complete by a mask": ["complete", photos, "--mask", path(), "--aligned", "--size", 64, "--out", out],
        "complete by a reference": ["complete", photos, "--mask", "mask01", "--reference", path(), "--size", 64,
        "--out", out],
        "complete by weights": ["complete", photos, "--mask", "mask01", "--weights", path(), "--size", 64, "--out",
        out],
        "complete into": ["complete", photos, "--mask", "mask01", "--aligned", "--size", 64, "--out", path()],
        "complete by a word": ["complete", photos, "--mask", word, "--aligned", "--size", rng.choice(VALUES), "--out",
        out],
        "evaluate": ["evaluate", path(), "--out", out, "--size", 64],
        "evaluate by": ["evaluate", photos, "--out", out, rng.choice(("--weights", "--recogniser", "--landmarks")),
        path()],
        "train": ["train", "landmarks", "--preset", "smoke", "--faces", path(), "--out", out],
        "train by": ["train", "completion", "--preset", "smoke", "--faces", "synthetic", "--out", out, "--landmarks",
        path()],
        "train with": ["train", "landmarks", "--preset", "smoke", "--faces", "nowhere", "--out", out, "--set", word],
        "release": ["release", path(), "--out", out, "--let", rng.choice((word, "a=b"))],
        "folder": ["data", "folder", path(), "--out", out, "--landmarks", "none"],
        "fetch": ["fetch", word],
        "complete by a seed": [
            "complete", photos, "--mask", "irregular", "--aligned", "--size", 64, "--out", out, "--seed", rng.choice(VALUES)
        ],
        "synthetic": [
            "data", "synthetic", "--out", out, "--people", 1, "--photos", 1, "--size", 32, "--seed", rng.choice(VALUES)
        ],
    }
    name = rng.choices(list(calls), weights=[4, 2, 2, 2, 2, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1])[0]
    arguments = [os.fsencode(str(one).replace("\0", "")).decode(errors="surrogateescape") for one in calls[name]]
    kept = {f"out/{Path(os.fsdecode(one)).stem}.png" for one in names} | {"out/report.csv", "out"}
    shown = " ".join(os.path.basename(one)[:30] for one in arguments)

    def run() -> None:
        with mock.patch.object(Completer, "from_pretrained", completer_of):
            command(*arguments)

    return Case(shown, run, frozenset(kept | {one.removeprefix("out/") for one in kept}))


def completer_of(generator: str = "generator", size: int = 256, device: str = "auto") -> Completer:
    """The shipped networks read once; others each time."""
    if generator == "generator" and size == 64:
        return completer()
    whole = completer()
    return Completer(weights.load(generator, Generator), whole.predictor, whole.recogniser, size, device)


# How many of a hundred inputs are of a kind.
KINDS: dict[str, tuple[Maker, int]] = {
    "picture": (picture, 24), "bomb": (bomb, 10), "row": (rows, 13), "weights": (weight_file, 12),
    "manifest": (manifest, 4),
    "setting": (setting, 5), "recipe": (recipe, 6), "archive": (archive, 10), "shard": (shard, 6), "text": (text_file,
    3),
    "argument": (argument, 3), "call": (call, 4),
}
