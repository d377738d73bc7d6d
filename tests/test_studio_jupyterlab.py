"""The Mask Studio in a real browser, in a notebook in JupyterLab."""

from __future__ import annotations

import json
import time

import pytest
import torch
from browsers import PATIENCE
from studio_page import (
    CONTRAST, PALE, ZIGZAG, changed, differ, draw, drawn, generate, kernel_mask, pale, shot, start_lab, stop, touch,
)

RUN = """async () => {
    const until = async (test) => { while (!test()) await new Promise((then) => setTimeout(then, 100)); };
    await until(() => window.jupyterapp?.shell?.currentWidget?.sessionContext);
    const app = window.jupyterapp, panel = app.shell.currentWidget;
    await panel.sessionContext.ready;
    await until(() => panel.sessionContext.session?.kernel?.connectionStatus === 'connected');
    await app.commands.execute('notebook:run-all-cells');
}"""
ASK = """async (code) => {
    const future = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code });
    let said = '';
    future.onIOPub = (message) => { said += message.content.text ?? message.content.evalue ?? ''; };
    await future.done;
    return said;
}"""


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """The notebook in JupyterLab, its cell run."""
    process, address = start_lab(tmp_path_factory.mktemp("lab"))
    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    for _ in range(600):  # until it listens
        try:
            page.goto(address, wait_until="commit")
            break
        except Exception:
            time.sleep(1)
    page.evaluate(RUN)
    page.wait_for_selector(".fi-hole[data-version]")
    yield page
    context.close()
    stop(process)


def kernel_has(lab):
    """The mask of the notebook's own variable."""
    rows = json.loads(lab.evaluate(ASK, "print(studio.session.mask[0, 0].int().tolist())"))
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_in_the_notebook_a_stroke_by_mouse_and_touch_is_that_mask(lab):
    changed(lab, lambda: draw(lab, ZIGZAG))
    mask = kernel_has(lab)
    assert differ(mask, drawn(ZIGZAG)) < 0.02 and differ(kernel_mask(lab), mask) < 0.02
    changed(lab, lambda: lab.click(".fi-undo"))
    assert not kernel_has(lab).any()
    changed(lab, lambda: touch(lab, ZIGZAG))
    assert differ(kernel_has(lab), drawn(ZIGZAG)) < 0.02


def test_in_the_notebook_keys_are_the_studios(lab):
    cells = lab.locator(".jp-InputArea").all_inner_texts()
    for focus in (".fi-hole", ".fi-generate", ".fi-width", ".fi-masks [data-id='mask05']", ".fi-slider"):
        lab.focus(focus)
        # What JupyterLab binds in command mode: cut, delete, to Markdown, restart, merge, new cells, undo ...
        for key in (*"xddmrycvvii001jksp", "Shift+M"):
            lab.keyboard.press(key)
        assert lab.locator(".jp-InputArea").all_inner_texts() == cells, focus
        assert lab.locator(".jp-Dialog").count() == 0
    for words in (".fi-words", ".fi-ratio", ".fi-heading >> nth=0"):
        lab.click(words)
        lab.keyboard.press("x")  # cuts the cell that has the focus
        assert lab.locator(".jp-InputArea").all_inner_texts() == cells, words
    changed(lab, lambda: draw(lab, ZIGZAG))
    lab.keyboard.press("b")  # JupyterLab's "new cell below"
    changed(lab, lambda: lab.keyboard.press("z"))
    assert lab.locator(".jp-Cell").count() == len(cells)


def test_in_the_notebook_a_face_is_completed_in_both_themes(lab):
    changed(lab, lambda: lab.click(".fi-masks [data-id='face-mask']"))
    generate(lab)
    shot(lab, "lab")
    assert pale(lab) == []
    assert "1" == lab.evaluate(ASK, "print(len(studio.session.results), end='')")
    lab.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lab.wait_for_function(f"({PALE})({CONTRAST}).length === 0")  # its colours fade in
    shot(lab, "lab-dark")
    assert pale(lab) == []
