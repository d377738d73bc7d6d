"""Folders of photos as people have them: what in them may be a photo, where its result goes, what lies beside it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.image_files import begins_as_image, missing

NO_PHOTOS = frozenset(  # endings of what nobody means as a photo, unless it begins as one
    ".aae .avi .bat .cfg .csv .css .db .doc .docx .gz .h5 .htm .html .ini .ipynb .js .json .jsonl .lnk .lock .log .m4a "
    ".md .mkv .mov .mp3 .mp4 .npy .npz .odt .parquet .pkl .pt .pth .py .rar .rst .safetensors .sh .tar .toml .tsv .txt "
    ".wav .webm .xls .xlsx .xml .xmp .yaml .yml .zip".split()
)


class Found(NamedTuple):
    """A photo, and what it is called below the folder that was given."""

    path: Path
    name: Path
    result: Path  # without its ending


def find_photos(given: Sequence[Path], besides: Sequence[Path]) -> tuple[list[Found], list[Path]]:
    """Every file that may be meant as a photo, by name, in folders and their sub-folders; and the files left out.

    besides: folders that are left out, such as the results' own. Hidden files are passed over. Two photos that differ
    by their endings alone keep these in the names of their results. Raises InputError where there is none.
    """
    photos, left_out = [], []
    for one in given:
        if os.path.isfile(one):
            photos.append((one, Path(one.name)))
        elif os.path.isdir(one):
            below = sorted(_files_below(one, besides))
            meant = [path for path in below if path.suffix.lower() not in NO_PHOTOS or begins_as_image(path)]
            photos += [(path, path.relative_to(one)) for path in meant]
            left_out += sorted(set(below) - set(meant))
            if not meant:
                raise InputError(f"{one} holds no photo: put JPEG, PNG or other image files there.")
        else:
            raise InputError(_missing(one))
    alike = Counter(_key(name) for _, name in photos)
    found = [Found(path, name, name if alike[_key(name)] > 1 else name.with_suffix("")) for path, name in photos]
    return found, left_out


def _key(name: Path) -> str:
    return str(name.with_suffix("")).casefold()


def _missing(path: Path) -> str:
    kind = str(path).partition(":")[0].lower()
    if kind in ("http", "https", "ftp", "file", "data"):
        address = str(path).replace(":/", "://", 1)
        return f"{address} is an address and nothing is downloaded: save the photo and give its file."
    return missing(path, "give a photo or a folder of photos.")


def _files_below(folder: Path, besides: Sequence[Path]) -> Iterator[Path]:
    """All files in a folder and its sub-folders, without hidden ones and those of `besides`."""
    seen = {identity(one) for one in besides if os.path.isdir(one)}  # later also those that links lead to again
    for here, folders, files in os.walk(folder, followlinks=True):
        shown = [one for one in sorted(folders) if not one.startswith((".", "__MACOSX", "@eaDir"))]
        folders.clear()
        for one in shown:
            folder_itself = identity(os.path.join(here, one))
            if folder_itself not in seen:
                seen.add(folder_itself)
                folders.append(one)
        yield from (Path(here, file) for file in files if not file.startswith("."))


def identity(path: str | Path) -> tuple[int, int]:
    """What a file or folder is, whatever path leads to it."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def beside(folder: Path, photo: Found) -> list[Path]:
    """The images of a folder that are named like a photo: in the same sub-folder, or in the folder itself.

    Those named by the photo's whole name (`a.jpg.png`) come first, then PNGs.
    """
    for place in dict.fromkeys((folder / photo.name.parent, folder)):
        if not os.path.isdir(place):
            continue
        named = _by_stem(place, os.stat(place).st_mtime_ns)
        alike = named.get(photo.path.name, []) + named.get(photo.path.stem, [])
        if alike:
            return alike
    return []


@lru_cache(8)
def _by_stem(folder: Path, changed: int) -> dict[str, list[Path]]:
    """The images of a folder, last changed then, by their names without endings; of those named alike PNGs first."""
    images = defaultdict(list)
    for path in sorted(folder.iterdir(), key=lambda one: (one.suffix.lower() != ".png", one.name)):
        if not path.name.startswith(".") and path.suffix.lower() not in NO_PHOTOS and not path.is_dir():
            images[path.stem].append(path)
    return images
