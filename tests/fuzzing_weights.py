"""Broken weight files and manifests."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from conftest import canonical_face
from fuzzing import DEEP, NASTY, Case, damaged, member
from fuzzing_pictures import pictures
from safetensors.torch import save as serialised

from faceinpaint import weights
from faceinpaint.features import ImageNetFeatures
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import DlibResNet, FaceResNet, MobileFaceNet, load_recogniser

# ------------------------------------------------------------------------------------------- weights


@cache
def networks() -> dict[type, dict]:
    """Small networks of every class, and their settings."""
    return {
        LandmarkPredictor: {"width": 0.35, "size": 64}, MobileFaceNet: {"width": 0.125, "threshold": 0.5},
        FaceResNet: {"width": 4, "threshold": 0.5}, ImageNetFeatures: {},
        Generator: {"width": 8, "prior": False, "appearance": [4, 16], "style": True},
        DlibResNet: {"width": 2, "embedding_size": 8, "threshold": 0.5},
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


@cache
def packed_pickle() -> bytes:
    """A small file of torch's kind that unpacks to a large one: torch itself never packs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member("archive/data.pkl"), bytes(160 << 20), zipfile.ZIP_DEFLATED, 1)
        archive.writestr(member("archive/version"), "3")
    return file.getvalue()


def disguise(rng: random.Random) -> bytes:
    """A file of another kind under the name of one of weights."""
    state, zipped = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.zeros(3)}, state)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(member("archive/data.pkl"), pickle.dumps(Evil()))
        archive.writestr(member("archive/version"), "3")
    return rng.choice((
        b"", b"\x80", packed_pickle(), state.getvalue(), zipped.getvalue(), pickle.dumps(Evil()),
        pickle.dumps({"a": 1}), b"PK\3\4" + bytes(99), damaged(state.getvalue(), rng)[0], b"{}", pictures()["PNG RGB"],
        gzip.compress(network_file(FaceResNet), mtime=0), b"\x08\x08" * 99,
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
        if kind in (MobileFaceNet, FaceResNet, DlibResNet):
            recogniser = load_recogniser(file)
            assert recogniser.verdict(0.4) and recogniser.embed(images, face).isfinite().all()
        elif kind is ImageNetFeatures:
            assert all(one.isfinite().all() for one in weights.load(file, kind)(images).values())
        elif kind is LandmarkPredictor:
            assert weights.load(file, kind)(images, mask).isfinite().all()
        else:
            weights.load(file, kind)(images, mask, face)  # finite numbers may still be too large to compute with


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
