"""The audit page: who saw whom, found, verified and downloaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import CAMERA, DESKTOP, PHONE, Faults, Serving, log_in, opened

REASON = "a parcel «is» <b>missing</b>"


@pytest.fixture(scope="module")
def looked(secured: Serving) -> Serving:
    """`secured`, once an operator has had a human view and a viewer was refused one."""
    assert secured.people is not None
    address = f"{secured.http}/v1/cameras/{CAMERA}/frames/{secured.frames[0]}/image"
    for name, status in (("otto", 200), ("vera", 403)):
        answer = httpx.get(
            address,
            params={"view": "human", "reason": REASON},
            headers=secured.people.header(name),
            timeout=60,
        )
        assert answer.status_code == status, answer.text
    return secured


def rows(page: Page) -> list[tuple[str | None, str | None]]:
    return [
        (row.get_attribute("data-subject"), row.get_attribute("data-outcome"))
        for row in page.locator(".records tbody tr").all()
    ]


def test_an_admin_finds_verifies_and_downloads(browser: Browser, looked: Serving, faults: Faults) -> None:
    with opened(browser, faults, accept_downloads=True) as page:
        log_in(page, looked, "anna", "#/audit?principal=otto")
        expect(page.locator(".verification [role=status]")).to_contain_text("Intact since")
        shown = page.locator(".records tbody tr", has_text="delivered").first
        expect(shown).to_contain_text(REASON)
        assert ("human_view", "asked") in rows(page)
        expect(shown.get_by_role("link")).to_have_attribute(
            "href", f"#/cameras/{CAMERA}/frames/{looked.frames[0]}"
        )

        page.get_by_role("button", name="Clear").click()
        page.get_by_label("Outcome").select_option("refused")
        page.get_by_label("What").select_option("human_view")
        expect(page).to_have_url(re.compile(r"#/audit\?subject=human_view&outcome=refused$"))
        expect(page.locator(".records tbody tr:not([data-subject=human_view])")).to_have_count(0)
        expect(page.locator(".records tbody tr", has_text="vera").first).to_contain_text(
            "the role viewer may not"
        )
        assert set(rows(page)) == {("human_view", "refused")}

        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "audit.ndjson"
        lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        assert "vera" in {line["principal"] for line in lines}
        assert {(line["subject"], line["outcome"]) for line in lines} == {("human_view", "refused")}

        page.get_by_label("Who").fill("nobody")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Nothing is on record like this")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        # That somebody looked is itself there.
        expect(page.locator('[data-subject="audit"]').first).to_contain_text("anna")


def test_whoever_is_no_admin_gets_a_clear_page(browser: Browser, secured: Serving, faults: Faults) -> None:
    with opened(browser, faults) as page:
        log_in(page, secured, "otto", "#/audit")
        expect(page.get_by_role("heading", name="The audit is for admins")).to_be_visible()
        expect(page.get_by_role("link", name="Audit")).to_be_hidden()
        page.goto(f"{secured.http}/#/settings")
        expect(page.get_by_role("heading", name="is for admins")).to_be_visible()


def test_a_changed_record_is_told(browser: Browser, looked: Serving, faults: Faults) -> None:
    with opened(browser, faults, PHONE, color_scheme="dark") as page:
        log_in(page, looked, "anna", "#/audit")
        expect(page.locator(".records tbody tr").first).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        segment = min((looked.data / "audit").glob("*.jsonl"))
        sound = segment.read_bytes()
        segment.write_bytes(sound.replace(b'"otto"', b'"vera"', 1))
        try:
            while True:
                page.get_by_role("button", name="Check again").click()
                told = page.locator(".verification .dot[data-state]")
                expect(told).to_be_visible()
                if told.get_attribute("data-state") == "failed":
                    break
                page.wait_for_timeout(1000)  # what was found holds for some seconds
            expect(page.locator(".faults")).to_contain_text("hash")
        finally:
            written = segment.read_bytes()
            segment.write_bytes(sound + written[len(sound) :])


def test_where_nobody_is_asked_it_says_so(browser: Browser, serving: Serving, faults: Faults) -> None:
    with opened(browser, faults, DESKTOP) as page:
        page.goto(f"{serving.http}/#/audit")
        expect(page.get_by_role("heading", name="Access control is off")).to_be_visible()
        expect(page.locator('[data-subject="audit"]').first).to_contain_text("loopback")
        assert violations(page) == []
