"""The server of the studio's page: without PyTorch, below a prefix, and with kernels that end with their pages."""

from __future__ import annotations

import re
import time
import uuid
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from browsers import PATIENCE
from studio_page import ZIGZAG, changed, differ, draw, drawn, kernel_mask, open_page, shot, start_voila, stop

SERVER = """
import sys
sys.modules["torch"] = None  # whoever imports it here, fails; kernels are processes of their own
from faceinpaint.cli import main
from faceinpaint.studio import limits
limits.MOST_VISITORS = 2
main()
"""
PREFIX = "/user/ann/studio/"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with room for two, and its address."""
    log = tmp_path_factory.mktemp("server") / "log"
    process, address = start_voila(log, "--base-url", PREFIX.strip("/"), program=["-c", SERVER])
    yield psutil.Process(process.pid), address
    stop(process)


@pytest.fixture(scope="module")
def first(browser, served):
    """The page of somebody who stays."""
    context = browser.new_context()
    root = urlsplit(served[1])._replace(path="/", query="").geturl()
    around = re.sub(r"\W", "-", f"username-{urlsplit(root).netloc}"), "_xsrf"  # what Jupyter calls its cookies
    context.add_cookies([{"name": name, "value": "of the server around it", "url": root} for name in around])
    page = context.new_page()
    page.faults = []
    page.on("requestfailed", lambda request: page.faults.append(request.url))
    page.on("response", lambda response: response.ok or page.faults.append(response.url))
    open_page(page, served[1])
    yield page
    context.close()


@pytest.fixture
def visit(browser):
    """Comes to an address with a system of one colour scheme and sees the first of the page."""
    contexts = []

    def visit(address, scheme="light"):
        contexts.append(browser.new_context(color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.status = page.goto(address, wait_until="commit").status
        page.wait_for_selector("#loading")
        return page

    yield visit
    for context in contexts:
        context.close()


def kernels(server):
    """The processes of all kernels."""
    return {one.pid for one in server.children(recursive=True) if is_kernel(one)}


def is_kernel(process):
    try:
        return "ipykernel_launcher" in process.cmdline()
    except psutil.NoSuchProcess:  # it has just ended
        return False


def wait_for(condition):
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def colours(page):
    """The least and the greatest component of the background."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    values = [int(one) for one in colour.removeprefix("rgb(").rstrip(")").split(", ")]
    return min(values), max(values)


def test_a_page_below_a_prefix_lacks_nothing(first, served):
    assert urlsplit(served[1]).path == PREFIX
    changed(first, lambda: draw(first, ZIGZAG))
    assert differ(kernel_mask(first), drawn(ZIGZAG)) < 0.02
    assert [url for url in first.faults if "127.0.0.1" in url] == []


def test_a_stranger_is_asked_for_the_token_below_the_prefix(browser, served):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    assert page.goto(served[1].partition("?")[0]).ok and urlsplit(page.url).path == f"{PREFIX}login"
    assert page.locator("#password_input").is_visible()
    page.close()


def test_a_full_house_says_so_and_lets_in_who_waits(first, served, visit):
    server, address = served
    stays = kernels(server)
    early = visit(address)
    assert early.status == 200 and early.inner_text("h1") == "Mask Studio"
    assert "is being prepared" in early.inner_text("p") and colours(early)[0] > 240
    shot(early, "prepared-light")
    light, dark = (visit(address, scheme) for scheme in ("light", "dark"))
    assert colours(light)[0] > 240 and colours(dark)[1] < 64
    for late in (light, dark):
        assert late.status == 503 and "2 pages of the studio are open" in late.inner_text("#loading")
        shot(late, "full-house-light" if late is light else "full-house-dark")
    light.close()
    early.close()  # before it is whole
    dark.wait_for_selector("progress")  # it asked again by itself
    shot(dark, "prepared-dark")
    assert colours(dark)[1] < 64
    dark.close()
    wait_for(lambda: kernels(server) == stays)
    changed(first, lambda: draw(first, ZIGZAG))


def test_who_leaves_at_the_heading_takes_the_kernel_along(first, served):
    server, address = served
    stays = kernels(server)
    with requests.get(address, stream=True, timeout=PATIENCE / 1000) as page:
        assert any(b"<h1>Mask Studio</h1>" in line for line in page.iter_lines())
        assert len(kernels(server)) == len(stays) + 1
    wait_for(lambda: kernels(server) == stays)


def test_only_a_visitor_ends_a_kernel_and_only_by_its_id(first, served, browser):
    server, address = served
    before = kernels(server)
    own = first.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    shutdown = f"{address.partition('?')[0]}voila/api/shutdown/"
    assert first.request.post(shutdown + str(uuid.uuid4())).status == 204
    assert first.request.post(shutdown + own, headers={"Origin": "https://elsewhere.org"}).status == 404
    stranger = browser.new_context()
    assert stranger.request.post(shutdown + own).status == 403
    stranger.close()
    assert kernels(server) == before
    changed(first, lambda: draw(first, ZIGZAG))


def test_a_page_that_is_reloaded_or_closed_ends_its_kernel(browser, served):
    server, address = served
    before, context = kernels(server), browser.new_context()
    page = context.new_page()
    open_page(page, address)
    old = kernels(server) - before
    page.reload(wait_until="commit")
    wait_for(lambda: not old & kernels(server))
    page.wait_for_selector(".fi-hole[data-version]")
    page.close()
    wait_for(lambda: kernels(server) == before)
    context.close()
