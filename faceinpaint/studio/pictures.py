"""What the studio's parts show, as the contents of image files."""

from __future__ import annotations

import io

import torch
from PIL import Image, ImageOps
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.colours import HOLE, PARTS
from faceinpaint.faces import align
from faceinpaint.faces.photos import to_bytes, to_image
from faceinpaint.studio.session import Result, Session, png

FINE = (1024, 512)  # pixels of a face that the photo shows large enough
OVERVIEW = 2048  # pixels, the longer side of a whole photo as it is shown
THUMB = 96
BEYOND = torch.tensor(0.5)  # the photo nothing is known
RESULT = ("original", "completed", "masked", "photo_before", "photo_masked", "photo_after")  # of a `ResultView`


def parts() -> list[tuple[str, str]]:
    """Colour and name of the part of the face that each of the 68 landmarks belongs to."""
    found = [("", "")] * 68
    for name, (colour, lines) in PARTS.items():
        for line in lines:
            for index in line:
                found[index] = colour, name
    return found


def fine(crop: align.Crop, size: int) -> int:
    """Pixels of a face as it is shown: more than `size` where the photo has so many."""
    return next((one for one in FINE if 2 * crop.half_side >= 0.75 * one), size)


def face_of(photo: Image.Image, crop: align.Crop, size: int) -> Tensor:
    """The aligned face as it is shown, (1, 3, S, S), grey beyond the photo."""
    area = align.area_around(crop, (photo.height, photo.width))
    shown = align.cut(to_bytes(photo.crop(area)), area.moved(crop), size)
    return torch.where(align.beyond(crop, (photo.height, photo.width), size), BEYOND, shown)


def face_png(session: Session) -> bytes:
    """The face that the session is about."""
    return png(to_image(face_of(session.photo, session.crop, fine(session.crop, session.size))))


def mask_png(session: Session, whole: bool) -> bytes:
    """What is hidden of the face, or of the whole photo: as large as shown, opaque where it hides, else clear."""
    if whole:
        alpha = contained(levels(session.hole))
    else:
        alpha = levels(align.seen_mask(session.hole, session.crop, fine(session.crop, session.size)))
    return png(Image.merge("LA", (Image.new("L", alpha.size), alpha)))


def levels(mask: Tensor) -> Image.Image:
    """A mask (1, 1, H, W) of truths as a grey picture, white where it hides."""
    return Image.fromarray(mask[0, 0].byte().mul(255).numpy())


def clear_png(photo: Image.Image) -> bytes:
    """A mask of a whole photo that hides nothing, as large as shown."""
    return png(Image.new("LA", contained(photo).size))


def result_pictures(result: Result | None) -> dict[str, bytes]:
    """The six pictures of a `ResultView`; empty without a result."""
    if result is None:
        return dict.fromkeys(RESULT, b"")
    size = fine(result.crop, result.mask.shape[-1])
    after, hole = result.photo, result.hole
    original, completed = (face_of(photo, result.crop, size) for photo in (result.before, after))
    mask = align.seen_mask(hole, result.crop, size)
    # Where the grids of photo and face differ, a cut pixel beside the hole would have a share of it.
    completed = torch.where(mask, completed, original)
    greyed = result.before.copy()
    greyed.paste((127, 127, 127), mask=levels(hole))
    return {
        "original": png(to_image(original)), "completed": png(to_image(completed)),
        "masked": png(to_image(torch.where(mask, 0.5, original))),
        "photo_before": overview(result.before), "photo_masked": overview(greyed),
        "photo_after": overview(after),
    }


def finer(
    photo: Image.Image, region: list[float], crop: align.Crop | None = None
) -> tuple[list[float], bytes]:
    """A part of a photo, or of the face in a crop of it, in the photo's own pixels; nothing where it shows no more.

    region: left, top, right and bottom, shares of the photo or the face; returned as it is shown, in whole pixels.
    """
    left, top, right, bottom = region
    if crop is None:
        if max(photo.size) <= OVERVIEW:
            return region, b""
        sides = photo.size * 2
        box = [round(share * side) for share, side in zip(region, sides)]
        return [at / side for at, side in zip(box, sides)], jpeg(contained(photo.crop(tuple(box))))
    if 2 * crop.half_side <= FINE[0]:
        return region, b""
    middle = align.to_photo(torch.tensor([(left + right) / 2, (top + bottom) / 2]).double() - 0.5, crop, 1)
    share = right - left
    part = align.Crop(tuple(middle.tolist()), (share * crop.axis_x[0], share * crop.axis_x[1]))
    return region, jpeg(to_image(face_of(photo, part, FINE[0])))


def contained(photo: Image.Image) -> Image.Image:
    """A whole photo, not too large to be sent at once."""
    return ImageOps.contain(photo, (OVERVIEW, OVERVIEW)) if max(photo.size) > OVERVIEW else photo


def overview(photo: Image.Image) -> bytes:
    """A whole photo as it is shown."""
    return jpeg(contained(photo))


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
