"""The source of what runs, highlighted."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from IPython.display import HTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from faceinpaint.basics.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[3]


def source(code: Callable) -> HTML:
    """The highlighted source of the very function, method or class that runs, with its file and line.

    Raises InputError for what has no Python source: values, and functions written in C.
    """
    code = inspect.unwrap(code)  # not the source of a decorator
    try:
        lines, first = inspect.getsourcelines(code)
        file = Path(inspect.getsourcefile(code))
    except (TypeError, OSError):
        raise InputError(
            f"{code!r} has no Python source to show: give a function, a method or a class"
        ) from None
    text = textwrap.dedent("".join(lines))  # a method moves to the left
    formatter = HtmlFormatter(
        noclasses=True, style="default",
        cssstyles="padding: 0.3em 0.8em; border-left: 4px solid #0072b2",
        # JupyterLab would break a long line in the middle of a word.
        prestyles="font: 0.9em monospace; color: #222; background: none; margin: 0; white-space: pre-wrap; "
                  "word-break: normal",
    )
    place = file.relative_to(REPOSITORY).as_posix() if file.is_relative_to(REPOSITORY) else file.name
    highlighted = highlight(text, PythonLexer(), formatter)
    return HTML(f"<div><small>{place}, line {max(first, 1)}</small>{highlighted}</div>")
