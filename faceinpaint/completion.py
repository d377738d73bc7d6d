"""The whole path: photo, aligned face, mask, landmarks, generator, pasted back, and how far from the person.

    from faceinpaint import Completer
    completer = Completer.from_pretrained()
    result = completer("photo.jpg", "mask01")
    result.photo.save("completed.png")
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.basics.folding import folded
from faceinpaint.basics.threads import leave_a_core
from faceinpaint.faces import align, detection
from faceinpaint.faces.mask_files import DrawnMask, Source, colour_of, read_mask
from faceinpaint.faces.photos import Photo, open_photo, rounded, to_bytes, to_image
from faceinpaint.faces.worn import worn_mask
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.prior.answers import Style, expressed
from faceinpaint.prior.details import details_for, mirrored_layer, source_of
from faceinpaint.prior.reference import Reference, details_of, with_reference
from faceinpaint.prior.tone import toned
from faceinpaint.recognisers import Recogniser, load_recogniser

leave_a_core()

AT_ONCE = 8 * 256**2  # pixels on a CPU, whose caches more of them leave: 16 pictures then take a tenth longer each
NO_VERDICT = (
    "no verdict: whether an untouched face lay under the mask is not known, so give the photo before as the original, "
    "or a reference, to compare with"
)
SIZES = (64, 1024)  # pixels; below, no eye is left to see, above, memory
LOOKED_AT = 32  # pixels of a crop, to see how much of it is hidden
LEARNT = 256  # pixels of a face, by the weights of the package


@dataclass(frozen=True)
class CompletedFace:
    """One face before and after, in the pixels of its aligned crop."""

    original: Tensor  # (1, 3, S, S) in [0, 1]; the hole is black where nobody knows what was there
    mask: Tensor  # (1, 1, S, S), 1 = unknown
    landmarks: Tensor  # (1, 68, 2), predicted from the visible part
    completed: Tensor  # (1, 3, S, S)
    crop: align.Crop
    distance: float | None = None  # cosine distance of the completed face from the original's, or the reference's
    hole_ratio: float = 0.0
    against: str = ""  # what the distance is from, "original" or "reference"

    @property
    def masked(self) -> Tensor:
        """What the generator was given to see: the hole in mid grey, (1, 3, S, S)."""
        return torch.where(self.mask > 0.5, 0.5, self.original)


@dataclass(frozen=True)
class Completion:
    """A completed photo and the faces in it; `notes` says in sentences what the caller should know.

    reading: the seconds that the photo's file took.
    """

    photo: Image.Image
    faces: list[CompletedFace]
    notes: list[str] = field(default_factory=list)
    reading: float = 0.0


class Completer:
    """Completes faces in photos; made by `from_pretrained`.

    The networks look at `size` x `size` pixels of a face; the result is pasted back into the photo at the photo's own
    resolution, whose known pixels stay as they are, bit for bit.
    """

    def __init__(
        self, generator: Generator, predictor: LandmarkPredictor, recogniser: Recogniser,
        size: int = 256, device: str = "auto",
    ) -> None:
        require_size(size)
        self.device = find_device(device)
        self.size = size
        self.generator = generator.to(self.device).eval()
        self.predictor = predictor.to(self.device).eval()
        self.recogniser = recogniser.to(self.device)
        self.make_quick()

    def make_quick(self) -> None:
        """Lay the networks out for the device: the same results, to the digits that count, in less time."""
        self.generator.to(memory_format=torch.channels_last)
        if quick_bfloat16(self.device):
            # Once now, and without autocast, which converts weights at each call and pads in float32. Not all of it:
            # the prior's positions need their digits.
            for module in self.generator.modules():
                if isinstance(module, nn.Conv2d):
                    module.to(torch.bfloat16)
        self.predictor = folded(self.predictor).to(memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(
        cls, generator: str | Path = "generator", size: int = 256, device: str = "auto"
    ) -> Completer:
        """With the weights of the package, or the generator of a .safetensors file; no network needed.

        Raises InputError when weights are missing, altered or of another architecture, and for more pixels than the
        package's own have learnt to paint.
        """
        if LEARNT < size <= SIZES[1] and generator in weights.manifest():
            raise InputError(
                f"{generator} has learnt to paint faces of {LEARNT} pixels, and of {size} it would paint monsters: "
                "leave the size out, for the photo keeps its own in any case"
            )
        return cls(
            weights.load(generator, Generator), weights.load("landmarks", LandmarkPredictor),
            load_recogniser(), size, device,
        )

    def __call__(
        self, photo: Image.Image | str | Path, mask: Source | DrawnMask, aligned: bool = False,
        face: int = 0, all_faces: bool = False, generator: torch.Generator | None = None,
        reference: Image.Image | str | Path | Reference | None = None, style: Style | None = None,
        original: Image.Image | str | Path | None = None,
    ) -> Completion:
        """Complete the largest face of a photo, its `face`-th by size, or `all_faces`.

        photo: a picture or its file. mask: a name (`mask01`, `irregular`, ...), which is laid on each face,
        or a picture, file, array or (1, 1, H, W) tensor for the whole photo, 1 or white = unknown, as `read_mask`
        understands it, which `notes` say; or a `DrawnMask`. aligned: the photo is a square aligned crop already.
        generator: what random masks draw from. reference: another photo of the same person, to go by. style: another
        answer than the most probable one. original: the untouched photo, to measure the distance from; where a mask
        is given by name it is `photo` itself. Raises InputError for what can't be read, a face that is not there,
        wholly hidden or not at all, an unknown mask, and one reference for several faces.
        """
        if reference is not None and all_faces:
            raise InputError("a reference shows one person: complete one face at a time with it")
        begin = time.perf_counter()
        source = _read_photo(photo)
        reading = time.perf_counter() - begin
        photo, hidden = source.shown, None
        if reference is not None and not isinstance(reference, Reference):
            reference = self.reference(reference)
        pixels = to_bytes(photo)
        size, notes = pixels.shape[-2:], [*source.notes]
        photo_mask = None
        if is_mask_name(mask):
            masks.check_name(mask)  # now, not after a search for faces
            if mask == masks.WORN:
                photo_mask = self._worn(photo, pixels, aligned)
        else:
            photo_mask = _read_mask(mask, source, notes)
            hidden = photo_mask[0, 0].numpy()

        untouched = pixels if photo_mask is None else self._untouched(original, size)
        faces = []
        crops = self._crops(photo, pixels, photo_mask, aligned, face, all_faces)
        result = pixels.clone() if len(crops) > 1 else pixels  # of one face nothing is looked at after it is painted
        info, source = source.own.info, None if source.own is photo else source
        del photo  # its pixels are there
        rest = None if photo_mask is None else photo_mask.clone()
        for crop in crops:
            before = None if untouched is None else self._before(untouched, crop)
            area = align.area_around(crop, size)
            if photo_mask is None:
                # On the photo first, then cut like any other mask: the grids differ, and what is hidden in
                # the one must not show in the other.
                draw = partial(masks.named, mask, generator=generator)
                hole = align.laid_mask(draw, before.landmarks, area.moved(crop), area.size, self.size).bool()
            else:
                hole = area.of(photo_mask)
            completed = self._complete_face(pixels, hole, crop, reference, style, before)
            if completed is not None:
                faces.append(completed)
                painted = paste(result, pixels, hole, completed, reference, [one for one in crops if one is not crop])
                if rest is not None:
                    area.of(rest)[painted] = 0
        if not faces:
            raise InputError("the mask hides nothing of the face: draw it on the face, or choose another by --face")
        if photo_mask is not None:
            share = rest.sum() / photo_mask.sum()
            if share >= 0.005:
                notes.append(f"{share:.0%} of the mask lies outside the face's crop and was left as it is")
        if any(face.distance is None for face in faces):
            notes.append(NO_VERDICT)
        painted = to_image(result)
        painted.info |= info
        return Completion(painted if source is None else source.painted(painted, hidden), faces, notes, reading)

    @torch.no_grad()
    def complete(
        self, images: Tensor, mask: Tensor, reference: Reference | None = None, style: Style | None = None
    ) -> tuple[Tensor, Tensor]:
        """Aligned faces (B, 3, S, S) under masks (B, 1, S, S) completed, and their landmarks (B, 68, 2).

        The workhorse below `__call__`: no detection, no pasting. The landmarks are predicted from the rest; those of
        another style are moved where they are hidden.
        """
        landmarks = self.predict(images, mask)
        if style is not None:
            landmarks = expressed(landmarks, mask.to(self.device), style.expression)
        return self.paint(images, mask, landmarks, reference, style), landmarks

    def answers(
        self, images: Tensor, mask: Tensor, count: int, generator: torch.Generator | None = None,
        reference: Reference | None = None,
    ) -> Tensor:
        """`count` completions of each of (B, 3, S, S), the most probable one first: (count, B, 3, S, S).

        generator: what the styles of the others are drawn from.
        """
        styles = [None] + [Style.draw(len(images), generator) for _ in range(count - 1)]
        return torch.stack([self.complete(images, mask, reference, style)[0] for style in styles])

    def reference(self, photo: Image.Image | str | Path, aligned: bool = False) -> Reference:
        """Another photo of the person, to go by: its largest face. Raises InputError where there is none."""
        photo = _read_photo(photo).shown
        pixels = to_bytes(photo)
        try:
            crop = self._crops(photo, pixels, None, aligned, 0, False)[0]
        except InputError as error:
            raise InputError(f"the reference is no good: {error}") from None
        return self.reference_in(photo, crop)

    def reference_in(self, photo: Image.Image, crop: align.Crop) -> Reference:
        """The face in a crop of an RGB photo as a reference, which knows what the photo shows in its own pixels."""
        area = align.area_around(crop, (photo.height, photo.width))
        part, here = photo.crop(area), area.moved(crop)
        grey = to_bytes(part.convert("L"))  # its colours are those of another day
        unknown = align.beyond(here, area.size, self.size).float()
        source = source_of(grey, align.affine(here, self.size), align.cut(grey, here, self.size), unknown)
        return replace(self.reference_from(align.cut(to_bytes(part), here, self.size)), source=source)

    def reference_from(self, images: Tensor) -> Reference:
        """Aligned faces (B, 3, S, S) of the same people as a `Reference` for `complete`."""
        return Reference(images.to(self.device), self.locate(images))

    @torch.no_grad()
    def predict(self, images: Tensor, mask: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) of aligned faces (B, 3, S, S) from what masks (B, 1, S, S) leave visible."""
        return torch.cat([
            self.predictor(images[rows].to(self.device), mask[rows].to(self.device)) for rows in self._parts(images)
        ])

    @torch.no_grad()
    def paint(
        self, images: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference | None = None,
        style: Style | None = None,
    ) -> Tensor:
        """Aligned faces (B, 3, S, S) completed under masks (B, 1, S, S), given their landmarks (B, 68, 2).

        Of a style its appearance counts here; its expression is in the landmarks already.
        """
        return torch.cat([
            self._paint(
                images[rows].to(self.device), mask[rows].to(self.device), landmarks[rows].to(self.device),
                reference and reference.of(rows), style and style.of(rows),
            )
            for rows in self._parts(images)
        ])

    def _parts(self, images: Tensor) -> list[slice]:
        """Which of the images are worked on together."""
        most = max(1, AT_ONCE // images.shape[-1] ** 2) if self.device.type == "cpu" else len(images)
        return [slice(first, first + most) for first in range(0, len(images), most)]

    def _paint(
        self, images: Tensor, mask: Tensor, landmarks: Tensor, reference: Reference | None, style: Style | None
    ) -> Tensor:
        code = None if style is None else style.appearance.to(self.device)
        prior = self.generator.first_guess(images, mask, landmarks, code)
        if reference is not None:
            if prior is None:
                raise InputError("these weights start from no first guess that a reference could change")
            prior = with_reference(prior, images, mask, landmarks, reference)
        return toned(self.generator.complete(images, mask, landmarks, prior), images, mask)

    def locate(self, images: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) of aligned faces (B, 3, S, S) with nothing hidden."""
        return self.predict(images, torch.zeros_like(images[:, :1]))

    @torch.no_grad()
    def embed(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """The recogniser's unit vectors (B, D) of faces (B, 3, S, S) with landmarks (B, 68, 2)."""
        return self.recogniser.embed(images.to(self.device), landmarks)

    def distance(self, a: Tensor, b: Tensor, landmarks: Tensor) -> Tensor:
        """Cosine distance (B,) of faces in two pictures (B, 3, S, S) with common landmarks (B, 68, 2)."""
        return self.recogniser.distance(self.embed(a, landmarks), self.embed(b, landmarks))

    def distance_from(self, reference: Reference, images: Tensor, landmarks: Tensor) -> Tensor:
        """Cosine distance (B,) of faces (B, 3, S, S) with landmarks (B, 68, 2) from those of a reference."""
        faces = self.embed(images, landmarks), self.embed(reference.image, reference.landmarks)
        return self.recogniser.distance(*faces)

    def find(
        self, photo: Image.Image, hole: Tensor | None = None, many: bool = False, pixels: Tensor | None = None
    ) -> list[align.Crop]:
        """The faces of an RGB photo, the largest first, whatever lies under a hole (1, 1, H, W), 1 = unknown.

        many: small ones too. pixels: the photo's, (1, 3, H, W), where they are at hand. InputError where there is none.
        """
        pixels = to_bytes(photo) if pixels is None else pixels
        found = detection.find(photo, pixels, hole, self.predict, self.paint, many)
        if not found:
            raise InputError(
                "no face was found: give a photo in which a face is larger than 40 pixels and enough of it visible"
            )
        return found

    def _crops(
        self, photo: Image.Image, pixels: Tensor, hole: Tensor | None, aligned: bool, face: int, all_faces: bool
    ) -> list[align.Crop]:
        if aligned:
            return [align.aligned_crop((photo.height, photo.width))]
        found = self.find(photo, hole, all_faces, pixels)
        if not all_faces and face >= len(found):
            found = self.find(photo, hole, True, pixels)
        if all_faces:
            return found
        if hole is not None and face == 0:  # the mask says whom it means
            return [max(found, key=lambda crop: align.cut(hole, crop, LOOKED_AT).mean() * crop.half_side**2)]
        if not 0 <= face < len(found):
            raise InputError(f"there is no face {face}: the photo shows {len(found)}, the largest is face 0")
        return [found[face]]

    def _worn(self, photo: Image.Image, pixels: Tensor, aligned: bool) -> Tensor:
        """What worn face masks hide of the photo, (1, 1, H, W), true where it does."""
        hidden = torch.zeros(1, 1, photo.height, photo.width, dtype=torch.bool)
        if aligned:
            crops = [align.aligned_crop((photo.height, photo.width))]
        else:
            # Landmarks that agree are asked for later, when the mask is off. No face in MTCNN's eyes is blue or red.
            found = detection.detect(photo) or detection.detect(photo.convert("L").convert("RGB"))
            crops = [align.crop_from_points(one.points) for one in found]
        for crop in crops:
            worn = worn_mask(align.cut(pixels, crop, self.size), self.predict)
            worn = masks.smoothed(worn, align.finer(crop, self.size))
            hidden |= align.mask_to_photo(worn.bool(), crop, hidden.shape[-2:])
        if crops and not hidden.any():
            raise InputError("nobody in the photo wears a face mask: choose another mask, or draw one")
        return hidden

    def _before(self, pixels: Tensor, crop: align.Crop) -> Reference:
        """A face of a photo, and its landmarks with nothing hidden but what lies beyond the photo."""
        image = align.cut(pixels, crop, self.size)
        return Reference(image, self.predict(image, align.beyond(crop, pixels.shape[-2:], self.size).float()).cpu())

    def _untouched(self, original: Image.Image | str | Path | None, size: tuple[int, int]) -> Tensor | None:
        """The pixels (1, 3, H, W) of the original, if one is given; InputError where its size is not the photo's."""
        if original is None:
            return None
        shown = _read_photo(original).shown
        if (shown.height, shown.width) != tuple(size):
            raise InputError(
                f"the original has {shown.width} x {shown.height} pixels, the photo {size[1]} x {size[0]}: give the "
                "very photo before it was touched"
            )
        return to_bytes(shown)

    def _complete_face(
        self, pixels: Tensor, hole: Tensor, crop: align.Crop, reference: Reference | None, style: Style | None,
        before: Reference | None,
    ) -> CompletedFace | None:
        """The face in a crop of the photo; None when the hole around it leaves it. before: untouched, if known."""
        area = align.area_around(crop, pixels.shape[-2:])
        here = area.moved(crop)
        mask = align.cut_mask(hole, here, self.size).float()
        hidden = mask * ~align.beyond(here, area.size, self.size)
        if not hidden.any():
            return None
        if mask.all():
            raise InputError("the mask hides the whole face: leave a part of it visible to go by")
        image = align.cut(area.of(pixels), here, self.size, hole)
        completed, landmarks = self.complete(image, mask, reference, style)
        if not completed.isfinite().all():
            raise InputError("the generator painted what is no colour (NaN): choose other weights")
        original = image if before is None else torch.where(mask > 0.5, before.image, image)
        distance, against = None, ""
        if before is not None:
            distance, against = self.distance(before.image, completed, before.landmarks).item(), "original"
        elif reference is not None:
            distance, against = self.distance_from(reference, completed, landmarks).item(), "reference"
        return CompletedFace(
            original, mask, landmarks.cpu(), completed.cpu(), crop, distance, masks.hole_ratio(hidden).item(), against
        )


def paste(
    result: Tensor, photo: Tensor, hole: Tensor, face: CompletedFace, reference: Reference | None = None,
    others: Sequence[align.Crop] = (),
) -> Tensor:
    """Put a completed face into a result (1, 3, H, W) of bytes, in place and in the resolution of its photo.

    photo: the same before any face was completed. hole: what is unknown of the `align.area_around` the face's crop,
    (1, 1, h, w). others: the crops of other faces, whose own part of the hole is left to them. Returns what was
    painted, (1, 1, h, w).
    """
    area, size = align.area_around(face.crop, photo.shape[-2:]), face.mask.shape[-1]
    crop, part, details = area.moved(face.crop), area.of(photo), None
    glance = align.glance_at(part, hole, crop)
    rim = align.rim_of(glance, face.completed, masks.face_region(face.landmarks, size), crop)
    seam = align.seam_of(glance, face.completed, face.mask)
    mine = (hole > 0.5) & align.nearer(crop, [area.moved(other) for other in others], area.size, rim is not None)
    if 2 * crop.half_side > size:  # the photo shows more than the networks have seen
        to_crop = align.affine(crop, size)
        source = source_of(part, to_crop, face.original, face.mask, hole)
        layers = [mirrored_layer(source, face.mask, face.landmarks)]
        if reference is not None and reference.source is not None:
            there = face.mask.to(reference.image), face.landmarks.to(reference.image)
            layers.append(details_of(reference, *there, 2 * crop.half_side / size))
        details = details_for(source, to_crop, face.mask, face.completed, face.landmarks, layers)
    for box in align.boxes(mine):
        before, hidden = box.of(part), box.of(hole)
        painted = align.paste(before.float() / 255, face.completed, hidden, box.moved(crop))
        if seam is not None:
            painted = painted + align.at_full_size(seam, glance.coarse, box)
        if details is not None:
            painted = painted + details.of(box) * (1 if rim is None else rim.fading(box))
        if rim is not None:
            painted = rim.on(painted, hidden, box)
        there = box.of(area.of(result))
        there.copy_(torch.where(box.of(mine), rounded(painted), there))
    return mine


def require_size(size: int) -> None:
    """InputError for pixels that a face can't have."""
    low, high = SIZES
    if size % 8 or not low <= size <= high:
        raise InputError(f"a face can't have {size} pixels: choose a multiple of 8 from {low} to {high}")


def find_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is the GPU if there is one. InputError for a name that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "mps":
        raise InputError("a Mac's graphics processor (mps) was never tried with these networks: choose cpu")
    try:
        device = torch.device(name)
        if device.type in ("cpu", "cuda"):
            torch.empty(0, device=device)
            return device
    except (RuntimeError, AssertionError):
        pass
    raise InputError(f"there is no device '{name}' here: choose auto, cpu or, with a GPU, cuda")


def quick_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there; on a CPU without its instructions it is far slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    able = torch.cpu.get_capabilities()
    used = torch.backends.cpu.get_cpu_capability()  # less than there is where ATEN_CPU_CAPABILITY says so
    return used.startswith("AVX512") and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def is_mask_name(mask: Source | DrawnMask) -> bool:
    """Whether a mask is given by name, one of `masks.ALL_NAMES` or a misspelt one: a word that is no file or colour."""
    if not isinstance(mask, str) or colour_of(mask):
        return False
    path = Path(mask)
    return mask in ("", *masks.ALL_NAMES) or not (path.suffix or path.name != mask or os.path.exists(path))


def _read_photo(photo: Image.Image | str | Path) -> Photo:
    """A picture or its file as an upright photo."""
    if not isinstance(photo, (str, Path, Image.Image)):
        raise InputError(f"a photo is a PIL image or a file, not {type(photo).__name__}: try Image.fromarray")
    return open_photo(photo)


def _read_mask(mask: Source | DrawnMask, photo: Photo, notes: list[str]) -> Tensor:
    """A mask of the photo, (1, 1, H, W), true = unknown; `notes` say what was understood."""
    read = read_mask(mask, photo)
    notes += read.notes
    return read.mask.bool()  # of a large photo a quarter of the memory
