"""A whole evaluation: what it writes, that it is always the same, taken up after a stop, shared, or refused at once."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import COMPARED
from safetensors.torch import load_file

from faceinpaint import evaluation, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import write_csv
from faceinpaint.evaluation import Examination, examination, read_metrics, report, run, write_metrics
from faceinpaint.faces.photos import METADATA, FaceFolder
from faceinpaint.generator import Generator
from faceinpaint.recognisers import load_recogniser

CONTRACT = [
    "image", "identity", "mask", "weights", "psnr", "psnr_hole", "ssim", "cosine_self", "verified_self",
    "cosine_reference", "verified_reference", "rank1",
]
METHODS = ["generator", *COMPARED]
DETECTION = ["detected", "eye_shift"]


@pytest.fixture(autouse=True)
def two_at_a_time(monkeypatch):
    """As `evaluated` was made."""
    monkeypatch.setattr(run, "BLOCK", 2)


def evaluate(folder, out, *arguments, **options):
    """A small evaluation; further arguments as of `evaluate`."""
    small = {"family": "face-mask", "size": 64, "compared": COMPARED}
    return evaluation.evaluate(folder, out, *arguments, **small | options)


def contents(folder, but=""):
    """The bytes of every file below a folder, but those of a kind (".png")."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != but]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


class PowerCut(Exception):
    """What ends an evaluation half way here."""


def stop_at(number):
    """`Examination.measure` that fails at a photograph of that number; `numbers` are those that it has measured."""
    def stopping(self, block, names, gallery):
        if number in block.index.tolist():
            raise PowerCut
        stopping.numbers += block.index.tolist()
        return measure(self, block, names, gallery)

    stopping.numbers, measure = [], Examination.measure
    return stopping


@pytest.fixture(scope="module")
def stopped(people, tmp_path_factory):
    """Folders of evaluations that were stopped at photographs 2 and 4, by these numbers; to be copied."""
    folders = {4: tmp_path_factory.mktemp("stopped-at-4"), 2: tmp_path_factory.mktemp("stopped-at-2") / "out"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "BLOCK", 2)
        patch.setattr(Examination, "measure", stop_at(4))
        with pytest.raises(PowerCut):
            evaluate(people, folders[4])
    shutil.copytree(folders[4], folders[2])
    for file in (folders[2] / "parts").glob("000002.*"):
        file.unlink()
    return folders


@pytest.fixture
def measured(monkeypatch):
    """The numbers of the photographs that are measured from here on."""
    noting = stop_at(None)
    monkeypatch.setattr(Examination, "measure", noting)
    return noting.numbers


@pytest.fixture
def undrawn(monkeypatch):
    """The names of pictures that would be there: in a small evaluation they take as long as all the rest of it."""
    names = set()
    monkeypatch.setattr(report, "_save", lambda figure, path: names.add(path.name))
    return names


# ------------------------------------------------------------------------------------------------ the files


def test_every_photograph_mask_and_method_has_a_row(evaluated):
    with open(evaluated / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(CONTRACT)] == CONTRACT and tuple(rows[0]) == evaluation.COLUMNS
    images = ["ann-0", "ann-1", "bob-0", "bob-1", "bob-2", "cat-0"]
    assert [(row["image"], row["weights"]) for row in rows] == [
        (image, method) for pair in (images[:2], images[2:4], images[4:]) for method in METHODS for image in pair]
    assert all(row["image"].startswith(row["identity"]) and row["mask"] == "face-mask" for row in rows)
    assert all(0 < float(row["psnr_hole"]) < float(row["psnr"]) < 60 for row in rows)
    for row in rows:
        assert all((row[key] == "") == (row["identity"] == "cat") for key in CONTRACT[-3:])
        assert all(row[key] != "" for key in evaluation.MEASURES if key not in CONTRACT[-3:] + DETECTION)
        assert all(row[key] == "" for key in DETECTION)  # nobody asked for it


def test_the_embeddings_are_those_that_the_rows_come_from(evaluated):
    kept = load_file(evaluated / "embeddings.safetensors")
    looks = {f"look face-mask {method}" for method in (*METHODS, "truth")}
    assert set(kept) == looks | {"originals", "identity", *(f"face-mask {method}" for method in METHODS)}
    assert kept["identity"].tolist() == [0, 0, 1, 1, 1, 2]
    rows = read_metrics(evaluated / "metrics.csv")
    for method in METHODS:
        cosines = (kept[f"face-mask {method}"].float() * kept["originals"].float()).sum(1)
        told = [row["cosine_self"] for row in rows if row["weights"] == method]
        assert cosines.tolist() == pytest.approx(told, abs=2e-3)  # in half precision


def test_notes_count_what_a_reader_has_to_know(evaluated):
    tables = (evaluated / "tables.md").read_text()
    assert "- 6 photographs of 3 people, 64 px.\n- Judge: embedded-judge." in tables
    assert "without reference and rank 1: 1." in tables
    assert "those predicted in the open face stand for them: 1." in tables
    assert "fewer pixels than 64 in its photograph: 1." in tables  # cat-0 has 40
    assert "independent:" not in tables
    assert "MTCNN" not in tables  # nobody asked it


def test_a_file_of_metrics_holds_any_name_and_any_number(tmp_path):
    rows = [
        {"image": 'a "b", c', "identity": "Zoë 写真", "mask": "mask01", "weights": "runs/x"}
        | {key: value for key in evaluation.MEASURES}
        for value in (0.123456, float("nan"), float("inf"), -1e-9, 12345.0)
    ]
    write_metrics(tmp_path / "metrics.csv", rows)
    read = read_metrics(tmp_path / "metrics.csv")
    assert [row["ssim"] for row in read] == pytest.approx([row["ssim"] for row in rows], nan_ok=True, rel=1e-5)
    assert all(row[key] == rows[0][key] for row in read for key in ("image", "identity", "weights"))
    write_metrics(tmp_path / "again.csv", read)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "metrics.csv").read_bytes()


def test_a_file_of_an_earlier_version_lacks_measures_and_is_read(evaluated, tmp_path):
    with open(evaluated / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    earlier = [key for key in rows[0] if key not in ("seam", *DETECTION)]
    write_csv(tmp_path / "earlier.csv", earlier, rows)
    read = read_metrics(tmp_path / "earlier.csv")
    assert tuple(read[0]) == evaluation.COLUMNS and all(row["seam"] != row["seam"] for row in read)
    write_metrics(tmp_path / "again.csv", read)
    now = read_metrics(tmp_path / "again.csv")
    assert [row["psnr"] for row in now] == [float(row["psnr"]) for row in rows]


# ------------------------------------------------------------------------------------------ the detector


@pytest.mark.usefixtures("undrawn")
def test_with_the_detector_it_is_said_where_a_face_is_found_and_its_eyes(people, evaluated, tmp_path, monkeypatch):
    """A detector that finds everybody's eyes, but nobody in two of the six, nor in paintings of the first."""
    eyes = torch.tensor([[20.0, 30.0], [40.0, 30.0]]).repeat(6, 1, 1)
    eyes[[1, 4]] = float("nan")

    def find(images):
        return eyes[find.first : find.first + len(images)]

    def look(completed, theirs):
        found = torch.where(theirs.isnan().any(-1).any(-1), torch.nan, float(find.first > 0))
        return {"detected": found, "eye_shift": torch.where(found == 1, 0.25, torch.nan)}

    def measure_noting(self, block, names, gallery):
        find.first = block.index[0].item()
        return measure(self, block, names, gallery)

    measure = Examination.measure
    monkeypatch.setattr(Examination, "measure", measure_noting)
    monkeypatch.setattr(examination, "find_eyes", find)
    monkeypatch.setattr(examination, "detector_measures", look)
    tables = evaluate(people, tmp_path / "out", compared=["mean-colour"], detector=True)
    assert "- MTCNN finds no face in 2 of the 6 originals, " in tables
    rows = read_metrics(tmp_path / "out" / "metrics.csv")
    assert {row["image"] for row in rows if row["detected"] != row["detected"]} == {"ann-1", "bob-2"}
    assert all((row["eye_shift"] == 0.25) == (row["detected"] == 1) for row in rows)
    found = [row["detected"] for row in rows if row["weights"] == "mean-colour" and row["detected"] == row["detected"]]
    assert sum(found) == 3 and len(found) == 4
    assert "## Completed faces in which MTCNN finds a face (%)" in tables
    assert f"| {100 * sum(found) / 4:.1f}" in tables[tables.index("## Completed faces"):]
    before = {row["image"]: row for row in read_metrics(evaluated / "metrics.csv") if row["weights"] == "generator"}
    for row in rows:  # nothing else changes
        if row["weights"] == "generator":
            assert all(row[key] == pytest.approx(before[row["image"]][key], nan_ok=True)
                       for key in evaluation.MEASURES if key not in DETECTION)


# ------------------------------------------------------------------------------------------ some photographs only


@pytest.fixture
def turned(people, tmp_path):
    """The people with a yaw each; the last of them nobody measured."""
    folder = shutil.copytree(people, tmp_path / "turned")
    rows = [json.loads(line) for line in (people / METADATA).read_text().splitlines()]
    yaws = [-40.0, 5, 31, 12.5, -50, None]
    rows = [row | {"yaw": yaw, "pitch": abs(yaw or 0) / 10} for row, yaw in zip(rows, yaws)]
    (folder / METADATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def images_of(out):
    """The photographs that have rows, in their order."""
    return list(dict.fromkeys(row["image"] for row in read_metrics(out / "metrics.csv")))


@pytest.mark.usefixtures("undrawn")
def test_only_photographs_within_the_limits_are_evaluated(turned, evaluated, tmp_path):
    out = tmp_path / "out"
    tables = evaluate(turned, out, compared=["mirror"], where=["yaw=30:60"])
    assert images_of(out) == ["ann-0", "bob-0", "bob-2"]
    assert "- 3 photographs of 2 people, 64 px.\n- Only photographs with |yaw| from 30 to 60, as " in tables
    before = {row["image"]: row for row in read_metrics(evaluated / "metrics.csv") if row["weights"] == "mirror"}
    for row in read_metrics(out / "metrics.csv"):
        if row["weights"] == "mirror":
            assert row["psnr"] == pytest.approx(before[row["image"]]["psnr"], rel=1e-5)
    tables = evaluate(turned, out, compared=[], where=["yaw=12:60", "pitch=0:5"], labelled=True)
    assert "with |pitch| from 0 to 5 and |yaw| from 12 to 60," in tables and "3 photographs of 2 people" in tables
    assert images_of(out) == ["ann-0", "bob-0", "bob-1"]  # whose landmarks are known


def test_without_limits_all_are_evaluated_and_none_are_noted(evaluated):
    assert "Only photographs" not in (evaluated / "tables.md").read_text()
    assert len(images_of(evaluated)) == 6


# ------------------------------------------------------------------------------------------ always the same


@pytest.mark.usefixtures("undrawn")
def test_a_stopped_evaluation_is_taken_up_and_gives_the_same_files(
    people, evaluated, stopped, tmp_path, measured, monkeypatch
):
    out = shutil.copytree(stopped[2], tmp_path / "out")
    originals = {f"parts/{number:06}-open.safetensors" for number in (0, 2, 4)}
    assert set(contents(out)) == {"parts/settings.json", "parts/000000.csv", "parts/000000.safetensors"} | originals
    monkeypatch.setattr(run, "_write_original", None)  # those are not looked at again
    tables = evaluate(people, out)
    assert measured == [2, 3, 4, 5]  # nothing twice
    assert contents(out) == contents(evaluated, but=".png") and tables == (evaluated / "tables.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_parts_of_a_run_that_was_killed_while_it_removed_them_are_nobody_elses(people, evaluated, stopped, tmp_path):
    out = shutil.copytree(stopped[4], tmp_path / "out")
    (out / "parts").rename(out / "parts-finished")
    (out / "parts-finished" / "settings.json").unlink()
    (out / "parts-finished" / "000000.csv").write_text("rows of another evaluation")
    evaluate(people, out)
    assert contents(out) == contents(evaluated, but=".png")


@pytest.mark.usefixtures("undrawn")
def test_a_part_whose_rows_were_not_written_is_measured_again(people, evaluated, stopped, tmp_path, measured):
    out = shutil.copytree(stopped[4], tmp_path / "out")
    (out / "parts" / "000002.csv").rename(out / "parts" / "000002.csv.part")  # the embeddings come first
    evaluate(people, out)
    assert measured == [2, 3, 4, 5] and contents(out) == contents(evaluated, but=".png")


def test_two_processes_share_the_work_and_give_the_files_of_one(people, evaluated, tmp_path, forks):
    script = Path(__file__).parent / "one_of_many_evaluations.py"
    forks.ranks(script, people, tmp_path / "out", tmp_path)
    assert contents(tmp_path / "out") == contents(evaluated)
    first, second = (json.loads((tmp_path / f"process-{rank}.json").read_text()) for rank in range(2))
    assert first["measured"] == [0, 1, 4, 5] and second["measured"] == [2, 3]
    assert first["tables"] == (evaluated / "tables.md").read_text() and second["tables"] == ""


@pytest.mark.usefixtures("undrawn")
def test_an_old_evaluation_is_replaced_by_the_next(people, evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "out")
    evaluate(people, tmp_path / "out", labelled=True, compared=["mirror"])
    rows = read_metrics(tmp_path / "out" / "metrics.csv")
    assert len(rows) == 5 * 2 and "bob-2" not in {row["image"] for row in rows}
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert "5 photographs of 3 people" in tables and "those predicted" not in tables
    before = {row["image"]: row for row in read_metrics(evaluated / "metrics.csv") if row["weights"] == "mirror"}
    for row in rows:  # the same completions, of a gallery with one photograph less
        if row["weights"] == "mirror":
            assert row["psnr"] == pytest.approx(before[row["image"]]["psnr"], rel=1e-5)


# --------------------------------------------------------------------------------------------- parts of others


@pytest.mark.parametrize("change", [
    {"compared": ["mirror"]}, {"compared": COMPARED[::-1]}, {"size": 72}, {"family": "irregular"},
    {"labelled": True}, {"recogniser": "dlib", "flattering": True}, {"weights": ["other.safetensors"]},
    {"detector": True},
], ids=str)
def test_parts_of_another_evaluation_are_refused_and_kept(people, stopped, tmp_path, measured, monkeypatch, change):
    out = shutil.copytree(stopped[2], tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    shutil.copy(weights.path_of("generator"), "other.safetensors")
    with pytest.raises(InputError, match="parts of another evaluation: finish it .*choose another --out") as error:
        evaluate(people, out, **change)
    assert ". " not in str(error.value) and contents(out) == contents(stopped[2]) and measured == []


@pytest.mark.usefixtures("undrawn")
def test_parts_of_other_photographs_are_refused_and_the_same_limits_are_known_again(turned, tmp_path):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Examination, "measure", stop_at(2))
        with pytest.raises(PowerCut):
            evaluate(turned, out, compared=[], where=["yaw=0:60", "pitch=0:9"])
    settings = json.loads((out / "parts" / "settings.json").read_text())
    assert settings["where"] == [["pitch", 0, 9], ["yaw", 0, 60]] and settings["detector"] is False
    for where in ([], ["yaw=0:60"], ["yaw=0:60.5", "pitch=0:9"]):
        with pytest.raises(InputError, match="parts of another evaluation"):
            evaluate(turned, out, compared=[], where=where)
    evaluate(turned, out, compared=[], where=["pitch=0:9", "yaw=0:60.0", "yaw=0.0:60"])  # in other words
    assert images_of(out) == ["ann-0", "ann-1", "bob-0", "bob-1", "bob-2"]


def test_parts_of_other_faces_are_refused(people, stopped, tmp_path):
    folder, out = shutil.copytree(people, tmp_path / "faces"), shutil.copytree(stopped[2], tmp_path / "out")
    with open(folder / METADATA, "a") as file:
        file.write((people / METADATA).read_text().splitlines()[0].replace('"ann"', '"bob"') + "\n")
    with pytest.raises(InputError, match="parts of another evaluation"):
        evaluate(folder, out)


def settings_of(name):
    """With which settings the network of a shipped file is made."""
    return json.loads(weights.about(name, "settings"))


def test_a_judge_that_was_calibrated_anew_is_another(people, stopped, tmp_path):
    """It has the parameters and the name of the first one, but not its verdicts."""
    out = shutil.copytree(stopped[2], tmp_path / "out")
    network = load_recogniser("embedded-judge").network
    file = tmp_path / "embedded-judge.safetensors"
    weights.save(network, settings_of("embedded-judge") | {"threshold": 0.77}, file)
    with pytest.raises(InputError, match="parts of another evaluation"):
        evaluate(people, out, recogniser=str(file))
    shutil.copy(weights.path_of("embedded-judge"), file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Examination, "measure", stop_at(2))
        with pytest.raises(PowerCut):  # this one goes on
            evaluate(people, out, recogniser=str(file))


# --------------------------------------------------------------------------------------------------- refusals


@pytest.fixture
def generator_file(tmp_path):
    """Writes the shipped generator to a file, trained by whom one says."""
    def write(name="mine", fingerprint=None):
        path = tmp_path / f"{name}.safetensors"
        about = {} if fingerprint is None else {"identity_recogniser": "it", "identity_fingerprint": fingerprint}
        weights.save(weights.load("generator", Generator), settings_of("generator"), path, **about)
        return str(path)
    return write


def refused(folder, out, *arguments, **options):
    """The sentence with which an evaluation is refused; nothing may have been written."""
    with pytest.raises(InputError) as error:
        evaluate(folder, out, *arguments, **options)
    said = str(error.value)
    assert ". " not in said and "\n" not in said and not out.exists()
    return said


def test_a_judge_that_the_generator_has_learnt_to_please_is_refused(people, tmp_path, generator_file):
    judge = load_recogniser("embedded-judge")
    file = generator_file("pleasing", judge.fingerprint)
    said = refused(people, tmp_path / "out", [file])
    assert said.startswith("pleasing has learnt to please embedded-judge") and "--flattering-judge" in said
    renamed = tmp_path / "who.safetensors"
    shutil.copy(weights.path_of("embedded-judge"), renamed)
    assert "pleasing has learnt to please who" in refused(people, tmp_path / "out", [file], recogniser=str(renamed))


def test_a_flattering_judge_may_be_asked_for_and_is_noted_and_generators_are_compared(
    people, tmp_path, generator_file, undrawn
):
    file = generator_file("pleasing", load_recogniser("embedded-judge").fingerprint)
    tables = evaluate(people, tmp_path / "out", ["generator", file], compared=[], flattering=True)
    assert "The judge was not required to be independent" in tables
    assert "generator over pleasing: +0.0 dB PSNR" in tables
    assert {"sheet-generator.png", "sheet-pleasing.png"} <= undrawn
    rows = read_metrics(tmp_path / "out" / "metrics.csv")
    ours, theirs = ([row["psnr"] for row in rows if row["weights"] == name] for name in ("generator", "pleasing"))
    assert ours == theirs and len(ours) == 6


@pytest.mark.parametrize("options, said", [
    ({"family": "face"}, "all: standard, irregular, face-mask, all"),
    ({"compared": ["mirror", "talea"]}, "no baseline 'talea': did you mean 'telea'"),
    ({"split": "train"}, "no faces in the split 'train'"),
    ({"weights": ["landmarks"]}, "holds LandmarkPredictor, not Generator"),
    ({"weights": ["generatr"]}, "no weights named 'generatr'"),
    ({"weights": ["none.safetensors"]}, "there is no weight file none.safetensors"),
    ({"weights": ["generator", "generator"]}, "two of the weights would be called generator"),
    ({"recogniser": "embeded-judge"}, "did you mean 'embedded-judge'"),
    ({"device": "gpu"}, "no device 'gpu'"),
    ({"size": 100}, "can't have 100 pixels"),
], ids=str)
def test_bad_input_is_one_sentence_and_nothing_is_written(people, tmp_path, options, said):
    assert said in refused(people, tmp_path / "out", **options)


def test_a_folder_that_is_none_and_an_output_that_is_a_file_are_refused(people, tmp_path):
    assert "is no face folder" in refused(tmp_path, tmp_path / "out")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(InputError, match="can't be written .*choose another --out"):
        evaluate(people, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.fixture
def some_of(people, tmp_path):
    """Makes a folder of only those rows whose image has one of some names."""
    def make(*names):
        folder = tmp_path / "some"
        shutil.copytree(people, folder)
        lines = (people / METADATA).read_text().splitlines(keepends=True)
        (folder / METADATA).write_text("".join(line for line in lines if any(f"/{name}" in line for name in names)))
        return folder
    return make


def test_one_person_alone_is_refused(some_of, tmp_path):
    assert "one person only in the split 'test'" in refused(some_of("bob"), tmp_path / "out")


@pytest.mark.parametrize("options, said", [
    ({"where": ["yaw=30"]}, "'yaw=30' sets no limits: write KEY=LOW:HIGH"),
    ({"where": ["yaw=0:90", "yow=30:60"]}, "named 'yow': did you mean 'yaw'? (all: pitch, yaw)"),
    ({"where": ["identity=0:90"]}, "named 'identity'"),
    ({"where": ["yaw=80:90"]}, "in the split 'test' with |yaw| from 80 to 90: set wider limits with --where"),
    ({"where": ["yaw=0:9"]}, "one person only in the split 'test' with |yaw| from 0 to 9, so"),
    ({"where": ["yaw=45:60", "pitch=0:5"], "labelled": True},
     "with |pitch| from 0 to 5 and |yaw| from 45 to 60 has landmarks: leave out --labelled"),
], ids=str)
def test_limits_that_are_none_or_leave_nobody_are_refused(turned, tmp_path, options, said):
    assert said in refused(turned, tmp_path / "out", **options)


def test_limits_are_refused_where_nothing_is_known_of_the_photographs(people, tmp_path):
    said = refused(people, tmp_path / "out", where=["yaw=0:90"])
    assert f"{METADATA} has no numbers to set limits to: leave out --where" in said


def test_people_whose_landmarks_are_not_known_do_not_count_where_they_are_asked_for(some_of, tmp_path):
    folder = some_of("ann", "bob-2")
    assert "one person only" in refused(folder, tmp_path / "out", labelled=True)
    assert len(FaceFolder(folder, "test", 64)) == 3
    shutil.rmtree(folder)
    assert "leave out --labelled" in refused(some_of("bob-2"), tmp_path / "out", labelled=True)


def test_weights_are_called_by_their_files_and_folders_where_those_are_alike():
    name = "generator.safetensors"
    assert run.weight_names(["generator", "runs/a/mine.safetensors"]) == {
        "generator": "generator", "mine": "runs/a/mine.safetensors"}
    assert list(run.weight_names([f"runs/a/{name}", f"runs/b/{name}"])) == ["a/generator", "b/generator"]
    assert list(run.weight_names(["generator", f"runs/a/{name}"])) == ["generator", "a/generator"]
    for given in (["generator", name], [f"x/a/{name}", f"y/a/{name}"]):
        with pytest.raises(InputError, match="give each once, or rename one"):
            run.weight_names(given)


def test_weights_that_are_called_like_a_baseline_are_refused_beside_it(people, tmp_path, generator_file):
    file = generator_file("mirror")
    assert "would be called mirror like a baseline: rename their file" in refused(people, tmp_path / "out", [file])


@pytest.mark.usefixtures("undrawn")
def test_photographs_that_are_called_alike_are_each_measured_and_shown(people, tmp_path):
    """In the folders of two people both are called 0."""
    (tmp_path / "faces").mkdir()
    rows = [json.loads(line) for line in (people / METADATA).read_text().splitlines()][:4]
    for row in rows:
        name = f"{row['identity']}/{row['file_name'][-5:]}"
        (tmp_path / "faces" / row["identity"]).mkdir(exist_ok=True)
        shutil.copy(people / row["file_name"], tmp_path / "faces" / name)
        row["file_name"] = name
    (tmp_path / "faces" / METADATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawn = []

    def note(self, block, name, method):
        drawn.append(block.index.tolist())
        return complete(self, block, name, method)

    complete = Examination.complete
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Examination, "complete", note)
        evaluate(tmp_path / "faces", tmp_path / "out", compared=[])
    rows = read_metrics(tmp_path / "out" / "metrics.csv")
    assert [(row["identity"], row["image"]) for row in rows] == [("ann", "0"), ("ann", "1"), ("bob", "0"), ("bob", "1")]
    cosines = torch.tensor([row["cosine_self"] for row in rows])
    assert drawn[0] == [cosines.argmax().item()] and drawn[4] == [cosines.argmin().item()]
    assert all((first[0] < 2) != (second[0] < 2) for first, second in zip(drawn[::2], drawn[1::2]))
