"""The site around the pages: an index, links from page to page, and a search over all of them.

No site generator: the pages are made already, and what they lack is a bar at the top and one page more. So it needs no
further package, no build step and no network, and opens from a folder as from a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from faceinpaint.basics.files import write_whole

HERE = Path(__file__).parent
TITLE = "faceinpaint: a course of face completion"
SAFE = "?/:@!$&'()*+,;="  # what nbconvert leaves as it is in the id of a heading
BAR = re.compile(r"<!--course-->.*?<!--/course-->\n?", re.DOTALL)


@dataclass(frozen=True)
class Chapter:
    """An executed notebook as the site sees it. run: what `write_pages` noted of its run."""

    name: str
    notebook: NotebookNode
    run: dict

    @property
    def prose(self) -> str:
        """All text of the chapter."""
        return "\n\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")

    @property
    def title(self) -> str:
        """The chapter's title, or the name of its file."""
        found = re.search(r"^# (\d\d · .+)", self.prose, re.MULTILINE)
        return found[1] if found else self.name

    @property
    def goals(self) -> list[str]:
        """What a reader will be able to do."""
        found = re.search(r"\*\*What you will be able to do\*\*\n+((?:[- ].*\n?)+)", self.prose)
        goals = re.split(r"^- ", found[1], flags=re.MULTILINE)[1:] if found else []
        return [plain(goal).rstrip(";. ") for goal in goals]


def write_site(out: Path) -> None:
    """Write `index.html`, `site.css` and `search.js` beside the pages in `out`, and the bar into each page."""
    chapters = [*read_chapters(out)]
    sections = [section for chapter in chapters for section in sections_of(chapter)]
    found = "const SECTIONS = " + json.dumps(sections, ensure_ascii=False, separators=(",", ":")) + ";\n"
    write_whole(out / "search.js", (found + (HERE / "search.js").read_text(encoding="utf-8")).encode())
    write_whole(out / "site.css", (HERE / "site.css").read_bytes())
    write_whole(out / "index.html", index(chapters).encode())
    for before, chapter, after in zip([None, *chapters], chapters, [*chapters[1:], None]):
        path = out / f"{chapter.name}.html"
        write_whole(path, with_bars(path.read_text(encoding="utf-8"), before, chapter, after).encode())


def read_chapters(out: Path) -> Iterator[Chapter]:
    """The executed notebooks of a folder that have their page beside them, in reading order."""
    for path in sorted(out.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if "course" in notebook.metadata and path.with_suffix(".html").is_file():
            yield Chapter(path.stem, notebook, notebook.metadata.course)


def with_bars(page: str, before: Chapter | None, chapter: Chapter, after: Chapter | None) -> str:
    """A page with its title, and a bar at the top, with the search, and at the end; in the place of older ones."""
    links = link(before, "prev", "‹ {}") + link(after, "next", "{} ›")
    page = BAR.sub("", page)
    page = re.sub("<title>.*?</title>", lambda _: f"<title>{escape(chapter.title)}</title>", page, count=1)
    page = page.replace("</head>", marked('<link rel="stylesheet" href="site.css">') + "</head>", 1)
    page = re.sub(r"<body[^>]*>\n?", lambda body: body[0] + marked(bar(links, SEARCH)), page, count=1)
    return page.replace("</body>", marked(bar(links) + '<script src="search.js"></script>') + "</body>")


def marked(html: str) -> str:
    """HTML between the signs by which it is found again."""
    return f"<!--course-->{html}<!--/course-->\n"


SEARCH = (
    '<input type="search" placeholder="Search (press /)" aria-label="Search the course">'
    '<ol class="found" aria-live="polite"></ol>'
)


def bar(links: str, search: str = "") -> str:
    """A bar of navigation."""
    return f'<nav class="course"><a href="index.html">Course</a>{links}{search}</nav>'


def link(chapter: Chapter | None, relation: str, text: str) -> str:
    """A link to a neighbour, or nothing where there is none."""
    if chapter is None:
        return ""
    title = escape(chapter.title.partition(":")[0])
    return f'<a rel="{relation}" href="{chapter.name}.html">{text.format(title)}</a>'


def index(chapters: list[Chapter]) -> str:
    """The first page: every chapter with its goals and what its run took."""
    cards = "\n".join(card(chapter) for chapter in chapters)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<link rel="stylesheet" href="site.css">
</head>
<body class="index">
{bar("", SEARCH)}
<main>
<h1>{TITLE}</h1>
<p>Every picture and every number of these pages comes from running the chapter's notebook.</p>
{cards}
</main>
<script src="search.js"></script>
</body>
</html>
"""


def card(chapter: Chapter) -> str:
    """What the first page says about a chapter."""
    goals = "".join(f"<li>{escape(goal)}</li>" for goal in chapter.goals)
    run = chapter.run
    facts = [f"preset {run['preset']}", f"ran {run['seconds']:.0f} s"]
    facts += [f"{run['memory'] / 1e6:.0f} MB at most"] if run["memory"] else []
    facts += [f"{run['passed']} of {run['exercises']} exercises solved"] if run["exercises"] else []
    failed = f'<p class="failed">This run failed. {escape(run["error"])}</p>' if run["error"] else ""
    return f"""<article>
<h2><a href="{chapter.name}.html">{escape(chapter.title)}</a></h2>
{failed}<ul>{goals}</ul>
<p class="facts">{escape(", ".join(facts))} · <a href="{chapter.name}.ipynb" download>the notebook</a></p>
</article>"""


def sections_of(chapter: Chapter) -> Iterator[tuple[str, str, str, str]]:
    """What is searched: (page and anchor, chapter, heading, text) for each part of a chapter under a heading."""
    page, heading, text = f"{chapter.name}.html", "", []
    for cell in chapter.notebook.cells:
        parts = [cell.source] if cell.cell_type == "code" else split_at_headings(cell.source)
        for part in parts:
            found = re.match(r"#+ (.+)", part) if cell.cell_type == "markdown" else None
            if found:
                if text:
                    yield anchor(page, heading), chapter.title, heading, " ".join(text)
                heading, text = plain(found[1]), []
                part = part[found.end():]
            text.append(plain(part) if cell.cell_type == "markdown" else " ".join(part.split()))
    yield anchor(page, heading), chapter.title, heading, " ".join(text)


def split_at_headings(markdown: str) -> list[str]:
    """Markdown in pieces, each beginning at a heading. (A comment in a block of code may begin with `#`, too.)"""
    pieces: list[list[str]] = [[]]
    code = False
    for line in markdown.splitlines():
        code ^= line.startswith("```")
        if line.startswith("#") and not code:
            pieces.append([])
        pieces[-1].append(line)
    return ["\n".join(piece) for piece in pieces if piece]


def anchor(page: str, heading: str) -> str:
    """Where a heading is on a page; nbconvert makes its id in the same way."""
    return f"{page}#{quote(heading.replace(' ', '-'), safe=SAFE)}" if heading else page


def plain(markdown: str) -> str:
    """The words of a piece of Markdown, on one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"</?[A-Za-z][^>]*>", " ", text)
    text = re.sub(r"\*\*|`|^[-#>] |(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)", "", text, flags=re.MULTILINE)
    return " ".join(text.split())
