"""The most memory that a process has held, by each system's own record."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import torch

PROCESSES = Path("/proc")  # Linux has it


def peak_memory(process: int | None = None) -> int | None:
    """The largest resident set that a living process, without a number this one, has had, in bytes.

    None where the system doesn't say: macOS tells a process of itself alone.
    """
    with suppress(OSError):
        return _noted("VmHWM", process or "self")
    with suppress(psutil.Error, AttributeError):
        return psutil.Process(process).memory_info().peak_wset  # Windows has it
    if process is None:
        with suppress(ImportError):
            import resource  # not on Windows

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return None


def restart_peak() -> int | None:
    """Begin the peak of this process anew; returns what it holds now, in bytes. None where only Linux could do so."""
    try:
        (PROCESSES / "self" / "clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return None
    return _noted("VmRSS")


class PeakMemory:
    """The most memory in use between `start` and `read`, beyond what was in use at the start; bytes.

    None of a processor's where only Linux could tell: other systems keep one peak for the whole of a process.
    """

    def start(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
        else:
            gc.collect()
            if sys.platform == "linux":  # what was freed is given back, or the steps could take it unseen
                getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)
            self.before = restart_peak()

    def read(self) -> int | None:
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() - self.before
        return None if self.before is None else peak_memory() - self.before


def _noted(name: str, process: int | str = "self") -> int | None:
    status = (PROCESSES / str(process) / "status").read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"{name}:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else None
