"""Memory stays where it is, however many faces one process completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forks import ROOT

SOAK = Path(__file__).with_name("soak.py")
ALLOWED = 0.02  # of growth once it has settled
ROOM = 8_000_000  # bytes: in a short run the allocator has not yet seen all sizes
PATIENCE = 3600.0  # seconds; two thousand completions took a sixth of that beside other work


def grown(forks, what: str, count: int, size: int, settled: int = 50) -> dict[str, float]:
    job = forks.start(SOAK, what, "--count", str(count), "--size", str(size), "--settled", str(settled))
    assert job.wait(PATIENCE) == 0, job.said
    print(what, count, size, job.said)
    return json.loads(job.said.splitlines()[-1])


@pytest.mark.parametrize("what", ["session", "completer"])
def test_memory_is_flat_once_everything_was_done(forks, what):
    found = grown(forks, what, 44, 64, settled=24)
    assert found["most"] - found["settled"] < ALLOWED * found["settled"] + ROOM, found


@pytest.mark.long
@pytest.mark.parametrize("what, count, size", [("completer", 2000, 256), ("session", 200, 256), ("widget", 200, 256)])
def test_memory_is_flat_over_hundreds_of_completions(forks, what, count, size):
    found = grown(forks, what, count, size)
    assert found["growth"] <= ALLOWED, found


# --------------------------------------------------------------------------------------- very many photos


MEMORY = 256_000_000  # of a training run's faces, so that the test needs little


def crowd(count: int, what: str) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SOAK.with_name("crowd.py")), str(count), what, str(MEMORY)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(what, done.stdout)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.parametrize("what, most", [
    ("complete", 150e6), ("evaluate", 300e6), ("train", MEMORY + 300e6),  # a block once, not twice
])
def test_fifty_thousand_photos_need_little_more_than_five_hundred(what, most):
    few, many = crowd(500, what), crowd(50_000, what)
    assert many["peak"] - few["peak"] < most
