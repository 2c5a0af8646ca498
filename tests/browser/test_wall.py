"""The wall: every camera's latest machine view, live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from tests.browser.accessibility import violations
from tests.browser.conftest import PHONE, Faults, Serving, log_in, opened
from tests.chaos.proxy import Proxy

COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return seen.size;
}"""
"""How many colours a canvas has."""

BOX_EDGES = """async (canvas, result) => {
    const { colourOf, fit } = await import("./draw.js");
    const place = fit(canvas, result.width, result.height);
    const shown = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    shown.drawImage(canvas, 0, 0);
    return result.detections.map(({ label, box }) => {
        const wanted = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        wanted.fillStyle = colourOf(label);
        wanted.fillRect(0, 0, 1, 1);
        const colour = wanted.getImageData(0, 0, 1, 1).data;
        const x = Math.round(place.left + ((box.x_min + box.x_max) / 2) * place.scale);
        const y = Math.round(place.top + box.y_max * place.scale);
        const near = shown.getImageData(x, y - 2, 1, 5).data;
        for (let i = 0; i < near.length; i += 4) if (near[i] === colour[0] && near[i + 1] === colour[1]) return true;
        return false;
    });
}"""
"""For each detection, whether the lower edge of its box has its colour."""


def test_a_tile_shows_the_newest_frame_with_the_boxes_of_that_frame(unopened: Page, serving: Serving) -> None:
    page = unopened
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(serving.http)
    shown = page.locator('.tile[data-camera="street"]')
    expect(shown.locator(".latest")).to_have_attribute("data-frame", serving.frames[-1])
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert shown.locator("canvas").evaluate(COLOURS) > 100
    result = page.request.get(f"{serving.http}/v1/cameras/street/frames/{serving.frames[-1]}").json()[
        "result"
    ]
    if not result["detections"]:
        pytest.skip("the detector sees nothing in the machine view that these weights give")
    assert all(shown.locator("canvas").evaluate(BOX_EDGES, result))
    expect(shown.locator(".chips")).to_contain_text(result["detections"][0]["label"])
    pictures = [address for address in asked if "/image?" in address and "/street/" in address]
    assert pictures and all("width=" in address and "view=machine" in address for address in pictures)


def test_what_is_pushed_appears_by_itself(page: Page, serving: Serving, clip: list[np.ndarray]) -> None:
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    for picture in clip[:2]:
        (name,) = serving.push("yard", [picture])
        expect(page.locator('.tile[data-camera="yard"] .latest')).to_have_attribute("data-frame", name)


def test_a_camera_that_left_is_offline_and_says_since_when(
    page: Page, serving: Serving, clip: list[np.ndarray]
) -> None:
    (name,) = serving.push("parked", clip[:1])
    parked = page.locator('.tile[data-camera="parked"]')
    expect(parked).to_have_attribute("data-state", "offline")
    expect(parked.locator(".state")).to_contain_text("Offline since")
    expect(parked.locator(".trouble")).to_contain_text("No uplink is open")
    expect(parked.locator(".latest")).to_have_attribute("data-frame", name)


def test_what_an_edge_says_is_wrong_stands_at_its_camera(page: Page, serving: Serving) -> None:
    told = page.locator('.tile[data-camera="street"] .trouble')
    expect(page.locator('.tile[data-camera="street"] .latest')).to_have_attribute(
        "data-frame", serving.frames[-1]
    )
    spool = frame_pb2.SpoolState(frames=12, bytes=9000, limit_bytes=9000, full=True)
    spool.oldest.FromSeconds(600)
    report = frame_pb2.EdgeReport(source="frozen", spool=spool)
    serving.store.set(store_keys.edge("street"), report.SerializeToString(), ex=600)
    try:
        expect(told).to_contain_text("The camera gives no frames.")
        expect(told).to_contain_text("frames are lost until the uplink has room again")
        expect(told).to_contain_text("12 frames wait at the site.")
        page.get_by_label("Order").select_option("state")
        expect(page.locator(".tile").first).to_have_attribute("data-state", "offline")
    finally:
        serving.store.delete(store_keys.edge("street"))
    expect(told).not_to_contain_text("The camera gives no frames.")


def test_cameras_are_found_by_name_and_state_and_the_address_remembers(page: Page, serving: Serving) -> None:
    expect(page.locator('.tile[data-camera="street"]')).to_be_visible()
    name = page.get_by_label("Cameras whose name contains")
    name.fill("no such camera")
    expect(page.locator(".tile:visible")).to_have_count(0)
    expect(page.locator(".notice")).to_contain_text("No camera matches")
    page.get_by_role("button", name="Show all cameras").click()
    expect(page.locator('.tile[data-camera="street"]')).to_be_visible()
    name.fill("stre")
    page.get_by_label("Size").select_option("large")
    expect(page.locator(".tile:visible")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Cameras whose name contains")).to_have_value("stre")
    expect(page.locator(".tiles")).to_have_attribute("data-size", "large")
    expect(page.locator(".tile:visible")).to_have_count(1)


@contextmanager
def link(http: str) -> Iterator[tuple[Proxy, asyncio.AbstractEventLoop, str]]:
    """A link to a server that can be cut, its loop and the address at this end."""
    proxy, loop = Proxy(urlsplit(http).port or 80), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result()
        yield proxy, loop, f"http://127.0.0.1:{proxy.port}"
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_broken_stream_of_events_is_told_and_goes_on_where_it_was(
    browser: Browser, serving: Serving, clip: list[np.ndarray], faults: Faults
) -> None:
    with link(serving.http) as (proxy, loop, http), opened(browser, faults) as page:
        streams: list[Request] = []
        page.on("request", lambda request: streams.append(request) if "/v1/events" in request.url else None)
        page.goto(http)
        (first,) = serving.push("bridge", clip[:1])
        latest = page.locator('.tile[data-camera="bridge"] .latest')
        expect(latest).to_have_attribute("data-frame", first)

        async def cut() -> None:
            proxy.down = True
            proxy.reset()

        asyncio.run_coroutine_threadsafe(cut(), loop).result()
        connection = page.locator("#connection")
        expect(connection).to_have_attribute("data-state", "away")
        expect(connection).to_contain_text("cannot be reached")
        (missed,) = serving.push("bridge", clip[1:2])
        proxy.down = False
        expect(connection).to_have_attribute("data-state", "live")
        expect(latest).to_have_attribute("data-frame", missed)
        assert "last-event-id" not in streams[0].all_headers()
        assert streams[-1].all_headers()["last-event-id"]
    assert all("ERR_" in fault for fault in faults.found), faults.found
    faults.found.clear()


def test_an_erased_camera_leaves_walls_that_are_open(
    browser: Browser, serving: Serving, clip: list[np.ndarray], faults: Faults
) -> None:
    with link(serving.http) as (proxy, loop, http), opened(browser, faults) as page:
        for camera in ("sold", "stolen"):
            serving.push(camera, clip[:1])
        page.goto(http)
        connection = page.locator("#connection")
        for camera in ("sold", "stolen"):
            expect(page.locator(f'.tile[data-camera="{camera}"] .latest[data-frame]')).to_have_count(1)
        there = page.locator(".tile").count()
        expect(connection).to_have_text(f"{there} cameras")

        erase(page, serving, "sold")
        expect(page.locator(".tile")).to_have_count(there - 1)
        expect(page.locator('.tile[data-camera="sold"]')).to_have_count(0)
        expect(connection).to_have_text(f"{there - 1} cameras")
        expect(page.locator(".bar [role=status]")).to_have_text(f"{there - 1} cameras")

        async def cut() -> None:
            proxy.down = True
            proxy.reset()

        asyncio.run_coroutine_threadsafe(cut(), loop).result()
        expect(connection).to_have_attribute("data-state", "away")
        erase(page, serving, "stolen")
        proxy.down = False
        expect(page.locator('.tile[data-camera="stolen"]')).to_have_count(0)
        expect(connection).to_have_text(f"{there - 2} cameras")

        (name,) = serving.push("sold", clip[1:2])
        expect(page.locator('.tile[data-camera="sold"] .latest')).to_have_attribute("data-frame", name)
        expect(connection).to_have_text(f"{there - 1} cameras")
    assert all("ERR_" in fault for fault in faults.found), faults.found
    faults.found.clear()


def erase(page: Page, serving: Serving, camera: str) -> None:
    """Once the server no longer takes it for one that is connected."""
    while (answer := page.request.delete(f"{serving.http}/v1/cameras/{camera}")).status == 409:
        page.wait_for_timeout(200)
    assert answer.status == 204, answer.text()


def test_the_wall_fits_a_phone(phone: Page, serving: Serving) -> None:
    street = phone.locator('.tile[data-camera="street"]')
    cameras = phone.request.get(f"{serving.http}/v1/cameras").json()["cameras"]
    # One that came later would push it out of sight again.
    expect(phone.locator(".tile")).to_have_count(len(cameras))
    street.scroll_into_view_if_needed()
    expect(street.locator(".latest")).to_have_attribute("data-frame", serving.frames[-1])
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert street.bounding_box()["width"] <= PHONE["width"]  # type: ignore[index]


def test_a_wall_screen_has_no_chrome(page: Page, serving: Serving) -> None:
    page.goto(f"{serving.http}/#/?wall")
    expect(page.locator('.tile[data-camera="street"] .latest')).to_have_attribute(
        "data-frame", serving.frames[-1]
    )
    expect(page.locator("header.top")).to_be_hidden()
    expect(page.locator(".bar")).to_be_hidden()


def test_who_sees_no_camera_is_told_what_to_do(browser: Browser, secured: Serving, faults: Faults) -> None:
    with opened(browser, faults) as page:
        log_in(page, secured, "yuri")
        expect(page.locator(".notice")).to_contain_text("No camera has sent a frame yet")
        assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, serving: Serving, faults: Faults, scheme: str) -> None:
    with opened(browser, faults, color_scheme=scheme) as page:
        page.goto(serving.http)
        expect(page.locator('.tile[data-camera="street"] .latest')).to_have_attribute(
            "data-frame", serving.frames[-1]
        )
        assert violations(page) == []


def test_a_keyboard_reaches_a_frame(page: Page, serving: Serving) -> None:
    latest = page.locator('.tile[data-camera="street"] .latest')
    expect(latest).to_have_attribute("data-frame", serving.frames[-1])
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    latest.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_have_attribute("data-machine", serving.frames[-1])
    page.go_back()
    expect(latest).to_be_visible()
