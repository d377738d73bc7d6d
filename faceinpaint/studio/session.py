"""What a visit to the Mask Studio does, without a browser: open, mask, complete, compare, save.

    session = Session()
    session.open(Path("photo.jpg").read_bytes())
    session.lay("mask01")
    result = session.generate()[0]
    result.photo.save("completed.png")
    session.open_reference(Path("another.jpg").read_bytes())  # of the same person: what it shows, the next ones use
    other = session.another_answer()

Every fault is an InputError of one sentence and leaves the session as it was, but for a photo in which no face was
found: `turn` tries it turned. Nothing is written to a disk.
"""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError, unknown
from faceinpaint.basics.memory import give_back_freed
from faceinpaint.faces import align
from faceinpaint.faces.image_files import use_image
from faceinpaint.faces.mask_files import fit, read_mask
from faceinpaint.faces.photos import Photo, read_photo, to_bytes, to_image, upright
from faceinpaint.prior.answers import Style, expressed
from faceinpaint.prior.reference import Reference
from faceinpaint.studio import portraits, strokes

if TYPE_CHECKING:
    from faceinpaint.completion import Completer
    from faceinpaint.recognisers import Recogniser

SIZE = 256  # pixels of the face that the networks see
MAX_BYTES = 32_000_000  # of an upload
REMEMBERED = 10  # results
STEPS_BACK = 100  # that can be undone
BASELINES = ("mirror", "biharmonic")
WHOLE = "Photo is whole under the mask"  # what one ticks for `Session.whole_beneath`
NO_VERDICT = f"no verdict: what the mask hides may be damage; tick '{WHOLE}' if the photo is whole there"

Report = Callable[[float, str], None]  # is told the share that is done, and in words what comes next


@dataclass(frozen=True)
class Result:
    """One completion as the studio shows and remembers it."""

    number: int  # counted from 1
    weights: str
    before: Image.Image  # the whole photo
    painted: Tensor  # bytes (1, 3, h, w): the part of it around the face, completed
    original: Tensor  # (1, 3, S, S) the aligned face
    mask: Tensor  # (1, 1, S, S), 1 = unknown
    completed: Tensor  # (1, 3, S, S), outside the mask as `original`
    landmarks: Tensor  # (1, 68, 2) that the generator was given
    crop: align.Crop
    crops: list[align.Crop]  # of all faces in the photo, this one among them
    distance: float | None  # of the completed face's embedding from that of the face it is compared with, if any
    threshold: float  # of the recogniser: up to it, two faces are the same person's
    verdict: str  # all that in words, or why there is none
    seconds: float
    person: str | int | None = None  # who the photo shows, where that is known
    reference: Reference | None = None  # a second photo of the person that was open; see `note`
    style: Style | None = None  # which answer; None is the likeliest one
    pulled: bool = False  # whether landmarks had been moved by hand
    against: str = ""  # with which face it is compared: "original", "reference" or none
    mask_name: str = ""  # where the mask has one
    whole_beneath: bool = False  # as the session's was

    @property
    def photo(self) -> Image.Image:
        """The whole photo, completed, in its own pixels. (A large one is not kept once more for each result.)"""
        photo = to_bytes(self.before)
        align.area_around(self.crop, photo.shape[-2:]).of(photo)[:] = self.painted
        return to_image(photo)

    @property
    def masked(self) -> Tensor:
        """The face with its hole in mid grey, (1, 3, S, S)."""
        return torch.where(self.mask > 0.5, 0.5, self.original)

    @property
    def same(self) -> str:
        """Whether it is the same person to the recogniser, "yes" or "no"; "" where there is nothing to compare with."""
        if self.distance is None:
            return ""
        return "yes" if self.distance <= self.threshold else "no"

    @property
    def note(self) -> str:
        """What is special about it, in words: another answer than the likeliest, a reference; else nothing."""
        said = [] if self.style is None else ["another answer"]
        if self.reference is not None:
            said.append(f"{self.weights} ignores the reference" if self.weights in BASELINES else "with the reference")
        return ", ".join(said)

    @property
    def hole_ratio(self) -> float:
        """The hidden share of the face."""
        return masks.hole_ratio(self.mask).item()


class Session:
    """The state of one visitor: photo, face, reference, mask, landmarks and results."""

    def __init__(self, size: int = SIZE, device: str = "auto") -> None:
        self.size, self.device = size, device
        self.photo: Image.Image | None = None
        self.crops: list[align.Crop] = []  # of the faces in the photo, the largest first
        self.face = 0
        self.person: str | int | None = None  # a built-in portrait's name or a new person's number
        self.reference: Reference | None = None  # the face of a second photo of the person
        self.original: Tensor | None = None
        self.mask = torch.zeros(1, 1, size, size)
        self.results: deque[Result] = deque(maxlen=REMEMBERED)
        self.whole_beneath = False  # whether the visitor says that the open photo is no damaged one under the mask
        self._aside: tuple | None = None  # a photo without a face, to be turned: it, its person, its `whole_beneath`
        self._count = 0
        self._before: list[tuple[Tensor, str]] = []  # masks to go back to, as bools: there may be many; and their names
        self._after: list[tuple[Tensor, str]] = []
        self._name = ""  # of the mask, while it is one that has a name
        self._whole: Tensor | None = None  # landmarks with nothing hidden
        self._predicted: Tensor | None = None  # landmarks by what the mask leaves visible
        self._pulled: Tensor | None = None  # landmarks by hand
        self._completers: dict = {}

    # --------------------------------------------------------------------------------- the photo

    def open(self, content: bytes) -> str:
        """Take an image file's content as the photo; returns a sentence about it.

        Raises InputError for what is no image, too large, or shows no face; `turn` then tries it turned.
        """
        _require_small(content)
        return self._search(read_photo(content))

    def open_built_in(self, name: str) -> str:
        """Take a portrait of `portraits.built_in()` as the photo."""
        photo, points = portraits.portrait(name)
        self._take(photo, [align.crop_from_points(points)], name)
        return name

    def open_new_person(self, seed: int | None = None) -> str:
        """Take a photograph of somebody who has just been made up; `seed` says who, or chance does."""
        seed = int(torch.seed() % 1_000_000) + 10_000 if seed is None else seed
        photo, points = portraits.new_person(seed)
        self._take(photo, [align.crop_from_points(points)], seed)
        return f"a new person, number {seed}, who does not exist"

    def turn(self) -> str:
        """Turn the photo by 90° counterclockwise, hide nothing, and look for faces anew; returns a sentence about it.

        It is the open photo, or the last one in which no face was found, until something else is done. Raises
        InputError without a photo, and where none is found again: the next call turns on.
        """
        if not self.can_turn:
            self._need_photo()
        photo, person, whole = self._aside or (self.photo, self.person, self.whole_beneath)
        try:
            said = self._search(photo.transpose(Image.Transpose.ROTATE_90), person, whole)
        except InputError as error:
            raise InputError(f"the photo was turned, but {error}") from None
        if self.mask.any():
            self.clear()
        return f"the photo was turned; {said}"

    @property
    def can_turn(self) -> bool:
        """Whether there is a photo to turn."""
        return self.photo is not None or self._aside is not None

    def choose_face(self, number: int) -> None:
        """Take the `number`-th face of the photo, the largest is 0; InputError where there is none.

        A reference is forgotten: it shows somebody else.
        """
        if not 0 <= number < len(self.crops):
            raise InputError(f"there is no face {number}: the photo shows {len(self.crops)}, the largest is face 0")
        self.face, self._aside = number, None
        self.original = align.cut(to_bytes(self.photo), self.crops[number], self.size)
        self._whole = self._predicted = self._pulled = self.reference = None
        if self._name and _follows_the_face(self._name):  # the other masks stay where they are
            self.mask = masks.named(self._name, self.size, self.whole)

    def _take(self, photo: Image.Image, crops: list[align.Crop], person: str | int | None = None) -> None:
        self.photo, self.crops, self.person, self.whole_beneath = photo, crops, person, False
        self.choose_face(0)

    def _search(self, photo: Image.Image, person: str | int | None = None, whole: bool = False) -> str:
        self._aside = photo, person, whole
        crops = self._completer().find(photo, many=True)
        self._take(photo, crops, person)
        self.whole_beneath = whole
        return "one face found" if len(crops) == 1 else f"{len(crops)} faces found: click the one you mean"

    # ----------------------------------------------------------------------------- the reference

    def open_reference(self, content: bytes) -> str:
        """Take the largest face of an image file's content as the reference; returns a sentence about it.

        A reference is a second photo of the person: what it shows of the hidden part, the generators use from now on,
        until another photo or face is opened. Raises InputError for what is no image, too large, or shows no face.
        """
        self._need_photo()
        _require_small(content)
        try:
            photo = read_photo(content)
            crop = self._completer().find(photo)[0]
        except InputError as error:
            raise InputError(f"the reference is no good: {error}") from None
        return self._refer_to(photo, crop)

    def open_another_photo(self) -> str:
        """Take as the reference a second photograph of the person that is at hand; see `has_another_photo`."""
        self._need_photo()
        photo, points = portraits.another(self.person)
        return self._refer_to(photo, align.crop_from_points(points))

    @property
    def has_another_photo(self) -> bool:
        """Whether the open photo's person is one of whom `open_another_photo` has a second photograph."""
        return portraits.has_another(self.person)

    def forget_reference(self) -> None:
        """Complete without a reference from now on."""
        self.reference = None

    def _refer_to(self, photo: Image.Image, crop: align.Crop) -> str:
        completer = self._completer()
        reference = completer.reference_in(photo, crop)
        distance = completer.distance_from(reference, self.original, self.whole).item()
        self.reference = reference
        # Said and no more: a recogniser errs, and who it is the visitor knows better.
        same = distance <= completer.recogniser.threshold
        found = "; the recogniser finds the same person" if same else ", though the recogniser finds different people"
        return f"the reference will be used{found} in the two photos, distance {distance:z.3f}"

    # ---------------------------------------------------------------------------------- the mask

    def lay(self, name: str, hole_ratio: float | None = None, seed: int | None = None) -> None:
        """Hide what the mask of a name hides (`masks.NAMES`), instead of what was hidden before.

        hole_ratio: about how much an irregular mask hides, a share. seed: of the random ones, chance without it.
        """
        masks.check_name(name)
        generator = _chance(seed)
        if name == "irregular" and hole_ratio is not None:
            bounds = max(0.0, hole_ratio - 0.01), min(1.0, hole_ratio + 0.01)
            mask = masks.irregular(1, self.size, generator, bounds)
        else:
            mask = masks.named(name, self.size, self.whole if _follows_the_face(name) else None, generator)
        self.set_mask(mask, name)

    def set_mask(self, mask: Tensor, name: str = "") -> None:
        """Make this the mask, (1, 1, S, S) of 0 and 1; what it was can be had back by `undo`."""
        if mask.shape != self.mask.shape:
            raise InputError(f"the mask is {tuple(mask.shape)}: give one of shape {tuple(self.mask.shape)}")
        self._before = [*self._before, (self.mask > 0.5, self._name)][-STEPS_BACK:]
        self._after = []
        self._show(mask, name)

    def draw(self, stroke: list, erasing: bool = False) -> None:
        """Draw a stroke `[radius, [x, y, ...]]` in pixels of the aligned face, or take away what it covers."""
        self.set_mask((strokes.erase if erasing else strokes.paint)(self.mask, stroke))

    def invert(self) -> None:
        """Hide what was visible, and the other way round."""
        self.set_mask(1 - self.mask)

    def clear(self) -> None:
        """Hide nothing."""
        self.set_mask(torch.zeros_like(self.mask))

    def undo(self) -> bool:
        """The mask as it was one step ago; False where there is none."""
        if not self._before:
            return False
        self._after.append((self.mask > 0.5, self._name))
        self._show(*self._before.pop())
        return True

    def redo(self) -> bool:
        """Take the last `undo` back; False where there is none."""
        if not self._after:
            return False
        self._before.append((self.mask > 0.5, self._name))
        self._show(*self._after.pop())
        return True

    @property
    def can_undo(self) -> bool:
        """Whether there is a mask to go back to."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether an `undo` can be taken back."""
        return bool(self._after)

    def import_mask(self, content: bytes) -> str:
        """Take the mask of an image file's content, of any make; returns a sentence about it.

        A mask of the whole photo's form is cut to the face; one of the face's form is of the aligned face.
        """
        _require_small(content)
        size = use_image(content, lambda image, _: upright(image)[0].size)
        whole = self.photo is not None and size != (self.size, self.size) and fit(size, self.photo.size)
        shown = self.photo if whole else Image.new("RGB", (self.size, self.size))
        mask, notes = read_mask(content, Photo(shown, shown))
        self.set_mask(align.cut_mask(mask, self.crops[self.face], self.size) if whole else mask)
        said = "the mask of the whole photo was cut to the face" if whole else "the mask was imported"
        return "; ".join([said, *notes])

    def export_mask(self, of_photo: bool = False) -> bytes:
        """The mask as a PNG, white = unknown: of the face, or of the whole photo, as `complete --mask` takes it."""
        mask = self._photo_mask() if of_photo else self.mask
        return png(Image.fromarray((mask[0, 0] * 255).byte().numpy()))

    def _show(self, mask: Tensor, name: str = "") -> None:
        self.mask, self._name, self._predicted, self._aside = mask.float(), name, None, None

    def _photo_mask(self) -> Tensor:
        self._need_photo()
        return align.mask_to_photo(self.mask, self.crops[self.face], (self.photo.height, self.photo.width))

    # ----------------------------------------------------------------------------- the landmarks

    @property
    def whole(self) -> Tensor:
        """Landmarks (1, 68, 2) of the face with nothing hidden."""
        self._need_photo()
        if self._whole is None:
            self._whole = self._completer().locate(self.original).cpu()
        return self._whole

    @property
    def landmarks(self) -> Tensor:
        """Landmarks (1, 68, 2) that the generator is given: predicted from what is visible, or moved by hand."""
        self._need_photo()
        if self._pulled is not None:
            return self._pulled
        if self._predicted is None:
            hole = align.cut_mask(self._photo_mask(), self.crops[self.face], self.size)
            self._predicted = self._completer().predict(self.original, hole).cpu()
        return self._predicted

    @property
    def pulled(self) -> bool:
        """Whether landmarks were moved by hand."""
        return self._pulled is not None

    def pull(self, index: int, x: float, y: float) -> None:
        """Move a landmark to (x, y), pixels of the aligned face, and its neighbours with it; see `strokes.pulled`."""
        self._pulled = strokes.pulled(self.landmarks, index, x, y, self.size)

    def release(self) -> None:
        """Forget what was moved by hand: the landmarks are the predicted ones again."""
        self._pulled = None

    # ------------------------------------------------------------------------------- the results

    @staticmethod
    def choices() -> list[str]:
        """What can complete: every generator that comes with the package, and methods that have learnt nothing."""
        shipped = [name for name in weights.manifest() if weights.about(name, "architecture") == "Generator"]
        return sorted(shipped, key=lambda name: (name != "generator", name)) + list(BASELINES)

    def generate(self, *names: str, report: Report = lambda share, words: None) -> list[Result]:
        """Complete the face by one or several of `choices()` (`generator` without a name) and remember the results.

        It is the likeliest answer; see `another_answer`. report: is told how far it is. Raises InputError without a
        photo, and for a mask that hides nothing of the face or all of it.
        """
        return self._generate(names or ("generator",), None, report)

    def another_answer(
        self, name: str = "generator", seed: int | None = None, report: Report = lambda share, words: None
    ) -> Result:
        """Complete the same hole in another way, as probable as faces are, and remember the result.

        The style is drawn from `seed`, by chance without it: another expression of what is hidden, another appearance.
        Landmarks that were moved by hand stay where they were put. Raises InputError for a method that has one answer
        only, and where `generate` does.
        """
        if name in BASELINES:
            raise InputError(f"{name} has one answer only: choose a generator for another one")
        return self._generate((name,), Style.draw(1, _chance(seed)), report)[0]

    def _generate(self, names: tuple[str, ...], style: Style | None, report: Report) -> list[Result]:
        for name in names:
            if name not in self.choices():
                raise unknown("weights", name, self.choices())
        self._need_photo()
        if not self.mask.any():
            raise InputError("the mask is empty: draw on the face or choose a mask, then generate")
        crop = self.crops[self.face]
        area = align.area_around(crop, (self.photo.height, self.photo.width))
        hole = area.of(self._photo_mask())
        seen = align.cut_mask(hole, area.moved(crop), self.size)  # where grids differ, a pixel more than was drawn
        if seen.all():
            raise InputError("the mask hides the whole face: leave a part of it visible to go by")
        if not hole.any():
            raise InputError("the mask lies outside the photo: draw it on the photo itself")
        made = []
        for number, name in enumerate(names):
            made.append(self._complete(name, hole, seen, crop, style, _part(report, number, len(names))))
        report(1.0, "done")
        self.results.extend(made)
        give_back_freed()  # a long visit would grow by a few per cent before it levels off
        return made

    def _complete(
        self, name: str, hole: Tensor, seen: Tensor, crop: align.Crop, style: Style | None, report: Report
    ) -> Result:
        from faceinpaint.completion import CompletedFace, paste  # late, as in `_completer`

        begin = time.perf_counter()
        report(0.05, "reading the weights")
        completer = self._completer(name)
        report(0.2, "predicting landmarks")
        landmarks = self.landmarks
        if style is not None and not self.pulled:
            landmarks = expressed(landmarks, seen, style.expression)
        report(0.35, f"painting ({name})")
        painted = self._painter(name, style)(self.original, seen, landmarks).cpu()
        report(0.7, "pasting back")
        before = to_bytes(self.photo)
        photo, area = before.clone(), align.area_around(crop, before.shape[-2:])
        paste(photo, before, hole, CompletedFace(self.original, seen, landmarks.cpu(), painted, crop), self.reference)
        report(0.85, "asking the recogniser")
        distance, against = self._compared(completer, painted, landmarks)
        self._count += 1
        return Result(
            self._count, name, self.photo, area.of(photo).clone(), self.original, self.mask,
            torch.where(self.mask > 0.5, painted, self.original), landmarks, crop, self.crops,
            distance, completer.recogniser.threshold, _verdict(completer.recogniser, distance, against),
            time.perf_counter() - begin, self.person, self.reference, style, self.pulled, against, self._name,
            self.whole_beneath,
        )

    def _compared(self, completer: Completer, painted: Tensor, landmarks: Tensor) -> tuple[float | None, str]:
        """How far a completed face is, and from which: the original if it is untouched, or the reference, or none."""
        if self.knows_original:
            return completer.distance(self.original, painted, self.whole).item(), "original"
        if self.reference is None:
            return None, ""
        return completer.distance_from(self.reference, painted, landmarks).item(), "reference"

    @property
    def knows_original(self) -> bool:
        """Whether the photo is whole under the mask, so that one can tell how far a completed face is from the person.

        So it is under a mask with a name, in the studio's own photos, and where `whole_beneath` says so. What is drawn
        or imported may lie on damage.
        """
        return self.whole_beneath or self.person is not None or bool(self._name)

    def recall(self, number: int) -> Result:
        """A remembered result by its number.

        Its photo, face, reference, mask and what was moved by hand of its landmarks are those of the session again.
        """
        found = next((result for result in self.results if result.number == number), None)
        if found is None:
            raise InputError(f"result {number} is no longer remembered: the last {REMEMBERED} are")
        if not self.shows(found):
            self.photo, self.crops, self.person = found.before, found.crops, found.person
            self.choose_face(found.crops.index(found.crop))
        self.reference, self.whole_beneath = found.reference, found.whole_beneath
        self._pulled = found.landmarks if found.pulled else None
        self.set_mask(found.mask, found.mask_name)
        return found

    def shows(self, result: Result) -> bool:
        """Whether a result is of the photo and the face that are open."""
        return result.before is self.photo and result.crop == self.crops[self.face]

    # ------------------------------------------------------------------------------ the networks

    def prepare(self) -> None:
        """Read the networks now, and not when they are first needed; other weights than the usual ones when chosen."""
        for name in ("generator", *BASELINES):
            self._painter(name)
        if self.photo is not None:
            self.whole

    def _completer(self, name: str = "generator") -> Completer:
        """The networks around a generator; a method without learning has those of the shipped one."""
        from faceinpaint.completion import Completer  # late: a page is to be seen before the networks are there
        from faceinpaint.generator import Generator

        name = "generator" if name in BASELINES else name
        if name not in self._completers:
            if not self._completers:
                self._completers["generator"] = Completer.from_pretrained("generator", self.size, self.device)
            if name != "generator":
                one = self._completers["generator"]
                network = weights.load(name, Generator)
                self._completers[name] = Completer(network, one.predictor, one.recogniser, self.size, self.device)
        return self._completers[name]

    def _painter(self, name: str, style: Style | None = None) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        if name not in BASELINES:
            return partial(self._completer(name).paint, reference=self.reference, style=style)
        from faceinpaint.evaluation import methods

        return methods.BASELINES[name]

    def _need_photo(self) -> None:
        if self.photo is None:
            raise InputError("there is no photo yet: open one or choose a built-in face")


def _require_small(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise InputError(f"the file has {len(content) / 1e6:.0f} MB: give one of at most {MAX_BYTES // 10**6} MB")


def _chance(seed: int | None) -> torch.Generator:
    return torch.Generator().manual_seed(torch.seed() % 2**31 if seed is None else seed)


def _verdict(judge: Recogniser, distance: float | None, against: str) -> str:
    if distance is None:
        return NO_VERDICT
    return judge.verdict(distance) + (", compared with the reference" if against == "reference" else "")


def png(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    content = io.BytesIO()
    picture.save(content, "png", compress_level=1)  # 1: three times as fast, a tenth larger
    return content.getvalue()


def _follows_the_face(name: str) -> bool:
    return name == "face-mask" or name in masks.STANDARD[6:]


def _part(report: Report, number: int, count: int) -> Report:
    """The report of the `number`-th of `count` equal parts of the work."""
    return lambda share, words: report((number + share) / count, words)
