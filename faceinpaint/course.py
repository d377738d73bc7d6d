"""Run the course: every notebook in a fresh kernel, then one page of HTML per chapter.

A notebook can fail without papermill noticing: an exception inside an `ipywidgets.Output`, in a callback or
in a thread leaves its exit status at 0, and so does `sys.exit(0)` halfway.  Here each fails the chapter.
"""

from __future__ import annotations

import difflib
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat
import papermill
from latex2mathml.converter import convert
from nbclient.exceptions import CellTimeoutError
from nbclient.output_widget import OutputWidget
from nbconvert import HTMLExporter
from nbconvert.exporters.html import contextfilter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

from faceinpaint.errors import InputError
from faceinpaint.files import write_whole

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_SECONDS = {"smoke": 600, "cpu": 3600, "gpu": 86400}  # preset -> the longest that one cell may run
START_SECONDS = 120  # the longest that a kernel may take to start

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

# nbclient tells the kernel what an Output holds through the socket on which it waits for the cell's reply.
# Measured: 3 % of such cells then finish only when their time is up (nbclient issue 312).  The kernel runs as
# well without being told; only `Output.outputs`, read by the notebook's own code, stays empty.
OutputWidget.sync_state = lambda self: None


def run_course(out: Path, preset: str = "smoke", only: str | None = None, notebooks: Path = NOTEBOOKS) -> int:
    """Run the chapters one after another and write `<chapter>.ipynb` and `<chapter>.html` into `out`.

    `only` picks one chapter by its number ("03") or its whole name.  Returns the exit status: 0, or 1 if any
    chapter failed (the others still run, and the page of the failed one says why).
    Raises InputError for an unknown preset or chapter, and where there are no notebooks.
    """
    if preset not in CELL_SECONDS:
        raise InputError(f"there is no preset '{preset}': choose one of {', '.join(CELL_SECONDS)}")
    chapters = find_chapters(notebooks, only)
    out = Path(out).resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out} ({error.strerror}): choose another one") from error

    width = max(len(path.stem) for path in chapters)
    print(f"{'chapter':<{width}}  seconds  result")
    failures = 0
    for path in chapters:
        start = time.perf_counter()
        notebook, error = run_chapter(path, {"preset": preset}, CELL_SECONDS[preset])
        seconds = time.perf_counter() - start
        write_pages(notebook, error, path, out)
        print(f"{path.stem:<{width}}  {seconds:7.1f}  {error or 'ok'}", flush=True)
        failures += bool(error)
    print(f"The pages are in {out}: open {chapters[0].stem}.html.")
    return 1 if failures else 0


def find_chapters(notebooks: Path, only: str | None = None) -> list[Path]:
    """The notebooks in reading order, or the single one that `only` names; InputError if there is none."""
    chapters = sorted(path for path in notebooks.glob("*.ipynb") if not path.name.startswith("."))
    if not chapters:
        raise InputError(f"there are no notebooks in {notebooks}: run the course in a clone of the "
                         "repository, after `make setup` there")
    if only is None:
        return chapters
    for path in chapters:
        if only == path.stem or only.zfill(2) == path.stem.split("_")[0]:
            return [path]
    names = ", ".join(path.stem for path in chapters)
    raise InputError(f"there is no chapter '{only}': choose one of {names}, by its number")


def run_chapter(path: Path, parameters: dict[str, object], cell_seconds: int) -> tuple[NotebookNode, str]:
    """Execute one notebook; returns it with its outputs, and the error in one sentence ("" if there is none).

    Nothing that goes wrong in a chapter is raised: the other chapters shall still run.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises a dozen kinds for a damaged file
        return new_notebook(), f"this is not a readable notebook ({type(error).__name__}): restore the file"
    error = wrong_kernel(notebook) or unknown_parameter(notebook, parameters)
    if error:
        return notebook, error

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, path.name)  # written after every cell: what ran before a crash is kept
        try:
            papermill.execute_notebook(
                notebook, saved, parameters, kernel_name="python3", progress_bar=False,
                cwd=path.parent,  # as in JupyterLab
                start_timeout=START_SECONDS, execution_timeout=cell_seconds,
                # inline: an exported MPLBACKEND would swallow the pictures; log level: no chat of its own
                extra_arguments=["--matplotlib=inline", "--log-level=CRITICAL"],
            )
        except papermill.PapermillExecutionError:
            pass  # the failing cell is in the saved notebook: first_error finds it
        except CellTimeoutError:
            error = f"ran longer than {cell_seconds} s and was stopped"
        except Exception as crash:  # a kernel that died, or did not start (then it is cell 0)
            error = f"{type(crash).__name__}: {first_line(str(crash))}"
        if saved.exists():
            notebook = nbformat.read(saved, as_version=4)
    if error:
        return notebook, f"cell {last_started(notebook)}: {error}"
    return notebook, first_error(notebook)


def wrong_kernel(notebook: NotebookNode) -> str:
    """The error of a notebook that was saved with a kernel of somebody's own machine, or ""."""
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel == "python3":
        return ""
    return f"it was saved for the kernel '{kernel}': choose 'Python 3 (ipykernel)' and save it again"


def unknown_parameter(notebook: NotebookNode, parameters: dict[str, object]) -> str:
    """The error of a parameter that the notebook lacks, with the nearest that it has, or ""."""
    notebook.metadata.setdefault("language_info", {}).setdefault("name", "python")  # papermill asks for it
    known = list(papermill.inspect_notebook(notebook))
    for name in parameters:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
            hint = f"the nearest that it has is '{nearest[0]}'" if nearest else "it has none"
            return f"its cell tagged 'parameters' has no '{name}': {hint}"
    return ""


def first_error(notebook: NotebookNode) -> str:
    """The first error that an executed notebook shows, anywhere, in one sentence, or ""."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    shown = [(cell.execution_count, output) for cell in code for output in cell.outputs]
    shown += [(0, output) for widget in widgets.values() for output in widget["state"].get("outputs", [])]
    errors = [describe(output, cell) for cell, output in shown if output.output_type == "error"]
    for cell, output in shown:
        if output.output_type == "stream" and "Exception in thread" in output.text:
            errors.append((cell, f"cell {cell}, in a thread: {output.text.strip().splitlines()[-1]}"))
    if errors:
        return min(errors)[1]
    if any(cell.execution_count is None for cell in code):
        return f"cell {last_started(notebook)}: the run stopped here, before the end of the notebook"
    return ""


def describe(output: NotebookNode, cell: int) -> tuple[int, str]:
    """An error output as (cell, one line), the cell as numbered in the executed notebook."""
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
    place = re.search(r"Cell In\s?\[(\d+)\], line (\d+)", traceback)
    line = f", line {place[2]}" if place else ""
    cell = int(place[1]) if place else cell
    return cell, f"cell {cell}{line}: {output.ename}: {first_line(output.evalue)}"


def first_line(text: str) -> str:
    """The first line of a message that may have many."""
    return text.strip().partition("\n")[0]


def last_started(notebook: NotebookNode) -> int:
    """The number of the last cell that papermill started, as In [n] shows it; 0 if none was."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return sum(bool(cell.metadata.papermill.start_time) for cell in code)


def write_pages(notebook: NotebookNode, error: str, source: Path, out: Path) -> None:
    """Write the executed notebook and its HTML into `out`."""
    remove_widgets(notebook)
    notebook.metadata.pop("papermill", None)  # paths of this computer, and the notebook a second time
    if error:
        notebook.cells.insert(0, new_markdown_cell(f"**This run failed.** {error}"))
    resources = {"metadata": {"name": source.stem, "path": str(source.parent)}}  # path: of pictures in text
    html, _ = Page(embed_images=True).from_notebook_node(notebook, resources)
    html = re.sub(r'href="([\w-]+)\.ipynb', r'href="\1.html', html)  # links from chapter to chapter
    html = re.sub(r'<script src="https:[^"]*">\s*</script>', "", html)  # MathJax and RequireJS: nothing here needs them
    write_whole(out / f"{source.stem}.ipynb", nbformat.writes(notebook).encode())
    write_whole(out / f"{source.stem}.html", html.encode())


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
    """Outputs with every widget replaced by the outputs that it and its children hold."""
    plain = []
    for output in outputs:
        view = output.get("data", {}).get(WIDGET_VIEW)
        plain += drawn_by(view["model_id"], widgets) if view else [output]
    return plain


def drawn_by(model_id: str, widgets: dict) -> list[NotebookNode]:
    """The outputs that a widget and its children hold: a slider none, an Output what was drawn in it."""
    state = widgets.get(model_id, {}).get("state", {})
    drawn = without_widgets(state.get("outputs", []), widgets)
    for child in state.get("children", []):
        drawn += drawn_by(child.removeprefix("IPY_MODEL_"), widgets)
    return drawn
