"""Commands of the package, and scripts, as processes of their own, to be killed, starved, cut off or joined.

Each is forked from a server that has imported everything, so that a start costs a fraction of a second; it leads a
session of its own, and nothing is left of it but what it has written.

    forks = Forks()
    job = forks.start("train", "landmarks", ..., file_size=100_000)  # what is done to it first: see `BEFORE`
    job.kill()
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 600.0  # seconds; a machine that trains beside needs them
NEW_MOUNTS, NEW_NETWORK, READ_ONLY, PRIVATE = 0x20000, 0x40000000, 1, (1 << 18) | (1 << 14)


class Job:
    """A command that runs, and what it has printed."""

    def __init__(self, forks: Forks, pid: int, log: Path) -> None:
        self.forks, self.pid, self.log = forks, pid, log
        self.status: int | None = None

    @property
    def ended(self) -> bool:
        if self.status is None:
            self.status = self.forks.ask(poll=self.pid)
        return self.status is not None

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status; of one that was killed, minus the signal. patience: seconds that it may take."""
        end = time.monotonic() + patience
        while not self.ended:
            assert time.monotonic() < end, f"still running: {self.said}"
            time.sleep(0.02)
        return self.status

    def kill(self) -> int:
        """End it as a power failure would, unless it has ended; returns its exit status."""
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Forks:
    """Starts jobs, whose output goes into files of a folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.count = folder, 0
        inherited = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_PROXY": "*", "CUDA_VISIBLE_DEVICES": ""}
        inherited |= {"GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env=os.environ | inherited | environment, start_new_session=True,
        )

    def start(self, *words: str | Path, **before: object) -> Job:
        self.count += 1
        log = self.folder / f"job-{self.count}.log"
        return Job(self, self.ask(words=list(map(str, words)), log=str(log), before=before), log)

    def ranks(self, *words: str | Path) -> list[Job]:
        """Two processes of one job, told what `torchrun` tells its own; both have ended, and well."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            common = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1]}
        jobs = [self.start(*words, variables=common | {"RANK": rank, "LOCAL_RANK": rank}) for rank in range(2)]
        assert [job.wait() for job in jobs] == [0, 0], "\n".join(job.said[-3000:] for job in jobs)
        return jobs

    def run(self, *words: str | Path, **before: object) -> Job:
        """A job that has ended."""
        job = self.start(*words, **before)
        job.wait()
        return job

    def ask(self, **question: object) -> int | None:
        self.server.stdin.write(json.dumps(question) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


# ------------------------------------------------------------------------- what may be done to a job first


def kill_in_write(number: int) -> None:
    """It dies when half of its `number`-th whole file is written."""
    count, write = [0], Path.write_bytes

    def write_half(self: Path, content: bytes) -> int:
        count[0] += 1
        if count[0] < number:
            return write(self, content)
        write(self, bytes(content)[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Path.write_bytes = write_half


def kill_before_move(number: int) -> None:
    """It dies when its `number`-th whole file has yet to get its name."""
    count, move = [0], os.replace

    def die(*paths: object) -> None:
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        move(*paths)

    os.replace = die


def file_size(most: int) -> None:
    """No file of it may have more bytes: what a full disk does to a process that may not make one small."""
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def disk(place: str, size: str) -> None:
    """A disk of its own at `place`, of so many bytes ("2m")."""
    _mount(place, 0, f"size={size}")


def read_only(place: str) -> None:
    """A disk of its own at `place`, on which nobody may write, root neither."""
    _mount(place, READ_ONLY, "size=1m")


def no_network() -> None:
    """It reaches nobody, itself neither."""
    _must(libc().unshare(NEW_NETWORK))


def restless_clock(seed: int) -> None:
    """time.time() jumps by up to a year, forwards and backwards."""
    now, chance = time.time, random.Random(seed)
    time.time = lambda: now() + chance.uniform(-3e7, 3e7)


def publish(url: str, size: int, sha256: str, folder: str) -> None:
    """`faceinpaint fetch small` gets a file from there, into a folder."""
    import torch

    from faceinpaint.basics import download
    from faceinpaint.weights import fetch

    fetch.PUBLISHED["small"] = fetch.Published(url, size, sha256, "none")
    torch.hub.set_dir(folder)
    download.PAUSE = 0


def variables(**values: object) -> None:
    """Variables of its environment."""
    os.environ.update({name: str(value) for name, value in values.items()})


def quick() -> None:
    """Blocks of two photographs, an appearance model of few, and one mask to validate under."""
    from faceinpaint.evaluation import run
    from faceinpaint.training import completion

    run.BLOCK = 2
    completion.fit_appearance.__defaults__, completion.VALIDATION_MASKS = (48,), ("mask01",)


BEFORE: dict[str, Callable] = {
    one.__name__: one for one in (
        kill_in_write, kill_before_move, file_size, disk, read_only, no_network, restless_clock, publish, quick,
        variables,
    )
}


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _must(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _mount(place: str, flags: int, options: str) -> None:
    """A tmpfs that this process alone sees."""
    _must(libc().unshare(NEW_MOUNTS))
    _must(libc().mount(b"none", b"/", None, PRIVATE, None))
    _must(libc().mount(b"tmpfs", place.encode(), b"tmpfs", flags, options.encode()))


def may(before: Callable, *arguments: object) -> bool:
    """Whether this process may do such a thing to a job; tried in a child."""
    child = os.fork()
    if child == 0:
        try:
            before(*arguments)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


# --------------------------------------------------------------------------------------------- the server


def _serve() -> None:
    import torch
    import torchmetrics.functional.image  # noqa: F401

    import faceinpaint.cli
    import faceinpaint.evaluation
    import faceinpaint.faces.synthetic.dataset
    import faceinpaint.training  # noqa: F401

    torch.set_num_threads(1)
    said: dict[int, tuple[int, str]] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "poll" in question:
            pid, status = os.waitpid(question["poll"], os.WNOHANG)
            _note(*said[question["poll"]])
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            ear, mouth = os.pipe()
            answer = os.fork()
            if answer == 0:
                _become(question["words"], mouth, question["before"])
            os.close(mouth)
            os.set_blocking(ear, False)
            said[answer] = ear, question["log"]
        print(json.dumps(answer), flush=True)


def _note(ear: int, log: str) -> None:
    """Write down what a job has said; it does not do so itself, for it may not be able to write."""
    with open(log, "ab") as file:
        try:
            while content := os.read(ear, 1 << 16):
                file.write(content)
        except BlockingIOError:
            pass


def _run(words: list[str]) -> None:
    """A script with its arguments, or a command of the package."""
    if words[0].endswith(".py"):
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")
    else:
        from faceinpaint.cli import main

        sys.argv = ["faceinpaint", *words]
        main()


def _become(words: list[str], mouth: int, before: dict) -> None:
    os.setsid()
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(mouth, 1)
    os.dup2(mouth, 2)
    status = 70
    try:
        for name, given in before.items():
            BEFORE[name](**given) if isinstance(given, dict) else BEFORE[name](*([] if given is True else [given]))
        _run(words)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
