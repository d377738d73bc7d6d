"""Completes faces over and over in one process, and prints what memory that takes.

    python tests/soak.py completer --count 2000 --size 256
    python tests/soak.py session --count 200
    python tests/soak.py widget --count 200

One line of JSON: the resident set, in bytes, after the first completions and the most that it has had since.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable

import psutil
import torch
from PIL import Image
from skimage import data

MASKS = ("mask01", "mask04", "mask09", "face-mask", "irregular")


def completer(size: int) -> Callable[[int], None]:
    """Photo after photo by one `Completer`, as `faceinpaint complete FOLDER` does."""
    from faceinpaint import Completer

    made, photo = Completer.from_pretrained(size=size), portrait()

    def complete(number: int) -> None:
        made(photo.rotate(number % 7 - 3), MASKS[number % len(MASKS)], aligned=True)
    return complete


def session(size: int) -> Callable[[int], None]:
    """A visitor who opens photos, draws, completes, goes back and asks for other answers."""
    from faceinpaint.studio import Session

    visit, content = Session(size=size), as_png(portrait())

    def complete(number: int) -> None:
        if number % 20 == 0:
            visit.open(content) if number % 40 else visit.open_built_in("astronaut")
        visit.lay(MASKS[number % len(MASKS)], seed=number)
        visit.draw([size / 20, [size / 4, size / 4, size / 2, size / 2]])
        visit.generate() if number % 4 else visit.another_answer(seed=number)
        if number % 10 == 9:
            visit.recall(visit.results[0].number)
    return complete


def widget(size: int) -> Callable[[int], None]:
    """The same by the messages of a browser."""
    from faceinpaint.studio import Session, Studio

    studio, content = Studio(Session(size=size)), as_png(portrait())

    def send(part, buffers=(), **message: object) -> None:
        part._handle_custom_msg(message, list(buffers))

    def complete(number: int) -> None:
        if number % 20 == 0:
            send(studio.opener, [memoryview(content)], do="open", note="")
        send(studio.masks, do="choose", id=MASKS[number % len(MASKS)])
        send(studio.editor, do="paint", stroke=[size / 20, [size / 4, size / 4, size / 2, size / 2]])
        studio.generate_button.click()
        assert studio.status.kind == "info", studio.status.words
    return complete


def portrait() -> Image.Image:
    return Image.fromarray(data.astronaut()).crop((110, 0, 350, 240))


def as_png(photo: Image.Image) -> bytes:
    content = io.BytesIO()
    photo.save(content, "png")
    return content.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("completer", "session", "widget"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--settled", type=int, default=50, help="completions after which nothing may grow")
    given = parser.parse_args()
    torch.set_num_threads(1)
    complete, sizes = globals()[given.what](given.size), []
    for number in range(given.count):
        complete(number)
        sizes.append(psutil.Process().memory_info().rss)
        if number % 50 == 49:
            print(f"{number + 1}: {sizes[-1] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    begin, most = max(sizes[: given.settled]), max(sizes[given.settled :])
    print(json.dumps({"settled": begin, "most": most, "last": sizes[-1], "growth": round(most / begin - 1, 4)}))


if __name__ == "__main__":
    main()
