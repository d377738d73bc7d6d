"""A run measured at the milestones of the paper: when, by whom, and that looking changes nothing."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from conftest import canonical_face, quicken
from safetensors.torch import load_file

from faceinpaint import evaluation, training, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import COLUMNS
from faceinpaint.evaluation.paper import ITERATIONS
from faceinpaint.faces.batch import Faces
from faceinpaint.generator import Generator
from faceinpaint.masks import STANDARD, standard
from faceinpaint.recognisers import JUDGE, LOSS, load_recogniser
from faceinpaint.training import milestones
from faceinpaint.training.batches import Mixture
from faceinpaint.training.milestones import Milestones, independent_judge, milestone_steps, read_milestones
from faceinpaint.training.presets import PRESETS
from faceinpaint.training.sources import Need

MEASURED = STANDARD[2:4]  # of twelve masks
STEPS = {1: 1, 2: 2, 6: 3, 9: 4, 10: 5}  # of ten


@pytest.fixture(scope="module")
def folder(face_folder):
    return face_folder(people=3)


@pytest.fixture(scope="module")
def learn(folder, predictor, recogniser):
    """Trains in a folder, ten steps unless told otherwise; returns that folder."""
    def learn(out, resume=False, judge=recogniser, **settings):
        chosen = replace(PRESETS["smoke"].completion, adversarial_from=8, validate_every=100, **settings)
        with pytest.MonkeyPatch.context() as patch:
            quicken(patch)
            patch.setattr(milestones, "STANDARD", MEASURED)
            training.train_completion([folder], chosen, out, predictor, judge, resume=resume)
        return out
    return learn


@pytest.fixture(scope="module")
def run(learn, tmp_path_factory):
    """A run of ten steps, measured on two faces each time."""
    return learn(tmp_path_factory.mktemp("run"))


def same(first, second):
    """Whether two files hold the same weights."""
    one, other = load_file(first), load_file(second)  # their bytes differ: metadata come in any order
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# ---------------------------------------------------------------------------------------------------- when


def test_milestones_have_the_papers_shares():
    assert milestone_steps(ITERATIONS[-1]) == dict(zip(ITERATIONS, range(1, 6)))
    for steps in (97, 1000, 12_000):
        due = milestone_steps(steps)
        assert list(due.values()) == [1, 2, 3, 4, 5] and list(due) == sorted(due)
        for step, at in zip(due, ITERATIONS):
            assert step / steps == pytest.approx(at / 970_000, abs=0.51 / steps)
    assert milestone_steps(10) == STEPS


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_the_last_step_of_a_short_run_is_the_last_milestone(steps):
    due = milestone_steps(steps)
    assert due[steps] == 5 and min(due) >= 1 and max(due) == steps and list(due.values()) == sorted(due.values())


# --------------------------------------------------------------------------------------------------- a run


def test_a_run_leaves_rows_and_a_generator_at_each_milestone(run):
    names = [f"{number}-{step:06d}" for step, number in STEPS.items()]
    files = {file.name for file in (run / "milestones").iterdir()}
    assert files == {f"{name}.{kind}" for name in names for kind in ("csv", "safetensors")}
    generators = [weights.load(run / "milestones" / f"{name}.safetensors", Generator) for name in names]
    painted = [generator.paint.weight for generator in generators]
    assert all(not torch.equal(one, other) for one, other in zip(painted, painted[1:]))
    assert same(run / "milestones" / f"{names[-1]}.safetensors", run / "generator.safetensors")


def test_what_was_measured_is_read_by_step(run):
    found = read_milestones(run)
    assert list(found) == list(STEPS) and milestones.STANDARD == STANDARD
    for step, rows in found.items():
        assert len(rows) == 2 * len(MEASURED) and {row["mask"] for row in rows} == set(MEASURED)
        assert tuple(rows[0]) == COLUMNS and {row["weights"] for row in rows} == {f"step {step}"}
        assert len({row["image"] for row in rows}) == len({row["identity"] for row in rows}) == 2
        assert all(math.isnan(row["rank1"]) and 0 < row["psnr"] < 60 for row in rows)  # one photograph of each


def test_the_rows_are_those_of_the_generator_that_was_kept(run, folder, predictor):
    validation = Mixture([folder], Need(64)).validation()
    generator = weights.load(run / "milestones" / "3-000006.safetensors", Generator)
    rows = {row["image"]: row for row in read_milestones(run)[6] if row["mask"] == "mask03"}
    for name, image in zip(validation.name, validation.image):
        if name in rows:
            mask = standard("mask03", 64)
            completed = generator.complete(image[None], mask, predictor(image[None], mask))
            psnr = -10 * (completed - image).square().mean().log10().item()
            assert rows[name]["psnr"] == pytest.approx(psnr, abs=0.05)  # the file is in half precision
    assert set(rows) == {validation.name[0], validation.name[-1]}  # spread over all of them


def test_looking_changes_nothing(run, learn, tmp_path):
    blind = learn(tmp_path / "blind", milestone_faces=0)
    assert not (blind / "milestones").exists()
    assert same(blind / "generator.safetensors", run / "generator.safetensors")
    assert (blind / "log.csv").read_text() == (run / "log.csv").read_text()
    with pytest.raises(InputError, match="has no milestones: train with completion.milestone_faces above 0"):
        read_milestones(blind)


def test_a_resumed_run_has_the_milestones_of_an_undisturbed_one(run, learn, tmp_path, monkeypatch):
    log = training.run.Run.log

    def power_cut(self, step, row):
        log(self, step, row)
        if step == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.run.Run, "log", power_cut)
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path, checkpoint_every=5)
    assert max(read_milestones(tmp_path)) == 6  # after the checkpoint, so that it comes again
    learn(tmp_path, resume=True, checkpoint_every=5)
    assert {file.name for file in (tmp_path / "milestones").iterdir()} == {
        file.name for file in (run / "milestones").iterdir()}
    for file in (run / "milestones").glob("*.safetensors"):
        assert same(tmp_path / "milestones" / file.name, file)
    found = read_milestones(tmp_path)
    for step, rows in read_milestones(run).items():
        assert str(found[step]) == str(rows)  # NaN is like no NaN


# ------------------------------------------------------------------------------------------------- by whom


def test_the_judge_is_never_the_network_of_the_loss(tmp_path, recogniser):
    assert independent_judge(load_recogniser(LOSS)).name == JUDGE
    assert independent_judge(load_recogniser(JUDGE)).name == LOSS
    assert independent_judge(recogniser).name == JUDGE
    renamed = tmp_path / "mine.safetensors"
    shutil.copy(weights.path_of(JUDGE), renamed)
    assert independent_judge(load_recogniser(renamed)).name == LOSS


def test_the_network_of_the_loss_is_asked_for_no_milestone(predictor, tmp_path, monkeypatch):
    """Whoever the two are, the one that measures is the other."""
    machine = SimpleNamespace(device="cpu")
    faces = Faces(torch.rand(3, 3, 64, 64), canonical_face(64).repeat(3, 1, 1), torch.arange(3), ("a", "b", "c"))
    settings = replace(PRESETS["smoke"].completion, milestone_faces=2)
    for name, other in ((LOSS, JUDGE), (JUDGE, LOSS)):
        found = Milestones(tmp_path, settings, faces, predictor, load_recogniser(name), machine)
        assert found.judge.name == other and found.faces.name == ("a", "c")
    monkeypatch.setattr(milestones, "load_recogniser", lambda name: pytest.fail("nothing is to be judged"))
    settings = replace(settings, milestone_faces=0)
    unasked = Milestones(tmp_path, settings, faces, predictor, load_recogniser(LOSS), machine)
    assert unasked.due == {}
    unasked.measure(10, None, None)


def test_a_generator_says_by_whom_it_was_trained_and_that_judge_is_refused(people, learn, tmp_path):
    judge = load_recogniser(JUDGE)
    out = learn(tmp_path / "run", steps=1, milestone_faces=1, judge=judge)
    for file in (out / "generator.safetensors", out / "milestones" / "5-000001.safetensors"):
        assert weights.about(file, "identity_recogniser") == JUDGE
        assert weights.about(file, "identity_fingerprint") == judge.fingerprint
        with pytest.raises(InputError, match=f"{file.stem} has learnt to please {JUDGE}"):
            evaluation.evaluate(people, tmp_path / "out", [str(file)], "face-mask", size=64)
    assert not (tmp_path / "out").exists()


def test_a_generator_without_an_identity_loss_has_nobody_to_please(learn, tmp_path):
    out = learn(tmp_path, steps=1, milestone_faces=0, identity=0.0, judge=load_recogniser(JUDGE))
    file = out / "generator.safetensors"
    assert weights.about(file, "identity_recogniser") == weights.about(file, "identity_fingerprint") == "none"
    evaluation.require_independent(load_recogniser(JUDGE), "it", weights.about(file, "identity_fingerprint"))
