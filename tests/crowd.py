"""What a folder of very many photos costs before the work begins, and what memory it takes.

    python tests/crowd.py 50000 train|evaluate|complete [MEMORY]

MEMORY: bytes of a folder's faces that a training run holds at a time, `sources.MEMORY` by default. The photos are one
small JPEG under so many names. One line of JSON: seconds to the first results, and the peak of the resident set in
bytes, that of the imports included.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from skimage import data

PERSON = 5  # photos of each
TESTED = 10  # photos that are evaluated


def face_folder(root: Path, count: int) -> Path:
    """A face folder whose last photos are for validation and tests, two people each; hard links to one file."""
    from conftest import canonical_face

    (root / "images").mkdir(parents=True)
    original = root / "one.jpg"
    Image.fromarray(data.astronaut()).crop((110, 0, 350, 240)).resize((96, 96)).save(original)
    landmarks = canonical_face(96)[0].tolist()
    with open(root / "metadata.jsonl", "w") as file:
        for number in range(count):
            os.link(original, root / "images" / f"{number:06}.jpg")
            split = {0: "val", 1: "test"}.get((count - 1 - number) // TESTED, "train")
            row = {"file_name": f"images/{number:06}.jpg", "identity": f"person-{number // PERSON:05}", "split": split,
                   "landmarks": landmarks, "source": "test", "licence": "public domain"}
            file.write(json.dumps(row) + "\n")
    original.unlink()
    return root


def train(folder: Path, out: Path) -> None:
    """The first two steps of stage 1."""
    from faceinpaint.training import train_landmarks
    from faceinpaint.training.presets import preset

    settings = preset("smoke", ["landmarks.steps=2", "landmarks.batch=2", "landmarks.checkpoint_every=1"]).landmarks
    train_landmarks([folder], settings, out)


def evaluate(folder: Path, out: Path) -> None:
    """The photos of the split for tests."""
    from faceinpaint.evaluation import evaluate

    evaluate(folder, out, family="face-mask", size=64, compared=["mirror"])


def complete(folder: Path, out: Path) -> None:
    """The first photos, after which it is stopped."""
    from faceinpaint import completion
    from faceinpaint.cli import commands

    class Enough(BaseException):
        pass

    call, done = completion.Completer.__call__, []

    def count(self, *given, **options):
        if len(done) == TESTED:
            raise Enough
        done.append(given[0])
        return call(self, *given, **options)

    completion.Completer.__call__ = count
    try:
        commands.complete(folder / "images", "mask01", out, "generator", 64, True, 0, False, 0, None, 1, "cpu")
    except Enough:
        pass


def main(count: int, what: str, memory: int | None = None) -> None:
    import faceinpaint.cli
    import faceinpaint.evaluation
    import faceinpaint.training  # noqa: F401

    from faceinpaint.basics.memory import peak_memory
    from faceinpaint.training import sources

    torch.set_num_threads(1)
    sources.MEMORY = memory or sources.MEMORY
    with tempfile.TemporaryDirectory() as folder:
        faces = face_folder(Path(folder, "faces"), count)
        begin = time.perf_counter()
        globals()[what](faces, Path(folder, "out"))
        seconds = time.perf_counter() - begin
    print(json.dumps({"photos": count, "seconds": round(seconds, 1), "peak": peak_memory()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
