"""How many threads a computation has: a core is left to what else the machine does, a browser say.

Threads share every layer and wait for the last of them. If another program has one of their cores, all wait for it:
with two threads on two cores, one of them busy, everything took 1.9 times as long; with one thread 0.97 times as long
as two threads on idle cores, for networks as small as these hardly have work for two. Waiting asleep instead
(OMP_WAIT_POLICY) did not help, nor did any GOMP_SPINCOUNT; docs/performance.md has the figures.

A process that is forked inherits the memory of its parent's threads but not the threads, and would wait for them
without end: it computes with one.
"""

from __future__ import annotations

import os

import torch


def leave_a_core() -> None:
    """Take one thread less than there are cores, if torch would take them all; OMP_NUM_THREADS says it otherwise."""
    if not {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        torch.set_num_threads(max(1, min(torch.get_num_threads(), cores() - 1)))


def _one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_one_thread)


def cores() -> int:
    """How many processors this process may run on; each counts, also where two are one core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
