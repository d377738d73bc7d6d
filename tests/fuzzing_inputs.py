"""All kinds of broken inputs: those of files, and wrong arguments and calls, by how many of a hundred are of a kind."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from conftest import canonical_face
from fuzzing import Case, Maker, command, damaged
from fuzzing_files import VALUES, WORDS, archive, archives, metadata, recipe, rows, setting, shard, text_file
from fuzzing_pictures import MODES, NAMES, bomb, bombs, completer, picture, pictures, portrait
from fuzzing_weights import disguise, manifest, weight_file
from PIL import Image

from faceinpaint import masks, weights
from faceinpaint.completion import Completer
from faceinpaint.faces import align
from faceinpaint.faces.image_files import FORMATS
from faceinpaint.generator import Generator
from faceinpaint.studio import Session

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
            "complete", photos, "--mask", "block", "--aligned", "--size", 64, "--out", out, "--seed", rng.choice(VALUES)
        ],
        "synthetic": [
            "data", "synthetic", "--out", out, "--people", 1, "--photos", 1, "--size", 32, "--seed", rng.choice(VALUES)
        ],
    }
    name = rng.choices(list(calls), weights=[4, 2, 2, 2, 2, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1])[0]
    texts = [str(one).replace("\0", "").replace("\ud800", "") for one in calls[name]]  # of no call's arguments
    arguments = [os.fsencode(text).decode(errors="surrogateescape") for text in texts]
    whole = [Path(os.fsdecode(one)) for one in names]
    results = {f"{name}.png" for one in whole for name in (one.stem, one.name)} | {"report.csv", ""}
    kept = {str(Path(place, name)) for place in ("out", "none", "photos", ".") for name in results}
    shown = " ".join(os.path.basename(one)[:30] for one in arguments)

    def run() -> None:
        # Where it finds one case's photos by a path that is empty.
        with contextlib.chdir(photos), mock.patch.object(Completer, "from_pretrained", completer_of):
            command(*arguments)

    return Case(shown, run, frozenset(kept))


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
