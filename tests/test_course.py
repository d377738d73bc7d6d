from __future__ import annotations

import csv
import json
import re
import socket
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.memory import peak_memory
from faceinpaint.course import pages
from faceinpaint.course import run as course
from faceinpaint.training import presets

PICTURE = """import matplotlib.pyplot as plt
plt.plot([0, 1])
plt.show()"""
SLIDER = """import ipywidgets
ipywidgets.interact(lambda a: print("the slider shows", a), a=(0, 9));"""
ERROR_IN_OUTPUT = """import ipywidgets
hidden = ipywidgets.Output()
with hidden:
    raise ValueError("unseen")"""
ERROR_IN_CALLBACK = """import ipywidgets
def half(a):
    return 1 / a
ipywidgets.interact(half, a=0);"""
ERROR_IN_THREAD = """import threading
thread = threading.Thread(target=lambda: {}["key"])
thread.start()
thread.join()"""


NO_SOLVE = {"preset": "cpu"}
PARAMETERS = NO_SOLVE | {"solve": False}
CHECK = """from IPython.display import HTML
# exercises.get("{}", solve)
HTML("<div>{}</div>")"""


def write_notebook(folder: Path, name: str, *code: str, parameters=PARAMETERS, kernel="python3", text="") -> None:
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    assigned = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cells = [new_code_cell(assigned, metadata={"tags": ["parameters"]}), *map(new_code_cell, code)]
    for cell in cells:
        if "exercises.get" in cell.source:
            cell.metadata["tags"] = ["exercise"]
    notebook = new_notebook(cells=[new_markdown_cell(text), *cells], metadata={"kernelspec": spec})
    nbformat.write(notebook, folder / f"{name}.ipynb")


def outcome(name, notebook, error=""):
    return course.Outcome(name, notebook, error, 1.0, None, {})


GOOD = """# 00 · Good: a chapter

**What you will be able to do**

- say what `print` prints,
  and where;
- draw.

## A part of it

Some words about marmalade.

```
# no heading
```

### The next part's *name*

- More words about [data](../data/README.md)."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run over all kinds of notebooks: the exit status, the table's lines by chapter, the folder."""
    notebooks, out = tmp_path_factory.mktemp("{notebooks}"), tmp_path_factory.mktemp("out")
    # cell 1 holds the parameters and cell 2 those that papermill injects, so the first of these is cell 3
    write_notebook(notebooks, "00_good", 'print(f"the preset is {preset}")', PICTURE, SLIDER, text=GOOD)
    write_notebook(notebooks, "01_raises", "1", 'raise KeyError("gone")', 'print("never")')
    write_notebook(notebooks, "02_output", ERROR_IN_OUTPUT, ERROR_IN_CALLBACK)
    write_notebook(notebooks, "03_callback", ERROR_IN_CALLBACK, "1")
    write_notebook(notebooks, "04_thread", ERROR_IN_THREAD, "1")
    write_notebook(notebooks, "05_exits", "import sys; sys.exit(0)", "1")
    write_notebook(notebooks, "06_parameter", "1", parameters={"presets": "cpu", "solve": False})
    write_notebook(notebooks, "07_kernel", "1", kernel="conda-env-mine")
    (notebooks / "08_damaged.ipynb").write_text('{"cells": [')
    (out / "01_raises.html").write_text("the page of an earlier run")
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")  # pictures shall appear all the same
        patch.setattr("builtins.print", lambda text, **_: printed.extend(text.splitlines()))
        # two at a time: nothing of one may get into the other
        status = course.run_course(out, "smoke", notebooks=notebooks, jobs=2)
    return status, {line.split()[0]: line for line in printed}, out


def test_a_good_chapter_becomes_a_page(run):
    _, lines, out = run
    assert lines["00_good"].endswith("ok")
    executed = nbformat.read(out / "00_good.ipynb", as_version=4)
    outputs = [output for cell in executed.cells[1:] for output in cell.outputs]
    (picture,) = [output for output in outputs if "image/png" in output.get("data", {})]
    html = (out / "00_good.html").read_text()
    assert "the preset is smoke" in html
    assert picture.data["image/png"].strip()[:1000] in html
    assert "data (<code>data/README.md</code>)" in html  # which is not on the site
    assert "the slider shows 4" in html  # what a widget has drawn stays, the widget goes
    text = nbformat.writes(executed)
    assert "widget" not in text.replace("ipywidgets", "")
    assert tempfile.gettempdir() not in text


@pytest.mark.parametrize("chapter, error", [
    ("01_raises", "cell 4, line 1: KeyError: 'gone'"),
    ("02_output", "cell 3, line .: ValueError: unseen"),
    ("03_callback", "cell 3, line 3: ZeroDivisionError: division by zero"),
    ("04_thread", "cell 3, in a thread: KeyError: 'key'"),
    ("05_exits", "cell 3: SystemExit: 0"),
    ("06_parameter", "no 'preset': the nearest that it has is 'presets'"),
    ("07_kernel", "saved for the kernel 'conda-env-mine'"),
    ("08_damaged", "not a readable notebook"),
])
def test_an_error_is_found_and_the_others_still_run(run, chapter, error):
    status, lines, out = run
    assert status == 1
    assert re.search(error, lines[chapter])
    assert "This run failed" in (out / f"{chapter}.html").read_text()  # and no page of an earlier run is left


def test_formulas_are_drawn_without_the_web(tmp_path):
    text = "Where $\\hat I$ is, `$x$` is code.\n\n$$\\frac{1}{n_m}$$\n\n    $y$\n"
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    course.write_pages(outcome("00_formulas", notebook), "smoke", tmp_path, tmp_path)
    page = (tmp_path / "00_formulas.html").read_text(encoding="utf-8")
    assert page.count("<math ") == 2 and len(re.findall('<math [^>]*display="block"', page)) == 1
    assert "<mfrac>" in page and "<code>$x$</code>" in page and "$y$" in page
    assert '<script src="http' not in page


def test_a_picture_pasted_into_the_text_is_on_the_page(tmp_path):
    attachments = {"drawn.png": {"image/png": "iVBORw0KGgo="}}
    notebook = new_notebook(cells=[new_markdown_cell("![drawn](attachment:drawn.png)", attachments=attachments)])
    course.write_pages(outcome("00_pasted", notebook), "smoke", tmp_path, tmp_path)
    assert "data:image/png;base64,iVBORw0KGgo=" in (tmp_path / "00_pasted.html").read_text(encoding="utf-8")


def test_pages_are_whole_and_nothing_else_is_left(run):
    _, lines, out = run
    chapters = [name for name in lines if name[0].isdigit() and name[-1] != ":"]
    assert len(chapters) == 9
    pages = {f"{chapter}{suffix}" for chapter in chapters for suffix in (".html", ".ipynb")}
    around = {"index.html", "site.css", "search.js", "chapters.csv", "junit.xml"}
    assert {path.name for path in out.iterdir()} == pages | around


def test_the_table_tells_time_and_memory(run):
    _, lines, out = run
    seconds, memory = map(float, lines["00_good"].split()[1:3])
    assert seconds > 0 and 20 < memory < 1000  # MB; a kernel that has drawn a picture
    assert lines["07_kernel"].split()[2] == "?"  # it never started
    assert lines["together"].endswith("8 of 9 failed")
    rows = {row["chapter"]: row for row in csv.DictReader((out / "chapters.csv").open())}
    assert float(rows["00_good"]["memory_mb"]) == memory and rows["07_kernel"]["memory_mb"] == ""
    assert "KeyError" in rows["01_raises"]["error"]


def test_junit_xml_says_what_failed(run):
    _, _, out = run
    root = ElementTree.parse(out / "junit.xml").getroot()
    failed = {case.get("classname"): case.find("failure").get("message") for case in root.findall("*/*[failure]")}
    assert len(failed) == int(root.get("failures")) == 8 and root.get("tests") == "9"
    assert failed["01_raises"] == "cell 4, line 1: KeyError: 'gone'"


def test_the_peak_is_the_most_that_a_process_ever_had():
    code = "a = bytearray(200_000_000); a[::4096] = b'x' * len(a[::4096]); del a; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        process.stdout.readline()
        assert 200e6 < peak_memory(process.pid) < 400e6
        process.communicate("\n")
    assert peak_memory(process.pid) is None


# ------------------------------------------------------------------------------------------- the exercises


@pytest.fixture
def two_exercises(tmp_path):
    """A chapter with an exercise that is solved and one that is not."""
    right, wrong = CHECK.format("00.1", "Right: yes."), CHECK.format("00.2", "Not yet: 1 &lt; 2.")
    write_notebook(tmp_path, "00_exercises", right, wrong, "print(solve)")
    return tmp_path


@pytest.mark.parametrize("solve, status, result", [(False, 0, "ok"), (True, 1, "exercise 00.2 is not solved: Not yet")])
def test_an_open_exercise_fails_the_run_that_solves_all(two_exercises, capsys, solve, status, result):
    out = two_exercises / "out"
    assert course.run_course(out, notebooks=two_exercises, solve=solve) == status
    assert re.search(rf"00_exercises +[\d.]+ +\d+ +1 of 2  {result}", capsys.readouterr().out)
    cases = {case.get("name"): case for case in ElementTree.parse(out / "junit.xml").iter("testcase")}
    assert list(cases) == ["runs", "exercise 00.1", "exercise 00.2"] and len(cases["exercise 00.1"]) == 0
    (said,) = cases["exercise 00.2"]
    assert (said.tag, said.get("message")) == ("failure" if solve else "skipped", "Not yet: 1 < 2.")
    assert f">{solve}\n" in (out / "00_exercises.html").read_text()


def test_what_a_notebook_says_of_solve_does_not_count(tmp_path, capsys):
    write_notebook(tmp_path, "00_sly", "assert not solve", parameters=NO_SOLVE | {"solve": True})
    assert course.run_course(tmp_path / "out", notebooks=tmp_path) == 0
    write_notebook(tmp_path, "00_sly", "1", parameters=NO_SOLVE)
    assert course.run_course(tmp_path / "out", notebooks=tmp_path) == 1
    assert "has no 'solve'" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ the site


def test_the_index_has_every_chapter_with_its_goals(run):
    index = (run[2] / "index.html").read_text()
    assert '<a href="00_good.html">00 · Good: a chapter</a>' in index
    assert "<li>say what print prints, and where</li><li>draw</li>" in index
    assert "This run failed. cell 4, line 1: KeyError" in index
    assert "preset smoke, ran " in index and " MB at most" in index


def test_pages_lead_to_their_neighbours(run):
    out = run[2]
    page = (out / "01_raises.html").read_text()
    assert page.count('<a rel="prev" href="00_good.html">‹ 00 · Good</a>') == 2
    assert page.count('<a rel="next" href="02_output.html">02_output ›</a>') == 2
    assert 'rel="prev"' not in (out / "00_good.html").read_text()
    course.write_site(out)
    assert (out / "01_raises.html").read_text() == page  # a second bar takes the place of the first


def test_every_link_of_the_site_has_its_end(run):
    out = run[2]
    for path in out.glob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#:]+)"', path.read_text()):
            assert (out / target).is_file(), f"{path.name} -> {target}"


def test_what_is_searched_leads_to_its_heading(run):
    out = run[2]
    found = json.loads((out / "search.js").read_text().splitlines()[0].removeprefix("const SECTIONS = ")[:-1])
    (part,) = [section for section in found if "marmalade" in section[3]]
    assert part[:3] == ["00_good.html#A-part-of-it", "00 · Good: a chapter", "A part of it"]
    assert "no heading" in part[3]
    assert ["The next part's name"] == [section[2] for section in found if "More words" in section[3]]
    for page, _, anchor in (section[0].partition("#") for section in found):
        assert not anchor or f'id="{anchor}"' in unescape((out / page).read_text())


def test_a_widget_of_the_browser_becomes_its_picture():
    shown = {"fi": {"state": {"_dom_classes": ["fi-frame"], "children": []}}}
    (drawn,) = pages.drawn_by("fi", shown)
    assert drawn.data["image/jpeg"].startswith("/9j/")
    assert pages.drawn_by("slider", {"slider": {"state": {"_dom_classes": ["other"]}}}) == []


def test_a_cell_that_hangs_is_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(course.CELL_SECONDS, "smoke", 2)
    write_notebook(tmp_path, "03_hangs", "import time; time.sleep(600)", "1")
    write_notebook(tmp_path, "04_other", "raise ValueError")
    assert course.run_course(tmp_path / "out", only="3", notebooks=tmp_path) == 1
    printed = capsys.readouterr().out
    assert "cell 3: ran longer than 2 s" in printed
    assert "04_other" not in printed


@pytest.mark.parametrize("only", ["3", "03", "03_losses"])
def test_one_chapter_by_number_or_name(tmp_path, only):
    for name in ("03_losses", "13_more", ".hidden"):
        write_notebook(tmp_path, name)
    assert [path.stem for path in course.find_chapters(tmp_path, only)] == ["03_losses"]
    assert [path.stem for path in course.find_chapters(tmp_path)] == ["03_losses", "13_more"]
    assert len(course.find_chapters(tmp_path, ["13", only, "3"])) == 2


def test_wrong_calls_say_what_there_is(tmp_path):
    with pytest.raises(InputError, match="make setup"):
        course.run_course(tmp_path / "out", notebooks=tmp_path)
    write_notebook(tmp_path, "00_start")
    with pytest.raises(InputError, match="no chapter '7'.*00_start"):
        course.run_course(tmp_path / "out", only="7", notebooks=tmp_path)
    with pytest.raises(InputError, match="no preset 'smok'.*smoke, cpu, gpu"):
        course.run_course(tmp_path / "out", preset="smok", notebooks=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the folder .* can't be written"):
        course.run_course(tmp_path / "file" / "out", notebooks=tmp_path)


def test_every_preset_has_its_time_limit():
    assert list(course.CELL_SECONDS) == list(presets.PRESETS)


def test_tests_run_without_the_network():
    with pytest.raises(RuntimeError, match="without the network"):
        socket.create_connection(("example.org", 80), timeout=1)
    with pytest.raises(RuntimeError, match="without the network"):
        socket.socket().connect(("192.0.2.1", 80))
