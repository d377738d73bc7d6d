"""A core is left to others, whoever says how many threads there shall be is heard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from faceinpaint.basics import threads

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("cores, usual, taken", [(1, 1, 1), (2, 2, 1), (8, 8, 7), (8, 4, 4)])
@pytest.mark.parametrize("affinity", (True, False))  # only Linux tells it
def test_a_core_is_left_unless_one_is_free_anyway(monkeypatch, cores, usual, taken, affinity):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    if not affinity:
        monkeypatch.delattr(os, "sched_getaffinity")
    chosen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: usual)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    threads.leave_a_core()
    assert chosen == [taken]


@pytest.mark.parametrize("said", [None, str(threads.cores())])
def test_whoever_completes_leaves_a_core_and_a_user_decides_otherwise(said):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"OMP_NUM_THREADS": said} if said else {})
    code = "import faceinpaint.completion, torch; print(torch.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(said) if said else 1 <= int(done.stdout) <= max(1, threads.cores() - 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_does_not_wait_for_its_parent_s_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    images, weight = torch.rand(1, 16, 200, 200), torch.rand(16, 16, 3, 3)
    try:
        torch.conv2d(images, weight)  # starts the threads
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            torch.conv2d(images, weight)
            os._exit(torch.get_num_threads())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    finally:
        torch.set_num_threads(before)
