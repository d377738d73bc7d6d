"""Two processes train one network: the same parameters, the gradients of one process with the double batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forks import PATIENCE

from faceinpaint.training import read_log

SCRIPT = Path(__file__).parent / "one_of_many.py"
STEPS = 6
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def environment():
    """One thread each, and gloo on the loopback interface."""
    return os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def runs(face_folder, tmp_path_factory, forks):
    """What one process with batches of four, and two with batches of two, noted."""
    folder, root = str(face_folder(people=4)), tmp_path_factory.mktemp("processes")
    alone = forks.run(SCRIPT, folder, root / "one", "4", str(STEPS))
    assert alone.status == 0, alone.said[-3000:]
    forks.ranks(SCRIPT, folder, root / "two", "2", str(STEPS))
    one = torch.load(root / "one" / "process-0.pt", weights_only=True)
    two = [torch.load(root / "two" / f"process-{rank}.pt", weights_only=True) for rank in range(2)]
    return one, two, root


def test_both_processes_end_with_the_same_parameters(runs):
    _, (first, second), _ = runs
    assert len(first["gradients"]) == 2 * STEPS  # of the generator, of the discriminator
    for one, other in zip(first["parameters"], second["parameters"], strict=True):
        assert torch.equal(one, other)


def test_no_sample_is_seen_twice_in_a_pass(runs):
    _, (first, second), _ = runs
    for mine, others in zip(first["names"], second["names"]):  # four people: a pass is one step of both
        assert len({*mine, *others}) == 4


def test_two_processes_see_what_one_with_the_double_batch_sees(runs):
    one, (first, second), _ = runs
    assert [[*a, *b] for a, b in zip(first["names"], second["names"])] == [list(names) for names in one["names"]]


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_their_gradients_are_those_of_the_double_batch(runs, network):
    """But for rounding, of which Adam makes more from step to step, since it divides by what is small."""
    one, (first, second), _ = runs
    which = ["generator", "discriminator"].index(network)
    for step in range(which, 2 * STEPS, 2):
        mine, others, alone = (process["gradients"][step] for process in (first, second, one))
        assert all(torch.equal(a, b) for a, b in zip(mine, others, strict=True))
        off, whole = (torch.cat([value.flatten() for value in values]).norm() for values in (
            [a - b for a, b in zip(mine, alone, strict=True)], alone))
        assert whole > 0 and off <= {0: 1e-5, 1: 1e-2}.get(step // 2, float("inf")) * whole


def test_one_process_writes_for_both(runs):
    _, _, root = runs
    log = read_log(root / "two")
    assert log["reconstruction"][0] == list(range(1, STEPS + 1))
    assert len(list((root / "two" / "tensorboard").iterdir())) == 1
    assert (root / "two" / "generator.safetensors").is_file()


def test_a_signal_ends_both_processes_after_the_same_step(face_folder, tmp_path):
    """As a cluster does it: the launcher gets SIGTERM and passes it on."""
    train = [
        "-m", "faceinpaint", "train", "landmarks", "--preset", "smoke", "--faces", str(face_folder(people=4)), "--out",
        str(tmp_path / "run"), "--set", "landmarks.steps=100000", "landmarks.batch=4",
    ]
    process = subprocess.Popen([*LAUNCH, *train], env=environment(), stderr=subprocess.DEVNULL)
    log = tmp_path / "run" / "log.csv"
    deadline = time.monotonic() + PATIENCE
    while not (log.is_file() and "\n5," in log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) != 0
    last = max(read_log(tmp_path / "run")["loss"][0])
    assert [file.name for file in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step-{last:07d}.pt"]
