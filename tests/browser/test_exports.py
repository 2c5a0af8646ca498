"""The page of clips and exports, in a real browser against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import av
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import PHONE, Faults, Serving, log_in, opened, wait_until


def made(page: Page) -> Locator:
    """Have what the form says made; gives the job once it has been."""
    with page.expect_response(lambda response: response.request.method == "POST") as coming:
        page.get_by_role("button", name="Make").click()
    job = page.locator(f'.job[data-id="{coming.value.json()["id"]}"]')
    expect(job).to_have_attribute("data-state", "done")
    return job


def downloaded(page: Page, job: Locator, folder: Path) -> Path:
    with page.expect_download() as coming:
        job.get_by_role("link", name="Download").click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def test_a_clip_is_made_played_downloaded_and_deleted(page: Page, serving: Serving, tmp_path: Path) -> None:
    page.goto(f"{serving.http}/#/exports?camera=street")
    page.get_by_role("button", name="1 h").click()
    page.get_by_label("Size").select_option("426")
    job = made(page)
    expect(job).to_contain_text("Clip of street")
    path = downloaded(page, job, tmp_path)
    with av.open(str(path)) as film:
        assert film.streams.video[0].width == 426
        assert len(list(film.decode(video=0))) == len(serving.frames)
    job.get_by_role("button", name="Play").click()
    expect(job.locator("video")).to_be_visible()
    wait_until(page, "document.querySelector('.job video').currentTime > 0")
    assert violations(page) == []
    job.get_by_role("button", name="Delete").click()
    expect(job).to_have_count(0)


def test_results_are_exported(page: Page, serving: Serving, tmp_path: Path) -> None:
    page.goto(f"{serving.http}/#/exports")
    page.get_by_role("combobox", name="What", exact=True).select_option("results")
    page.get_by_role("button", name="1 h").click()
    page.get_by_role("checkbox", name="street").check()
    job = made(page)
    images = json.loads(downloaded(page, job, tmp_path).read_text())["images"]
    assert {image["frame"] for image in images if image["camera"] == "street"} >= set(serving.frames)


def test_what_cannot_be_made_is_said(page: Page, serving: Serving, faults: Faults) -> None:
    faults.expected_status = 422
    page.goto(f"{serving.http}/#/exports?camera=street&from=2020-01-01T00:00:00Z&to=2020-01-01T00:01:00Z")
    page.get_by_role("button", name="Make").click()
    expect(page.get_by_role("alert")).to_contain_text("no frames are stored of street")


def test_human_views_take_an_operator_and_a_reason(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    with opened(browser, faults) as page:
        log_in(page, secured, "vera", "#/exports")
        human = page.get_by_role("combobox", name="View", exact=True).locator("option").last
        expect(human).to_be_disabled()
        expect(
            page.get_by_role("combobox", name="What", exact=True).locator("option[value=marks]")
        ).to_have_count(0)
    with opened(browser, faults) as page:
        log_in(page, secured, "otto", "#/exports")
        page.get_by_role("button", name="1 h").click()
        page.get_by_role("combobox", name="View", exact=True).select_option("human")
        page.get_by_role("button", name="Make").click()
        expect(page.locator(".job")).to_have_count(0)  # the reason is missing
        page.get_by_label("What it is for").fill("a parcel is missing")
        expect(made(page)).to_contain_text("For: a parcel is missing")


def test_on_a_phone(browser: Browser, serving: Serving, faults: Faults) -> None:
    with opened(browser, faults, PHONE) as page:
        page.goto(f"{serving.http}/#/exports")
        expect(page.get_by_role("button", name="Make")).to_be_visible()
        for kind in ("clip", "results", "views", "layers", "marks"):
            page.get_by_role("combobox", name="What", exact=True).select_option(kind)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


def test_a_timeline_leads_to_an_export_of_what_it_shows(page: Page, serving: Serving) -> None:
    page.goto(f"{serving.http}/#/cameras/street")
    page.get_by_role("button", name="Make a clip or an export").click()
    expect(page.get_by_role("combobox", name="Camera", exact=True)).to_have_value("street")
    expect(made(page)).to_contain_text(f"{len(serving.frames)} frames")
