"""pyproject.toml, constraints.txt and environment.yml say the same, and say all that the code needs."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import faceinpaint

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
RUN_TIME = [Requirement(text) for text in PROJECT["dependencies"]]
TESTS = [Requirement(text) for text in PROJECT["optional-dependencies"]["test"]]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINNED = [Requirement(line) for line in LINES if not line.startswith("#")]
PINS = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in PINNED}
PLATFORM_BOUND = ("nvidia-", "cuda-", "triton")  # torch itself asks for the exact ones


def declared(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def tracked_files() -> list[Path]:
    """The files of the repository, those not yet committed included, those that git ignores not."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git repository")
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def imported_names(source: str) -> set[str]:
    """The top-level modules that a piece of Python imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def undeclared(sources: list[str], requirements: list[Requirement], own: set[str]) -> set[str]:
    """Modules that the sources import and that neither Python, nor a requirement, nor we ourselves bring."""
    distributions = packages_distributions()
    known = declared(requirements)
    names = set().union(*map(imported_names, sources)) - sys.stdlib_module_names - own
    return {name for name in names if not known & set(map(canonicalize_name, distributions.get(name, [])))}


@pytest.mark.parametrize("requirement", RUN_TIME + TESTS, ids=str)
def test_requirement_is_pinned_to_a_version_that_it_allows(requirement):
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier
    assert requirement.specifier, "a lower bound belongs to every requirement"


def test_torch_older_than_torchvision_knows_is_never_admitted():
    specifiers = {requirement.name: requirement.specifier for requirement in RUN_TIME}
    assert "2.13.0+cpu" not in specifiers["torch"]
    assert PINS["torch"] in specifiers["torch"] and PINS["torchvision"] in specifiers["torchvision"]


def test_environment_holds_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (from_pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    options = [line for line in from_pip if line.startswith("-")]
    assert options == ["--constraint constraints.txt", "--editable ."]
    listed = {str(Requirement(line)) for line in from_pip if line not in options}
    assert listed == set(map(str, RUN_TIME + TESTS))
    (python,) = [part for part in environment["dependencies"] if str(part).startswith("python")]
    assert python.removeprefix("python=") in Requirement(f"python{PROJECT['requires-python']}").specifier


SYSTEMS = {"Linux": ("linux", "posix"), "Darwin": ("darwin", "posix"), "Windows": ("win32", "nt")}


def environment_of(system: str, python: str) -> dict[str, str]:
    """What markers ask for."""
    sys_platform, os_name = SYSTEMS[system]
    return default_environment() | {
        "python_version": python, "python_full_version": f"{python}.5",
        "sys_platform": sys_platform, "platform_system": system, "os_name": os_name,
    }


def coming_along(platform: dict[str, str]) -> set[str]:
    """Follow the requirements of what is installed, as pip resolves them there."""
    needed, todo = set(), [(requirement, "") for requirement in RUN_TIME + TESTS]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate(platform | {"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in needed:
                needed.add((name, extra))
                try:
                    todo += [(Requirement(text), extra) for text in requires(name) or []]
                except PackageNotFoundError:
                    pass  # not needed on this machine
    return {name for name, _ in needed if not name.startswith(PLATFORM_BOUND)}


@pytest.mark.parametrize("python", ("3.11", "3.12", "3.13", "3.14"))
@pytest.mark.parametrize("system", SYSTEMS)
def test_everything_that_comes_along_is_pinned(system, python):
    platform = environment_of(system, python)
    there = {canonicalize_name(pin.name) for pin in PINNED if not pin.marker or pin.marker.evaluate(platform)}
    assert coming_along(platform) - there == set(), "missing from constraints.txt"


def test_nothing_else_is_pinned():
    """But what only other systems and Pythons need: what these bring along is not known here."""
    everywhere = {canonicalize_name(pin.name) for pin in PINNED if not pin.marker}
    assert everywhere - coming_along(environment_of("Linux", "3.11")) == set(), "nothing needs it"


def test_package_and_notebooks_import_only_what_is_declared():
    alone = ROOT / "faceinpaint" / "studio" / "export.py"  # imported by those who have its packages
    sources = [path.read_text() for path in (ROOT / "faceinpaint").rglob("*.py") if path != alone]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        sources.append(re.sub(r"^%.*$", "", code, flags=re.MULTILINE))  # magics such as %matplotlib
    assert undeclared(sources, RUN_TIME, {"faceinpaint"}) == set()
    extra = [Requirement(text) for text in PROJECT["optional-dependencies"]["export"]]
    assert undeclared([alone.read_text()], RUN_TIME + extra, {"faceinpaint"}) == set()


def test_tests_import_only_what_is_declared():
    files = list((ROOT / "tests").glob("*.py"))
    own = {"faceinpaint", "conftest", *(path.stem for path in files)}
    assert undeclared([path.read_text() for path in files], RUN_TIME + TESTS, own) == set()


def test_an_undeclared_import_is_found():
    assert undeclared(["def f():\n    import yaml.nodes"], RUN_TIME, set()) == {"yaml"}
    assert undeclared(["from . import masks\nimport os, torch.nn"], RUN_TIME, set()) == set()


def test_every_package_and_all_that_is_no_code_is_installed():
    settings = PYPROJECT["tool"]["setuptools"]
    places = {name: settings["package-dir"].get(name, name.replace(".", "/")) for name in settings["packages"]}
    with_code = {str(file.parent.relative_to(ROOT)) for file in (ROOT / "faceinpaint").rglob("*.py")}
    assert {place for place in places.values() if place.startswith("faceinpaint")} == with_code
    installed = []
    for package, patterns in settings["package-data"].items():
        installed += [path for pattern in patterns for path in (ROOT / places[package]).glob(pattern)]
    ours = [path for path in tracked_files() if {"faceinpaint", "portraits"} & set(path.relative_to(ROOT).parts)]
    wanted = [path for path in ours if path.suffix != ".py"]
    assert sorted(installed) == sorted(wanted)


def test_an_installed_package_has_the_portraits(tmp_path):
    """Of a wheel, the part that copies files; and what finds them, far from the clone."""
    built = tmp_path / "built"
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q"]
    command += ["egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found = subprocess.run(
        [sys.executable, "-c", "from faceinpaint.faces.sets import find_set; print(find_set('portraits'))"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(built)}, check=True, capture_output=True, text=True,
    )
    assert found.stdout.strip() == str(built / "faceinpaint" / "portraits")


STAND_IN = """#!/bin/sh
case "$*" in
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    *--index-url*) echo "$@" >> "$SAID"; exit "$STATUS" ;;
    *pip*) echo "$@" >> "$SAID" ;;
esac
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("make"), reason="it is make on Linux that chooses")
@pytest.mark.parametrize("card, given, status, build, ends", [
    (False, [], 0, "cpu", True), (False, [], 1, "cpu", True), (True, [], 0, None, True),
    (False, ["TORCH=cpu"], 1, "cpu", False), (True, ["TORCH=cu130"], 0, "cu130", True),
    (False, ["TORCH="], 0, None, True),
])
def test_without_a_card_no_cuda_is_installed(tmp_path, card, given, status, build, ends):
    (tmp_path / "programs").mkdir()
    for name in ("python", *["nvidia-smi"] * card):
        (tmp_path / "programs" / name).write_text(STAND_IN)
        (tmp_path / "programs" / name).chmod(0o755)
    folders = [folder for folder in os.get_exec_path() if not Path(folder, "nvidia-smi").exists()]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(tmp_path / "programs"), *folders]), "SAID": str(tmp_path / "said"),
        "STATUS": str(status),
    }
    environment.pop("TORCH", None)
    command = ["make", "setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={tmp_path / 'programs' / 'python'}", *given]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    *first, last = (tmp_path / "said").read_text().splitlines()
    if build:
        asked = f"torch=={PINS['torch']}+{build} torchvision=={PINS['torchvision']}+{build}"
        assert f"/{build} {asked}" in (first[0] if ends else last) and "--no-deps" in (first[0] if ends else last)
    else:
        assert first == []
    assert (done.returncode == 0) == ends == last.endswith("--constraint constraints.txt --editable .[test]")
    assert ("can't be had" in done.stderr) == (status == 1)


def test_without_make_the_same_is_typed():
    """Continuous integration runs what the Makefile says."""
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, value in {"$(PRESET)": "smoke", "$(JOBS)": "2", "'.[test]'": ".[test]"}.items():
        recipes = recipes.replace(name, value)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = re.findall(r"^\.venv\\Scripts\\python (.+)$", readme, re.MULTILINE)
    assert [words.split()[1] for words in typed] == ["pip", "faceinpaint", "pytest"]
    assert all(f"\t$(VENV)/bin/python {words}\n" in recipes for words in typed)
    usual = {name: re.search(rf"^{name} \?= (.+)$", recipes, re.MULTILINE)[1] for name in ("PRESET", "JOBS")}
    assert usual == {"PRESET": "smoke", "JOBS": "2"}


def test_the_command_is_there():
    module, function = PROJECT["scripts"]["faceinpaint"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_versions_and_licences_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == faceinpaint.__version__
    assert citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert PROJECT["license-files"] == [path.name for path in sorted(ROOT.glob("LICENSE*"))]
    # The package holds code and weights: each of their licences is named.
    shipped = json.loads((ROOT / "faceinpaint" / "weights" / "manifest.json").read_text())
    licences = {entry["licence"].replace(" ", "-") for entry in shipped.values()}
    assert set(PROJECT["license"].split(" AND ")) == {"MIT", *licences}


def test_text_is_utf_8_on_every_system():
    """Windows reads and writes another encoding where none is said."""
    unsaid = re.compile(r"""(?:\.read_text|\.write_text|(?<![.\w])(?<!def )open)\((?!.*(?:encoding=|"[rwax]b")).*""")
    sources = [(path, path.read_text(encoding="utf-8")) for path in (ROOT / "faceinpaint").rglob("*.py")]
    assert [f"{path.name}: {found[0]}" for path, text in sources for found in unsaid.finditer(text)] == []


def test_files_name_no_machine_and_no_registry():
    """Paths of somebody's computer (in a saved output, say) and hosts of registries help nobody else."""
    private = re.compile(rb"(?<![\w.~>*-])/(work|root|opt|home|Users)/\w|(pypi|pythonhosted|anaconda)[.]org")
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in tracked_files()
        if path.suffix not in {".png", ".jpg", ".safetensors", ".parquet"}
        for match in private.finditer(path.read_bytes())
    ]
    assert found == []
