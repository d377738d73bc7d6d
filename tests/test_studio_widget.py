"""The studio's widget without a browser, and the server of its page."""

from __future__ import annotations

import io
import json
import socket

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from typer.testing import CliRunner

from faceinpaint.basics.errors import InputError
from faceinpaint.cli import app
from faceinpaint.faces import align
from faceinpaint.faces.photos import to_bytes, to_image
from faceinpaint.studio import Session, Studio, pictures, serve


@pytest.fixture(scope="module")
def studio():
    return Studio(Session(size=64))


def send(part, buffers=(), **message):
    """What the browser would send for a part."""
    part._handle_custom_msg(message, list(buffers))


def test_a_message_is_one_call_of_the_session(studio):
    version = studio.editor.version
    send(studio.editor, do="paint", stroke=[5, [10, 10, 50, 50]])
    assert studio.session.hole.any() and studio.editor.version == version + 1 and studio.editor.can_undo
    assert studio.editor.ratio == studio.session.hole_ratio > 0.1
    send(studio.editor, do="undo")
    assert not studio.session.hole.any() and studio.editor.can_redo


def test_the_mask_is_sent_opaque_where_it_hides(studio):
    send(studio.masks, do="choose", id="mask01")
    alpha = Image.open(io.BytesIO(studio.editor.mask)).getchannel("A")
    assert alpha.size == (64, 64) and alpha.getpixel((5, 5)) == 255 and alpha.getpixel((60, 5)) == 0


@pytest.mark.parametrize("part, message, sentence", [
    ("editor", {"do": "paint", "stroke": "no stroke"}, "A stroke is"),
    ("editor", {"do": "face", "number": 9}, "There is no face 9"),
    ("editor", {"do": "pull", "index": 1, "x": 999, "y": 0}, "can't be moved"),
    ("masks", {"do": "choose", "id": "mask1"}, "did you mean 'mask01'"),
    ("faces", {"do": "choose", "id": "../../secret.png"}, "There is no built-in face"),
    ("opener", {"do": "say", "words": "the camera can't be used"}, "The camera can't be used."),
    ("history", {"do": "choose", "id": "77"}, "Result 77 is no longer remembered"),
    ("editor", {}, "That went wrong inside the studio (KeyError: 'do'); go on, or reload the page."),
])
def test_every_fault_is_one_sentence(studio, part, message, sentence):
    send(getattr(studio, part), **message)
    assert studio.status.kind == "error" and sentence in studio.status.words
    assert "\n" not in studio.status.words and studio.status.words.endswith(".")


def test_on_the_whole_photo_strokes_are_in_its_pixels(studio):
    send(studio.faces, do="choose", id="portrait 1")
    send(studio.editor, do="clear")
    face = studio.editor.picture
    send(studio.editor, do="view")
    wide, high = studio.session.photo.size
    assert studio.editor.whole and (studio.editor.wide, studio.editor.high) == (wide, high)
    send(studio.editor, do="paint", stroke=[6, [wide / 2, high / 2]], on_photo=True)
    assert studio.session.hole[0, 0, high // 2, wide // 2] and studio.session.hole.sum() < 200
    assert Image.open(io.BytesIO(studio.editor.mask)).size == (wide, high)
    send(studio.editor, do="view")
    assert not studio.editor.whole and studio.editor.picture == face and studio.editor.wide == studio.editor.high == 64


@pytest.mark.parametrize("side, face", [(3000, 0), (3000, 700), (900, 400)])
def test_looked_at_closer_a_large_photo_shows_its_own_pixels(side, face):
    noise = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    photo = Image.fromarray(noise).resize((side, side))
    crop = align.Crop((side / 2, side / 2), (face, face / 5)) if face else None
    region, found = pictures.finer(photo, [0.5, 0.25, 1.0, 0.75], crop)
    assert region == [0.5, 0.25, 1.0, 0.75]
    if side == 900:
        assert found == b""  # it is shown in all its pixels
        return
    shown = Image.open(io.BytesIO(found)).convert("RGB")
    if face:
        whole = align.cut(to_bytes(photo), crop, 2048)[0, :, 512:1536, 1024:]
        expected = to_image(whole[None])
    else:
        expected = photo.crop((1500, 750, 3000, 2250))
    assert shown.size == expected.size
    assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).mean() < 8  # of a JPEG


def test_of_a_mask_that_hides_nearly_all_it_is_asked_which_way_round_it_is(studio):
    send(studio.faces, do="choose", id="portrait 1")
    wide, high = studio.session.photo.size
    mask, content = Image.new("L", (wide, high), 255), io.BytesIO()
    mask.paste(0, (wide // 2, high // 2, wide // 2 + 40, high // 2 + 20))
    mask.save(content, "png")
    before = studio.session.hole
    for answer, hidden in (("invert", 800), ("as it is", wide * high - 800)):
        send(studio.mask_opener, [content.getvalue()], do="open")
        assert studio.mask_opener.asking and "the other way round" in studio.status.words
        assert torch.equal(studio.session.hole, before)
        send(studio.mask_opener, do=answer)
        assert not studio.mask_opener.asking and studio.session.hole.sum() == hidden
        before = studio.session.hole


def test_a_mask_of_the_damage_lets_the_face_be_found(studio, astronaut):
    damaged, mask, content, file = astronaut.copy(), Image.new("L", astronaut.size), io.BytesIO(), io.BytesIO()
    damaged.paste("white", (175, 90, 275, 135))
    mask.paste(255, (175, 90, 275, 135))
    damaged.save(content, "png")
    mask.save(file, "png")
    send(studio.opener, [content.getvalue()], do="open")
    assert studio.opener.faceless
    send(studio.mask_opener, [file.getvalue()], do="open")
    assert not studio.opener.faceless and studio.session.photo.tobytes() == damaged.tobytes()
    assert studio.session.hole.sum() == 100 * 45
    studio.generate_button.click()
    assert studio.results[0].completed, studio.status.words


def test_beyond_the_photo_is_grey(astronaut):
    face = pictures.face_of(astronaut, align.Crop((0.0, 256.0), (200.0, 0.0)), 64)
    assert face[..., :30].eq(0.5).all() and not face[..., 34:].eq(0.5).all()


def test_where_no_face_is_found_the_visitor_knows_better(studio):
    content = io.BytesIO()
    Image.new("RGB", (300, 200), "grey").save(content, "png")
    send(studio.opener, [content.getvalue()], do="open", name="wall.png")
    assert studio.opener.faceless and studio.session.photo.size != (300, 200)
    send(studio.opener, do="square")
    assert studio.editor.squaring and (studio.editor.wide, studio.editor.high) == (300, 200)
    send(studio.editor, do="square", left=10, top=10, side=5)
    assert "draw a larger one" in studio.status.words and studio.opener.faceless
    send(studio.editor, do="square", left=50, top=20, side=100)
    assert studio.session.photo.size == (300, 200) and studio.session.crop.half_side == 50
    assert not studio.editor.squaring and not studio.opener.faceless
    send(studio.opener, [content.getvalue()], do="open", name="wall.png")
    send(studio.opener, do="as it is")
    assert studio.session.crop.half_side == 100 and studio.session.crop.centre == (149.5, 99.5)


def test_uploads_come_as_bytes(studio, astronaut):
    content = io.BytesIO()
    astronaut.save(content, "png")
    whole = content.getvalue()
    send(studio.opener, [memoryview(b"left of a file that did not come")], do="open", at=0, more=True)
    for at in range(0, len(whole), 100_000):
        assert studio.status.words != "One face found."
        send(studio.opener, [memoryview(whole[at : at + 100_000])], do="open", at=at, more=at + 100_000 < len(whole))
    assert studio.status.words == "One face found." and studio.faces.chosen == ""
    send(studio.opener, [b"no picture"], do="open", at=0, more=False)
    assert studio.status.words.startswith("The file is not an image") and studio.session.photo.size == (512, 512)


def test_the_button_completes_and_is_there_again(studio):
    send(studio.masks, do="choose", id="mask03")
    studio.beside.value = "mirror"
    studio.generate_button.click()
    first, second = studio.results
    assert (first.heading, second.heading) == ("generator", "mirror") and first.same in ("yes", "no")
    result, beside = list(studio.session.results)[-2:]
    assert first.sentence == f"Same person: {result.same}, distance {result.distance:.3f}"
    assert (first.distance, first.threshold) == (result.distance, result.threshold)
    assert f"same person: {first.same} by generator, {second.same} by mirror" in studio.status.words
    assert studio.status.kind == "info" and studio.status.share == -1 and not studio.generate_button.disabled
    assert [item["id"] for item in studio.history.items][:2] == [str(beside.number), str(result.number)]
    studio.beside.value = "none"
    send(studio.editor, do="clear")
    studio.generate_button.click()
    assert studio.status.kind == "error" and not studio.generate_button.disabled


def test_without_an_original_there_is_no_verdict(studio, astronaut):
    content = io.BytesIO()
    astronaut.save(content, "png")
    send(studio.faces, do="choose", id="portrait 1")
    assert studio.whole.value and studio.whole.disabled and not studio.session.whole_beneath
    send(studio.opener, [content.getvalue()], do="open")
    assert not studio.whole.value and not studio.whole.disabled
    send(studio.editor, do="paint", stroke=[8, [20, 40, 44, 40]])
    studio.generate_button.click()
    view = studio.results[0]
    assert (view.same, view.distance) == ("", None) and view.sentence.startswith("No verdict: ")
    for said in (studio.status.words, studio.history.items[0]["title"]):
        assert "no verdict" in said and "same person" not in said
    assert studio.whole.description in view.sentence
    studio.whole.value = True
    studio.generate_button.click()
    assert view.same and view.distance > 0 and "same person" in studio.status.words
    number = studio.history.chosen
    send(studio.faces, do="choose", id="portrait 4")
    assert not studio.session.whole_beneath
    send(studio.history, do="choose", id=number)
    assert studio.session.whole_beneath and studio.whole.value and not studio.whole.disabled


def test_the_photo_is_turned_and_one_without_a_face_too(studio, astronaut):
    send(studio.faces, do="choose", id="portrait 1")
    send(studio.masks, do="choose", id="mask01")
    shown, size = studio.editor.picture, studio.session.photo.size
    send(studio.opener, do="turn")
    assert studio.status.words == "The photo was turned; one face found." and studio.session.photo.size == size[::-1]
    assert studio.masks.chosen == "" and studio.editor.ratio == 0
    assert studio.editor.picture != shown
    content = io.BytesIO()
    Image.new("RGB", (300, 200), "grey").save(content, "png")
    send(studio.opener, [content.getvalue()], do="open")
    send(studio.opener, do="turn")
    assert studio.status.kind == "error" and "The photo was turned, but no face" in studio.status.words
    assert studio.opener.turnable and studio.session.photo.size == size[::-1]


def test_no_result_is_shown_beside_another_photo(studio):
    send(studio.faces, do="choose", id="portrait 1")
    send(studio.masks, do="choose", id="mask01")
    studio.beside.value = "mirror"
    studio.generate_button.click()
    first, second = studio.results
    kept, number = studio.history.items, str(first.number)
    assert first.completed and second.completed and studio.history.chosen == number
    send(studio.faces, do="choose", id="portrait 4")
    for view, heading in ((first, "Result"), (second, "Compared")):
        assert (view.completed, view.photo_after, view.number, view.heading) == (b"", b"", 0, heading)
    send(first, do="save")  # of which there is nothing
    assert studio.history.items == kept and studio.history.chosen == "" and studio.status.kind == "info"
    send(studio.history, do="choose", id=number)
    assert first.completed and str(first.number) == number == studio.history.chosen and not second.completed
    studio.beside.value = "none"


def test_one_result_is_not_shown_beside_that_of_another_mask(studio):
    studio.beside.value = "mirror"
    studio.generate_button.click()
    assert studio.results[1].completed
    studio.beside.value = "none"
    send(studio.masks, do="choose", id="mask02")
    studio.generate_button.click()
    assert studio.results[0].completed and not studio.results[1].completed


def test_landmarks_moved_by_hand_can_be_forgotten_though_they_are_hidden(studio):
    send(studio.editor, do="landmarks")
    x, y, _, part = studio.editor.points[57]
    send(studio.editor, do="pull", index=57, x=x, y=y + 2)
    assert part == "lips" and studio.editor.points[57][1] == pytest.approx(y + 2)
    assert studio.status.words.startswith("Landmark 57 moved")
    send(studio.editor, do="landmarks")
    assert not studio.editor.points and studio.editor.pulled
    send(studio.editor, do="release")
    assert not studio.editor.pulled


def test_every_mask_says_what_it_hides(studio):
    titles = {item["id"]: item["title"] for item in studio.masks.items}
    assert titles["mask03"] == "mask03: upper left quarter" and titles["mask08"] == "mask08: right half of the face"
    assert titles["block"] == "block: a random rectangle"


def test_a_result_is_saved_under_the_photos_own_name_and_gone_on_from(studio, astronaut, monkeypatch):
    content = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    astronaut.convert("RGBA").save(content, "png", icc_profile=profile)
    send(studio.opener, [content.getvalue()], do="open", name="my photo.webp", upload=7)
    send(studio.masks, do="choose", id="mask03")
    studio.generate_button.click()
    view, sent = studio.results[0], []
    monkeypatch.setattr(view, "send", lambda message, buffers: sent.append((message, buffers)))
    send(view, do="save")
    (message, (file,)), = sent
    saved = Image.open(io.BytesIO(file))
    assert message == {"name": "my photo-completed.png"} == {"name": view.file_name}
    assert saved.mode == "RGBA" and saved.size == (512, 512) and "icc_profile" in saved.info
    # With the photo's file the page could make it alone.
    alone = astronaut.copy()
    alone.paste(Image.open(io.BytesIO(view.piece)), tuple(view.place))
    assert alone.tobytes() == saved.convert("RGB").tobytes()
    send(view, do="go on")
    assert studio.session.photo.tobytes() == alone.tobytes() and not studio.session.hole.any()
    assert not studio.editor.can_undo and view.completed == b"" and "is the photo now" in studio.status.words
    send(studio.editor, do="paint", stroke=[4, [32, 40]])
    studio.generate_button.click()
    assert studio.results[0].file_name == "my photo-completed.png" and studio.results[0].piece == b""


def test_a_photo_without_a_result_is_not_lost_by_a_look_at_an_earlier_one(studio, astronaut):
    send(studio.faces, do="choose", id="portrait 1")
    send(studio.editor, do="paint", stroke=[4, [20, 20]])
    studio.generate_button.click()
    content = io.BytesIO()
    astronaut.save(content, "png")
    send(studio.opener, [content.getvalue()], do="open")
    send(studio.editor, do="paint", stroke=[4, [32, 40]])
    hole, number = studio.session.hole, str(studio.session.results[-1].number)
    send(studio.history, do="choose", id=number)
    assert studio.session.person == "portrait 1" and studio.history.items[-1]["id"] == "left"
    send(studio.history, do="choose", id="left")
    assert studio.session.photo.size == (512, 512) and torch.equal(studio.session.hole, hole)
    assert "left" not in [item["id"] for item in studio.history.items] and studio.history.chosen == ""


def test_the_same_question_has_one_result(studio):
    send(studio.masks, do="choose", id="mask04")
    for _ in range(3):
        studio.generate_button.click()
    assert [item["id"] for item in studio.history.items].count(studio.history.chosen) == 1
    assert studio.status.words.startswith("That is result ") and studio.results[0].completed
    assert sum(one.step.mask_name == "mask04" for one in studio.session.results) == 1


def test_a_square_that_was_begun_ends_where_the_open_photo_is_worked_on(studio):
    send(studio.faces, do="choose", id="portrait 1")
    shown, content = studio.editor.picture, io.BytesIO()
    Image.new("RGB", (2400, 1800), "grey").save(content, "png")
    send(studio.opener, [content.getvalue()], do="open")
    send(studio.opener, do="square")
    assert studio.editor.squaring and studio.opener.faceless and studio.editor.picture != shown
    send(studio.editor, do="clear")
    assert not studio.editor.squaring and not studio.opener.faceless and studio.editor.picture == shown


def test_landmarks_that_were_moved_are_no_other_face_s(studio, astronaut):
    couple, content = Image.new("RGB", (600, 320), "grey"), io.BytesIO()
    couple.paste(astronaut.crop((100, 0, 380, 280)), (10, 20))
    couple.paste(astronaut.crop((100, 0, 380, 280)).resize((200, 200)), (360, 60))
    couple.save(content, "png")
    send(studio.opener, [content.getvalue()], do="open")
    x, y = studio.session.landmarks[0, 30].tolist()
    for further in (2, 4):
        send(studio.editor, do="pull", index=30, x=x, y=y + further)
    send(studio.editor, do="face", number=1)
    send(studio.editor, do="undo")
    assert not studio.session.pulled


def test_another_photo_is_not_taken_up_for_the_one_that_was_worked_on(studio, astronaut):
    file, other = io.BytesIO(), io.BytesIO()
    astronaut.save(file, "png")
    astronaut.resize((400, 400)).save(other, "png")
    send(studio.opener, [file.getvalue()], do="open", name="me.png", upload=5)
    state = json.loads(json.dumps(studio.opener.state))
    assert state["upload"] == 5 and not state["went_on"]
    send(studio.opener, [other.getvalue()], do="take up", state=state, at=0, more=False)
    assert "another photo" in studio.status.words and studio.session.photo.size == (512, 512)


@pytest.mark.parametrize("how", ["a file", "a turned file", "a portrait"])
def test_another_kernel_takes_up_what_was_there(studio, astronaut, how):
    content = io.BytesIO()
    astronaut.crop((60, 0, 420, 300)).save(content, "png")
    if how == "a portrait":
        send(studio.faces, do="choose", id="portrait 4")
    else:
        send(studio.opener, [content.getvalue()], do="open", name="me.png")
    if how == "a turned file":
        send(studio.opener, do="turn")
    send(studio.editor, do="paint", stroke=[5, [20, 20, 40, 30]])
    other, state = Studio(Session(size=64)), json.loads(json.dumps(studio.opener.state))
    file = b"" if how == "a portrait" else content.getvalue()
    send(other.opener, [file], do="take up", state=state, at=0, more=False)
    assert other.session.photo.tobytes() == studio.session.photo.tobytes() and other.session.crop == studio.session.crop
    assert torch.equal(other.session.hole, studio.session.hole) and other.editor.picture == studio.editor.picture
    assert other.status.words == "Photo and mask are here again."


def test_another_ratio_draws_another_mask(studio):
    studio.ratio.value = 0.5
    assert studio.session.hole_ratio == pytest.approx(0.5, abs=0.02)


# --------------------------------------------------------------------------------------------- its page


def test_a_port_that_is_taken_is_said():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="choose another --port"):
            serve.serve(port=other.getsockname()[1])


def test_the_page_is_for_this_machine_and_lets_nothing_out():
    config = serve.settings("127.0.0.1", 8866, "secret")
    assert config.Voila.ip == "127.0.0.1" and config.Voila.token == "secret" and config.VoilaConfiguration.strip_sources
    assert config.Voila.tornado_settings["websocket_max_message_size"] > 32_000_000
    policy = config.Voila.tornado_settings["headers"]["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy
    assert serve.visible("::1") == "[::1]" and serve.visible("0.0.0.0") == socket.gethostname()


def test_the_page_holds_the_studio_and_nothing_else():
    (cell,) = nbformat.read(serve.PAGE, as_version=4).cells
    assert cell.source.endswith("Studio()") and not cell.outputs


def test_the_command_says_what_it_does():
    said = CliRunner().invoke(app, ["studio", "--help"]).output
    assert "Mask Studio" in said and "8866" in said and "--no-browser" in said and "--base-url" in said
