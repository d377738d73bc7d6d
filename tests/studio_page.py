"""What the tests of the studio do in a real browser: start servers, draw, upload, read pictures back."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from browsers import PATIENCE
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Page
from torch import Tensor

from faceinpaint.course.exercises.chapter_07 import stroke_mask

SHOTS = Path(__file__).resolve().parent.parent / "runs" / "studio"
ZIGZAG = [(40, 60), (200, 90), (60, 150), (180, 200)]  # pixels of the face
RADIUS = 12  # pixels, what the brush begins with
PALE = """(least) => {
    const parse = (text) => text.match(/[0-9.]+/g).map(Number);
    const over = ([r, g, b, a = 1], under) => [r, g, b].map((value, i) => a * value + (1 - a) * under[i]);
    const ground = (node) => {
        if (!node) return [255, 255, 255];
        const colour = parse(getComputedStyle(node).backgroundColor);
        return colour[3] === 0 ? ground(node.parentElement) : over(colour, ground(node.parentElement));
    };
    const light = (colour) => colour.map((value) => value / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (node) => {
        const under = ground(node), pair = [light(over(parse(getComputedStyle(node).color), under)), light(under)];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    };
    return [...document.querySelectorAll('.fi-studio *')]
        .filter((one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
        .filter((one) => one.checkVisibility({ visibilityProperty: true }))
        .filter((one) => !one.matches(':disabled, option, .fi-tag'))
        .map((one) => `${contrast(one).toFixed(1)} ${one.className} ${one.textContent}`)
        .filter((one) => parseFloat(one) < least);
}"""
CONTRAST = 4.5  # the least that WCAG 2 allows small letters


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def start_voila(
    log: Path, *options: str, program: Sequence[str] = ("-m", "faceinpaint"),
) -> tuple[subprocess.Popen, str]:
    """`faceinpaint studio` and the address that it prints once it listens."""
    command = [sys.executable, *program, "studio", "--no-browser", "--port", str(free_port()), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(log, "w"), text=True)
    said = process.stdout.readline() + process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/\S*\?token=\S+", said)
    if found is None:
        process.kill()
        pytest.fail(f"faceinpaint studio said {said!r}; {log.read_text()[-500:]}")
    return process, found[0]


def start_lab(folder: Path) -> tuple[subprocess.Popen, str]:
    """JupyterLab with a notebook that shows the studio, and the notebook's address."""
    config = folder / "config" / "labconfig"
    config.mkdir(parents=True)
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(disabled))
    cell = new_code_cell("from faceinpaint.studio import Studio\nstudio = Studio()\nstudio")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel}), folder / "notebooks" / "studio.ipynb")
    port = free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={folder / 'notebooks'}",
    ]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    process = subprocess.Popen(command, stderr=open(folder / "lab.log", "w"), env=environment)
    return process, f"http://127.0.0.1:{port}/lab/workspaces/studio-test/tree/studio.ipynb"


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def as_png(photo: Image.Image) -> bytes:
    content = io.BytesIO()
    photo.save(content, "png")
    return content.getvalue()


def differ(a: Tensor, b: Tensor) -> float:
    """The share of two masks in which they are not the same."""
    return (a != b).float().mean().item()


def drawn(points: list[tuple[float, float]]) -> Tensor:
    """The mask (1, 1, 256, 256) of a stroke through pixels of the face."""
    return stroke_mask(torch.tensor(points, dtype=torch.float32), RADIUS, 256)


def open_page(page: Page, address: str) -> None:
    """Go there and wait until one can draw."""
    page.set_default_timeout(PATIENCE)
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".fi-hole[data-version]")


def version(page: Page) -> str:
    return page.get_attribute(".fi-hole", "data-version")


def changed(page: Page, action: Callable[[], object]) -> None:
    """Do something and wait for the mask that the kernel makes of it."""
    before = version(page)
    action()
    page.wait_for_function(f"document.querySelector('.fi-hole').dataset.version !== '{before}'")


def anew(page: Page, face: str = "portrait 1") -> None:
    """A built-in face without a mask."""
    changed(page, lambda: page.click(f".fi-faces [data-id='{face}']"))
    changed(page, lambda: page.click(".fi-clear"))


def on_screen(page: Page, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Pixels of the face as places on the screen."""
    page.locator(".fi-hole").scroll_into_view_if_needed()
    box = page.locator(".fi-hole").bounding_box()
    return [(box["x"] + (x + 0.5) * box["width"] / 256, box["y"] + (y + 0.5) * box["height"] / 256) for x, y in points]


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    """A stroke by the mouse through pixels of the face."""
    first, *others = on_screen(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def touch(page: Page, points: list[tuple[float, float]]) -> None:
    """A stroke by a finger."""
    finger = page.context.new_cdp_session(page)
    places = [{"x": x, "y": y} for x, y in on_screen(page, points)]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": places[:1]})
    for place in places[1:]:
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [place]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    finger.detach()


def saved(page: Page, selector: str) -> bytes:
    """The file that a button saves."""
    with page.expect_download() as download:
        page.click(selector)
    return Path(download.value.path()).read_bytes()


def kernel_mask(page: Page) -> Tensor:
    """What is hidden of the face as the kernel has said last, (1, 1, 256, 256)."""
    shown = page.evaluate("document.querySelector('.fi-hole').toDataURL()").partition(",")[2]
    alpha = Image.open(io.BytesIO(base64.b64decode(shown))).getchannel("A")
    return (torch.from_numpy(np.array(alpha.resize((256, 256), Image.Resampling.NEAREST))) > 127).float()[None, None]


def upload(page: Page, content: bytes, button: str = ".fi-open", name: str = "../../photo.png") -> None:
    """Choose a file for a button that opens one."""
    with page.expect_file_chooser() as chooser, tempfile.TemporaryDirectory() as folder:
        page.click(button)
        if len(content) < 1e6:
            chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})
        else:  # as text in a message it would take seconds
            (file := Path(folder, Path(name).name)).write_bytes(content)
            chooser.value.set_files(file)
            page.wait_for_function("!document.querySelector('.fi-file').files.length")


def says(page: Page, sentence: str) -> str:
    """Wait until the studio says a sentence that matches."""
    page.wait_for_function(f"/{sentence}/i.test(document.querySelector('.fi-words').textContent)")
    return page.inner_text(".fi-words")


def generate(page: Page, place: str = ".fi-first", act: Callable[[], object] | None = None) -> None:
    """Press the button, or act, and wait for the result."""
    before = page.locator(f"{place} .fi-board").get_attribute("data-number")
    (act or (lambda: page.click(".fi-generate")))()
    page.wait_for_function(
        f"(document.querySelector('{place} .fi-board').dataset.number ?? null) !== {json.dumps(before)}"
    )
    says(page, "^completed in")


def picture(page: Page, selector: str) -> np.ndarray:
    """What an image of the page shows, (H, W, 3)."""
    read = """async (image) => {
        const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
        return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
    }"""
    content = base64.b64decode(page.locator(selector).evaluate(read))
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def pale(page: Page) -> list[str]:
    """Contrast, class and text of all words of the studio that stand out too little."""
    return page.evaluate(PALE, CONTRAST)


def shot(page: Page, name: str) -> None:
    """Keep what the page looks like, to be looked at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    if size["width"] < 500:  # a phone's page scrolls within itself
        page.set_viewport_size({"width": size["width"], "height": 1750})
    page.screenshot(path=SHOTS / f"{name}.png")
    page.set_viewport_size(size)
