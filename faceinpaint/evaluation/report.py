"""What an evaluation found: tables in Markdown, and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file

from faceinpaint import masks
from faceinpaint.basics.errors import require_known
from faceinpaint.basics.files import write_whole
from faceinpaint.evaluation import figures, paper
from faceinpaint.evaluation.examination import Examination, Located
from faceinpaint.evaluation.identity import Gallery, Roc, pairs, roc
from faceinpaint.evaluation.measures import frechet_distance
from faceinpaint.evaluation.pictures import board
from faceinpaint.evaluation.statistics import Interval, difference, in_cell, in_words, interval
from faceinpaint.recognisers import Recogniser

MEAN = "mean 1-12"
LOOK, TRUTH = "look", "truth"  # of the keys under which the looks of completions and of photographs are kept
MOST_PAIRS = 5_000_000  # of two people, on a curve
BINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0)  # of the hole ratio


class Table(NamedTuple):
    """How a measure is printed. scale: 100 for per cent. paper: the paper's own table of it."""

    measure: str
    title: str
    scale: float = 1.0
    digits: int = 1
    paper: tuple[tuple[float, ...], ...] | None = None


PAPER_TABLES = (
    Table("verified_self", "Tables 2 and 4: recognised against the original (%)", 100, 1, paper.RECOGNISED),
    Table("psnr", "Table 3: PSNR, whole image (dB)", 1, 2, paper.PSNR),
    Table("verified_reference", "Table 5: recognised against another photograph (%)", 100, 1,
          paper.RECOGNISED_BY_REFERENCE),
)
MORE_TABLES = (
    Table("psnr_hole", "PSNR, hole only (dB)", 1, 2),
    Table("ssim", "SSIM, whole image", 1, 3),
    Table("ssim_hole", "SSIM, hole only", 1, 3),
    Table("skin", "Skin: Delta E of what is painted to what is visible", 1, 1),
    Table("skin_open", "The same in the untouched face", 1, 1),
    Table("lighter", "By how much painted skin is lighter than what was there (L*)", 1, 1),
    Table("sharpness", "Gradient in the hole over the truth's", 1, 2),
    Table("seam", "Seam: change across the hole's boundary over that around it", 1, 2),
    Table("perceptual", "Perceptual distance", 1, 3),
    Table("nme_predicted", "Error of the landmarks predicted from the visible part (% of inter-ocular)", 100, 2),
    Table("nme", "Error of the landmarks found in the completed face (% of inter-ocular)", 100, 1),
    Table("cosine_self", "Cosine with the original", 1, 3),
    Table("cosine_reference", "Cosine with another photograph", 1, 3),
    Table("rank1", "Rank 1: the nearest other photograph is the person's (%)", 100, 1),
    Table("detected", "Completed faces in which MTCNN finds a face (%)", 100, 1),
    Table("eye_shift", "Shift of the eyes that MTCNN finds, from the original's (% of inter-ocular)", 100, 1),
)
SHARES = ("verified_self", "verified_reference", "rank1", "detected")
COMPARED = {  # what two generators are compared by, in words: unit, scale
    "psnr": ("dB PSNR", 1.0), "cosine_self": ("hundredths of the cosine with the original", 100.0),
    "verified_reference": ("points of recognition against another photograph", 100.0),
    "cosine_reference": ("hundredths of the cosine with another photograph", 100.0),
}


@dataclass(frozen=True)
class Report:
    """Everything that was measured. records: rows of metrics.csv. weights: the generators among the methods.

    perceptual: which distance that was. notes: sentences on the photographs and the judge. frechet: of each mask and
    method, over all photographs, see `measures.frechet_distance`.
    """

    records: Sequence[Mapping]
    judge: Recogniser
    perceptual: str
    weights: Sequence[str]
    notes: Sequence[str] = ()
    frechet: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def masks(self) -> list[str]:
        """The names of the masks, in their order."""
        return list(dict.fromkeys(record["mask"] for record in self.records))

    @property
    def methods(self) -> list[str]:
        """The names of the methods, generators first."""
        return list(dict.fromkeys(record["weights"] for record in self.records))

    def rows(self, method: str, mask: str | None = None) -> list[Mapping]:
        """The records of a method under a mask, or under all standard ones (`MEAN`), or under all."""
        wanted = set(masks.STANDARD) if mask == MEAN else {mask}
        return [one for one in self.records if one["weights"] == method and (mask is None or one["mask"] in wanted)]

    def interval(self, measure: str, method: str, mask: str | None = None) -> Interval:
        """The mean of a measure with its interval by person. A PSNR of two pictures that are alike is left out."""
        rows = self.rows(method, mask)
        return interval(_finite(rows, measure), [row["identity"] for row in rows], share=measure in SHARES)

    # ---------------------------------------------------------------------------------- tables

    def tables(self) -> str:
        """All tables as Markdown."""
        lines = ["# Evaluation", "", *(f"- {note}" for note in self.notes)]
        lines += [
            "- Cells are means with 95 % intervals: 2000 bootstrap samples of people, not of photographs, since "
            "photographs of one person are no independent witnesses. `mean 1-12` is over the standard masks.",
            "- The paper's columns are its models 5 and 6, on CelebA-HQ by ArcFace: other people and another judge, "
            "to be compared from mask to mask, not figure by figure.",
        ]
        for table in PAPER_TABLES + MORE_TABLES:
            lines += self._table(table)
        lines += self._frechet_table()
        if len(self.weights) > 1:
            lines += ["", "## Differences between the generators", "", *(f"- {line}" for line in self.differences())]
        return "\n".join(lines) + "\n"

    def table(self, measure: str) -> str:
        """The table of one measure as Markdown, without its heading; InputError for an unknown one."""
        tables = {table.measure: table for table in PAPER_TABLES + MORE_TABLES}
        require_known("table of", measure, list(tables))
        return "\n".join(list(self._table(tables[measure]))[3:]) + "\n"

    def _table(self, table: Table) -> Iterator[str]:
        rows = self.masks + ([MEAN] if set(masks.STANDARD) <= set(self.masks) else [])
        cells = {(mask, method): self.interval(table.measure, method, mask) for mask in rows for method in self.methods}
        if not any(one.people for one in cells.values()):
            return
        title = f"{table.title}: {self.perceptual}" if table.measure == "perceptual" else table.title
        beside = [f"paper, model {model}" for model in paper.MODELS] if table.paper else []
        printed = []
        for mask in rows:
            ours = [in_cell(cells[mask, method], table.scale, table.digits) for method in self.methods]
            theirs = [_theirs(table, model, mask) for model in paper.MODELS] if table.paper else []
            printed.append([mask, *ours, *theirs])
        yield from _markdown(title, ["mask", *self.methods, *beside], printed)

    def _frechet_table(self) -> Iterator[str]:
        if self.frechet:
            title = "Frechet distance (FID, by ImageNet's features) in the hole, over all photographs"
            rows = [[mask, *(f"{self.frechet[mask, one]:.3f}" for one in self.methods)] for mask in self.masks]
            yield from _markdown(title, ["mask", *self.methods], rows)

    def differences(self) -> Iterator[str]:
        """Each two generators compared by a paired test, in words, over all masks that were measured."""
        for first, second in combinations(self.weights, 2):
            rows, others = self.rows(first), self.rows(second)
            people = [row["identity"] for row in rows]
            for measure, (unit, scale) in COMPARED.items():
                found = difference(_finite(rows, measure), _finite(others, measure), people)
                if found.people:
                    yield in_words(f"{first} over {second}", found, unit, scale)

    def by_hole_ratio(self, method: str) -> list[tuple[float, Interval]]:
        """The cosine with the original by bins of hole ratio: mean ratio and interval of each bin that has rows."""
        found = []
        for low, high in zip(BINS, BINS[1:]):
            rows = [row for row in self.rows(method) if low < row["hole_ratio"] <= high]
            if rows:
                cosines = interval([row["cosine_self"] for row in rows], [row["identity"] for row in rows])
                found.append((float(np.mean([row["hole_ratio"] for row in rows])), cosines))
        return found

    # ---------------------------------------------------------------------------------- pictures

    def shown(self) -> list[int]:
        """The numbers of the photographs that the contact sheets show."""
        return sorted({number for name in self.weights for _, number, _ in self.examples(name)})

    def examples(self, method: str) -> list[tuple[str, int, Mapping]]:
        """Completions of two people each from the best, the median and the worst on, by the cosine with the original.

        Word, number of the photograph and record of each.
        """
        # Photographs are told apart by their place under each mask: two in different folders may be called alike.
        numbered = [one for mask in self.masks for one in enumerate(self.rows(method, mask))]
        ranked = sorted(numbered, key=lambda one: (-one[1]["cosine_self"], one[0]))
        middle = len(ranked) // 2
        orders = {"best": ranked, "median": ranked[middle:] + ranked[:middle], "worst": ranked[::-1]}
        return [(word, *one) for word, order in orders.items() for one in _of_two_people(order)]

    def charts(self, curves: Mapping[str, Roc]) -> dict[str, Figure]:
        """The charts by the stems of their files."""
        def bars(measure: str) -> dict[str, dict[str, Interval]]:
            return {
                method: {mask: self.interval(measure, method, mask) for mask in self.masks} for method in self.methods
            }

        points = {
            method: [(self.interval("psnr", method, mask), self.interval("cosine_self", method, mask))
                     for mask in self.masks]
            for method in self.methods
        }
        return {
            "psnr": figures.interval_bars(bars("psnr"), "PSNR (dB)"),
            "recognised": figures.interval_bars(bars("verified_self"), "recognised against the original", share=True),
            "identity": figures.interval_bars(bars("cosine_self"), "cosine with the original"),
            "psnr-identity": figures.quality_identity(points),
            "hole-ratio": figures.by_hole_ratio({method: self.by_hole_ratio(method) for method in self.methods}),
            "roc": figures.roc_curves(curves, self.judge.threshold),
        }


def _markdown(title: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table under its title."""
    lines = [f"| {' | '.join(row)} |" for row in (heading, *rows)]
    return ["", f"## {title}", "", lines[0], "|---" * len(heading) + "|", *lines[1:]]


def write_report(
    report: Report, out: Path, examination: Examination, shown: Mapping[int, Located], gallery: Gallery
) -> str:
    """Write tables.md and the pictures into `out`; returns the tables.

    shown: the photographs of the contact sheets by their numbers, to be completed once more.
    """
    embeddings = load_file(out / "embeddings.safetensors")
    for stem, figure in report.charts(roc_of(embeddings, gallery.identity, report.methods)).items():
        _save(figure, out / f"{stem}.png")
    for method in report.weights:
        sheet = [
            (word, row, shown[number], *examination.complete(shown[number], row["mask"], method))
            for word, number, row in report.examples(method)
        ]
        _save(contact_sheet(sheet, report.judge), out / f"sheet-{method.replace('/', '-')}.png")
    tables = report.tables()
    write_whole(out / "tables.md", tables.encode())
    return tables


def roc_of(embeddings: Mapping[str, torch.Tensor], identity: torch.Tensor, methods: Sequence[str]) -> dict[str, Roc]:
    """The ROC of the judge on untouched photographs, and on completed ones (all masks) against other photographs.

    embeddings: `originals` (N, D), and `MASK METHOD` (N, D) each. Empty where nobody has two photographs.
    """
    originals = embeddings["originals"].float()
    parts = {"originals": [originals]} | {
        method: [values.float() for key, values in embeddings.items() if key.partition(" ")[2] == method]
        for method in methods
    }
    curves = {}
    for name, several in parts.items():
        same, different = [], []
        for one in several:
            matches, others = pairs(one, originals, identity)
            same.append(matches)
            # Of very many pairs every so manieth is enough for a curve, and for the memory.
            different.append(others[:: 1 + len(others) * len(several) // MOST_PAIRS])
        if len(torch.cat(same)):
            curves[name] = roc(torch.cat(same), torch.cat(different))
    return curves


def frechet_distances(out: Path) -> dict[tuple[str, str], float]:
    """For each mask and method of embeddings.safetensors, how far its completions are from photographs."""
    kept = load_file(out / "embeddings.safetensors")
    found = {}
    for key in kept:
        kind, _, rest = key.partition(" ")
        mask, _, method = rest.partition(" ")
        if kind == LOOK and method != TRUTH:
            found[mask, method] = frechet_distance(kept[key], kept[f"{LOOK} {mask} {TRUTH}"])
    return found


def contact_sheet(
    sheet: Sequence[tuple[str, Mapping, Located, torch.Tensor, torch.Tensor]], judge: Recogniser
) -> Figure:
    """Original, what was left of it, and completion, two of a kind in a row; the rows are named by their word."""
    pictures, titles, beside = [], [], []
    for word, row, located, completed, mask in sheet:
        original = located.faces.image
        pictures += [original, torch.where(mask > 0.5, 0.5, original), completed]
        distance = 1 - row["cosine_self"]
        same = "yes" if distance <= judge.threshold else "no"
        titles += ["original\n", f"{row['mask']}\n", f"same person?\n{same} ({distance:.2f})"]
        beside.append(word)
    return board(pictures, titles, columns=6, beside=beside[::2])


def _of_two_people(ranked: Sequence[tuple[int, Mapping]]) -> list[tuple[int, Mapping]]:
    """The first numbered record, and the first one of another person."""
    first = ranked[0]
    return [first, next(one for one in ranked if one[1]["identity"] != first[1]["identity"])]


def _finite(rows: Sequence[Mapping], measure: str) -> np.ndarray:
    """A measure of some records, NaN where it is infinite, as the PSNR of two pictures that are alike."""
    values = np.array([row[measure] for row in rows], float)
    return np.where(np.isinf(values), np.nan, values)


def _theirs(table: Table, model: str, mask: str) -> str:
    """The paper's figure, where it has one."""
    if mask == MEAN:
        values = [paper.figure(table.paper, model, one) for one in masks.STANDARD]
        return f"{np.mean(values):.{table.digits}f}"
    return f"{paper.figure(table.paper, model, mask):.{table.digits}f}" if mask in masks.STANDARD else ""


def _save(figure: Figure, path: Path) -> None:
    """A figure as a PNG that is the same each time: without the date and the program's version."""
    content = io.BytesIO()
    figure.savefig(content, metadata={"Software": None})
    write_whole(path, content.getvalue())
