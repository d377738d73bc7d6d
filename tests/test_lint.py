"""What `make lint` and the hooks before a commit hold, and the spelling of everything that is there to be read."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml
from sharing import FIRST, TOGETHER, group
from spellchecker import SpellChecker

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NAMES = ("README.md", "INSTRUCTORS.md", "CONTRIBUTING.md", "CHANGELOG.md")
TEXTS = [*NOTEBOOKS, *sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in NAMES)]
WORDS = ROOT / "tests" / "words.txt"  # names and terms that no dictionary of English has


@pytest.mark.parametrize("command", [
    ["ruff", "check", "--no-cache", "faceinpaint", "tests", "notebooks"],
    ["ty", "check"],
    ["nbstripout", "--keep-id", "--verify", *(f"notebooks/{path.name}" for path in NOTEBOOKS)],
], ids=lambda command: command[0])
def test_lint_finds_nothing(command):
    line = (ROOT / "Makefile").read_text().partition("\nlint:")[2]
    assert f"$(VENV)/bin/{command[0]} " in line.partition("\n\n")[0]
    program = Path(sys.executable).with_name(command[0])
    found = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_hooks_are_of_the_releases_that_are_pinned():
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    ruff, nbstripout, local = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert ruff["rev"] == f"v{pins['ruff']}" and nbstripout["rev"] == pins["nbstripout"]
    # In an environment of pre-commit's own ty would find none of the packages that the code imports.
    assert local["hooks"][0]["language"] == "system" and local["hooks"][0]["entry"].startswith(".venv/bin/ty check")


def test_the_files_that_are_run_first_or_together_are_there():
    named = {*FIRST, *TOGETHER, *TOGETHER.values()}
    assert named <= {path.stem for path in (ROOT / "tests").glob("test_*.py")}
    assert not set(TOGETHER) & set(TOGETHER.values())
    tests = ("masks.py::test_a", "masks.py::test_b[01_a]", "adversity.py::test_c", "kills.py::test_d[a::b]")
    assert [group(f"tests/test_{test}") for test in tests] == 2 * ["test_masks"] + 2 * ["test_kills"]
    chapter = f"tests/test_notebooks.py::test_chapter_runs[{NOTEBOOKS[2].stem}]"
    assert group(chapter) == f"test_notebooks {NOTEBOOKS[2].stem}"


# ------------------------------------------------------------------------------------------- the spelling


@cache
def dictionary() -> SpellChecker:
    """English, with the words of this project."""
    checker = SpellChecker(distance=1)
    checker.word_frequency.load_words(WORDS.read_text(encoding="utf-8").split())
    return checker


def misspelt(markdown: str) -> set[str]:
    """Words of a text that no dictionary has. Code, links, formulas and words with a capital are not read."""
    code = r"^```.*?^```|^    .*?$|<pre>.*?</pre>|<code>.*?</code>"
    text = re.sub(code, " ", markdown, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|<[^>]*>|https?://\S+|&\w+;", " ", text, flags=re.DOTALL)
    found = re.findall(r"(?<![\w.@/\\-])[a-z][a-z']+(?![\w@/\\]|\.\w)", text.replace("’", "'"))
    words = {word.strip("'") for word in found}
    return dictionary().unknown({word.removesuffix("'s") for word in words if len(word) > 2})


def prose_of(path: Path) -> str:
    """The text of a notebook or of a file of Markdown."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_words_are_spelt_right(path):
    assert misspelt(prose_of(path)) == set(), "if a word is right, add it to tests/words.txt"


def test_a_misspelling_is_found():
    assert misspelt("The *recogniser's* embeding, `embeding`, $embeding$, [link](embeding.md)") == {"embeding"}
    assert misspelt("```\nteh\n```\nWe cant't recieve teh.") >= {"recieve", "teh"}


def test_the_word_list_is_sorted_and_has_each_word_once():
    words = WORDS.read_text(encoding="utf-8").split()
    assert words == sorted(set(words))
