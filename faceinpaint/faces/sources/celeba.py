"""CelebA (Liu et al. 2015) and CelebA-HQ (Karras et al. 2018): many photographs of thousands of people.

Both are for non-commercial research only. Of CelebA the aligned photographs are taken, with its identities, its
splits (no person is in two of them) and its five points; CelebA-HQ is a subset, cut anew from the originals.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torchvision.datasets import CelebA
from torchvision.datasets.utils import download_file_from_google_drive

from faceinpaint.basics.download import unpack
from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.faces import align
from faceinpaint.faces.photos import read_photo
from faceinpaint.faces.sources.labels import Labeller
from faceinpaint.faces.sources.writer import Entry, Report, jpeg, make_folder, rounded, write_faces

LICENCE = "CelebA agreement: non-commercial research only"
SPLITS = {"train": "train", "valid": "val", "test": "test"}  # torchvision's names and ours
IDENTITIES, PARTITION = "identity_CelebA.txt", "list_eval_partition.txt"

# The authors' own archive of CelebA-HQ (with CelebAMask-HQ, Lee et al. 2020), on the hub. Other copies there are a
# tenth of its size, but have lost the photographs' numbers, and with them who is who.
HQ_ARCHIVE = "hf://datasets/liusq/CelebAMask-HQ/CelebAMask-HQ.zip"
HQ_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"


# ----------------------------------------------------------------------------------------- CelebA


def celeba(out: Path, downloads: Path, landmarks: str = "auto") -> Report:
    """Write CelebA's 202,599 aligned photographs, the very files of the publisher, 178 x 218 pixels.

    downloads: folder in which torchvision keeps (and checks) the set, 1.4 GB and as much unpacked. landmarks: one
    of `labels.METHODS`; CelebA's own five points are in every row as `points`. Raises InputError when the
    publisher does not give the set, and as `write_faces` does.
    """
    labeller = Labeller(landmarks)
    make_folder(out)
    entries = []
    for split, ours in SPLITS.items():
        faces = _celeba_split(downloads, split)
        for name, (person,), points in zip(faces.filename, faces.identity.tolist(), faces.landmarks_align):
            path = downloads / faces.base_folder / "img_align_celeba" / name
            make = partial(_celeba_face, path, person, ours, points.reshape(5, 2), labeller)
            entries.append(Entry(f"images/{name}", make))
    return write_faces(out, entries, {"source": "CelebA", "landmarks": labeller.method})


def _celeba_split(downloads: Path, split: str) -> CelebA:
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        return CelebA(downloads, split, target_type=["identity", "landmarks"], download=True)
    except Exception as error:  # gdown's own kinds, requests', RuntimeError for a file that is not the one expected
        raise _unavailable("CelebA", error, downloads / CelebA.base_folder) from None


def _unavailable(name: str, error: Exception, folder: Path) -> InputError:
    reason = reason_of(error)
    return InputError(
        f"{name} could not be downloaded ({reason}): run `pip install gdown`, try again tomorrow if its host refuses, "
        f"or put the publisher's files into {folder} yourself"
    )


def _celeba_face(
    path: Path, person: int, split: str, points: torch.Tensor, labeller: Labeller
) -> tuple[bytes, dict]:
    """One photograph as its own bytes, and its row."""
    photo = read_photo(path)
    found, method = labeller.row(photo, align.crop_from_points(points.double()))
    row = _row(person, split, "CelebA", None if found is None else rounded(found), method)
    return path.read_bytes(), row | {"points": rounded(points)}


def _row(person: int | str, split: str, source: str, landmarks: list | None, method: str | None) -> dict:
    return {
        "identity": f"celeba-{person}", "landmarks": landmarks, "split": split,
        "source": source, "licence": LICENCE, "landmarks_by": method,
    }


# -------------------------------------------------------------------------------------- CelebA-HQ


def celeba_hq(
    out: Path, downloads: Path, size: int = 256, landmarks: str = "auto", archive: str = HQ_ARCHIVE
) -> Report:
    """Write CelebA-HQ's 30,000 aligned photographs in `size` pixels, with the identities and splits of CelebA.

    downloads: folder for the unpacked set, 2.9 GB; the archive, 3.2 GB, stays where `datasets` keeps its files.
    landmarks: one of `labels.METHODS`. Raises InputError as `celeba` does.
    """
    labeller = Labeller(landmarks)
    make_folder(out)
    lists = _celeba_lists(downloads)
    folder = downloads / "celeba-hq"
    if not folder.is_dir():
        unpack(_hub_file(archive), folder, wanted=_is_photo_or_mapping)
    mapping = next(folder.rglob(HQ_MAPPING), folder / HQ_MAPPING)
    originals = read_mapping(mapping)
    unknown = sorted(set(originals.values()) - set(lists))
    if unknown:
        raise InputError(f"{unknown[0]} in {folder} is no photo of CelebA: delete that folder and run it again")
    entries = []
    for number, original in originals.items():
        person, split = lists[original]
        path = mapping.parent / "CelebA-HQ-img" / f"{number}.jpg"
        make = partial(_celeba_hq_face, path, person, split, size, labeller)
        entries.append(Entry(f"images/{number:05d}.jpg", make))
    return write_faces(out, entries, {"source": "CelebA-HQ", "size": size, "landmarks": labeller.method})


def _is_photo_or_mapping(name: str) -> bool:
    """Whether a file of the archive is needed: most of it are masks."""
    return "/CelebA-HQ-img/" in name or name.endswith(HQ_MAPPING)


def _celeba_lists(downloads: Path) -> dict[str, tuple[str, str]]:
    """Person and split of every photograph of CelebA by its name, from the publisher's two lists."""
    folder = downloads / CelebA.base_folder
    try:
        for file_id, md5, name in CelebA.file_list:
            if name in (IDENTITIES, PARTITION):
                download_file_from_google_drive(file_id, folder, name, md5)
    except Exception as error:
        raise _unavailable("CelebA's list of people", error, folder) from None
    people = dict(line.split() for line in (folder / IDENTITIES).read_text(encoding="utf-8").splitlines())
    partition = dict(line.split() for line in (folder / PARTITION).read_text(encoding="utf-8").splitlines())
    splits = dict(zip("012", SPLITS.values()))
    return {name: (person, splits[partition[name]]) for name, person in people.items()}


def _hub_file(address: str) -> Path:
    """A file of the Hugging Face hub, from the cache of `datasets` where it is there already."""
    from datasets import DownloadManager

    try:
        return Path(DownloadManager().download(address))
    except Exception as error:  # the hub's client raises many kinds
        reason = reason_of(error)
        raise InputError(
            f"{address} could not be downloaded ({reason}): check the connection and the room on the disk"
        ) from None


def read_mapping(path: Path) -> dict[int, str]:
    """CelebA-HQ's number -> name of the photograph in CelebA; InputError for a file of another form."""
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
        mapping = {int(number): original for number, _, original in rows}
    except (OSError, ValueError):
        rows, mapping = [], {}
    if not rows or len(set(mapping.values())) < len(rows):
        raise InputError(f"{path} is no list of CelebA-HQ's photos: delete its folder and run the command again")
    return mapping


def _celeba_hq_face(path: Path, person: str, split: str, size: int, labeller: Labeller) -> tuple[bytes, dict]:
    """One photograph as the bytes of its smaller version, and its row."""
    photo = read_photo(path).resize((size, size), Image.Resampling.LANCZOS)
    found, method = labeller.row(photo, align.aligned_crop((size, size)))
    row = _row(person, split, "CelebA-HQ", None if found is None else rounded(found), method)
    return jpeg(photo), row
