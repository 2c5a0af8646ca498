"""`make bench-console`: how long people wait for the console, by a real browser over a real server.

Human views: from the click to the painted picture, of frames of 1280x720; the browser, the server with its recogniser
and whatever else this machine does share its cores. The wall: what keeps the page's main thread busy while fifty
cameras stream.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from secondsight.demo.clip import default_clip
from shared_models import EncodedFrame, load_codec
from tests.browser.cameras import streaming
from tests.browser.conftest import CHROMIUM, DESKTOP, FLAGS, Faults, Serving, opened, pictures_of, served

SIZE: Final = (1280, 720)
CLIP_FRAMES: Final = (50, 60, 100, 110, 120, 150, 160, 170, 210, 220, 230)
CAMERAS: Final = 50
SECONDS_BETWEEN: Final = 10.0
"""Between two frames of a camera: five a second in all, which two cores recognise beside the browser's work."""
GOALS: Final = {
    "human_view_first_refinement_ms": 700,
    "human_view_sharp_ms": 1500,
    "human_view_from_cache_ms": 50,
    "wall_longest_task_ms": 200,
}
LONG_TASKS: Final = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) longTasks.push({ startTime, duration });
}).observe({ type: "longtask", buffered: true });
"""


def human_views(browser: Browser, serving: Serving, frames: Sequence[str]) -> dict[str, Any]:
    """Look at each frame twice: once as the first who does, once when the server has made its pictures."""
    first, sharp, cached_page, cached_server = [], [], [], []
    with opened(browser, Faults(), DESKTOP) as page:
        for frame in frames:
            fresh = look(page, serving, frame)
            first.append(fresh["first"])
            sharp.append(fresh["sharp"])
        for frame in frames:
            cached_page.append(look(page, serving, frame)["first"])
            cached_server.append(
                page.evaluate(
                    """async (address) => {
                        const begun = performance.now();
                        await (await fetch(address, { headers: { Accept: "image/jpeg" } })).arrayBuffer();
                        return performance.now() - begun;
                    }""",
                    f"/v1/cameras/desk/frames/{frame}/image?view=human",
                )
            )
    return {
        "first_refinement_ms": told(first),
        "sharp_ms": told(sharp),
        "from_cache_ms": {"click_to_picture": told(cached_page), "request_to_bytes": told(cached_server)},
    }


def look(page: Page, serving: Serving, frame: str) -> dict[str, float]:
    """Milliseconds from the click to the first and to the sharp picture of one frame."""
    page.goto("about:blank")
    page.goto(f"{serving.http}/#/cameras/desk/frames/{frame}")
    expect(page.locator(".stage")).to_have_attribute("data-machine", frame)
    expect(page.locator(".bars")).to_contain_text("This machine view")
    page.get_by_role("button", name="Ask for human view").click()
    expect(page.locator(".stage")).to_have_attribute("data-slices", "5")
    expect(page.locator(".bars")).to_contain_text("This human view")
    shown: dict[str, float] = page.evaluate(
        """() => {
            const shown = ["refined", "sharp"].flatMap((name) => performance.getEntriesByName(`human view ${name}`));
            const durations = shown.map(({ duration }) => duration);
            return { first: Math.min(...durations), sharp: Math.max(...durations) };
        }"""
    )
    return shown


def wall(
    browser: Browser, serving: Serving, encoded: Sequence[EncodedFrame], seconds: float
) -> dict[str, Any]:
    """Watch, scroll and filter a wall of many cameras."""
    cameras = {
        f"camera-{number:02}": [encoded[(number + step) % len(encoded)] for step in range(len(encoded))]
        for number in range(1, CAMERAS + 1)
    }
    with streaming(serving, cameras, SECONDS_BETWEEN), opened(browser, Faults(), DESKTOP) as page:
        page.add_init_script(LONG_TASKS)
        page.goto(serving.http)
        expect(page.locator(".tile")).to_have_count(CAMERAS + 2, timeout=120_000)
        page.evaluate(
            "window.pictures = 0; new MutationObserver((changes) => (pictures += changes.length))"
            ".observe(document.querySelector('.tiles'), { attributeFilter: ['data-frame'], subtree: true })"
        )
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        busy_before = busy(devtools)
        begun, load = time.monotonic(), os.getloadavg()[0]
        for _ in range(round(seconds / 5)):
            page.wait_for_timeout(2500)
            page.mouse.wheel(0, 500)
            page.wait_for_timeout(1000)
            page.mouse.wheel(0, -500)
            name = page.get_by_label("Cameras whose name contains")
            name.fill("camera-1")
            page.wait_for_timeout(500)
            name.fill("")
            page.wait_for_timeout(1000)
        lasted = time.monotonic() - begun
        tasks = [task["duration"] for task in page.evaluate("longTasks")]
        return {
            "cameras": CAMERAS,
            "frames_per_second": CAMERAS / SECONDS_BETWEEN,
            "watched_s": round(lasted, 1),
            "pictures_per_second": round(page.evaluate("pictures") / lasted, 2),
            "long_tasks": len(tasks),
            "longest_task_ms": round(max(tasks, default=0.0)),
            "long_tasks_ms_per_second": round(sum(tasks) / lasted, 1),
            "main_thread_cpu_ms_per_second": round(1000 * (busy(devtools) - busy_before) / lasted, 1),
            "load_before": round(load, 1),
        }


def busy(devtools: CDPSession) -> float:
    """Seconds of processor time that the page's main thread has taken, whoever else had the processor meanwhile."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def told(times: Sequence[float]) -> dict[str, float]:
    """Milliseconds, in short."""
    return {"median": round(statistics.median(times)), "worst": round(max(times)), "of": len(times)}


def measured(seconds: float) -> dict[str, Any]:
    """Everything, with what the machine did meanwhile."""
    codec = load_codec("lite", device="cpu")
    pictures = pictures_of(default_clip(), CLIP_FRAMES)
    large = [np.asarray(Image.fromarray(each).resize(SIZE, Image.Resampling.LANCZOS)) for each in pictures]
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), codec, pictures[:1]) as serving,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        frames = serving.push("desk", large)
        views = human_views(browser, serving, frames)
        load_between = os.getloadavg()[0]
        encoded = [codec.encode(each) for each in pictures]
        of_wall = wall(browser, serving, encoded, seconds)
        version = browser.version
        browser.close()
    return {
        "command": "make bench-console",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "browser": f"Chromium {version}, headless, software rendering",
            "load_before": round(load, 1),
            "load_after_human_views": round(load_between, 1),
        },
        "goals": GOALS,
        "human_view": {"pixels": "x".join(map(str, SIZE)), **views},
        "wall": of_wall,
    }


def processor() -> str:
    """As the system names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/results/console.json"))
    parser.add_argument("--seconds", type=float, default=30.0, help="For which the wall is watched.")
    options = parser.parse_args()
    found = measured(options.seconds)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
