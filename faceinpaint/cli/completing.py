"""What `faceinpaint complete` does to each photo, here or in processes side by side."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import write_whole
from faceinpaint.basics.threads import cores
from faceinpaint.completion import CompletedFace, Completer, Completion
from faceinpaint.faces.folders import Found
from faceinpaint.faces.mask_files import DrawnMask
from faceinpaint.faces.photos import encoded
from faceinpaint.prior.answers import Style
from faceinpaint.recognisers import Recogniser


class Settings(NamedTuple):
    """What all photos have in common."""

    aligned: bool
    face: int
    all_faces: bool
    seed: int
    format: str  # "png" or "jpeg"
    quality: int  # of JPEG


class Task(NamedTuple):
    """One photo to complete, and the files of its answers."""

    photo: Found
    mask: str | Path | DrawnMask
    reference: Path | None
    original: Path | None
    targets: list[Path]
    settings: Settings


def completed(
    tasks: Sequence[Task], completer: Completer, jobs: int, weights: tuple[str, int, str]
) -> Iterator[dict[str, str]]:
    """Complete photos, in their order, so many at a time; yields the row of each in the report.

    weights: of the completer: with its size and its device all that a further process needs to make its own. Raises
    InputError where one of these ends.
    """
    jobs = min(jobs, len(tasks))
    if jobs < 2:
        yield from (_row(completer, task) for task in tasks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, _begin, (weights, max(1, cores() // jobs))) as processes:
        try:
            yield from processes.map(_row_there, tasks)
        except BrokenProcessPool:
            said = "one of the processes was ended, for want of memory perhaps"
            raise InputError(f"{said}: give fewer --jobs; what is finished is in the folder") from None


_there: list[Completer] = []  # of a process of its own


def _begin(weights: tuple[str, int, str], threads: int) -> None:
    torch.set_num_threads(threads)
    _there.append(Completer.from_pretrained(*weights))


def _row_there(task: Task) -> dict[str, str]:
    return _row(_there[0], task)


def _row(completer: Completer, task: Task) -> dict[str, str]:
    """Complete one photo and write what comes of it; returns its row, under `said` what to print."""
    begin, row, settings = time.perf_counter(), {"file": task.photo.name.as_posix()}, task.settings
    try:
        other = None if task.reference is None else completer.reference(task.reference, settings.aligned)
        seeded = torch.Generator().manual_seed(settings.seed)
        styles = [None, *Style.draw(len(task.targets) - 1, seeded).each()]
        for target, style in zip(task.targets, styles):
            generator = torch.Generator().manual_seed(settings.seed)  # anew: no photo's mask depends on another photo
            result = completer(
                task.photo.path, task.mask, settings.aligned, settings.face, settings.all_faces, generator, other,
                style, task.original,
            )
            written = _write_completion(result, completer.recogniser, target, settings)
            row |= written if target == task.targets[0] else {}
    except InputError as error:
        row["error"] = str(error)
    except (MemoryError, RuntimeError) as error:  # torch says with the latter that memory is short
        reason = str(error).partition("\n")[0] or type(error).__name__
        row["error"] = f"the networks failed ({reason}): try a smaller photo"
    row["seconds"] = f"{time.perf_counter() - begin:.2f}"
    return row


def _verdict(recogniser: Recogniser, face: CompletedFace) -> str:
    """A face's distance in words, and of a reference's face that it is the reference's."""
    said = recogniser.verdict(face.distance)
    whose = "same person as in the reference:" if face.against == "reference" else "same person:"
    return said.replace("same person:", whose)


def _write_completion(
    result: Completion, recogniser: Recogniser, target: Path, settings: Settings
) -> dict[str, str]:
    """Write a completed photo; returns its row of the report, and under `said` what to print."""
    begin = time.perf_counter()
    write_whole(target, encoded(result.photo, settings.format, settings.quality))
    of_files = result.reading + time.perf_counter() - begin
    notes = list(result.notes)
    if settings.format == "jpeg" and result.photo.mode == "RGBA":
        notes.append("a JPEG has no transparency: it was laid over white")
    judged = [face for face in result.faces if face.distance is not None]
    said = [str(target), *(_verdict(recogniser, face) for face in judged), *notes]
    return {
        "faces": str(len(result.faces)),
        "of_files": f"{of_files:.2f}",
        "hole_ratio": " ".join(f"{face.hole_ratio:.4f}" for face in result.faces),
        "face_distance": " ".join(f"{face.distance:.3f}" for face in judged),
        "notes": "; ".join(notes),
        "said": ", ".join(said),
    }
