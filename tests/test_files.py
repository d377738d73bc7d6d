"""Files appear whole or not at all whatever they are called, and what is quoted in a sentence stays in its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceinpaint.basics.errors import LONGEST, InputError
from faceinpaint.basics.files import parse_json, write_whole


@pytest.mark.parametrize("name", ["a" * 255, "ß" * 127, "写" * 85, "a" * 251 + ".png", "short"])
def test_a_name_may_be_as_long_as_the_file_system_lets_it(name: str, tmp_path: Path) -> None:
    write_whole(tmp_path / name, b"content")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"content"


def test_a_longer_one_is_to_be_shortened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="File name too long.: shorten its name"):
        write_whole(tmp_path / ("a" * 256), b"content")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "", "{", b"\xff\xff", "\ud800"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_sentence_is_one_readable_line_whatever_it_quotes() -> None:
    assert str(InputError("the file 写真 🙂.png is ß")) == "the file 写真 🙂.png is ß"
    assert str(InputError("the file a\nb\x1b[2J\udcff.png is none")) == "the file a\\nb\\x1b[2J\\udcff.png is none"
    long = str(InputError("the file " + "x" * 10**6 + " is none: give another"))
    assert len(long) == LONGEST and long.startswith("the file x") and long.endswith("x is none: give another")
