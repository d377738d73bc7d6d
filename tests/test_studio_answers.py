"""The studio without a browser: a second photo of the person, and several answers for one hole."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from PIL import Image
from test_studio_session import content

from faceinpaint import Completer
from faceinpaint.basics.errors import InputError
from faceinpaint.prior.answers import Style
from faceinpaint.studio import Studio, portraits
from faceinpaint.studio.session import Session


@pytest.fixture
def session():
    session = Session(size=64)
    session.open_built_in("portrait 1")
    session.lay("face-mask")
    return session


def differs_in_the_hole_only(one, other):
    known = one.mask.expand(-1, 3, -1, -1) < 0.5
    return torch.equal(one.completed[known], other.completed[known]) and not torch.equal(one.completed, other.completed)


# ------------------------------------------------------------------------------------- the reference


def test_a_reference_changes_what_is_in_the_hole(session):
    (without,) = session.generate()
    file = content(portraits.another("portrait 1")[0])
    assert "the reference will be used" in session.open_reference(file)
    (used,) = session.generate()
    assert differs_in_the_hole_only(used, without) and (without.note, used.note) == ("", "with the reference")
    session.forget_reference()
    (again,) = session.generate()
    assert torch.equal(again.completed, without.completed) and again.reference is None


def test_it_is_what_the_completer_does(astronaut):
    other = astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    session = Session(size=64)
    session.open(content(astronaut))
    session.lay("mask03")
    session.open_reference(content(other))
    style = Style.draw(1, torch.Generator().manual_seed(5))
    completer = Completer.from_pretrained(size=64)
    for result, asked in ((session.generate()[0], None), (session.another_answer(seed=5), style)):
        expected = completer(astronaut, "mask03", reference=other, style=asked)
        assert result.photo.tobytes() == expected.photo.tobytes()
    assert result.note == "another answer, with the reference"


def test_a_face_is_compared_with_the_reference_where_the_original_is_not_known(astronaut):
    other = astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    session = Session(size=64)
    session.open(content(astronaut))
    session.draw([10, [24, 40, 40, 40]])
    session.open_reference(content(other))
    (result,) = session.generate()
    completer = Completer.from_pretrained(size=64)
    # What is remembered is painted in the drawn pixels alone, what was compared in those of the photo's grid too.
    faces = (result.completed, result.landmarks), (session.reference.image, session.reference.landmarks)
    expected = completer.recogniser.distance(*(completer.embed(*face) for face in faces)).item()
    assert result.distance == pytest.approx(expected, abs=0.02) and result.against == "reference"
    assert result.verdict.endswith("compared with the reference")
    session.whole_beneath = True
    assert session.generate()[0].against == "original"


@pytest.mark.parametrize("bad, sentence", [
    (b"no picture", "the reference is no good: .*not an image"),
    (content(Image.new("RGB", (300, 300), "grey")), "the reference is no good: no face was found"),
    (bytes(33_000_000), "33 MB: give one of at most 32 MB"),
])
def test_a_bad_reference_is_one_sentence_and_changes_nothing(session, bad, sentence):
    session.open_another_photo()
    before = session.reference
    with pytest.raises(InputError, match=sentence) as error:
        session.open_reference(bad)
    assert "\n" not in str(error.value) and session.reference is before


def test_the_recogniser_finds_the_same_person_in_both_photos_of_a_portrait():
    session = Session()
    for name in ("portrait 1", "portrait 4", "portrait 6"):
        session.open_built_in(name)
        assert "the recogniser finds the same person" in session.open_another_photo()


def test_some_people_have_another_photo(session, astronaut):
    assert session.has_another_photo
    session.open_another_photo()
    assert (session.reference.image.cpu() - session.original).abs().mean() > 0.01
    session.open_new_person(12345)
    assert session.reference is None and session.has_another_photo  # the reference showed somebody else
    first = portraits.another(12345)[0]
    assert first.tobytes() == portraits.another(12345)[0].tobytes() != session.photo.tobytes()
    session.open(content(astronaut))
    for nobody in (lambda: None, *(partial(session.open_built_in, name) for name in ("astronaut", "portrait 2"))):
        nobody()
        assert not session.has_another_photo
        with pytest.raises(InputError, match="no second photo of this person"):
            session.open_another_photo()


def test_a_reference_needs_a_photo_first():
    for action in (lambda: Session(size=64).open_reference(b""), Session(size=64).open_another_photo):
        with pytest.raises(InputError, match="no photo yet"):
            action()


def test_baselines_ignore_the_reference_and_say_so(session):
    (before,) = session.generate("mirror")
    session.open_another_photo()
    (after,) = session.generate("mirror")
    assert torch.equal(before.completed, after.completed) and after.note == "mirror ignores the reference"


def test_a_recalled_result_has_its_reference_again(session):
    session.open_another_photo()
    (result,) = session.generate()
    session.open_built_in("portrait 4")
    session.recall(result.number)
    assert session.reference is result.reference and session.person == "portrait 1"
    assert torch.equal(session.generate()[0].completed, result.completed)


def test_what_the_recogniser_finds_is_said(session, astronaut):
    said = session.open_reference(content(astronaut))
    assert said.startswith("the reference will be used, though the recogniser finds different people in the two photos")
    session.open(content(astronaut))
    said = session.open_reference(content(astronaut))
    assert said == "the reference will be used; the recogniser finds the same person in the two photos, distance 0.000"


# --------------------------------------------------------------------------------------- the answers


def test_another_answer_is_another_one_for_the_same_hole(session):
    (first,) = session.generate()
    second, third = session.another_answer(seed=1), session.another_answer(seed=2)
    assert torch.equal(second.mask, first.mask) and second.note == "another answer"
    assert differs_in_the_hole_only(second, first) and differs_in_the_hole_only(third, second)
    assert torch.equal(session.another_answer(seed=1).completed, second.completed)
    assert not torch.equal(session.another_answer().completed, session.another_answer().completed)
    assert session.generate()[0] is first  # the likeliest one is there already
    assert [one.number for one in session.results] == list(range(1, 7))


def test_landmarks_moved_by_hand_stay_in_another_answer(session):
    x, y = session.landmarks[0, 57].tolist()
    session.pull(57, x, y - 6)
    moved = session.landmarks
    answer = session.another_answer(seed=1)
    assert torch.equal(answer.landmarks, moved) and torch.equal(session.landmarks, moved)


def test_where_there_is_one_answer_only_it_is_said(session):
    with pytest.raises(InputError, match="mirror has one answer only"):
        session.another_answer("mirror")
    session.clear()
    with pytest.raises(InputError, match="the mask is empty"):
        session.another_answer()
    assert not session.results


# ----------------------------------------------------------------------------------------- the widget


def send(part, buffers=(), **message):
    """What the browser would send for a part."""
    part._handle_custom_msg(message, list(buffers))


def test_the_widget_shows_the_reference_and_the_answers():
    studio = Studio(Session(size=64))
    send(studio.faces, do="choose", id="portrait 1")
    send(studio.masks, do="choose", id="mask01")
    assert studio.reference.known and not studio.reference.picture
    send(studio.reference, do="another")
    assert studio.reference.picture and "reference will be used" in studio.status.words
    studio.beside.value = "mirror"
    studio.generate_button.click()
    assert "with the reference; mirror ignores the reference" in studio.status.words
    assert [one.note for one in studio.results] == ["With the reference", "Mirror ignores the reference"]
    shown = studio.results[0].completed
    studio.another_button.click()
    assert studio.results[0].note == "Another answer, with the reference" and studio.results[0].completed != shown
    assert studio.results[1].completed and len(studio.history.items) == 3  # the same hole: it stays
    assert "generator, another answer, with the reference" in studio.history.items[0]["title"]
    send(studio.editor, do="another")
    assert len(studio.history.items) == 4 and not studio.another_button.disabled
    send(studio.reference, do="forget")
    assert not studio.reference.picture and studio.status.words == "The reference was removed."
    send(studio.reference, [b"no picture"], do="open")
    assert studio.status.kind == "error" and "The reference is no good" in studio.status.words
    send(studio.faces, do="choose", id="astronaut")
    assert not studio.reference.known
