"""Each check accepts the solution and not the stub; what it tells wrong answers, the tests of its chapter ask."""

from __future__ import annotations

import ast
import html
import inspect
import math
import re
from dataclasses import replace

import nbformat
import pytest
import torch

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.course import exercises
from faceinpaint.course import run as course
from faceinpaint.landmarks import MIRROR_ORDER


@pytest.mark.parametrize("number", exercises.EXERCISES)
def test_the_solution_passes(number):
    exercise = exercises.get(number)
    verdict = exercise.check(exercise.solved_by)
    assert verdict.passed, verdict
    assert str(verdict).startswith("Right:")


@pytest.mark.parametrize("number", exercises.EXERCISES)
def test_the_solution_runs_in_a_cell_as_it_says(number):
    exercise = exercises.get(number)
    cell = {"torch": torch, "math": math, "masks": masks, "MIRROR_ORDER": MIRROR_ORDER}  # the chapters import these
    start = "from __future__ import annotations"
    shown = exercise.solution().data
    assert f"<code>{start}</code>" in shown and f"<code>{exercise.solved_by.__name__}</code>" in shown
    exec(f"{start}\n{inspect.getsource(exercise.solved_by)}", cell)
    assert exercise.check(cell[exercise.solved_by.__name__]).passed


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
    assert "solution()" in exercise.hint(len(exercise.hints) + 1).data
    with pytest.raises(InputError, match="hints 1 to"):
        exercise.hint(0)
    shown = html.unescape(re.sub(r"<[^>]*>", "", exercise.solution().data))
    assert f"def {exercise.solved_by.__name__}" in shown


def test_verdicts_are_shown_as_text_and_on_a_page():
    verdict = exercises.Verdict(False, "a < b is wrong")
    assert str(verdict) == "Not yet: a < b is wrong"
    assert "Not yet: a &lt; b is wrong" in verdict._repr_html_()


def test_code_in_a_sentence_is_set_as_code():
    assert "<code>a &lt; b</code>; c" in exercises.Verdict(False, "`a < b`; c")._repr_html_()


def test_a_word_between_asterisks_is_set_in_italics_but_not_in_code():
    shown = exercises.Verdict(False, "rows are *outputs*, `a *b* c`, 2 * 3 * 4")._repr_html_()
    assert "rows are <em>outputs</em>, <code>a *b* c</code>, 2 * 3 * 4" in shown


def test_an_answer_that_stops_is_told_in_which_line():
    def answer(height, width):
        missing = height + width
        return missing.shape

    told = exercises.get("01.1").check(answer).sentence
    assert told.startswith("answer stops with AttributeError:") and told.endswith("in the line `return missing.shape`.")
    assert exercises.get("01.1").check(lambda height: height).sentence.endswith("call it by yourself to see where.")


def test_an_unknown_exercise_names_the_nearest():
    with pytest.raises(InputError, match="no exercise '01.7': did you mean '01"):
        exercises.get("01.7")
