"""Run the chapters, one after another or several at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.basics.files import in_sole_use
from faceinpaint.course import report
from faceinpaint.course.chapter import Outcome, run_chapter
from faceinpaint.course.pages import write_pages
from faceinpaint.course.site import write_site

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CELL_SECONDS = {"smoke": 600, "cpu": 3600, "gpu": 86400}  # preset -> the longest that one cell may run


@in_sole_use
def run_course(
    out: Path, preset: str = "smoke", only: str | Sequence[str] | None = None, notebooks: Path = NOTEBOOKS,
    jobs: int = 1, solve: bool = False,
) -> int:
    """Run chapters, and write into `out`: executed notebooks, a site (`index.html`), `chapters.csv` and `junit.xml`.

    only: chapters by their numbers ("03") or whole names.  jobs: how many run at a time.  solve: let the exercises be
    solved by their own solutions, every one of which must then pass.  Returns the exit status: 0, or 1 if any
    chapter failed (the others still run, and the page of the failed one says why).
    Raises InputError for an unknown preset or chapter, and where there are no notebooks.
    """
    require_known("preset", preset, list(CELL_SECONDS))
    chapters = find_chapters(Path(notebooks).resolve(), only)
    out = Path(out).resolve()

    # solve=False is said, too: what somebody left in a notebook shall not solve its exercises.
    parameters = {"preset": preset, "solve": solve}
    outcomes = []
    for outcome in run_chapters(chapters, parameters, CELL_SECONDS[preset], jobs):
        write_pages(outcome, preset, chapters[0].parent, out)
        print(f"{outcome.chapter}: {outcome.seconds:.0f} s, {outcome.error or 'ok'}", flush=True)
        outcomes.append(outcome)
    outcomes.sort(key=lambda outcome: outcome.chapter)
    report.write(outcomes, preset, solve, out)
    write_site(out)
    print(report.table(outcomes))
    print(f"The site is in {out}: open index.html.")
    return 1 if any(outcome.error for outcome in outcomes) else 0


def run_chapters(
    chapters: list[Path], parameters: dict[str, object], cell_seconds: int, jobs: int
) -> Iterator[Outcome]:
    """The outcomes of chapters as they come."""
    run = partial(run_chapter, parameters=parameters, cell_seconds=cell_seconds)
    if jobs == 1:
        yield from map(run, chapters)
        return
    share = max(1, (os.cpu_count() or 1) // jobs)  # kernels that all take every core hold each other up
    with ThreadPoolExecutor(jobs) as pool:  # threads: the work is in the kernels
        for future in as_completed([pool.submit(run, path, threads=share) for path in chapters]):
            yield future.result()


def find_chapters(notebooks: Path, only: str | Sequence[str] | None = None) -> list[Path]:
    """The notebooks in reading order, or those that `only` names; InputError if one is not there."""
    chapters = sorted(path for path in notebooks.glob("*.ipynb") if not path.name.startswith("."))
    if not chapters:
        raise InputError(f"there are no notebooks in {notebooks}: run the course in a clone of the "
                         "repository, after `make setup` there")
    wanted = [only] if isinstance(only, str) else only or []
    chosen = {find_chapter(chapters, name) for name in wanted}
    return sorted(chosen) or chapters


def find_chapter(chapters: list[Path], wanted: str) -> Path:
    """The chapter of a number or a whole name; InputError if there is none."""
    for path in chapters:
        if wanted == path.stem or wanted.zfill(2) == path.stem.split("_")[0]:
            return path
    names = ", ".join(path.stem for path in chapters)
    raise InputError(f"there is no chapter '{wanted}': choose one of {names}, by its number")
