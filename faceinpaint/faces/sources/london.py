"""Face Research Lab London Set: 102 people, neutral and smiling, with hand-placed templates of 189 points.

DeBruine & Jones 2017, doi 10.6084/m9.figshare.5047666, CC BY 4.0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from faceinpaint.basics.download import fetch, unpack
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import parse_json
from faceinpaint.faces import align
from faceinpaint.faces.photos import read_photo
from faceinpaint.faces.sources.labels import largest_face
from faceinpaint.faces.sources.writer import Entry, Report, jpeg, make_folder, rounded, split_of, write_faces

SOURCE = {"source": "Face Research Lab London Set", "licence": "CC BY 4.0"}
# figshare's own description of the article. It gives the address, size and md5 of each file, so that those are the
# publisher's and not copied from somewhere; a sha256 it does not give.
ARTICLE = "https://api.figshare.com/v2/articles/5047666"
MIRROR = "https://s3-eu-west-1.amazonaws.com/pfigshare-u-files/{id}/{name}"  # where figshare keeps its files
DESCRIBED = ("id", "download_url", "size", "computed_md5")
EXPRESSIONS = {"neutral": ("neutral_front.zip", "_03"), "smiling": ("smiling_front.zip", "_08")}
TEMPLATE_POINTS = 189

# The crop's half side in distances of the eyes, or of nine tenths of eyes to mouth: looser than the face itself, so
# that training can vary the framing.
LOOSE = 2.4

# The 68 landmarks of iBUG 300-W from the 189 points of a template, both counted from 0.
JAW = (109, 185, 110, 186, 111, 125, 126, 127, 128, 129, 130, 131, 132, 133, 114, 188, 113, 187, 112)
BROWS = (71, 72, 73, 74, 75, 78, 79, 80, 81, 82)
BRIDGE = ((50, 56), (51, 57), (52, 58), (53, 59), (54, 60))
LEFT_NOSTRIL = (63, 64, 65, 179, 180, 55)
RIGHT_NOSTRIL = (55, 181, 182, 70, 69, 68)
EYES = (
    (18,), (19, 20), (20, 21), (22,), (29, 30), (28, 29),
    (23,), (24, 25), (25, 26), (27,), (32, 33), (31, 32),
)
LIPS = (
    (87,), (88,), (89,), (90,), (91,), (92,), (93,), (108,), (107,), (106,), (105,), (104,),
    (94, 99), (95,), (96,), (97,), (98, 103), (102,), (101,), (100,),
)


def london(out: Path, downloads: Path, size: int = 512, article: str = ARTICLE, mirror: str = MIRROR) -> Report:
    """Write the set into `out`: upright square crops of `size` pixels, neutral ones with landmarks.

    downloads: folder for the publisher's archives (90 MB), which may be deleted afterwards. Raises InputError as
    `fetch`, `unpack` and `write_faces` do.
    """
    make_folder(out)
    published = _published_files(article, downloads)
    entries = []
    for expression, (archive, suffix) in EXPRESSIONS.items():
        if archive not in published:
            raise InputError(f"{article} lists no {archive}: the set has changed, get it by hand")
        file = published[archive]
        sources = [file["download_url"], mirror.format(id=file["id"], name=archive)]
        fetch(sources, downloads / archive, size=file["size"], md5=file["computed_md5"])
        folder = unpack(downloads / archive, downloads / expression)
        for photo in sorted(folder.rglob(f"*{suffix}.jpg")):
            if not photo.name.startswith("."):  # macOS leaves ._001_03.jpg in archives
                person = f"london-{photo.name.split('_')[0]}"
                make = partial(_face, photo, person, expression, size)
                entries.append(Entry(f"images/{person}-{expression}.jpg", make))
    return write_faces(out, entries, {"source": SOURCE["source"], "size": size})


def _published_files(article: str, downloads: Path) -> dict[str, dict]:
    """What figshare says of the files of an article: name -> DESCRIBED."""
    description = fetch([article], downloads / "article.json")
    try:
        files = parse_json(description.read_bytes())["files"]
        return {file["name"]: {key: file[key] for key in DESCRIBED} for file in files}
    except (ValueError, KeyError, TypeError):
        description.unlink()
        raise InputError(f"{article} does not describe the set any more: get it by hand from figshare") from None


def _face(path: Path, person: str, expression: str, size: int) -> tuple[bytes, dict]:
    """One photograph as the bytes of its crop, and its row."""
    photo = read_photo(path)
    landmarks = None
    if expression == "neutral":
        landmarks = landmarks_from_template(read_template(path.with_suffix(".tem")))
        eyes, mouth = landmarks[36:48], landmarks[48:60]
        crop = loose_crop(eyes[:6].mean(axis=0), eyes[6:].mean(axis=0), mouth.mean(axis=0))
    else:  # has no template
        left_eye, right_eye, _, left_mouth, right_mouth = largest_face(photo, path).numpy()
        crop = loose_crop(left_eye, right_eye, (left_mouth + right_mouth) / 2)
    row = {"identity": person, "landmarks": None, "split": split_of(person)} | SOURCE
    row |= {"expression": expression, "landmarks_by": None}
    if landmarks is not None:
        in_crop = align.to_crop(torch.from_numpy(landmarks), crop, size)
        row |= {"landmarks": rounded(in_crop), "landmarks_by": "template"}
    return jpeg(cut_upright(photo, crop, size)), row


# ----------------------------------------------------------------------------------- the template


def read_template(path: Path) -> np.ndarray:
    """The points of a WebMorph template: (189, 2) pixels, x then y; InputError for any other file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        count = int(lines[0])
        points = np.array([[float(number) for number in line.split()] for line in lines[1 : count + 1]])
    except (OSError, ValueError, IndexError):
        raise InputError(f"{path} is missing or is no template: unpack the set again") from None
    if points.shape != (TEMPLATE_POINTS, 2):
        raise InputError(f"{path} is no template of {TEMPLATE_POINTS} points: unpack the set again")
    return points


def landmarks_from_template(template: np.ndarray) -> np.ndarray:
    """The 68 landmarks (68, 2) of iBUG 300-W from a template (189, 2), in the same pixels.

    Where a template has other points along the same line, evenly spaced ones are taken from the line; where iBUG's
    point lies between two of the template's, their mean.
    """
    def means(groups: tuple[tuple[int, ...], ...]) -> np.ndarray:
        return np.stack([template[list(group)].mean(axis=0) for group in groups])

    return np.concatenate([
        resampled(template[list(JAW)], 17),
        template[list(BROWS)],
        resampled(means(BRIDGE), 4),
        resampled(template[list(LEFT_NOSTRIL)], 3),
        resampled(template[list(RIGHT_NOSTRIL)], 3)[1:],  # the middle of the nose's base is in both
        means(EYES),
        means(LIPS),
    ])


def resampled(line: np.ndarray, count: int) -> np.ndarray:
    """`count` points (count, 2) at even distances along the polyline (N, 2), its ends included."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], count)
    return np.stack([np.interp(places, along, line[:, 0]), np.interp(places, along, line[:, 1])], axis=1)


# --------------------------------------------------------------------------------------- the crop


def loose_crop(left_eye: np.ndarray, right_eye: np.ndarray, mouth: np.ndarray) -> align.Crop:
    """The upright square around a face, from the centres (2,) of eyes and mouth in photo pixels."""
    eyes = (left_eye + right_eye) / 2
    half_side = LOOSE * max(np.linalg.norm(right_eye - left_eye), 0.9 * np.linalg.norm(mouth - eyes))
    centre = eyes + 0.1 * (mouth - eyes)
    return align.Crop((float(centre[0]), float(centre[1])), (float(half_side), 0.0))


def cut_upright(photo: Image.Image, crop: align.Crop, size: int) -> Image.Image:
    """An upright crop as a picture of `size` pixels (Lanczos); the photo's edge pixels are repeated beyond it."""
    (x, y), half_side = crop.centre, crop.half_side
    left, top = x + 0.5 - half_side, y + 0.5 - half_side  # Pillow counts from the edge of the first pixel
    right, bottom = left + 2 * half_side, top + 2 * half_side
    border = max(0, *np.ceil([-left, -top, right - photo.width, bottom - photo.height]).astype(int))
    padded = Image.fromarray(np.pad(np.array(photo), ((border, border), (border, border), (0, 0)), mode="edge"))
    box = (left + border, top + border, right + border, bottom + border)
    return padded.resize((size, size), Image.Resampling.LANCZOS, box=box)
