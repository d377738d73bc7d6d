"""Exercises of the course: what a chapter asks for, hints, an automatic check, and the solution, out of sight.

    exercise = exercises.get("01.1")
    exercise.check(upper_left)      # right, or one sentence that says what is wrong
    exercise.hint(1)
    exercise.solution()             # the source of a function that passes the check

A check looks at what an answer returns, not at how it is written.
"""

from __future__ import annotations

from dataclasses import replace

from faceinpaint.basics.errors import require_known
from faceinpaint.course.exercises import (
    chapter_00, chapter_01, chapter_02, chapter_03, chapter_04, chapter_05, chapter_06, chapter_07, chapter_08
)
from faceinpaint.course.exercises.exercise import Exercise, Verdict, WrongAnswer

EXERCISES = {
    **chapter_00.EXERCISES,
    **chapter_01.EXERCISES, **chapter_02.EXERCISES, **chapter_03.EXERCISES, **chapter_04.EXERCISES,
    **chapter_05.EXERCISES, **chapter_06.EXERCISES, **chapter_07.EXERCISES, **chapter_08.EXERCISES,
}

__all__ = ["EXERCISES", "Exercise", "Verdict", "WrongAnswer", "get"]


def get(number: str, solve: bool = False) -> Exercise:
    """The exercise of a number, such as "01.2": chapter, then exercise. InputError for an unknown one."""
    require_known("exercise", number, list(EXERCISES))
    return replace(EXERCISES[number], number=number, solve=solve)
