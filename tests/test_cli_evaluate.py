"""`faceinpaint evaluate` as a user calls it: which methods it compares, what it prints, and what it refuses."""

from __future__ import annotations

import inspect

import pytest
from conftest import COMPARED
from test_cli import call, is_sentence  # noqa: F401  (call is a fixture)

from faceinpaint import evaluation
from faceinpaint.evaluation import BASELINES, DEFAULT_BASELINES, run


@pytest.fixture
def evaluate(call, people, tmp_path):  # noqa: F811
    """Call `faceinpaint evaluate` on a small folder; returns exit status, standard output and standard error."""
    def evaluate(*options) -> tuple[int, str, str]:
        return call("evaluate", people, "--out", tmp_path / "out", "--masks", "face-mask", "--size", 64, *options)
    return evaluate


@pytest.fixture
def arguments(monkeypatch):
    """What the command passes on, by the names that the function has for it, instead of a whole evaluation."""
    passed, signature = {}, inspect.signature(evaluation.evaluate)

    def note(*given, **named):
        passed.update(signature.bind(*given, **named).arguments)
        return ""

    monkeypatch.setattr(evaluation, "evaluate", note)
    return passed


def test_it_writes_and_prints_what_the_package_does(evaluate, evaluated, monkeypatch, tmp_path):
    monkeypatch.setattr(run, "BLOCK", 2)
    status, out, _ = evaluate("--baselines", *COMPARED)
    assert status == 0 and out.rstrip("\n") == (evaluated / "tables.md").read_text().rstrip("\n")
    for name in ("metrics.csv", "embeddings.safetensors", "tables.md", "sheet-generator.png"):
        assert (tmp_path / "out" / name).read_bytes() == (evaluated / name).read_bytes()


@pytest.mark.parametrize("options, compared", [
    ([], list(DEFAULT_BASELINES)), (["--baselines", "none"], []), (["--baselines", "all"], list(BASELINES)),
    (["--baselines", "telea"], ["telea"]),
    (["--baselines", "telea", "mirror"], ["telea", "mirror"]),
    (["--baselines", "telea", "--baselines", "mirror"], ["telea", "mirror"]),
])
def test_what_it_compares_with(evaluate, arguments, options, compared):
    assert evaluate(*options)[0] == 0 and arguments["compared"] == compared


def test_options_arrive_where_they_belong(evaluate, arguments, people, tmp_path):
    assert evaluate()[0] == 0
    assert arguments == {
        "folder": people, "out": tmp_path / "out", "weights": ["generator"], "family": "face-mask", "split": "test",
        "recogniser": "embedded-judge", "device": "auto", "size": 64, "labelled": False,
        "compared": list(DEFAULT_BASELINES), "flattering": False, "detector": False, "where": [],
        "landmarks": "landmarks",
    }
    assert evaluate(
        "--masks", "all", "--split", "val", "--recogniser", "facenet", "--device", "cpu", "--labelled",
        "--flattering-judge", "--weights", "a.safetensors", "b.safetensors", "--detector", "--where", "yaw=0:15",
        "pitch=0:9", "--landmarks", "c.safetensors",
    )[0] == 0
    changed = {
        "family": "all", "split": "val", "recogniser": "facenet", "device": "cpu", "labelled": True, "flattering": True,
        "weights": ["a.safetensors", "b.safetensors"], "detector": True, "where": ["yaw=0:15", "pitch=0:9"],
        "landmarks": "c.safetensors",
    }
    assert {key: arguments[key] for key in changed} == changed


@pytest.mark.parametrize("options", [
    ["--where", "yaw=30:60", "pitch=0:10", "--labelled"],
    ["--where", "yaw=30:60", "--labelled", "--where", "pitch=0:10"],
])
def test_limits_may_be_given_at_once_or_one_by_one(evaluate, arguments, options):
    assert evaluate(*options)[0] == 0
    assert arguments["where"] == ["yaw=30:60", "pitch=0:10"] and arguments["labelled"] is True


@pytest.mark.parametrize("options, said", [  # others: test_evaluation_run.py
    (["--masks", "mask01"], "all: standard, irregular, face-mask, all"), (["--size", 60], "60 pixels"),
    (["--baselines", "none", "mirror"], "no baseline 'none'"), (["--where", "yaw=60:30"], "the lower one first"),
])
def test_wrong_calls_end_with_2_and_a_sentence_and_write_nothing(evaluate, tmp_path, options, said):
    status, out, err = evaluate(*options)
    assert (status, out) == (2, "")
    assert err.startswith("faceinpaint: ") and said in err and is_sentence(err)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_faces_ends_with_2_and_a_sentence(call, tmp_path):  # noqa: F811
    status, out, err = call("evaluate", tmp_path, "--out", tmp_path / "out")
    assert (status, out) == (2, "") and "is no face folder" in err and is_sentence(err)
