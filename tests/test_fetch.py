"""Published weights are fetched whole and checked, or not at all; each refusal says what to type."""

from __future__ import annotations

import hashlib

import pytest
import torch
from test_download import names, refused, send, server, status  # noqa: F401, the fixture is used by its name
from typer.main import get_command

from faceinpaint.cli import commands
from faceinpaint.weights import fetch
from faceinpaint.weights.fetch import PUBLISHED, Published, fetch_weights

CONTENT = b"weights " * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder where torch would keep fetched weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def small(server, monkeypatch):  # noqa: F811
    """"small" is published on this machine; what is called with `answer` makes the server answer so."""
    monkeypatch.setitem(PUBLISHED, "small", Published(server.url("/small.pth"), len(CONTENT), SHA256, "none"))
    return lambda answer: server.gives("/small.pth", answer)


def test_weights_arrive_where_torch_keeps_them_and_are_not_fetched_twice(folder, small, server):  # noqa: F811
    small(CONTENT)
    assert fetch_weights("small") == folder / "small.pth" == fetch.checked("small")
    assert (folder / "small.pth").read_bytes() == CONTENT
    fetch_weights("small")
    assert len(server.asked) == 1 and names(folder) == {"small.pth"}


@pytest.mark.parametrize("content, reason", [
    (CONTENT[:-8], "bytes instead of"), (CONTENT + b"x", "bytes instead of"), (CONTENT[::-1], "sha256 differs"),
    (lambda handler: send(handler, 200, CONTENT, Content_Type="text/html"), "a web page"),
    (status(404), "status 404"),
], ids=["short", "long", "other", "page", "missing"])
def test_a_wrong_file_is_refused_and_nothing_of_it_is_left(folder, small, content, reason):
    small(content)
    sentence = refused(fetch_weights, "small")
    assert reason in sentence and str(folder / "small.pth") in sentence
    assert not list(folder.glob("*"))


def test_an_altered_file_is_replaced(folder, small):
    small(CONTENT)
    folder.mkdir(parents=True)
    (folder / "small.pth").write_bytes(CONTENT[::-1])
    assert fetch_weights("small").read_bytes() == CONTENT


def test_missing_and_altered_weights_say_what_to_type(folder, small):
    assert "are not there: get them (0 MB) with `faceinpaint fetch small`" in refused(fetch.checked, "small")
    folder.mkdir(parents=True)
    for content, reason in ((CONTENT[:100], "100 bytes"), (CONTENT[::-1], "sha256 differs")):
        (folder / "small.pth").write_bytes(content)
        sentence = refused(fetch.checked, "small")
        assert reason in sentence and "again with `faceinpaint fetch small`" in sentence


def test_an_unknown_name_gets_the_nearest():
    for function in (fetch_weights, fetch.checked, fetch.path_of):
        assert "did you mean 'vgg19'? (all: vgg19, alexnet, mobilenet_v2, facenet)" in refused(function, "vgg16")


@pytest.mark.parametrize("name, stem", [("vgg19", "vgg19"), ("alexnet", "alexnet-owt"), ("mobilenet_v2",) * 2])
def test_torchvisions_files_are_named_by_its_convention(name, stem):
    """Eight digits of the file's name are the beginning of its SHA-256."""
    entry = PUBLISHED[name]
    assert entry.file == f"{stem}-{entry.sha256[:8]}.pth"


def test_published_files_are_fetched_safely_and_known_by_their_hash():
    assert all(len(entry.sha256) == 64 and entry.url.startswith("https://") for entry in PUBLISHED.values())


def test_the_help_names_all_of_them():
    (argument,) = get_command(commands.app).commands["fetch"].params
    assert argument.help.replace(" or ", ", ").split(", ") == list(PUBLISHED)
