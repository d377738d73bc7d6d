"""Photographed people, completed and measured, with what their folder says of them: its rows of metadata.

    rows = measured("portraits", {"generator": completer.paint}, completer.predictor, judge)

A row may say `sex` (female or male), `born` (a year), `skin_tone_ita` (degrees) and `yaw` (-1 ... 1). Whatever is null,
no number or not there at all is not known, and no obstacle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from faceinpaint.errors import InputError, require_known
from faceinpaint.evaluation.examination import Examination, Located
from faceinpaint.evaluation.identity import Gallery
from faceinpaint.evaluation.measures import perceptual_distance, skin_measures
from faceinpaint.evaluation.methods import Method
from faceinpaint.evaluation.selection import is_number, said_of
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.sets import find_set
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import Recogniser

SPLITS = ("val", "test")  # those of `train` are known to weights that were trained on the folder
MASKS = ("mask01", "mask07", "face-mask", "irregular-40-50")
BLOCK = 8  # photographs at once
TONE = "skin_tone_ita"
MEASURED = (
    "psnr_hole", "perceptual", "sharpness", "cosine_self", "cosine_reference", "skin", "lighter",
    "cosine_open", "skin_open",  # of the untouched face: what a perfect completion would have
)


def measured(
    folder: str | Path, methods: Mapping[str, Method], predictor: LandmarkPredictor, judge: Recogniser, size: int = 256,
    people: int | None = None, splits: Sequence[str] = SPLITS, names: Sequence[str] = MASKS,
    device: torch.device | str = "cpu",
) -> list[dict]:
    """All photographs of people of some splits, completed by every method under masks of some names, and measured.

    people: so many of them, evenly from the lightest skin to the darkest. A row for each photograph, mask and method:
    `number` in the folder, `person`, `mask`, `method`, what the folder says (None where it doesn't; a person's skin
    tone is the mean over the photographs), and MEASURED. InputError for unknown splits or masks.
    """
    data = FaceFolder(find_set(folder), None, size)
    said = _said(data)
    chosen = _chosen(said, splits, people)
    examination = Examination(
        methods, predictor, judge, perceptual_distance()[1], device,
        further=lambda block, completed, mask: skin_measures(completed, block.faces.image, mask, block.truth))
    blocks = [range(first, min(first + BLOCK, len(chosen))) for first in range(0, len(chosen), BLOCK)]

    def read(block: range) -> Located:
        return examination.locate(Faces.cat([data[chosen[place]] for place in block]), torch.tensor(block))

    known = torch.cat([examination.embed(one.faces.image, one.seen) for one in map(read, blocks)])
    _, identity = np.unique([said[number]["person"] for number in chosen], return_inverse=True)
    gallery = Gallery(known, torch.from_numpy(identity), judge.threshold)
    untouched = gallery.measures(known, torch.arange(len(chosen)))["cosine_reference"]
    rows = []
    for block in tqdm(blocks, f"blocks of {BLOCK} photographs", leave=False):
        found, _ = examination.measure(read(block), names, gallery)
        for (mask, method), values in found.items():
            values = values | {"cosine_open": untouched[list(block)]}
            for at, place in enumerate(block):
                found_here = {key: values[key][at].item() for key in MEASURED}
                rows.append(said[chosen[place]] | {"mask": mask, "method": method} | found_here)
    return rows


def _said(data: FaceFolder) -> list[dict]:
    """What is known of each photograph of a folder; a person's skin tone is the mean over the photographs."""
    said = [
        {
            "number": number, "person": row["identity"], "split": row["split"], "sex": row.get("sex"),
            "born": _number(row, "born"), TONE: _number(row, TONE), "yaw": _number(row, "yaw"),
        }
        for number, row in enumerate(said_of(data.root))
    ]
    tones = {}
    for row in said:
        if row[TONE] is not None:
            tones.setdefault(row["person"], []).append(row[TONE])
    means = {person: sum(found) / len(found) for person, found in tones.items()}
    return [
        row | {TONE: means.get(row["person"]), "yaw": None if row["yaw"] is None else abs(row["yaw"])} for row in said
    ]


def _number(row: Mapping, key: str) -> float | None:
    return row[key] if is_number(row.get(key)) else None


def _chosen(said: Sequence[Mapping], splits: Sequence[str], people: int | None) -> list[int]:
    """The numbers of all photographs of so many people of some splits; InputError for splits without anybody."""
    for split in splits:
        require_known("split", split, sorted({row["split"] for row in said}))
    tones = {row["person"]: row[TONE] or 0.0 for row in said if row["split"] in splits}
    ordered = sorted(tones, key=lambda person: (-tones[person], person))
    if people is not None and people < 1:
        raise InputError(f"the number of people is {people}: give 1 or more")
    places = torch.linspace(0, len(ordered) - 1, min(people or len(ordered), len(ordered))).round().int().tolist()
    wanted = {ordered[place] for place in places}
    return [row["number"] for row in said if row["person"] in wanted]
