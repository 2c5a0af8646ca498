"""What holds for every page of the console: it is loaded in time, and no address breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CAMERA, DESKTOP, Serving, wait_until

LOADED = """names => names.every((name) =>
    performance.getEntriesByType("resource").some((entry) => entry.name.endsWith(name) && entry.responseEnd > 0))"""


def test_a_page_that_is_opened_while_the_server_is_away_comes_back(
    browser: Browser, serving: Serving
) -> None:
    context = browser.new_context(viewport=DESKTOP)  # unwatched: its requests are to fail
    try:
        page = context.new_page()
        page.goto(serving.http)
        expect(page.locator(f'.tile[data-camera="{CAMERA}"]')).to_be_visible()
        wait_until(page, LOADED, ["/overview.js", "/uplot.js", "/settings.js", "/zones.js"])
        context.set_offline(True)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
        context.set_offline(False)
        expect(page.locator(f'tr[data-camera="{CAMERA}"]')).to_be_visible()
    finally:
        context.close()


def test_a_page_that_could_not_be_loaded_can_be_tried_again(browser: Browser, serving: Serving) -> None:
    context = browser.new_context(viewport=DESKTOP)
    try:
        page = context.new_page()
        page.route("**/overview.js", lambda route: route.abort(), times=1)
        page.goto(f"{serving.http}/#/overview")
        expect(page.get_by_role("alert")).to_contain_text("This page cannot be shown")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(f'tr[data-camera="{CAMERA}"]')).to_be_visible()
    finally:
        context.close()


def test_an_address_that_encodes_nothing_is_told(page: Page, serving: Serving) -> None:
    page.goto(f"{serving.http}/#/cameras/%E0%A4%A")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to the wall").click()
    expect(page.locator(f'.tile[data-camera="{CAMERA}"]')).to_be_visible()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("audit?from=foo&to=%2B275760-09-13", ".verification [role=status]"),
        (f"cameras/{CAMERA}?span=1e20", ".timescale"),
        (f"cameras/{CAMERA}?span=-5", ".timescale"),
        (f"cameras/{CAMERA}/at/%2B275760-09-13T00:00:00Z", ".timescale"),
        ("exports?kind=foo&from=foo&to=1e20", "form"),
    ],
)
def test_what_cannot_be_in_an_address_is_passed_over(
    page: Page, serving: Serving, address: str, shown: str
) -> None:
    page.goto(f"{serving.http}/#/{address}")
    expect(page.locator(f"main {shown}").first).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="cannot be shown")).to_have_count(0)


def test_the_longest_name_of_a_camera_fits_a_phone(
    phone: Page, serving: Serving, clip: list[np.ndarray]
) -> None:
    camera = "w" * 64
    (frame,) = serving.push(camera, clip[:1])
    shown = {
        "": f'.tile[data-camera="{camera}"]',
        f"cameras/{camera}": ".timescale",
        f"cameras/{camera}/frames/{frame}": ".stage[data-machine]",
        "overview": f'tr[data-camera="{camera}"]',
        f"exports?camera={camera}": "form",
        f"settings?tab=cameras&camera={camera}": ".rules-form",
    }
    for address, part in shown.items():
        phone.goto(f"{serving.http}/#/{address}")
        expect(phone.locator(f"main {part}").first).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
