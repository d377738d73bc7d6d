"""Tables that hold the means of the rows beside the paper's, and pictures of what was measured."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import COMPARED
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import (
    Report, difference, in_words, interval, paper, perceptual_distance, read_metrics, report, roc_of
)
from faceinpaint.evaluation.examination import COLUMNS, MEASURES, Located
from faceinpaint.evaluation.measures import frechet_distance
from faceinpaint.faces.batch import Faces

JUDGE = SimpleNamespace(name="somebody", threshold=0.4)
PHOTOGRAPHS = [("a", "a-0"), ("a", "a-1"), ("a", "a-2"), ("b", "b-0"), ("c", "c-0"), ("c", "c-1")]
HARD = {"none": -0.3, "ours": 0.3, "theirs": 0.0}  # how much better than another method


def records(names=("face-mask",), methods=("ours", "theirs", "none"), seed=0):
    """Rows as `evaluate` writes them, of made up numbers; person b has no reference."""
    random = np.random.default_rng(seed)
    rows = []
    for mask in names:
        for method in methods:
            for person, image in PHOTOGRAPHS:
                row = {"image": image, "identity": person, "mask": mask, "weights": method}
                row |= {measure: random.uniform(0.2, 0.6) + HARD.get(method, 0) for measure in MEASURES}
                row |= {"psnr": 20 + 10 * row["psnr"], "hole_ratio": random.uniform(0.02, 0.7)}
                row |= {share: float(random.random() < 0.5 + HARD.get(method, 0)) for share in report.SHARES}
                if person == "b":
                    row |= dict.fromkeys(("cosine_reference", "verified_reference", "rank1"), math.nan)
                rows.append(row)
    return rows


def cells(tables, title):
    """The table below a title: mask -> column -> cell."""
    lines = iter(tables[tables.index(f"## {title}"):].splitlines()[2:])
    split = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line)
    heading = next(split)
    next(split)
    found = {}
    for row in split:
        if len(row) != len(heading):  # the next title
            break
        found[row[0]] = dict(zip(heading[1:], row[1:]))
    return found


# --------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("table", report.PAPER_TABLES + report.MORE_TABLES, ids=lambda table: table.measure)
def test_cells_hold_the_mean_of_the_rows_and_its_interval(table):
    rows = records(["mask03", "face-mask"])
    one = Report(rows, JUDGE, "features", ["ours", "theirs"])
    title = table.title + (": features" if table.measure == "perceptual" else "")
    found = cells(one.tables(), title)
    assert list(found) == ["mask03", "face-mask"]
    for mask, by_method in found.items():
        for method in ("ours", "theirs", "none"):
            chosen = [row for row in rows if row["mask"] == mask and row["weights"] == method]
            values = [row[table.measure] for row in chosen]
            expected = interval(values, [row["identity"] for row in chosen], share=table.measure in report.SHARES)
            assert expected.mean == pytest.approx(np.nanmean(values))
            mean, low, high = (f"{table.scale * value:.{table.digits}f}" for value in expected[:3])
            assert by_method[method] == f"{mean} ({low} to {high})"


def test_every_measure_that_is_printed_was_measured():
    printed = [table.measure for table in report.PAPER_TABLES + report.MORE_TABLES]
    assert len(set(printed)) == len(printed) and set(MEASURES) - set(printed) == {"hole_ratio"}


def test_the_papers_figures_stand_beside():
    tables = Report(records(masks.STANDARD), JUDGE, "", ["ours"]).tables()
    recognised, psnr, by_reference = (cells(tables, table.title) for table in report.PAPER_TABLES)
    five, six = "paper, model 5", "paper, model 6"
    for found in (recognised, psnr, by_reference):
        assert list(found) == [*masks.STANDARD, report.MEAN]
        assert list(found["mask01"]) == ["ours", "theirs", "none", five, six]
    assert psnr["mask01"][five] == "16.40" and psnr["mask01"][six] == "13.88"
    assert psnr[report.MEAN][five] == f"{np.mean(paper.PSNR[4]):.2f}"
    assert recognised["mask03"][five] == "99.8" and by_reference["mask01"][five] == "41.0"
    assert by_reference["mask12"][six] == "67.8"


def test_masks_that_the_paper_does_not_have_leave_its_columns_empty_and_no_mean_is_taken():
    found = cells(Report(records(["mask01", "face-mask"]), JUDGE, "", ["ours"]).tables(), report.PAPER_TABLES[0].title)
    assert [found["face-mask"][name] for name in found["face-mask"] if name.startswith("paper")] == ["", ""]
    assert report.MEAN not in found
    assert not any(name.startswith("paper") for name in cells(
        Report(records(), JUDGE, "", ["ours"]).tables(), "SSIM, whole image")["face-mask"])


def test_the_mean_of_the_standard_masks_is_over_all_their_rows_and_no_others():
    rows = records([*masks.STANDARD, "face-mask"])
    one = Report(rows, JUDGE, "", ["ours"])
    values = [row["psnr"] for row in rows if row["weights"] == "ours" and row["mask"] != "face-mask"]
    assert len(values) == 12 * 6 and one.interval("psnr", "ours", report.MEAN).mean == pytest.approx(np.mean(values))
    assert one.interval("psnr", "ours").mean != pytest.approx(np.mean(values))


@pytest.mark.parametrize("table, model, mask, value", [
    (paper.PSNR, "5", "mask01", 16.396), (paper.PSNR, "1", "mask12", 28.782), (paper.PSNR, "6", "mask02", 14.602),
    (paper.RECOGNISED, "5", "mask01", 83.15), (paper.RECOGNISED, "1", "mask07", 31.51),
    (paper.RECOGNISED_BY_REFERENCE, "5", "mask01", 41.0), (paper.RECOGNISED_BY_REFERENCE, "6", "mask12", 67.81),
])
def test_cells_of_the_paper(table, model, mask, value):
    assert paper.figure(table, model, mask) == value


def test_the_papers_tables_are_whole():
    for table in (paper.PSNR, paper.RECOGNISED, paper.RECOGNISED_BY_REFERENCE):
        assert len(table) == 6 and {len(row) for row in table} == {12}
        assert all(np.mean(row) > np.mean(table[0]) for row in table[1:])  # the first was trained the least
    assert list(paper.ITERATIONS) == sorted(paper.ITERATIONS) and len(paper.ITERATIONS) == 5


def test_one_measure_can_be_had_alone():
    one = Report(records(masks.STANDARD), JUDGE, "", ["ours"])
    title = report.PAPER_TABLES[1].title
    assert cells(f"## {title}\n\n{one.table('psnr')}", title) == cells(one.tables(), title)
    with pytest.raises(InputError, match="no table of 'pnsr': did you mean 'psnr'"):
        one.table("pnsr")


def test_a_measure_that_nobody_has_is_left_out():
    rows = [row | {"perceptual": math.nan} for row in records()]
    assert "Perceptual" not in Report(rows, JUDGE, "features", ["ours"]).tables()
    assert "Perceptual distance: lpips" in Report(records(), JUDGE, "lpips", ["ours"]).tables()


def test_what_the_detector_says_is_printed_where_it_was_asked():
    titles = [table.title for table in report.MORE_TABLES if table.measure in ("detected", "eye_shift")]
    asked = Report(records(), JUDGE, "", ["ours"]).tables()
    rows = [row | {"detected": math.nan, "eye_shift": math.nan} for row in records()]
    silent = Report(rows, JUDGE, "", ["ours"]).tables()
    assert len(titles) == 2 and all(title in asked and title not in silent for title in titles)
    assert "## Seam" in asked and "## Seam" in silent


def test_that_all_are_detected_is_no_certainty():
    rows = [row | {"detected": 1.0, "eye_shift": 0.05} for row in records()]
    found = cells(Report(rows, JUDGE, "", ["ours"]).tables(), "Completed faces in which MTCNN finds a face (%)")
    assert found["face-mask"]["ours"] == "100.0 (29.2 to 100.0)"  # of three people
    title = "Shift of the eyes that MTCNN finds, from the original's (% of inter-ocular)"
    shifts = cells(Report(rows, JUDGE, "", ["ours"]).tables(), title)
    assert shifts["face-mask"]["ours"].startswith("5.0 ")


def test_the_infinite_psnr_of_pictures_that_are_alike_is_left_out():
    rows = records()
    rows[0]["psnr"] = math.inf
    one = Report(rows, JUDGE, "", ["ours", "theirs"])
    finite = [row for row in rows[1:] if row["weights"] == "ours"]
    assert one.interval("psnr", "ours").mean == pytest.approx(np.mean([row["psnr"] for row in finite]))
    assert "inf" not in one.tables() and "nan" not in one.tables()


def test_generators_are_compared_by_pairs_in_words_and_baselines_are_not():
    rows = records(["mask01", "mask02"])
    tables = Report(rows, JUDGE, "", ["ours", "theirs"]).tables()
    said = tables[tables.index("## Differences"):]
    ours, theirs = ([row for row in rows if row["weights"] == name] for name in ("ours", "theirs"))
    found = difference(
        [row["psnr"] for row in ours], [row["psnr"] for row in theirs], [row["identity"] for row in ours])
    assert f"- {in_words('ours over theirs', found, 'dB PSNR')}\n" in said
    assert said.count("ours over theirs") == 4 and "none" not in said
    assert "(2 people, p = " in said  # who has a reference
    assert "## Differences" not in Report(rows, JUDGE, "", ["ours"]).tables()


def test_notes_stand_above_the_tables():
    tables = Report(records(), JUDGE, "", ["ours"], ["Six of them.", "By somebody."]).tables()
    assert tables.startswith("# Evaluation\n\n- Six of them.\n- By somebody.\n- Cells are means")


# ------------------------------------------------------------------------------------------------- pictures


def test_examples_are_the_best_the_median_and_the_worst_of_two_people_each():
    rows = records(["mask01", "mask02", "mask03"])
    chosen = Report(rows, JUDGE, "", ["ours"]).examples("ours")
    assert [word for word, _, _ in chosen] == ["best"] * 2 + ["median"] * 2 + ["worst"] * 2
    ranked = sorted((row for row in rows if row["weights"] == "ours"), key=lambda row: row["cosine_self"])
    assert chosen[0][2] is ranked[-1] and chosen[4][2] is ranked[0] and chosen[2][2] in ranked[8:10]
    for (_, _, first), (_, _, second) in zip(chosen[::2], chosen[1::2]):
        assert first["identity"] != second["identity"]
    others = [row for row in ranked if row["identity"] != ranked[-1]["identity"]]
    assert chosen[1][2] is others[-1]
    for _, number, row in chosen:
        assert PHOTOGRAPHS[number] == (row["identity"], row["image"])


def test_photographs_that_are_called_alike_are_told_apart():
    """Two folders may each have their 0.jpg."""
    rows = [row | {"image": row["image"][-1]} for row in records(["mask01", "mask02"])]
    assert len({row["image"] for row in rows}) < len(PHOTOGRAPHS)
    one = Report(rows, JUDGE, "", ["ours", "theirs"])
    for method in ("ours", "theirs"):
        for _, number, row in one.examples(method):
            assert PHOTOGRAPHS[number][0] == row["identity"] and PHOTOGRAPHS[number][1][-1] == row["image"]
    shown = {number for method in ("ours", "theirs") for _, number, _ in one.examples(method)}
    assert one.shown() == sorted(shown)


def test_bins_of_the_hole_ratio_share_out_all_rows():
    rows = records(["mask01", "mask02", "mask03"])
    one = Report(rows, JUDGE, "", ["ours"])
    found = one.by_hole_ratio("ours")
    ratios, cosines = zip(*((row["hole_ratio"], row["cosine_self"]) for row in rows if row["weights"] == "ours"))
    assert [place for place, _ in found] == sorted(place for place, _ in found)
    total = 0
    for (low, high) in zip(report.BINS, report.BINS[1:]):
        inside = [cosine for ratio, cosine in zip(ratios, cosines) if low < ratio <= high]
        total += len(inside)
        here = [one for place, one in found if low < place <= high]
        assert [one.mean for one in here] == pytest.approx([np.mean(inside)] if inside else [])
    assert total == 18


def test_charts_show_what_the_tables_say():
    one = Report(records(["mask01", "mask02"]), JUDGE, "", ["ours"])
    charts = one.charts({})
    assert list(charts) == ["psnr", "recognised", "identity", "psnr-identity", "hole-ratio", "roc"]
    assert plt.get_fignums() == []
    (ax,) = charts["psnr"].axes
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[0]]
    assert ends == pytest.approx([one.interval("psnr", "ours", mask).mean for mask in ("mask01", "mask02")])


def unit(rows, seed):
    return F.normalize(torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_curves_are_of_the_open_faces_and_of_all_masks_of_each_method():
    identity = torch.tensor([0, 0, 0, 1, 2, 2])
    embeddings = {"originals": unit(6, 0), "mask01 our one": unit(6, 1), "mask02 our one": unit(6, 2),
                  "mask01 one": unit(6, 3), "mask02 one": unit(6, 4), "identity": identity}
    curves = roc_of(embeddings, identity, ["our one", "one"])
    assert list(curves) == ["originals", "our one", "one"]
    for name, parts in {"originals": ["originals"], "one": ["mask01 one", "mask02 one"]}.items():
        same = [
            1 - float(embeddings[part][i] @ embeddings["originals"][j])
            for part in parts for i in range(6) for j in range(6) if i != j and identity[i] == identity[j]
        ]
        threshold = float(np.median(same)) + 1e-5
        assert curves[name].at(threshold)[0] == pytest.approx(np.mean(np.array(same) <= threshold))
    assert roc_of(embeddings, torch.arange(6), ["one"]) == {}  # nobody has two photographs


def shown(number, colour):
    image = torch.full((1, 3, 16, 16), colour)
    faces = Faces(image, torch.zeros(1, 68, 2), torch.tensor([0]), (str(number),))
    return Located(faces, torch.zeros(1, 68, 2), torch.tensor([number]))


def test_a_contact_sheet_shows_original_hole_and_completion_of_two_people_in_a_row():
    rows = Report(records(["mask01", "mask02"]), JUDGE, "", ["ours"]).examples("ours")
    mask = masks.standard("mask01", 16)
    sheet = [(word, row, shown(number, 0.2), torch.full((1, 3, 16, 16), 0.8), mask) for word, number, row in rows]
    figure = report.contact_sheet(sheet, JUDGE)
    assert len(figure.axes) == 18
    assert [ax.get_ylabel() for ax in figure.axes[::6]] == ["best", "median", "worst"]
    for (word, row, *_), first in zip(sheet, range(0, 18, 3)):
        original, hole, completed = figure.axes[first : first + 3]
        pixels = [ax.images[0].get_array() for ax in (original, hole, completed)]
        assert (pixels[0] == 51).all() and (pixels[2] == 204).all()
        assert set(np.unique(pixels[1])) == {51, 128} and (pixels[1] == 128).mean() == 0.5
        assert hole.get_title().strip() == row["mask"]
        distance = 1 - row["cosine_self"]
        verdict = "yes" if distance <= 0.4 else "no"
        assert completed.get_title() == f"same person?\n{verdict} ({distance:.2f})"
    assert {"yes", "no"} == {ax.get_title().split()[2] for ax in figure.axes[2::3]}


# --------------------------------------------------------------------------------------- of a whole evaluation


def test_an_evaluation_writes_its_tables_and_pictures(evaluated):
    pictures = ["hole-ratio", "identity", "psnr", "psnr-identity", "recognised", "roc", "sheet-generator"]
    written = {"metrics.csv", "embeddings.safetensors", "tables.md", *(f"{name}.png" for name in pictures)}
    assert {file.name for file in evaluated.iterdir()} == written
    for name in pictures:
        picture = Image.open(evaluated / f"{name}.png")
        assert 600 < picture.width <= 800 and np.asarray(picture.convert("L")).std() > 5
        assert "Software" not in picture.info  # or another version of it would write another file


def test_the_tables_of_an_evaluation_hold_the_means_of_its_file(evaluated):
    with open(evaluated / "metrics.csv") as file:
        values = [float(row["psnr"]) for row in csv.DictReader(file) if row["weights"] == "mirror"]
    found = cells((evaluated / "tables.md").read_text(), report.PAPER_TABLES[1].title)["face-mask"]
    assert list(found)[:-2] == ["generator", *COMPARED]
    assert float(found["mirror"].partition(" ")[0]) == pytest.approx(np.mean(values), abs=0.006)
    looks = load_file(evaluated / "embeddings.safetensors")
    distance = frechet_distance(looks["look face-mask mirror"], looks["look face-mask truth"])
    title = "Frechet distance (FID, by ImageNet's features) in the hole, over all photographs"
    assert cells((evaluated / "tables.md").read_text(), title)["face-mask"]["mirror"] == f"{distance:.3f}"
    assert distance > 0.01


def test_a_file_of_metrics_is_read_as_it_was_written(evaluated):
    rows = read_metrics(evaluated / "metrics.csv")
    assert tuple(rows[0]) == COLUMNS and all(isinstance(rows[0][key], float) for key in MEASURES)
    alone = [row for row in rows if row["identity"] == "cat"]
    assert alone and all(math.isnan(row["rank1"]) and not math.isnan(row["cosine_self"]) for row in alone)
    judge = SimpleNamespace(name="", threshold=0.1)
    kept = report.frechet_distances(evaluated)
    again = Report(rows, judge, perceptual_distance()[0], ["generator"], frechet=kept).tables()
    assert (evaluated / "tables.md").read_text().endswith(again[again.index("## Tables 2"):])
