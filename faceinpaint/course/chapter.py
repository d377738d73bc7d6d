"""One chapter: its notebook in a kernel of its own, and what came of it.

A notebook can fail without papermill noticing: an exception inside an `ipywidgets.Output`, in a callback or
in a thread leaves its exit status at 0, and so does `sys.exit(0)` halfway.  Here each fails the chapter.
"""

from __future__ import annotations

import difflib
import os
import re
import tempfile
import time
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from faceinpaint.basics.memory import peak_memory

START_SECONDS = 120  # the longest that a kernel may take to start

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
RIGHT = "Right:"  # how the verdict on a right answer begins, see faceinpaint.course.exercises

# nbclient tells the kernel what an Output holds through the socket on which it waits for the cell's reply.
# Measured: 3 % of such cells then finish only when their time is up (nbclient issue 312).  The kernel runs as
# well without being told; only `Output.outputs`, read by the notebook's own code, stays empty.
OutputWidget.sync_state = lambda self: None


@dataclass(frozen=True)
class Outcome:
    """What came of a chapter.

    notebook: with its outputs.  error: the first, in one sentence, or "".  memory: the largest resident set that the
    kernel ever had, in bytes; None where nobody says.  exercises: number -> the sentence of its check, or "".
    """

    chapter: str
    notebook: NotebookNode
    error: str
    seconds: float
    memory: int | None
    exercises: dict[str, str]

    @property
    def passed(self) -> int:
        """How many exercises were found right."""
        return sum(map(is_right, self.exercises.values()))


def is_right(verdict: str) -> bool:
    """Whether the sentence of a check says that the answer is right."""
    return verdict.startswith(RIGHT)


class MeasuredKernel(AsyncKernelManager):
    """A kernel whose peak memory is noted whenever somebody asks whether it is alive: nbclient does so every second.

    The number is the system's own record of the kernel process, so nothing between two looks is missed. What
    processes that a chapter starts need, and what lies on a GPU, is not in it. macOS keeps no such record.
    """

    folder: Path  # where the notebook runs
    threads: int | None  # how many a kernel may have, where several share the machine
    peak: int | None = None

    async def _async_start_kernel(self, **options: object) -> None:
        """Start in the notebook's folder, as JupyterLab does; papermill would change the folder of this process."""
        several = {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}
        await super()._async_start_kernel(**options | {"cwd": str(self.folder), "env": several | os.environ})

    async def _async_is_alive(self) -> bool:
        process = getattr(self.provisioner, "pid", None)
        if process is not None:
            type(self).peak = peak_memory(process) or self.peak
        return await super()._async_is_alive()

    start_kernel = _async_start_kernel

    is_alive = _async_is_alive


def run_chapter(
    path: Path, parameters: dict[str, object], cell_seconds: int, threads: int | None = None
) -> Outcome:
    """Execute one notebook. With the parameter `solve`, an exercise that is not right is an error.

    Nothing that goes wrong in a chapter is raised: the other chapters shall still run.
    """
    start = time.perf_counter()
    # The client makes the kernel from its class: a class of this chapter's own keeps its peak.
    kernel = type("Kernel", (MeasuredKernel,), {"folder": path.parent, "threads": threads})
    notebook, error = execute(path, parameters, cell_seconds, kernel)
    exercises = exercises_of(notebook)
    open_ones = [number for number, verdict in exercises.items() if not is_right(verdict)]
    if not error and parameters.get("solve") and open_ones:
        error = f"exercise {open_ones[0]} is not solved: {exercises[open_ones[0]] or 'its check says nothing'}"
    return Outcome(path.stem, notebook, error, time.perf_counter() - start, kernel.peak, exercises)


def execute(
    path: Path, parameters: dict[str, object], cell_seconds: int, kernel: type[MeasuredKernel]
) -> tuple[NotebookNode, str]:
    """The notebook with its outputs, and the error in one sentence ("" if there is none)."""
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
                notebook, saved, parameters, kernel_name="python3", progress_bar=False, kernel_manager_class=kernel,
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


def exercises_of(notebook: NotebookNode) -> dict[str, str]:
    """What the check of each cell tagged `exercise` says, by the number of the exercise; "" where none has spoken."""
    tagged = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    said = {}
    for place, cell in enumerate(tagged, 1):
        number = re.search(r'exercises\.get\("([\d.]+)"', cell.source)
        shown = cell.outputs[-1].get("data", {}).get("text/html", "") if cell.get("outputs") else ""
        text = unescape(re.sub(r"<[^>]*>", "", "".join(shown))).strip()
        said[number[1] if number else str(place)] = text
    return said


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
            errors.append((cell, f"cell {cell}, in a thread: {colourless(output.text).strip().splitlines()[-1]}"))
    if errors:
        return min(errors)[1]
    if any(cell.execution_count is None for cell in code):
        return f"cell {last_started(notebook)}: the run stopped here, before the end of the notebook"
    return ""


def describe(output: NotebookNode, cell: int) -> tuple[int, str]:
    """An error output as (cell, one line), the cell as numbered in the executed notebook."""
    traceback = colourless("\n".join(output.traceback))
    place = re.search(r"Cell In\s?\[(\d+)\], line (\d+)", traceback)
    line = f", line {place[2]}" if place else ""
    cell = int(place[1]) if place else cell
    return cell, f"cell {cell}{line}: {output.ename}: {first_line(output.evalue)}"


def colourless(text: str) -> str:
    """A text without a terminal's colours: IPython's tracebacks have them, and those of threads from Python 3.13 on."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def first_line(text: str) -> str:
    """The first line of a message that may have many."""
    return text.strip().partition("\n")[0]


def last_started(notebook: NotebookNode) -> int:
    """The number of the last cell that papermill started, as In [n] shows it; 0 if none was."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return sum(bool(cell.metadata.papermill.start_time) for cell in code)
