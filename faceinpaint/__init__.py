"""Face completion that keeps the person: the package behind the course."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"
__all__ = ["Completer", "Faces"]

_HOMES = {"Completer": "faceinpaint.completion", "Faces": "faceinpaint.faces.batch"}


def __getattr__(name: str) -> object:
    """Import `Completer` and `Faces` when first asked for: torch takes seconds, `--help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
