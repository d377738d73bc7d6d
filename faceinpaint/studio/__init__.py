"""The Mask Studio: open a photo, hide a part of the face, see it completed; a widget and a page of its own.

`session` is the studio without a browser, `strokes` the drawing, `studio` the widget made of `parts` (each with its
JavaScript), `pictures` what they show, `portraits` the faces to begin with, `serve` the page.
"""

from __future__ import annotations

import importlib

__all__ = ["Result", "Session", "Studio"]

_HOMES = {"Result": "session", "Session": "session", "Studio": "studio"}


def __getattr__(name: str) -> object:
    """Import the three when first asked for: they bring torch, of which the page's server needs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
