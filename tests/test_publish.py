"""The site to be given away: pages, notebooks and a reference, whose examples run."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest
import torch

from faceinpaint.course import publish


def test_a_site_has_the_pages_the_notebooks_and_a_reference(tmp_path, monkeypatch):
    out, site = tmp_path / "out", tmp_path / "site"
    out.mkdir()
    for name in ("index.html", "00_start_here.html", "site.css", "search.js", "chapters.csv"):
        (out / name).write_text("<main>words</main>\n")
    reference = publish.write_reference
    monkeypatch.setattr(publish, "write_reference", lambda folder: reference(folder, ["faceinpaint.landmarks"]))
    (site / "old").mkdir(parents=True)
    publish.publish(out, site)
    assert not (site / "old").exists() and not (site / "chapters.csv").exists()
    assert (site / "00_start_here.html").exists() and (site / "08_failure_cases.ipynb").exists()
    assert 'href="reference/index.html"' in (site / "index.html").read_text()
    page = (site / "reference" / "faceinpaint" / "landmarks.html").read_text()
    assert "mirror_landmarks" in page and "order kept iBUG-68" in page


def test_the_reference_has_every_module_but_the_solutions(tmp_path, monkeypatch):
    pages = []
    monkeypatch.setattr(publish.subprocess, "run", lambda command, check: pages.extend(command))
    publish.write_reference(tmp_path)
    assert {"faceinpaint", "faceinpaint.generator", "faceinpaint.prior.symmetry", "faceinpaint.cli.data"} <= {*pages}
    assert not [name for name in pages if "exercises" in name]


@pytest.mark.parametrize("module, names", [
    ("faceinpaint.features", {"images": torch.rand(1, 3, 64, 64)}),
    ("faceinpaint.course.exercises", {"upper_left": lambda height, width: torch.zeros(1, 1, height, width)}),
    ("faceinpaint.studio.session", {}),
])
def test_an_example_of_the_reference_runs(module, names, astronaut, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "another.jpg"):
        astronaut.save(name)
    found = importlib.import_module(module)
    example = "\n".join(re.findall(r"^    .*", inspect.getdoc(found), re.MULTILINE))
    package = importlib.import_module(module.rpartition(".")[0])
    exec(textwrap.dedent(example), vars(package) | vars(found) | {"Path": Path} | names)
