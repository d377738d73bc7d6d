"""The Mask Studio: what a browser shows of a `Session`, and what it does to it.

    from faceinpaint.studio import Studio
    Studio()

Everything happens in `session`; a part's message calls one method of it, and an error becomes one sentence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import ipywidgets
from ipywidgets import Box, Button, Checkbox, Dropdown, VBox
from safetensors import safe_open

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError, reason_of
from faceinpaint.faces import align
from faceinpaint.faces.mask_files import WhichWayRound
from faceinpaint.faces.photos import to_image
from faceinpaint.studio import pictures, portraits
from faceinpaint.studio.parts import Editor, Opener, ResultView, Slider, Status, Strip
from faceinpaint.studio.session import WHOLE, Result, Session, png

REFERENCE = "Open a second photo of the same person, to go by: choose a file, or drop or paste one here"
WHY_WHOLE = (
    "A mask that you draw or import may hide damage; only in a whole photo the completed face can be compared with the "
    "original one"
)
LEFT = "left"  # in the place of a result's number
LARGEST_PIECE = 4_000_000  # pixels of what was painted, to be sent once more
ALONE = "none"  # in the place of second weights
HINT = "Choose or draw a mask, then press Generate"
HEADINGS = ("Result", "Compared")  # of the frames for results while they are empty
PLACES = (  # of the first six masks, and of the next, which are cut to the face
    "left half", "right half", "upper left quarter", "lower left quarter", "upper right quarter", "lower right quarter",
)
RATIO = (0.1, 0.55)  # the least and the most that an irregular mask may hide


class Studio(VBox):
    """The whole studio as one widget, with its own `session`."""

    def __init__(self, session: Session | None = None) -> None:
        self._parts: list[bytes] = []  # of a file that is being sent
        self._asked = b""  # a mask of which it is not clear which part is the hole
        self.session = session or Session()
        self._shown: list[Result | None] = [None, None]
        self._landmarks_shown = False
        self._busy = False
        self._build()
        super().__init__([self._page])
        self.add_class("fi-frame")  # by whose width the page is arranged
        self._face_chosen({"do": "choose", "id": self.faces.items[0]["id"]})
        self._load_soon()

    # -------------------------------------------------------------------------------- the widgets

    def _build(self) -> None:
        self.editor = Editor(size=self.session.size)
        self.status = Status()
        self.opener = Opener(label="Open", title="Open a photo: choose a file, or drop or paste one anywhere here")
        self.mask_opener = Opener(aim="mask", label="Import", title="Import a mask, PNG, white = unknown")
        self.reference = Opener(aim="reference", label="Add reference", title=REFERENCE)
        self.faces = Strip(label="Built-in faces", items=_face_items())
        self.masks = Strip(label="Masks", items=_mask_items())
        title = "How much the random strokes of the irregular mask hide"
        self.ratio = Slider(label="Irregular", title=title, value=0.3, least=RATIO[0], most=RATIO[1])
        self.whole = Checkbox(description=WHOLE, tooltip=WHY_WHOLE, indent=False)
        choices = self.session.choices()
        self.weights = Dropdown(options=choices, value=choices[0], description="Method")
        self.beside = Dropdown(options=[ALONE, *choices], value=ALONE, description="Compare with")
        self.generate_button = Button(description="Generate", tooltip="Complete the face (g)")
        self.another_button = Button(description="Another answer", tooltip="Another answer for the same hole (a)")
        self.results = tuple(ResultView(hint=HINT, heading=heading) for heading in HEADINGS)
        self.history = Strip(label="The last ten results", empty="Results will be kept here, the last ten of them.")
        self._name_parts()
        self._listen()

    def _name_parts(self) -> None:
        self._photo_box = _section("photo", "Photo", self.opener, self.faces, self.reference)
        self._mask_box = _section("mask", "Mask", self.masks, self.ratio, self.mask_opener, self.whole)
        self._paint_box = _section("paint", "Complete", self.weights, self.beside, self.generate_button,
                                   self.another_button)
        self._results = Box(self.results)
        self._history_box = _section("history", "History", self.history)
        self._page = Box([self._photo_box, self._mask_box, self._paint_box, self.editor, self._results, self.status,
                          self._history_box])
        names = {
            "fi-studio": self._page,
            "fi-results": self._results, "fi-ratio-slider": self.ratio, "fi-weights": self.weights,
            "fi-beside": self.beside, "fi-generate": self.generate_button, "fi-another": self.another_button,
            "fi-first": self.results[0], "fi-second": self.results[1], "fi-edit": self.editor, "fi-say": self.status,
            "fi-faces": self.faces, "fi-masks": self.masks, "fi-refer": self.reference, "fi-beneath": self.whole,
        }
        for name, widget in names.items():
            widget.add_class(name)

    def _listen(self) -> None:
        for part, handler in (
            (self.editor, self._edited), (self.opener, self._opened), (self.mask_opener, self._mask_opened),
            (self.reference, self._reference_opened),
            (self.faces, self._face_chosen), (self.masks, self._mask_chosen), (self.history, self._recalled),
            (self.results[0], partial(self._asked_of_result, 0)), (self.results[1], partial(self._asked_of_result, 1)),
        ):
            part.on_msg(lambda _, content, buffers, handler=handler: self._heard(handler, content, buffers))
        self.generate_button.on_click(lambda _: self._safely(self._generate))
        self.another_button.on_click(lambda _: self._safely(self._another_answer))
        self.ratio.observe(lambda _: self._safely(self._mask_chosen, {"id": "irregular"}), "value")
        self.whole.observe(lambda _: self._safely(self._whole_said), "value")
        self.beside.observe(lambda _: self._safely(self._arrange), "value")

    def _heard(self, handler: Callable, content: dict, buffers: list | None) -> None:
        """Act on a message; a large file comes in several, of which the last one counts."""
        if content.get("at") == 0:
            self._parts = []
        if buffers and "at" in content:
            self._parts.append(bytes(buffers[0]))
            if content["more"]:
                return
            buffers, self._parts = [b"".join(self._parts)], []
        self._safely(handler, content, buffers)

    def _safely(self, handler: Callable, content: dict | None = None, buffers: list | None = None) -> None:
        """Call a handler; what goes wrong is said, because in a page of its own nobody would see it."""
        try:
            arguments = [] if content is None else [content, buffers] if buffers else [content]
            handler(*arguments)
        except InputError as error:
            self.say(str(error), "error")
        except Exception as error:
            what = f"{type(error).__name__}: {reason_of(error)}"
            self.say(f"that went wrong inside the studio ({what}); go on, or reload the page", "error")

    def say(self, words: str, kind: str = "info") -> None:
        """Put one sentence, "info" or "error", into the studio."""
        sentence = words[:1].upper() + words[1:]
        with self.status.hold_sync():
            self.status.words, self.status.kind = sentence.rstrip(".") + ".", kind

    def _load_soon(self) -> None:
        """Read the networks while the page is being drawn, and not at the first click that needs them."""
        try:
            asyncio.get_running_loop().call_later(0.1, lambda: self._safely(self.session.prepare))
        except RuntimeError:  # no kernel, nobody who waits
            pass

    # -------------------------------------------------------------------------------- the photo

    def _opened(self, content: dict, buffers: list | None = None) -> None:
        if content["do"] == "say":
            raise InputError(content["words"])
        if content["do"] == "square":
            self._ask_for_square()
            return
        try:
            said = self._open(content, buffers)
        finally:  # one without a face can be turned too, or the visitor says where it is
            self._show_placing()
        self._show_face(choosing=len(self.session.crops) > 1 and content["do"] != "take up")
        self.say(said)

    def _open(self, content: dict, buffers: list | None) -> str:
        do, session = content["do"], self.session
        if do == "new":
            self.say("rendering somebody who does not exist")
            return session.open_new_person()
        if do == "as it is":
            return session.take_as_it_is()
        if do == "take up":
            session.take_up(content["state"], bytes(buffers[0]))
            lost = ", but not what had been completed before" if content["state"]["went_on"] else ""
            return f"photo and mask are here again{lost}"
        self.say("looking for faces in the photo")
        return session.turn() if do == "turn" else session.open(
            bytes(buffers[0]), content.get("name", ""), content.get("upload", 0)
        )

    def _face_chosen(self, content: dict) -> None:
        said = self.session.open_built_in(content["id"])
        self._show_face()
        self.say(said)

    def _show_face(self, choosing: bool = False) -> None:
        """Show the face, or the whole photo where the visitor works on that, and all that belongs to it."""
        session, editor = self.session, self.editor
        several = len(session.crops) > 1
        with editor.hold_sync():
            editor.squaring, editor.several = False, several
            editor.photo = pictures.overview(session.photo) if several else b""
            editor.picture = pictures.overview(session.photo) if editor.whole else pictures.face_png(session)
            editor.wide, editor.high = map(float, session.photo.size if editor.whole else 2 * [session.size])
            self._show_mask()
            editor.boxes = pictures.boxes(session) if choosing else []
        self.faces.chosen = session.person if isinstance(session.person, str) else ""
        self._show_whole()
        self._show_reference()
        self._forget_others()

    def _show_placing(self) -> None:
        """Say whether there is a photo to turn, and whether its face is to be found by hand."""
        with self.opener.hold_sync():
            self.opener.turnable, self.opener.faceless = self.session.to_place is not None, self.session.faceless

    def _ask_for_square(self) -> None:
        """Show the photo, on which the visitor draws a square around the face."""
        photo, editor = self.session.to_place, self.editor
        with editor.hold_sync():
            editor.squaring, editor.boxes, editor.points = True, [], []
            editor.picture = pictures.overview(photo)
            editor.wide, editor.high = map(float, photo.size)
            editor.mask, editor.version = pictures.clear_png(photo), editor.version + 1
        self.say("draw a square around the face, from one corner to the other")

    # ----------------------------------------------------------------------------- the reference

    def _reference_opened(self, content: dict, buffers: list | None = None) -> None:
        if content["do"] == "say":
            raise InputError(content["words"])
        if content["do"] == "forget":
            self.session.forget_reference()
            said = "the reference was removed"
        elif content["do"] == "another":
            said = self.session.open_another_photo()
        else:
            said = self.session.open_reference(bytes(buffers[0]))
        self._show_reference()
        self.say(said)

    def _show_reference(self) -> None:
        reference = self.session.reference
        with self.reference.hold_sync():
            self.reference.picture = b"" if reference is None else pictures.thumb(reference.image.cpu())
            self.reference.known = self.session.has_another_photo

    # --------------------------------------------------------------------------------- the mask

    def _show_whole(self) -> None:
        """Tick what is known of the photo; of the studio's own nobody need say it."""
        known = self.session.person is not None
        self.whole.disabled = True  # whatever it shows, nobody has said it
        self.whole.value = known or self.session.whole_beneath
        self.whole.disabled = known

    def _whole_said(self) -> None:
        if not self.whole.disabled:
            self.session.whole_beneath = self.whole.value
            self.say("generate again for a verdict" if self.whole.value else "the mask may hide damage")

    def _edited(self, content: dict) -> None:
        do, session = content["do"], self.session
        if do in ("paint", "erase"):
            session.draw(content["stroke"], do == "erase", content.get("on_photo", False))
        elif do in ("undo", "redo", "invert", "clear"):
            getattr(session, do)()
        elif do == "face":
            session.choose_face(content["number"])
            self._show_face()
            self.say(f"face {content['number'] + 1} of {len(session.crops)}")
            return
        elif do == "finer":
            whole = self.editor.whole or self.editor.squaring
            photo = session.to_place if self.editor.squaring else session.photo
            region, part = pictures.finer(photo, content["region"], None if whole else session.crop)
            self.editor.send({"region": region}, [part])
            return
        elif do == "square":
            said = session.take_square(content["left"], content["top"], content["side"])
            self._show_face()
            self.say(said)
            return
        elif do == "view":
            self.editor.whole = not self.editor.whole
            self._show_face()
            return
        elif do == "people":
            choosing = not self.editor.boxes
            self._show_face(choosing)
            self.say("click the face you mean" if choosing else f"face {session.face + 1} of {len(session.crops)}")
            return
        elif do in ("generate", "another"):
            self._generate() if do == "generate" else self._another_answer()
            return
        elif do == "pull":
            session.pull(content["index"], content["x"], content["y"])
            self.say(f"landmark {content['index']} moved; generate again to see the face follow")
        elif do == "release":
            session.release()
        elif do == "landmarks":
            self._landmarks_shown = not self._landmarks_shown
        self._show_mask()

    def _mask_chosen(self, content: dict) -> None:
        self.session.lay(content["id"], self.ratio.value)
        self._show_mask()

    def _mask_opened(self, content: dict, buffers: list | None = None) -> None:
        if content["do"] == "say":
            raise InputError(content["words"])
        if content["do"] == "save":
            self.mask_opener.send({"name": "mask.png"}, [self.session.export_mask()])
            return
        if content["do"] == "open":
            self._asked = bytes(buffers[0])
        try:
            said = self.session.import_mask(self._asked, {"invert": True, "as it is": False}.get(content["do"]))
        except WhichWayRound:
            self.mask_opener.asking = True
            self.say("the mask hides most of the photo: is that the hole, or is it the other way round?", "error")
            return
        self.mask_opener.asking, self._asked = False, b""
        self._show_face()
        self.say(said)

    def _show_mask(self) -> None:
        if self.editor.squaring:  # it is the open photo again that is worked on
            self._show_face()
            return
        self._show_placing()
        session = self.session
        points = session.landmarks[0].tolist() if self._landmarks_shown and not self.editor.whole else []
        self.masks.chosen, self.opener.state = session.mask_name, session.state
        with self.editor.hold_sync():
            self.editor.mask = pictures.mask_png(session, self.editor.whole)
            self.editor.ratio = session.hole_ratio
            self.editor.can_undo, self.editor.can_redo = session.can_undo, session.can_redo
            self.editor.version += 1
            self.editor.boxes = []
            self.editor.pulled = session.pulled
            self.editor.points = [[*point, *part] for point, part in zip(points, pictures.parts())]

    # ------------------------------------------------------------------------------ the results

    def _generate(self) -> None:
        names = [self.weights.value] + [name for name in (self.beside.value,) if name != ALONE]
        known = {one.number for one in self.session.results}
        made = self._while_disabled(partial(self.session.generate, *names, report=self._report))
        self._show_result(0, made[0])
        self._show_result(1, made[1] if len(made) > 1 else None)
        self._completed(made)
        if known >= {one.number for one in made}:
            self.say(f"that is result {made[0].number}: for a new one hide something else, or ask for another answer")

    def _another_answer(self) -> None:
        answer = self._while_disabled(partial(self.session.another_answer, self.weights.value, report=self._report))
        self._show_first(answer)
        self._completed([answer])

    def _while_disabled(self, work: Callable):
        """What the work gives; nobody can ask for more of it meanwhile."""
        buttons = self.generate_button, self.another_button
        try:
            for button in buttons:
                button.disabled = True
            return work()
        finally:
            for button in buttons:
                button.disabled = False
            self.status.share = -1.0

    def _completed(self, made: list[Result]) -> None:
        """Put new results into the history, and say what came out."""
        self._arrange()
        self._show_history(made[0])
        self._show_mask()
        notes = "".join(f"; {one.note}" for one in made if one.note)
        self.say(f"completed in {sum(one.seconds for one in made):.1f} s{notes}; {_answers(made)}")

    def _show_history(self, chosen: Result | None) -> None:
        """Show the results that are remembered, and the photo that was left without one."""
        items = [
            {"id": str(one.number), "title": f"Result {one.number}: {_described(one)}, {one.verdict}",
             "picture": pictures.thumb(one.completed)} for one in reversed(self.session.results)
        ]
        if self.session.left is not None:
            photo, crop = self.session.left.work.photo, self.session.left.crop
            face = pictures.face_of(photo, crop, 2 * pictures.THUMB)
            items.append({"id": LEFT, "title": "The photo that has no result yet", "picture": pictures.thumb(face)})
        with self.history.hold_sync():
            self.history.items, self.history.chosen = items, str(chosen.number) if chosen else ""

    def _report(self, share: float, words: str) -> None:
        self.status.share = share
        self.say(words)

    def _show_result(self, place: int, result: Result | None) -> None:
        """Show a result in the first or second place, or none."""
        self._shown[place] = result
        view = self.results[place]
        with view.hold_sync():
            for name, content in pictures.result_pictures(result).items():
                setattr(view, name, content)
            view.number, view.heading = (result.number, result.weights) if result else (0, HEADINGS[place])
            if result:
                view.file_name, view.upload = result.file_name, result.work.upload
                view.piece, view.place = _piece(result)
                view.note = result.note[:1].upper() + result.note[1:]
                view.sentence, view.against = _sentence(result), result.against
                view.same, view.distance, view.threshold = result.same, result.distance, result.threshold

    def _show_first(self, result: Result) -> None:
        """Show a result in the first place; in the second one stays what is of the same hole."""
        beside = self._shown[1]
        self._show_result(0, result)
        if beside is not None and beside.step.hole != result.step.hole:
            self._show_result(1, None)

    def _forget_others(self) -> None:
        """Show no results of another photo or another face than those that are open; the history keeps them."""
        for place, result in enumerate(self._shown):
            if result is not None and not self.session.shows(result):
                self._show_result(place, None)
        if self._shown[0] is None:
            self.history.chosen = ""

    def _arrange(self) -> None:
        """Room for the second result while second weights are chosen."""
        if self.beside.value == ALONE:
            self._page.remove_class("fi-two")
        else:
            self._page.add_class("fi-two")

    def _recalled(self, content: dict) -> None:
        if content["id"] == LEFT:
            self.session.resume()
            self._show_history(None)
            self._show_face()
            self.say("back at the photo that has no result yet")
            return
        result = self.session.recall(int(content["id"]))
        self._show_first(result)
        self._show_history(result)
        self._show_face()
        self.say(f"result {result.number} by {_described(result)}; {_answers([result])}")

    def _asked_of_result(self, place: int, content: dict) -> None:
        result = self._shown[place]
        if content["do"] == "say":
            self.say(content["words"])
        elif result is None:
            return
        elif content["do"] == "save":
            self.results[place].send({"name": result.file_name}, [result.file])
        elif content["do"] == "finer":
            crop = None if content["whole"] else result.crop
            region, after = pictures.finer(result.photo, content["region"], crop)
            before = b"" if content["masked"] else pictures.finer(result.before, content["region"], crop)[1]
            self.results[place].send(content | {"region": region}, [before, after])
        elif content["do"] == "go on":
            self.session.go_on(result.number)
            self._show_face()
            self.say("the result is the photo now: draw on what is still wrong, or choose another face")


def _piece(result: Result) -> tuple[bytes, list[int]]:
    """What a page that has the photo's file needs to save a result alone, and where it lies."""
    work = result.work
    if not work.upload or work.turns or work.untouched or result.painted[0, 0].numel() > LARGEST_PIECE:
        return b"", []
    return png(to_image(result.painted)), list(result.area[:2])


def _described(result: Result) -> str:
    """By which weights a result was made, and what is special about it."""
    return f"{result.weights}, {result.note}" if result.note else result.weights


def _answers(made: list[Result]) -> str:
    """Whether results of one hole show the same person, in few words: on a phone there is little room."""
    if made[0].distance is None:
        return "no verdict"
    answers = ", ".join(one.same if len(made) == 1 else f"{one.same} by {one.weights}" for one in made)
    return f"same person: {answers}"


def _sentence(result: Result) -> str:
    """What stands beside a result."""
    if result.distance is None:
        return result.verdict[:1].upper() + result.verdict[1:]
    compared = " from the reference" if result.against == "reference" else ""
    return f"Same person: {result.same}, distance {result.distance:z.3f}{compared}"


def _section(name: str, title: str, *widgets: ipywidgets.Widget) -> VBox:
    """A part of the page with its heading."""
    heading = ipywidgets.HTML(f"<h3>{title}</h3>").add_class("fi-heading")
    return VBox([heading, *widgets]).add_class("fi-section").add_class(f"fi-at-{name}")


def _face_items() -> list[dict]:
    items = []
    # The astronaut is shown where there is nobody else; her name is known everywhere.
    for name in [name for name in portraits.built_in() if name != portraits.ASTRONAUT] or [portraits.ASTRONAUT]:
        photo, points = portraits.portrait(name)
        face = pictures.face_of(photo, align.crop_from_points(points), 2 * pictures.THUMB)
        items.append({"id": name, "title": name, "picture": pictures.thumb(face)})
    return items


def _mask_items() -> list[dict]:
    # The mean face stands in the predictor's file: reading it alone spares the page a second of imports.
    with safe_open(weights.path_of("landmarks"), framework="pt") as file:
        landmarks = file.get_tensor("mean_face").float()[None] * pictures.THUMB - 0.5
    return [
        {"id": name, "title": f"{name}: {_what_it_hides(name)}", "caption": _what_it_hides(name),
         "picture": pictures.mask_thumb(name, landmarks)} for name in masks.NAMES
    ]


def _what_it_hides(name: str) -> str:
    if name in masks.STANDARD:
        place = masks.STANDARD.index(name)
        return PLACES[place % 6] + (" of the face" if place >= 6 else "")
    return {"irregular": "random strokes", "block": "a random rectangle", "face-mask": "what a face mask hides"}[name]
