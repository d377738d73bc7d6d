"""The page of a chapter: its executed notebook as one file of HTML that needs no network and no kernel."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.exporters.html import contextfilter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from faceinpaint.basics.files import write_whole
from faceinpaint.course.chapter import WIDGET_STATE, Outcome

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DATA = Path(__file__).resolve().parents[2] / "data"
PICTURES = {"fi-frame": DATA / "studio.jpg"}  # class of a widget that draws in the browser alone -> how it looks


def write_pages(outcome: Outcome, preset: str, folder: Path, out: Path) -> None:
    """Write the executed notebook and its HTML into `out`; the notebook's metadata keep what came of it.

    folder: where the notebook lies, and the pictures that its text names.
    """
    notebook, name = outcome.notebook, outcome.chapter
    remove_widgets(notebook)
    notebook.metadata.pop("papermill", None)  # paths of this computer, and the notebook a second time
    notebook.metadata["course"] = {
        "preset": preset, "seconds": round(outcome.seconds, 1), "memory": outcome.memory, "error": outcome.error,
        "exercises": len(outcome.exercises), "passed": outcome.passed,
    }
    if outcome.error:
        notebook.cells.insert(0, new_markdown_cell(f"**This run failed.** {outcome.error}"))
    html, _ = Page(embed_images=True).from_notebook_node(notebook, {"metadata": {"name": name, "path": str(folder)}})
    html = re.sub(r'href="([\w-]+)\.ipynb', r'href="\1.html', html)  # links from chapter to chapter
    # A file of the repository is not beside the page: its place is said instead.
    html = re.sub(r'<a href="\.\./([^"]+)">(.*?)</a>', r"\2 (<code>\1</code>)", html, flags=re.DOTALL)
    html = re.sub(r'<script src="https:[^"]*">\s*</script>', "", html)  # MathJax and RequireJS: nothing here needs them
    write_whole(out / f"{name}.ipynb", nbformat.writes(notebook).encode())
    write_whole(out / f"{name}.html", html.encode())


class Page(HTMLExporter):
    """A page whose formulas are MathML, which browsers draw by themselves; MathJax would have to come from the web."""

    @contextfilter
    def markdown2html(self, context: Mapping, source: str) -> str:
        """Markdown to HTML."""
        path = context.get("resources", {}).get("metadata", {}).get("path", "")
        attachments = context.get("cell", {}).get("attachments", {})  # pictures pasted into the text
        renderer = MathRenderer(escape=False, embed_images=self.embed_images, path=path, attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)


class MathRenderer(IPythonRenderer):
    """Formulas between dollars, as MathML."""

    def block_math(self, body: str) -> str:
        return convert(body, display="block")

    def inline_math(self, body: str) -> str:
        return convert(body)


def remove_widgets(notebook: NotebookNode) -> None:
    """Put what each widget has drawn in its place: a page has no kernel, and the state doubles its size."""
    widgets = notebook.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = without_widgets(cell.outputs, widgets)


def without_widgets(outputs: list[NotebookNode], widgets: dict) -> list[NotebookNode]:
    """Outputs with every widget replaced by what it and its children have drawn."""
    plain = []
    for output in outputs:
        view = output.get("data", {}).get(WIDGET_VIEW)
        plain += drawn_by(view["model_id"], widgets) if view else [output]
    return plain


def drawn_by(model_id: str, widgets: dict) -> list[NotebookNode]:
    """What a widget and its children have drawn: a slider nothing, an Output its outputs, the studio its picture."""
    state = widgets.get(model_id, {}).get("state", {})
    pictures = [PICTURES[name] for name in state.get("_dom_classes", []) if name in PICTURES]
    if pictures:
        return [photograph(pictures[0])]
    drawn = without_widgets(state.get("outputs", []), widgets)
    for child in state.get("children", []):
        drawn += drawn_by(child.removeprefix("IPY_MODEL_"), widgets)
    return drawn


def photograph(picture: Path) -> NotebookNode:
    """An output that shows a JPEG in the place of something that only lives in a browser with a kernel."""
    if not picture.is_file():
        sentence = f"(here the notebook shows the {picture.stem}, which needs a kernel)"
        return new_output("display_data", {"text/plain": sentence})
    return new_output("display_data", {"image/jpeg": base64.b64encode(picture.read_bytes()).decode()})
