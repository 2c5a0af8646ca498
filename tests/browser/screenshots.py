"""`make screenshots`: pictures of the console's pages, by a real browser over a real server with real clips.

No test: pytest runs it where it is named, for the fixtures' sake.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from secondsight.demo.clip import default_clip
from shared_models import EncodedFrame
from tests.browser.cameras import streaming
from tests.browser.conftest import PHONE, Faults, Serving, opened, pictures_of

FOLDER: Final = Path(os.environ.get("SECONDSIGHT_PICTURES", "docs/pictures"))
SCREEN: Final[ViewportSize] = {"width": 1440, "height": 900}
CLIPS: Final = {
    "promenade": ("person-dog-720p.mp4", (30, 60, 90)),
    "hall": ("person-walking-12s.mp4", (10, 30, 42)),
}
"""Of the folder that VIDEO names."""
STREET: Final = {"street": (112, 118, 124), "crossing": (140, 148, 156), "doorway": (196, 204, 212)}
"""Frames of the packaged clip, as if they were of several cameras."""
ZONE: Final = [[0.02, 0.98], [0.36, 0.5], [0.62, 0.45], [0.86, 0.58], [0.98, 0.98]]


def cameras(serving: Serving) -> dict[str, list[EncodedFrame]]:
    """Encoded frames of the cameras that can be had."""
    pictures: dict[str, list[np.ndarray]] = {
        camera: pictures_of(default_clip(), numbers) for camera, numbers in STREET.items()
    }
    folder = Path(os.environ.get("VIDEO", ""))
    for camera, (name, numbers) in CLIPS.items():
        if (folder / name).exists():
            pictures[camera] = pictures_of(folder / name, numbers)
    return {camera: [serving.codec.encode(each) for each in shown] for camera, shown in pictures.items()}


def shoot(page: Page, name: str) -> None:
    """Write what the page shows as NAME.webp."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)
    FOLDER.mkdir(parents=True, exist_ok=True)
    image = Image.open(io.BytesIO(page.screenshot()))
    image.save(FOLDER / f"{name}.webp", quality=82, method=6)


def open_frame(page: Page, serving: Serving, camera: str, frame: str) -> None:
    """The frame page with half of the human view."""
    page.goto(f"{serving.http}/#/cameras/{camera}/frames/{frame}")
    expect(page.locator(".stage")).to_have_attribute("data-machine", frame)
    page.get_by_role("button", name="Ask for human view").click()
    expect(page.locator(".stage")).to_have_attribute("data-slices", "5")
    expect(page.locator(".bars")).to_contain_text("This human view")
    page.locator("#split").fill("50")
    page.evaluate("document.activeElement.blur()")


def draw_zone(page: Page, serving: Serving, camera: str) -> None:
    """Give the camera a zone, and open its rules."""
    rules = f"{serving.http}/v1/cameras/{camera}/rules"
    zone = {"polygon": ZONE, "labels": ["person"], "dwell_s": 5, "alert": True}
    put = page.request.put(
        rules,
        data={"track": True, "zones": {"walkway": zone}},
        headers={"If-Match": page.request.get(rules).headers["etag"]},
    )
    assert put.ok, put.text()
    page.goto(f"{serving.http}/#/settings?tab=cameras&camera={camera}")
    expect(page.locator(".zone-stage .corner")).to_have_count(len(ZONE))
    page.locator(".zone-stage").scroll_into_view_if_needed()


def test_pictures(browser: Browser, serving: Serving, faults: Faults) -> None:
    streams = cameras(serving)
    shown = "promenade" if "promenade" in streams else "street"
    serving.push("depot", pictures_of(default_clip(), (60,)))  # and is offline from then on
    with streaming(serving, streams, 6.0):
        for scheme in ("light", "dark"):
            with opened(browser, faults, SCREEN, color_scheme=scheme) as page:
                page.goto(serving.http)
                for camera in streams:
                    expect(page.locator(f'.tile[data-camera="{camera}"] .latest')).to_have_attribute(
                        "data-frame", re.compile(".+")
                    )
                shoot(page, f"wall-{scheme}")
                page.goto(f"{serving.http}/#/cameras/{shown}")
                shoot(page, f"timeline-{scheme}")
                (frame,) = page.request.get(f"{serving.http}/v1/cameras/{shown}/frames?limit=1").json()[
                    "frames"
                ]
                open_frame(page, serving, shown, frame["frame"])
                shoot(page, f"frame-{scheme}")
                page.goto(f"{serving.http}/#/overview")
                shoot(page, f"overview-{scheme}")
        with opened(browser, faults, SCREEN, color_scheme="light") as page:
            draw_zone(page, serving, shown)
            shoot(page, "zones")
        with opened(browser, faults, PHONE, color_scheme="light") as page:
            page.goto(serving.http)
            shoot(page, "wall-phone")
            open_frame(page, serving, shown, frame["frame"])
            shoot(page, "frame-phone")
