"""Broken files of all other kinds: rows of metadata, settings, recipes, archives, shards, lists."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest import mock

from conftest import canonical_face
from fuzzing import DEEP, NASTY, Case, command, damaged, member
from fuzzing_pictures import bombs, pictures, portrait
from fuzzing_weights import disguise

from faceinpaint import masks
from faceinpaint.basics.download import unpack
from faceinpaint.evaluation.run import read_metrics
from faceinpaint.evaluation.selection import limits, within
from faceinpaint.faces.photos import METADATA, FaceFolder
from faceinpaint.faces.shards import ShardedFaces, write_shards
from faceinpaint.faces.sources.celeba import read_mapping
from faceinpaint.faces.sources.london import read_template
from faceinpaint.faces.sources.writer import Entry, write_faces
from faceinpaint.recognisers import load_recogniser
from faceinpaint.training import presets, release
from faceinpaint.training.sources import FaceSpec

# ------------------------------------------------------------------------------------------- metadata

def row(rng: random.Random) -> dict:
    """A row of metadata that is right."""
    return {
        "file_name": "images/a.png", "identity": rng.choice(("ann", "bob")),
        "landmarks": canonical_face(64)[0].tolist(),
        "split": "train", "source": "test", "licence": "CC0", "yaw": 12.5,
        "points": [[21, 28], [42, 28], [32, 39], [26, 48], [38, 48]],
    }


def wrong_points(rng: random.Random, count: int) -> object:
    """Points that are none: of another number or shape, too far off, all one, of another type."""
    right = canonical_face(64)[0].tolist()[:count]
    scale, shift = rng.choice((0, 1e-9, 1e-3, -1, 30, 1e3, 1e5, 1e9, 1e200)), rng.choice((0, -1e3, 1e4, 1e12, 1e300))
    bad = rng.choice((float("nan"), float("inf"), 1e308, "1", None, [1], 10**400, True))
    at = rng.randrange(count)
    return rng.choice((
        [[x * scale + shift, y * scale] for x, y in right],
        [[5, 5]] * count, [[0, 0]] * count, right[:-1], right + right, [[x, y, 0] for x, y in right],
        [x for x, _ in right], right[:at] + [[bad, 1]] + right[at + 1 :], right[:at] + [bad] + right[at + 1 :], bad,
        right[::-1],
        [[y, x] for x, y in right], {"x": right}, [right] * 100, [[float(bad is True)] * 2] * count,
    ))


def metadata(rng: random.Random) -> tuple[bytes, str]:
    """The content of a metadata file with something wrong in one of its rows, and what."""
    rows = [row(rng) for _ in range(3)]
    lines = [json.dumps(one) for one in rows]
    key = rng.choice(list(rows[0]))
    how = rng.choice(("value",) * 3 + ("points",) * 4 + ("key", "text", "bytes", "deep", "long", "file"))
    if how == "value":
        rows[1][key] = rng.choice(NASTY)
        lines[1] = json.dumps(rows[1])
    elif how == "points":
        key, count = rng.choice((("landmarks", 68), ("points", 5)))
        rows[1] |= {"landmarks": None} if key == "points" else {}
        rows[1][key] = wrong_points(rng, count)
        lines[1] = json.dumps(rows[1])
    elif how == "key":
        rows[1][rng.choice(NASTY[10:25])] = rows[1].pop(key)
        lines[1] = json.dumps(rows[1])
    elif how == "text":
        lines[1] = rng.choice((
            "[]", "1", "null", "{", '{"a": }', "NaN", "[" * 99, lines[1] * 2, lines[1] + "\0", "9" * 5000,
            '"' + "x" * 99, lines[1].replace(":", "=", 1), lines[1].replace('"', "'"), lines[1][:-9], "\u2028",
            "{" + '"a":1,' * 9 + "}",
            *(lines[1].replace("12.5", number) for number in ("9" * 5000, "1e999", "-Infinity")),
        ))
    elif how == "deep":
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        lines[1] = lines[1].replace("12.5", opening * DEEP + "1" * (opening != "[") + closing * DEEP)
    elif how == "long":
        lines[1] = rng.choice((
            " " * 3_000_000, lines[1].replace("12.5", "[" + "1," * 1_000_000 + "1]"), "x" * 5_000_000,
            lines[1].replace('"yaw"', '"' + "k" * 1_000_000 + '"'), lines[1][:-1] + ', "k": "' + "x" * 2_000_000 + '"}',
        ))
    text = "\n".join(lines).encode(errors="surrogatepass") + b"\n"
    if how == "bytes":
        text, more = damaged(text, rng, len(text))
        how += f", {more}"
    elif how == "file":
        wide = text.decode(errors="replace").encode("utf-16")
        text = rng.choice((b"", b"\n\n", wide, b"\xff" * 99, bytes(999), gzip.compress(text, mtime=0), b"\xef"))
    return text, f"{key} by {how}"


def rows(rng: random.Random, folder: Path) -> Case:
    """A face folder with a wrong row, as whatever reads face folders."""
    faces = folder / "faces"
    (faces / "images").mkdir(parents=True)
    portrait().save(faces / "images" / "a.png")
    text, what = metadata(rng)
    (faces / METADATA).write_bytes(text)
    split = rng.choice((None, "train"))

    def each() -> None:
        found = FaceFolder(faces, split, 64, rng.choice((1.0, 1.5)))
        for index in range(len(found)):
            found[index]

    def chosen() -> None:
        found = FaceFolder(faces, "train", 64)
        assert len(within(faces, "train", [limits("yaw=0:90")])) == len(found)

    readers: dict[str, Callable[[], object]] = {
        "faces": each, "limits": chosen, "shards": partial(write_shards, faces, folder / "shards"),
    }
    name = rng.choices(list(readers), weights=[5, 1, 2])[0]
    return Case(f"{what}, as {name}", readers[name])


# ------------------------------------------------------------------------------------------- settings

WORDS = ("", " ", "=", ".", "..", "=.", "a.b=c", "completion", "completion.", ".lr=1", "completion.lr",
    "completion..lr=1", "\0",
         "completion.lr=1=2", "写真.lr=1", "\ud800", "x" * 100_000, "completion.__class__=1", "completion.lr =1", "-5",
         "[]")
VALUES = ("", "nan", "inf", "-inf", "1e400", "-1", "0", "1e-400", "9" * 5000, "9" * 18, "true", "None", "[]", "{}",
    "0x10", "1_000",
          "１２", " 5 ", "5.5", "\0", "x" * 100_000, "1;2", "cosine", "fp16", "\ud800", "½", "1e5", "--", "on",
          "99999999999999999999")


def setting(rng: random.Random, folder: Path) -> Case:
    """A wrong `--set`, a wrong share of faces, wrong limits."""
    chosen = presets.PRESETS["smoke"]
    stage = rng.choice(list(vars(chosen)))
    key = rng.choice([*vars(getattr(chosen, stage)), "stepz", ""])
    text = rng.choice((rng.choice(WORDS), f"{stage}.{key}={rng.choice(VALUES)}", f"{stage}.{key}={rng.choice(VALUES)}"))
    if rng.random() < 0.3:
        text = damaged(text.encode(errors="surrogatepass")[:1000], rng)[0].decode(errors="replace")
    readers: dict[str, Callable[[], object]] = {
        "a setting": partial(presets.preset, "smoke", [text]),
        "a preset": partial(presets.preset, rng.choice(WORDS)),
        "a share": partial(FaceSpec.parse, f"faces:{rng.choice(VALUES)}"),
        "limits": partial(limits, f"yaw={rng.choice(VALUES)}:{rng.choice(VALUES)}"),
        "limits by text": partial(limits, text),
        "a mask": partial(masks.named, rng.choice(WORDS), rng.choice((64, (64, 1), 0, -5)), canonical_face(64)),
        "a recogniser": partial(load_recogniser, rng.choice(WORDS)),
    }
    name = rng.choices(list(readers), weights=[12, 1, 2, 2, 1, 2, 2])[0]
    return Case(f"{text[:40]!r}, as {name}", readers[name])


RECIPE = """
[let]
photographs = ""
share = "0.5"

[[stage]]
name = "painter"
train = "completion"
preset = "smoke"
faces = ["{photographs}:1", "synthetic:{share}"]
landmarks = "predictor"
set = { steps = 2, milestone_faces = 0, gan = "hinge" }
about = { licence = "MIT" }
seed = 3

[[stage]]
name = "evaluation"
evaluate = ["painter"]
faces = ["{photographs}"]
"""
TOML = ("1", "-1", "1.5", "nan", "inf", "9" * 5000, "true", "''", "'x'", "[]", "[[]]", "{}", "{a=1}", "1979-05-27",
    "12:00:00", "[1, 'a']",
        "'{'", "'}'", "'{}'", "'{0}'", "'{photographs.__class__}'", "'{photographs[0]}'", "'{photographs!r}'",
        "'{photographs:>2000000000}'", "'{photographs:{photographs}}'", "'{{}}'", "'../../etc'", "'/etc'", "'\\u0000'",
        "'a/b'",
        "[" * 5000 + "]" * 5000, "'" + "x" * 100_000 + "'", "[1, 2, 3]", "{steps = [1]}", "{steps = {a = 1}}",
        "{'' = 1}", "'.'", "'..'")


def recipe(rng: random.Random, folder: Path) -> Case:
    """A wrong recipe, or a wrong record of a release."""
    text, file, out = RECIPE, folder / "recipe.toml", folder / "out"
    how = rng.choice(("value", "value", "value", "let", "line", "bytes", "text", "record"))
    lines = text.splitlines()
    if how == "value":
        at = rng.choice([number for number, line in enumerate(lines) if "=" in line])
        lines[at] = f"{lines[at].partition('=')[0]}= {rng.choice(TOML)}"
        text = "\n".join(lines)
        how = lines[at][:60]
    elif how == "let":
        text = text.replace("[let]", rng.choice(("let = 5", "let = []", "[[let]]", "[let.a]", "[let]\nx = [1]",
            "[let]\n'a.b' = ''")))
    elif how == "line":
        lines.insert(rng.randrange(len(lines)), rng.choice(("stage = 5", "[stage]", "=", "[[let]]", "x = 1",
            "[[stage]]", "'' = 1", "[a.b]")))
        text = "\n".join(lines)
    content = text.encode(errors="surrogatepass")
    if how == "bytes":
        content, how = damaged(content, rng, len(content))
    elif how == "text":
        content = rng.choice((b"", b"\xff\xfe", b"stage = 5", b"stage = [1]", b"stage = 'x'", b"let = 5\n" + STAGE,
            b"\0", b"a" * 10**6))
    elif how == "record":
        out.mkdir()
        (out / release.RECORD).write_bytes(rng.choice((
            b"", b"[]", b"5", b"null", b'"x"', b"[" * DEEP, b"9" * 5000, b'{"painter": 5}', b'{"painter": {}}',
            b'{"painter": []}',
            b'{"painter": {"told": 5}}', b'{"painter": {"finished": "x"}}', b'{"painter": {"seconds": "x"}}', b"\xff",
        )))
        run = partial(command, "release", file, "--out", out, "--let", "photographs=nowhere")
    file.write_bytes(content)
    if how != "record":
        run = partial(release.Recipe.read, file, rng.choice(({"photographs": "faces"},
            {"photographs": rng.choice(WORDS)}, {})))
    return Case(how, run, frozenset({"out/release.json"}))


STAGE = b'[[stage]]\nname = "a"\ntrain = "landmarks"\nfaces = ["b"]\n'


# ------------------------------------------------------------------------------------------- archives

MEMBERS = ("a.txt", "../a", "/a", "a/../../b", "..\\a", "C:\\a", "a\0b", "", ".", "..", "./", "/", "写真/🙂.txt",
    "x" * 256, "d/" * 2000 + "f",
           "a", "a/b", "A", "./a", "a//b", "a\\b", "\ud800", "con", " ", "a\nb", "deep/" * 60 + "f", "-", "~", "$HOME")


def zip_of(names: list[str], rng: random.Random, content: bytes = b"some text " * 50) -> bytes:
    """A zip of files with these names, kinds and compressions."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            info = member("a")
            info.filename = name.encode(errors="replace").decode() or "."
            info.compress_type = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2,
                zipfile.ZIP_LZMA))
            info.external_attr = rng.choice((0o100644, 0o100644, 0o120777, 0o010644, 0o040755, 0)) << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one name twice
                archive.writestr(info, content)
    return file.getvalue()


# Not as `tarfile` packs them: it writes down the time.
PACKED = {"": bytes, "gz": partial(gzip.compress, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}


def tar_of(names: list[str], rng: random.Random, packed: str = "", content: bytes = b"some text " * 50) -> bytes:
    """A tar of members with these names, some of them links or devices."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        for name in names:
            info = tarfile.TarInfo(name.encode(errors="replace").decode())
            rare = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, b"?")
            info.type = rng.choice((tarfile.REGTYPE,) * 6 + rare)
            info.linkname, info.size = rng.choice(("../../a", "/etc/passwd", "a", "")), len(content)
            archive.addfile(info, io.BytesIO(content))
    return PACKED[packed](file.getvalue())


def long_header(kind: bytes, size: int) -> bytes:
    """A tar whose first header announces a name, or further headers, of a size; zeros follow."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@cache
def tar_bomb(kind: bytes, megabytes: int) -> bytes:
    """A small gz of a tar of zeros: in a file, or where the reader looks for a name."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, compresslevel=1) as packed:
        packed.write(long_header(kind, megabytes << 20))
        for _ in range(megabytes):
            packed.write(bytes(1 << 20))
    return file.getvalue()


@cache
def zip_bomb(megabytes: int) -> bytes:
    """A small zip of a large file of zeros."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member("a"), bytes(megabytes << 20), zipfile.ZIP_DEFLATED, 1)
    return file.getvalue()


def overlapping(count: int) -> bytes:
    """A zip whose every member is the same compressed megabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member("a0000"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    content = file.getvalue()
    start = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    entry, last = content[start:end], bytearray(content[end:])
    entries = b"".join(entry.replace(b"a0000", b"a%04d" % number) for number in range(count))
    struct.pack_into("<HHI", last, 8, count, count, len(entries))
    return content[:start] + entries + bytes(last)


def archives(rng: random.Random) -> tuple[bytes, str]:
    """An archive that is not to be trusted, or none, and what is wrong with it."""
    names = [rng.choice(MEMBERS) for _ in range(rng.randrange(1, 4))]
    packed = rng.choice(list(PACKED))
    whole = {"zip": lambda: zip_of(["a", "b/c", "写真"], rng), "tar": lambda: tar_of(["a", "b/c", "写真"], rng, packed)}
    made: dict[str, Callable[[], bytes]] = {
        "a zip of names": lambda: zip_of(names, rng),
        "a tar of names": lambda: tar_of(names, rng, packed),
        "a tar of a long name": lambda: tar_bomb(rng.choice((b"L", b"K", b"x", b"g")), 160),
        "a tar of a large file": lambda: tar_bomb(b"0", 160),
        "a zip of a large file": lambda: zip_bomb(160),
        "a zip of one file many times": lambda: overlapping(5000),
        "a header alone": lambda: long_header(rng.choice((b"0", b"L", b"x", b"g", b"S")), rng.choice((0, 1, 2**33 - 1,
        99))),
        "a zip in a zip": lambda: zip_of(["a.zip"], rng, zip_of(["../a"], rng)),
        "no archive": lambda: disguise(rng),
        "zeros": lambda: gzip.compress(bytes(20 << 20), 1, mtime=0),
    }
    if rng.random() < 0.55:
        kind = rng.choice(list(whole))
        content, how = damaged(whole[kind](), rng, header=rng.choice((64, 512)))
        return content, f"{kind}, {how}"
    name = rng.choice(list(made))
    return made[name](), f"{name} {names if 'names' in name else ''}"[:80]


def archive(rng: random.Random, folder: Path) -> Case:
    """An archive that is not to be trusted."""
    content, what = archives(rng)
    (folder / "archive").write_bytes(content)
    wanted = rng.choice((lambda name: True, lambda name: True, lambda name: name.endswith("c")))
    return Case(what, partial(unpack, folder / "archive", folder / "out", wanted))


# ------------------------------------------------------------------------------------------- shards


def shard(rng: random.Random, folder: Path) -> Case:
    """A folder of Parquet shards with something wrong in one of them."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row(rng) | {"image": {"bytes": pictures()["PNG RGB"], "path": "a.png"}} for _ in range(4)]
    how = rng.choice(("bytes", "bytes", "bytes", "picture", "points", "column", "null", "name", "size"))
    if how == "picture":
        content, name = bombs(rng) if rng.random() < 0.5 else damaged(pictures()[rng.choice(list(pictures()))], rng)
        rows[1]["image"] = {"bytes": rng.choice((content, content, content, None)), "path": "a.png"}
        how = f"a picture, {name}"
    elif how == "points":
        right = canonical_face(64)[0].tolist()
        rows[1]["landmarks"] = rng.choice((
            right[:5], [], [[]], [[1.0]], [[float("nan")] * 2] * 68, [[1e308] * 2] * 68, [[5.0, 5.0]] * 68,
            right + right,
            [[x * 1e5, y * 1e5] for x, y in right], [[x + 1e9, y] for x, y in right], [[None, 1.0]] * 68, [None] * 68,
        ))
    elif how == "null":
        rows[1][rng.choice(("file_name", "identity", "image", "split"))] = None
    table = pa.Table.from_pylist(rows)
    if how == "column":
        key = rng.choice(table.column_names)
        wrong = rng.choice((pa.array([1] * 4), pa.array(["x"] * 4), pa.array([[1.0]] * 4), pa.array([None] * 4),
            pa.array([b"x"] * 4)))
        table = table.set_column(table.column_names.index(key), key, wrong)
        how = f"{key} as {wrong.type}"
    content = io.BytesIO()
    pq.write_table(table, content, compression=rng.choice(("snappy", "gzip", "zstd", "none")))
    text = content.getvalue()
    if how == "bytes":
        at = len(text) - rng.randrange(8, 2000)  # the footer, half of the time
        text, more = damaged(text, rng) if rng.random() < 0.5 else (damaged(text[at:], rng, len(text) - at))
        text, how = (text, more) if len(text) > 2500 else (content.getvalue()[:at] + text, f"{more} in the footer")
    shards = folder / "shards"
    shards.mkdir()
    name = rng.choice(("train-00000-of-00002.parquet", "x.parquet", "train-99999-of-00000.parquet",
        "\nx-00000-of-00001.parquet"))
    name = name if how == "name" else "train-00000-of-00001.parquet"
    (shards / name).write_bytes(b"PAR1" if how == "size" else text)
    labelled = rng.random() < 0.5

    def run() -> None:
        with mock.patch.object(datasets.config, "HF_DATASETS_CACHE", folder.parent / "cache"):
            for _ in ShardedFaces(shards, "train", 64, labelled=labelled):
                pass

    return Case(how, run)


# ------------------------------------------------------------------------------------------- small files


def text_file(rng: random.Random, folder: Path) -> Case:
    """A damaged one of the small files that the package finds again: lists, templates, settings, metrics."""
    mapping = "idx orig_idx orig_file\n" + "".join(f"{n} {n + 9} {n:06d}.jpg\n" for n in range(5))
    template = "189\n" + "1.5 2.5\n" * 189 + "0\n"
    metrics = "image,identity,mask,weights,psnr\n" + "a,ann,mask01,mirror,20.5\n" * 3
    begun = json.dumps({"file_name": "images/a.jpg"} | row(rng)) + "\n"
    kind, text = rng.choice((("mapping", mapping), ("template", template), ("metrics", metrics), ("settings", "{}"),
        ("begun", begun)))
    nasty = rng.choice((
        text + "9" * 5000 + " " + "9" * 5000 + " x\n", "[" * DEEP, "nan " * 3, "5", "[]", "null", '"x"',
        text.replace("1", "NaN"),
        text.replace("2", "1e999"), text * 2, text.replace("\n", "\r"), "\0" * 99, text[:-5], '"' + "x" * 200_000,
        "{}", '{"file_name": 5}',
    ))
    content, how = damaged(text.encode(), rng, len(text)) if rng.random() < 0.6 else (nasty.encode(), repr(nasty[:20]))
    out = folder / "out"
    out.mkdir()
    file = out / {"settings": "settings.json", "begun": "unfinished.jsonl"}.get(kind, "file")
    file.write_bytes(content)
    if kind == "begun":
        (out / "settings.json").write_text("{}")
    entries = [Entry("images/a.jpg", lambda: (b"picture", row(rng)))]
    readers: dict[str, Callable[[], object]] = {
        "mapping": partial(read_mapping, file), "template": partial(read_template, file),
        "metrics": partial(read_metrics, file),
        "settings": partial(write_faces, out, entries, {}), "begun": partial(write_faces, out, entries, {}),
    }
    kept = frozenset({"out/settings.json", "out/unfinished.jsonl"})
    return Case(f"{kind}, {how}", readers[kind], kept)
