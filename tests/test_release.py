"""A release: what a recipe may say, that each stage uses what earlier ones made, and that a stop loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from faceinpaint import training, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.cli import app
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.training import release
from faceinpaint.training.release import Recipe

RECIPES = Path(__file__).parents[1] / "recipes"

SMALL = """
[let]
photographs = ""
landmarks = "landmarks"

[[stage]]
name = "predictor"
train = "landmarks"
preset = "smoke"
faces = ["{photographs}"]
set = { steps = 2, batch = 2 }
ships = "landmarks"
about = { licence = "MIT", training_data = "few", attribution = "nobody" }

[[stage]]
name = "painter"
train = "completion"
preset = "smoke"
faces = ["{photographs}:1"]
landmarks = "predictor"
set = { steps = 2, milestone_faces = 0, adversarial_from = 9 }
seed = 3

[[stage]]
name = "longer"
train = "completion"
preset = "smoke"
faces = ["{photographs}"]
start = "painter"
landmarks = "predictor"
set = { steps = 2, milestone_faces = 0, adversarial_from = 9, identity = 0.0 }
"""


pytestmark = pytest.mark.usefixtures("quick_training")


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="module")
def folder(face_folder):
    return face_folder(people=3)


def read(text: str, tmp_path: Path, **given: str) -> Recipe:
    file = tmp_path / "written.toml"
    file.write_text(text)
    return Recipe.read(file, given)


# ------------------------------------------------------------------------------------------------- recipes


def test_what_is_left_open_is_filled_in(recipe):
    whole = Recipe.read(recipe, {"photographs": "some/faces"})
    assert [stage.faces for stage in whole.stages] == [["some/faces"], ["some/faces:1"], ["some/faces"]]
    assert release.settings(whole.stages[1]).adversarial_from == 9
    assert release.command(whole.written[1]) == (
        "faceinpaint train completion --preset smoke --faces PHOTOGRAPHS:1 --landmarks predictor --seed 3 "
        "--set completion.steps=2 completion.milestone_faces=0 completion.adversarial_from=9"
    )


STAGE = '[[stage]]\nname = "a"\ntrain = "landmarks"\nfaces = ["b"]\n'


@pytest.mark.parametrize("text, sentence", [
    ("[let]\nphotographs = ''\n" + STAGE, "needs photographs: give it by --let photographs="),
    ("", "has no stage"),
    ("stages = 3", "no part of a recipe 'stages': did you mean 'stage'"),
    ("=", "is no TOML file"),
    (STAGE + STAGE, "two stages of the recipe are called a"),
    (STAGE + "step = 3", "no setting of a stage 'step': did you mean"),
    (STAGE + "seed = 'x'", "seed of the stage a is no int"),
    (STAGE + "seed = true", "seed of the stage a is no int"),
    (STAGE + "set = { stebs = 3 }", "no landmarks setting 'stebs': did you mean 'steps'"),
    (STAGE + "set = { steps = 'many' }", "steps takes a value of type int, not 'many'"),
    (STAGE + "preset = 'huge'", "no preset 'huge'"),
    (STAGE + "evaluate = ['generator']", "has to have one of `train` and `evaluate`"),
    ('[[stage]]\ntrain = "landmarks"', "has no name"),
    ('[[stage]]\nname = "a"\ntrain = "landmarks"', "needs faces"),
    ('[[stage]]\nname = "a"\nevaluate = ["generator"]\nfaces = ["b", "c"]', "needs one face folder"),
    (STAGE.replace("landmarks", "landmark"), "no kind of training 'landmark': did you mean 'landmarks'"),
    ("stage = 5", "are no tables: write .*stage.* above each"),
    ("stage = [5]", "are no tables"),
    ("let = 5\n" + STAGE, "is no table of texts"),
    ("[let]\nx = 5\n" + STAGE, "is no table of texts"),
    (STAGE.replace('"b"', "5"), "faces of the stage a holds what it can't"),
    (STAGE + "set = { steps = [1] }", "set of the stage a holds what it can't"),
    (STAGE.replace('"a"', '"../a"'), "can't be called, or ship as, '../a'"),
    (STAGE + "ships = '/a'", "can't be called, or ship as, '/a'"),
    (STAGE.replace('"b"', '"{"'), "can't be filled in"),
    ("[let]\nx = 'x'\n" + STAGE.replace('"b"', '"{x:>2000000000}"'), "asks for a form"),
    (STAGE.replace('"b"', "[" * 5000), "is no TOML file"),
    (STAGE + "seed = " + "9" * 5000, "is no TOML file"),
    (STAGE.replace('"b"', '"{fotos}"'), "no name of the recipe's .let. 'fotos'"),
])
def test_what_a_recipe_cannot_mean_is_said_before_anything_runs(text, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        read(text, tmp_path)


def test_a_name_that_the_recipe_does_not_have_is_refused(recipe):
    with pytest.raises(InputError, match="no name of the recipe's .let. 'photos': did you mean 'photographs'"):
        Recipe.read(recipe, {"photos": "x"})
    with pytest.raises(InputError, match="can't be read"):
        Recipe.read(recipe.parent / "missing.toml", {})


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_recipes_of_the_project_are_recipes(file):
    whole = Recipe.read(file, {"photographs": "FOLDER"})
    earlier = set()
    for stage in whole.stages:
        for given in (stage.start, stage.landmarks, stage.recogniser, *stage.evaluate):
            assert not given or given in earlier or given in weights.manifest()
        assert not stage.ships or {"licence", "training_data", "attribution"} <= set(stage.about)
        earlier.add(stage.name)


# ------------------------------------------------------------------------------------------------- running


def test_a_release_runs_its_stages_records_them_and_ships(recipe, folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    whole = Recipe.read(recipe, {"photographs": str(folder)})
    used = []
    load = weights.load
    monkeypatch.setattr(weights, "load", lambda name, kind: used.append(Path(name)) or load(name, kind))
    record = json.loads(release.release(whole, out).read_text())
    assert list(record) == ["predictor", "painter", "longer"]
    assert used.count(out / "predictor" / "landmarks.safetensors") == 2  # by both that paint
    assert used.count(out / "painter" / "generator.safetensors") == 1  # by the one that goes on
    for name, entry in record.items():
        assert entry["sha256"] == weights.sha256(out / entry["file"]) and entry["seconds"] > 0
        assert entry["machine"]["torch"] == torch.__version__ and entry["started"] <= entry["finished"]
    assert weights.about(out / record["painter"]["file"], "identity_recogniser") == "dlib"
    assert weights.about(out / record["longer"]["file"], "identity_recogniser") == "none"

    def refuse(*_, **__):
        raise AssertionError("a finished stage ran again")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_landmarks", refuse)
        patch.setattr(training, "train_completion", refuse)
        assert json.loads(release.release(whole, out).read_text()) == record

    package = tmp_path / "package"
    monkeypatch.setattr(weights, "FOLDER", package)
    monkeypatch.setattr(weights, "MANIFEST", package / "manifest.json")
    assert release.install(whole, out) == ["landmarks"]
    weights.path_of.cache_clear()
    entry = weights.manifest()["landmarks"]
    assert entry["licence"] == "MIT" and str(folder) not in json.dumps(entry)
    assert entry["command"].startswith("faceinpaint train landmarks --preset smoke --faces PHOTOGRAPHS")
    load("landmarks", LandmarkPredictor)
    weights.path_of.cache_clear()


def test_a_stopped_release_is_taken_up_where_it_was(recipe, folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    whole = Recipe.read(recipe, {"photographs": str(folder)})
    train = training.train_completion

    def stopped(faces, settings, folder, *rest):
        if folder.name == "longer":
            raise training.Stopped(15, "stopped after step 1 of 2: go on with --resume")
        return train(faces, settings, folder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_completion", stopped)
        with pytest.raises(training.Stopped):
            release.release(whole, out)
    record = json.loads((out / release.RECORD).read_text())
    assert "finished" in record["painter"] and "finished" not in record["longer"]
    with pytest.raises(InputError, match="the stage predictor has not finished|no stage ships"):
        release.install(Recipe.read(recipe, {"photographs": str(folder)}), tmp_path / "elsewhere")
    again = json.loads(release.release(whole, out).read_text())
    assert again["painter"] == record["painter"] and again["longer"]["started"] == record["longer"]["started"]
    assert again["longer"]["seconds"] > record["longer"]["seconds"]
    weights.load(out / again["longer"]["file"], Generator)


def test_a_stage_that_goes_on_resumes_from_its_checkpoint(recipe, folder, tmp_path, monkeypatch):
    seen = []

    def landmarks(faces, settings, out, seed, resume, start):
        seen.append(resume)
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)
        (out / "checkpoints" / "step-0000001.pt").touch()
        raise training.Stopped(15, "stopped")

    monkeypatch.setattr(training, "train_landmarks", landmarks)
    whole = Recipe.read(recipe, {"photographs": str(folder)})
    for _ in range(2):
        with pytest.raises(training.Stopped):
            release.release(whole, tmp_path / "out")
    assert seen == [False, True]


def test_a_stage_that_was_told_something_else_is_not_taken_for_done(recipe, folder, tmp_path):
    out = tmp_path / "out"
    told = {"preset": "smoke"}
    out.mkdir()
    (out / release.RECORD).write_text(json.dumps({"predictor": {"told": told, "finished": "now", "file": "x"}}))
    with pytest.raises(InputError, match="was made by a stage predictor with other settings: choose another --out"):
        release.release(Recipe.read(recipe, {"photographs": str(folder)}), out)
    (out / release.RECORD).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        release.release(Recipe.read(recipe, {"photographs": str(folder)}), out)


def test_the_command_line_wants_names_with_values(recipe, tmp_path):
    run = CliRunner().invoke(app, ["release", str(recipe), "--out", str(tmp_path / "out"), "--let", "photographs"])
    assert isinstance(run.exception, InputError) and "is no NAME=VALUE" in str(run.exception)
    assert not (tmp_path / "out").exists()
