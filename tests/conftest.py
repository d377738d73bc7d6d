"""What several test files share: a real photo, a fixed number of threads, and no network."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of what tests start; read when torch is imported
os.environ.setdefault("PYTHONUTF8", "1")  # too, and of the processes that share the tests: Windows reads otherwise

import pytest
import torch
from browsers import MISSING, REMEDY, launch
from jobs import forks, kinds, whole  # noqa: F401, fixtures of several files
from PIL import Image, ImageEnhance, ImageOps
from sharing import FIRST, pytest_xdist_make_scheduler  # noqa: F401, a hook
from skimage import data
from torch import Tensor, nn

if TYPE_CHECKING:
    from faceinpaint.features import Features

COMPARED = ["mirror", "mean-colour"]  # baselines of small evaluations, the quickest two

torch.set_num_threads(1)  # sums round alike on every machine, and busy cores do not stall each other

def pytest_addoption(parser: pytest.Parser) -> None:
    """How many broken inputs `test_fuzzing.py` makes, and which; and whether tests run that take long."""
    parser.addoption("--fuzz", type=int, default=200, metavar="COUNT", help="how many broken inputs are tried, about")
    parser.addoption("--fuzz-seed", type=int, default=0, metavar="SEED", help="which ones")
    parser.addoption("--long", action="store_true", help="also what takes an hour: see CONTRIBUTING.md")


LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long: give --long"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line: what was not tested, and what to do."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    missed = sum(MISSING in str(report.longrepr) for report in skipped)
    if missed:
        print(f"Not tested: the Mask Studio and the site of the course ({missed} tests), for {MISSING}; {REMEDY}")


@pytest.fixture(scope="session")
def astronaut() -> Image.Image:
    """The portrait of Eileen Collins that ships with scikit-image, 512 x 512, RGB."""
    return Image.fromarray(data.astronaut())


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Make every connection to another machine fail, so that what passes here works offline."""
    def guard(method):
        def guarded(self, address, *rest):
            if isinstance(address, tuple):  # a Unix socket has a path instead
                refuse(address[0])
            return method(self, address, *rest)
        return guarded

    def guarded_lookup(host, *rest, **options):
        refuse(host)
        return lookup(host, *rest, **options)

    lookup = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guard(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", guarded_lookup)
        yield


def refuse(host: str | bytes | None) -> None:
    """Raise if `host` is another machine; no OSError, for code may catch those and go on."""
    if isinstance(host, bytes):
        host = host.decode()
    if host not in LOCAL and host != socket.gethostname():
        raise RuntimeError(f"a test tried to reach {host}: tests run without the network")


def canonical_face(size: int = 256) -> Tensor:
    """A plausible upright frontal face, symmetric about the middle of `size` pixels -> (1, 68, 2) pixels."""
    jaw = [(52, 118), (54, 138), (57, 158), (61, 177), (69, 195), (81, 210), (96, 221), (112, 228)]
    jaw += [(127.5, 231)]
    brow = [(66, 99), (74, 92), (86, 89), (98, 91), (110, 95)]
    bridge = [(127.5, 112), (127.5, 127), (127.5, 141), (127.5, 155)]
    nostrils = [(113, 165), (120, 167), (127.5, 169)]
    eye = [(76, 114), (84, 108), (95, 108), (104, 115), (95, 118), (84, 118)]
    lips_top = [(100, 191), (110, 186), (121, 184), (127.5, 186)]
    lips_bottom = [(127.5, 204), (119, 203), (109, 199)]
    inner = [(105, 192), (120, 190), (127.5, 191)]
    inner_bottom = [(127.5, 195), (120, 194)]

    def mirrored(points: list) -> list:
        return [(255 - x, y) for x, y in points]

    points = jaw + mirrored(jaw[-2::-1]) + brow + mirrored(brow[::-1]) + bridge
    points += nostrils + mirrored(nostrils[-2::-1]) + eye
    points += mirrored([eye[3], eye[2], eye[1], eye[0], eye[5], eye[4]])
    points += lips_top + mirrored(lips_top[-2::-1]) + mirrored(lips_bottom[:0:-1]) + lips_bottom
    points += inner + mirrored(inner[-2::-1]) + mirrored(inner_bottom[:0:-1]) + inner_bottom
    return (torch.tensor([points]) + 0.5) * (size / 256) - 0.5


def small_features(*widths: int) -> Features:
    """A small frozen network of random features in VGG's manner: layers 1/1, 1/2, 1/4 ... of these widths."""
    from faceinpaint.features import Features

    torch.manual_seed(0)
    stages, channels = {}, 3
    for level, width in enumerate(widths):
        down = [nn.AvgPool2d(2)] if level else []
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        stages[f"1/{2**level}"] = nn.Sequential(*down, convolution, nn.LeakyReLU(0.2))
        channels = width
    return Features(stages).frozen()


@pytest.fixture(scope="session")
def face() -> Tensor:
    """The canonical face at 128 pixels, (1, 68, 2)."""
    return canonical_face(128)


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory, astronaut):
    """Makes face folders of 'people' that are one photo, changed; each is in the splits train and val."""

    def make(people: int = 3):
        root = tmp_path_factory.mktemp("faces")
        (root / "images").mkdir()
        portrait = astronaut.crop((110, 0, 350, 240)).resize((256, 256))
        looks = [portrait, ImageOps.mirror(portrait), ImageOps.invert(portrait), ImageOps.solarize(portrait)]
        rows = []
        for number, photo in enumerate(looks[:people]):
            for split in ("train", "val"):
                name = f"images/{split}-{number}.png"
                photo.save(root / name)
                rows.append(dict(
                    file_name=name, identity=f"person-{number}", landmarks=canonical_face(256)[0].tolist(), split=split,
                    source="test", licence="public domain",
                ))
        (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return root

    return make


@pytest.fixture(scope="module")
def predictor():
    """A small landmark predictor that knows the canonical face and nothing else."""
    from faceinpaint.landmarks import LandmarkPredictor

    torch.manual_seed(0)
    predictor = LandmarkPredictor(width=0.35, size=64).eval()
    predictor.set_mean_face(canonical_face(64), 64)
    return predictor


@pytest.fixture(scope="module")
def recogniser():
    """A small recogniser that has learnt nothing."""
    from faceinpaint.recognisers import MobileFaceNet, Recogniser

    torch.manual_seed(0)
    return Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Completion training fits its appearance model to 48 photographs, not 2000, and validates under one mask."""
    from faceinpaint.training import completion

    patch.setattr(completion.fit_appearance, "__defaults__", (48,))
    patch.setattr(completion, "VALIDATION_MASKS", ("mask01",))


@pytest.fixture
def quick_training(monkeypatch):
    quicken(monkeypatch)


@pytest.fixture(scope="session")
def people(tmp_path_factory, astronaut):
    """A face folder to evaluate, photographs of `ann` (2), `bob` (3, the last with five points only) and `cat` (1)."""
    root = tmp_path_factory.mktemp("people")
    (root / "images").mkdir()
    portrait = astronaut.crop((110, 0, 350, 240)).resize((256, 256))
    grey = ImageEnhance.Color(portrait).enhance(0.3)
    mouth, eyes = [(105.0, 191.0), (150.0, 191.0)], [(86.0, 112.0), (169.0, 112.0)]
    photographs = [
        ("ann-0", portrait, 1.0), ("ann-1", portrait, 0.8), ("bob-0", grey, 1.0), ("bob-1", grey, 0.8),
        ("bob-2", grey, 0.6), ("cat-0", ImageOps.mirror(portrait).resize((40, 40)), 1.0),
    ]
    rows = []
    for name, photo, brightness in photographs:
        ImageEnhance.Brightness(photo).enhance(brightness).save(root / "images" / f"{name}.png")
        rows.append(dict(
            file_name=f"images/{name}.png", identity=name[:3], split="test", source="test", licence="public domain",
            landmarks=None if name == "bob-2" else canonical_face(photo.width)[0].tolist(),
            points=[*eyes, (127.5, 155.0), *mouth],
        ))
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory, people):
    """The folder of a whole evaluation of `people` at 64 pixels under the face mask, two photographs at a time."""
    from faceinpaint.evaluation import run

    out = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "BLOCK", 2)
        run.evaluate(people, out, family="face-mask", size=64, compared=COMPARED)
    return out


@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of one file: while it runs, so does an event loop that other tests can't do with."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio_address(tmp_path_factory):
    """The address of a Mask Studio, served by the command that people give."""
    from studio_page import start_voila, stop

    process, address = start_voila(tmp_path_factory.mktemp("voila") / "log")
    yield address
    stop(process)


@pytest.fixture
def page(first):
    """The page of the one visitor that a file about the studio has, `first`, who begins anew."""
    from studio_page import anew

    anew(first)
    return first
