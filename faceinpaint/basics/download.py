"""Files from the network, and archives unpacked without trusting them: each appears whole or not at all."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import os
import re
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Callable, Iterator, NamedTuple, Sequence
from urllib.parse import urlsplit

import requests
from tqdm.auto import tqdm

from faceinpaint import __version__
from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.basics.files import sole_use

ATTEMPTS = 3  # at each source; after a cut connection the next attempt goes on where the last one stopped
PAUSE = 1.0  # seconds between attempts
TIMEOUT = 30.0  # seconds without a byte
PIECE = 1 << 16  # bytes that are held in memory, and lost when a connection is cut

LARGEST = 16 << 30  # bytes that an archive may unpack to
MOST = 1_000_000  # files that an archive may hold
# By how much an archive may grow: photographs hardly do, and what grows a thousandfold was made to fill a disk.
GROWTH, GROUND = 100, 100 << 20  # times its size, and bytes in any case
HEADER = 1 << 20  # bytes that are read at once, be it for the name of a file
LONGEST_NAME, DEEPEST = 255, 40  # bytes of a name, and folders in each other
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # whose readers need little memory


class SourceError(Exception):
    """Why a source gave no file; `again` says whether another attempt may help."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


# ------------------------------------------------------------------------------------ the network


def fetch(
    sources: Sequence[str], target: Path, size: int | None = None, sha256: str | None = None, md5: str | None = None
) -> Path:
    """Download `target` from the first of some addresses that gives it; returns `target`.

    What has arrived lies in `target.part` until it is whole, and a later call goes on from there. size: bytes;
    sha256, md5: hexadecimal; each is checked where it is known, also on a target that is there already, which then
    stays as it is. Raises InputError when no source gives the file, and when there is no room or no right to write it.
    """
    if target.is_file() and fault_of(target, size, sha256, md5) is None:
        return target
    part = target.with_name(target.name + ".part")
    reasons = []
    try:
        with sole_use(target.parent, f".{target.name}.lock"):  # two that add to one piece would spoil it
            for source in sources:
                reason = _from_source(source, part, size, sha256, md5)
                if reason is None:
                    os.replace(part, target)
                    return target
                reasons.append(f"{urlsplit(source).netloc} {reason}")
    except OSError as error:
        raise InputError(
            f"{target} can't be written ({error.strerror or error}): make room, or choose another folder"
        ) from None
    raise InputError(
        f"{target.name} could not be downloaded ({', '.join(reasons)}): check the connection and try again later, "
        f"or put the file at {target} yourself"
    )


def _from_source(source: str, part: Path, size: int | None, sha256: str | None, md5: str | None) -> str | None:
    """Download `part` from one source in a few attempts: None when it is whole and right, else what is wrong."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        resumed = part.is_file()
        try:
            _receive(source, part, size)
            fault = fault_of(part, size, sha256, md5)
            if fault is None:
                return None
            part.unlink()
            # What lay there may have been a piece of another file: then the whole of this one may be right.
            raise SourceError(fault, again=resumed)
        except SourceError as error:
            reason = str(error)
            if not error.again:
                break
        except requests.RequestException as error:  # before OSError, of which it is a kind
            reason = _network_fault(error)
    return reason


def _receive(source: str, part: Path, size: int | None) -> None:
    """One request: append to `part` what is missing, or write it anew where the server can't send a rest."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"faceinpaint/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(source, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # there is nothing after what we have
            if _range_total(response) != have:
                part.unlink()
                raise SourceError("has another file than the piece that was there", again=True)
            return
        if response.status_code not in (200, 206):
            busy = response.status_code >= 500 or response.status_code in (408, 429)
            raise SourceError(f"answers with status {response.status_code}", again=busy)
        if source.startswith("https:") and not response.url.startswith("https:"):  # not every file has a known hash
            raise SourceError("leads to an address where anybody may change the file", again=False)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise SourceError("sends a web page instead of the file", again=False)
        if response.status_code == 200:  # the whole file, whether a rest was asked for or not
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise SourceError("sends another part of the file than was asked for", again=True)

        length = response.headers.get("Content-Length")
        total = have + int(length) if length else size
        if size is not None and total != size:
            raise SourceError(f"has a file of {total} bytes instead of {size}", again=False)
        if total is not None and shutil.disk_usage(part.parent).free < total - have:
            raise OSError(f"{(total - have) / 1e6:,.0f} MB more are needed")

        name = part.name.removesuffix(".part")
        bar = tqdm(total=total, initial=have, desc=name, unit="B", unit_scale=True, leave=False, disable=None)
        with bar, open(part, "ab" if have else "wb") as file:
            for piece in response.iter_content(PIECE):
                have += len(piece)
                if size is not None and have > size:
                    raise SourceError(f"sends more than the {size} bytes of the file", again=False)
                file.write(piece)
                bar.update(len(piece))
        if total is not None and have < total:
            raise SourceError(f"cut the connection after {have} of {total} bytes", again=True)


def _range_total(response: requests.Response) -> int | None:
    """The file's size as a refused range tells it: `Content-Range: bytes */1234`."""
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _network_fault(error: requests.RequestException) -> str:
    """A few words for what requests says in many."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"does not answer within {TIMEOUT:g} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "cut the connection"
    if isinstance(error, requests.ConnectionError):
        return "can't be reached"
    return f"can't be used ({type(error).__name__})"


def fault_of(file: Path, size: int | None, sha256: str | None, md5: str | None) -> str | None:
    """What is wrong with a file, in words that follow the name of its source; None when nothing is."""
    found = file.stat().st_size
    if size is not None and found != size:
        return f"has a file of {found} bytes instead of {size}"
    for algorithm, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None:
            with open(file, "rb") as content:
                if hashlib.file_digest(content, algorithm).hexdigest() != expected.lower():
                    return f"has another file than the one expected (its {algorithm} differs)"
    return None


# ------------------------------------------------------------------------------------ archives


class Member(NamedTuple):
    """A regular file in an archive."""

    name: str
    size: int  # bytes, as the archive says
    content: BinaryIO


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> Path:
    """Unpack a zip or tar archive into a new folder, which appears whole or not at all; returns the folder.

    wanted: tells by a member's name whether it is written. A folder that is there already is left as it is.
    Nothing in the archive is trusted: InputError for a member outside the folder, a link, a device, a name that
    comes twice, more than LARGEST bytes or MOST files in all, one that grows beyond measure, a damaged archive, and
    no room to write.
    """
    if folder.is_dir():
        return folder
    if not os.path.isfile(archive):
        raise InputError(f"there is no archive {archive}: run the command again")
    with sole_use(folder.parent, f".{folder.name}.lock"):
        return _unpack(archive, folder, wanted)


def _unpack(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> Path:
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    largest = min(LARGEST, GROWTH * archive.stat().st_size + GROUND)
    total = 0
    try:
        for count, member in enumerate(_members(archive, largest), start=1):
            total += member.size
            if total > largest or count > MOST:
                raise InputError(
                    f"{archive} unpacks to more than {largest / 1e9:.1f} GB or {MOST:,} files, which is no set of "
                    "photos: get the archive from its publisher"
                )
            if wanted(member.name):
                _write_member(member, beside.joinpath(*_safe_parts(member.name, archive)), archive)
        if not beside.is_dir():
            raise InputError(f"{archive} holds nothing that is wanted: get the archive from its publisher")
        os.replace(beside, folder)
    except InputError:
        raise
    except Exception as error:  # the readers of archives may raise anything
        raise InputError(f"{archive} is damaged ({reason_of(error)}): delete it and run the command again") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


class _Bounded:
    """A file being decompressed, of which no more is read at once than HEADER, and not beyond `largest`.

    tarfile would take whatever a header says as the length of a name into memory.
    """

    def __init__(self, file: BinaryIO, archive: Path, largest: int) -> None:
        self.file, self.archive, self.largest = file, archive, largest
        self.tell, self.close = file.tell, file.close

    def read(self, size: int) -> bytes:
        if size > HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self._check(self.file.tell() + size)
        return self.file.read(size)

    def seek(self, place: int) -> int:
        self._check(place)
        return self.file.seek(place)

    def _check(self, place: int) -> None:
        if place > self.largest + (GROUND >> 4):  # headers, and zeros at the end
            raise InputError(
                f"{self.archive} unpacks to more than {self.largest / 1e9:.1f} GB, which is no set of photos: "
                "get the archive from its publisher"
            )


def _opened_tar(archive: Path, largest: int) -> tarfile.TarFile | None:
    """The tar in a file, compressed or not; None where there is none.

    Not xz, whose files say how much memory, up to 4 GB, reading them takes.
    """
    for opened in (gzip.open, bz2.open, open):
        file = _Bounded(opened(archive, "rb"), archive, largest)
        with contextlib.suppress(tarfile.ReadError, zlib.error, EOFError, OSError):
            return tarfile.open(fileobj=file, mode="r:")
        file.close()
    return None


def _members(archive: Path, largest: int) -> Iterator[Member]:
    """The regular files of an archive one after another, folders left out; InputError for anything else."""
    if tar := _opened_tar(archive, largest):
        with contextlib.closing(tar.fileobj), tar:
            for info in tar:
                if info.isreg():
                    yield Member(info.name, info.size, tar.extractfile(info))
                elif not info.isdir():
                    raise _refused(archive, info.name, "is a link or a device")
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was made on Windows
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(archive, info.filename, "is a link or a device")
                if info.compress_type not in COMPRESSIONS:
                    raise _refused(archive, info.filename, "may take any amount of memory to read")
                if not info.is_dir():
                    with zipped.open(info) as content:
                        yield Member(info.filename, info.file_size, content)
    else:
        raise InputError(f"{archive} is no zip, tar, tar.gz or tar.bz2 archive: delete it and run the command again")


def _safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """A member's name as the parts of a path inside the folder; InputError where it would lead out of it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or not path.parts or ".." in path.parts or re.search(r"[:\0]", name):
        raise _refused(archive, name, "would be written outside its folder")
    if len(path.parts) > DEEPEST or max(len(part.encode(errors="replace")) for part in path.parts) > LONGEST_NAME:
        raise _refused(archive, name, "has too long a name")
    return path.parts


def _refused(archive: Path, name: str, reason: str) -> InputError:
    return InputError(f"{archive} is not to be trusted, {name!r} in it {reason}: get it from its publisher")


def _write_member(member: Member, target: Path, archive: Path) -> None:
    """Write one file, of which no more is read than the archive said."""
    left = member.size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as file:
            while piece := _read(member):
                left -= len(piece)
                if left < 0:
                    raise _refused(archive, member.name, "is larger than it says")
                file.write(piece)
    except FileExistsError:
        raise _refused(archive, member.name, "comes twice") from None
    except OSError as error:
        reason = f"{target} can't be written ({error.strerror})"
        raise InputError(f"{reason}: make room, or choose another folder") from None


def _read(member: Member) -> bytes:
    """The next piece of a member; a fault in reading is told apart from one in writing."""
    try:
        return member.content.read(PIECE)
    except OSError as error:
        raise EOFError(str(error)) from None
