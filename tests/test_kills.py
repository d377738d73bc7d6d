"""kill -9 at any moment: the next start goes on, loses at most one interval, and ends as an undisturbed run does.

A few kills of each kind here; `pytest --long tests/test_kills.py` gives thirty to each, by a seed that it prints.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from forks import Forks
from jobs import Kind, contents, files, first_sign
from test_download import Loopback, send

SEED = 20
CONTENT = bytes(range(256)) * 4096  # 1 MiB, of which PIECE may be lost


def disturbed(forks: Forks, kind: Kind, out: Path, kills: list[float], seconds: float, chance: random.Random) -> int:
    """Kill it so many times and let it end. kills: shares of the time. Returns the most that a kill has cost."""
    most = 0
    for share in kills:
        job = kind.start(forks, out)
        begin = first_sign(job, out)
        time.sleep(max(0.0, begin + share * seconds - time.monotonic()))
        assert job.kill() in (0, -signal.SIGKILL), job.said
        lost = kind.done(out) - kind.kept(out)
        assert lost <= kind.lost, f"{lost} lost of {kind.done(out)}"
        most = max(most, lost)
        if job.status == 0:
            break
    job = kind.start(forks, out)
    assert job.wait() == 0 or "already holds a run" in job.said, job.said
    return most


@pytest.mark.parametrize("name", ["landmarks", "synthetic", "folder"])  # of an evaluation: while it writes
def test_killed_at_two_moments_it_ends_as_if_nothing_had_been(forks, kinds, tmp_path, whole, name):
    chance = random.Random(SEED)
    expected, seconds = whole(name)
    kills = [chance.uniform(0, 0.6), chance.uniform(0, 0.6)]
    disturbed(forks, kinds[name], tmp_path / "killed", kills, seconds, chance)
    assert contents(tmp_path / "killed") == expected


@pytest.mark.parametrize("name, before", [
    ("landmarks", {"kill_in_write": 6}), ("evaluation", {"kill_in_write": 7}),
    pytest.param("landmarks", {"kill_before_move": 6}, marks=pytest.mark.long),
], ids=["in a checkpoint", "in a part", "before its name"])
def test_killed_while_it_writes_it_ends_as_if_nothing_had_been(forks, kinds, tmp_path, whole, name, before):
    out = tmp_path / "killed"
    job = kinds[name].start(forks, out, **before)
    assert job.wait() == -signal.SIGKILL, job.said
    assert [file for file in files(out) if file.suffix == ".part"]
    assert kinds[name].start(forks, out).wait() == 0
    assert contents(out) == whole(name)[0]


@pytest.mark.long
@pytest.mark.parametrize("name", ["landmarks", "completion", "synthetic", "folder", "evaluation"])
def test_thirty_kills(forks, kinds, tmp_path, whole, name):
    chance, kind = random.Random(f"{SEED} {name}"), kinds[name]
    expected, seconds = whole(name)
    most, given, rounds = 0, 0, 0
    while given < 30:
        begin, count = forks.count, min(chance.randint(2, 6), 30 - given)
        kills = [chance.uniform(0, 0.8) for _ in range(count)]
        most = max(most, disturbed(forks, kind, tmp_path / "killed", kills, seconds, chance))
        assert contents(tmp_path / "killed") == expected
        shutil.rmtree(tmp_path / "killed")
        given, rounds = given + forks.count - begin - 1, rounds + 1
        print(f"{name}: {given} kills in {rounds} runs, seed {SEED}; the most that one cost: {most} of {kind.lost}")


@pytest.mark.long
@pytest.mark.parametrize("name", ["landmarks", "completion", "synthetic", "folder", "evaluation"])
@pytest.mark.parametrize("way", ["kill_in_write", "kill_before_move"])
def test_killed_in_every_file_that_it_writes(forks, kinds, tmp_path, whole, name, way):
    for number in range(1, 1000):
        out = tmp_path / str(number)
        job = kinds[name].start(forks, out, **{way: number})
        if job.wait() == 0:
            break
        assert job.status == -signal.SIGKILL, job.said
        again = kinds[name].start(forks, out)
        assert again.wait() == 0, again.said
        assert contents(out) == whole(name)[0], number
    print(f"{name}: {way} of each of {number - 1} files")
    assert number > 3


# ------------------------------------------------------------------------------------------- downloads


@pytest.fixture
def slow_server():
    """Gives /small in pieces, a while apart; what was asked for is noted."""
    server = Loopback()

    def answer(handler) -> None:
        begin = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if begin >= len(CONTENT):
            send(handler, 416, b"", Content_Range=f"bytes */{len(CONTENT)}")
            return
        handler.send_response(206 if begin else 200)
        handler.send_header("Content-Length", str(len(CONTENT) - begin))
        handler.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        for first in range(begin, len(CONTENT), 1 << 15):
            handler.wfile.write(CONTENT[first : min(first + (1 << 15), len(CONTENT))])
            server.closing.wait(0.02)

    server.gives("/small.pth", answer)
    yield server
    server.close()


def killed_download(forks: Forks, server: Loopback, folder: Path, shares: list[float]) -> list[int]:
    """Kill a download at such shares of it; returns where each start began."""
    published = {"url": server.url("/small.pth"), "size": len(CONTENT), "folder": str(folder / "hub"),
                 "sha256": hashlib.sha256(CONTENT).hexdigest()}
    target = folder / "hub" / "checkpoints" / "small.pth"
    part = target.with_name("small.pth.part")
    for share in shares:
        there = part.stat().st_size if part.exists() else 0
        job = forks.start("fetch", "small", publish=published)
        wanted = there + share * (len(CONTENT) - there)
        while not job.ended and not target.exists() and (not part.exists() or part.stat().st_size < wanted):
            time.sleep(0.002)
        job.kill()
        assert not part.exists() or part.stat().st_size >= there
    job = forks.run("fetch", "small", publish=published)
    assert job.status == 0, job.said
    left = [file.name for file in files(folder) if file.suffix != ".lock"]  # one killed between its file and its lock
    assert target.read_bytes() == CONTENT and left == ["small.pth"]
    return [int((asked or "bytes=0-").removeprefix("bytes=").removesuffix("-")) for _, asked in server.asked]


def test_a_killed_download_goes_on_where_it_was(forks, slow_server, tmp_path):
    begun = killed_download(forks, slow_server, tmp_path, [0.3, 0.5])
    assert len(begun) == 3 and 0 == begun[0] < begun[1] < begun[2]


@pytest.mark.long
def test_thirty_kills_of_downloads(forks, slow_server, tmp_path):
    chance = random.Random(SEED)
    for run in range(10):
        slow_server.asked.clear()
        begun = killed_download(forks, slow_server, tmp_path / str(run), [chance.uniform(0, 0.9) for _ in range(3)])
        assert begun == sorted(begun)
