"""What came of a run: a table for people, a table for spreadsheets, and JUnit XML for whatever reads test results."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from faceinpaint.basics.files import write_csv, write_whole
from faceinpaint.course.chapter import Outcome, is_right

COLUMNS = ("chapter", "seconds", "memory_mb", "exercises", "passed", "error")


def table(outcomes: list[Outcome]) -> str:
    """One line for each chapter, and their sum."""
    width = max(len("together"), *(len(outcome.chapter) for outcome in outcomes))
    lines = [f"{'chapter':<{width}}  seconds  memory MB  exercises  first error"]
    for outcome in outcomes:
        solved = f"{outcome.passed} of {len(outcome.exercises)}"
        lines.append(f"{outcome.chapter:<{width}}  {outcome.seconds:7.1f}  {megabytes(outcome.memory):>9}  "
                     f"{solved:>9}  {outcome.error or 'ok'}")
    passed, all_of_them = (sum(column) for column in zip(*((o.passed, len(o.exercises)) for o in outcomes)))
    most = megabytes(max((outcome.memory or 0 for outcome in outcomes)) or None)
    failures = sum(bool(outcome.error) for outcome in outcomes)
    lines.append(f"{'together':<{width}}  {sum(outcome.seconds for outcome in outcomes):7.1f}  {most:>9}  "
                 f"{f'{passed} of {all_of_them}':>9}  {failures or 'no'} of {len(outcomes)} failed")
    return "\n".join(lines)


def megabytes(memory: int | None) -> str:
    """Bytes in millions, or a sign that nobody knows."""
    return "?" if memory is None else f"{memory / 1e6:.0f}"


def write(outcomes: list[Outcome], preset: str, solve: bool, out: Path) -> None:
    """Write `chapters.csv` and `junit.xml`."""
    write_csv(out / "chapters.csv", COLUMNS, [row(outcome) for outcome in outcomes])
    write_whole(out / "junit.xml", junit(outcomes, preset, solve))


def row(outcome: Outcome) -> dict[str, str]:
    """A chapter's row of the table."""
    memory = {} if outcome.memory is None else {"memory_mb": megabytes(outcome.memory)}
    return memory | {
        "chapter": outcome.chapter, "seconds": f"{outcome.seconds:.1f}", "error": outcome.error,
        "exercises": str(len(outcome.exercises)), "passed": str(outcome.passed),
    }


def junit(outcomes: list[Outcome], preset: str, solve: bool) -> bytes:
    """JUnit XML: a suite for each chapter, with a case for its run and one for each exercise.

    An exercise that is not right is skipped, since a chapter comes without answers; with `solve` it is a failure.
    """
    root = Element("testsuites", name="faceinpaint course")
    for outcome in outcomes:
        add_suite(root, outcome, preset, solve)
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    root.set("time", f"{sum(outcome.seconds for outcome in outcomes):.3f}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def add_suite(root: Element, outcome: Outcome, preset: str, solve: bool) -> None:
    """Add the suite of a chapter."""
    suite = SubElement(root, "testsuite", name=outcome.chapter, errors="0")
    properties = SubElement(suite, "properties")
    SubElement(properties, "property", name="preset", value=preset)
    if outcome.memory is not None:
        SubElement(properties, "property", name="peak_memory_bytes", value=str(outcome.memory))
    run = SubElement(suite, "testcase", classname=outcome.chapter, name="runs", time=f"{outcome.seconds:.3f}")
    if outcome.error:
        SubElement(run, "failure", message=printable(outcome.error))
    for number, verdict in outcome.exercises.items():
        case = SubElement(suite, "testcase", classname=outcome.chapter, name=f"exercise {number}", time="0")
        if not is_right(verdict):
            SubElement(case, "failure" if solve else "skipped", message=printable(verdict or "its check says nothing"))
    suite.set("tests", str(1 + len(outcome.exercises)))
    suite.set("failures", str(len(suite.findall("*/failure"))))
    suite.set("skipped", str(len(suite.findall("*/skipped"))))
    suite.set("time", f"{outcome.seconds:.3f}")


def printable(text: str) -> str:
    """Text without the control characters that XML can't hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
