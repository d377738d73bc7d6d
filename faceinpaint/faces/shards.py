"""Faces in Parquet shards: a face folder packed into a few large files, and streamed from them.

A folder of a million small images is slow to copy and to read; shards are read from end to end. They follow the
convention of `datasets` (train-00000-of-00012.parquet), hold every key of the rows of metadata and, under
`image`, the bytes of the picture.
"""

from __future__ import annotations

import glob
import io
import itertools
import math
import random
import re
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Generator, Iterable, Iterator, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from tqdm.auto import tqdm

from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.basics.files import parse_json, sole_use
from faceinpaint.faces import align, detection
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import KEYS, METADATA, FaceFolder, read_photo, to_tensor

if TYPE_CHECKING:
    import datasets

ROWS_AT_ONCE = 100  # of a shard that are in memory together
LARGEST = 2 << 30  # bytes of these rows, unpacked
BUFFER = 512  # rows, as they were stored, among which a stream draws
THREADS = 4  # that decode pictures

_NAME = re.compile(r"(?P<split>.+)-\d{5}-of-(?P<count>\d{5})\.parquet")
T = TypeVar("T")
U = TypeVar("U")


def is_sharded(folder: str | Path) -> bool:
    """Whether a folder holds shards instead of images."""
    return any(Path(folder).glob("*.parquet"))


# ------------------------------------------------------------------------------------ writing


def write_shards(folder: str | Path, out: str | Path, images_per_shard: int = 1000) -> list[Path]:
    """Pack a face folder into `out`, SPLIT-NUMBER-of-COUNT.parquet of about equal size; returns the files.

    Pictures keep their bytes, but for kinds that few programs show right (turned by EXIF, transparent, 16 bits),
    which become PNG. The rows of a split are dealt to its shards at random, always alike, so that each shard is a
    fair sample. Faces with neither landmarks nor five `points` are searched once, here, and get MTCNN's. `out`
    appears whole or not at all. Raises InputError for a folder, picture or face that `FaceFolder` would refuse, and
    where `out` exists.
    """
    folder, out = Path(folder), Path(out)
    if images_per_shard < 1:
        raise InputError(f"shards of {images_per_shard} images hold nothing: give 1 or more.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already: choose another --out, or remove it.")
    FaceFolder(folder)  # raises InputError for rows that are wrong and for missing images
    with sole_use(out.parent, f".{out.name}.lock"):
        _write_shards(folder, out, images_per_shard)
    return sorted(out.glob("*.parquet"))


def _write_shards(folder: Path, out: Path, images_per_shard: int) -> None:
    import datasets  # late: it takes a second, and few have shards

    rows = _read_rows(folder)
    features = _features(rows, folder)
    beside = out.with_name(out.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    datasets.disable_progress_bars()  # one for each shard; ours counts photos
    try:
        beside.mkdir(parents=True)
        with tqdm(total=len(rows), desc="packing faces", unit="photo") as bar:
            for split in sorted({row["split"] for row in rows}):
                chosen = [row for row in rows if row["split"] == split]
                _write_split(chosen, beside / split, folder, features, images_per_shard, bar)
        beside.replace(out)
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}): choose another --out or make room.") from None
    finally:
        datasets.enable_progress_bars()
        shutil.rmtree(beside, ignore_errors=True)


def _read_rows(folder: Path) -> list[dict]:
    with open(folder / METADATA, encoding="utf-8-sig", errors="replace") as lines:
        rows = [parse_json(line) for line in lines if line.strip()]
    for row in rows:
        if not re.fullmatch(r"\w+", row["split"]):
            raise InputError(f"the split {row['split']!r} of {folder} can't name a file: use letters and digits.")
    return rows


def _features(rows: list[dict], folder: Path) -> datasets.Features:
    """The types of the columns: those of KEYS are known, those of further keys are found from all rows."""
    import datasets

    text, pairs = datasets.Value("string"), datasets.List(datasets.List(datasets.Value("float64")))
    features = {key: text for key in KEYS} | {"landmarks": pairs, "points": pairs, "image": datasets.Image()}
    for key in sorted({key for row in rows for key in row} - set(features)):
        try:
            column = pa.table({key: [row.get(key) for row in rows]})
        except pa.ArrowException as error:
            raise InputError(f"{key!r} has values of several kinds in {folder / METADATA}: write all alike.") from error
        features |= datasets.Features.from_arrow_schema(column.schema)
    return datasets.Features(features)


def _write_split(
    rows: list[dict], stem: Path, folder: Path, features: datasets.Features, images_per_shard: int, bar: tqdm
) -> None:
    """The shards of one split; in memory is one of them at a time."""
    import datasets

    order = np.random.default_rng(0).permutation(len(rows))
    count = math.ceil(len(rows) / images_per_shard)
    for number, indices in enumerate(np.array_split(order, count)):
        packed = []
        for index in indices:
            packed.append(dict.fromkeys(features) | _packed(rows[index], folder))
            bar.update()
        shard = datasets.Dataset.from_list(packed, features=features)
        shard.to_parquet(f"{stem}-{number:05d}-of-{count:05d}.parquet", batch_size=ROWS_AT_ONCE)


def _packed(row: dict, folder: Path) -> dict:
    """A row with its picture, checked now rather than after an hour of training."""
    path = folder / row["file_name"]
    photo = read_photo(path)
    if row["landmarks"] is None and row.get("points") is None:
        found = detection.detect(photo)
        if not found:
            raise InputError(
                f"{path} has no landmarks, and no face is found in it: write its landmarks into {METADATA} "
                "or remove its row."
            )
        row = row | {"points": found[0].points.tolist()}
    try:
        _crop(row, photo)
    except InputError as error:
        raise InputError(
            f"{path} has landmarks that outline no face: give them in the order of iBUG 300-W, in pixels."
        ) from error
    return row | {"image": {"bytes": _stored(path, photo), "path": row["file_name"]}}


def _crop(row: dict, photo: Image.Image, margin: float = 1.0) -> align.Crop:
    """The crop around the landmarks of a row, or its five points; InputError where the photo has no face there."""
    if row["landmarks"] is not None:
        crop = align.crop_from_landmarks(torch.tensor(row["landmarks"], dtype=torch.float64), margin)
    else:
        crop = align.crop_from_points(torch.tensor(row["points"], dtype=torch.float64), margin)
    align.require_near(crop, (photo.height, photo.width))
    return crop


def _stored(path: Path, photo: Image.Image) -> bytes:
    """The bytes of an image file, or of a PNG where a plain decoder would show something else than `photo`."""
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112, 1) != 1  # the tag of the orientation
        if image.mode in ("L", "RGB") and not turned and not image.has_transparency_data:
            return path.read_bytes()
    content = io.BytesIO()
    photo.save(content, format="png")
    return content.getvalue()


# ---------------------------------------------------------------------------------- streaming


class ShardedFaces:
    """Faces streamed from a folder of shards; the same `Faces` of one as `FaceFolder` gives, in random order.

    split, size, margin: as for `FaceFolder`, `identities` as well. labelled: leave out faces whose landmarks nobody
    knows. Once through is one pass, in an order drawn from seed and `epoch`: shards are shuffled, then rows in a
    buffer of BUFFER. Process number `rank` of `world_size` reads shards of its own where their number is a multiple of
    world_size, and otherwise every world_size-th row. Memory holds the buffer and ROWS_AT_ONCE rows, encoded. Raises
    InputError for a folder without shards, with some missing, or without faces in the split.
    """

    def __init__(
        self, root: str | Path, split: str = "train", size: int = 256, margin: float = 1.0, labelled: bool = False,
        seed: int = 0, rank: int = 0, world_size: int = 1,
    ) -> None:
        self.root, self.size, self.margin = Path(root), size, margin
        self.labelled, self.seed, self.epoch = labelled, seed, 0
        self.rank, self.world_size = rank, world_size
        with _reading(f"one of the shards in {root}"):
            every = _complete_shards(self.root)
            self.files = every.get(split, [])
            if not self.files:
                raise InputError(f"{root} has no faces in the split {split!r}: its splits are {', '.join(every)}.")
            self.identities = sorted(set().union(*map(_identities, itertools.chain(*every.values()))))
            self._index = {identity: index for index, identity in enumerate(self.identities)}
            self._wanted = {file: self._find_wanted(file) for file in self.files}
        if not any(wanted.any() for wanted in self._wanted.values()):
            raise InputError(f"no face of the split {split!r} of {root} has landmarks: predict them first.")

    def __iter__(self) -> Iterator[Faces]:
        return map(self._face, self._rows(self.epoch))

    def batches(self, count: int, first: int = 0) -> Iterator[Faces]:
        """Batches of `count` faces, pass after pass without end, beginning with batch number `first`.

        For the process that trains: threads decode the pictures ahead of it. A run that goes on at batch `first`
        sees what it would have seen undisturbed, for which it reads, but doesn't decode, up to one pass.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            faces = _ahead(pool, self._face, self._rows_without_end(first * count), 2 * count)
            while True:
                yield Faces.cat(list(itertools.islice(faces, count)))

    def _rows_without_end(self, skip: int) -> Iterator[dict]:
        """The rows of this process, pass after pass, without the first `skip`."""
        for epoch in itertools.count(self.epoch):
            count = self._count_rows(epoch)
            if skip < count:
                yield from itertools.islice(self._rows(epoch), skip, None)
            skip = max(0, skip - count)

    def _rows(self, epoch: int) -> Iterator[dict]:
        """One pass over the rows of this process."""
        files = [glob.escape(str(file)) for file in self._order(epoch)]
        with _reading(f"one of the shards in {self.root}"):
            yield from self._streamed(files, epoch)

    def _streamed(self, files: list[str], epoch: int) -> Iterator[dict]:
        import datasets
        from datasets.distributed import split_dataset_by_node

        rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        rows = rows.cast_column("image", datasets.Image(decode=False))
        rows = split_dataset_by_node(rows, self.rank, self.world_size)
        wanted = (row for row in rows if row["landmarks"] is not None or not self.labelled)
        yield from _shuffled(wanted, BUFFER, random.Random(f"{self.seed} {epoch}"))

    def _order(self, epoch: int) -> list[Path]:
        """All shards in the order of a pass, the same for every process."""
        files = list(self.files)
        random.Random(f"{self.seed} {epoch}").shuffle(files)
        return files

    def _count_rows(self, epoch: int) -> int:
        """How many rows this process gets in a pass, divided as `split_dataset_by_node` does."""
        if len(self.files) % self.world_size == 0:
            return sum(int(self._wanted[file].sum()) for file in self._order(epoch)[self.rank :: self.world_size])
        every = np.concatenate([self._wanted[file] for file in self._order(epoch)])
        return int(every[self.rank :: self.world_size].sum())

    def _find_wanted(self, file: Path) -> np.ndarray:
        """Which rows of a shard are streamed, (N,) bool."""
        if not self.labelled:
            return np.ones(pq.read_metadata(file).num_rows, dtype=bool)
        return pq.read_table(file, columns=["landmarks"])["landmarks"].is_valid().to_numpy()

    def _face(self, row: dict) -> Faces:
        """A row as `FaceFolder` would give it."""
        try:
            return self._read_face(row)
        except Exception as error:  # a row may hold anything
            raise InputError(
                f"the face {row['file_name']!r} in {self.root} is damaged ({reason_of(error)}): "
                "get or write the shards again."
            ) from error

    def _read_face(self, row: dict) -> Faces:
        photo = read_photo(row["image"]["bytes"])
        crop = _crop(row, photo, self.margin)
        landmarks = torch.full((1, 68, 2), float("nan"))
        if row["landmarks"] is not None:
            points = torch.tensor([row["landmarks"]], dtype=torch.float64)
            landmarks = align.to_crop(points, crop, self.size).float()
        image = align.cut(to_tensor(photo), crop, self.size)
        identity = torch.tensor([self._index[row["identity"]]])
        return Faces(image, landmarks, identity, (Path(row["file_name"]).stem,))


@contextmanager
def _reading(what: str) -> Generator[None, None, None]:
    """Whatever pyarrow and datasets raise for a damaged file as an InputError that says what is damaged."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} is damaged ({reason_of(error)}): get or write the shards again.") from error


def _complete_shards(root: Path) -> dict[str, list[Path]]:
    """The shards of every split; InputError where they are none of ours, or some are missing."""
    found: dict[str, list[Path]] = {}
    for file in sorted(root.glob("*.parquet")):
        name = _NAME.fullmatch(file.name)
        about = pq.read_metadata(file) if name else None
        if about is None or not {*KEYS, "points", "image"} <= set(about.schema.to_arrow_schema().names):
            raise InputError(f"{file} is no shard of faces: write shards from a face folder with --shards.")
        if _unpacked(about) > LARGEST:
            raise InputError(f"{file} unpacks to over {LARGEST / 1e9:.1f} GB at once: write it anew with --shards.")
        found.setdefault(name["split"], []).append(file)
    for split, files in found.items():
        count = int(_NAME.fullmatch(files[0].name)["count"])
        if [file.name for file in files] != [f"{split}-{n:05d}-of-{count:05d}.parquet" for n in range(count)]:
            raise InputError(f"{root} has {len(files)} shards of {split!r}, not {count}: get or write them again.")
    if not found:
        raise InputError(f"{root} holds no shards: write them from a face folder with --shards.")
    return found


def _unpacked(about: pq.FileMetaData) -> int:
    """The bytes of a shard that are in memory together, as its footer has them."""
    return max((about.row_group(number).total_byte_size for number in range(about.num_row_groups)), default=0)


def _identities(file: Path) -> set[str]:
    """The people of a shard."""
    return set(pq.read_table(file, columns=["identity"])["identity"].unique().to_pylist())


def _shuffled(items: Iterable[T], size: int, generator: random.Random) -> Iterator[T]:
    """The items in random order: `size` are held, and each that comes in pushes a random one of them out."""
    held: list[T] = []
    for item in items:
        if len(held) < size:
            held.append(item)
            continue
        place = generator.randrange(size)
        yield held[place]
        held[place] = item
    generator.shuffle(held)
    yield from held


def _ahead(pool: ThreadPoolExecutor, function: Callable[[T], U], items: Iterable[T], count: int) -> Iterator[U]:
    """function(item) for each item, in their order, computed by the pool up to `count` items ahead."""
    waiting = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
