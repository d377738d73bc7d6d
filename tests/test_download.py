"""Downloads from a server that answers rightly, wrongly, slowly, half or not at all, and hostile archives."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import socket
import stat
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable

import pytest

from faceinpaint.basics import download
from faceinpaint.basics.download import fetch, unpack
from faceinpaint.basics.errors import InputError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Loopback:
    """A web server on this machine; `answers` are called by path with the request's handler."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []  # path and Range of each request
        self.closing = threading.Event()  # lets slow answers end
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                loopback.asked.append((self.path, self.headers["Range"]))
                try:
                    loopback.answers.get(self.path, status(404))(self)
                except ConnectionError:
                    pass  # the client had enough

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def gives(self, path: str, answer: bytes | Callable) -> str:
        """Answer so from now on; returns the address."""
        self.answers[path] = answer if callable(answer) else whole(answer)
        return self.url(path)

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    loopback = Loopback()
    yield loopback
    loopback.close()


def send(handler: BaseHTTPRequestHandler, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def status(code: int) -> Callable:
    return lambda handler: send(handler, code, b"")


def whole(content: bytes, ranges: bool = True, first: int | None = None) -> Callable:
    """Answers with the content, or the asked-for rest of it; of the `first` answer only so many bytes arrive."""
    cuts = [] if first is None else [first]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begin = 0
        if ranges and handler.headers["Range"]:
            begin = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if begin >= len(content) > 0:
            send(handler, 416, b"", Content_Range=f"bytes */{len(content)}")
            return
        rest = content[begin:]
        sent = rest[: cuts.pop()] if cuts else rest
        if begin:
            send(handler, 206, sent, len(rest), Content_Range=f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            send(handler, 200, sent, len(rest))
    return answer


def refused(function, *arguments, **options) -> str:
    """The one sentence with which something is refused."""
    with pytest.raises(InputError) as error:
        function(*arguments, **options)
    sentence = str(error.value)
    assert ". " not in sentence and "\n" not in sentence
    return sentence


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ------------------------------------------------------------------------------------ it arrives


def test_file_arrives_whole_and_is_not_asked_for_again(server, tmp_path):
    url, target = server.gives("/a", CONTENT), tmp_path / "deep" / "a.zip"
    for _ in range(2):
        assert fetch([url], target, len(CONTENT), SHA256) == target
        assert target.read_bytes() == CONTENT and names(target.parent) == {"a.zip"}
    assert len(server.asked) == 1


def test_md5_is_checked_like_sha256(server, tmp_path):
    url = server.gives("/a", CONTENT)
    fetch([url], tmp_path / "a", md5=hashlib.md5(CONTENT).hexdigest().upper())
    assert "md5 differs" in refused(fetch, [url], tmp_path / "b", md5=hashlib.md5(b"other").hexdigest())


def test_a_target_that_is_another_file_is_fetched_anew(server, tmp_path):
    (tmp_path / "a").write_bytes(b"other")
    fetch([server.gives("/a", CONTENT)], tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [0, 1])
def test_tiny_files(server, tmp_path, size):
    fetch([server.gives("/a", bytes(size))], tmp_path / "a", size)
    assert (tmp_path / "a").stat().st_size == size


def test_sources_are_tried_in_turn(server, tmp_path):
    nobody = f"http://127.0.0.1:{unused_port()}/a"
    wrong = server.gives("/wrong", CONTENT[::-1])
    fetch([nobody, server.url("/none"), wrong, server.gives("/right", CONTENT)], tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/none", "/wrong", "/right"]
    assert names(tmp_path) == {"a"}


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ------------------------------------------------------------------------------------- in pieces


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_cut_connection_goes_on(server, tmp_path, ranges, size):
    url = server.gives("/a", whole(CONTENT, ranges, first=300_000))
    fetch([url], tmp_path / "a", size, SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT
    kept = 300_000 // download.PIECE * download.PIECE
    assert server.asked == [("/a", None), ("/a", f"bytes={kept}-")]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_later_run_goes_on_where_an_earlier_one_stopped(server, tmp_path, ranges):
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    fetch([server.gives("/a", whole(CONTENT, ranges))], tmp_path / "a", len(CONTENT), SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("/a", "bytes=1000-")]


def test_all_of_it_was_there_but_its_name(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT)
    fetch([server.gives("/a", CONTENT)], tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("piece", [b"of another file", b"longer" * len(CONTENT)], ids=["short", "long"])
def test_a_piece_of_another_file_is_thrown_away(server, tmp_path, piece):
    (tmp_path / "a.part").write_bytes(piece)
    fetch([server.gives("/a", CONTENT)], tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked[-1] == ("/a", None)


def test_a_piece_longer_than_the_file_is_thrown_away_without_a_hash(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    fetch([server.gives("/a", CONTENT)], tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_cut_connection_of_a_server_that_announces_no_length(server, tmp_path):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["Range"]:
            whole(CONTENT)(handler)
        else:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(CONTENT[: 2 * download.PIECE])
    fetch([server.gives("/a", answer)], tmp_path / "a", len(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked[-1] == ("/a", f"bytes={2 * download.PIECE}-")


def test_another_range_than_was_asked_for_is_not_appended(server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["Range"]:
            send(handler, 206, CONTENT[500:], Content_Range=f"bytes 500-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            send(handler, 200, CONTENT)
    fetch([server.gives("/a", answer)], tmp_path / "a")  # without a size or hash to find out by
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_always_cut_is_given_up_and_kept_for_later(server, tmp_path):
    kept = 2 * download.PIECE
    url = server.gives("/a", lambda handler: send(handler, 200, CONTENT[:kept], len(CONTENT)))
    assert "cut the connection" in refused(fetch, [url], tmp_path / "a", len(CONTENT))
    assert len(server.asked) == download.ATTEMPTS
    assert (tmp_path / "a.part").read_bytes() == CONTENT[:kept]


# ------------------------------------------------------------------------------------- it doesn't


@pytest.mark.parametrize("code, attempts", [(404, 1), (403, 1), (202, 1), (500, 3), (503, 3), (429, 3)])
def test_status(server, tmp_path, code, attempts):
    url = server.gives("/a", status(code))
    assert f"answers with status {code}" in refused(fetch, [url], tmp_path / "a")
    assert len(server.asked) == attempts
    assert names(tmp_path) == set()


def test_a_server_that_recovers(server, tmp_path):
    answers = [status(503), whole(CONTENT)]
    fetch([server.gives("/a", lambda handler: answers.pop(0)(handler))], tmp_path / "a", sha256=SHA256)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_wrong_hash(server, tmp_path):
    url = server.gives("/a", CONTENT[::-1])
    sentence = refused(fetch, [url], tmp_path / "a", len(CONTENT), SHA256)
    assert "sha256 differs" in sentence and str(tmp_path / "a") in sentence
    assert names(tmp_path) == set() and len(server.asked) == 1


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""])
def test_wrong_size_is_noticed_before_it_is_loaded(server, tmp_path, content):
    url = server.gives("/a", content)
    sentence = refused(fetch, [url], tmp_path / "a", len(CONTENT))
    assert f"{len(content)} bytes instead of {len(CONTENT)}" in sentence
    assert names(tmp_path) == set()


def test_more_than_was_announced(server, tmp_path):
    def answer(handler: BaseHTTPRequestHandler) -> None:  # no Content-Length at all
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT * 3)
    assert "more than the 1048576 bytes" in refused(fetch, [server.gives("/a", answer)], tmp_path / "a", len(CONTENT))


def test_a_web_page_in_place_of_the_file(server, tmp_path):
    url = server.gives("/a", lambda handler: send(handler, 200, b"<html>", Content_Type="text/html; charset=utf-8"))
    assert "web page" in refused(fetch, [url], tmp_path / "a")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("sent", [None, b"some"], ids=["nothing", "half"])
def test_slow_server(server, tmp_path, monkeypatch, sent):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if sent:
            send(handler, 200, sent, 1000)
            handler.wfile.flush()
        server.closing.wait(10)
    url = server.gives("/a", answer)
    assert "does not answer within 0.1 seconds" in refused(fetch, [url], tmp_path / "a")


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    sentence = refused(fetch, [f"http://127.0.0.1:{unused_port()}/a"], tmp_path / "a")
    assert "can't be reached" in sentence and str(tmp_path / "a") in sentence
    assert "can't be used (InvalidSchema)" in refused(fetch, ["file:///etc/passwd"], tmp_path / "a")


def full_disk(monkeypatch, after: int) -> None:
    """Writing in `download` fails after so many bytes."""
    class Full(io.FileIO):
        left = after

        def write(self, content) -> int:
            self.left -= len(content)
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    def open_full(path, mode="r", *rest):
        return open(path, mode, *rest) if "r" in mode else Full(path, mode)

    monkeypatch.setattr(download, "open", open_full, raising=False)


def test_disk_full(server, tmp_path, monkeypatch):
    url = server.gives("/a", CONTENT * 3)
    with monkeypatch.context() as patch:
        full_disk(patch, after=2 * len(CONTENT))
        sentence = refused(fetch, [url, url], tmp_path / "a")
    assert "No space left on device" in sentence and "make room" in sentence and len(server.asked) == 1
    fetch([url], tmp_path / "a")  # there is room again: it goes on
    assert (tmp_path / "a").read_bytes() == CONTENT * 3 and server.asked[-1][1] is not None


def test_too_little_room_is_said_before_it_is_filled(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: download.shutil._ntuple_diskusage(10, 9, 1))
    assert "make room" in refused(fetch, [server.gives("/a", CONTENT)], tmp_path / "a")
    assert names(tmp_path) == set()


def test_no_folder_can_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    assert "can't be written" in refused(fetch, [server.gives("/a", CONTENT)], tmp_path / "file" / "a")


# -------------------------------------------------------------------------------------- archives


def zipped(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w:gz", **fields) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return path


GOOD = {"set/a.txt": b"a" * 1000, "set/deep/b.bin": CONTENT, "empty": b""}


@pytest.mark.parametrize("archive", ["zip", "w", "w:gz", "w:bz2"])
def test_archive_is_unpacked(tmp_path, archive):
    path = tmp_path / "archive"  # its kind is told from the content
    zipped(path, GOOD) if archive == "zip" else tarred(path, GOOD, archive)
    folder = unpack(path, tmp_path / "out")
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert files == GOOD
    assert not any(p.stat().st_mode & stat.S_IXUSR for p in folder.rglob("*") if p.is_file())
    assert names(tmp_path) == {"archive", "out"}


def test_only_what_is_wanted(tmp_path):
    folder = unpack(zipped(tmp_path / "a.zip", GOOD), tmp_path / "out", wanted=lambda name: name.endswith(".txt"))
    assert names(folder) == {"set"} and names(folder / "set") == {"a.txt"}
    assert "nothing that is wanted" in refused(unpack, tmp_path / "a.zip", tmp_path / "b", wanted=lambda name: False)


def test_what_is_unpacked_stays(tmp_path):
    unpack(zipped(tmp_path / "a.zip", GOOD), tmp_path / "out")
    (tmp_path / "a.zip").unlink()
    assert unpack(tmp_path / "a.zip", tmp_path / "out") == tmp_path / "out"


def test_what_a_killed_run_left_is_no_part_of_it(tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "half").write_text("half")
    unpack(zipped(tmp_path / "a.zip", {"a": b"1"}), tmp_path / "out")
    assert names(tmp_path) == {"a.zip", "out"} and names(tmp_path / "out") == {"a"}


BAD_NAMES = ["../out", "a/../../out", "/etc/out", "..\\out", "C:\\out", "\\\\host\\out", "a\\..\\..\\out"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_names_that_lead_outside(tmp_path, name, make):
    archive = make(tmp_path / "archive", {"good": b"good", name: b"evil"})
    assert "outside its folder" in refused(unpack, archive, tmp_path / "folder" / "out")
    assert names(tmp_path) <= {"archive", "folder"} and not any(tmp_path.glob("folder/*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar(tmp_path, kind):
    archive = tarred(tmp_path / "archive", {"good": b""}, type=kind, linkname="/etc/passwd")
    assert "link or a device" in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip(tmp_path, kind):
    archive = zipped(tmp_path / "archive", {"link": b"/etc/passwd"}, kind | 0o777)
    assert "link or a device" in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("make", [zipped, tarred])
def test_bombs(tmp_path, monkeypatch, make):
    archive = make(tmp_path / "archive", {"one": bytes(600_000), "two": bytes(600_000)})
    assert archive.stat().st_size < 10_000
    for folder, largest, most in (("enough", 1_200_000, 2), ("too large", 1_199_999, 2), ("too many", 1_200_000, 1)):
        monkeypatch.setattr(download, "LARGEST", largest)
        monkeypatch.setattr(download, "MOST", most)
        if folder == "enough":
            unpack(archive, tmp_path / folder)
        else:
            assert "more than" in refused(unpack, archive, tmp_path / folder)
    assert names(tmp_path) == {"archive", "enough"}


def test_a_small_archive_does_not_become_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "GROUND", 100_000)
    for make in (zipped, tarred):
        archive = make(tmp_path / "archive", {"zeros": bytes(10_000_000)})
        assert "unpacks to more than" in refused(unpack, archive, tmp_path / "out")
        noise = make(tmp_path / "noise", {"noise": random.Random(0).randbytes(1_000_000)})
        unpack(noise, tmp_path / make.__name__)
    assert names(tmp_path) == {"archive", "noise", "zipped", "tarred"}


def test_what_may_take_any_amount_of_memory_to_read(tmp_path):
    """LZMA's reader takes as much as a file demands, up to 4 GB."""
    archive = tarred(tmp_path / "archive", {"a": b"1"}, "w:xz")
    assert "no zip, tar" in refused(unpack, archive, tmp_path / "out")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a", b"1")
    assert "any amount of memory" in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_many_megabytes_is_not_read(tmp_path, kind):
    archive = tarred(tmp_path / "archive", {"a": bytes(2 << 20)}, type=kind)
    assert "no zip, tar" in refused(unpack, archive, tmp_path / "out")
    with tarfile.open(archive, "w:gz") as tar:
        for name, content, its_kind in (("a", b"first", tarfile.REGTYPE), ("b", bytes(2 << 20), kind)):
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), its_kind
            tar.addfile(info, io.BytesIO(content))
    assert "a header of 2,097,152 bytes" in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("name", ["x" * 256, "d/" * 2000 + "f", "ß" * 200])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_names_that_no_disk_takes(tmp_path, make, name):
    assert "too long a name" in refused(unpack, make(tmp_path / "archive", {name: b""}), tmp_path / "out")
    assert names(tmp_path) == {"archive"}


def test_a_zip_that_understates_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 1000)
    archive = zipped(tmp_path / "archive", {"bomb": bytes(600_000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((600_000).to_bytes(4, "little"), (600).to_bytes(4, "little")))
    assert "damaged" in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("twin", ["./a", ".//a", "b/../a"])
def test_one_name_twice(tmp_path, make, twin):
    archive = make(tmp_path / "archive", {"a": b"1", twin: b"2"})
    assert ("outside" if ".." in twin else "comes twice") in refused(unpack, archive, tmp_path / "out")
    assert names(tmp_path) == {"archive"}


def test_a_file_where_a_folder_is(tmp_path):
    refused(unpack, tarred(tmp_path / "archive", {"a": b"1", "a/b": b"2"}), tmp_path / "out")
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("make", [zipped, tarred])
def test_damaged_archives(tmp_path, make):
    content = make(tmp_path / "whole", GOOD).read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1:]
    for damaged in (content[:middle], flipped):
        (tmp_path / "archive").write_bytes(damaged)
        sentence = refused(unpack, tmp_path / "archive", tmp_path / "out")
        assert str(tmp_path / "archive") in sentence and "delete it" in sentence
        assert names(tmp_path) == {"whole", "archive"}


def test_neither_zip_nor_tar(tmp_path):
    for content in (b"", b"<html>", bytes(5000)):
        (tmp_path / "archive").write_bytes(content)
        refused(unpack, tmp_path / "archive", tmp_path / "out")
        assert names(tmp_path) == {"archive"}


def test_locked_zip(tmp_path):
    archive = zipped(tmp_path / "archive", {"a": b"secret"})
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1  # says that it is encrypted
    archive.write_bytes(content)
    assert "damaged" in refused(unpack, archive, tmp_path / "out")


@pytest.mark.parametrize("after", [100, 900_000])
def test_disk_full_while_unpacking(tmp_path, monkeypatch, after):
    archive = zipped(tmp_path / "archive", GOOD)
    full_disk(monkeypatch, after)
    sentence = refused(unpack, archive, tmp_path / "out")
    assert "No space left on device" in sentence and "make room" in sentence
    assert names(tmp_path) == {"archive"}


def test_ctrl_c_leaves_nothing(tmp_path):
    def interrupt(name: str) -> bool:
        if name == "empty":
            raise KeyboardInterrupt
        return True
    with pytest.raises(KeyboardInterrupt):
        unpack(zipped(tmp_path / "archive", GOOD), tmp_path / "out", wanted=interrupt)
    assert names(tmp_path) == {"archive"}
