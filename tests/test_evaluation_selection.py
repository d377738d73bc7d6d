"""Which photographs lie within limits, and limits that are none."""

from __future__ import annotations

import json

import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation.selection import Limits, limits, within
from faceinpaint.faces.photos import METADATA, FaceFolder
from faceinpaint.faces.synthetic.dataset import write_folder


@pytest.mark.parametrize("text, found", [
    ("yaw=30:60", ("yaw", 30, 60)), ("yaw=0:0", ("yaw", 0, 0)), (" roll = 2.5 : 1e1 ", ("roll", 2.5, 10)),
    ("a=b=1:2", None), ("yaw=45:inf", ("yaw", 45, float("inf"))),
])
def test_limits_as_one_writes_them(text, found):
    if found is None:
        with pytest.raises(InputError, match="sets no limits"):
            limits(text)
    else:
        assert limits(text) == Limits(*found)


@pytest.mark.parametrize("text, said", [
    ("yaw", "'yaw' sets no limits: write KEY=LOW:HIGH with two numbers, as in yaw=30:60"),
    ("", "sets no limits"), ("yaw=30", "sets no limits"), ("yaw=:60", "sets no limits"), ("yaw=30:", "sets no limits"),
    ("yaw:30=60", "sets no limits"), ("yaw=a:b", "sets no limits"), ("yaw=1:2:3", "sets no limits"),
    ("=30:60", "names no number"), ("yaw=60:30", "nothing lies within 'yaw=60:30'"),
    ("yaw=-60:-30", "without their sign"), ("yaw=-30:30", "without their sign"), ("yaw=nan:30", "nothing lies within"),
    ("yaw=30:nan", "nothing lies within"),
])
def test_limits_that_are_none_are_refused_in_a_sentence(text, said):
    with pytest.raises(InputError) as error:
        limits(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_limits_in_words():
    assert str(limits("yaw=30.0:62.5")) == "|yaw| from 30 to 62.5" and str(limits("a=1:inf")) == "|a| from 1 to inf"


@pytest.fixture
def folder(tmp_path):
    """Makes a folder's metadata of what some rows have beside their split."""
    def make(*rows):
        lines = [json.dumps({"split": "test"} | row) for row in rows]
        (tmp_path / METADATA).write_text("\n\n".join(lines))  # an empty line is no row
        return tmp_path
    return make


def test_both_ends_and_both_signs_lie_within(folder):
    root = folder(*({"yaw": yaw} for yaw in (30, -30, 60.0, -60.01, 29.99, 0, 45)))
    assert within(root, "test", [limits("yaw=30:60")]) == [True, True, True, False, False, False, True]


def test_what_is_no_number_lies_nowhere(folder):
    root = folder({"yaw": 1}, {"yaw": None}, {"yaw": "1"}, {"yaw": True}, {"yaw": [1]}, {}, {"yaw": float("nan")})
    assert within(root, "test", [limits("yaw=0:90")]) == [True] + [False] * 6


def test_all_limits_hold_at_once_and_none_let_everybody_in(folder):
    root = folder({"yaw": 10, "roll": 0}, {"yaw": 10, "roll": 5}, {"yaw": 40, "roll": 0}, {"identity": "a"})
    assert within(root, "test", [limits("yaw=5:20"), limits("roll=0:1")]) == [True, False, False, False]
    assert within(root, "test", [limits("yaw=5:50"), limits("yaw=20:60")]) == [False, False, True, False]
    assert within(root, "test", []) == [True] * 4


def test_keys_are_those_of_the_split(folder):
    root = folder({"yaw": 1, "pitch": 2, "name": "x"}, {"split": "train", "age": 3}, {"yaw": 30})
    assert within(root, "test", [limits("yaw=0:9")]) == [True, False]
    for key in ("age", "name", "Yaw"):
        with pytest.raises(InputError, match=rf"named '{key}': did you mean '.*\(all: pitch, yaw\)"):
            within(root, "test", [limits(f"{key}=0:9")])
    with pytest.raises(InputError, match="did you mean 'yaw'"):
        within(root, "test", [limits("jaw=0:9")])
    with pytest.raises(InputError, match="has no numbers to set limits to: leave out --where"):
        within(folder({"name": "x"}), "test", [limits("yaw=0:9")])


def test_rendered_faces_have_their_angles_in_degrees_in_the_order_of_the_folder(tmp_path):
    torch.manual_seed(0)
    write_folder(tmp_path / "faces", people=3, photos=3, size=32, supersample=1)
    data = FaceFolder(tmp_path / "faces", "test", 64)
    rows = {row["file_name"]: row for row in map(json.loads, open(tmp_path / "faces" / METADATA))}
    yaws = [abs(rows[row.file_name]["yaw"]) for row in data.rows]
    middle = sorted(yaws)[1]
    assert len(yaws) == 3 and max(yaws) > 2  # degrees
    assert within(tmp_path / "faces", "test", [limits(f"yaw={middle}:90")]) == [yaw >= middle for yaw in yaws]
    for key in ("pitch", "roll"):
        assert within(tmp_path / "faces", "test", [limits(f"{key}=0:180")]) == [True] * 3
