"""Full disks, disks that may not be written, clocks that jump, no network, no home, two runs in one folder, odd names.

Each ends in one sentence that says what to do and a status that is not 0, and leaves no half of a file.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys

import forks as forks_module
import pytest
from forks import ROOT, may
from jobs import Kind, contents, files, first_sign
from test_download import server  # noqa: F401, the fixture is used by its name

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import LOCK, sole_use, write_whole
from faceinpaint.cli.commands import complete
from faceinpaint.course.run import run_course
from faceinpaint.evaluation import evaluate
from faceinpaint.faces.shards import write_shards
from faceinpaint.faces.sources.irregular_masks import irregular_masks
from faceinpaint.faces.sources.writer import write_faces
from faceinpaint.training import train_completion, train_landmarks, train_recogniser
from faceinpaint.training.release import release


def sentence(job) -> str:
    """The one sentence of a job that failed as it should; progress bars are no part of it."""
    assert job.status == 2, job.said
    assert "Traceback" not in job.said
    (said,) = [line for line in job.said.replace("\r", "\n").splitlines() if line.startswith("faceinpaint: ")]
    assert job.said.rstrip().endswith(said) and ": " in said.removeprefix("faceinpaint: ")
    return said


def halves(out) -> list[str]:
    return [file.name for file in files(out) if file.suffix == ".part" or file.name == LOCK] if out.exists() else []


# ------------------------------------------------------------------------------------------- full disks


@pytest.mark.parametrize("name, most", [
    ("landmarks", 150), ("landmarks", 50_000), ("synthetic", 500),
    pytest.param("landmarks", 0, marks=pytest.mark.long), pytest.param("evaluation", 2_000, marks=pytest.mark.long),
])
def test_no_room_is_one_sentence_and_with_room_it_goes_on(forks, kinds, tmp_path, whole, name, most):
    out = tmp_path / "out"
    job = kinds[name].start(forks, out, file_size=most)
    job.wait()
    assert "can't be written (File too large): choose another --out or make room" in sentence(job)
    assert halves(out) == []
    job = kinds[name].start(forks, out)
    assert job.wait() == 0, job.said
    assert contents(out) == whole(name)[0]


def test_no_room_for_a_download(forks, server, tmp_path):
    content = bytes(500_000)
    published = {"url": server.gives("/small.pth", content), "size": len(content), "folder": str(tmp_path / "hub"),
                 "sha256": hashlib.sha256(content).hexdigest()}
    job = forks.run("fetch", "small", publish=published, file_size=200_000)
    assert "File too large" in sentence(job) and "make room" in sentence(job)
    assert forks.run("fetch", "small", publish=published).status == 0
    assert [file.name for file in files(tmp_path)] == ["small.pth"]


@pytest.mark.parametrize("name", ["landmarks", pytest.param("synthetic", marks=pytest.mark.long)])
@pytest.mark.parametrize("before, reason", [
    ({"disk": {"size": "24k"}}, "No space left on device"), ({"read_only": {}}, "Read-only file system"),
], ids=["full", "read-only"])
def test_a_disk_that_is_full_or_may_not_be_written(forks, kinds, tmp_path, name, before, reason):
    (what, options), = before.items()
    if not may(getattr(forks_module, what), str(tmp_path), *options.values()):
        pytest.skip("this user may not mount a disk")
    job = kinds[name].start(forks, tmp_path / "out", **{what: options | {"place": str(tmp_path)}})
    job.wait()
    assert f"can't be written ({reason})" in sentence(job)


# --------------------------------------------------------------------------------- clocks, networks, homes


def test_a_clock_that_jumps_changes_nothing(forks, kinds, tmp_path, whole):
    job = kinds["landmarks"].start(forks, tmp_path / "out", restless_clock=3)
    assert job.wait() == 0, job.said
    assert contents(tmp_path / "out") == whole("landmarks")[0]


@pytest.mark.long
def test_the_newest_checkpoint_is_known_by_its_step_and_not_by_its_time(forks, kinds, tmp_path, whole):
    out = tmp_path / "out"
    job = kinds["landmarks"].start(forks, out, kill_in_write=8)
    assert job.wait() == -signal.SIGKILL and len(list(out.glob("checkpoints/*.pt"))) >= 2
    for age, file in enumerate(sorted(out.glob("checkpoints/*.pt"))):
        os.utime(file, (1e9 - 1000 * age, 1e9 - 1000 * age))  # the newest seems to be the oldest
    assert kinds["landmarks"].start(forks, out).wait() == 0
    assert contents(out) == whole("landmarks")[0]


def test_without_a_network_only_downloads_fail(forks, kinds, tmp_path, whole):
    if not may(forks_module.no_network):
        pytest.skip("this user may not leave the network")
    job = kinds["landmarks"].start(forks, tmp_path / "out", no_network=True)
    assert job.wait() == 0, job.said
    assert contents(tmp_path / "out") == whole("landmarks")[0]
    published = {"url": "http://127.0.0.1:9/small.pth", "size": 1, "sha256": "0", "folder": str(tmp_path / "hub")}
    job = forks.run("fetch", "small", publish=published, no_network=True)
    assert "can't be reached" in sentence(job) and "check the connection" in sentence(job)


@pytest.mark.parametrize("home", [None, "/dev/null/nobody"], ids=["unset", "nowhere"])
@pytest.mark.long
def test_without_a_home(tmp_path, astronaut, home):
    """A process of its own: what it imports looks for the home, too."""
    astronaut.crop((110, 0, 350, 240)).save(tmp_path / "photo.png")
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "TORCH_HOME")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({} if home is None else {"HOME": home})
    words = ["complete", tmp_path / "photo.png", "--mask", "mask01", "--size", "64", "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "faceinpaint", *map(str, words)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "photo.png").is_file()


# ------------------------------------------------------------------------------------ two runs in one folder


def test_the_second_run_is_refused_and_may_begin_once_the_first_is_dead(forks, kinds, tmp_path, whole):
    out, kind = tmp_path / "out", kinds["landmarks"]
    # Of its two processes, one that prepares batches outlives the other for a moment.
    slow = Kind([*kind.words, "landmarks.workers=1", "landmarks.steps=5000"], kind.before)
    first = slow.start(forks, out)
    first_sign(first, out)
    second = kind.start(forks, out)
    second.wait()
    assert "another run is at work in" in sentence(second) and "wait for its end, or choose another" in sentence(second)
    assert first.kill() == -signal.SIGKILL
    third = kind.start(forks, out)
    assert third.wait() == 0 or "already holds a run" in sentence(third)


@pytest.mark.parametrize("work, arguments", [
    (complete, ("photos", "mask01")), (evaluate, ("faces",)), (release, (None,)), (write_faces, ([], {})),
    (irregular_masks, ("downloads",)), (run_course, ()), (train_landmarks, ([], None)),
    (train_recogniser, ([], None, None)), (train_completion, ([], None, None, None)),
], ids=lambda value: getattr(value, "__name__", ""))
def test_whatever_writes_a_folder_has_it_to_itself(tmp_path, work, arguments):
    given = dict(zip([name for name in work.__wrapped__.__annotations__ if name != "out"], arguments))
    with sole_use(tmp_path), pytest.raises(InputError, match="another run is at work"):
        work(**given, out=tmp_path)


def test_shards_are_written_by_one_run_at_a_time(tmp_path, people):
    with sole_use(tmp_path, ".shards.lock"), pytest.raises(InputError, match="another run is at work"):
        write_shards(people, tmp_path / "shards")


def test_the_lock_leaves_nothing_behind(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / LOCK).touch()  # of a run that was killed
    for folder in (tmp_path / "used", tmp_path / "new" / "deep"):
        with sole_use(folder):
            assert (folder / LOCK).is_file()
    assert list(tmp_path.iterdir()) == [tmp_path / "used"] and not list((tmp_path / "used").iterdir())


def test_of_several_processes_the_first_one_holds_the_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with sole_use(tmp_path), pytest.raises(InputError, match="no face folder|is empty"):
        write_faces(tmp_path, [], {})


# ------------------------------------------------------------------------------------------------- names


ODD = "Gesichter 顔 العربية 😀 'a\"b"


@pytest.mark.parametrize("name", [pytest.param("landmarks", marks=pytest.mark.long), "synthetic"])
def test_odd_and_long_paths(forks, kinds, tmp_path, whole, name):
    out = tmp_path / ODD / ("n" * 250) / ("m" * 250) / "out"
    job = kinds[name].start(forks, out)
    assert job.wait() == 0, job.said
    assert contents(out) == whole(name)[0]


@pytest.mark.parametrize("name", ["n" * 255, "顔" * 85])
def test_a_file_may_have_as_long_a_name_as_there_can_be(tmp_path, name):
    write_whole(tmp_path / name, b"whole")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_said(forks, tmp_path):
    with pytest.raises(InputError, match="File name too long.*shorten its name"):
        write_whole(tmp_path / ("n" * 256), b"whole")
    job = forks.run("data", "synthetic", "--out", tmp_path / ("n" * 256))
    assert "File name too long" in sentence(job)
