"""The Mask Studio in a real browser, as a page of its own."""

from __future__ import annotations

import io
import re

import numpy as np
import psutil
import pytest
import torch
from browsers import PATIENCE
from PIL import Image
from studio_page import (
    RADIUS, ZIGZAG, anew, as_png, changed, differ, draw, drawn, generate, kernel_mask, on_screen, open_page,
    picture, saved, says, shot, touch, upload, version,
)

from faceinpaint import masks
from faceinpaint.studio import portraits


@pytest.fixture(scope="module")
def first(browser, studio_address):
    """The page of one visitor."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    page = context.new_page()
    page.faults, page.elsewhere = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    # What is not let out fails at once; what went out would be listed here.
    page.on("requestfinished", lambda request: "127.0.0.1" in request.url or page.elsewhere.append(request.url))
    open_page(page, studio_address)
    yield page
    context.close()


# ------------------------------------------------------------------------------------- the page itself


def test_the_page_shows_no_code(page):
    shot(page, "start")
    text = page.inner_text("body")
    assert "import" not in text and "Studio()" not in text
    assert page.locator(".jp-InputArea-editor, .jp-CodeCell textarea").count() == 0


def test_nothing_comes_from_elsewhere(page):
    assert [one for one in page.elsewhere if not one.startswith(("data:", "blob:"))] == []


def test_without_the_token_nobody_gets_in(browser, studio_address):
    stranger = browser.new_context()
    visit = stranger.new_page()
    visit.set_default_timeout(PATIENCE)
    visit.goto(studio_address.partition("?")[0])
    assert visit.locator(".fi-studio").count() == 0 and "login" in visit.url
    stranger.close()


# ----------------------------------------------------------------------------------------- the drawing


def test_a_stroke_by_mouse_is_that_mask_in_the_kernel(page):
    changed(page, lambda: draw(page, ZIGZAG))
    shot(page, "stroke")
    mask = kernel_mask(page)
    assert 0.05 < mask.mean() and differ(mask, drawn(ZIGZAG)) < 0.02
    changed(page, lambda: page.keyboard.press("z"))
    assert not kernel_mask(page).any()
    changed(page, lambda: page.keyboard.press("Shift+Z"))
    assert torch.equal(kernel_mask(page), mask)


def test_a_stroke_by_touch_is_that_mask_and_the_page_stays(page):
    before = on_screen(page, ZIGZAG)
    changed(page, lambda: touch(page, ZIGZAG))
    assert on_screen(page, ZIGZAG) == before
    assert differ(kernel_mask(page), drawn(ZIGZAG)) < 0.02


def test_eraser_invert_and_keys(page):
    changed(page, lambda: draw(page, ZIGZAG))
    page.keyboard.press("e")
    assert page.get_attribute(".fi-eraser", "aria-pressed") == "true"
    changed(page, lambda: draw(page, ZIGZAG))
    assert kernel_mask(page).mean() < 0.002
    page.keyboard.press("b")
    assert page.get_attribute(".fi-brush", "aria-pressed") == "true"
    changed(page, lambda: page.click(".fi-invert"))
    assert kernel_mask(page).mean() > 0.99


def test_the_outline_of_the_brush_follows_the_pointer(page):
    page.locator(".fi-width").fill("30")
    (place,) = on_screen(page, [(128, 100)])
    page.mouse.move(*place)
    box = page.locator(".fi-outline").bounding_box()
    wide = page.locator(".fi-hole").bounding_box()["width"]
    assert box["x"] + box["width"] / 2 == pytest.approx(place[0], abs=1)
    assert box["width"] == pytest.approx(60 * wide / 256, abs=1)
    page.locator(".fi-width").fill(str(RADIUS))


def test_the_brush_is_as_wide_as_the_keys_make_it(page):
    page.focus(".fi-hole")
    for key, width in (("]", RADIUS + 2), ("[", RADIUS), ("[", RADIUS - 2), ("]", RADIUS)):
        page.keyboard.press(key)
        assert page.input_value(".fi-width") == str(width)


def test_looked_at_closer_a_stroke_is_finer_and_where_the_pointer_is(page):
    page.focus(".fi-hole")
    for _ in range(3):
        page.keyboard.press("+")
    board = page.locator(".fi-drawing").bounding_box()
    assert page.locator(".fi-hole").bounding_box()["width"] == pytest.approx(1.5**3 * board["width"], abs=1)
    middle = board["x"] + board["width"] / 2, board["y"] + board["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    changed(page, page.mouse.up)
    mask = kernel_mask(page)[0, 0]
    rows, columns = mask.nonzero().T.float()
    assert (rows.mean().item(), columns.mean().item()) == pytest.approx((127.5, 127.5), abs=1)
    assert mask.sum().item() == pytest.approx(3.14 * (RADIUS / 1.5**3) ** 2, rel=0.2)
    page.mouse.wheel(0, -200)  # closer at the place where the pointer is
    box = page.locator(".fi-hole").bounding_box()
    assert box["width"] > 1.5**3 * board["width"] + 50
    page.keyboard.press("0")
    assert page.locator(".fi-hole").bounding_box() == board


def test_two_fingers_look_closer_and_draw_nothing(page):
    box = page.locator(".fi-hole").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before, finger = version(page), page.context.new_cdp_session(page)
    for kind, far in (("touchStart", 0), ("touchStart", 40), ("touchMove", 80), ("touchMove", 120), ("touchEnd", 0)):
        both = [{"x": x - far, "y": y, "id": 1}, {"x": x + far, "y": y, "id": 2}]
        places = [] if kind == "touchEnd" else both if far else both[:1]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
    finger.detach()
    assert page.locator(".fi-hole").bounding_box()["width"] == pytest.approx(3 * box["width"], rel=0.05)
    assert version(page) == before and not kernel_mask(page).any()
    page.click(".fi-drawing .fi-fit")
    assert page.locator(".fi-hole").bounding_box() == box


def test_on_the_whole_photo_one_draws_too(page):
    changed(page, lambda: page.click(".fi-view"))
    wide, high = portraits.portrait("portrait 1")[0].size
    assert page.evaluate("(({ width, height }) => [width, height])(document.querySelector('.fi-hole'))") == [wide, high]
    shot(page, "whole")
    page.focus(".fi-hole")
    changed(page, lambda: draw(page, ZIGZAG))
    changed(page, lambda: page.click(".fi-view"))
    assert 0.02 < kernel_mask(page).mean() < 0.6
    changed(page, lambda: page.keyboard.press("Control+z"))
    assert not kernel_mask(page).any()
    changed(page, lambda: page.keyboard.press("Control+y"))
    assert kernel_mask(page).any()


def test_each_mask_by_its_picture(page):
    for name in masks.NAMES:
        changed(page, lambda: page.click(f".fi-masks [data-id='{name}']"))
        mask = kernel_mask(page)
        assert page.get_attribute(f".fi-masks [data-id='{name}']", "aria-pressed") == "true"
        if name in masks.STANDARD[:6]:
            assert differ(mask, masks.standard(name, 256)) < 0.01
        else:
            assert 0.02 < mask.mean() < 0.5, name
    changed(page, lambda: page.click(".fi-masks [data-id='irregular']"))
    before = kernel_mask(page)
    changed(page, lambda: page.click(".fi-masks [data-id='irregular']"))
    assert before.mean() == pytest.approx(0.3, abs=0.02) and differ(before, kernel_mask(page)) > 0.1


def test_the_slider_says_how_much_an_irregular_mask_hides(page):
    changed(page, lambda: page.locator(".fi-ratio-slider input").fill("0.5"))
    assert kernel_mask(page).mean() == pytest.approx(0.5, abs=0.02)
    changed(page, lambda: page.press(".fi-ratio-slider input", "ArrowLeft"))
    assert kernel_mask(page).mean() == pytest.approx(0.45, abs=0.02)
    changed(page, lambda: page.locator(".fi-ratio-slider input").fill("0.3"))


def test_a_mask_goes_out_and_comes_back_unchanged(page):
    changed(page, lambda: draw(page, ZIGZAG))
    mask, file = kernel_mask(page), saved(page, ".fi-save-mask")
    changed(page, lambda: page.click(".fi-clear"))
    changed(page, lambda: upload(page, file, ".fi-opener:has(.fi-save-mask) .fi-open"))
    assert torch.equal(kernel_mask(page), mask)
    photo, _ = portraits.portrait("portrait 1")
    assert Image.open(io.BytesIO(file)).size == photo.size


# ------------------------------------------------------------------------------------------- the photo


def test_a_photo_is_uploaded_and_the_mask_survives(page, astronaut):
    changed(page, lambda: draw(page, ZIGZAG))
    mask = kernel_mask(page)
    before = picture(page, ".fi-portrait")
    changed(page, lambda: upload(page, as_png(astronaut)))
    says(page, "one face found")
    assert not np.array_equal(picture(page, ".fi-portrait"), before)
    assert differ(kernel_mask(page), mask) < 0.02


def test_photos_are_dropped_and_pasted(page, astronaut):
    content = list(as_png(astronaut.crop((100, 0, 380, 280))))
    give = """(bytes, how) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'photo.png', { type: 'image/png' }));
        const target = document.querySelector('.fi-studio');
        target.querySelector('canvas').focus();
        const event = how === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
        (how === 'drop' ? target : document).dispatchEvent(event);
    }"""
    for how in ("drop", "paste"):
        anew(page)
        changed(page, lambda: page.evaluate(f"(bytes) => ({give})(bytes, '{how}')", content))
        says(page, "one face found")


def test_of_several_faces_one_is_clicked(page, astronaut):
    portrait = astronaut.crop((100, 0, 380, 280))
    couple = Image.new("RGB", (640, 320), "grey")
    couple.paste(portrait, (10, 20))
    couple.paste(portrait.resize((200, 200)), (390, 60))
    changed(page, lambda: upload(page, as_png(couple)))
    says(page, "2 faces found")
    assert page.locator(".fi-face").count() == 2
    shot(page, "faces")
    changed(page, lambda: page.click("[aria-label='Face 2 of 2']"))
    says(page, "face 2 of 2")
    changed(page, lambda: page.click(".fi-masks [data-id='mask01']"))
    generate(page)
    result = np.array(Image.open(io.BytesIO(saved(page, ".fi-first .fi-save"))))
    different = (result != np.array(couple)).any(-1)
    assert result.shape == (320, 640, 3) and different.any() and not different[:, :350].any()
    page.click(".fi-first .fi-extent .fi-photo")
    shot(page, "photo")
    page.click(".fi-first .fi-extent .fi-crop")


def test_a_photo_is_turned_and_saved_as_it_is_shown(page, astronaut):
    photo = astronaut.crop((60, 0, 420, 300))
    changed(page, lambda: upload(page, as_png(photo)))
    changed(page, lambda: page.click(".fi-turn"))
    says(page, "the photo was turned; one face found")
    changed(page, lambda: draw(page, [(110, 160), (150, 160)]))
    generate(page)
    result = np.array(Image.open(io.BytesIO(saved(page, ".fi-first .fi-save"))))
    different = (np.rot90(result, -1) != np.array(photo)).any(-1)
    assert result.shape == (360, 300, 3) and 0 < different.mean() < 0.2
    upload(page, as_png(Image.new("RGB", (400, 300), "grey")))
    says(page, "^no face was found")
    page.click(".fi-turn")
    says(page, "the photo was turned, but no face was found")


@pytest.mark.parametrize("content, sentence", [
    (b"no picture", "not an image"), (as_png(Image.new("RGB", (400, 300), "grey")), "no face was found"),
    (bytes(7_000_000), "not an image"), (bytes(33_000_000), "33 MB: give one of at most 32 MB"),
])
def test_a_bad_upload_is_one_sentence(page, content, sentence):
    upload(page, content, name="/etc/passwd")
    assert "Traceback" not in says(page, sentence)
    assert page.get_attribute(".fi-words", "data-kind") == "error"
    shot(page, "error")
    changed(page, lambda: draw(page, ZIGZAG))  # and it goes on


def test_a_large_upload_comes_as_it_is(page, astronaut):
    noise = np.random.default_rng(0).integers(0, 120, (2400, 2400, 3), dtype=np.uint8)
    large = Image.fromarray(np.asarray(astronaut.resize((2400, 2400))) // 2 + noise)
    content = io.BytesIO()
    large.save(content, "jpeg", quality=97)
    assert len(content.getvalue()) > 4e6
    changed(page, lambda: upload(page, content.getvalue()))
    says(page, "one face found")
    changed(page, lambda: draw(page, ZIGZAG))
    generate(page)
    assert Image.open(io.BytesIO(saved(page, ".fi-save"))).size == (2400, 2400)
    page.click(".fi-first .fi-photo")  # and looked at closer it shows its own pixels
    assert picture(page, ".fi-first .fi-after").shape == (2048, 2048, 3)
    page.click(".fi-first .fi-closer")
    page.wait_for_selector(".fi-first .fi-sheet > .fi-finer", state="visible")
    part = picture(page, ".fi-first .fi-sheet > .fi-finer")
    assert part.shape == (1600, 1600, 3)
    board = page.locator(".fi-first .fi-board").bounding_box()
    assert page.locator(".fi-first .fi-sheet > .fi-finer").bounding_box() == pytest.approx(board, abs=1)
    page.click(".fi-first .fi-crop")


def test_the_camera_is_asked_and_its_picture_taken(page):
    page.click(".fi-webcam")
    page.wait_for_function("document.querySelector('.fi-video').videoWidth > 0")
    page.click(".fi-shoot")
    says(page, "no face was found")  # Chromium's test picture shows none
    assert page.locator(".fi-camera").is_hidden()


def test_a_new_person_is_rendered(page):
    before = picture(page, ".fi-portrait")
    changed(page, lambda: page.click(".fi-new-person"))
    says(page, "a new person")
    assert not np.array_equal(picture(page, ".fi-portrait"), before)


# ------------------------------------------------------------------------------------------ the result


def test_only_the_hole_changes_and_the_distance_is_said(page):
    changed(page, lambda: page.click(".fi-masks [data-id='face-mask']"))
    hole = kernel_mask(page)[0, 0].numpy() > 0
    generate(page)
    before, after = picture(page, ".fi-first .fi-before"), picture(page, ".fi-first .fi-after")
    different = (before != after).any(-1)
    assert not different[~hole].any() and different[hole].mean() > 0.9
    verdict = page.inner_text(".fi-first .fi-verdict")
    assert verdict.startswith("Same person: ") and "distance 0." in verdict
    assert "threshold 0." in page.inner_text(".fi-first .fi-gauge")
    shot(page, "result")


def test_a_drawn_mask_gets_a_verdict_once_the_photo_is_said_to_be_whole(page, astronaut):
    box, gauge = page.locator(".fi-beneath input"), page.locator(".fi-first .fi-gauge")
    assert box.is_checked() and box.is_disabled()  # of the studio's own photos it is known
    changed(page, lambda: upload(page, as_png(astronaut)))
    says(page, "one face found")
    changed(page, lambda: draw(page, ZIGZAG))
    generate(page)
    assert page.inner_text(".fi-first .fi-verdict").startswith("No verdict: ")
    assert not gauge.is_visible() and not box.is_checked()
    assert "yes" not in says(page, "no verdict")
    shot(page, "no-verdict")
    box.check()
    says(page, "generate again")
    generate(page)
    assert page.inner_text(".fi-first .fi-verdict").startswith("Same person: ") and gauge.is_visible()


def test_the_slider_wipes(page):
    changed(page, lambda: page.click(".fi-masks [data-id='mask02']"))
    generate(page)
    slider, before = page.locator(".fi-first .fi-slider"), page.locator(".fi-first .fi-former")
    assert slider.input_value() == "0"  # all of the result
    for value in ("0", "100", "30"):
        slider.fill(value)
        right = before.evaluate("(image) => image.style.clipPath.split(' ')[1]")
        assert right == f"{100 - int(value)}%"
    page.locator(".fi-first .fi-board").scroll_into_view_if_needed()
    box = page.locator(".fi-first .fi-board").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 50)
    assert slider.input_value() == "75" == page.input_value(".fi-second .fi-slider")
    original = picture(page, ".fi-first .fi-before")
    page.click(".fi-first .fi-masked")
    masked = picture(page, ".fi-first .fi-before")
    assert not np.array_equal(original, masked) and abs(int(masked[128, 200, 0]) - 128) <= 1
    shot(page, "wipe")
    page.click(".fi-first .fi-original")


def test_held_the_key_shows_the_original(page):
    changed(page, lambda: page.click(".fi-masks [data-id='mask02']"))
    generate(page)
    clip = "document.querySelector('.fi-first .fi-former').style.clipPath.split(' ')[1]"
    page.focus(".fi-hole")
    assert page.evaluate(clip) == "100%"
    page.keyboard.down("o")
    assert page.evaluate(clip) == "0%"
    page.keyboard.up("o")
    assert page.evaluate(clip) == "100%"
    page.evaluate("document.activeElement.blur()")  # as after a click on a button that is disabled by it
    for press, share in ((page.keyboard.down, "0%"), (page.keyboard.up, "100%")):
        press("o")
        assert page.evaluate(clip) == share


def test_a_held_key_or_two_clicks_make_one_result(page):
    changed(page, lambda: page.click(".fi-masks [data-id='mask06']"))
    history = page.locator(".fi-at-history .fi-thumb")
    page.focus(".fi-hole")
    generate(page, act=lambda: [page.keyboard.down("g") for _ in range(5)])
    newest = history.first.get_attribute("data-id")
    page.keyboard.up("g")
    page.dblclick(".fi-generate")
    says(page, f"that is result {newest}")
    assert history.first.get_attribute("data-id") == newest


def test_a_result_is_gone_on_from_and_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    changed(page, lambda: page.click(".fi-masks [data-id='mask03']"))
    generate(page)
    page.click(".fi-first .fi-copy")
    says(page, "the result was copied")
    copied = page.evaluate("""async () => {
        const [item] = await navigator.clipboard.read();
        const picture = await createImageBitmap(await item.getType("image/png"));
        return [picture.width, picture.height];
    }""")
    assert copied == page.evaluate("(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight])"
                                   "(document.querySelector('.fi-first .fi-after'))")
    completed = picture(page, ".fi-first .fi-after")
    changed(page, lambda: page.click(".fi-first .fi-go-on"))
    assert not kernel_mask(page).any()
    assert np.abs(picture(page, ".fi-portrait").astype(int) - completed).mean() < 1


def test_a_pulled_landmark_changes_the_result(page):
    changed(page, lambda: page.click(".fi-masks [data-id='face-mask']"))
    generate(page)
    before = picture(page, ".fi-first .fi-after")
    changed(page, lambda: page.click(".fi-marks"))
    assert page.locator(".fi-points circle").count() == 68
    box = page.locator("circle[data-index='57']").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 25, steps=5)
    changed(page, page.mouse.up)
    says(page, "landmark 57 moved")
    shot(page, "landmarks")
    generate(page)
    assert (picture(page, ".fi-first .fi-after") != before).any(-1).mean() > 0.001
    changed(page, lambda: page.click(".fi-release"))
    changed(page, lambda: page.click(".fi-marks"))
    assert page.locator(".fi-points circle").count() == 0


def where(page):
    """Index, x and y of the landmark that has the focus, by what is said of it."""
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    return [int(number) for number in re.fullmatch(r"Landmark (\d+) of 0 to 67, \w+, at (\d+), (\d+)", label).groups()]


def test_a_landmark_is_moved_by_keys(page):
    page.focus(".fi-hole")
    changed(page, lambda: page.keyboard.press("l"))
    page.keyboard.press("Tab")
    first, *_ = where(page)
    page.keyboard.press("]")
    index, x, y = where(page)
    assert index == first + 1
    changed(page, lambda: page.keyboard.press("ArrowDown"))
    assert where(page) == [index, x, y + 1]
    changed(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    assert where(page) == [index, x + 5, y + 1]
    page.keyboard.down("ArrowUp")
    for _ in range(4):  # held, it goes on; the kernel is told where it ends
        page.keyboard.down("ArrowUp")
    changed(page, lambda: page.keyboard.up("ArrowUp"))
    assert where(page) == [index, x + 5, y - 4]
    page.keyboard.press("[")
    assert where(page)[0] == first
    page.keyboard.press("Tab")  # the landmarks are one stop of the tab key
    assert page.evaluate("document.activeElement.matches('.fi-closer')")
    page.focus(".fi-release")
    changed(page, lambda: page.keyboard.press("Enter"))  # hides the button that had the focus
    assert page.locator(".fi-release").is_hidden()
    changed(page, lambda: page.keyboard.press("l"))
    assert page.locator(".fi-points circle").count() == 0


def test_two_weights_side_by_side_and_the_last_ten(page):
    changed(page, lambda: page.click(".fi-masks [data-id='mask01']"))
    page.select_option(".fi-beside select", "mirror")
    generate(page, ".fi-second")
    shot(page, "two")
    for width in (1280, 1000, 700):  # no bar runs over its neighbour
        page.set_viewport_size({"width": width, "height": 1200})
        shot(page, f"two-{width}")
        bars = "() => [...document.querySelectorAll('.fi-bar')].map((bar) => bar.scrollWidth - bar.clientWidth)"
        assert max(page.evaluate(bars)) <= 1, width
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.inner_text(".fi-second .fi-title") == "mirror"
    one, other = (picture(page, f"{place} .fi-after") for place in (".fi-first", ".fi-second"))
    assert not np.array_equal(one, other)
    page.select_option(".fi-beside select", "none")
    page.wait_for_selector(".fi-second", state="hidden")
    history = page.locator(".fi-at-history .fi-thumb")
    assert 2 <= history.count() <= 10
    anew(page, "portrait 4")
    assert page.locator(".fi-first.fi-blank").count() == 1  # no result of another photo is left
    changed(page, lambda: history.nth(0).click())
    assert page.locator(".fi-first.fi-blank").count() == 0
    assert differ(kernel_mask(page), masks.standard("mask01", 256)) < 0.01
    says(page, "result [0-9]+ by mirror")


# ------------------------------------------------------------------------- a reference, another answer


def test_a_reference_changes_the_hole_only(page):
    changed(page, lambda: page.click(".fi-masks [data-id='face-mask']"))
    hole = kernel_mask(page)[0, 0].numpy() > 0
    generate(page)
    without = picture(page, ".fi-first .fi-after")
    assert page.locator(".fi-reference").is_hidden() and page.locator(".fi-first .fi-note").is_hidden()
    upload(page, as_png(portraits.another("portrait 1")[0]), ".fi-refer .fi-open")
    says(page, "the reference will be used")
    page.wait_for_selector(".fi-reference", state="visible")
    generate(page)
    different = (picture(page, ".fi-first .fi-after") != without).any(-1)
    assert not different[~hole].any() and different[hole].mean() > 0.3
    assert page.inner_text(".fi-first .fi-note") == "With the reference"
    shot(page, "reference")
    page.focus(".fi-forget")
    page.keyboard.press("Enter")
    says(page, "the reference was removed")
    assert page.locator(".fi-reference").is_hidden()
    assert page.evaluate("document.activeElement.matches('.fi-refer .fi-open')")
    page.click(".fi-another-photo")  # of this person there is one at hand
    page.wait_for_selector(".fi-reference", state="visible")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_reference_is_dropped_or_pasted_where_it_belongs(page, how):
    before = picture(page, ".fi-portrait")
    page.evaluate("""([bytes, how]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'photo.png', { type: 'image/png' }));
        const event = how === 'drop' ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
        const target = document.querySelector('.fi-refer .fi-open');
        target.focus();
        target.dispatchEvent(event);
    }""", [list(as_png(portraits.another("portrait 1")[0])), how])
    says(page, "the reference will be used")
    assert np.array_equal(picture(page, ".fi-portrait"), before)


def test_a_bad_reference_is_one_sentence(page):
    upload(page, as_png(Image.new("RGB", (400, 300), "grey")), ".fi-refer .fi-open")
    assert "Traceback" not in says(page, "the reference is no good: no face was found")
    assert page.get_attribute(".fi-words", "data-kind") == "error" and page.locator(".fi-reference").is_hidden()


def test_another_answer_is_another_one_in_the_history(page):
    changed(page, lambda: page.click(".fi-masks [data-id='face-mask']"))
    generate(page)
    newest = page.locator(".fi-at-history .fi-thumb").first
    seen = [picture(page, ".fi-first .fi-after")]
    for ask in (lambda: page.click(".fi-another"), lambda: page.keyboard.press("a")):
        number = page.get_attribute(".fi-first .fi-board", "data-number")
        ask()
        page.wait_for_function(f"document.querySelector('.fi-first .fi-board').dataset.number === '{int(number) + 1}'")
        says(page, "another answer")
        assert newest.get_attribute("data-id") == str(int(number) + 1)
        assert "another answer" in newest.get_attribute("title")
        seen.append(picture(page, ".fi-first .fi-after"))
    hole = kernel_mask(page)[0, 0].numpy() > 0
    for one, other in ((seen[0], seen[1]), (seen[1], seen[2])):
        different = (one != other).any(-1)
        assert not different[~hole].any() and different[hole].mean() > 0.3
    shot(page, "answers")


def test_what_cannot_be_done_is_said(page):
    page.click(".fi-generate")
    says(page, "the mask is empty")
    assert page.locator(".fi-generate").is_enabled()


def test_a_second_tab_is_somebody_else(page, browser, studio_address):
    changed(page, lambda: draw(page, ZIGZAG))
    mask = kernel_mask(page)
    other = browser.new_context()
    tab = other.new_page()
    open_page(tab, studio_address)
    assert not kernel_mask(tab).any()
    changed(tab, lambda: draw(tab, [(60, 100), (200, 100)]))
    assert differ(kernel_mask(tab), drawn([(60, 100), (200, 100)])) < 0.02
    assert torch.equal(kernel_mask(page), mask)
    other.close()


def test_when_the_kernel_is_killed_the_page_says_so_and_loses_nothing(browser, studio_address, astronaut):
    def kernels():
        found = [one for one in psutil.process_iter(["cmdline"]) if "ipykernel_launcher" in (one.info["cmdline"] or [])]
        return {one.pid: one for one in found if one.ppid() == server.pid}

    port = re.search(r":(\d+)/", studio_address)[1]
    server = next(one for one in psutil.process_iter(["cmdline"]) if port in (one.info["cmdline"] or []))
    others = kernels().keys()
    visit = browser.new_context(viewport={"width": 1280, "height": 800})
    tab = visit.new_page()
    asked = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    open_page(tab, studio_address)
    changed(tab, lambda: upload(tab, as_png(astronaut), name="me.png"))
    says(tab, "one face found")
    changed(tab, lambda: draw(tab, ZIGZAG))
    generate(tab)
    mask, whole = kernel_mask(tab), saved(tab, ".fi-first .fi-save")
    upload(tab, as_png(Image.new("RGB", (400, 300), "grey")))  # a later file is not the one that is worked on
    says(tab, "^no face was found")
    for number in kernels().keys() - others:
        kernels()[number].kill()
    says(tab, "kernel is gone")
    shot(tab, "lost")
    alone = saved(tab, ".fi-first .fi-save")
    assert Image.open(io.BytesIO(alone)).convert("RGB").tobytes() == Image.open(io.BytesIO(whole)).tobytes()
    with tab.expect_navigation(wait_until="commit"):
        tab.click(".fi-again")
    tab.wait_for_selector(".fi-hole[data-version]")
    says(tab, "are here again")
    assert torch.equal(kernel_mask(tab), mask) and not asked
    generate(tab)
    tab.reload()  # with a result that nobody saved
    assert asked == ["beforeunload"]
    visit.close()


def test_nothing_has_gone_wrong_unseen(page):
    assert page.faults == []
