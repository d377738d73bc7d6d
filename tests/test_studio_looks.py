"""How the Mask Studio looks: in a light and a dark system, on a phone, and to whoever can't see it."""

from __future__ import annotations

import pytest
from browsers import PATIENCE
from studio_page import changed, differ, drawn, generate, kernel_mask, open_page, pale, says, shot, touch, upload

SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
VISITS = [("light", "desk"), ("dark", "phone")]


@pytest.fixture(scope="module", params=VISITS, ids=" on a ".join)
def visit(browser, studio_address, request):
    """The page as somebody sees it, with all its words in it."""
    scheme, device = request.param
    phone = device == "phone"
    context = browser.new_context(viewport=SIZES[device], color_scheme=scheme, has_touch=phone, is_mobile=phone)
    page = context.new_page()
    page.scheme, page.device = scheme, device
    open_page(page, studio_address)
    changed(page, lambda: page.click(".fi-masks [data-id='mask02']"))
    page.select_option(".fi-beside select", "mirror")
    page.click(".fi-another-photo")
    page.wait_for_selector(".fi-reference", state="visible")
    generate(page, ".fi-second")
    page.click(".fi-ask")
    yield page
    context.close()


def background(page, selector):
    colour = page.locator(selector).evaluate("(one) => getComputedStyle(one).backgroundColor")
    return [float(value) for value in colour.removeprefix("rgb(").rstrip(")").split(", ")]


def test_the_page_is_as_dark_as_the_system(visit):
    shot(visit, f"{visit.scheme}-{visit.device}")
    for selector in ("body", ".fi-studio"):
        colour = background(visit, selector)
        assert max(colour) < 64 if visit.scheme == "dark" else min(colour) > 240


def test_all_words_can_be_read(visit):
    assert pale(visit) == []


def test_nothing_runs_over_the_edge(visit):
    outside = """(width) => [...document.querySelectorAll('.fi-studio *')]
        .filter((one) => one.getBoundingClientRect().right > width + 0.5).map((one) => one.outerHTML.slice(0, 80))"""
    assert visit.evaluate(outside, SIZES[visit.device]["width"]) == []


def test_every_control_has_a_name(visit):
    nameless = visit.evaluate("""() => [...document.querySelectorAll('.fi-studio :is(button, input, select, canvas)')]
        .filter((one) => one.offsetParent && !one.getAttribute('aria-label') && !one.innerText.trim()
                && !(one.labels?.length) && !one.closest('.widget-inline-hbox'))
        .map((one) => one.outerHTML.slice(0, 80))""")
    assert nameless == []


def test_what_is_said_is_seen_wherever_one_is(visit):
    visit.locator(".fi-open").first.scroll_into_view_if_needed()
    upload(visit, b"no picture")
    says(visit, "not an image")
    box = visit.locator(".fi-words").bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] <= SIZES[visit.device]["height"]


def test_a_finger_draws(visit):
    if visit.device != "phone":
        pytest.skip("there is no finger at a desk")
    visit.click(".fi-ask")  # closes what would be in the way
    changed(visit, lambda: visit.click(".fi-clear"))
    changed(visit, lambda: touch(visit, [(60, 100), (200, 100)]))
    assert differ(kernel_mask(visit), drawn([(60, 100), (200, 100)])) < 0.02


def test_an_address_can_ask_for_the_dark(browser, studio_address):
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(studio_address + "&theme=dark", wait_until="commit")
    page.wait_for_selector("#loading", state="attached")
    page.wait_for_function("getComputedStyle(document.body).backgroundColor !== 'rgba(0, 0, 0, 0)'")
    assert max(background(page, "body")) < 64
    context.close()
