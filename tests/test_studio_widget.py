"""The studio's widget without a browser, and the server of its page."""

from __future__ import annotations

import io
import socket

import nbformat
import pytest
from PIL import Image
from typer.testing import CliRunner

from faceinpaint.basics.errors import InputError
from faceinpaint.cli import app
from faceinpaint.studio import Session, Studio, serve


@pytest.fixture(scope="module")
def studio():
    return Studio(Session(size=64))


def send(part, buffers=(), **message):
    """What the browser would send for a part."""
    part._handle_custom_msg(message, list(buffers))


def test_a_message_is_one_call_of_the_session(studio):
    version = studio.editor.version
    send(studio.editor, do="paint", stroke=[5, [10, 10, 50, 50]])
    assert studio.session.mask.any() and studio.editor.version == version + 1 and studio.editor.can_undo
    assert studio.editor.ratio == pytest.approx(studio.session.mask.mean().item())
    send(studio.editor, do="undo")
    assert not studio.session.mask.any() and studio.editor.can_redo


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
    result = studio.session.results[0]
    assert first.sentence == f"Same person: {result.same}, distance {result.distance:.3f}"
    assert (first.distance, first.threshold) == (result.distance, result.threshold) and first.middle == 25
    assert f"same person: {first.same} by generator, {second.same} by mirror" in studio.status.words
    assert studio.status.kind == "info" and studio.status.share == -1 and not studio.generate_button.disabled
    assert [item["id"] for item in studio.history.items] == ["2", "1"]
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
    assert studio.masks.chosen == studio.faces.chosen == "" and studio.editor.ratio == 0
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
    for view, heading in ((first, "Result"), (second, "Beside")):
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


def test_another_ratio_draws_another_mask(studio):
    studio.ratio.value = 0.5
    assert studio.session.mask.mean().item() == pytest.approx(0.5, abs=0.011)


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
