"""`faceinpaint evaluate --detector --where`: both arrive, compose with the others, and are refused in a sentence."""

from __future__ import annotations

import json
import shutil

import pytest
from test_cli import call, is_sentence  # noqa: F401  (call is a fixture)
from test_cli_evaluate import arguments, evaluate  # noqa: F401  (fixtures)

from faceinpaint.evaluation import read_metrics, run
from faceinpaint.faces.photos import METADATA


def test_neither_is_on_by_itself(evaluate, arguments):  # noqa: F811
    assert evaluate()[0] == 0 and arguments["detector"] is False and arguments["where"] == []


@pytest.mark.parametrize("options, where", [
    (["--where", "yaw=30:60"], ["yaw=30:60"]),
    (["--where", "yaw=30:60", "pitch=0:10", "--labelled"], ["yaw=30:60", "pitch=0:10"]),
    (["--where", "yaw=30:60", "--labelled", "--where", "pitch=0:10"], ["yaw=30:60", "pitch=0:10"]),
])
def test_limits_arrive_where_they_belong(evaluate, arguments, options, where):  # noqa: F811
    assert evaluate(*options, "--detector")[0] == 0
    assert arguments["where"] == where and arguments["detector"] is True
    assert arguments["labelled"] is ("--labelled" in options)


@pytest.mark.parametrize("options, said", [
    (["--where", "yaw"], "'yaw' sets no limits"), (["--where", "yaw=60:30"], "the lower one first"),
    (["--where", "yaw=0:90"], "has no numbers to set limits to"),
])
def test_wrong_limits_end_with_2_and_a_sentence_and_write_nothing(evaluate, tmp_path, options, said):  # noqa: F811
    status, out, err = evaluate(*options)
    assert (status, out) == (2, "") and err.startswith("faceinpaint: ") and said in err and is_sentence(err)
    assert not (tmp_path / "out").exists()


def test_faces_of_some_angles_are_shown_to_the_detector(call, people, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(run, "BLOCK", 2)
    folder = shutil.copytree(people, tmp_path / "turned")
    rows = [json.loads(line) for line in (people / METADATA).read_text().splitlines()]
    rows = [row | {"yaw": 10 * number - 20} for number, row in enumerate(rows)]
    (folder / METADATA).write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, err = call(
        "evaluate", folder, "--out", tmp_path / "out", "--masks", "face-mask", "--size", 64, "--baselines", "none",
        "--where", "yaw=10:20", "--detector", "--labelled",
    )
    assert status == 0, err
    found = read_metrics(tmp_path / "out" / "metrics.csv")
    assert [row["image"] for row in found] == ["ann-0", "ann-1", "bob-1"]  # bob-0 is at 0, bob-2 has no landmarks
    assert "Only photographs with |yaw| from 10 to 20" in out and "MTCNN finds no face in " in out
