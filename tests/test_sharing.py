"""Tests are shared out to processes, and a process that dies neither stops the others nor goes unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from forks import PATIENCE

THREE = """
import os

def test_first(): pass
def test_second(): {}
def test_third(): pass
"""


def test_whoever_dies_fails_its_test_and_the_run_ends(tmp_path):
    for number in range(6):
        dies = number in (0, 3, 5)  # the first, one amidst and the last
        (tmp_path / f"test_{number}.py").write_text(THREE.format("os.kill(os.getpid(), 9)" if dies else "pass"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "sharing", "-p", "no:cacheprovider", "-n", "2",
         "--no-loadscope-reorder"],
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(Path(__file__).parent)}, capture_output=True, text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 1 and "3 failed, 15 passed" in run.stdout, run.stdout + run.stderr
    for number in (0, 3, 5):
        assert f"crashed while running 'test_{number}.py::test_second'" in run.stdout
