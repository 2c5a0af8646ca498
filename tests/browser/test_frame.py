"""A frame: machine view, human view slice by slice, and what is known of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from secondsight import store_keys
from secondsight.demo.clip import default_clip
from tests.browser.accessibility import violations
from tests.browser.conftest import PHONE, Faults, Serving, opened, wait_until

PIXELS = "canvas => canvas.toDataURL()"


def open_frame(page: Page, serving: Serving, frame: str, camera: str = "street") -> None:
    page.goto(f"{serving.http}/#/cameras/{camera}/frames/{frame}")
    expect(page.locator(".stage")).to_have_attribute("data-machine", frame)


def ask(page: Page) -> None:
    page.get_by_role("button", name="Ask for human view").click()
    expect(page.locator(".stage")).to_have_attribute("data-slices", "5")


def test_the_picture_sharpens_slice_by_slice(page: Page, serving: Serving) -> None:
    views: list[Request] = []
    page.on("request", lambda request: views.append(request) if "view=human" in request.url else None)
    open_frame(page, serving, serving.frames[0])
    machine = page.locator("#machine-view").evaluate(PIXELS)
    expect(page.locator(".bars")).to_contain_text("This machine view")
    assert views == [] and page.locator("#human-view").is_hidden()
    page.evaluate(
        "window.seen = []; new MutationObserver(() => seen.push(document.querySelector('.stage').dataset.slices))"
        ".observe(document.querySelector('.stage'), { attributeFilter: ['data-slices'] })"
    )
    ask(page)
    seen = page.evaluate("seen")
    assert seen in (["1", "3", "5"], ["1", "5"])  # a server that is quick goes on to all slices at once
    assert len([view for view in views if "/image?" in view.url]) == len(seen)
    expect(page.locator(".bars")).to_contain_text("This human view")
    expect(page.locator(".bars")).to_contain_text("JPEG that shows as much")
    expect(page.locator(".baseline")).to_contain_text("Pillow")
    assert page.locator("#human-view").evaluate(PIXELS) != machine
    expect(page.locator("#human-told")).to_contain_text("sharp after")
    wait_until(page, "performance.getEntriesByName('human view sharp').length === 1")


def test_the_slider_shows_either_view_by_keyboard(page: Page, serving: Serving) -> None:
    open_frame(page, serving, serving.frames[0])
    slider = page.locator("#split")
    expect(slider).to_be_disabled()
    ask(page)
    clip_path = "canvas => getComputedStyle(canvas).clipPath"
    human = page.locator("#human-view")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator(".stage .tag.right")).to_be_hidden()
    width = page.locator(".stage").bounding_box()["width"]  # type: ignore[index]
    assert float(human.evaluate(clip_path).removeprefix("inset(0px 0px 0px ").removesuffix("px)")) > width - 4
    page.keyboard.press("Home")
    expect(page.locator(".stage .tag.left")).to_be_hidden()
    assert human.evaluate(clip_path) == "inset(0px)"


def test_boxes_come_and_go_and_the_picture_is_zoomed_by_keyboard(page: Page, serving: Serving) -> None:
    seen = [
        frame
        for frame in page.request.get(f"{serving.http}/v1/cameras/street/frames").json()["frames"]
        if frame["result"]["detections"]
    ]
    if not seen:
        pytest.skip("the detector sees nothing in the machine views that these weights give")
    open_frame(page, serving, seen[0]["frame"])
    expect(page.locator("#detections")).to_contain_text(seen[0]["result"]["detections"][0]["label"])
    drawn = """wanted => {
        const canvas = document.querySelector("#boxes-view");
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        return wanted === copy.getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean);
    }"""
    boxes = page.locator("#boxes-view")
    wait_until(page, drawn, True)
    page.keyboard.press("b")
    wait_until(page, drawn, False)
    page.get_by_label("Boxes").check()
    wait_until(page, drawn, True)
    before = boxes.evaluate(PIXELS)
    page.locator("h1").click()
    page.keyboard.press("+")
    expect(page.get_by_label("Zoom", exact=True)).to_have_text("150 %")
    assert boxes.evaluate(PIXELS) != before
    page.keyboard.press("0")
    expect(page.get_by_label("Zoom", exact=True)).to_have_text("100 %")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_arrow_keys_go_from_frame_to_frame(page: Page, serving: Serving) -> None:
    stage = page.locator(".stage")
    open_frame(page, serving, serving.frames[1])
    page.keyboard.press("ArrowRight")
    expect(stage).to_have_attribute("data-machine", serving.frames[2])
    page.keyboard.press("ArrowLeft")
    expect(stage).to_have_attribute("data-machine", serving.frames[1])
    page.keyboard.press("ArrowLeft")
    expect(stage).to_have_attribute("data-machine", serving.frames[0])
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("This is the oldest frame")).to_be_visible()
    page.go_back()
    expect(stage).to_have_attribute("data-machine", serving.frames[1])


def test_an_evicted_layer_is_told_and_the_machine_view_stays(
    page: Page, serving: Serving, clip: list[np.ndarray], faults: Faults
) -> None:
    (name,) = serving.push("evicted", clip[:1])
    open_frame(page, serving, name, "evicted")
    serving.store.delete(store_keys.enhancement("evicted", *store_keys.parse_entry_id(name)))
    faults.expected_status = 410
    page.get_by_role("button", name="Ask for human view").click()
    told = page.locator("#human-told")
    expect(told).to_contain_text("The enhancement layer was evicted")
    expect(told).to_contain_text("More store memory")
    expect(page.locator(".stage")).to_have_attribute("data-machine", name)
    page.reload()
    expect(told).to_contain_text("Its enhancement layer was evicted")
    expect(page.get_by_role("button", name="Ask for human view")).to_have_count(0)


def test_a_frame_that_is_gone_is_told(page: Page, serving: Serving, faults: Faults) -> None:
    faults.expected_status = 404
    page.goto(f"{serving.http}/#/cameras/street/frames/99-99")
    expect(page.locator(".notice.error")).to_contain_text("Unknown frame")
    page.get_by_role("link", name="Wall", exact=True).last.click()
    expect(page.locator('.tile[data-camera="street"]')).to_be_visible()


HEARD = """
const Source = EventSource;
window.heard = [];
window.EventSource = class extends Source {
  constructor(...given) {
    super(...given);
    this.addEventListener("result", (event) => heard.push(event.data));
  }
};
"""


def test_a_result_that_comes_while_its_frame_is_on_its_way_is_shown(
    unopened: Page, serving: Serving, clip: list[np.ndarray]
) -> None:
    (before,) = serving.push("hasty", clip[:1])
    name = store_keys.entry_id(store_keys.parse_entry_id(before)[0] + 1, 1)

    def answer(route: Route) -> None:
        assert serving.push("hasty", clip[:1]) == [name]
        found = route.fetch()
        wait_until(unopened, "name => heard.some(data => data.includes(name))", f'"{name}"')
        route.fulfill(response=found, json=found.json() | {"result": None})

    unopened.add_init_script(HEARD)
    unopened.route(f"**/cameras/hasty/frames/{name}", answer, times=1)
    open_frame(unopened, serving, name, "hasty")
    expect(unopened.locator("#detections")).to_be_visible()


BUSY = {
    "status": 503,
    "headers": {"Retry-After": "1", "Content-Type": "application/problem+json"},
    "json": {
        "type": "/problems/views-busy",
        "title": "Too many views at once",
        "status": 503,
        "detail": "try again",
    },
}


def test_pictures_are_asked_for_again_when_it_is_their_turn(
    page: Page, serving: Serving, faults: Faults
) -> None:
    faults.expected_status = 503
    page.route("**/image?view=machine*", lambda route: route.fulfill(**BUSY), times=1)
    page.goto(f"{serving.http}/#/cameras/street/frames/{serving.frames[0]}")
    expect(page.get_by_text("Others look at pictures")).to_be_visible()
    expect(page.locator(".stage")).to_have_attribute("data-machine", serving.frames[0])
    expect(page.get_by_text("Others look at pictures")).to_be_hidden()
    page.route("**/image?view=human*", lambda route: route.fulfill(**BUSY), times=1)
    page.get_by_role("button", name="Ask for human view").click()
    expect(page.locator("#human-told")).to_contain_text("asked for again in 1 s")
    expect(page.locator(".stage")).to_have_attribute("data-slices", "5")


def test_what_is_wrong_and_what_to_do_end_with_one_stop_each(
    page: Page, serving: Serving, faults: Faults
) -> None:
    open_frame(page, serving, serving.frames[0])
    faults.expected_status = 503
    told = {"type": "/problems/edge-too-slow", "title": "Not in time", "detail": "It goes on by itself."}
    page.route(
        "**/image?view=human*",
        lambda route: route.fulfill(status=503, content_type="application/problem+json", json=told),
    )
    page.get_by_role("button", name="Ask for human view").click()
    expect(page.locator("#human-told")).to_have_text(
        "Not in time. It goes on by itself. Ask again; the uplink may be busy."
    )


def test_a_predicted_frame_leads_to_its_key_frame(page: Page, serving: Serving) -> None:
    edge = subprocess.run(
        [
            *(sys.executable, "-c", "from secondsight.command_line import main; main()", "edge"),
            *("--camera", "bikes", "--source", str(default_clip()), "--server", serving.grpc),
            *("--store", serving.url, "--speed", "0", "--keep-all", "--max-frames", "3"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert edge.returncode == 0, edge.stderr
    frames = page.request.get(f"{serving.http}/v1/cameras/bikes/frames").json()["frames"]
    newest = frames[0]
    assert newest["key_frame"]
    open_frame(page, serving, newest["frame"], "bikes")
    ask(page)
    page.get_by_role("link", name=f"predicted from {newest['key_frame']}").click()
    expect(page.locator(".stage")).to_have_attribute("data-machine", newest["key_frame"])
    expect(page.get_by_text("this one is")).to_be_visible()


def test_a_frame_is_kept_and_downloaded_with_its_provenance(
    page: Page, serving: Serving, clip: list[np.ndarray], tmp_path: Path
) -> None:
    (name,) = serving.push("evidence", clip[:1])
    open_frame(page, serving, name, "evidence")
    before = serving.store.ttl(store_keys.enhancement("evidence", *store_keys.parse_entry_id(name)))
    page.get_by_role("button", name="Keep this frame").click()
    expect(page.locator("#note")).to_contain_text("Kept until")
    assert serving.store.ttl(store_keys.enhancement("evidence", *store_keys.parse_entry_id(name))) > before
    ask(page)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download human view").click()
    downloading.value.save_as(tmp_path / downloading.value.suggested_filename)
    (saved,) = tmp_path.iterdir()
    assert saved.name.startswith("evidence") and saved.read_bytes().startswith(b"\x89PNG")
    assert b"evidence" in saved.read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, serving: Serving, faults: Faults, scheme: str) -> None:
    with opened(browser, faults, color_scheme=scheme) as page:
        open_frame(page, serving, serving.frames[0])
        ask(page)
        assert violations(page) == []


def test_a_frame_fits_a_phone(browser: Browser, serving: Serving, faults: Faults) -> None:
    with opened(browser, faults, PHONE) as page:
        open_frame(page, serving, serving.frames[0])
        ask(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # The two arrows stay side by side, wherever the line breaks.
        arrows = [page.get_by_role("button", name=name) for name in ("Frame before", "Next frame")]
        for width in range(320, 440, 10):
            page.set_viewport_size({"width": width, "height": 844})
            before, after = (arrow.bounding_box() for arrow in arrows)
            assert before is not None and after is not None
            assert before["y"] == after["y"]
