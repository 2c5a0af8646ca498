"""The timeline: any moment within two clicks, by pointer, finger and keys; gaps and what can still be looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from secondsight import store_keys
from tests.browser.accessibility import violations
from tests.browser.conftest import DESKTOP, PHONE, Faults, Serving, opened

YARD: Final = "orchard"
HOUR: Final = 3600.0


@pytest.fixture(scope="module")
def yard(serving: Serving, clip: list[np.ndarray]) -> list[str]:
    """Frames of three hours ago, one of an hour ago that came late, and one of now; the oldest first."""
    # The first three within one minute: a stretch of a day is told by its minutes, and so is what a gap is.
    first = 3 * HOUR + time.time() % 60
    ages = [first, first - 1, first - 2, HOUR, 2.0]
    return serving.push(YARD, [clip[number % len(clip)] for number in range(5)], ages=ages)


def at_camera(page: Page, serving: Serving, address: str = YARD) -> None:
    page.goto(f"{serving.http}/#/cameras/{address}")
    expect(page.locator(".timescale")).to_have_attribute("aria-valuetext", re.compile("."))


def shown_frame(page: Page, name: str) -> None:
    expect(page.locator(".picture canvas")).to_have_attribute("data-frame", name)


def captured_at(page: Page, serving: Serving, camera: str, frame: str) -> float:
    """Seconds since the epoch."""
    told = page.request.get(f"{serving.http}/v1/cameras/{camera}/frames/{frame}").json()
    return datetime.fromisoformat(told["captured_at"]).timestamp()


def slider(page: Page) -> Any:
    return page.locator(".timescale")


@pytest.fixture
def desk(browser: Browser, serving: Serving, yard: list[str], faults: Faults) -> Iterator[Page]:
    """The timeline of the yard on a desktop's screen."""
    with opened(browser, faults, permissions=["clipboard-read", "clipboard-write"]) as page:
        at_camera(page, serving)
        yield page


def test_it_follows_the_camera_and_shows_what_comes(
    desk: Page, serving: Serving, clip: list[np.ndarray], yard: list[str]
) -> None:
    expect(desk.get_by_role("button", name="Follow the camera live")).to_have_attribute(
        "aria-pressed", "true"
    )
    shown_frame(desk, yard[-1])
    (later,) = serving.push(YARD, clip[:1])
    shown_frame(desk, later)
    expect(slider(desk)).to_have_attribute("aria-valuetext", re.compile("^Live, "))


def test_any_moment_is_two_clicks_away_and_its_frame_one_more(
    desk: Page, serving: Serving, yard: list[str]
) -> None:
    local = desk.evaluate(
        "ms => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19)",
        1000 * captured_at(desk, serving, YARD, yard[0]),
    )
    desk.get_by_label("Jump to").fill(local)
    desk.get_by_role("button", name="Go", exact=True).click()
    shown_frame(desk, yard[0])
    expect(desk).to_have_url(re.compile(rf"#/cameras/{YARD}/at/\d{{4}}-"))
    expect(desk.get_by_role("button", name="Follow the camera live")).to_have_attribute(
        "aria-pressed", "false"
    )

    desk.get_by_role("button", name="Copy a link").click()
    expect(desk.locator(".note")).to_contain_text("copied")
    link = desk.evaluate("navigator.clipboard.readText()")
    desk.get_by_role("link", name="Open frame").click()
    expect(desk.locator("#frame-name")).to_contain_text(yard[0])
    # Whoever is sent the link sees the same moment.
    desk.goto(link)
    desk.reload()
    shown_frame(desk, yard[0])
    # A preset shows more around that moment, and Live goes back to now.
    day = desk.get_by_role("button", name="24 h")
    day.click()
    expect(day).to_have_attribute("aria-pressed", "true")
    live = desk.get_by_role("button", name="Follow the camera live")
    expect(live).to_have_attribute("aria-pressed", "false")
    expect(desk).to_have_url(re.compile(rf"#/cameras/{YARD}/at/\d{{4}}-.*\?span=86400$"))
    shown_frame(desk, yard[0])
    live.click()
    expect(live).to_have_attribute("aria-pressed", "true")
    expect(day).to_have_attribute("aria-pressed", "true")
    expect(desk).to_have_url(re.compile(rf"#/cameras/{YARD}\?span=86400$"))


def test_gaps_are_gaps_in_the_table_and_to_those_who_listen(desk: Page, serving: Serving) -> None:
    desk.get_by_role("button", name="24 h").click()
    desk.get_by_text("As a table").click()
    rows = desk.locator("details tbody tr")
    # Beside those two, one grows since the last frame came.
    expect(rows.filter(has_text=re.compile("no frames for (59 min|[12] h)"))).to_have_count(2)
    expect(rows.filter(has_text="machine and human view").first).to_be_visible()
    desk.goto(f"{serving.http}/#/cameras/{YARD}/at/{address_of(time.time() - 2 * HOUR)}?span=43200")
    expect(slider(desk)).to_have_attribute("aria-valuetext", re.compile("no frames"))
    expect(desk.locator(".preview")).to_contain_text("No frames came in this time")
    expect(desk.locator(".facts")).to_contain_text("no frames for")


def address_of(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone().isoformat()}".replace("+", "%2B")


def test_wheel_drag_and_hover(desk: Page, serving: Serving, yard: list[str]) -> None:
    expect(desk.locator(".picture canvas")).to_have_attribute("data-frame", re.compile("."))
    box = slider(desk).bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] * 0.5, box["y"] + 60)
    desk.get_by_role("button", name="24 h").click()
    expect(desk).to_have_url(re.compile(r"span=86400$"))
    desk.mouse.move(*middle)
    for _ in range(4):
        before = desk.url
        desk.mouse.wheel(0, -200)
        expect(desk).not_to_have_url(before)
    zoomed = span_of(desk)
    assert zoomed < 86400 / 2
    desk.get_by_role("button", name="Zoom out").click()
    expect(desk).to_have_url(re.compile(rf"span={2 * zoomed}|span={2 * zoomed + 1}|span={2 * zoomed - 1}"))
    before = desk.url
    desk.mouse.move(*middle)
    desk.mouse.down()
    desk.mouse.move(middle[0] + 200, middle[1], steps=4)
    desk.mouse.up()
    expect(desk).not_to_have_url(before)
    assert span_of(desk) == int(re.findall(r"span=(\d+)", before)[0])

    # What is pointed at is shown, without a click; a click opens it.
    desk.goto(f"{serving.http}/#/cameras/{YARD}?span=14400")
    expect(desk.locator(".picture canvas")).to_have_attribute("data-frame", re.compile("."))
    ahead = 0.04 * 14400
    age = time.time() - captured_at(desk, serving, YARD, yard[0])
    x = box["x"] + 96 + (box["width"] - 96) * (1 - (age + ahead) / 14400)
    desk.mouse.move(x + 1, middle[1])
    expect(desk.locator(".picture canvas")).to_have_attribute("data-frame", re.compile("|".join(yard[:3])))
    desk.mouse.click(x + 1, middle[1])
    expect(desk.locator("#frame-name")).to_contain_text(re.compile("|".join(yard[:3])))


def span_of(page: Page) -> int:
    found = re.findall(r"span=(\d+)", page.url)
    return int(found[0]) if found else 3600


def test_keys_reach_every_moment_and_every_event(desk: Page, serving: Serving, yard: list[str]) -> None:
    things = desk.request.get(f"{serving.http}/v1/cameras/{YARD}/things?order=oldest").json()["things"]
    slider(desk).focus()
    desk.keyboard.press("Home")
    shown_frame(desk, yard[0])
    now = int(slider(desk).get_attribute("aria-valuenow") or 0)
    desk.keyboard.press("PageUp")
    expect(slider(desk)).to_have_attribute("aria-valuenow", str(now + 3600))
    desk.keyboard.press("PageDown")
    desk.keyboard.press("Shift+ArrowRight")
    expect(slider(desk)).to_have_attribute("aria-valuenow", str(now + 180))
    desk.keyboard.press("-")
    expect(desk).to_have_url(re.compile("span=7200"))
    desk.keyboard.press("+")
    desk.keyboard.press("End")
    expect(desk.get_by_role("button", name="Follow the camera live")).to_have_attribute(
        "aria-pressed", "true"
    )
    if not things:
        pytest.skip("the detector sees nothing in the machine views that these weights give")
    last = things[-1]
    desk.keyboard.press("p")
    expect(desk.locator(".note")).to_contain_text(last["label"])
    at = datetime.fromisoformat(last["first_seen_at"]).timestamp()
    expect(slider(desk)).to_have_attribute("aria-valuenow", re.compile(f"{int(at)}|{int(at) + 1}"))
    desk.keyboard.press("n")
    expect(desk.locator(".note")).to_have_text("No later event.")
    desk.keyboard.press("Enter")
    expect(desk.locator("#frame-name")).to_be_visible()


def test_what_was_seen_leads_to_its_frame_and_can_be_narrowed_down(
    desk: Page, serving: Serving, yard: list[str]
) -> None:
    things = desk.request.get(f"{serving.http}/v1/cameras/{YARD}/things").json()["things"]
    if not things:
        pytest.skip("the detector sees nothing in the machine views that these weights give")
    desk.get_by_role("button", name="24 h").click()
    cards = desk.locator(".film li")
    expect(cards).to_have_count(len(things))
    expect(cards.first).to_contain_text(things[0]["label"])
    assert cards.first.locator("canvas").evaluate(
        "canvas => new Promise(done => { const look = () => canvas.width > 16 ? done(true)"
        " : setTimeout(look, 50); look(); })"
    )
    label = things[0]["label"]
    desk.get_by_label("Label").select_option(label)
    expect(cards).to_have_count(sum(thing["label"] == label for thing in things))
    desk.get_by_label("Alerts only").check()
    expect(desk.locator(".filmstrip")).to_contain_text("Nothing was seen in this time")
    desk.get_by_label("Alerts only").uncheck()
    cards.first.get_by_role("link").click()
    expect(desk.locator("#frame-name")).to_contain_text(things[0]["best_frame"])


def test_history_without_pictures_says_so(desk: Page, serving: Serving, clip: list[np.ndarray]) -> None:
    camera = "shed"
    frames = serving.push(camera, clip, ages=[1803.0, 1801.5, 1800.0])
    moment = captured_at(desk, serving, camera, frames[0])
    serving.store.delete(store_keys.frames(camera), store_keys.results(camera))
    at_camera(desk, serving, f"{camera}/at/{address_of(moment)}")
    expect(desk.locator(".preview")).to_contain_text("No picture is kept of this time")
    expect(desk.locator(".facts")).to_contain_text("history alone")


def test_a_camera_that_nobody_knows(desk: Page, serving: Serving, faults: Faults) -> None:
    faults.expected_status = 404
    desk.goto(f"{serving.http}/#/cameras/nowhere")
    expect(desk.get_by_role("alert")).to_contain_text("Unknown camera")
    expect(desk.get_by_role("alert")).to_contain_text("The wall shows the cameras that there are.")
    expect(desk.get_by_role("link", name="Go to the wall")).to_be_visible()


def test_of_the_future_nothing_is_asked(desk: Page, serving: Serving) -> None:
    at_camera(desk, serving, f"{YARD}/at/{address_of(time.time() + 3000 * 24 * HOUR)}")
    expect(desk.locator(".filmstrip")).to_contain_text("This time is yet to come.")
    expect(desk.locator(".facts")).to_contain_text("this time is yet to come")


def test_a_long_note_of_the_timeline_fits_a_phone(
    browser: Browser, serving: Serving, yard: list[str], faults: Faults
) -> None:
    with opened(browser, faults, PHONE) as page:
        page.goto(f"{serving.http}/#/cameras/{YARD}/at/foo")
        expect(page.locator(".note")).to_contain_text("foo is no time")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop-light", "phone-dark"]
)
def test_it_fits_and_axe_finds_nothing(
    browser: Browser, serving: Serving, yard: list[str], faults: Faults, size: Any, scheme: str
) -> None:
    with opened(browser, faults, size, color_scheme=scheme, has_touch=size is PHONE) as page:
        at_camera(page, serving, f"{YARD}?span=86400")
        expect(page.locator(".picture canvas")).to_have_attribute("data-frame", re.compile("."))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_text("As a table").click()
        expect(page.locator("details tbody tr").first).to_be_visible()
        assert violations(page) == []
        if size is PHONE:
            # A tap chooses a moment and does not leave the page.
            box = slider(page).bounding_box()
            assert box is not None
            page.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + 60)
            expect(page).to_have_url(re.compile("/at/"))
