"""Broken inputs of every kind are taken or refused by one sentence; `--fuzz 5000 --fuzz-seed 7` tries more of them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="inputs are bounded by what Windows can't do")
from fuzzing import Case, Outcome, damaged, files_below, judged
from fuzzing_inputs import KINDS
from fuzzing_pictures import pictures

from faceinpaint.basics.errors import InputError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What writes where it should not, writes here; and no bar of progress is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    yield


@pytest.mark.parametrize("kind", KINDS)
def test_broken_inputs_are_taken_or_refused_by_a_sentence(kind: str, tmp_path: Path,
    request: pytest.FixtureRequest) -> None:
    seed, count = (request.config.getoption(name) for name in ("--fuzz-seed", "--fuzz"))
    maker, share = KINDS[kind]
    outcomes = []
    for number in range(max(1, round(count * share / 100))):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes.append(judged(kind, maker, seed, number, folder))
    print(summary(outcomes))
    assert not [str(one) for one in outcomes if one.fault]


def summary(outcomes: list[Outcome]) -> str:
    """What `pytest -rP` shows of a kind: how many there were, how many were refused, and the worst of them."""
    refused = sum(bool(one.said) for one in outcomes)
    slowest, largest = (max(outcomes, key=key) for key in (lambda one: one.seconds, lambda one: one.memory))
    return f"{len(outcomes)} inputs, {refused} refused\nslowest: {slowest}\nmost memory: {largest}"


def test_the_inputs_follow_from_seed_and_number(tmp_path: Path) -> None:
    for kind, (maker, _) in KINDS.items():
        made = []
        for turn in ("first", "second"):
            folder = tmp_path / kind / turn
            folder.mkdir(parents=True)
            what = maker(random.Random(kind), folder).what.replace(turn, "")
            content = {name: (folder / name).read_bytes() for name in files_below(folder) if (folder / name).is_file()}
            made.append((what, content))
        assert made[0] == made[1], kind


def test_every_format_is_damaged_in_many_ways() -> None:
    formats = {name.split()[0] for name in pictures()}
    assert {"AVIF", "BMP", "EPS", "GIF", "ICO", "JPEG", "JPEG2000", "PDF", "PNG", "PPM", "TIFF", "WEBP"} <= formats
    rng, whole = random.Random(0), pictures()["PNG RGB"]
    assert len({damaged(whole, rng)[0] for _ in range(100)}) > 90


# --------------------------------------------------------------------------------- the judge sees faults


def wait(folder: Path) -> None:
    while True:
        time.sleep(0.01)


def half_written(folder: Path) -> None:
    (folder / "result.png.part").write_bytes(b"half")


def refused_too_late(folder: Path) -> None:
    (folder / "result.png").write_bytes(b"whole")
    raise InputError("the input is wrong: mend it")


def temporary(folder: Path) -> None:
    tempfile.mkstemp()


def large(folder: Path) -> None:
    bytearray(b"1") * (100 << 20)


def in_many_words(folder: Path) -> None:
    raise InputError("It is wrong. Mend it.")


@pytest.mark.parametrize("does, fault", [
    (lambda folder: {}["key"], "KeyError: 'key' at test_fuzzing.py"),
    (wait, "TookTooLong"),
    (half_written, "left behind: ['result.png.part']"),
    (refused_too_late, "left behind: ['result.png']"),
    (temporary, "left behind: ['tmp/"),
    (large, "too much memory"),
    (in_many_words, "no sentence"),
])
def test_a_fault_is_found(does: Callable[[Path], object], fault: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzzing.WAITING", 1 if does is wait else 60)
    monkeypatch.setattr("fuzzing.MEMORY", 50 << 20)
    outcome = judged("kind", lambda rng, folder: Case("what", lambda: does(folder)), 0, 0, tmp_path)
    assert fault in outcome.fault and fault in str(outcome)


def test_a_sentence_is_no_fault(tmp_path: Path) -> None:
    def refuse() -> None:
        raise InputError("the photo has\nno face, " + "x" * 5000 + ": give another")

    outcome = judged("kind", lambda rng, folder: Case("what", refuse), 0, 0, tmp_path)
    assert not outcome.fault and outcome.said.startswith("the photo has\\nno face, x")
    assert outcome.said.endswith("x: give another") and len(outcome.said) == 1000
