"""The Mask Studio: open a photo, hide a part of the face, see it completed; a widget and a page of its own.

`session` is the studio without a browser, `strokes` the drawing, `studio` the widget made of `parts` (each with its
JavaScript), `pictures` what they show, `portraits` the faces to begin with, `serve` the page.
"""

from faceinpaint.studio.session import Result, Session
from faceinpaint.studio.studio import Studio

__all__ = ["Result", "Session", "Studio"]
