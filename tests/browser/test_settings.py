"""The settings page: users, keys, tokens, rules, and zones drawn on the picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from shared_models import Codec
from tests.browser.accessibility import violations
from tests.browser.conftest import CAMERA, PHONE, Faults, Serving, log_in, opened, served

TOUCH = """(corner, [dx, dy]) => {
    const box = corner.getBoundingClientRect(), at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const send = (target, type, x, y) => target.dispatchEvent(new PointerEvent(type, {
        bubbles: true, cancelable: true, pointerId: 7, pointerType: "touch", button: 0, isPrimary: true,
        clientX: x, clientY: y,
    }));
    send(corner, "pointerdown", at.x, at.y);
    send(window, "pointermove", at.x + dx, at.y + dy);
    send(window, "pointerup", at.x + dx, at.y + dy);
}"""


def rules_of(serving: Serving, camera: str = CAMERA) -> dict[str, Any]:
    headers = serving.people.header("anna") if serving.people else {}
    address = f"{serving.http}/v1/cameras/{camera}/rules"
    answer: dict[str, Any] = httpx.get(address, headers=headers, timeout=60).json()
    return answer


def secret_of(page: Page) -> str:
    """What is shown this once; the dialog is closed."""
    shown = page.locator("[data-secret]")
    expect(shown).to_be_visible()
    secret = shown.inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("button", name="Done").click()
    expect(shown).to_have_count(0)
    return secret


def drag(page: Page, held: Locator, x: float, y: float) -> None:
    """By mouse, by shares of the picture."""
    box, stage = held.bounding_box(), page.locator(".zone-stage").bounding_box()
    assert box is not None and stage is not None
    begin = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(begin[0] + x * stage["width"], begin[1] + y * stage["height"], steps=4)
    page.mouse.up()


def test_users_keys_and_tokens(browser: Browser, secured: Serving, faults: Faults) -> None:
    with opened(browser, faults, permissions=["clipboard-read", "clipboard-write"]) as page:
        log_in(page, secured, "anna", "#/settings")
        page.get_by_role("button", name="Add a user").click()
        page.get_by_role("dialog").get_by_label("Name").fill("nora")
        page.get_by_label("May see all cameras").uncheck()
        page.get_by_label("And one that has not sent a frame yet").fill("barn")
        page.get_by_role("button", name="Add", exact=True).click()
        password = secret_of(page)
        row = page.locator('[data-user="nora"]')
        expect(row).to_contain_text("barn")
        login = {"name": "nora", "password": password}
        once = httpx.post(f"{secured.http}/v1/session", json=login, timeout=60)
        assert once.json()["type"] == "/problems/password-change-required"
        assert password not in page.content()

        row.get_by_role("button", name="Change").click()
        page.get_by_role("combobox", name="Role").select_option("admin")
        expect(page.get_by_label("And one that has not sent a frame yet")).to_be_hidden()
        page.get_by_role("button", name="Save").click()
        expect(row).to_contain_text("admin")
        row.get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(row).to_have_count(0)

        faults.expected_status = 409
        page.locator('[data-user="anna"]').get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.get_by_role("alert")).to_contain_text("An admin has to be left")
        page.get_by_role("button", name="Cancel").click()

        page.get_by_role("button", name="Keys and tokens").click()
        page.get_by_role("button", name="Issue a token").click()
        page.get_by_role("dialog").get_by_label("Camera").fill("barn")
        page.get_by_role("button", name="Issue", exact=True).click()
        token = secret_of(page)
        assert re.fullmatch(r"ssc_[0-9a-f]{8}_\S{43}", token)
        row = page.locator(f'[data-prefix="{token[:12]}"]')
        expect(row).to_contain_text("barn")
        row.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(row).to_have_count(0)
        assert violations(page) == []


def test_zones_are_drawn_by_mouse_touch_and_keys(page: Page, serving: Serving, faults: Faults) -> None:
    page.goto(f"{serving.http}/#/settings?tab=cameras&camera={CAMERA}")
    stage, corners = page.locator(".zone-stage"), page.locator(".zone-stage .corner")
    # The camera's picture lies under them.
    expect(stage.locator("canvas")).to_have_attribute("height", "272")
    page.get_by_role("button", name="Add a zone").click()
    expect(corners).to_have_count(4)
    drag(page, corners.nth(0), -0.1, -0.1)
    drag(page, page.locator(".zone-stage .edge").nth(1), 0.1, 0)
    expect(corners).to_have_count(5)
    corners.nth(4).evaluate(TOUCH, [-30, 20])
    corners.nth(1).focus()
    for key in ("ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator(".zone-editor [role=status]")).to_contain_text(
        "Corner 2 of zone 1, 71 % across, 30 %"
    )
    page.keyboard.press("Insert")
    expect(corners).to_have_count(6)
    page.keyboard.press("Delete")
    expect(corners).to_have_count(5)
    drag(page, stage.locator(".area"), 0.9, 0)  # no further than the edge

    page.locator(".zone-fields").get_by_label("Name").fill("kerb")
    page.keyboard.press("Tab")
    page.get_by_label("Labels that count").fill("person, bicycle")
    page.get_by_label("Dwell time").fill("5")
    page.get_by_role("checkbox", name="Alert").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("needs tracking")
    page.get_by_role("checkbox", name="Track").check()
    page.get_by_label("Minimum score, %").first.fill("35")
    page.get_by_role("spinbutton", name="Somebody has to look").fill("14")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. Workers follow")).to_be_visible()

    told = rules_of(serving)
    zone = told["rules"]["zones"]["kerb"]
    assert (told["source"], told["rules"]["track"]) == ("camera", True)
    assert (zone["labels"], zone["dwell_s"], zone["alert"]) == (["bicycle", "person"], 5, True)
    assert told["rules"]["retention"] == {"detection_s": None, "alert_s": 14 * 86400}
    polygon = np.array(zone["polygon"])
    assert polygon.shape == (5, 2)
    assert polygon.max(0)[0] == pytest.approx(1)
    assert polygon.min() >= 0
    assert polygon.max() <= 1

    # Somebody else was faster.
    address = f"{serving.http}/v1/cameras/{CAMERA}/rules"
    httpx.put(address, json={}, headers={"If-Match": "*"}, timeout=60).raise_for_status()
    page.get_by_label("Minimum score, %").first.fill("36")
    faults.expected_status = 412
    with page.expect_response("**/rules") as answer:
        page.get_by_role("button", name="Save").click()
    assert answer.value.status == 412
    page.get_by_role("button", name="Load what is there now").click()
    expect(page.get_by_text("No zones.")).to_be_visible()
    page.get_by_role("button", name="Follow all other cameras again").click()
    expect(page.get_by_text("This camera follows the rules of all other cameras")).to_be_visible()
    assert rules_of(serving)["source"] == "default"


def test_what_is_not_saved_does_not_go_without_a_question(page: Page, serving: Serving) -> None:
    asked: list[str] = []
    answers = [False, False, False, False, True]

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept() if answers[len(asked) - 1] else dialog.dismiss()

    page.goto(f"{serving.http}/#/settings?tab=cameras&camera={CAMERA}")
    page.on("dialog", answer)
    page.get_by_role("button", name="Add a zone").click()
    here, zones, status = page.url, page.locator(".zone-stage .area"), page.get_by_text("Not saved yet")
    expect(status).to_be_visible()
    page.get_by_role("link", name="Wall").click()
    expect(page).to_have_url(here)
    page.get_by_label("Rules of").select_option("All other cameras")
    expect(page.get_by_label("Rules of")).to_have_value(CAMERA)
    page.evaluate("history.back()")  # to the wall that the link led to
    expect(page).to_have_url(here)
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.reload())")
    expect(zones).to_have_count(1)
    expect(status).to_be_visible()
    page.get_by_role("link", name="Wall").click()
    expect(page.locator(f'.tile[data-camera="{CAMERA}"]')).to_be_visible()
    assert asked == [*["confirm"] * 3, "beforeunload", "confirm"]
    # Nothing is left to be asked about.
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_text("No zones.")).to_be_visible()
    page.get_by_role("link", name="Wall").click()
    expect(page.locator(f'.tile[data-camera="{CAMERA}"]')).to_be_visible()
    assert len(asked) == len(answers)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_fits_and_axe_finds_nothing(
    browser: Browser, serving: Serving, faults: Faults, scheme: str
) -> None:
    with opened(browser, faults, PHONE, color_scheme=scheme) as page:
        page.goto(f"{serving.http}/#/settings")
        expect(page.get_by_role("heading", name="Access control is off")).to_be_visible()
        page.get_by_role("button", name="Add a zone").click()
        expect(page.locator(".zone-stage .corner")).to_have_count(4)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_rules_of_a_file_are_shown_and_not_edited(
    browser: Browser, codec: Codec, clip: list[np.ndarray], faults: Faults, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("default: {zones: {drive: {polygon: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}}}")
    with (
        served(tmp_path, codec, clip[:1], None, "--rules", str(rules)) as serving,
        opened(browser, faults) as page,
    ):
        page.goto(f"{serving.http}/#/settings?tab=cameras")
        expect(page.get_by_text("those of the file that --rules names")).to_be_visible()
        expect(page.locator(".zone-stage .area")).to_have_count(1)
        expect(page.locator(".zone-stage .corner")).to_have_count(0)
        expect(page.get_by_label("Minimum score, %").first).to_be_disabled()
        expect(page.get_by_role("button", name="Save")).to_have_count(0)
