"""What comes from elsewhere: packages, downloads, weights; and how far the studio's visitors get."""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_packaging import PINS, PROJECT, ROOT
from tornado.web import HTTPError

from faceinpaint.basics import download
from faceinpaint.faces import image_files
from faceinpaint.studio import limits, serve, session
from faceinpaint.weights.fetch import PUBLISHED

SOURCES = {path: ast.parse(path.read_text()) for path in (ROOT / "faceinpaint").rglob("*.py")}
RUNS_CODE = {  # calls that may run what a file says
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "marshal.load", "marshal.loads",
    "yaml.load", "yaml.unsafe_load", "shelve.open", "eval", "exec", "os.system", "torch.hub.load",
    "torch.hub.load_state_dict_from_url", "torch.jit.load", "tarfile.extractall", "shutil.unpack_archive",
}


def calls() -> list[tuple[str, ast.Call]]:
    """Every call in the package by the name that it has there, "torch.load" for example."""
    nodes = [node for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in nodes]


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == name), None)


def test_nothing_is_called_that_runs_what_a_file_says():
    assert [name for name, _ in calls() if name in RUNS_CODE or name.endswith((".extractall", ".extract"))] == []


def test_pickles_are_read_as_tensors_alone():
    read = [call for name, call in calls() if name == "torch.load"]
    assert read and all(keyword(call, "weights_only") == "True" for call in read)
    assert not any(keyword(call, "allow_pickle") for _, call in calls())


def test_the_shell_never_sees_a_word_of_ours():
    assert all(keyword(call, "shell") is None for name, call in calls() if name.startswith("subprocess."))


def test_only_one_place_asks_the_network():
    asking = {path.name for path, tree in SOURCES.items() for node in ast.walk(tree)
              if isinstance(node, ast.Import) and {"requests", "urllib", "httpx"} & {one.name for one in node.names}}
    assert asking == {"download.py", "run.py"}  # the latter for a page of its own server


def test_every_address_is_encrypted():
    text = [node.value for tree in SOURCES.values() for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    plain = [value for value in text if value.startswith("http://")]
    assert plain in ([], ["http://"])  # the studio's own, of this machine
    assert all(entry.url.startswith("https://") for entry in PUBLISHED.values())
    assert all(len(entry.sha256) == 64 and entry.size for entry in PUBLISHED.values())


def test_an_encrypted_address_may_not_lead_to_another(tmp_path, monkeypatch):
    class Led(SimpleNamespace):
        status_code, url, headers = 200, "http://elsewhere/a", {}

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(download.requests, "get", lambda *given, **options: Led())
    with pytest.raises(download.SourceError, match="where anybody may change the file"):
        download._receive("https://somewhere/a", tmp_path / "a.part", None)
    assert not list(tmp_path.iterdir())


def extras() -> list[Requirement]:
    return [Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts]


@pytest.mark.parametrize("name", sorted(PINS))
def test_what_is_installed_is_what_is_pinned(name):
    try:
        installed = version(name)
    except PackageNotFoundError:
        pytest.skip("not needed on this machine")
    assert installed.partition("+")[0] == PINS[name]  # torch says behind a plus what it was built for


@pytest.mark.parametrize("requirement", extras(), ids=str)
def test_an_extra_that_is_installed_is_pinned(requirement):
    try:
        version(requirement.name)
    except PackageNotFoundError:
        pytest.skip("not installed here")
    assert canonicalize_name(requirement.name) in PINS


# --------------------------------------------------------------------------------------------- the studio


def test_one_visitor_too_many_is_told_to_wait(monkeypatch):
    async def start(self, **options) -> str:
        self._kernels[str(len(self))] = None
        return "a kernel"

    monkeypatch.setattr(limits.AsyncMappingKernelManager, "start_kernel", start)
    monkeypatch.setattr(limits, "GRACE", 0)
    manager = limits.FewVisitors()
    for _ in range(limits.MOST_VISITORS):
        assert asyncio.run(manager.start_kernel()) == "a kernel"
    with pytest.raises(HTTPError, match="8 pages of the studio are open: close one") as error:
        asyncio.run(manager.start_kernel())
    assert error.value.status_code == 503
    manager._kernels.clear()


@pytest.mark.parametrize("size, most", [(100, limits.MOST_MESSAGES), (32_000_000, limits.MOST_BYTES // 32_000_000)])
def test_who_sends_more_than_a_hand_can_is_cut_off(monkeypatch, size, most):
    now, sent, closed = [0.0], [], []
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        limits.ZMQChannelsWebsocketConnection, "handle_incoming_message", lambda self, message: sent.append(message))
    handler = SimpleNamespace(close=lambda *why: closed.append(why))
    connection = limits.MeasuredConnection.__new__(limits.MeasuredConnection)
    connection.__dict__["websocket_handler"] = handler
    monkeypatch.setattr(limits.MeasuredConnection, "websocket_handler", handler)
    message = bytes(size)
    for _ in range(most):
        connection.handle_incoming_message(message)
    assert len(sent) == most and not closed
    connection.handle_incoming_message(message)
    assert len(sent) == most and closed == [(1008, "too many messages: reload the page")]
    now[0] += limits.WINDOW + 1
    connection.handle_incoming_message(message)
    assert len(sent) == most + 1


def test_the_server_is_told_of_the_limits():
    config = serve.settings("127.0.0.1", 8866, "secret")
    assert config.VoilaConfiguration.multi_kernel_manager_class is limits.FewVisitors
    assert config.Voila.kernel_websocket_connection_class is limits.MeasuredConnection
    assert config.VoilaConfiguration.file_allowlist == ["^$"]  # no file of the folder is served


def test_the_page_may_send_messages_to_widgets_and_no_code():
    """Voilà gives this list to its kernels; what is in it may not grow by an update without our knowing."""
    text = importlib.import_module("voila.app").__loader__.get_source("voila.app")
    (allowed,) = [ast.literal_eval(node.value) for node in ast.walk(ast.parse(text))
                  if isinstance(node, ast.keyword) and node.arg == "allowed_message_types"]
    assert "execute_request" not in allowed and set(allowed) <= {
        "comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request", "shutdown_request"}


# ----------------------------------------------------------------------------------------------- the page


def test_every_proof_that_the_page_of_threats_names_is_there():
    text = (ROOT / "docs" / "threats.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 30
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{file}::{name}"


def test_the_page_of_threats_tells_the_limits_as_they_are():
    text = (ROOT / "docs" / "threats.md").read_text()
    assert limits.MOST_VISITORS == 8 and "eight pages" in text
    assert f"{limits.MOST_MESSAGES:,} messages or {limits.MOST_BYTES // 10**6} MB in ten seconds" in text
    assert f"{session.MAX_BYTES // 10**6} MB are the most, {serve.LARGEST_MESSAGE // 10**6} MB of any message" in text
    assert f"{image_files.MAX_PIXELS // 10**6} megapixels" in text
