"""The site of the course in a real browser, opened from a folder, as from a USB stick."""

from __future__ import annotations

import pytest
from browsers import PATIENCE, launch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect, sync_playwright
from faceinpaint.course import run as course


FIRST = """# 00 · First: a chapter

**What you will be able to do**

- find marmalade.

## Breakfast

There is marmalade on the bread."""
SECOND = """# 01 · Second: another one

## Marmalade, with *stress*

$$\\frac{1}{2}$$

Some more of it."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The first page of a site of two chapters; a request to the network fails the test."""
    out = tmp_path_factory.mktemp("site")
    for name, text in {"00_first": FIRST, "01_second": SECOND}.items():
        cells = [new_markdown_cell(text), new_code_cell("smooth_fill()"), new_markdown_cell("word\n\n" * 200)]
        outcome = course.Outcome(name, new_notebook(cells=cells), "", 1.0, None, {})
        course.write_pages(outcome, "smoke", out, out)
    course.write_site(out)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((out / "index.html").as_uri())
        yield page
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_a_heading_is_found_first_and_leads_to_its_place(page):
    page.keyboard.press("/")
    page.keyboard.type("marmalade")
    found = page.locator(".found a")
    expect(found).to_have_count(3)
    expect(found.first).to_contain_text("01 · Second › Marmalade, with stress")
    page.keyboard.press("Enter")
    heading = page.locator("h2", has_text="Marmalade")
    expect(heading).to_be_in_viewport()
    below = page.locator("nav.course").first.bounding_box()
    assert heading.bounding_box()["y"] >= below["y"] + below["height"] - 1  # the bar does not cover it


def test_from_chapter_to_chapter_and_back(page):
    page.goto(page.url.rpartition("/")[0] + "/01_second.html")
    page.locator('nav.course a[rel="prev"]').last.click()
    expect(page).to_have_title("00 · First: a chapter")
    expect(page.locator('nav.course a[rel="prev"]')).to_have_count(0)
    page.locator("nav.course a", has_text="Course").first.click()
    expect(page.locator("article h2")).to_have_text(["00 · First: a chapter", "01 · Second: another one"])


def test_code_is_found_and_all_words_are_needed(page):
    box, found = page.locator("nav.course input"), page.locator(".found")
    box.fill("smooth_fill second")
    expect(found.locator("a")).to_have_count(1)
    box.fill("marmalade cheese")
    expect(found).to_have_text("Nothing has all these words.")
    box.press("Escape")
    expect(found).to_be_empty()
