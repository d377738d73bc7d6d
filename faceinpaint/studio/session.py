"""What a visit to the Mask Studio does, without a browser: open, mask, complete, compare, save.

    session = Session()
    session.open(Path("photo.jpg").read_bytes(), "photo.jpg")
    session.lay("mask01")
    result = session.generate()[0]
    Path(result.file_name).write_bytes(result.file)  # photo-completed.png
    session.open_reference(Path("another.jpg").read_bytes())  # of the same person: what it shows, the next ones use
    other = session.another_answer()

What is hidden, `Session.hole`, is in the photo's own pixels, like what is painted. Every fault is an InputError of one
sentence and leaves the session as it was, but for a photo in which no face was found: `turn` tries it turned,
`take_square` believes whoever says where it is. Nothing is written to a disk.
"""

from __future__ import annotations

import io
import time
import zlib
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError, unknown
from faceinpaint.basics.memory import give_back_freed
from faceinpaint.faces import align
from faceinpaint.faces.image_files import use_image
from faceinpaint.faces.mask_files import DrawnMask, fit, read_mask
from faceinpaint.faces.photos import Photo, encoded, open_photo, read_photo, to_bytes, to_image, upright
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
LEAST_SIDE = 32  # pixels of the photo, of a face that a visitor points to
BASELINES = ("mirror", "biharmonic")
WHOLE = "Photo is whole under the mask"  # what one ticks for `Session.whole_beneath`
NO_VERDICT = f"no verdict: what the mask hides may be damage; tick '{WHOLE}' if the photo is whole there"

Report = Callable[[float, str], None]  # is told the share that is done, and in words what comes next


class Work(NamedTuple):
    """A photo and the face that is worked on in it."""

    file: Photo  # as it was read, with all that a result should keep
    crops: list[align.Crop]  # of its faces, the largest first
    name: str = ""  # of its file
    person: str | int | None = None  # a built-in portrait's name or a new person's number
    upload: int = 0  # the number that a page has given its file, if it has one
    turns: int = 0  # by 90°, since it was opened
    untouched: Image.Image | None = None  # the photo that it was before a first result was gone on from
    damaged: bool = False  # whether that may have been damaged where it was painted

    @property
    def photo(self) -> Image.Image:
        """What the networks see of it."""
        return self.file.shown

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.photo.height, self.photo.width


class Step(NamedTuple):
    """What was hidden, and what was moved by hand of the landmarks; to go back to."""

    hole: bytes
    mask_name: str  # where the mask has one
    pulled: Tensor | None


class Left(NamedTuple):
    """A photo without a result that was left for one, with all that was done to it."""

    work: Work
    face: int
    step: Step
    reference: Reference | None
    whole_beneath: bool

    @property
    def crop(self) -> align.Crop:
        """The square around the face."""
        return self.work.crops[self.face]


@dataclass(frozen=True, eq=False)
class Result:
    """One completion as the studio shows and remembers it."""

    number: int  # counted from 1
    weights: str
    work: Work
    step: Step
    face: int  # of the photo's
    painted: Tensor  # bytes (1, 3, h, w): the part of the photo around the face, completed
    original: Tensor  # (1, 3, S, S) the aligned face
    mask: Tensor  # (1, 1, S, S), 1 = unknown to the networks
    completed: Tensor  # (1, 3, S, S), outside the mask as `original`
    landmarks: Tensor  # (1, 68, 2) that the generator was given
    distance: float | None  # of the completed face's embedding from that of the face it is compared with, if any
    threshold: float  # of the recogniser: up to it, two faces are the same person's
    verdict: str  # all that in words, or why there is none
    seconds: float
    reference: Reference | None = None  # a second photo of the person that was open; see `note`
    style: Style | None = None  # which answer; None is the likeliest one
    against: str = ""  # with which face it is compared: "original", "reference" or none
    whole_beneath: bool = False  # as the session's was

    @property
    def before(self) -> Image.Image:
        """The whole photo as it was."""
        return self.work.photo

    @property
    def crop(self) -> align.Crop:
        """The square around the face."""
        return self.work.crops[self.face]

    @property
    def area(self) -> align.Area:
        """The part of the photo that `painted` is."""
        return align.area_around(self.crop, self.work.size)

    @property
    def hole(self) -> Tensor:
        """What was hidden of the photo, (1, 1, H, W), true = unknown."""
        return _unpacked(self.step.hole, self.work.size)

    @property
    def photo(self) -> Image.Image:
        """The whole photo, completed, in its own pixels. (A large one is not kept once more for each result.)"""
        photo = self.before.copy()
        photo.paste(to_image(self.painted), self.area[:2])
        return photo

    @property
    def file(self) -> bytes:
        """The completed photo as a PNG, with its own colours, transparency and EXIF."""
        return encoded(self.work.file.painted(self.photo, self.hole[0, 0].numpy()))

    @property
    def file_name(self) -> str:
        """What to save it as."""
        return f"{Path(self.work.name).stem or 'photo'}-completed.png"

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
    def hole_ratio(self) -> float:
        """The hidden share of the face."""
        return align.seen_mask(self.hole, self.crop, self.mask.shape[-1]).float().mean().item()

    @property
    def note(self) -> str:
        """What is special about it, in words: another answer than the likeliest, a reference; else nothing."""
        said = [] if self.style is None else ["another answer"]
        if self.reference is not None:
            said.append(f"{self.weights} ignores the reference" if self.weights in BASELINES else "with the reference")
        return ", ".join(said)


class Session:
    """The state of one visitor: photo, face, reference, mask, landmarks and results."""

    def __init__(self, size: int = SIZE, device: str = "auto") -> None:
        self.size, self.device = size, device
        self.work: Work | None = None
        self.face = 0
        self.reference: Reference | None = None  # the face of a second photo of the person
        self.hole = torch.zeros(1, 1, 1, 1, dtype=torch.bool)  # what is hidden of the photo, (1, 1, H, W)
        self.results: deque[Result] = deque(maxlen=REMEMBERED)
        self.left: Left | None = None  # see `recall`
        self.whole_beneath = False  # whether the visitor says that the open photo is no damaged one under the mask
        self._aside: tuple[Work, bool] | None = None  # a photo without a face, and its `whole_beneath`
        self._count = 0
        self._before: list[Step] = []  # to go back to
        self._after: list[Step] = []
        self._name = ""  # of the mask, while it is one that has a name
        self._seen: tuple[Tensor, align.Crop, Tensor] | None = None  # hole, crop and what `mask` made of them
        self._whole: Tensor | None = None  # landmarks with nothing hidden
        self._predicted: Tensor | None = None  # landmarks by what the mask leaves visible
        self._pulled: Tensor | None = None  # landmarks by hand
        self._completers: dict = {}

    # --------------------------------------------------------------------------------- the photo

    def open(self, content: bytes, name: str = "", upload: int = 0) -> str:
        """Take an image file's content as the photo; returns a sentence about it.

        name: the file's; upload: its number, where a page counts them. Raises InputError for what is
        no image, too large, or shows no face; see `turn` and `take_square`.
        """
        _require_small(content)
        photo = open_photo(content)
        return "; ".join([self._search(Work(photo, [], name, upload=upload)), *photo.notes])

    def open_built_in(self, name: str) -> str:
        """Take a portrait of `portraits.built_in()` as the photo."""
        photo, points = portraits.portrait(name)
        self._take(Work(Photo(photo, photo), [align.crop_from_points(points)], f"{name}.png", name))
        return name

    def open_new_person(self, seed: int | None = None) -> str:
        """Take a photograph of somebody who has just been made up; `seed` says who, or chance does."""
        seed = int(torch.seed() % 1_000_000) + 10_000 if seed is None else seed
        photo, points = portraits.new_person(seed)
        self._take(Work(Photo(photo, photo), [align.crop_from_points(points)], f"person-{seed}.png", seed))
        return f"a new person, number {seed}, who does not exist"

    def turn(self) -> str:
        """Turn the photo by 90° counterclockwise, hide nothing, and look for faces anew; returns a sentence about it.

        It is the open photo, or the last one in which no face was found, until something else is done. Raises
        InputError without a photo, and where none is found again: the next call turns on.
        """
        work, whole = self._to_place()
        try:
            said = self._search(_turned(work), whole)
        except InputError as error:
            raise InputError(f"the photo was turned, but {error}") from None
        self._forget_steps()
        return f"the photo was turned; {said}"

    def take_square(self, left: float, top: float, side: float) -> str:
        """Take the face to be where a visitor says, pixels of the photo `to_place`; returns a sentence about it.

        Raises InputError for a square that lies outside the photo or is too small.
        """
        work, whole = self._to_place()
        crop = align.Crop((left + (side - 1) / 2, top + (side - 1) / 2), (side / 2, 0.0))
        inside = 0 <= crop.centre[0] < work.photo.width and 0 <= crop.centre[1] < work.photo.height
        if not (side >= LEAST_SIDE and inside):
            raise InputError(f"a square needs {LEAST_SIDE} pixels, and its middle within the photo: draw a larger one")
        align.require_near(crop, work.size)
        self._take(work._replace(crops=[crop]))
        self.whole_beneath = whole
        return "the face is taken to be there"

    def take_as_it_is(self) -> str:
        """Take the photo `to_place`, or the largest square in its middle, for an aligned face."""
        photo = self._to_place()[0].photo
        side = min(photo.size)
        return self.take_square((photo.width - side) / 2, (photo.height - side) / 2, side)

    @property
    def state(self) -> dict:
        """What a new session needs to take up the photo, its face and what is hidden: plain values, for `take_up`."""
        work = self._need_photo()
        return {
            "name": work.name, "person": work.person, "turns": work.turns, "whole": self.whole_beneath,
            "upload": work.upload, "size": list(work.size), "went_on": work.untouched is not None,
            "crops": [[*crop.centre, *crop.axis_x] for crop in work.crops], "face": self.face,
            "hole": b64encode(_packed(self.hole)).decode(),
        }

    def take_up(self, state: dict, content: bytes) -> None:
        """Go on where another session was when it gave its `state`; content: the photo's file, if it was one."""
        person = state["person"]
        if person is None:
            _require_small(content)
            work = Work(open_photo(content), [], state["name"], upload=state["upload"])
        else:
            self.open_built_in(person) if isinstance(person, str) else self.open_new_person(person)
            work = self.work
        for _ in range(state["turns"]):
            work = _turned(work)
        if list(work.size) != state["size"]:
            raise InputError("this is another photo than the one that was worked on: open it again")
        crops = [align.Crop((x, y), (right, down)) for x, y, right, down in state["crops"]]
        self._work_on(work._replace(crops=crops), state["face"])
        self._show(_unpacked(b64decode(state["hole"]), self.work.size))
        self.whole_beneath = state["whole"]

    @property
    def to_place(self) -> Image.Image | None:
        """What `turn` and `take_square` are about, if anything: a photo in which no face was found, or the open one."""
        return self._aside[0].photo if self._aside else self.photo

    @property
    def faceless(self) -> bool:
        """Whether no face was found in that photo."""
        return self._aside is not None

    @property
    def photo(self) -> Image.Image | None:
        """The open photo."""
        return self.work and self.work.photo

    @property
    def crops(self) -> list[align.Crop]:
        """The squares around the faces of the photo, the largest first."""
        return self.work.crops if self.work else []

    @property
    def crop(self) -> align.Crop:
        """The square around the face."""
        return self._need_photo().crops[self.face]

    @property
    def person(self) -> str | int | None:
        """Who the photo shows, where that is known: a built-in portrait's name or a new person's number."""
        return self.work and self.work.person

    @property
    def original(self) -> Tensor:
        """The aligned face, (1, 3, S, S)."""
        if self._original is None:
            self._original = align.cut(self._pixels(), self._here, self.size)
        return self._original

    def choose_face(self, number: int) -> None:
        """Take the `number`-th face of the photo, the largest is 0; InputError where there is none.

        A mask of a name goes there too; one that was drawn stays. A reference is forgotten: it shows somebody else.
        """
        if not 0 <= number < len(self.crops):
            raise InputError(f"there is no face {number}: the photo shows {len(self.crops)}, the largest is face 0")
        before, name = self.crop, self._name
        self._look_at(number)
        if name:
            self._carry(self.hole, before, name)

    def _take(self, work: Work) -> None:
        """Work on another photo; what was hidden is hidden in its face too."""
        hole, name, before = self.hole, self._name, self.crop if self.work else None
        self.work, self.whole_beneath = work, False
        self._forget_steps()
        self._look_at(0)
        if before is not None and hole.any():
            self._carry(hole, before, name)

    def _look_at(self, face: int) -> None:
        self.face, self._aside = face, None
        # Landmarks that were moved are another face's.
        self._before, self._after = (
            [step._replace(pulled=None) for step in steps] for steps in (self._before, self._after)
        )
        self._original = self._whole = self._predicted = self._pulled = self.reference = None

    def _carry(self, hole: Tensor, crop: align.Crop, name: str) -> None:
        """Hide what a mask of a name hides, or what a hole hid of another crop."""
        if name and _follows_the_face(name):
            self.hole = self._laid(partial(masks.named, name), self.whole)
        else:
            self.hole = self._laid(lambda size, _: align.seen_mask(hole, crop, size), None)
        self._name = name

    def _forget_steps(self) -> None:
        """Hide nothing, and forget what was hidden of another photo."""
        self._before, self._after, self._name, self._predicted = [], [], "", None
        self.hole = torch.zeros(1, 1, *self.work.size, dtype=torch.bool)

    def _search(self, work: Work, whole: bool = False) -> str:
        self._aside = work, whole
        crops = self._completer().find(work.photo, many=True)
        self._take(work._replace(crops=crops))
        self.whole_beneath = whole
        return "one face found" if len(crops) == 1 else f"{len(crops)} faces found: click the one you mean"

    def _to_place(self) -> tuple[Work, bool]:
        return self._aside or (self._need_photo(), self.whole_beneath)

    @property
    def _area(self) -> align.Area:
        """The part of the photo around the face."""
        return align.area_around(self.crop, self.work.size)

    @property
    def _here(self) -> align.Crop:
        """The crop in pixels of that part."""
        return self._area.moved(self.crop)

    def _pixels(self) -> Tensor:
        """That part as bytes, (1, 3, h, w)."""
        return to_bytes(self.photo.crop(self._area))

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
        self._need_photo()
        draw = partial(masks.named, name, generator=_chance(seed))
        if name == "irregular" and hole_ratio is not None:
            bounds = max(0.0, hole_ratio - 0.01), min(1.0, hole_ratio + 0.01)
            draw = lambda size, _: masks.irregular(1, size, _chance(seed), bounds)  # noqa: E731
        self.hide(self._laid(draw, self.whole if _follows_the_face(name) else None), name)

    def hide(self, hole: Tensor, name: str = "") -> None:
        """Make this what is hidden of the photo, (1, 1, H, W), 1 = unknown; `undo` has back what was."""
        if hole.shape != self.hole.shape:
            raise InputError(f"the mask is {tuple(hole.shape)}: give one of shape {tuple(self.hole.shape)}")
        self._keep()
        self._show(hole.bool(), name)

    def draw(self, stroke: list, erasing: bool = False, on_photo: bool = False) -> None:
        """Draw a stroke `[radius, [x, y, ...]]` in pixels of the aligned face, or take away what it covers.

        on_photo: it is in pixels of the photo.
        """
        self._need_photo()
        radius, points = strokes.checked(stroke)
        if not on_photo:
            points = align.to_photo(points, self.crop, self.size)
            radius *= 2 * self.crop.half_side / self.size
        self.hide(strokes.drawn(self.hole, radius, points, erasing))

    def invert(self) -> None:
        """Hide what was visible of the face, and the other way round; beyond its square all stays."""
        inside = self._laid(lambda size, _: torch.ones(1, 1, size, size), None)
        self.hide(self.hole ^ inside)

    def clear(self) -> None:
        """Hide nothing."""
        self.hide(torch.zeros_like(self.hole))

    def undo(self) -> bool:
        """Mask and landmarks as they were one step ago; False where there is none."""
        return self._go(self._before, self._after)

    def redo(self) -> bool:
        """Take the last `undo` back; False where there is none."""
        return self._go(self._after, self._before)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back to."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether an `undo` can be taken back."""
        return bool(self._after)

    @property
    def mask(self) -> Tensor:
        """What the networks are not told of the aligned face, (1, 1, S, S), 1 = unknown.

        Where the grids differ it is a pixel more than was hidden, and all that lies beyond the photo.
        """
        if self._seen is None or self._seen[0] is not self.hole or self._seen[1] != self.crop:
            seen = align.cut_mask(self._area.of(self.hole).float(), self._here, self.size)
            self._seen = self.hole, self.crop, seen
        return self._seen[2]

    @property
    def mask_name(self) -> str:
        """The mask's name, while it is one that has one."""
        return self._name

    @property
    def hole_ratio(self) -> float:
        """The hidden share of the aligned face."""
        return align.seen_mask(self.hole, self.crop, self.size).float().mean().item()

    def import_mask(self, content: bytes, invert: bool | None = None) -> str:
        """Take the mask of an image file's content, of any make; returns a sentence about it.

        A mask of the photo's form is of the photo, another square one of the aligned face. What it hides may be damage:
        then faces are looked for again by what is visible. invert: whether the mask shows what is known; where it hides
        nearly everything, WhichWayRound asks, an InputError.
        """
        _require_small(content)
        work, whole = self._to_place()
        size, given = use_image(content, lambda image, _: upright(image)[0].size), DrawnMask(content, invert)
        if size[0] == size[1] and not fit(size, work.photo.size) and not self.faceless:
            face = Image.new("RGB", size)
            mask, notes = read_mask(given, Photo(face, face))
            hole = self._laid(lambda side, _: F.interpolate(mask, (side, side)), None)
        else:
            hole, notes = read_mask(given, work.file)
            if not (whole or work.person):
                self._find_around(work, hole)
        self.hide(hole)
        return "; ".join(["the mask was imported", *notes])

    def _find_around(self, work: Work, hole: Tensor) -> None:
        """Look for the face that a mask means by what it leaves visible; where it leaves none, all stays."""
        try:
            crops = self._completer().find(work.photo, hole, many=True)
        except InputError:
            if self.faceless:
                raise
            return
        if self.faceless:
            self._take(work._replace(crops=crops))
        hidden = [align.seen_mask(hole, crop, self.size).sum() * crop.half_side**2 for crop in crops]
        self.work, reference = work._replace(crops=crops), self.reference
        self._look_at(hidden.index(max(hidden)))
        self.reference = reference

    def export_mask(self) -> bytes:
        """The mask of the whole photo as a PNG, white = unknown, as `complete --mask` takes it."""
        self._need_photo()
        return png(Image.fromarray(self.hole[0, 0].numpy()))

    def _laid(self, draw: Callable[[int, Tensor | None], Tensor], landmarks: Tensor | None) -> Tensor:
        """A mask of the face on the photo."""
        return align.laid_mask(draw, landmarks, self.crop, self._need_photo().size, self.size).bool()

    @property
    def _step(self) -> Step:
        return Step(_packed(self.hole), self._name, self._pulled)

    def _keep(self) -> None:
        """Let `undo` come back to what is now."""
        self._before = [*self._before, self._step][-STEPS_BACK:]
        self._after = []

    def _go(self, there: list[Step], back: list[Step]) -> bool:
        if not there:
            return False
        back.append(self._step)
        step = there.pop()
        self._show(_unpacked(step.hole, self.work.size), step.mask_name)
        self._pulled = step.pulled
        return True

    def _show(self, hole: Tensor, name: str = "") -> None:
        self.hole, self._name, self._predicted, self._aside = hole, name, None, None

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
            self._predicted = self._completer().predict(self.original, self.mask).cpu()
        return self._predicted

    @property
    def pulled(self) -> bool:
        """Whether landmarks were moved by hand."""
        return self._pulled is not None

    def pull(self, index: int, x: float, y: float) -> None:
        """Move a landmark to (x, y), pixels of the aligned face, and its neighbours with it; see `strokes.pulled`."""
        pulled = strokes.pulled(self.landmarks, index, x, y, self.size)
        self._keep()
        self._pulled = pulled

    def release(self) -> None:
        """Forget what was moved by hand: the landmarks are the predicted ones again."""
        self._keep()
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
        if not self.hole.any():
            raise InputError("the mask is empty: draw on the face or choose a mask, then generate")
        if not self._area.of(self.hole).any():
            raise InputError("the mask hides nothing of this face: draw on it, or choose another face")
        mask = self.mask
        if mask.all():
            raise InputError("the mask hides the whole face: leave a part of it visible to go by")
        made = []
        for number, name in enumerate(names):
            part = _part(report, number, len(names))
            made.append(self._known(name, style) or self._complete(name, mask, style, part))
        report(1.0, "done")
        self.results.extend(one for one in made if one not in self.results)
        give_back_freed()  # a long visit would grow by a few per cent before it levels off
        return made

    def _known(self, name: str, style: Style | None) -> Result | None:
        """A result that is there already: the likeliest answer to the same question is the same."""
        step = self._step
        for one in self.results if style is None else ():
            alike = one.weights == name and one.style is None and one.whole_beneath == self.whole_beneath
            seen = one.step[:2] == step[:2] and one.step.pulled is step.pulled and one.reference is self.reference
            if alike and seen and self.shows(one):
                return one
        return None

    def _complete(self, name: str, mask: Tensor, style: Style | None, report: Report) -> Result:
        from faceinpaint.completion import CompletedFace, paste  # late, as in `_completer`

        begin = time.perf_counter()
        report(0.05, "reading the weights")
        completer = self._completer(name)
        report(0.2, "predicting landmarks")
        landmarks = self.landmarks
        if style is not None and not self.pulled:
            landmarks = expressed(landmarks, mask, style.expression)
        report(0.35, f"painting ({name})")
        painted = self._painter(name, style)(self.original, mask, landmarks).cpu()
        report(0.7, "pasting back")
        before, hole = self._pixels(), self._area.of(self.hole).float()
        pasted, face = before.clone(), CompletedFace(self.original, mask, landmarks.cpu(), painted, self._here)
        paste(pasted, before, hole, face, self.reference)
        report(0.85, "asking the recogniser")
        distance, against = self._compared(completer, painted, landmarks)
        self._count += 1
        return Result(
            self._count, name, self.work, self._step, self.face, pasted, self.original, mask,
            torch.where(mask > 0.5, painted, self.original), landmarks, distance, completer.recogniser.threshold,
            _verdict(completer.recogniser, distance, against), time.perf_counter() - begin, self.reference, style,
            against, self.whole_beneath,
        )

    def _compared(self, completer: Completer, painted: Tensor, landmarks: Tensor) -> tuple[float | None, str]:
        """How far a completed face is, and from which: the original if it is untouched, or the reference, or none."""
        if self.knows_original:
            original = self._untouched()
            return completer.distance(original, painted, completer.locate(original).cpu()).item(), "original"
        if self.reference is None:
            return None, ""
        return completer.distance_from(self.reference, painted, landmarks).item(), "reference"

    @property
    def knows_original(self) -> bool:
        """Whether the photo is whole under the mask, so that one can tell how far a completed face is from the person.

        So it is under a mask with a name, in the studio's own photos, and where `whole_beneath` says so. What is drawn
        or imported may lie on damage.
        """
        said = self.whole_beneath or self.person is not None
        return said or bool(self._name) and not (self.work and self.work.damaged)

    def _untouched(self) -> Tensor:
        """The aligned face as it was before a first result was gone on from."""
        untouched = self.work.untouched
        if untouched is None:
            return self.original
        return align.cut(to_bytes(untouched.crop(self._area)), self._here, self.size)

    def go_on(self, number: int) -> Result:
        """Make a remembered result the photo, so that a flaw is mended by a second stroke, or another face completed.

        Nothing is hidden then; reference and verdicts go on as well.
        """
        result = self._remembered(number)
        work, hole = result.work, result.hole[0, 0].numpy()
        own = work.file.painted(result.photo, hole)
        shown = own if work.file.own is work.file.shown else result.photo
        self.work = work._replace(
            file=replace(work.file, shown=shown, own=own, notes=[]),
            untouched=work.untouched or work.photo, damaged=work.damaged or result.against != "original",
        )
        self._forget_steps()
        self._look_at(result.face)
        self.reference, self.whole_beneath = result.reference, result.whole_beneath
        return result

    def recall(self, number: int) -> Result:
        """A remembered result by its number.

        Its photo, face, reference, mask and what was moved by hand of its landmarks are those of the session again. A
        photo of which there is no result is kept for `resume`.
        """
        found = self._remembered(number)
        if self.work is not None and all(one.work is not self.work for one in self.results):
            self.left = Left(self.work, self.face, self._step, self.reference, self.whole_beneath)
        if not self.shows(found):
            self._work_on(found.work, found.face)
        else:
            self._keep()
        self._set(found.step, found.reference, found.whole_beneath)
        return found

    def resume(self) -> None:
        """Go back to the photo without a result that was left for one; InputError where there is none."""
        if self.left is None:
            raise InputError("no photo was left without a result")
        (work, face, *rest), self.left = self.left, None
        self._work_on(work, face)
        self._set(*rest)

    def _work_on(self, work: Work, face: int) -> None:
        self.work = work
        self._forget_steps()
        self._look_at(face)

    def _set(self, step: Step, reference: Reference | None, whole_beneath: bool) -> None:
        self._show(_unpacked(step.hole, self.work.size), step.mask_name)
        self._pulled, self.reference, self.whole_beneath = step.pulled, reference, whole_beneath

    def _remembered(self, number: int) -> Result:
        found = next((result for result in self.results if result.number == number), None)
        if found is None:
            raise InputError(f"result {number} is no longer remembered: the last {REMEMBERED} are")
        return found

    def shows(self, result: Result) -> bool:
        """Whether a result is of the photo and the face that are open."""
        return result.work is self.work and result.face == self.face

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

    def _need_photo(self) -> Work:
        if self.work is None:
            raise InputError("there is no photo yet: open one or choose a built-in face")
        return self.work


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


def _turned(work: Work) -> Work:
    """A photo turned by 90° counterclockwise, whose faces are to be found anew."""
    file, turn = work.file, Image.Transpose.ROTATE_90
    shown, own = file.shown.transpose(turn), file.own.transpose(turn)
    own.info |= file.own.info
    turned = replace(file, shown=shown, own=shown if file.own is file.shown else own)
    return work._replace(file=turned, turns=work.turns + 1, untouched=work.untouched and work.untouched.transpose(turn))


def _packed(hole: Tensor) -> bytes:
    """What is hidden of a photo, (1, 1, H, W), in little memory."""
    return zlib.compress(np.packbits(hole.numpy()).tobytes(), 1)


def _unpacked(content: bytes, size: tuple[int, int]) -> Tensor:
    """Undoes `_packed`, given height and width."""
    bits = np.unpackbits(np.frombuffer(zlib.decompress(content), np.uint8), count=size[0] * size[1])
    return torch.from_numpy(bits.astype(bool)).reshape(1, 1, *size)


def _follows_the_face(name: str) -> bool:
    return name == "face-mask" or name in masks.STANDARD[6:]


def _part(report: Report, number: int, count: int) -> Report:
    """The report of the `number`-th of `count` equal parts of the work."""
    return lambda share, words: report((number + share) / count, words)
