"""The wall: every camera's latest machine view, live."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Serving


def test_a_tile_shows_the_latest_frame(page: Page, serving: Serving) -> None:
    tile = page.locator('.tile[data-camera="street"]')
    expect(tile.locator(".latest")).to_have_attribute("data-frame", serving.frames[-1])
    page.screenshot(path="/tmp/wall.png")
    tile.locator(".latest").click()
    expect(page.locator(".stage")).to_have_attribute("data-machine", serving.frames[-1])
    page.wait_for_timeout(300)
    page.screenshot(path="/tmp/frame.png")
    page.keyboard.press("h")
    expect(page.locator("#human-told")).to_contain_text("sharp after")
    page.locator("#split").fill("40")
    page.wait_for_timeout(300)
    page.screenshot(path="/tmp/human.png")
