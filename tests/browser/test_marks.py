"""An operator verifies results on the human view: by buttons, by keyboard, and by a box around what was missed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import PHONE, Faults, Serving, log_in, opened
from tests.browser.test_frame import ask, open_frame


def frame_with_detections(page: Page, serving: Serving) -> dict[str, Any]:
    listed = page.request.get(f"{serving.http}/v1/cameras/street/frames").json()["frames"]
    seen = [frame for frame in listed if frame["result"]["detections"]]
    if not seen:
        pytest.skip("the detector sees nothing in the machine views that these weights give")
    return seen[0]


def kept_marks(page: Page, serving: Serving, frame: str) -> list[dict[str, Any]]:
    return page.request.get(f"{serving.http}/v1/cameras/street/frames/{frame}/marks").json()["marks"]


def test_results_are_judged_on_the_human_view_alone(page: Page, serving: Serving) -> None:
    frame = frame_with_detections(page, serving)
    name, count = frame["frame"], len(frame["result"]["detections"])
    open_frame(page, serving, name)
    panel = page.get_by_role("region", name="Marks")
    right = panel.locator("button.right")
    expect(right).to_have_count(count)
    expect(right.first).to_be_disabled()
    page.keyboard.press("x")
    expect(panel.locator("#missed")).to_be_hidden()
    ask(page)
    expect(right.first).to_be_enabled()

    # By keyboard: the first is right, then wrong, then a cat.
    page.keyboard.press("j")
    page.keyboard.press("y")
    expect(right.first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")
    expect(panel.locator("button.wrong").first).to_have_attribute("aria-pressed", "true")
    expect(right.first).to_have_attribute("aria-pressed", "false")
    field = panel.get_by_label("What detection 1 is instead")
    assert "bicycle" in panel.locator("datalist option").evaluate_all("all => all.map(({ value }) => value)")
    field.fill("cat")
    with page.expect_response(lambda response: response.request.method == "POST"):
        field.press("Enter")
    expect(page.locator(".marked rect.wrong")).to_have_count(1)
    expect(panel.locator("#marks-told")).to_contain_text(f"1 of {count} detections are judged")
    expect(panel.locator(".summary")).to_contain_text("right 0 of 1 (0 % to ")
    (mark,) = kept_marks(page, serving, name)
    assert (mark["verdict"], mark["label"], mark["detection"]) == ("wrong", "cat", 0)

    # Taken back by the same word again.
    panel.locator("button.wrong").first.click()
    expect(page.locator(".marked rect.wrong")).to_have_count(0)
    assert kept_marks(page, serving, name) == []


def test_what_was_missed_is_drawn_on_the_picture_however_far_it_is_zoomed(
    page: Page, serving: Serving
) -> None:
    frame = frame_with_detections(page, serving)
    name, width = frame["frame"], frame["result"]["width"]
    open_frame(page, serving, name)
    ask(page)
    page.keyboard.press("+")
    page.get_by_role("button", name="Tell what was missed").click()
    stage = page.locator(".stage").bounding_box()
    assert stage is not None
    # Zoomed by half at the middle, the picture's middle half of two thirds is on the stage.
    left, above = stage["x"] + stage["width"] / 4, stage["y"] + stage["height"] / 4
    page.mouse.move(left, above)
    page.mouse.down()
    page.mouse.move(left + stage["width"] / 2, above + stage["height"] / 2, steps=4)
    page.mouse.up()
    page.get_by_label("What is it?").fill("dog")
    page.keyboard.press("Enter")
    expect(page.locator(".marked rect.missed")).to_have_count(1)
    (mark,) = kept_marks(page, serving, name)
    assert (mark["verdict"], mark["label"]) == ("missed", "dog")
    assert mark["box"]["x_min"] == pytest.approx(width / 3, abs=width / 60)
    assert mark["box"]["x_max"] == pytest.approx(2 * width / 3, abs=width / 60)
    page.reload()
    ask(page)
    page.get_by_role("button", name="Take back: dog missed").click()
    expect(page.locator(".marked rect.missed")).to_have_count(0)
    assert kept_marks(page, serving, name) == []


def test_everybody_sees_what_others_say_and_viewers_say_nothing(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    address = f"#/cameras/street/frames/{secured.frames[0]}"
    with opened(browser, faults) as page:
        log_in(page, secured, "otto", address)
        page.locator("#reason").fill("checking the detector")
        ask(page)
        page.keyboard.press("Escape")
        page.locator(".stage").click()
        expect(page.get_by_role("button", name="Tell what was missed")).to_be_enabled()
        page.keyboard.press("x")
        page.get_by_label("What is it?").fill("bus")
        for edge, value in (("Left", "10"), ("Top", "10"), ("Right", "90"), ("Bottom", "80")):
            page.get_by_label(edge).fill(value)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("missed", exact=True)).to_be_visible()
    with opened(browser, faults, PHONE) as page:
        log_in(page, secured, "anna", address)
        expect(page.get_by_text("missed, says otto")).to_be_visible()
        assert violations(page) == []
    with opened(browser, faults) as page:
        log_in(page, secured, "vera", address)
        expect(page.locator("#human-told")).to_contain_text("Not for a viewer")
        expect(page.get_by_role("region", name="Marks")).to_be_hidden()
