"""The colours of pictures and of the studio: Okabe and Ito's (2008), which colour-blind people tell apart too."""

from __future__ import annotations

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("-", "--", "-.", ":")
HOLE = "#0072b2"  # what lies under a mask is tinted with it

# Part of the face: its colour and its lines of iBUG-68 landmarks; a line that ends where it began is closed.
PARTS = {
    "jaw": ("#56b4e9", [range(0, 17)]),
    "brows": ("#e69f00", [range(17, 22), range(22, 27)]),
    "nose": ("#f0e442", [range(27, 31), range(31, 36)]),
    "eyes": ("#009e73", [[*range(36, 42), 36], [*range(42, 48), 42]]),
    "lips": ("#d55e00", [[*range(48, 60), 48], [*range(60, 68), 60]]),
}
