"""The command line: `faceinpaint data`, which writes sets of faces, and of masks, to the disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:  # torch takes seconds to import: each command does so itself, and --help never
    from faceinpaint.faces.sources.writer import Report

data = typer.Typer(no_args_is_help=True, help="Write a data set: metadata.jsonl beside images/.")

Out = Annotated[Path, typer.Option(help="folder for the set; a run that was stopped goes on in it")]
Downloads = Annotated[Optional[Path], typer.Option(
    help="folder for what is downloaded, which may be deleted afterwards; OUT-downloads by default"
)]
Size = Annotated[int, typer.Option(min=32, max=4096, help="pixels of the square images")]
Landmarks = Annotated[str, typer.Option(
    help="who finds the 68 landmarks: face-alignment (a package of its own), predictor (this package's), none; "
    "auto is the first that is installed"
)]
Shards = Annotated[Optional[int], typer.Option(
    min=1, help="write Parquet files of that many images into OUT-shards too, to be streamed in training"
)]


@data.command()
def synthetic(
    out: Out,
    people: Annotated[int, typer.Option(min=1, help="how many people")] = 500,
    photos: Annotated[int, typer.Option(min=1, help="of each person")] = 6,
    size: Size = 128,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="of everything random")] = 0,
    supersample: Annotated[int, typer.Option(min=1, max=16, help="rays along each side of a pixel")] = 2,
    max_yaw: Annotated[Optional[float], typer.Option(
        min=0, help="degrees that heads turn at most; as far as the renderer's people do by default"
    )] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    shards: Shards = None,
) -> None:
    """People who don't exist, rendered: nothing is downloaded."""
    from faceinpaint.completion import find_device
    from faceinpaint.faces.synthetic.dataset import write_folder

    radians = None if max_yaw is None else math.radians(max_yaw)
    write_folder(out, people, photos, size, seed, supersample, max_yaw=radians, device=find_device(device))
    typer.echo(f"{out}: {people * photos} photos of {people} people")
    _write_shards(out, shards)


@data.command()
def london(out: Out, downloads: Downloads = None, size: Size = 512, shards: Shards = None) -> None:
    """Face Research Lab London Set: 102 people, neutral and smiling (CC BY 4.0, 90 MB)."""
    from faceinpaint.faces.sources import london as source

    _say(out, source.london(out, _downloads(out, downloads), size))
    _write_shards(out, shards)


@data.command()
def celeba(out: Out, downloads: Downloads = None, landmarks: Landmarks = "auto", shards: Shards = None) -> None:
    """CelebA, aligned: 202,599 photos of 10,177 people (research only, 1.4 GB; needs gdown)."""
    from faceinpaint.faces.sources import celeba as source

    _say(out, source.celeba(out, _downloads(out, downloads), landmarks))
    _write_shards(out, shards)


@data.command()
def celeba_hq(
    out: Out, downloads: Downloads = None, size: Size = 256, landmarks: Landmarks = "auto", shards: Shards = None
) -> None:
    """CelebA-HQ: 30,000 aligned photos, with CelebA's people (research only, 3.2 GB; needs gdown)."""
    from faceinpaint.faces.sources import celeba as source

    _say(out, source.celeba_hq(out, _downloads(out, downloads), size, landmarks))
    _write_shards(out, shards)


@data.command()
def portraits(
    people: Annotated[Path, typer.Argument(metavar="PEOPLE", help="whole photographs beside a metadata.jsonl of them")],
    out: Out,
) -> None:
    """The portraits that come with the package, cut anew from the whole photographs."""
    from faceinpaint.faces.sources import portraits as source

    _say(out, source.portraits(people, out))


@data.command()
def irregular_masks(out: Out, downloads: Downloads = None) -> None:
    """The 12,000 test masks of Liu et al. 2018, sorted by hole ratio (CC BY-NC-SA 4.0)."""
    from faceinpaint.faces.sources import irregular_masks as source

    _say(out, source.irregular_masks(out, _downloads(out, downloads)), "masks")


@data.command()
def folder(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="a folder with a sub-folder for each person")],
    out: Out,
    size: Size = 512,
    landmarks: Landmarks = "auto",
    licence: Annotated[str, typer.Option(help="of the photos, for the record")] = "unknown",
    shards: Shards = None,
) -> None:
    """Your own photos: the largest face of each, upright."""
    from faceinpaint.faces.sources import own as source

    _say(out, source.own(photos, out, size, landmarks, licence))
    _write_shards(out, shards)


def _downloads(out: Path, downloads: Path | None) -> Path:
    """Beside the set by default, for whoever reads its folder would find the originals too."""
    return downloads or _beside(out, "downloads")


def _beside(out: Path, what: str) -> Path:
    out = out.resolve()  # `.` has no name
    return out.with_name(f"{out.name}-{what}")


def _say(out: Path, report: Report, what: str = "photos") -> None:
    """Print how many there are and, on standard error, which were left out and why."""
    for name, reason in report.skipped.items():
        typer.echo(f"left out {name}: {reason}", err=True)
    left_out = f", {len(report.skipped)} left out" if report.skipped else ""
    typer.echo(f"{out}: {report.written} {what}{left_out}")


def _write_shards(out: Path, images_per_shard: int | None) -> None:
    """Pack the set, where it is asked for."""
    if images_per_shard is None:
        return
    from faceinpaint.faces.shards import write_shards

    files = write_shards(out, _beside(out, "shards"), images_per_shard)
    typer.echo(f"{files[0].parent}: {len(files)} shards")
