"""The browsers of this machine in which the studio and the course's site can be tested.

`python tests/browsers.py` ends with status 1 where there is none; `make test` then installs one, if it may.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright, expect, sync_playwright

PATIENCE = 600_000  # milliseconds; a machine that trains beside needs them
NAMES = (
    "chromium", "google-chrome", "google-chrome-stable", "microsoft-edge", "microsoft-edge-stable", "chromium-browser",
)
MACOS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
MISSING = "no Chromium, Chrome or Edge was found to test pages in"
REMEDY = "install one, for example by `.venv/bin/python -m playwright install chromium`, and run `make test` again"


def find_browsers(playwright: Playwright) -> list[str]:
    """Those on the path, in their usual places on macOS and Windows, and Playwright's own."""
    roots = [os.environ[name] for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA") if name in os.environ]
    places = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in MACOS]
    places += [f"{root}/{path}" for root in roots for path in WINDOWS] + [playwright.chromium.executable_path]
    return [*filter(None, map(shutil.which, NAMES)), *(place for place in places if Path(place).is_file())]


def launch(playwright: Playwright) -> Browser:
    """The first of them that starts, without a window; where none does the tests are skipped."""
    expect.set_options(timeout=PATIENCE)
    for path in find_browsers(playwright):
        try:
            return playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", *CAMERA], timeout=PATIENCE)
        except Error as error:  # Ubuntu's chromium-browser, for example, only says where one could be had
            print(f"{path} does not start: {error}")
    pytest.skip(MISSING)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        sys.exit(not find_browsers(playwright))
