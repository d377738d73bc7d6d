"""The most memory that was held, by each system's own record; and nothing is asked of a system that lacks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from faceinpaint.basics import memory
from faceinpaint.benchmark import run as benchmark, training as training_benchmark
from faceinpaint.benchmark.peak import PeakMemory
from faceinpaint.benchmark.run import Figure, Setting
from faceinpaint.evaluation import renderer

ROOT = Path(__file__).resolve().parent.parent
HELD = namedtuple("HELD", "peak_wset")


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A system without Linux's records."""
    monkeypatch.setattr(memory, "PROCESSES", tmp_path)


@pytest.fixture
def windows(elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: HELD(3 << 30))


def test_the_peak_begins_anew():
    if memory.restart_peak() is None:
        pytest.skip("only Linux can")
    lies = [bytearray(100_000) for _ in range(4000)]
    del lies[:-1]  # what one holds above them keeps them in the heap
    held = memory.restart_peak()
    gone = bytearray(200_000_000)
    gone[::4096] = b"x" * len(gone[::4096])
    del gone
    assert 150e6 < memory.peak_memory() - held < 300e6
    assert memory.peak_memory() - memory.restart_peak() > 150e6 and memory.peak_memory() - held < 100e6


def test_macos_tells_a_process_of_itself_alone(elsewhere, monkeypatch):
    resource = pytest.importorskip("resource")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "darwin")  # which counts bytes
    assert held <= memory.peak_memory() < 2 * held
    assert memory.peak_memory(os.getppid()) is memory.restart_peak() is None


def test_windows_tells_of_every_process(windows):
    assert memory.peak_memory() == memory.peak_memory(os.getpid()) == 3 << 30
    assert memory.restart_peak() is None


def test_judge_and_bench_do_without_what_windows_lacks(windows, monkeypatch):
    monkeypatch.setattr(renderer, "render", lambda *_: None)
    assert renderer.memory() == 3
    assert benchmark.machine()["load"] == "unknown"
    peak = PeakMemory()
    peak.start()
    if not benchmark.torch.cuda.is_available():
        assert peak.read() is None


def test_a_figure_that_nobody_knows_is_left_out_with_a_word(monkeypatch, tmp_path):
    unknown = Figure("memory of a completion", "MB", {"pixels": 64**2}, {"ours": None, "plain": None})
    twice = [unknown, Figure(unknown.name, "MB", {"pixels": 128**2}, unknown.values)]
    monkeypatch.setitem(benchmark.PARTS, "memory", lambda _: twice)
    text = benchmark.bench(["memory"], Setting(), tmp_path)
    assert "unknown MB" in text and "grows" not in text
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert written["figures"][0]["values"] == {"ours": None, "plain": None} and not written["growth"]


def test_a_memory_that_nobody_knows_has_no_middle():
    assert training_benchmark.middle([None, None]) is None and training_benchmark.middle([None, 4, 2]) == 3


WITHOUT = """
import builtins, importlib, os, pkgutil, sys
load = builtins.__import__

def load_or_not(name, its=None, *rest, **named):
    ours = (its or {}).get("__name__", "").partition(".")[0] in ("faceinpaint", "conftest", "forks", "jobs")
    if ours and name in ("resource", "fcntl", "termios", "pwd", "grp"):
        raise ImportError(name)
    return load(name, its, *rest, **named)

builtins.__import__ = load_or_not
del os.fork, os.getloadavg
sys.path.insert(0, "tests")
import conftest, forks, jobs
import faceinpaint
for module in pkgutil.walk_packages(faceinpaint.__path__, "faceinpaint."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_everything_is_imported_without_what_only_unix_has():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "faceinpaint.evaluation.renderer" in done.stdout, done.stderr
