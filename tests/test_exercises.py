"""Each check accepts the solution, and tells the stub and typical wrong answers what is wrong with them."""

from __future__ import annotations

import ast
import html
import re
from dataclasses import replace

import nbformat
import pytest
import torch

from faceinpaint import course, exercises, masks
from faceinpaint.exercises import chapter_01
from faceinpaint.errors import InputError


def filled(height, width, rows=slice(None), columns=slice(None)):
    mask = torch.zeros(1, 1, height, width)
    mask[..., rows, columns] = 1
    return mask


def hole(ratio, size, generator, room=0):
    """A square of `ratio` whose corner may lie so far that `room` more pixels of it are outside."""
    side = round(size * ratio**0.5)
    top, left = torch.randint(0, size - side + 1 + room, (2,), generator=generator).tolist()
    return filled(size, size, slice(top, top + side), slice(left, left + side))


def oblong(ratio, size, generator):
    height = round(size * ratio)
    top = int(torch.randint(0, size - height + 1, (1,), generator=generator))
    return filled(size, size, slice(top, top + height))


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("01.1", lambda h, w: filled(h, w)[0, 0], r"shape \(64, 64\); for 64 rows and 64 columns it is \(1, 1, 64, 64\)"),
    ("01.1", lambda h, w: filled(h, w, columns=slice(w // 2)), "covers the left half; cut the rows"),
    ("01.1", lambda h, w: filled(h, w, columns=slice(w // 2, w)), "covers the right half; look at the order of the"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2)), "covers the upper half; cut the columns"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2), slice(w // 2, w)), "upper-right quarter; look at the order"),
    ("01.1", lambda h, w: filled(h, w, slice(h // 2, h), slice(w // 2)), "lower-left quarter; rows are counted from"),
    ("01.1", lambda h, w: filled(h, w), "whole picture; leave three quarters"),
    ("01.1", lambda h, w: 1 - chapter_01.upper_left(h, w), "all but the upper-left quarter; 1 is unknown"),
    ("01.1", lambda h, w: 255 * chapter_01.upper_left(h, w), "other values than 0 and 1"),
    ("01.1", lambda h, w: chapter_01.upper_left(w, h), "lies on its side"),
    ("01.1", lambda h, w: filled(h, w, slice(w // 2), slice(h // 2)), "48 rows and 80 columns .* in this order"),
    ("01.1", lambda h, w: chapter_01.upper_left(64, 64), r"shape \(1, 1, 64, 64\); for 48 rows"),
    ("01.1", lambda h, w: None, "returns nothing"),
    ("01.1", lambda h, w: chapter_01.upper_left(h, w).numpy(), "returns a ndarray; a mask is a tensor"),
    ("01.1", lambda h, w: filled(h, w, slice(h / 2)), "stops with TypeError.*call it by yourself"),
    ("01.2", lambda r, s, g: filled(s, s, slice(int(r * s)), slice(int(r * s))), "6% where 25%.*area of 0.25 × 0.25"),
    ("01.2", lambda r, s, g: 1 - hole(r, s, g), "hides 75% where 25% are asked for, all the rest"),
    ("01.2", lambda r, s, g: hole(r, s, g, room=12), "run over the edge"),
    ("01.2", lambda r, s, g: hole(r, s, None), "same seed gives you different masks"),
    ("01.2", lambda r, s, g: hole(r, s, torch.Generator().manual_seed(0)), "always at the same place"),
    ("01.2", oblong, "no square"),
    ("01.2", lambda r, s, g: masks.irregular(1, s, g, (r - 0.01, r + 0.01)), "no square"),
    ("01.2", lambda r, s, g: hole(0.25, s, g), "hides 25% where 4%"),
    ("01.3", lambda m, p: masks.face_region(p, 64), "is the whole face"),
    ("01.3", lambda m, p: torch.maximum(m, masks.face_region(p, 64)), "and, not or"),
    ("01.3", lambda m, p: m * (1 - masks.face_region(p, 64)), "the other way round"),
    ("01.3", lambda m, p: m + masks.face_region(p, 64), "other values than 0 and 1"),
    ("01.3", lambda m, p: m * masks.face_mask(p, 64), "leaves out pixels|pixels outside the face"),
    ("01.3", lambda m, p: torch.zeros_like(m), "hides nothing"),
    ("01.3", lambda m, p: masks.cut_to_face(m, p)[..., :32], r"shape \(1, 1, 64, 32\)"),
]


@pytest.mark.parametrize("number", exercises.EXERCISES)
def test_the_solution_passes(number):
    exercise = exercises.get(number)
    verdict = exercise.check(exercise.solved_by)
    assert verdict.passed, verdict
    assert str(verdict).startswith("Right:")


@pytest.mark.parametrize("number, answer, sentence", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(number, answer, sentence):
    verdict = exercises.get(number).check(answer)
    assert not verdict.passed
    assert re.search(sentence, verdict.sentence), verdict.sentence
    assert str(verdict).startswith("Not yet:") and str(verdict).rstrip().count("\n") == 0


def test_every_exercise_meets_several_wrong_answers():
    for number in chapter_01.EXERCISES:
        assert sum(wrong[0] == number for wrong in WRONG) >= 2


def stubs():
    """The functions to fill in, as the chapters have them: exercise -> the cell's code."""
    for path in course.find_chapters(course.NOTEBOOKS):
        for cell in nbformat.read(path, as_version=4).cells:
            found = re.search(r'exercises\.get\("([\d.]+)", solve\)', cell.source)
            if found and cell.cell_type == "code":
                yield found[1], cell


def test_every_exercise_has_its_stub_in_a_chapter():
    assert [number for number, _ in stubs()] == sorted(exercises.EXERCISES)


@pytest.mark.parametrize("number, cell", list(stubs()))
def test_the_stub_is_not_yet_right_and_breaks_nothing(number, cell):
    assert cell.metadata.tags == ["exercise"]
    function = ast.parse(cell.source).body[0]
    assert "your turn" in cell.source and isinstance(function, ast.FunctionDef)
    scope = {"torch": torch, "exercises": exercises, "masks": masks, "solve": False}
    exec(cell.source, scope)
    verdict = exercises.get(number).check(scope[function.name])
    assert not verdict.passed
    assert "stops with" not in verdict.sentence
    # the same cell with solve=True passes, whatever stands in the stub
    exec(cell.source, scope | {"solve": True})


@pytest.mark.parametrize("number", exercises.EXERCISES)
def test_solve_runs_the_solution_and_fails_where_that_fails(number):
    exercise = exercises.get(number, solve=True)
    assert exercise.check(None).passed
    with pytest.raises(exercises.WrongAnswer):
        replace(exercise, solved_by=lambda *arguments: None).check(exercise.solved_by)
    with pytest.raises(ZeroDivisionError):
        replace(exercise, solved_by=lambda *arguments: 1 / 0).check(exercise.solved_by)


@pytest.mark.parametrize("number", exercises.EXERCISES)
def test_hints_and_solution_are_out_of_sight_until_asked_for(number):
    exercise = exercises.get(number)
    assert len(exercise.hints) >= 2
    assert exercise.hints[0] in exercise.hint(1).data and exercise.hints[1] in exercise.hint(2).data
    for level in (0, len(exercise.hints) + 1):
        with pytest.raises(InputError, match="hints 1 to"):
            exercise.hint(level)
    shown = html.unescape(re.sub(r"<[^>]*>", "", exercise.solution().data))
    assert f"def {exercise.solved_by.__name__}" in shown


def test_verdicts_are_shown_as_text_and_on_a_page():
    verdict = exercises.Verdict(False, "a < b is wrong")
    assert str(verdict) == "Not yet: a < b is wrong"
    assert "Not yet: a &lt; b is wrong" in verdict._repr_html_()


def test_an_unknown_exercise_names_the_nearest():
    with pytest.raises(InputError, match="no exercise '01.7': did you mean '01"):
        exercises.get("01.7")
