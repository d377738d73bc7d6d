"""A whole evaluation: a split of a face folder, completed, measured and reported, in parts that survive a stop.

Photographs are taken in blocks. What a block's faces give depends on nothing but the block, so that it does not matter
which of several processes does it, nor whether the run was stopped before it:

    parts/settings.json           what is being evaluated: another evaluation in the same folder is refused
    parts/000008-open.safetensors what the judge makes of photographs 8 to 15 with nothing hidden
    parts/000008.csv              their rows
    parts/000008.safetensors      the judge's embeddings of their completions

When all parts are there they become metrics.csv and embeddings.safetensors, and the folder goes.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from safetensors.torch import save as serialised
from torch import Tensor
from tqdm.auto import tqdm

from faceinpaint import weights as weight_files
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import in_sole_use, parse_json, write_csv, write_whole
from faceinpaint.completion import LEARNT, Completer, find_device, require_size
from faceinpaint.evaluation.examination import COLUMNS, MEASURES, Examination, Located, mask_names
from faceinpaint.evaluation.identity import Gallery, require_independent
from faceinpaint.evaluation.measures import looks, perceptual_distance
from faceinpaint.evaluation.methods import Method, baselines, painter
from faceinpaint.evaluation.report import LOOK, TRUTH, Report, frechet_distances, write_report
from faceinpaint.evaluation.selection import Limits, limits, within
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import METADATA, FaceFolder
from faceinpaint.faces.sets import find_set
from faceinpaint.features import load_features
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.recognisers import JUDGE, Recogniser, load_recogniser

BLOCK = 8  # photographs of a part
ORIGINAL = ("embedding", "identity", "enlarged", "seen", "truth")  # what is kept of photographs with nothing hidden
DEFAULT_BASELINES = ("mirror", "telea")  # the quick ones


@in_sole_use
def evaluate(
    folder: str | Path, out: str | Path, weights: Sequence[str] = ("generator",), family: str = "all",
    split: str = "test", recogniser: str = JUDGE, device: str = "auto", size: int = 256, labelled: bool = False,
    compared: Sequence[str] = DEFAULT_BASELINES, flattering: bool = False, detector: bool = False,
    where: Sequence[str] = (), landmarks: str = "landmarks",
) -> str:
    """Complete every face of a split under every mask of a family by every method, and report.

    weights: generators by name or file. compared: baselines by name. recogniser: the judge of identity, by name or
    file. labelled: only photographs whose landmarks are known. flattering: allow a judge that a generator was
    trained with. detector: let MTCNN look for a face in every completion, which takes as long again. where: only
    photographs whose row of metadata has a number KEY with LOW <= |number| <= HIGH, for each KEY=LOW:HIGH.
    landmarks: the predictor, by name or file. Writes metrics.csv, embeddings.safetensors, tables.md and pictures
    into `out`; a call that was stopped is taken up again by the same call. Several processes (`torchrun`,
    `accelerate launch`) share the work and give the same result. Returns the tables. Raises InputError for unknown
    names, whatever does not load, a split with fewer than two people, a judge that is not independent, and an `out`
    that holds parts of another evaluation.
    """
    folder, out = find_set(folder), Path(out)
    names, asked = mask_names(family), sorted({limits(text) for text in where})
    state = PartialState(cpu=find_device(device).type == "cpu")
    predictor, judge = weight_files.load(landmarks, LandmarkPredictor), load_recogniser(recogniser)
    methods = _methods(weights, compared, predictor, judge, size, device, flattering)
    kind, perceptual = perceptual_distance()
    features = load_features()
    examination = Examination(
        methods, predictor, judge, perceptual, find_device(device), detector,
        further=lambda block, completed, mask: {
            "look": looks(completed, mask, features), "look_truth": looks(block.faces.image, mask, features)
        },
    )

    data = FaceFolder(folder, split, size)
    rows = _chosen(data, folder, split, labelled, asked)
    parts, finished = out / "parts", out / "parts-finished"
    if state.is_main_process:
        shutil.rmtree(finished, ignore_errors=True)  # left by a run that was killed at its very end
        _claim(parts, out, {
            "faces": weight_files.sha256(folder / METADATA), "split": split, "labelled": labelled, "masks": names,
            "size": size, "judge": [judge.name, judge.fingerprint, judge.threshold], "methods": list(methods),
            "perceptual": kind, "detector": detector, "where": [list(one) for one in asked],
            "landmarks": weight_files.sha256(weight_files.file_of(landmarks)), "weights": {
                name: weight_files.sha256(weight_files.file_of(given)) for name, given in weight_names(weights).items()
            },
        })
    state.wait_for_everyone()

    blocks = [range(first, min(first + BLOCK, len(rows))) for first in range(0, len(rows), BLOCK)]
    mine = blocks[state.process_index :: state.num_processes]
    for block in tqdm(mine, "originals"):
        if not _original_file(parts, block).is_file():
            _write_original(_original_file(parts, block), examination, data, rows, block)
    state.wait_for_everyone()
    originals = [load_file(_original_file(parts, block)) for block in blocks]
    embedding, identity, enlarged, seen, truth = (torch.cat([part[key] for part in originals]) for key in ORIGINAL)
    gallery = Gallery(embedding, identity, judge.threshold)

    for block in tqdm(mine, f"blocks of {BLOCK} photographs"):
        if not (parts / f"{block.start:06d}.csv").is_file():
            located = _read(examination, data, rows, block)
            _write_part(parts / f"{block.start:06d}", examination, located, names, gallery, data.identities)
    state.wait_for_everyone()
    if not state.is_main_process:
        return ""

    records = _merge(parts, blocks, out, gallery)
    notes = _notes(data, rows, asked, gallery, judge, flattering, int(enlarged.sum()))
    error = 100 * normalised_mean_error(seen, truth).mean()
    notes.append(f"Error of the landmarks predicted in the open faces: {error:.2f} % of inter-ocular.")
    if detector:
        notes.append(_note_on_detector(records, len(rows)))
    report = Report(records, judge, kind, list(weight_names(weights)), notes, frechet_distances(out))
    chosen = {index: _read(examination, data, rows, range(index, index + 1)) for index in report.shown()}
    tables = write_report(report, out, examination, chosen, gallery)
    os.replace(parts, finished)  # at once: parts without their settings would be anybody's
    shutil.rmtree(finished)
    return tables


def weight_names(weights: Sequence[str]) -> dict[str, str]:
    """What generators are called in reports -> what was given; InputError where two would be called alike."""
    named = {}
    for given in weights:
        # The files of several runs may all be called generator.safetensors: then the folder tells them apart.
        stem, above = Path(given).stem, Path(given).parent.name
        alone = sum(Path(other).stem == stem for other in weights) == 1
        name = stem if alone or not above else f"{above}/{stem}"
        if name in named:
            raise InputError(f"two of the weights would be called {name} in the tables: give each once, or rename one")
        named[name] = given
    return named


def _methods(
    weights: Sequence[str], compared: Sequence[str], predictor: LandmarkPredictor, judge: Recogniser, size: int,
    device: str, flattering: bool,
) -> dict[str, Method]:
    """The generators and then the baselines, by name; InputError where two would be called alike."""
    require_size(size)
    methods, without_learning = {}, baselines(compared)
    for name, given in weight_names(weights).items():
        if name in without_learning:
            raise InputError(f"the weights {given} would be called {name} like a baseline: rename their file")
        generator = weight_files.load(given, Generator)
        if not flattering:
            require_independent(judge, name, weight_files.about(given, "identity_fingerprint"))
        methods[name] = painter(Completer(generator, predictor, judge, min(size, LEARNT), device))
    return methods | without_learning


def _chosen(data: FaceFolder, folder: Path, split: str, labelled: bool, where: Sequence[Limits]) -> list[int]:
    """The rows of the photographs to evaluate; InputError where they do not show two people."""
    rows = [index for index, inside in enumerate(within(folder, split, where)) if inside]
    there = f"in the split '{split}'" + (f" with {_all_of(where)}" if where else "")
    if not rows:
        raise InputError(f"there is no photograph of {folder} {there}: set wider limits with --where")
    rows = [index for index in rows if data.rows[index].landmarks is not None or not labelled]
    if not rows:
        raise InputError(f"no photograph of {folder} {there} has landmarks: leave out --labelled")
    if len({data.rows[index].identity for index in rows}) < 2:
        raise InputError(
            f"{folder} shows one person only {there}, so nobody can be mistaken for another: "
            "give faces of two people or more"
        )
    return rows


def _all_of(where: Sequence[Limits]) -> str:
    return " and ".join(map(str, where))


def _claim(parts: Path, out: Path, settings: dict) -> None:
    """Write down what is being evaluated; InputError where the folder holds parts of something else."""
    file = parts / "settings.json"
    if file.is_file() and _begun(file) != settings:
        raise InputError(
            f"{out} holds parts of another evaluation: finish it with its own settings, delete {parts}, "
            "or choose another --out"
        )
    write_whole(file, (json.dumps(settings, indent=2) + "\n").encode())


def _begun(file: Path) -> object:
    try:
        return parse_json(file.read_bytes())
    except ValueError:  # damaged, and so nothing that could be gone on with
        return None


def _read(examination: Examination, data: FaceFolder, rows: list[int], block: Sequence[int]) -> Located:
    faces = Faces.cat([data[rows[number]] for number in block])
    return examination.locate(faces, torch.tensor(block))


def _original_file(parts: Path, block: range) -> Path:
    return parts / f"{block.start:06d}-open.safetensors"


def _write_original(
    file: Path, examination: Examination, data: FaceFolder, rows: list[int], block: range
) -> None:
    """The open faces of a block: the judge's embeddings, who they are, and which were enlarged."""
    located = _read(examination, data, rows, block)
    enlarged = torch.tensor([data.sides[rows[number]] < data.size for number in block])
    values = (
        examination.embed(located.faces.image, located.seen).cpu(), located.faces.identity, enlarged, located.seen,
        located.truth,
    )
    write_whole(file, serialised({key: value.contiguous() for key, value in zip(ORIGINAL, values)}))


def _write_part(
    path: Path, examination: Examination, block: Located, names: list[str], gallery: Gallery, identities: list[str]
) -> None:
    """Measure a block; its embeddings are written first, so that a part with rows is whole."""
    measured, embeddings = examination.measure(block, names, gallery)
    content = {f"{mask} {method}": values.half() for (mask, method), values in embeddings.items()}
    for (mask, method), found in measured.items():
        content[f"{LOOK} {mask} {method}"] = found["look"].half()
        content[f"{LOOK} {mask} {TRUTH}"] = found["look_truth"].half()
    write_whole(path.with_suffix(".safetensors"), serialised(content))
    write_metrics(path.with_suffix(".csv"), metric_rows(block, measured, identities))


def _merge(parts: Path, blocks: list[range], out: Path, gallery: Gallery) -> list[dict]:
    """One file of rows, by photograph, and one of embeddings; returns the rows as they are in the file."""
    rows, embeddings = [], []
    for block in blocks:
        rows += read_metrics(parts / f"{block.start:06d}.csv")
        embeddings.append(load_file(parts / f"{block.start:06d}.safetensors"))
    content = {key: torch.cat([part[key] for part in embeddings]) for key in embeddings[0]}
    content |= {"originals": gallery.originals.half(), "identity": gallery.identity}
    write_whole(out / "embeddings.safetensors", serialised(content))
    write_metrics(out / "metrics.csv", rows)
    return rows


def metric_rows(
    block: Located, measured: Mapping[tuple[str, str], Mapping[str, Tensor]], identities: Sequence[str]
) -> list[dict]:
    """Rows of metrics.csv from what `Examination.measure` returned. identities: names by their numbers."""
    return [
        {"image": image, "identity": identities[block.faces.identity[place]], "mask": mask, "weights": method}
        | {key: values[key][place].item() for key in MEASURES}
        for (mask, method), values in measured.items() for place, image in enumerate(block.faces.name)
    ]


def write_metrics(file: Path, rows: Sequence[Mapping]) -> None:
    """Write rows as a metrics.csv, whole or not at all."""
    write_csv(file, COLUMNS, [{key: _cell(row[key]) for key in COLUMNS} for row in rows])


def read_metrics(file: str | Path) -> list[dict]:
    """The rows of a metrics.csv: names as they are, measures as numbers, NaN where there was nothing to measure.

    A measure that the file does not have, since an earlier version wrote it, is NaN too. InputError for another file.
    """
    try:
        with open(file, newline="", encoding="utf-8", errors="surrogateescape") as lines:
            return [
                {key: (float(row.get(key) or "nan") if key in MEASURES else row[key]) for key in COLUMNS}
                for row in csv.DictReader(lines)
            ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise InputError(f"{file} is missing or no metrics.csv of an evaluation: evaluate again") from None


def _cell(value: str | float) -> str:
    """Numbers with six digits; nothing where there is nothing to measure."""
    if isinstance(value, str):
        return value
    return "" if value != value else f"{value:.6g}"


def _notes(
    data: FaceFolder, rows: list[int], where: Sequence[Limits], gallery: Gallery, judge: Recogniser, flattering: bool,
    enlarged: int,
) -> list[str]:
    """What a reader of the tables has to know of the photographs and the judge, in sentences."""
    identity = gallery.identity
    people, alone = len(identity.unique()), int((~gallery.references).sum())
    unlabelled = sum(data.rows[index].landmarks is None for index in rows)
    notes = [
        f"{len(rows)} photographs of {people} people, {data.size} px.",
        f"Judge: {judge.name}. Two faces are the same person up to a distance of {judge.threshold:.3f}.",
    ]
    if where:
        notes.insert(1, f"Only photographs with {_all_of(where)}, as their metadata say.")
    if flattering:
        notes.append("The judge was not required to be independent: it may be the network of the identity loss.")
    if alone:
        notes.append(f"Without another photograph of the person, and so without reference and rank 1: {alone}.")
    if unlabelled:
        notes.append(f"Without known landmarks, so that those predicted in the open face stand for them: {unlabelled}.")
    if enlarged:
        notes.append(f"Enlarged, since the face has fewer pixels than {data.size} in its photograph: {enlarged}.")
    return notes


def _note_on_detector(records: Sequence[Mapping], photographs: int) -> str:
    """In how many originals the detector finds no face, so that nothing can be said of their completions."""
    unseen = sum(record["detected"] != record["detected"] for record in records) * photographs // len(records)
    return (
        f"MTCNN finds no face in {unseen} of the {photographs} originals, whose completions it is not asked about; "
        "the shift of the eyes is over the completions in which it finds one."
    )
