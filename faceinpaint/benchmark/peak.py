"""The peak of memory while something runs, on a processor or a GPU."""

from __future__ import annotations

import gc

import torch

from faceinpaint.basics.memory import peak_memory, restart_peak


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
            self.before = restart_peak()

    def read(self) -> int | None:
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() - self.before
        return None if self.before is None else peak_memory() - self.before
