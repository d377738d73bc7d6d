from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from faceinpaint import course, presets
from faceinpaint.errors import InputError

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


def write_notebook(folder: Path, name: str, *code: str, parameter="preset", kernel="python3") -> None:
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    parameters = new_code_cell(f'{parameter} = "cpu"', metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[parameters, *map(new_code_cell, code)], metadata={"kernelspec": spec})
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run over all kinds of notebooks: the exit status, the table's lines by chapter, the folder."""
    notebooks, out = tmp_path_factory.mktemp("{notebooks}"), tmp_path_factory.mktemp("out")
    # cell 1 holds the parameters and cell 2 those that papermill injects, so the first of these is cell 3
    write_notebook(notebooks, "00_good", 'print(f"the preset is {preset}")', PICTURE, SLIDER)
    write_notebook(notebooks, "01_raises", "1", 'raise KeyError("gone")', 'print("never")')
    write_notebook(notebooks, "02_output", ERROR_IN_OUTPUT, ERROR_IN_CALLBACK)
    write_notebook(notebooks, "03_callback", ERROR_IN_CALLBACK, "1")
    write_notebook(notebooks, "04_thread", ERROR_IN_THREAD, "1")
    write_notebook(notebooks, "05_exits", "import sys; sys.exit(0)", "1")
    write_notebook(notebooks, "06_parameter", "1", parameter="presets")
    write_notebook(notebooks, "07_kernel", "1", kernel="conda-env-mine")
    (notebooks / "08_damaged.ipynb").write_text('{"cells": [')
    (out / "01_raises.html").write_text("the page of an earlier run")
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")  # pictures shall appear all the same
        patch.setattr("builtins.print", lambda text, **_: printed.append(text))
        status = course.run_course(out, "smoke", notebooks=notebooks)
    return status, {line.split()[0]: line for line in printed}, out


def test_a_good_chapter_becomes_a_page(run):
    _, lines, out = run
    assert lines["00_good"].endswith("ok")
    executed = nbformat.read(out / "00_good.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.outputs]
    (picture,) = [output for output in outputs if "image/png" in output.get("data", {})]
    html = (out / "00_good.html").read_text()
    assert "the preset is smoke" in html
    assert picture.data["image/png"].strip()[:1000] in html
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
    course.write_pages(notebook, "", tmp_path / "00_formulas.ipynb", tmp_path)
    page = (tmp_path / "00_formulas.html").read_text(encoding="utf-8")
    assert page.count("<math ") == 2 and len(re.findall('<math [^>]*display="block"', page)) == 1
    assert "<mfrac>" in page and "<code>$x$</code>" in page and "$y$" in page
    assert '<script src="http' not in page


def test_a_picture_pasted_into_the_text_is_on_the_page(tmp_path):
    attachments = {"drawn.png": {"image/png": "iVBORw0KGgo="}}
    notebook = new_notebook(cells=[new_markdown_cell("![drawn](attachment:drawn.png)", attachments=attachments)])
    course.write_pages(notebook, "", tmp_path / "00_pasted.ipynb", tmp_path)
    assert "data:image/png;base64,iVBORw0KGgo=" in (tmp_path / "00_pasted.html").read_text(encoding="utf-8")


def test_pages_are_whole_and_nothing_else_is_left(run):
    _, lines, out = run
    chapters = [name for name in lines if name[0].isdigit()]
    assert len(chapters) == 9
    pages = {f"{chapter}{suffix}" for chapter in chapters for suffix in (".html", ".ipynb")}
    assert {path.name for path in out.iterdir()} == pages


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


def test_wrong_calls_say_what_there_is(tmp_path):
    with pytest.raises(InputError, match="make setup"):
        course.run_course(tmp_path / "out", notebooks=tmp_path)
    write_notebook(tmp_path, "00_start")
    with pytest.raises(InputError, match="no chapter '7'.*00_start"):
        course.run_course(tmp_path / "out", only="7", notebooks=tmp_path)
    with pytest.raises(InputError, match="no preset 'smok'.*smoke, cpu, gpu"):
        course.run_course(tmp_path / "out", preset="smok", notebooks=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        course.run_course(tmp_path / "file" / "out", notebooks=tmp_path)


def test_every_preset_has_its_time_limit():
    assert list(course.CELL_SECONDS) == list(presets.PRESETS)


def test_tests_run_without_the_network():
    with pytest.raises(RuntimeError, match="without the network"):
        socket.create_connection(("example.org", 80), timeout=1)
    with pytest.raises(RuntimeError, match="without the network"):
        socket.socket().connect(("192.0.2.1", 80))
