"""Every chapter has the anatomy of a chapter, and runs from its first cell to its last."""

from __future__ import annotations

import ast
import os
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import faceinpaint
from faceinpaint.course import run as course
from faceinpaint.course.chapter import exercises_of as exercises_in, first_error, is_right
from faceinpaint.training import presets

NOTEBOOKS = {path.stem: path for path in course.find_chapters(course.NOTEBOOKS)}
TEMPLATE = course.NOTEBOOKS / ".template.ipynb"  # its dot keeps it from being run as a chapter
PARAMETERS = {"preset", "seed", "device", "solve"}
LEAST = {  # part of a chapter: how many points its list has at least
    r"**What you will be able to do**": 3, "## Summary": 3, "## Go further": 3,
}
PARTS = (  # what the prose of every chapter has, in this order
    r"^# \d\d · ", r"\*\*What you will be able to do\*\*", r"\*\*Needs:\*\*", r"\*\*Produces:\*\*",
    r"\*\*Time, measured", r"^## Set-up", r"^## Summary", r"^## Exercises", r"^### 1\. ", r"^### 2\. ",
    r"^## Go further",
)


def read(name):
    return nbformat.read(NOTEBOOKS[name], as_version=4)


def prose_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def faults(notebook):
    """What is wrong with the form of a chapter, one sentence each."""
    return [*faults_of_the_file(notebook), *faults_of_the_code(notebook), *faults_of_the_prose(notebook)]


def faults_of_the_file(notebook):
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if set(notebook.metadata) - {"kernelspec", "language_info"}:
        yield "the metadata hold more than kernel and language"
    for cell in notebook.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"{cell.id} has outputs"
        if "raises-exception" in cell.metadata.get("tags", []):
            yield f"{cell.id} may fail unseen"
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or literals(tagged[0].source).keys() < PARAMETERS:
        yield "there is not one cell of parameters with all of them"


def literals(source):
    """Names and values of a cell that does nothing but assign literals; {} for any other cell."""
    try:
        return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(source).body}
    except (SyntaxError, AttributeError, ValueError):
        return {}


def faults_of_the_code(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    lengths = [len(cell.source.splitlines()) for cell in code]
    if max(lengths) > 30 or sorted(lengths)[len(lengths) // 2] > 15:
        yield "a cell has more than 30 lines, or half of them more than 15"
    for before, cell in zip([None, *notebook.cells], notebook.cells):
        if cell.cell_type != "code":
            continue
        if before is None or before.cell_type != "markdown":
            yield f"{cell.id} is not introduced by prose"
        if max(map(len, cell.source.splitlines()), default=0) > 88:
            yield f"{cell.id} has a line that runs out of the page"
        try:  # shell lines and magics are no Python: their failures go unseen
            ast.parse(cell.source)
        except SyntaxError:
            yield f"{cell.id} is not plain Python"
        if re.search(r"get_ipython|\bsys\.exit|\bquit\(|\bexit\(", cell.source):
            yield f"{cell.id} leaves Python, or the notebook"
    if notebook.cells[-1].cell_type != "code" or "assert " not in notebook.cells[-1].source:
        yield "the last cell does not check that the chapter completed"


def faults_of_the_prose(notebook):
    prose, end = prose_of(notebook), 0
    for part in PARTS:
        found = re.compile(part, re.MULTILINE).search(prose, end)
        if found:
            end = found.end()
        else:
            yield f"the part {part} is missing or out of order"
    for preset in presets.PRESETS:
        if not re.search(rf"^\| `{preset}` \|.*\d", prose, re.MULTILINE):
            yield f"the time of the preset {preset} is not said"
    captions = re.findall(r"^\*\*Figure (\d+)\.\*\*", prose, re.MULTILINE)
    if captions != [str(number + 1) for number in range(len(captions))]:
        yield "the figures are not numbered in their order"
    if not captions or len(re.findall(r"^\*\*Figure \d+\.\*\* \*\S", prose, re.MULTILINE)) < len(captions):
        yield "there is no figure, or one whose caption says nothing"
    for part, least in LEAST.items():
        points = re.search(rf"^{re.escape(part)}\n+((?:[- ].*\n?)+)", prose, re.MULTILINE)
        if not points or len(re.findall(r"^- ", points[1], re.MULTILINE)) < least:
            yield f"the part {part} has fewer than {least} points"
    yield from faults_of_the_exercises(prose)
    for link in re.findall(r"\]\(([^)#]+\.ipynb)", prose):
        if not (course.NOTEBOOKS / link).is_file():
            yield f"{link} is linked and not there"
    for formula in re.findall(r"\$\$.*?\$\$", prose, re.DOTALL):
        if re.search(r"\\\\[A-Za-z]", formula):  # a line break, and then the command's name as letters
            yield "a command in a formula has two backslashes"
    for details in re.findall(r"<details>.*?</details>", prose, re.DOTALL):
        # An empty line ends an HTML block, and on the page all after it would be in plain sight.
        if "\n\n" in details:
            yield "a hint or solution has an empty line"


def faults_of_the_exercises(prose):
    found = exercises_of(prose)
    if not 2 <= len(found) <= 4 or [number for number, _ in found] != [str(n + 1) for n in range(len(found))]:
        yield "the exercises are not two to four, numbered in their order"
    for number, title in found:
        if not re.search(r"\(\d+ minutes\)$", title):
            yield f"exercise {number} does not say how many minutes it takes"


def exercises_of(prose):
    """Number and title of each exercise."""
    part = prose.partition("\n## Exercises\n")[2].partition("\n## Go further\n")[0]
    return re.findall(r"^### (\d+)\. (.+)", part, re.MULTILINE)


def faults_of_the_neighbours(prose, before, after):
    """What is wrong with the links to the chapters before and after, which may be None."""
    for word, name in (("Before", before), ("Next", after)):
        if name and not re.search(rf"^\*\*{word}\*\*[^\n]*\]\({name}\.ipynb\)", prose, re.MULTILINE):
            yield f"there is no line **{word}** with a link to {name}"


def test_there_are_chapters():
    assert "00_start_here" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_chapter_has_the_form_of_a_chapter(name):
    assert faults(read(name)) == []


def test_chapters_lead_to_their_neighbours():
    names = list(NOTEBOOKS)
    for before, name, after in zip([None, *names], names, [*names[1:], None]):
        assert [*faults_of_the_neighbours(prose_of(read(name)), before, after)] == [], name
    first = prose_of(read(names[0]))
    assert len([*faults_of_the_neighbours(first, names[1], names[2])]) == 2


def test_links_out_of_the_folder_lead_somewhere_and_jupyterlab_may_follow_them():
    prose = "\n".join(prose_of(read(name)) for name in NOTEBOOKS)
    links = set(re.findall(r"\]\((\.\./[^)#]+)", prose))
    assert links and [link for link in links if not (course.NOTEBOOKS / link).is_file()] == []
    lab = (course.NOTEBOOKS.parent / "Makefile").read_text(encoding="utf-8").partition("\nlab:")[2].partition("\n\n")[0]
    assert lab.endswith("jupyter-lab --FileContentsManager.preferred_dir=notebooks")  # the root is the clone


def test_instructors_are_told_the_times_that_the_chapters_tell():
    told = (course.NOTEBOOKS.parent / "INSTRUCTORS.md").read_text(encoding="utf-8")
    for name in NOTEBOOKS:
        prose = prose_of(read(name))
        times = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", prose, re.MULTILINE))
        smoke, cpu = times["smoke"], times["cpu"]
        row = rf"^\| {name[:2]} [^|]+ \| {re.escape(smoke)} \| {re.escape(cpu)} \| {len(exercises_of(prose))}\b"
        assert re.search(row, told, re.MULTILINE), f"{name}: {smoke}, {cpu}"


def test_there_are_exercises_enough():
    assert sum(len(exercises_of(prose_of(read(name)))) for name in NOTEBOOKS) >= 24


def test_the_template_has_the_form_of_a_chapter_and_is_none():
    assert faults(nbformat.read(TEMPLATE, as_version=4)) == []
    assert TEMPLATE.stem not in NOTEBOOKS


def code_cell(notebook, number):
    return [cell for cell in notebook.cells if cell.cell_type == "code"][number]


def replace(notebook, old, new):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new)


BREAK = {  # how to break a good chapter: the fault that must be found
    "the kernel is not": lambda n: n.metadata.kernelspec.update(name="conda-env"),
    "the metadata hold": lambda n: n.metadata.update(widgets={}),
    "has outputs": lambda n: code_cell(n, 2).update(execution_count=3),
    "may fail unseen": lambda n: code_cell(n, 2).metadata.update(tags=["raises-exception"]),
    "one cell of param": lambda n: code_cell(n, 0).update(source="preset = str(1); seed = solve = device = 0"),
    "more than 30 lines": lambda n: code_cell(n, 2).update(source="1\n" * 31),
    "not introduced by prose": lambda n: n.cells.append(new_code_cell("assert 1", id="more")),
    "runs out of the page": lambda n: code_cell(n, 2).update(source="a = 1  # " + 80 * "."),
    "not plain Python": lambda n: code_cell(n, 2).update(source="!ls"),
    "leaves Python": lambda n: code_cell(n, 2).update(source="sys.exit(0)"),
    "does not check": lambda n: n.cells.pop(),
    "Summary is missing": lambda n: replace(n, "## Summary", "## All in all"),
    "Go further is missing or out of order": lambda n: (
        replace(n, "## Go further", "## More"), replace(n, "## Summary", "## Go further\n\n## Summary")
    ),
    "the preset cpu": lambda n: replace(n, "| `cpu` |", "| fast |"),
    "not numbered": lambda n: replace(n, "**Figure 2.**", "**Figure 3.**"),
    "linked and not there": lambda n: replace(n, "**Next**", "[Next](09_nothing.ipynb)"),
    "caption says nothing": lambda n: replace(n, "**Figure 2.** *What", "**Figure 2.**\n\nWhat"),
    "## Summary has fewer": lambda n: replace(n, "- Landmarks are", "And landmarks are"),
    "to do** has fewer": lambda n: replace(n, "be able to do**\n\n", "be able to do**\n\n- all.\n\n"),
    "not two to four": lambda n: replace(n, "### 3. Only", "### 4. Only"),
    "exercise 2 does not say how many": lambda n: replace(n, "another? (5 minutes)", "another? (soon)"),
    "two backslashes": lambda n: replace(n, "where ⊙ multiplies", r"$$\\frac12$$ where ⊙ multiplies"),
    "empty line": lambda n: replace(n, "<pre>", "\n\n<pre>"),
}


@pytest.mark.parametrize("fault", BREAK)
def test_faults_are_found(fault):
    notebook = deepcopy(read("00_start_here"))
    BREAK[fault](notebook)
    assert any(fault in found for found in faults(notebook))


RESET = "get_ipython().run_line_magic('reset', '-f')"  # an empty namespace


def has_tag(cell, *tags):
    return bool(set(tags) & set(cell.metadata.get("tags", [])))


def exercises_again(notebook):
    """Cells that solve the exercises of a chapter in an empty namespace, with its set-up and nothing else of it."""
    kept = [cell for cell in notebook.cells if cell.id == "setup" or has_tag(cell, "parameters", "exercise")]
    cells = [new_code_cell(RESET, id="reset"), *(new_code_cell(cell.source, id=f"{cell.id}-again") for cell in kept)]
    for cell, old in zip(cells[1:], kept):
        if has_tag(old, "parameters"):
            cell.source += '\npreset, solve = "smoke", True'
        cell.metadata["tags"] = ["exercise"] if has_tag(old, "exercise") else []
    return cells


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs a chapter, when it is first asked for: the exit status, the executed notebook, what came after, the page.

    One kernel runs the chapter as it is, and then its exercises solved: to start another and import all takes as long.
    """
    root, execute = str(Path(faceinpaint.__file__).parent.parent), papermill.execute_notebook

    def execute_both(notebook, *given, **options):
        notebook.cells += exercises_again(notebook)
        return execute(notebook, *given, **options)

    @cache
    def run(name):
        out = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            # The kernel imports the package that these tests belong to.
            patch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
            patch.setattr(papermill, "execute_notebook", execute_both)
            status = course.run_course(out, preset="smoke", only=name)
        executed = nbformat.read(out / f"{name}.ipynb", as_version=4)
        end = [cell.id for cell in executed.cells].index("reset")
        again = new_notebook(cells=executed.cells[end:])
        executed.cells = executed.cells[:end]
        return status, executed, again, (out / f"{name}.html").read_text(encoding="utf-8")

    return run


def pictures_of(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_chapter_runs_and_every_caption_has_its_picture(name, ran):
    status, executed, again, page = ran(name)
    assert status == 0, first_error(executed) or first_error(again)
    captions = re.findall(r"<strong>Figure \d+\.</strong>", page)
    assert len(captions) == prose_of(read(name)).count("**Figure ") > 0
    assert page.count("data:image/png;base64,") - pictures_of(again) >= len(captions)
    for details in re.findall(r"<details>.*?</details>", page, re.DOTALL):
        assert len(details) > len("<details><summary>Solution</summary></details>")  # something is in it


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if any(has_tag(c, "exercise") for c in read(name).cells)])
def test_solve_fills_in_every_solution(name, ran):
    _, _, again, _ = ran(name)
    assert first_error(again) == ""
    verdicts = exercises_in(again)
    assert len(verdicts) == sum(has_tag(cell, "exercise") for cell in read(name).cells)
    assert [number for number, verdict in verdicts.items() if not is_right(verdict)] == []
