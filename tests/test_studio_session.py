"""The studio without a browser: photos, masks, landmarks, results, and one sentence for every fault."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from faceinpaint import Completer, masks, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.faces import align, sets
from faceinpaint.faces.photos import METADATA, read_metadata, to_tensor
from faceinpaint.studio import portraits, session as studio_session
from faceinpaint.studio.session import Session

ROOT = Path(__file__).resolve().parents[1]


def content(photo, kind="png"):
    file = io.BytesIO()
    photo.save(file, kind)
    return file.getvalue()


def seen(session):
    """What is hidden of the aligned face, as the visitor sees it."""
    return align.seen_mask(session.hole, session.crop, session.size).float()


def alike(mask, other, least=0.03):
    """Whether two masks differ at their edges alone."""
    return (mask != other).float().mean() < least


@pytest.fixture
def session():
    session = Session(size=64)
    session.open_built_in("portrait 1")
    return session


@pytest.fixture(scope="module")
def couple(astronaut):
    """A photo with two faces, the left one larger."""
    portrait = astronaut.crop((100, 0, 380, 280))
    photo = Image.new("RGB", (600, 320), "grey")
    photo.paste(portrait, (10, 20))
    photo.paste(portrait.resize((200, 200)), (360, 60))
    return photo


# ------------------------------------------------------------------------------------------ the photo


def test_an_upload_is_found_to_show_a_face(session, astronaut):
    assert session.open(content(astronaut)) == "one face found"
    assert session.original.shape == (1, 3, 64, 64) and session.photo.size == (512, 512)


def test_the_face_meant_is_chosen(session, couple):
    assert "2 faces found: click" in session.open(content(couple))
    first = session.original
    session.choose_face(1)
    assert session.crops[1].centre[0] > 300 and not torch.equal(first, session.original)
    with pytest.raises(InputError, match="the photo shows 2"):
        session.choose_face(2)


@pytest.mark.parametrize("bad, sentence", [
    (b"", "not an image"), (b"GIF89a", "not an image|cut short"), (b"<svg></svg>", "not an image"),
    (content(Image.new("RGB", (300, 300), "grey")), "no face was found"),
    (content(Image.new("RGB", (20, 20))), "too few to show a face"),
    (content(Image.new("RGB", (200, 200)))[:150], "cut short|not an image"),
    (bytes(33_000_000), "33 MB: give one of at most 32 MB"),
    (content(Image.new("1", (8200, 8200))), "64 megapixels"),
])
def test_a_bad_upload_is_one_sentence_and_changes_nothing(session, bad, sentence):
    before = session.photo
    with pytest.raises(InputError, match=sentence) as error:
        session.open(bad)
    assert "\n" not in str(error.value) and session.photo is before


def test_a_new_person_is_somebody_else_each_time_and_the_same_by_number():
    session = Session(size=64)
    assert "number 12345" in session.open_new_person(12345)
    first = session.photo
    session.open_new_person(12345)
    assert session.photo.tobytes() == first.tobytes()
    session.open_new_person()
    assert session.photo.tobytes() != first.tobytes()


def test_portraits_are_there():
    rows = {row.file_name: row for row in read_metadata(sets.shipped())}
    *people, last = portraits.built_in().values()
    assert list(portraits.built_in()) == [*(f"portrait {number}" for number in range(1, 7)), "astronaut"]
    for photographs in people:
        shown = [rows[f"images/{file.name}"] for file, _ in photographs]
        assert len({row.identity for row in shown}) == 1 and {row.split for row in shown} <= {"val", "test"}
    assert [len(photographs) for photographs in people] == [2, 1, 1, 2, 1, 2] and len(last) == 1
    with pytest.raises(InputError, match="no built-in face 'astronut': did you mean 'astronaut'"):
        Session().open_built_in("astronut")


def test_the_faces_to_begin_with_need_the_package_alone(monkeypatch, tmp_path):
    """Portraits that were taken out are not missed, and broken ones are named."""
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(sets, "INSTALLED", tmp_path)
    monkeypatch.setattr(sets, "CLONED", tmp_path)
    lines = [line for line in (ROOT / "data" / "portraits" / METADATA).read_text().splitlines() if "p00485" in line]
    try:
        for content, found in (None, ["astronaut"]), ("", ["astronaut"]), (lines[0], ["portrait 1", "astronaut"]):
            if content is not None:
                (tmp_path / METADATA).write_text(content)
            portraits.built_in.cache_clear()
            assert list(portraits.built_in()) == found
        for broken in (lines[0][:-9], lines[0].replace("landmarks", "points"), "[1, \"p00485\"]"):
            (tmp_path / METADATA).write_text(broken)
            portraits.built_in.cache_clear()
            with pytest.raises(InputError, match="metadata.jsonl can't be read: get them again by"):
                Session().open_built_in("astronaut")
    finally:
        portraits.built_in.cache_clear()


# ------------------------------------------------------------------------------------------ a turned photo


def test_a_turned_photo_is_completed_and_kept_turned(session, astronaut):
    photo = astronaut.crop((60, 0, 420, 300))
    session.open(content(photo))
    session.whole_beneath = True
    session.draw([8, [20, 40, 44, 40]])
    assert session.turn() == "the photo was turned; one face found"
    assert session.photo.tobytes() == photo.transpose(Image.Transpose.ROTATE_90).tobytes()
    assert not session.hole.any() and session.whole_beneath  # it is the same photo
    session.draw([8, [20, 40, 44, 40]])
    (result,) = session.generate("mirror")
    before, after = (np.asarray(one.transpose(Image.Transpose.ROTATE_270)) for one in (result.before, result.photo))
    assert before.shape == (300, 360, 3) and np.array_equal(before, np.asarray(photo))
    assert 0 < (before != after).any(-1).mean() < 0.2
    for _ in range(3):
        session.turn()
    assert session.photo.tobytes() == photo.tobytes()


def test_a_photo_without_a_face_is_turned_next(session, astronaut, monkeypatch):
    portrait, photo = session.photo, astronaut.crop((60, 0, 420, 300))
    seen, find = [], session._completer().find

    def find_when_it_stands_on_its_head(one, many):
        seen.append(one)
        if len(seen) % 3:
            raise InputError("no face was found: give another")
        return find(one, many=many)

    monkeypatch.setattr(session._completer(), "find", find_when_it_stands_on_its_head)
    session.lay("mask03")
    hole = session.hole
    with pytest.raises(InputError, match="^no face was found: give another$"):
        session.open(content(photo))
    with pytest.raises(InputError, match="^the photo was turned, but no face was found: give another$"):
        session.turn()
    assert session.photo is portrait and session.person == "portrait 1" and torch.equal(session.hole, hole)
    assert session.turn() == "the photo was turned; one face found"
    assert session.photo.tobytes() == photo.transpose(Image.Transpose.ROTATE_180).tobytes()
    assert session.person is None and not session.hole.any()


def test_what_is_done_to_the_open_photo_makes_it_the_one_to_turn():
    session = Session(size=64)
    with pytest.raises(InputError, match="no photo yet"):
        session.turn()
    grey = content(Image.new("RGB", (300, 300), "grey"))
    with pytest.raises(InputError, match="no face was found"):
        session.open(grey)
    assert session.to_place is not None
    session.open_built_in("portrait 1")
    with pytest.raises(InputError, match="no face was found"):
        session.open(grey)
    session.draw([8, [20, 40, 44, 40]])
    assert "one face found" in session.turn() and session.person == "portrait 1"


# ------------------------------------------------------------------------------------------- the mask


@pytest.mark.parametrize("name", masks.STANDARD[:6])
def test_standard_masks_are_those_of_the_package(session, name):
    session.lay(name)
    assert alike(seen(session), masks.standard(name, 64), 0.01)


@pytest.mark.parametrize("name", [*masks.STANDARD[6:], "face-mask"])
def test_masks_cut_to_the_face_follow_it(session, name):
    session.lay(name)
    before = seen(session)
    assert alike(before, masks.named(name, 64, session.whole))
    session.open_built_in("portrait 4")
    assert alike(seen(session), masks.named(name, 64, session.whole))
    assert not torch.equal(seen(session), before)


def test_a_drawn_mask_survives_another_photo(session, astronaut):
    session.lay("face-mask")
    session.draw([5, [10, 10, 40, 50]])  # from now on it is drawn
    mask = seen(session)
    session.open(content(astronaut))
    assert alike(seen(session), mask)
    hole = session.hole
    session.generate("mirror")
    assert torch.equal(session.hole, hole)


def test_a_stroke_is_in_pixels_of_the_photo_however_small(session, astronaut):
    session.open(content(astronaut.resize((1536, 1536))))
    x, y = align.to_photo(torch.tensor([20.0, 30.0]), session.crop, 64).round().tolist()
    session.draw([3, [x, y, x + 30, y]], on_photo=True)
    rows, columns = session.hole[0, 0].nonzero().T
    assert (rows.min(), rows.max()) == (y - 3, y + 3) and 34 <= columns.max() - columns.min() <= 37
    assert session.mask.mean() < 0.02
    session.draw([3, [x, y, x + 30, y]], on_photo=True, erasing=True)
    assert not session.hole.any()
    session.draw([0.001, [x, y]], on_photo=True)
    assert 1 <= session.hole.sum() <= 2  # whatever is drawn hides something
    session.draw([9, [-40, -40, 1570, -3]], on_photo=True)  # and may begin and end outside
    assert session.hole[0, 0, 0].any() and not session.hole[0, 0, 20].any()


def test_a_drawn_mask_stays_in_the_photo_and_one_of_a_name_follows_the_face(session, couple):
    session.open(content(couple))
    session.draw([4, [30, 30, 40, 30]])
    hole = session.hole
    session.choose_face(1)
    assert torch.equal(session.hole, hole) and session.hole_ratio == 0
    with pytest.raises(InputError, match="nothing of this face"):
        session.generate()
    session.lay("mask01")
    session.choose_face(0)
    assert alike(seen(session), masks.standard("mask01", 64), 0.02)


def test_irregular_masks_have_the_ratio_and_differ(session):
    session.lay("irregular", 0.4)
    first = session.hole
    assert abs(session.hole_ratio - 0.4) < 0.015
    session.lay("irregular", 0.4)
    assert not torch.equal(first, session.hole)
    session.lay("irregular", 0.4, seed=3)
    third = session.hole
    session.lay("irregular", 0.4, seed=3)
    assert torch.equal(third, session.hole)


def test_every_step_can_be_undone_and_redone(session):
    steps = [
        lambda: session.lay("mask03"), lambda: session.draw([4, [30, 30, 60, 60]]),
        lambda: session.draw([6, [10, 10]], erasing=True), session.invert, session.clear, lambda: session.lay("block"),
    ]
    states = [session.hole]
    for step in steps:
        step()
        states.append(session.hole)
    for state in states[-2::-1]:
        assert session.undo() and torch.equal(session.hole, state)
    assert not session.undo() and not session.can_undo
    for state in states[1:]:
        assert session.redo() and torch.equal(session.hole, state)
    assert not session.redo() and not session.can_redo
    session.undo()
    session.clear()
    assert not session.can_redo  # another way was taken


def test_undo_ends_somewhere(session):
    for _ in range(studio_session.STEPS_BACK + 20):
        session.invert()
    steps = 0
    while session.undo():
        steps += 1
    assert steps == studio_session.STEPS_BACK


def test_landmarks_moved_by_hand_are_steps_too(session):
    session.draw([4, [30, 30]])
    before, hole = session.landmarks, session.hole
    x, y = before[0, 30].tolist()
    session.pull(30, x, y + 3)
    after = session.landmarks
    session.draw([4, [40, 40]])
    for landmarks, pulled in ((after, True), (before, False)):
        assert session.undo() and torch.equal(session.hole, hole)
        assert torch.allclose(session.landmarks, landmarks) and session.pulled == pulled
    session.redo()
    assert torch.equal(session.landmarks, after)
    session.release()
    assert not session.pulled and session.undo() and session.pulled


def test_an_exported_mask_comes_back_unchanged(session):
    session.draw([5, [10, 10, 40, 50]])
    hole, file = session.hole, session.export_mask()
    session.clear()
    assert session.import_mask(file) == "the mask was imported"
    assert torch.equal(session.hole, hole)


def test_a_mask_of_the_aligned_face_and_one_of_another_size_are_the_photo_s(session, astronaut):
    session.open(content(astronaut.crop((40, 0, 440, 500))))
    face = torch.zeros(64, 64)
    face[20:50, 16:40] = 1
    assert "imported" in session.import_mask(content(Image.fromarray((255 * face.numpy()).astype(np.uint8))))
    assert alike(seen(session), face[None, None], 0.01)
    white = ImageOps.expand(Image.new("L", (60, 60), 255), (140, 60, 200, 380))
    drawn = white.resize([2 * side for side in session.photo.size], Image.Resampling.NEAREST)
    assert "resized" in session.import_mask(content(drawn))
    hole = session.hole
    session.import_mask(content(white.resize(session.photo.size, Image.Resampling.NEAREST)))
    assert (hole != session.hole).float().mean() < 0.02


def test_the_same_known_pixels_and_mask_are_the_same_face_whatever_is_hidden(astronaut):
    mask, results = Image.new("L", astronaut.size), []
    mask.paste(255, (170, 140, 290, 200))
    for filling in ("black", "white", "#20a040"):
        session, damaged = Session(size=64), astronaut.copy()
        damaged.paste(filling, (170, 140, 290, 200))
        session.open(content(damaged))
        session.import_mask(content(mask))
        results.append(session.generate()[0].photo.tobytes())
        assert session.can_undo
    assert results[0] == results[1] == results[2]


def test_what_is_no_mask_is_refused(session):
    with pytest.raises(InputError, match="another form"):
        session.import_mask(content(ImageOps.expand(Image.new("L", (16, 90), 255), 8)))
    with pytest.raises(InputError, match="not an image"):
        session.import_mask(b"no mask")


def test_the_mask_of_the_whole_photo_does_the_same_from_the_command_line(session):
    session.draw([6, [20, 40, 44, 40]])
    (result,) = session.generate()
    file = Image.open(io.BytesIO(session.export_mask()))
    assert file.size == session.photo.size
    there = torch.from_numpy(np.array(file) > 0)
    changed = (to_tensor(result.photo) != to_tensor(result.before)).any(1)[0]
    assert (changed & ~there).sum() == 0 and changed[there].float().mean() > 0.8
    session.import_mask(content(file))
    assert torch.equal(session.hole, result.hole)


def test_a_wrong_mask_names_the_nearest(session):
    with pytest.raises(InputError, match="did you mean 'mask01'"):
        session.lay("mask1")
    with pytest.raises(InputError, match=r"is \(1, 1, 32, 32\): give one of shape \(1, 1, "):
        session.hide(torch.zeros(1, 1, 32, 32))


# --------------------------------------------------------------------------------------- the landmarks


def test_landmarks_are_predicted_from_what_is_visible(session):
    seen = session.landmarks
    session.lay("mask01")
    hidden = session.landmarks
    assert seen.shape == (1, 68, 2) and not torch.equal(seen, hidden)
    session.undo()
    assert torch.allclose(session.landmarks, seen)


def test_a_pulled_landmark_changes_the_result_until_it_is_released(session):
    session.lay("face-mask")
    (before,) = session.generate()
    x, y = session.landmarks[0, 57].tolist()
    session.pull(57, x, y - 6)
    assert session.pulled
    session.draw([2, [1, 1]])  # stays what it is, also when the mask changes
    session.undo()
    (after,) = session.generate()
    assert after.landmarks[0, 57].tolist() == pytest.approx([x, y - 6])
    assert not torch.equal(before.completed, after.completed)
    session.release()
    (again,) = session.generate()
    assert torch.equal(again.completed, before.completed)


def test_a_recalled_result_has_its_moved_landmarks_again(session):
    session.lay("face-mask")
    (before,) = session.generate("mirror")
    x, y = session.landmarks[0, 57].tolist()
    session.pull(57, x, y - 6)
    (after,) = session.generate("mirror")
    session.recall(before.number)
    assert not session.pulled and torch.equal(session.landmarks, before.landmarks)
    session.recall(after.number)
    assert session.pulled and torch.equal(session.landmarks, after.landmarks)


# ----------------------------------------------------------------------------------------- the results


def test_only_the_hole_changes(session):
    session.draw([8, [20, 40, 44, 40]])
    (result,) = session.generate()
    known = result.mask.expand(-1, 3, -1, -1) < 0.5
    assert torch.equal(result.completed[known], result.original[known])
    assert not torch.equal(result.completed, result.original)
    assert "threshold" in result.verdict and f"{result.distance:.3f}" in result.verdict


def test_it_is_what_the_completer_does(astronaut):
    session = Session(size=64)
    session.open(content(astronaut))
    session.lay("mask03")
    (result,) = session.generate()
    expected = Completer.from_pretrained(size=64)(astronaut, "mask03")
    assert result.photo.tobytes() == expected.photo.tobytes()
    assert result.distance == pytest.approx(expected.faces[0].distance, abs=1e-5)


def test_a_verdict_needs_an_untouched_original(session, astronaut):
    session.draw([8, [20, 40, 44, 40]])
    (known,) = session.generate("mirror")  # of a portrait that comes with the package
    assert known.against == "original" and known.same and known.distance > 0
    session.open(content(astronaut))
    (unknown,) = session.generate("mirror")
    assert (unknown.distance, unknown.same, unknown.against) == (None, "", "")
    assert unknown.verdict == studio_session.NO_VERDICT
    session.whole_beneath = True
    (said,) = session.generate("mirror")
    assert said.distance > 0 and said.against == "original" and "distance" in said.verdict
    session.import_mask(session.export_mask())
    assert session.generate("mirror")[0].distance == said.distance
    session.open(content(astronaut))  # it was said of the other photo
    assert not session.whole_beneath and session.generate("mirror")[0].distance is None
    session.recall(said.number)
    assert session.whole_beneath and session.generate("mirror")[0].distance == said.distance


def test_a_mask_has_its_name_again_when_it_is_had_back(session, astronaut):
    session.open(content(astronaut))
    session.lay("mask01")
    (named,) = session.generate("mirror")
    assert named.against == "original"
    session.draw([4, [40, 40]])
    assert not session.knows_original
    session.undo()
    assert session.knows_original
    session.redo()
    assert not session.knows_original
    session.recall(named.number)
    assert session.generate("mirror")[0].distance == named.distance


def test_all_weights_can_complete_side_by_side(session):
    names = session.choices()
    shipped = [name for name in weights.manifest() if weights.about(name, "architecture") == "Generator"]
    assert names[0] == "generator" and set(names) == {*shipped, "mirror", "biharmonic"}
    session.lay("mask10")
    told = []
    made = session.generate(*names, report=lambda share, words: told.append((share, words)))
    assert [one.weights for one in made] == names
    assert [share for share, _ in told] == sorted(share for share, _ in told) and told[-1][0] == 1
    assert all(torch.equal(one.mask, made[0].mask) for one in made)
    assert not torch.equal(made[0].completed, made[1].completed)


def test_the_last_ten_results_are_remembered(session):
    session.lay("mask01")
    for number in range(12):
        session.draw([2, [50, 20 + number]])
        session.generate("mirror")
    assert [one.number for one in session.results] == list(range(3, 13))
    session.open_built_in("portrait 4")
    session.clear()
    found = session.recall(5)
    assert session.photo is found.before and torch.equal(session.hole, found.hole)
    assert torch.equal(session.original, found.original)
    with pytest.raises(InputError, match="result 2 is no longer remembered"):
        session.recall(2)


def test_a_recalled_face_is_one_of_its_photo(session, couple):
    session.open(content(couple))
    session.choose_face(1)
    session.lay("mask03")
    (result,) = session.generate("mirror")
    assert session.shows(result) and result.same == ("yes" if "yes" in result.verdict else "no")
    for elsewhere in (lambda: session.choose_face(0), lambda: session.open_built_in("portrait 1")):
        elsewhere()
        assert not session.shows(result)
        session.recall(result.number)
        assert session.shows(result) and session.face == 1 and len(session.crops) == 2


def test_what_cannot_be_completed_is_said():
    session = Session(size=64)
    for action in (session.generate, lambda: session.export_mask(), lambda: session.landmarks):
        with pytest.raises(InputError, match="no photo yet"):
            action()
    session.open_built_in("astronaut")
    with pytest.raises(InputError, match="the mask is empty"):
        session.generate()
    session.invert()
    with pytest.raises(InputError, match="hides the whole face"):
        session.generate()
    session.lay("mask01")
    with pytest.raises(InputError, match="no weights 'generatr': did you mean 'generator'"):
        session.generate("generatr")
    assert not session.results


def test_nothing_is_written(session, tmp_path, monkeypatch, astronaut):
    monkeypatch.chdir(tmp_path)
    session.open(content(astronaut))
    session.lay("mask05")
    session.generate("mirror")
    session.export_mask()
    assert list(tmp_path.iterdir()) == []
