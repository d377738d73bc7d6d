"""Where a completion breaks: the measures of an evaluation while one factor varies, person by person.

    sweeper = Sweeper(methods, predictor, judge, size=128)
    rows = sweeper.sweep(factor("yaw"), people=12)
    curves = {method: curve(rows, "psnr_hole", method, "mask01") for method in methods}

The same people stand at every level of a factor, so levels can be compared person by person.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from faceinpaint import masks
from faceinpaint.basics.errors import require_known
from faceinpaint.basics.files import write_csv
from faceinpaint.course.studies.factors import Factor, Level, at_level, factor, references, strangers, unchanged
from faceinpaint.evaluation.examination import Examination, Further, Located
from faceinpaint.evaluation.identity import Gallery
from faceinpaint.evaluation.measures import decibels
from faceinpaint.evaluation.methods import Method
from faceinpaint.evaluation.statistics import Difference, Interval, difference, in_cell, interval
from faceinpaint.faces import synthetic
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor, hidden_landmarks, normalised_errors
from faceinpaint.recognisers import Recogniser

SWEPT = (
    "psnr", "psnr_hole", "ssim", "sharpness", "nme", "cosine_self", "cosine_reference", "verified_self",
    "verified_reference", "hole_ratio",
    "psnr_face", "psnr_around",  # of the hole's pixels on the face, and of those around it
    "nme_told",  # error of the hidden landmarks that the methods were told
    "painted",  # how much of what the level adds to the face is in the hole
    "cosine_open",  # the open face with the other photograph: what a perfect completion would have
)
LABELS = {  # above a panel
    "psnr_hole": "PSNR of the hole (dB)", "psnr_face": "PSNR of the hole, face (dB)",
    "psnr_around": "PSNR of the hole, around it (dB)", "ssim": "SSIM", "sharpness": "sharpness (1: as the truth)",
    "nme": "landmark error, completed", "nme_told": "error of hidden landmarks",
    "cosine_self": "cosine, original", "cosine_reference": "cosine, another photograph",
    "painted": "share that is painted",
}
SHARES = ("verified_self", "verified_reference")
ABOUT = ("tone", "feminine", "age")  # of a person, as drawn and not as changed by a level
NAMES = ("factor", "level", "person", "mask", "method")
SOFT = 9  # pixels of 256 over which `painted` forgives a shift


class Point(NamedTuple):
    """One point of a curve: a level by its name, its place on the axis, and the mean of a measure there."""

    level: str
    place: float
    found: Interval


class Example(NamedTuple):
    """The pictures behind a point of a curve, (1, 3, S, S) each, and the row that belongs to them."""

    word: str
    row: Mapping
    original: Tensor
    masked: Tensor
    completed: Tensor


class Sweeper:
    """Who completes, who judges, and at which size; `sweep` measures.

    methods: name -> `Method`. judge: never the recogniser that one of them has learnt to please. keep: a folder in
    which measurements are kept and found again; a method that works otherwise than then is measured anew. seed: other
    people.
    """

    def __init__(
        self, methods: Mapping[str, Method], predictor: LandmarkPredictor, judge: Recogniser, size: int = 256,
        device: torch.device | str = "cpu", keep: str | Path | None = None, seed: int = 0,
    ) -> None:
        self.methods, self.predictor, self.judge = dict(methods), predictor, judge
        self.size, self.device, self.seed = size, device, seed
        self.keep = Path(keep) if keep else None
        self._known: Faces | None = None

    def sweep(self, varied: Factor, people: int, names: Sequence[str] | None = None) -> list[dict]:
        """Every level of a factor for so many people under masks of some names (the factor's own unless told).

        A row for each level, person, mask and method, with NAMES, ABOUT and SWEPT; NaN where there is nothing to
        measure. Raises InputError for unknown masks.
        """
        names = tuple(names or varied.masks)
        chosen = strangers(people, varied.feminine, self.seed)
        file = self._file(varied, chosen, names)
        if file is not None and file.is_file():
            return read_sweep(file)
        rows, laid = [], _LaidOver() if varied.adds else None
        for level in tqdm(varied.levels, varied.name, leave=False):
            faces = at_level(chosen, level, self.size)
            if laid is not None:
                laid.next(faces)
            rows += self._rows(varied, level, faces, self._references(chosen, level), names, laid)
        if file is not None:
            write_sweep(file, rows)
        return rows

    def complete(
        self, level: Level, person: int, mask: str, methods: Sequence[str]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One person at a level: original (1, 3, S, S), mask (1, 1, S, S), and what methods make of the rest."""
        for method in methods:
            require_known("method", method, list(self.methods))
        examination = self._examination(level)
        # The irregular mask and the direction of a shift hang on the number.
        block = examination.locate(at_level([person], level, self.size), torch.tensor([person]))
        completed = {method: examination.complete(block, mask, method)[0] for method in methods}
        return block.faces.image, examination.mask(mask, block), completed

    def along(self, varied: Factor, mask: str, methods: Sequence[str]) -> dict[str, list[Tensor]]:
        """The first person at every level of a factor: pictures (1, 3, S, S) by their names.

        `original`, `masked`, and for each method what it makes of that.
        """
        (person,) = strangers(1, varied.feminine, self.seed)
        rows = {name: [] for name in ("original", "masked", *methods)}
        for level in varied.levels:
            original, hole, completed = self.complete(level, person, mask, methods)
            pictures = {"original": original, "masked": torch.where(hole > 0.5, 0.5, original)} | completed
            for name, picture in pictures.items():
                rows[name].append(picture)
        return rows

    def behind(
        self, rows: Sequence[Mapping], level: str, method: str, mask: str | None = None, measure: str = "cosine_self"
    ) -> list[Example]:
        """What is behind a point of a curve: the median and the worst person there, by a measure; more is better."""
        (at,) = factor(rows[0]["factor"]).at(level).levels
        there = select(rows, level=level, method=method)
        mask = mask or there[0]["mask"]
        ranked = sorted(select(there, mask=mask), key=lambda row: row[measure])
        examples = []
        for word, row in (("median", ranked[len(ranked) // 2]), ("worst", ranked[0])):
            original, hole, completed = self.complete(at, int(row["person"]), mask, [method])
            masked = torch.where(hole > 0.5, 0.5, original)
            examples.append(Example(word, row, original, masked, completed[method]))
        return examples

    def _rows(
        self, varied: Factor, level: Level, faces: Faces, others: Faces, names: Sequence[str], laid: _LaidOver | None
    ) -> list[dict]:
        """Everything that is measured at one level."""
        people = faces.identity.tolist()

        def further(block: Located, completed: Tensor, mask: Tensor) -> dict[str, Tensor]:
            share = torch.full((len(completed),), float("nan"))
            if laid is not None:
                share = laid.share(block, completed, mask)
            return regions(completed, block.faces.image, mask, block.truth) | {"painted": share}

        examination = self._examination(level, further)
        # Numbers of people, for what hangs on them must not hang on who else is measured; places for the gallery.
        located, beside = (examination.locate(one, one.identity) for one in (faces, others))
        known = [examination.embed(one.faces.image, one.seen) for one in (located, beside)]
        identity = torch.arange(len(people)).repeat(2)
        gallery = _ByPerson(torch.cat(known), identity, self.judge.threshold, people)
        measured, _ = examination.measure(located, names, gallery)
        told = {name: self._error_of_told(examination, located, name) for name in names}
        open_cosine = (known[0] * known[1]).sum(1)
        about = _about(people)
        return [
            {"factor": varied.name, "level": level.name, "person": str(person), "mask": mask, "method": method}
            | about[person]
            | {key: values[key][place].item() for key in SWEPT if key in values}
            | {"cosine_open": open_cosine[place].item(), "nme_told": told[mask][place].item()}
            for (mask, method), values in measured.items() for place, person in enumerate(people)
        ]

    def _error_of_told(self, examination: Examination, located: Located, name: str) -> Tensor:
        mask = examination.mask(name, located)
        return error_of_hidden(examination.landmarks(located, mask), located.truth, mask)

    def _references(self, people: Sequence[int], level: Level) -> Faces:
        """The other photographs; those of the last people are kept, since most levels change no person."""
        if level.person is not unchanged:
            return references(people, level, self.size)
        if self._known is None or self._known.identity.tolist() != list(people):
            self._known = references(people, level, self.size)
        return self._known

    def _examination(self, level: Level, further: Further | None = None) -> Examination:
        return Examination(
            self.methods, self.predictor, self.judge, device=self.device, guide=level.guide, further=further
        )

    def _file(self, varied: Factor, people: Sequence[int], names: Sequence[str]) -> Path | None:
        if self.keep is None:
            return None
        levels = [level.name for level in varied.levels]
        settings = [levels, people, names, self.size, self.judge.name, self.judge.threshold, list(self.methods), SWEPT]
        return self.keep / f"{varied.name}-{_digest(repr(settings), self._traces())}.csv"

    @torch.no_grad()
    def _traces(self) -> list[Tensor]:
        """What predictor, judge and methods make of one picture of noise: another network leaves another trace."""
        image = torch.rand(1, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        mask = masks.standard("mask04", self.size)
        landmarks = self.predictor(image.to(self.device), mask.to(self.device)).cpu()
        done = [method(image, mask, landmarks).cpu().float() for method in self.methods.values()]
        embedded = self.judge.embed(image.to(self.device), landmarks.to(self.device)).cpu()
        return [landmarks, embedded, *done]


class _LaidOver:
    """What the levels of a factor lay over the faces of the first one, and what completions make of it.

    Faces are completed in the same order at every level, so that the completions of the bare ones are found again by
    their number.
    """

    def __init__(self) -> None:
        self.bare, self.added, self.made, self.number = None, None, [], 0

    def next(self, faces: Faces) -> None:
        """Go on to the next level, with the faces at it."""
        self.bare = faces.image if self.bare is None else self.bare
        self.added = dict(zip(faces.identity.tolist(), faces.image - self.bare))
        self.number = 0

    def share(self, block: Located, completed: Tensor, mask: Tensor) -> Tensor:
        """The painted share of the next completions (B, 3, S, S), (B,)."""
        if self.number == len(self.made):  # still the first level
            self.made.append(completed)
        made = completed - self.made[self.number]
        self.number += 1
        return painted(made, torch.stack([self.added[person] for person in block.faces.identity.tolist()]), mask)


class _ByPerson(Gallery):
    """A gallery of one photograph and one reference each, asked by the people's numbers."""

    def __init__(self, originals: Tensor, identity: Tensor, threshold: float, people: Sequence[int]) -> None:
        super().__init__(originals, identity, threshold)
        self.place = {person: place for place, person in enumerate(people)}

    def measures(self, embedding: Tensor, index: Tensor) -> dict[str, Tensor]:
        return super().measures(embedding, torch.tensor([self.place[person] for person in index.tolist()]))


# ---------------------------------------------------------------------------------- measures


def regions(completed: Tensor, image: Tensor, mask: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
    """PSNR (dB) of the hole's pixels on the face and of those around it, (B,) each; NaN where it has none there.

    completed, image: (B, 3, S, S); mask: (B, 1, S, S); landmarks: (B, 68, 2), the true ones.
    """
    face = masks.face_region(landmarks, image.shape[-1])
    squared = (completed - image).square().mean(1, keepdim=True)
    found = {}
    for name, region in {"psnr_face": mask * face, "psnr_around": mask * (1 - face)}.items():
        found[name] = decibels((squared * region).sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)))
    return found


def painted(made: Tensor, added: Tensor, mask: Tensor) -> Tensor:
    """How much of something that was added to a face is painted into the hole: 0 nothing, 1 all of it, (B,).

    added: (B, 3, S, S), how the face with it differs from the same face without. made: (B, 3, S, S), how the completion
    of the one differs from the completion of the other, under the same mask. Over the hole, the slope of `made` on
    `added`: a hole that becomes darker as a whole has painted no beard. Both are softened by SOFT, so that a rim a
    pixel beside its place still counts. NaN where nothing was added in the hole.
    """
    soft = max(3, 2 * round(SOFT * mask.shape[-1] / 512) + 1)
    near = F.avg_pool2d(mask, soft, 1, soft // 2, count_include_pad=False).clamp_min(1e-6)
    made, true = (
        _centred(F.avg_pool2d(one * mask, soft, 1, soft // 2, count_include_pad=False) / near, mask)
        for one in (made, added)
    )
    spread = true.square().sum(dim=(1, 2, 3))
    return torch.where(spread > 0, (made * true).sum(dim=(1, 2, 3)) / spread, float("nan"))


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """Less their mean over the hole, colour by colour, and 0 outside it."""
    return (values - (values * mask).sum(dim=(2, 3), keepdim=True) / mask.sum(dim=(2, 3), keepdim=True)) * mask


def error_of_hidden(told: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean error of the landmarks (B, 68, 2) under a mask, over the inter-ocular distance, (B,); NaN without any."""
    hidden = hidden_landmarks(true, mask)
    return (normalised_errors(told, true) * hidden).sum(1) / hidden.sum(1)


# ---------------------------------------------------------------------------------- rows


def select(rows: Sequence[Mapping], **wanted: str) -> list[Mapping]:
    """The rows in which names are as wanted; InputError, which names the nearest, where there are none."""
    for name, value in wanted.items():
        left = [row for row in rows if row[name] == value]
        if not left:
            require_known(name, value, list(dict.fromkeys(str(row[name]) for row in rows)))
        rows = left
    return list(rows)


def interval_of(rows: Sequence[Mapping], measure: str) -> Interval:
    """The mean of a measure with its 95 % interval by person; InputError for an unknown one."""
    require_known("measure", measure, SWEPT)
    values = [row[measure] if abs(row[measure]) != float("inf") else float("nan") for row in rows]
    return interval(values, [row["person"] for row in rows], share=measure in SHARES)


def curve(rows: Sequence[Mapping], measure: str, method: str, mask: str | None = None) -> list[Point]:
    """A measure at each level of the factor that the rows are of, under one mask or all; levels without it are out."""
    chosen = select(rows, method=method, **({"mask": mask} if mask else {}))
    levels = {level.name: level for level in factor(chosen[0]["factor"]).levels}
    points = []
    for name in dict.fromkeys(row["level"] for row in chosen):
        found = interval_of(select(chosen, level=name), measure)
        if found.people:
            points.append(Point(name, levels[name].place, found))
    return points


def panels(
    rows: Sequence[Mapping], measures: Sequence[str], mask: str | None = None
) -> tuple[dict[str, dict[str, list[Point]]], dict[str, list[Point]]]:
    """What `figures.sweep_curves` draws: curves of all methods by the LABELS of some measures, and the ceilings.

    The ceiling of the cosine with another photograph is that of the untouched face.
    """
    for measure in measures:
        require_known("panel", measure, list(LABELS))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    drawn = {LABELS[one]: {method: curve(rows, one, method, mask) for method in methods} for one in measures}
    return drawn, {LABELS["cosine_reference"]: curve(rows, "cosine_open", methods[0], mask)}


def change(
    rows: Sequence[Mapping], measure: str, method: str, first: str, last: str, mask: str | None = None
) -> Difference:
    """How a measure changes from one level to another, person by person (the later minus the earlier)."""
    require_known("measure", measure, SWEPT)
    chosen = select(rows, method=method, **({"mask": mask} if mask else {}))
    before, after = (
        {row["person"]: row[measure] for row in select(chosen, level=level)} for level in (first, last)
    )
    return difference([after[person] for person in before], list(before.values()), list(before))


def printed(rows: Sequence[Mapping], measure: str, scale: float = 1.0, digits: int = 2) -> str:
    """The mean of a measure with its 95 % interval, as a table has it; empty without values."""
    return in_cell(interval_of(rows, measure), scale, digits)


def write_sweep(file: Path, rows: Sequence[Mapping]) -> None:
    """Rows as CSV, whole or not at all; what could not be measured is empty."""
    numbers = (*ABOUT, *SWEPT)
    write_csv(file, (*NAMES, *numbers), [
        {key: row[key] for key in NAMES} | {key: "" if row[key] != row[key] else f"{row[key]:.6g}" for key in numbers}
        for row in rows
    ])


def read_sweep(file: str | Path) -> list[dict]:
    """The rows of a CSV of `write_sweep`."""
    with open(file, newline="", encoding="utf-8") as lines:
        return [
            {key: row[key] for key in NAMES} | {key: float(row[key] or "nan") for key in (*ABOUT, *SWEPT)}
            for row in csv.DictReader(lines)
        ]


def _about(people: Sequence[int]) -> dict[int, dict[str, float]]:
    identity = synthetic.identities(people)
    return {
        person: {key: getattr(identity, key)[place].item() for key in ABOUT} for place, person in enumerate(people)
    }


def _digest(settings: str, traces: Sequence[Tensor]) -> str:
    found = hashlib.sha256(settings.encode())
    for trace in traces:  # to three digits: sums round otherwise on another machine
        found.update((trace * 1000).round().int().numpy().tobytes())
    return found.hexdigest()[:12]
