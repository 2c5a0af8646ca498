"""The overview: what uplinks carry and what is saved, in numbers, charts and a table of the same values."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import DESKTOP, PHONE, Faults, Serving, log_in, opened

INK = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 255) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    }
    return seen.size;
}"""
"""How many opaque colours a canvas has."""


def test_it_tells_every_camera_and_the_sum_in_measured_numbers(page: Page, serving: Serving) -> None:
    page.goto(f"{serving.http}/#/overview")
    row = page.locator('tr[data-camera="street"]')
    expect(row).to_contain_text("street")
    told = page.request.get(f"{serving.http}/v1/overview").json()
    saved = page.locator(".numbers .card", has_text="Saved")
    expect(saved).to_contain_text(f"{round(told['total']['saved']['share'] * 100)} %")
    expect(page.locator(".card", has_text="Audit")).to_contain_text("365 days")
    row.get_by_role("link", name="street").click()
    expect(page).to_have_url(f"{serving.http}/#/cameras/street")


def test_charts_are_drawn_and_their_values_are_a_table_too(
    page: Page, serving: Serving, clip: list[np.ndarray]
) -> None:
    page.goto(f"{serving.http}/#/overview")
    figure = page.locator("figure", has_text="Uplink by layer")
    serving.push("yard", clip[:1])
    figure.get_by_text("The same as a table").click()

    cells = figure.locator("tbody tr > td:nth-of-type(1)")
    # After the next look at the uplinks.
    expect(cells.filter(has_text=re.compile("[1-9]")).first).to_be_visible()
    assert figure.locator("canvas").evaluate(INK) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_axe_finds_nothing(
    browser: Browser, serving: Serving, faults: Faults, scheme: str, viewport: dict[str, int]
) -> None:
    with opened(browser, faults, viewport, color_scheme=scheme) as page:  # type: ignore[arg-type]
        page.goto(f"{serving.http}/#/overview")
        expect(page.locator("figure canvas")).to_have_count(2)
        page.locator("summary").first.click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_whoever_may_see_no_camera_here_is_told_what_to_do(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    with opened(browser, faults) as page:
        faults.expected_status = 401
        log_in(page, secured, "yuri", "#/overview")
        expect(page.get_by_text("No camera has sent a frame yet")).to_be_visible()
        expect(page.locator("figure")).to_have_count(0)


def test_a_server_that_went_away_is_told_and_the_numbers_stay(
    page: Page, serving: Serving, faults: Faults
) -> None:
    page.goto(f"{serving.http}/#/overview")
    expect(page.locator(".numbers")).to_be_visible()
    faults.expected_status = 503
    page.route(
        "**/v1/overview",
        lambda route: route.fulfill(
            status=503, json={"title": "The store does not answer", "detail": "it is away"}
        ),
    )
    expect(page.get_by_role("alert")).to_contain_text("The store does not answer")
    expect(page.locator(".numbers")).to_be_visible()
    # While it is away: once it is back, the page may find that out by itself before the button is hit.
    page.get_by_role("button", name="Try again").click()
    page.unroute("**/v1/overview")
    expect(page.get_by_role("alert")).to_have_count(0)
