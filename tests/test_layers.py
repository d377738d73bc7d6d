"""The rooms of the package stand on one another: each imports from those below it alone, so there are no circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "faceinpaint"
ROOMS = (  # from the ground upwards
    "basics", "masks", "weights", "landmarks", "prior", "faces", "features", "recognisers", "discriminator", "losses",
    "generator", "completion", "evaluation", "training", "studio", "benchmark", "course", "cli", "__main__",
)


def imported(source: str, room: str) -> set[str]:
    """The other rooms that a module's source imports from, also inside a function."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    rooms = {name.split(".")[1] for name in names if name.startswith("faceinpaint.")}
    return rooms & set(ROOMS) - {room}


def test_every_room_has_its_place():
    found = {path.stem for path in (*PACKAGE.glob("*.py"), *(file.parent for file in PACKAGE.glob("*/*.py")))}
    assert found == {*ROOMS, "__init__"} and len(found) <= 20


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_those_below_it_alone(room):
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else (PACKAGE / room).rglob("*.py")
    for file in files:
        above = imported(file.read_text(encoding="utf-8"), room) & set(ROOMS[ROOMS.index(room):])
        assert not above, f"{file.name} imports from {', '.join(above)}, which stand above {room}"


def test_an_import_inside_a_function_is_seen():
    source = "from faceinpaint import masks, cli\ndef late():\n    import faceinpaint.studio.session\n"
    assert imported(source, "masks") == {"cli", "studio"}
