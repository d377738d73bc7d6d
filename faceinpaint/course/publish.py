"""The site to be given away: the pages of a run, the notebooks to download, and a reference of the package.

    python -m faceinpaint.course.publish runs/course runs/site
"""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import faceinpaint
from faceinpaint.basics.files import write_whole
from faceinpaint.course.run import NOTEBOOKS

HIDDEN = ("faceinpaint.course.exercises", "faceinpaint.portraits", "faceinpaint.__main__")  # solutions, pictures


def publish(out: Path, site: Path) -> None:
    """Make the folder `site` anew from the pages that `faceinpaint course` wrote into `out`."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    for file in [*out.glob("*.html"), out / "site.css", out / "search.js", *NOTEBOOKS.glob("[0-9]*.ipynb")]:
        shutil.copy(file, site)
    write_reference(site / "reference")
    index = (site / "index.html").read_text(encoding="utf-8")
    linked = '<p><a href="reference/index.html">The reference of the package</a></p>\n</main>'
    write_whole(site / "index.html", index.replace("</main>", linked, 1).encode())


def write_reference(folder: Path, names: Sequence[str] = ("faceinpaint",)) -> None:
    """A page for each of some modules, and for those inside them, with the docstrings of their public names."""
    inside = (module.name for module in pkgutil.walk_packages(faceinpaint.__path__, "faceinpaint."))
    chosen = [name for name in inside if name.startswith(tuple(names)) and not name.startswith(HIDDEN)]
    pdoc = [sys.executable, "-W", "ignore", "-m", "pdoc", "--no-show-source", "--output-directory", str(folder)]
    subprocess.run([*pdoc, *dict.fromkeys([*names, *chosen])], check=True)


if __name__ == "__main__":
    publish(*map(Path, sys.argv[1:]))
