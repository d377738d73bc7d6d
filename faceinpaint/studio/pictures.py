"""What the studio's parts show, as the contents of image files."""

from __future__ import annotations

import io

import torch
from PIL import Image, ImageOps
from torch import Tensor

from faceinpaint import masks
from faceinpaint.evaluation.colours import HOLE, PARTS
from faceinpaint.faces import align
from faceinpaint.faces.photos import to_bytes, to_image
from faceinpaint.studio.session import Result, Session, png

FINE = (1024, 512)  # pixels of a face that the photo shows large enough
OVERVIEW = 1024  # pixels, the longer side of a whole photo
THUMB = 96
GREY = torch.tensor(127, dtype=torch.uint8)


RESULT = ("original", "completed", "masked", "photo_before", "photo_masked", "photo_after")  # of a `ResultView`


def parts() -> list[tuple[str, str]]:
    """Colour and name of the part of the face that each of the 68 landmarks belongs to."""
    found = [("", "")] * 68
    for name, (colour, lines) in PARTS.items():
        for line in lines:
            for index in line:
                found[index] = colour, name
    return found


def face_of(photo: Image.Image, crop: align.Crop, size: int) -> Tensor:
    """The aligned face, (1, 3, S, S); in more pixels than `size` where the photo has so many."""
    fine = next((one for one in FINE if 2 * crop.half_side >= 0.75 * one), size)
    return align.cut(to_bytes(photo), crop, fine)


def face_png(session: Session) -> bytes:
    """The face that the session is about."""
    return png(to_image(face_of(session.photo, session.crops[session.face], session.size)))


def mask_png(mask: Tensor) -> bytes:
    """A mask (1, 1, S, S), opaque where it hides and clear elsewhere."""
    alpha = Image.fromarray((mask[0, 0] * 255).byte().numpy())
    return png(Image.merge("LA", (Image.new("L", alpha.size), alpha)))


def middle(mask: Tensor) -> float:
    """Where the middle of a hole is, in per cent of the picture from its left."""
    columns = mask[0, 0].any(0).nonzero()
    return 100 * ((columns.min() + columns.max() + 1) / 2 / mask.shape[-1]).item()


def result_pictures(result: Result | None) -> dict[str, bytes]:
    """The six pictures of a `ResultView`; empty without a result."""
    if result is None:
        return dict.fromkeys(RESULT, b"")
    size = result.mask.shape[-1]
    after = result.photo
    original, completed = (face_of(photo, result.crop, size) for photo in (result.before, after))
    mask = result.mask.repeat_interleave(original.shape[-1] // size, 2).repeat_interleave(original.shape[-1] // size, 3)
    # Where the grids of photo and face differ, a cut pixel beside the hole would have a share of it.
    completed = torch.where(mask > 0.5, completed, original)
    hole = align.mask_to_photo(result.mask, result.crop, (result.before.height, result.before.width))
    greyed = to_image(torch.where(hole > 0.5, GREY, to_bytes(result.before)))
    return {
        "original": png(to_image(original)), "completed": png(to_image(completed)),
        "masked": png(to_image(torch.where(mask > 0.5, 0.5, original))),
        "photo_before": overview(result.before), "photo_masked": overview(greyed),
        "photo_after": overview(after),
    }


def overview(photo: Image.Image) -> bytes:
    """A whole photo, not too large to be sent at once."""
    small = ImageOps.contain(photo, (OVERVIEW, OVERVIEW)) if max(photo.size) > OVERVIEW else photo
    return jpeg(small)


def thumb(face: Tensor) -> bytes:
    """A small picture of an aligned face (1, 3, S, S)."""
    return jpeg(to_image(face).resize((THUMB, THUMB), Image.Resampling.LANCZOS))


def mask_thumb(name: str, landmarks: Tensor) -> bytes:
    """A mask of a name over a plain face with landmarks (1, 68, 2) in pixels of THUMB."""
    generator = torch.Generator().manual_seed(4)
    face, hole = masks.face_region(landmarks, THUMB), masks.named(name, THUMB, landmarks, generator)
    grey = torch.where(face > 0.5, 0.72, 0.9).expand(1, 3, -1, -1)
    tint = torch.tensor([int(HOLE[i : i + 2], 16) / 255 for i in (1, 3, 5)]).view(1, 3, 1, 1)
    return png(to_image(torch.where(hole > 0.5, tint, grey)))


def boxes(session: Session) -> list[list[float]]:
    """Left, top, width and height of each face of the photo, in per cent of it."""
    wide, high = session.photo.size
    found = []
    for crop in session.crops:
        (x, y), half = crop.centre, 0.7 * crop.half_side  # of the crop; the face itself is smaller
        left, top = max(0.0, x - half), max(0.0, y - half)
        right, bottom = min(wide, x + half), min(high, y + half)
        found.append([100 * left / wide, 100 * top / high, 100 * (right - left) / wide, 100 * (bottom - top) / high])
    return found


def jpeg(picture: Image.Image) -> bytes:
    """A picture as the content of a JPEG file."""
    content = io.BytesIO()
    picture.save(content, "jpeg", quality=90)
    return content.getvalue()
