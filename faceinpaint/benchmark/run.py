"""How fast is all of it, how much memory does it take, and how do both grow? Measured in one run on one machine.

What is compared is timed in turn, so that whatever else the machine does slows all of it down: `ours`, `plain` (the
same networks as one would write them first) and, where a file of weights is given, `before`. Ratios last, times pass.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import multiprocessing
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import requests
import torch
from PIL import Image

import faceinpaint
from faceinpaint import masks
from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.basics.files import write_whole
from faceinpaint.basics.memory import peak_memory
from faceinpaint.benchmark.peak import PeakMemory
from faceinpaint.benchmark.peers import LaFIn
from faceinpaint.benchmark.plain import PlainCompleter
from faceinpaint.completion import Completer, find_device, quick_bfloat16

MATRIX_LIMIT = 2**30  # bytes of the plain attention matrix; beyond, plain is not measured
LARGEST = 1024  # pixels: whether these fit into memory is measured in any case
HEADS = 4


@dataclass(frozen=True)
class Setting:
    """What measurements are told. repeats: of which the median counts; weights: ours; against: others beside them."""

    sizes: tuple[int, ...] = (128, 256, 512)  # pixels along a side
    batches: tuple[int, ...] = (1, 16)
    photos: tuple[int, ...] = (2, 8)
    processes: tuple[int, ...] = (1, 2)
    repeats: int = 9
    weights: str = "generator"
    against: str | None = None
    course: Path | None = None  # chapters.csv of `faceinpaint course`
    faces: Path | None = None  # a set whose test split the quality is measured on; rendered people without it
    training_batch: int = 8
    peer: bool = False  # completion: whether the network alone of LaFIn is timed beside all of ours


@dataclass(frozen=True)
class Figure:
    """One thing that was measured. at: under which conditions; values: of ours, plain, before, peer; None: unknown."""

    name: str
    unit: str  # s and MB are better when less, images/s and dB when more
    at: Mapping[str, float]
    values: Mapping[str, float | None]

    @property
    def ratios(self) -> dict[str, float]:
        """How many times better ours is than each of the others; none for a quantity without a zero, dB."""
        less = self.unit in ("s", "MB")
        ours = self.values["ours"]
        known = {name: value for name, value in self.values.items() if value is not None and self.unit != "dB"}
        others = {name: value for name, value in known.items() if name != "ours"}
        return {name: value / ours if less else ours / value for name, value in others.items()}


# ---------------------------------------------------------------------------------- how it is measured


def timed(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each contestant, taken in turn, after one call of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, run in contestants.items():
            begin = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name] += [time.perf_counter() - begin] * (turn > 0)
    return {name: median(values) for name, values in seconds.items()}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size with which positive values grow: the slope of a line through their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth(figures: Iterable[Figure]) -> list[dict]:
    """The exponents of all that was measured at several pixels, batches, photos or processes, all else equal."""
    series: dict[tuple, list[tuple[float, float]]] = {}
    for figure in figures:
        for by, size in figure.at.items():
            rest = tuple(sorted((key, value) for key, value in figure.at.items() if key != by))
            for who, value in figure.values.items():
                if value and value > 0 and figure.unit in ("s", "MB"):
                    series.setdefault((figure.name, figure.unit, who, by, rest), []).append((size, value))
    return [
        {"name": name, "unit": unit, "who": who, "by": by, "at": dict(rest), "exponent": exponent(*zip(*points))}
        for (name, unit, who, by, rest), points in series.items() if len({size for size, _ in points}) > 1
    ]


# ---------------------------------------------------------------------------------- what is measured


def _completer(who: str, size: int, setting: Setting) -> Completer:
    """A contestant; plain is that of the whole generator, whatever ours is."""
    kind = PlainCompleter if who == "plain" else Completer
    return kind.from_pretrained({"ours": setting.weights, "before": setting.against}.get(who, "generator"), size)


def _contestants(setting: Setting, size: int, batch: int) -> list[str]:
    """Who is measured there: plain only where its attention matrix fits."""
    matrix = batch * HEADS * (size / 8) ** 4 * 4
    return ["ours"] + ["plain"] * (matrix <= MATRIX_LIMIT) + ["before"] * (setting.against is not None)


def _aligned(size: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures to complete, and a mask that hides a half of each."""
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    return images, masks.named("mask01", size).expand(batch, -1, -1, -1)


def completion(setting: Setting) -> list[Figure]:
    """Seconds of a completion of aligned pictures, and pictures a second."""
    figures = []
    peer = _peer() if setting.peer else None
    for size in setting.sizes:
        completers = {who: _completer(who, size, setting) for who in _contestants(setting, size, 1)}
        for batch in setting.batches:
            images, mask = _aligned(size, batch)
            runs = {who: partial(completers[who].complete, images, mask) for who in _contestants(setting, size, batch)}
            if setting.peer and batch * (size / 8) ** 4 * 4 <= MATRIX_LIMIT:
                runs["peer"] = partial(_peer_completes, peer, images, mask)
            seconds = timed(runs, setting.repeats)
            at = {"pixels": size**2, "batch": batch}
            figures.append(Figure("completion", "s", at, seconds))
            figures.append(Figure("completion", "images/s", at, {who: batch / one for who, one in seconds.items()}))
    return figures


def _peer() -> LaFIn:
    """LaFIn's network as quick as it gets without a change: laid out and rounded like ours."""
    peer = LaFIn().to(find_device()).eval().to(memory_format=torch.channels_last)
    return peer.to(torch.bfloat16) if quick_bfloat16(find_device()) else peer


def _peer_completes(peer: LaFIn, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    like = next(peer.parameters())
    return peer(images.to(like), mask.to(like), mask.to(like))


def memory(setting: Setting) -> list[Figure]:
    """Megabytes that a completion takes, beyond what the process held before it and in all; each in its own process."""
    figures = []
    for size in sorted({*setting.sizes, LARGEST}):
        beyond, whole = {}, {}
        for who in _contestants(setting, size, 1):
            beyond[who], whole[who] = _in_process(completion_memory, who, size, setting)
        at = {"pixels": size**2}
        figures.append(Figure("memory of a completion", "MB", at, beyond))
        figures.append(Figure("memory of the process", "MB", at, whole))
    return figures


def completion_memory(who: str, size: int, setting: Setting) -> tuple[float | None, float | None]:
    """Megabytes of a second completion at its peak, beyond what was held before it, and of the whole process."""
    completer, (images, mask) = _completer(who, size, setting), _aligned(size)
    completer.complete(images[..., :64, :64], mask[..., :64, :64])  # what is made once and stays
    peak = PeakMemory()
    peak.start()
    completer.complete(images, mask)
    return megabytes(peak.read()), megabytes(peak_memory())


def megabytes(memory: int | None) -> float | None:
    return None if memory is None else memory / 1e6


def _in_process(run: Callable, *arguments: object) -> object:
    """What a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(run, *arguments).result()


FIRST = """
import json, sys, time
begin = time.perf_counter()
from faceinpaint import Completer
imported = time.perf_counter() - begin
Completer.from_pretrained()(sys.argv[1], "mask01", aligned=sys.argv[2] == "aligned")
print(json.dumps([imported, time.perf_counter() - begin]))
"""


def start(setting: Setting) -> list[Figure]:
    """Seconds from the import to the first picture in a fresh process: of an aligned face, and of a photo."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "photo.png")
        photo.write_bytes(_photo())
        square = Path(folder, "square.png")
        Image.open(photo).crop((136, 20, 300, 184)).resize((256, 256)).save(square)
        for name, file, word in (("picture", square, "aligned"), ("photo", photo, "found")):
            times = [
                json.loads(_output([sys.executable, "-c", FIRST, str(file), word]))
                for _ in range(min(3, setting.repeats))
            ]
            imported, first = (median(column) for column in zip(*times))
            figures.append(Figure(f"first {name}", "s", {}, {"ours": first}))
        figures.append(Figure("import", "s", {}, {"ours": imported}))
    return figures


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _photo() -> bytes:
    """A photo with one face, 512 x 512 pixels, as a PNG."""
    from skimage import data  # late: half a second

    content = io.BytesIO()
    Image.fromarray(data.astronaut()).save(content, format="png")
    return content.getvalue()


def rendering(setting: Setting) -> list[Figure]:
    """Seconds of a rendered person's photographs."""
    from faceinpaint.faces import synthetic

    def render(size: int, photos: int) -> Figure:
        person, poses = synthetic.identities([7]), synthetic.poses(range(photos))
        run = {"ours": lambda: synthetic.render(person, poses, size)}
        return Figure("rendering", "s", {"pixels": size**2, "photos": photos}, timed(run, min(3, setting.repeats)))

    first, few = setting.sizes[0], setting.photos[0]
    return [render(size, few) for size in setting.sizes] + [render(first, many) for many in setting.photos[1:]]


def mask_making(setting: Setting) -> list[Figure]:
    """Seconds of one mask of every name."""
    from faceinpaint.faces.synthetic.dataset import render_people

    face = render_people([0], [0], 64, supersample=1).landmarks

    def make(size: int) -> None:
        for name in masks.NAMES:
            masks.named(name, size, face * size / 64)

    seconds = {size: timed({"ours": partial(make, size)}, setting.repeats) for size in setting.sizes}
    return [
        Figure("one mask of every name", "s", {"pixels": size**2}, taken) for size, taken in seconds.items()
    ]


def evaluation(setting: Setting) -> list[Figure]:
    """Seconds of an evaluation under face masks, start included, by photographs and by processes."""
    from faceinpaint.faces.synthetic.dataset import write_folder

    size = setting.sizes[0]
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        runs = [(photos, 1) for photos in setting.photos]
        runs += [(setting.photos[-1], processes) for processes in setting.processes if processes > 1]
        for photos, processes in runs:
            faces = Path(folder, f"faces{photos}")
            write_folder(faces, people=4, photos=photos, size=size, supersample=1)
            out = Path(folder, f"out{photos}-{processes}")
            command = [
                sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes),
                "-m", "faceinpaint", "evaluate", str(faces), "--out", str(out), "--masks", "face-mask",
                "--split", "train", "--size", str(size), "--baselines", "none",
            ]
            begin = time.perf_counter()
            _output(command)
            at = {"photos": 2 * photos, "processes": processes}  # of four people two are in that split
            figures.append(Figure("evaluation", "s", at, {"ours": time.perf_counter() - begin}))
    return figures


def studio(setting: Setting) -> list[Figure]:
    """Seconds of what a visitor of the studio waits for, but for what the browser does itself.

    The name on the page; the page, which is whole when its kernel has imported everything; a photo opened; from the
    end of a stroke to its mask; a face generated. The last three are messages to widgets, and pictures that go back.
    """
    from faceinpaint.studio import Studio

    widgets, photo = Studio(), _photo()
    steps = {
        "open": (widgets.opener, {"do": "open"}, [photo]),
        "mask": (widgets.editor, {"do": "paint", "stroke": [12, [90, 120, 170, 120]]}, []),
        "generate": (widgets.editor, {"do": "another"}, []),  # the likeliest answer would be there already
    }
    repeats = min(3, setting.repeats)
    seconds = timed({name: partial(part._handle_custom_msg, *said) for name, (part, *said) in steps.items()}, repeats)
    name, page = (median(column) for column in zip(*(_page_seconds() for _ in range(repeats))))
    seconds = {"name": name, "page": page} | seconds
    return [Figure(f"studio: {name}", "s", {}, {"ours": value}) for name, value in seconds.items()]


SERVER = [sys.executable, "-m", "faceinpaint", "studio", "--no-browser"]


def _page_seconds() -> tuple[float, float]:
    """Seconds until the first visitor of a server of the studio has the page's heading, and all of the page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*SERVER, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            server.stdout.readline()  # it is starting
            address = server.stdout.readline().split()[-1]
            begin = time.perf_counter()
            with requests.get(address, timeout=600, stream=True) as page:
                page.raise_for_status()
                pieces = page.iter_content(None)
                heading = next(time.perf_counter() for piece in pieces if b"<h1>" in piece)
                for _ in pieces:
                    pass
            return heading - begin, time.perf_counter() - begin
        finally:
            server.terminate()


def training(setting: Setting) -> list[Figure]:
    """Images a second of full adversarial training, and what its steps take of memory."""
    from faceinpaint.benchmark.training import middle, training_runs

    size, batch = setting.sizes[0], setting.training_batch
    runs = training_runs(size, batch)
    at = {"pixels": size**2, "batch": batch}
    speed = {who: median(one.images_a_second for one in rounds) for who, rounds in runs.items()}
    taken = {who: megabytes(middle(one.memory for one in rounds)) for who, rounds in runs.items()}
    return [Figure("training", "images/s", at, speed), Figure("memory of training", "MB", at, taken)]


def notebooks(setting: Setting) -> list[Figure]:
    """Seconds and megabytes of the chapters of a run of the course."""
    if setting.course is None:
        raise InputError("the notebooks are not run here: give the chapters.csv of `faceinpaint course` by --course")
    with open(setting.course, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figures = [Figure(f"chapter {row['chapter']}", "s", {}, {"ours": float(row["seconds"])}) for row in rows]
    return figures + [
        Figure(f"chapter {row['chapter']}", "MB", {}, {"ours": float(row["memory_mb"])})
        for row in rows if row.get("memory_mb")
    ]


def quality(setting: Setting) -> list[Figure]:
    """PSNR of completions against the truth, whole image, so that one sees what the speed has cost."""
    from faceinpaint.evaluation.measures import decibels
    from faceinpaint.faces.batch import Faces
    from faceinpaint.faces.photos import FaceFolder
    from faceinpaint.faces.sets import find_set
    from faceinpaint.faces.synthetic.dataset import render_people

    size = 256 if 256 in setting.sizes else setting.sizes[0]
    if setting.faces is None:
        images = render_people(range(100, 100 + setting.photos[-1]), [0], size, supersample=1).image
    else:
        folder = FaceFolder(find_set(setting.faces), "test", size)
        images = Faces.cat([folder[index] for index in range(len(folder))]).image
    completers = {who: _completer(who, size, setting) for who in _contestants(setting, size, 1)}
    figures = []
    for name in ("mask01", "mask03", "irregular"):
        mask = masks.named(name, size)
        ratios = {who: [] for who in completers}
        for who, completer in completers.items():
            for image in images.split(1):
                error = (completer.complete(image, mask)[0].cpu() - image).square().mean()
                ratios[who].append(decibels(error).item())
        means = {who: sum(values) / len(values) for who, values in ratios.items()}
        figures.append(Figure(f"quality under {name}", "dB", {"pixels": size**2}, means))
    return figures


PARTS: dict[str, Callable[[Setting], list[Figure]]] = {
    "completion": completion, "memory": memory, "start": start, "quality": quality, "masks": mask_making,
    "rendering": rendering, "studio": studio, "evaluation": evaluation, "training": training, "notebooks": notebooks,
}


# ---------------------------------------------------------------------------------- what comes of it


def bench(parts: Sequence[str], setting: Setting, out: Path | None = None) -> str:
    """Measure parts of `PARTS`; returns a table, and writes `bench.json` into `out`.

    Raises InputError for an unknown part, and for notebooks without the times of a run.
    """
    for part in parts:
        require_known("part", part, list(PARTS))
    if "notebooks" in parts and setting.course is None:
        notebooks(setting)  # now, not after all the others
    about = machine() | {"weights": setting.weights}
    with torch.no_grad():
        figures = [figure for part in parts for figure in PARTS[part](setting)]
    grown = growth(figures)
    if out is not None:
        content = {"machine": about, "figures": [as_json(one) for one in figures], "growth": grown}
        write_whole(out / "bench.json", (json.dumps(content, indent=2) + "\n").encode())
    return table(about, figures, grown)


def as_json(figure: Figure) -> dict:
    """A figure with its ratios, for JSON."""
    return asdict(figure) | {"ratios": figure.ratios}


def machine() -> dict[str, str | int | float | bool]:
    """What the figures depend on beside the program, and how busy the machine was at the beginning."""
    lines = []
    with contextlib.suppress(OSError):  # Linux has it
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    device = find_device()
    return {
        "faceinpaint": faceinpaint.__version__, "python": platform.python_version(), "torch": torch.__version__,
        "processor": names[0] if names else platform.processor(), "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(), "bfloat16": quick_bfloat16(device),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "unknown",  # Windows keeps none
    }


def table(about: Mapping, figures: Sequence[Figure], grown: Sequence[Mapping]) -> str:
    """Everything measured, one line each, for people."""
    lines = [", ".join(f"{key} {value}" for key, value in about.items()), ""]
    others = [who for who in ("plain", "before", "peer") if any(who in one.values for one in figures)]
    lines.append(f"{'':<26}{'at':<28}{'ours':>18}" + "".join(f"{who:>12}{'ratio':>7}" for who in others))
    for one in figures:
        ratios = one.ratios
        cells = "".join(
            f"{_short(one.values.get(who)):>12}{_short(ratios.get(who)):>7}" for who in others
        )
        ours = f"{_short(one.values['ours']) or 'unknown'} {one.unit}"
        lines.append(f"{one.name:<26}{_conditions(one.at):<28}{ours:>18}{cells}".rstrip())
    lines += ["", *(
        f"{one['name']} ({one['unit']}, {one['who']}) grows with {one['by']}^{one['exponent']:.2f}"
        + (f" at {_conditions(one['at'])}" if one["at"] else "") for one in grown
    )]
    return "\n".join(lines)


def _conditions(at: Mapping[str, float]) -> str:
    sides = {"pixels": lambda pixels: f"{round(pixels**0.5)} px"}
    return ", ".join(sides.get(key, lambda value, key=key: f"{key} {value}")(value) for key, value in at.items())


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
