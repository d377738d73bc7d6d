"""The most memory that a process has held, by each system's own record; what was freed, given back."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

import psutil

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
    """Begin the peak of this process anew; returns what it holds now, in bytes. None where only Linux could do so.

    What was freed is given back first, or what comes could take it unseen.
    """
    give_back_freed()
    try:
        (PROCESSES / "self" / "clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return None
    return _noted("VmRSS")


def give_back_freed() -> None:
    """Return to the system what was freed, but lies between what is held: glibc keeps it; others have no such call."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def _noted(name: str, process: int | str = "self") -> int | None:
    status = (PROCESSES / str(process) / "status").read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"{name}:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else None
