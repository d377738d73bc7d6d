"""The parts of the studio that a browser draws, one anywidget each; what they mean is `studio.Studio`'s business.

A part sends messages `{"do": ..., ...}` about what the visitor has done and shows what its traits hold.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
from traitlets import Bool, Bytes, Dict, Float, Int, List, Unicode

from faceinpaint.studio import strokes

FOLDER = Path(__file__).parent


def _module(*names: str) -> str:
    """A part's JavaScript, behind what all parts share."""
    return "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in ("parts", *names))


class Opener(anywidget.AnyWidget):
    """Buttons that bring pictures in; `aim` is "photo" (drop, paste and camera too), "mask" or "reference".

    A reference that is there is shown small, in `picture`; `known`: whether one can be rendered. `turnable`: whether
    there is a photo to turn; `faceless`: whether it is one in which no face was found. `state`: what a next kernel
    needs to go on. `asking`: whether it is not clear which part of a mask is the hole.
    """

    _esm = _module("reference", "opener")
    aim = Unicode("photo").tag(sync=True)
    label = Unicode().tag(sync=True)
    title = Unicode().tag(sync=True)
    picture = Bytes().tag(sync=True)
    known = Bool(False).tag(sync=True)
    turnable = Bool(False).tag(sync=True)
    faceless = Bool(False).tag(sync=True)
    state = Dict().tag(sync=True)
    asking = Bool(False).tag(sync=True)


class Strip(anywidget.AnyWidget):
    """Small pictures to choose from; items: `{"id": ..., "title": ..., "picture": bytes}` each, and a caption."""

    _esm = _module("strip")
    label = Unicode().tag(sync=True)
    items = List(Dict()).tag(sync=True)
    chosen = Unicode().tag(sync=True)
    empty = Unicode().tag(sync=True)  # said while there are none


class Slider(anywidget.AnyWidget):
    """A share between two bounds."""

    _esm = _module("slider")
    label = Unicode().tag(sync=True)
    title = Unicode().tag(sync=True)
    value = Float(0.0).tag(sync=True)
    least = Float(0.0).tag(sync=True)
    most = Float(1.0).tag(sync=True)


class Status(anywidget.AnyWidget):
    """A sentence, "info" or "error", and a progress bar; share: 0 to 1, or -1 while nothing is going on."""

    _esm = _module("status")
    words = Unicode().tag(sync=True)
    kind = Unicode("info").tag(sync=True)
    share = Float(-1.0).tag(sync=True)


class Editor(anywidget.AnyWidget):
    """The face, or the whole photo, and what is hidden of it; pictures are the contents of image files."""

    _esm = _module("zoom", "landmarks", "editor")
    _css = FOLDER / "studio.css"
    size = Int(256).tag(sync=True)  # pixels of the face, in which landmarks are
    whole = Bool(False).tag(sync=True)  # whether it is the photo that is drawn on
    wide = Float(256.0).tag(sync=True)  # of what is drawn on, in the pixels that positions are sent in
    high = Float(256.0).tag(sync=True)
    squaring = Bool(False).tag(sync=True)  # whether a square is asked for, and no stroke
    reach = Float(strokes.REACH).tag(sync=True)
    picture = Bytes().tag(sync=True)
    mask = Bytes().tag(sync=True)  # as large as the picture, opaque where it hides
    version = Int(0).tag(sync=True)  # of the mask
    ratio = Float(0.0).tag(sync=True)
    can_undo = Bool(False).tag(sync=True)
    can_redo = Bool(False).tag(sync=True)
    points = List().tag(sync=True)  # [x, y, colour, part of the face] of each landmark that is shown
    pulled = Bool(False).tag(sync=True)  # whether any were moved by hand
    photo = Bytes().tag(sync=True)  # the whole one, to choose a face from
    boxes = List().tag(sync=True)  # [left, top, width, height] in per cent of the photo, while one is to be chosen
    several = Bool(False).tag(sync=True)


class ResultView(anywidget.AnyWidget):
    """One result, or an empty frame with a hint while there are no pictures."""

    _esm = _module("zoom", "result")
    number = Int(0).tag(sync=True)
    heading = Unicode("Result").tag(sync=True)
    hint = Unicode().tag(sync=True)
    sentence = Unicode().tag(sync=True)
    note = Unicode().tag(sync=True)
    same = Unicode().tag(sync=True)  # person: "yes", "no", or "" where nothing is known to compare with
    against = Unicode().tag(sync=True)  # with which it is compared: "original" or "reference"
    distance = Float(None, allow_none=True).tag(sync=True)
    threshold = Float(1.0).tag(sync=True)
    original = Bytes().tag(sync=True)
    masked = Bytes().tag(sync=True)
    completed = Bytes().tag(sync=True)
    photo_before = Bytes().tag(sync=True)
    photo_masked = Bytes().tag(sync=True)
    photo_after = Bytes().tag(sync=True)
    upload = Int(0).tag(sync=True)  # the number of the file that it was made of, if it was one
    piece = Bytes().tag(sync=True)  # what was painted of that, should the kernel end ...
    place = List().tag(sync=True)  # ... and its left and upper edge in the photo
    file_name = Unicode().tag(sync=True)
