"""The command line: faceinpaint complete, evaluate, train, release, data, fetch, judge, course, studio, export, bench.

Exit status: 0 all done, 1 something failed and is named in the report, 2 a wrong call.
"""

from __future__ import annotations

import os
import sys
import tempfile
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from typer.core import TyperCommand

from faceinpaint.basics.errors import InputError, one_line
from faceinpaint.basics.files import in_sole_use, write_csv
from faceinpaint.cli.data import data

if TYPE_CHECKING:  # torch takes seconds to import: each command does so itself, and --help never
    from typer import Context

    from faceinpaint.faces.folders import Found
    from faceinpaint.faces.mask_files import DrawnMask


class ManyValues(TyperCommand):
    """A command whose repeatable options take several values at once: `--faces A B` is `--faces A --faces B`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        repeatable = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread, option, values = [], None, 0
        for arg in args:
            if arg.startswith("-") and arg != "-":
                option, values = arg if arg in repeatable else None, 0
            elif option is not None:
                values += 1
                if values > 1:
                    spread.append(option)
            spread.append(arg)
        return super().parse_args(ctx, spread)


SEEDS = 2**31 - 1  # the largest: others are made of it by sums and products

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Face completion that keeps the person.")
app.add_typer(data, name="data")

REPORT = ("file", "faces", "hole_ratio", "face_distance", "seconds", "of_files", "notes", "error")
QUALITY = 95
REPORTED = 50  # photos after which it is written anew


class Stage(str, Enum):
    """What `train` can train."""

    landmarks = "landmarks"
    recogniser = "recogniser"
    completion = "completion"


class Format(str, Enum):
    """How `complete` writes photos."""

    png = "png"
    jpeg = "jpeg"


class DrawnOn(str, Enum):
    """What a mask was drawn on, where EXIF turns the photo."""

    shown = "shown"
    stored = "stored"


def _folder(out: Path) -> Path:
    """The folder of an option; InputError for the name of a picture."""
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp") and not out.is_dir():
        said = "--out is a folder, for the completed photo and a report"
        raise InputError(f"{said}: write --out {out.with_suffix('')}")
    return out


@app.command()
@in_sole_use
def complete(
    photos: Annotated[list[Path], typer.Argument(metavar="INPUT ...", help="photos, or folders of photos")],
    out: Annotated[Path, typer.Option(callback=_folder, help="folder for the completed photos and report.csv")],
    mask: Annotated[Optional[str], typer.Option(
        help="mask01 ... mask12, irregular, block, face-mask, worn-mask; or an image, white = unknown; or a folder of "
        "images named like the photos; or the colour of what is painted in the photos, such as white or #00ff00"
    )] = None,
    weights: Annotated[
        str, typer.Option(help="shipped weights by name, or a generator's .safetensors file")
    ] = "generator",
    size: Annotated[
        int, typer.Option(help="pixels of the face that the networks see, a multiple of 8; fewer are quicker")
    ] = 256,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="the photos are square aligned crops already")
    ] = False,
    face: Annotated[int, typer.Option(min=0, help="which face, the largest is 0")] = 0,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="complete every face of a photo")] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=SEEDS, help="of the irregular and block masks, and of further answers")
    ] = 0,
    reference: Annotated[Optional[Path], typer.Option(
        help="another photo of the same person, to go by; or a folder of them, named like the photos"
    )] = None,
    original: Annotated[Optional[Path], typer.Option(
        help="the photo before it was touched, to measure the face distance from where the mask is drawn; or a folder "
        "of them, named like the photos"
    )] = None,
    answers: Annotated[
        int, typer.Option(min=1, max=99, help="how many completions: DIR/<stem>-2.png is the second one")
    ] = 1,
    invert_mask: Annotated[Optional[bool], typer.Option(
        "--invert-mask/--no-invert-mask", help="black is the hole; or: white is, however much it hides"
    )] = None,
    grow: Annotated[int, typer.Option(min=0, max=500, help="pixels that the mask reaches further on each side")] = 0,
    mask_on: Annotated[Optional[DrawnOn], typer.Option(
        help="the mask was drawn on the photo as viewers show it, or as it is stored, before EXIF turns it"
    )] = None,
    format: Annotated[
        Format, typer.Option(case_sensitive=False, help="of the results; JPEG changes known pixels a little")
    ] = Format.png,
    quality: Annotated[Optional[int], typer.Option(min=1, max=100, help=f"of JPEG; {QUALITY} by default")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="photos at a time, each in a process with networks of its own")] = 1,
) -> None:
    """Complete the faces in photos: DIR/<stem>.png each, and DIR/report.csv."""
    from faceinpaint.cli.completing import Settings, Task, completed
    from faceinpaint.completion import Completer
    from faceinpaint.faces.folders import find_photos

    if mask is None:
        raise InputError("nothing says what is to be completed: give --mask mask01, or an image that is white there")
    if quality is not None and format is not Format.jpeg:
        raise InputError("--quality is for JPEG alone: give --format jpeg too, or leave it out")
    besides = [out, *([Path(mask)] if os.path.isdir(mask) else []), *filter(None, (reference, original))]
    found, left_out = find_photos(photos, besides)
    masks = [_mask_of(photo, mask) for photo in found]
    drawn_on = mask_on and mask_on.value
    options = {"invert": invert_mask, "grow": grow, "drawn_on": drawn_on}
    references = [_beside(photo, reference, "reference") for photo in found]
    originals = [_beside(photo, original, "original") for photo in found]
    targets = [[_answer(photo, out, number, format) for number in range(answers)] for photo in found]
    _refuse_overwriting([photo.path for photo in found], masks + references + originals, sum(targets, []), out)
    masks = [_with_options(one, options) for one in masks]
    settings = Settings(aligned, face, all_faces, seed, format.value, quality or QUALITY)
    tasks = [Task(*each, settings) for each in zip(found, masks, references, originals, targets)]
    completer = Completer.from_pretrained(weights, size, device)
    _make_folder(out)
    if left_out:
        further = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        typer.echo(one_line(f"left out, as no photos: {left_out[0].name}{further}"))

    rows = []
    try:
        for row in completed(tasks, completer, jobs, (weights, size, device)):
            rows.append(row)
            typer.echo(one_line(f"{row['file']}: {row.get('error') or row['said']}"), err="error" in row)
            if len(rows) % REPORTED == 0:  # a run of many photos that is killed has told of nearly all that it did
                write_csv(out / "report.csv", REPORT, rows)
    except InputError as error:  # a process ended
        write_csv(out / "report.csv", REPORT, rows)
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    write_csv(out / "report.csv", REPORT, rows)
    if any("error" in row for row in rows):
        raise typer.Exit(1)


def _mask_of(photo: Found, mask: str) -> str | Path:
    """The mask of one photo: the name or colour that was given, the image, or the folder's image of that name."""
    from faceinpaint.completion import is_mask_name
    from faceinpaint.faces.folders import beside
    from faceinpaint.faces.image_files import missing
    from faceinpaint.faces.mask_files import colour_of
    from faceinpaint.masks import check_name

    if is_mask_name(mask):
        check_name(mask)
        return mask
    if colour_of(mask):
        return mask
    if os.path.islink(mask) and not os.path.exists(mask):
        raise InputError(missing(mask, "give an image, a folder of images or a mask's name"))
    if not os.path.exists(mask):
        raise InputError(f"there is no mask {mask}: give an image, a folder of images or a mask's name")
    if not os.path.isdir(mask):
        return Path(mask)
    alike = beside(Path(mask), photo)
    return alike[0] if alike else Path(mask) / photo.name.with_suffix(".png")


def _with_options(mask: str | Path, options: dict) -> str | Path | DrawnMask:
    """A mask and how it is to be taken; InputError for options that say nothing about a mask by name."""
    from faceinpaint.completion import is_mask_name
    from faceinpaint.faces.mask_files import DrawnMask

    if not is_mask_name(mask):
        return DrawnMask(mask, **options)
    if any(value not in (None, 0) or value is False for value in options.values()):
        raise InputError(f"--invert-mask, --grow and --mask-on are for drawn masks: leave them out with {mask}")
    return mask


def _beside(photo: Found, given: Path | None, what: str) -> Path | None:
    """The reference or original of one photo: the photo that was given, or the folder's photo of its name."""
    from faceinpaint.faces.folders import beside

    if given is None or not given.is_dir():
        return given
    alike = beside(given, photo)
    if not alike:
        said = f"{given} has no {what} for {photo.name}"
        raise InputError(f"{said}: name it {photo.path.stem} too, or give one photo")
    return alike[0]


def _answer(photo: Found, out: Path, number: int, format: Format) -> Path:
    """Where the completion of a photo goes: <stem>.png, those of further answers <stem>-2.png and so on."""
    suffix = ".png" if format is Format.png else ".jpg"
    return out / photo.result.with_name(photo.result.name + (f"-{number + 1}" if number else "") + suffix)


def _refuse_overwriting(
    files: list[Path], others: list[str | Path | None] | list[str | Path], targets: list[Path], out: Path
) -> None:
    """Raise InputError where a result would take the place of a photo, a mask or a reference that is read."""
    from faceinpaint.faces.folders import identity

    read = {identity(one) for one in (*files, *others) if isinstance(one, Path) and one.exists()}
    if len(set(targets)) < len(targets):
        raise InputError("two of the results would have the same name: rename the photos or complete them one by one")
    for target in targets + [out / "report.csv"]:
        if target.exists() and identity(target) in read:
            raise InputError(f"the result would overwrite the input {target}: choose another --out")


def _make_folder(out: Path) -> None:
    """Make the folder and try it before the work, not after it; InputError when it can't be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        reason = f"the folder {out} can't be written ({error.strerror})"
        raise InputError(f"{reason}: choose another --out") from None


@app.command(cls=ManyValues)
def train(
    stage: Annotated[Stage, typer.Argument(help="what to train")],
    faces: Annotated[list[str], typer.Option(
        metavar="FACES[:WEIGHT] ...",
        help="where faces come from, and in which shares: face folders (metadata.jsonl beside images/) or folders "
        "of shards with the splits train and val, sets under data/ by their name, portraits (which come with the "
        "package), synthetic (rendered as it goes)"
    )],
    preset: Annotated[str, typer.Option(help="smoke, cpu or gpu")] = "cpu",
    out: Annotated[
        Optional[Path], typer.Option(help="folder for weights, log and checkpoints; runs/STAGE by default")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --out")] = False,
    set_: Annotated[Optional[list[str]], typer.Option(
        "--set", metavar="STAGE.KEY=VALUE ...", help="change settings of the preset, e.g. completion.lr=1e-4"
    )] = None,
    landmarks: Annotated[
        str, typer.Option(help="recogniser, completion: the landmark predictor, a name or a file")
    ] = "landmarks",
    recogniser: Annotated[
        str, typer.Option(help="completion: the recogniser of the identity loss, a name or a file")
    ] = "dlib",
    start: Annotated[
        Optional[str], typer.Option(
            help="weights to begin with, a name or a file; landmarks: or imagenet"
        )
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEEDS, help="of everything random")] = 0,
) -> None:
    """Train one stage; `--resume` goes on where a run stopped.

    On several GPUs or machines: `accelerate launch ... -m faceinpaint train ...`.
    """
    from faceinpaint import training, weights
    from faceinpaint.landmarks import LandmarkPredictor
    from faceinpaint.recognisers import load_recogniser
    from faceinpaint.training import presets

    settings = getattr(presets.preset(preset, set_ or []), stage.value)
    out = out or Path("runs") / stage.value
    try:
        if stage is Stage.landmarks:
            path = training.train_landmarks(faces, settings, out, seed, resume, start)
        elif stage is Stage.recogniser:
            predictor = weights.load(landmarks, LandmarkPredictor)
            path = training.train_recogniser(faces, settings, out, predictor, seed, resume, start)
        else:
            predictor = weights.load(landmarks, LandmarkPredictor)
            judge = load_recogniser(recogniser)
            path = training.train_completion(faces, settings, out, predictor, judge, seed, resume, start)
    except training.Stopped as stopped:
        typer.echo(f"faceinpaint: {stopped}", err=True)
        raise typer.Exit(128 + stopped.signal) from None
    typer.echo(path)


@app.command(cls=ManyValues)
def release(
    recipe: Annotated[Path, typer.Argument(help="a recipe, such as recipes/release.toml")],
    out: Annotated[Path, typer.Option(help="folder for the stages and release.json")],
    let: Annotated[Optional[list[str]], typer.Option(
        metavar="NAME=VALUE ...", help="what the recipe leaves open, e.g. photographs=FOLDER"
    )] = None,
    install: Annotated[
        bool, typer.Option("--install", help="at the end, put the weights and their origin into the package")
    ] = False,
) -> None:
    """Run every stage of a recipe, from nothing to evaluated weights; the same call takes up a stopped one."""
    from faceinpaint import training
    from faceinpaint.training import release as releases

    given = dict(_pair(text) for text in let or [])
    whole = releases.Recipe.read(recipe, given)
    _make_folder(out)
    try:
        typer.echo(releases.release(whole, out))
    except training.Stopped as stopped:
        typer.echo(f"faceinpaint: {stopped}", err=True)
        raise typer.Exit(128 + stopped.signal) from None
    if install:
        typer.echo(f"now in the package: {', '.join(releases.install(whole, out)) or 'nothing, no stage ships'}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise InputError(f"'{text}' is no NAME=VALUE: write, for example, photographs=data/london")
    return name, value


@app.command(cls=ManyValues)
def evaluate(
    faces: Annotated[Path, typer.Argument(
        help="a face folder (metadata.jsonl beside images/), a set under data/ by its name, or portraits"
    )],
    out: Annotated[Path, typer.Option(help="folder for metrics.csv, tables.md and pictures")],
    weights: Annotated[
        Optional[list[str]], typer.Option(help="generators by name or file; several may be given")
    ] = None,
    masks: Annotated[str, typer.Option(help="standard, irregular, face-mask, all or one-of-each")] = "all",
    split: Annotated[str, typer.Option(help="which split of the faces")] = "test",
    recogniser: Annotated[
        str, typer.Option(help="who judges identity, a name or a file: not the one that the weights learnt to please")
    ] = "embedded-judge",
    baselines: Annotated[Optional[list[str]], typer.Option(
        help="methods without learning to compare with: mirror, telea, navier-stokes, biharmonic, mean-colour, "
        "warped-mirror, prior-alone; or all, or none; mirror and telea by default"
    )] = None,
    size: Annotated[int, typer.Option(
        help="pixels of the aligned face, a multiple of 8; larger ones than 256 are completed as those of photos are"
    )] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    labelled: Annotated[bool, typer.Option("--labelled", help="only photographs whose landmarks are known")] = False,
    flattering_judge: Annotated[bool, typer.Option(
        "--flattering-judge", help="allow the network of the identity loss as the judge, to see how it flatters"
    )] = False,
    detector: Annotated[bool, typer.Option(
        "--detector", help="let MTCNN look for a face in every completion, and for its eyes"
    )] = False,
    where: Annotated[Optional[list[str]], typer.Option(
        metavar="KEY=LOW:HIGH ...",
        help="only photographs whose row of metadata has a number KEY from LOW to HIGH, without its sign, e.g. "
        "yaw=30:60 of rendered faces"
    )] = None,
    landmarks: Annotated[str, typer.Option(help="the landmark predictor, a name or a file")] = "landmarks",
) -> None:
    """Measure completions: pixels and identity, by mask, with intervals; a stopped call is taken up by the same call.

    On several processes: `torchrun --nproc_per_node 2 -m faceinpaint evaluate ...`, with the same result.
    """
    from faceinpaint import evaluation

    words = {"all": list(evaluation.BASELINES), "none": []}
    compared = baselines or list(evaluation.DEFAULT_BASELINES)
    compared = words.get(compared[0], compared) if len(compared) == 1 else compared
    tables = evaluation.evaluate(
        faces, out, weights or ["generator"], masks, split, recogniser, device, size, labelled,
        compared, flattering_judge, detector, where or [], landmarks,
    )
    if tables:  # printed by the first process alone
        typer.echo(tables)


@app.command(cls=ManyValues)
def course(
    out: Annotated[Path, typer.Option(help="folder for executed notebooks, the site, chapters.csv and junit.xml")],
    preset: Annotated[str, typer.Option(help="smoke, cpu or gpu")] = "smoke",
    only: Annotated[Optional[list[str]], typer.Option(help="chapters by their numbers, e.g. 00 03")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="how many chapters run at a time; one on a GPU")] = 1,
    solve: Annotated[bool, typer.Option(
        "--solve", help="solve the exercises by their own solutions; one whose check then fails, fails the run"
    )] = False,
    notebooks: Annotated[Optional[Path], typer.Option(
        help="run the notebooks of this folder instead of the course's, a student's for example"
    )] = None,
) -> None:
    """Execute notebooks headlessly: a site of their pages, a table, and a JUnit report."""
    from faceinpaint.course.run import NOTEBOOKS, run_course

    raise typer.Exit(run_course(out, preset, only, notebooks or NOTEBOOKS, jobs, solve))


@app.command()
def studio(
    port: Annotated[int, typer.Option(min=1, max=65535, help="where the page is served")] = 8866,
    host: Annotated[
        str, typer.Option(help="the address to listen at; others than 127.0.0.1 may be reached by other machines")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in the browser")] = True,
    base_url: Annotated[str, typer.Option(help="where a proxy has the page, /studio/ for example")] = "/",
) -> None:
    """Open the Mask Studio: draw on a photo, see it completed; in the browser, until Ctrl-C."""
    print("The Mask Studio is starting.", flush=True)
    sys.modules.setdefault("rfc3987_syntax", None)  # a grammar that takes jsonschema a second to read, and nobody needs
    from faceinpaint.studio.serve import serve

    serve(host, port, browser, base_url)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="folder for the graphs and their manifest.json")] = Path("runs/onnx"),
    weights: Annotated[str, typer.Option(help="the generator, a name or a file")] = "generator",
) -> None:
    """Write the networks as ONNX graphs, which complete faces of 256 pixels without PyTorch."""
    try:
        from faceinpaint.studio import export as graphs
    except ModuleNotFoundError as error:
        raise InputError(f"exporting needs {error.name}: pip install 'faceinpaint[export]'") from None
    for file in graphs.export(_folder(out), weights):
        typer.echo(file)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="vgg19, alexnet, mobilenet_v2 or facenet")]) -> None:
    """Get the published weights of a network that is too large to come with the package."""
    from faceinpaint.weights.fetch import fetch_weights

    typer.echo(fetch_weights(name))


@app.command(cls=ManyValues)
def bench(
    parts: Annotated[Optional[list[str]], typer.Argument(
        metavar="[PART ...]",
        help="completion, memory, start, quality, masks, rendering, studio, evaluation, training, notebooks; all by "
        "default, notebooks only with --course"
    )] = None,
    size: Annotated[Optional[list[int]], typer.Option(
        min=64, max=1024, help="pixels of the aligned face, multiples of 8; 128 256 512 by default"
    )] = None,
    batch: Annotated[int, typer.Option(min=1, help="training: pictures of a step")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="how often each is timed; the median counts")] = 9,
    threads: Annotated[
        Optional[int], typer.Option(min=1, help="threads of a computation; torch's own choice without it")
    ] = None,
    weights: Annotated[str, typer.Option(help="the generator that is measured, a name or a file")] = "generator",
    against: Annotated[Optional[str], typer.Option(help="another one to compare with, a name or a file")] = None,
    peer: Annotated[bool, typer.Option(
        "--peer", help="completion: beside the network alone of LaFIn, rebuilt from its description"
    )] = False,
    faces: Annotated[Optional[Path], typer.Option(
        help="quality: a face folder, or portraits, whose test split it is measured on, instead of rendered people"
    )] = None,
    course: Annotated[Optional[Path], typer.Option(help="notebooks: the chapters.csv of a run of the course")] = None,
    out: Annotated[Optional[Path], typer.Option(help="folder for bench.json")] = None,
) -> None:
    """Measure time, memory and their growth, beside the plain reading of the same networks."""
    import torch

    from faceinpaint.benchmark import run as benchmark

    sizes = tuple(size or benchmark.Setting.sizes)
    if any(one % 8 for one in sizes):
        raise InputError(f"a face can't have {' or '.join(map(str, sizes))} pixels: choose multiples of 8")
    if out is not None:
        _make_folder(out)
    if threads is not None:
        torch.set_num_threads(threads)
    setting = benchmark.Setting(
        sizes, repeats=repeats, weights=weights, against=against, course=course, faces=faces, training_batch=batch,
        peer=peer,
    )
    chosen = parts or [part for part in benchmark.PARTS if part != "notebooks" or course is not None]
    typer.echo(benchmark.bench(chosen, setting, out))


@app.command()
def judge(
    recogniser: Annotated[str, typer.Option(help="who tells people apart, a name or a file")] = "embedded-judge",
    predictor: Annotated[
        Optional[str], typer.Option(help="a landmark predictor trained on rendered faces alone, a file")
    ] = None,
    real: Annotated[Optional[Path], typer.Option(help="a face folder of real photographs for the predictor")] = None,
    faces: Annotated[int, typer.Option(min=1, help="how many are shown to the face detector")] = 500,
    people: Annotated[int, typer.Option(min=2, help="how many the recogniser tells apart, four photos each")] = 200,
) -> None:
    """Judge rendered faces by networks trained on real ones, and by the clock."""
    from faceinpaint import weights
    from faceinpaint.evaluation.renderer import judgements
    from faceinpaint.landmarks import LandmarkPredictor
    from faceinpaint.recognisers import load_recogniser

    if (predictor is None) != (real is None):
        raise InputError("a predictor is judged on real photographs: give both --predictor and --real, or neither")
    network = None if predictor is None else weights.load(predictor, LandmarkPredictor)
    for line in judgements(load_recogniser(recogniser), network, real, faces, people):
        typer.echo(line)


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit status 2."""
    # The terminal may lack the letters of a file's name.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        typer.echo(f"faceinpaint: {error}", err=True)
    except OSError as error:  # what no module expects of a disk
        named = f" {error.filename}" if error.filename else ""
        typer.echo(f"faceinpaint: the file{named} can't be used ({error.strerror or error}): give another", err=True)
    except (MemoryError, RuntimeError) as error:  # torch says with the latter that memory is short
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        typer.echo("faceinpaint: memory is short: close other programs, or choose a smaller size or batch", err=True)
    raise SystemExit(2)
