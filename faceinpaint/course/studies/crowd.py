"""Photographed people, completed and measured, with what their folder says of them: its rows of metadata.

    rows = measured("portraits", {"generator": completer.paint}, completer.predictor, judge)

A row may say `sex` (female or male), `born` (a year), `skin_tone_ita` (degrees, measured in the photograph, so of its
light and its camera too) and `yaw` (-1 ... 1). Whatever is null, no number or not there at all is not known, and no
obstacle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.evaluation.examination import Examination, Located
from faceinpaint.evaluation.identity import Gallery
from faceinpaint.evaluation.measures import perceptual_distance, skin_beside_white
from faceinpaint.evaluation.methods import Method
from faceinpaint.evaluation.selection import is_number
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder, said_of
from faceinpaint.faces.sets import find_set
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import Recogniser

SPLITS = ("val", "test")  # those of `train` are known to weights that were trained on the folder
MASKS = ("mask01", "mask07", "face-mask", "irregular-40-50")
BLOCK = 8  # photographs at once
TONE = "skin_tone_ita"
BESIDE = "skin_beside_white"  # of the open face, in its own picture: see `measures.skin_beside_white`
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
    `number` in the folder, `person`, `mask`, `method`, what the folder says (None where it doesn't), BESIDE, and
    MEASURED. InputError for unknown splits or masks.
    """
    data = FaceFolder(find_set(folder), None, size)
    said = _said(data)
    chosen = _chosen(said, splits, people)
    examination = Examination(methods, predictor, judge, perceptual_distance()[1], device)
    blocks = [range(first, min(first + BLOCK, len(chosen))) for first in range(0, len(chosen), BLOCK)]

    def read(block: range) -> Located:
        return examination.locate(Faces.cat([data[chosen[place]] for place in block]), torch.tensor(block))

    known = torch.cat([examination.embed(one.faces.image, one.seen) for one in map(read, blocks)])
    _, identity = np.unique([said[number]["person"] for number in chosen], return_inverse=True)
    gallery = Gallery(known, torch.from_numpy(identity), judge.threshold)
    untouched = gallery.measures(known, torch.arange(len(chosen)))["cosine_reference"]
    rows = []
    for block in tqdm(blocks, f"blocks of {BLOCK} photographs", leave=False):
        located = read(block)
        beside = skin_beside_white(located.faces.image, located.truth).tolist()
        found, _ = examination.measure(located, names, gallery)
        for (mask, method), values in found.items():
            values = values | {"cosine_open": untouched[list(block)]}
            for at, place in enumerate(block):
                about = said[chosen[place]] | {BESIDE: beside[at], "mask": mask, "method": method}
                rows.append(about | {key: values[key][at].item() for key in MEASURED})
    return rows


def _said(data: FaceFolder) -> list[dict]:
    """What is known of each photograph of a folder, with its number."""
    return [
        {"number": number, "person": row["identity"], "split": row["split"], "sex": row.get("sex")}
        | {key: _number(row, key) for key in ("born", TONE, "yaw")}
        for number, row in enumerate(said_of(data.root))
    ]


def _number(row: Mapping, key: str) -> float | None:
    """What stands there, an angle without its sign; None for no number."""
    number = row.get(key)
    return None if not is_number(number) else abs(number) if key == "yaw" else number


def _chosen(said: Sequence[Mapping], splits: Sequence[str], people: int | None) -> list[int]:
    """The numbers of all photographs of so many people of some splits; InputError for splits without anybody."""
    for split in splits:
        require_known("split", split, sorted({row["split"] for row in said}))
    tones = {row["person"]: row[TONE] or 0.0 for row in said if row["split"] in splits}  # of the last photograph
    ordered = sorted(tones, key=lambda person: (-tones[person], person))
    if people is not None and people < 1:
        raise InputError(f"the number of people is {people}: give 1 or more")
    places = torch.linspace(0, len(ordered) - 1, min(people or len(ordered), len(ordered))).round().int().tolist()
    wanted = {ordered[place] for place in places}
    return [row["number"] for row in said if row["person"] in wanted]
