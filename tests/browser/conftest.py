"""The console in a real browser, over real server processes and frames of a real clip."""

from __future__ import annotations

import itertools
import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import av
import grpc
import numpy as np
import pytest
import redis
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from secondsight import store_keys
from secondsight.demo.clip import default_clip
from secondsight.demo.errors import ClipError
from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from server.access.credential import Kind, issue
from server.access.register import CameraToken
from shared_models import Codec, EncodedFrame, load_codec
from tests.server.people import PASSWORD, People, people_in

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: Final[ViewportSize] = {"width": 1440, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
CLIP_FRAMES: Final = (50, 100, 150)
CAMERA: Final = "street"

LAYERS_LIVE_S: Final = 3600
"""Longer than tests that share a server can take."""
PATIENCE_MS: Final = 120_000
"""Ends a test that hangs, on the slowest machine; nothing is asserted about time."""

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that lies here drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Serving:
    """A server process with frames of the camera `street`, the oldest first."""

    http: str
    grpc: str
    store: redis.Redis
    url: str
    """Of the store."""
    data: Path
    process: subprocess.Popen[str]
    codec: Codec
    people: People | None
    frames: list[str] = field(default_factory=list)
    sessions: dict[str, list[Any]] = field(default_factory=dict)
    """Cookies of people who have logged in."""

    def push(
        self,
        camera: str,
        pictures: list[np.ndarray],
        *,
        recognised: bool = True,
        ages: Sequence[float] | None = None,
    ) -> list[str]:
        """Send pictures as an edge does, in a session of their own; gives the frames' names once all are recognised.

        `ages` tells how many seconds ago each was captured; all of them now, without it.
        """
        metadata = ()
        if self.people is not None:
            metadata = (("authorization", f"Bearer {self.people.tokens[camera]}"),)
        requests: queue.SimpleQueue[ingest_pb2.PushRequest | None] = queue.SimpleQueue()
        with grpc.insecure_channel(self.grpc) as channel:
            responses = ingest_pb2_grpc.IngestServiceStub(channel).Push(
                iter(requests.get, None), metadata=metadata
            )
            hello = ingest_pb2.Hello(camera_id=camera, model_id=self.codec.predicting_id)
            requests.put(ingest_pb2.PushRequest(hello=hello))
            session = next(responses).welcome.session
            for sequence, picture in enumerate(pictures, 1):
                age = 0.0 if ages is None else ages[sequence - 1]
                frame = self._frame(camera, session, sequence, picture, age)
                requests.put(ingest_pb2.PushRequest(frame=frame))
            for response in responses:
                assert not response.HasField("nack"), response.nack
                if response.ack.acked_sequence == len(pictures):
                    break
            requests.put(None)
        names = [store_keys.entry_id(session, sequence) for sequence in range(1, len(pictures) + 1)]
        while recognised and not self.store.xrange(store_keys.results(camera), names[-1], names[-1]):
            time.sleep(0.05)
        return names

    def _frame(
        self, camera: str, session: int, sequence: int, picture: np.ndarray, age: float
    ) -> frame_pb2.Frame:
        layers = self.codec.encode(picture)
        self.store.set(
            store_keys.enhancement(camera, session, sequence), layers.enhancement, ex=LAYERS_LIVE_S
        )
        return frame_of(camera, session, sequence, layers, age)


def frame_of(
    camera: str, session: int, sequence: int, layers: EncodedFrame, age: float = 0.0
) -> frame_pb2.Frame:
    """A frame that was captured so many seconds ago, whose enhancement layer lives an hour."""
    frame = frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id=camera, session=session, sequence=sequence),
        machine_layer=layers.machine,
        enhancement=frame_pb2.EnhancementReceipt(bytes=len(layers.enhancement), slices=5),
    )
    now_ms = time.time_ns() // 1_000_000
    frame.captured_at.FromMilliseconds(now_ms - round(1000 * age))
    frame.enhancement.expires_at.FromMilliseconds(now_ms + 1000 * LAYERS_LIVE_S)
    return frame


def pictures_of(path: Path, numbers: Collection[int]) -> list[np.ndarray]:
    """Frames of a clip, by their place in it."""
    with av.open(str(path)) as container:
        decoded = itertools.islice(container.decode(video=0), max(numbers) + 1)
        return [frame.to_ndarray(format="rgb24") for number, frame in enumerate(decoded) if number in numbers]


@pytest.fixture(scope="session")
def clip() -> list[np.ndarray]:
    """Frames of a street from the clip that the demo shows, 640x272."""
    try:
        path = default_clip()
    except ClipError as error:
        pytest.skip(str(error))
    return pictures_of(path, CLIP_FRAMES)


@pytest.fixture(scope="session")
def codec() -> Codec:
    return load_codec("lite", device="cpu")


@contextmanager
def served(
    data: Path, codec: Codec, clip: list[np.ndarray], people: People | None = None, *options: str
) -> Iterator[Serving]:
    """A server process of its own, with the clip's frames of `street`."""
    with (data / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from secondsight.command_line import main; main()", "server"),
                *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store-port", "0"),
                *("--data", str(data), "--device", "cpu", *options),
                *(() if people is None else ("--access", str(people.file.path))),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            ready = re.fullmatch(r"ready grpc=(\S+) http=(\S+) store=(\S+)\n", process.stdout.readline())
            assert ready is not None, (data / "server.log").read_text()
            with redis.Redis.from_url(ready[3]) as store:
                serving = Serving(
                    f"http://{ready[2]}", ready[1], store, ready[3], data, process, codec, people
                )
                serving.frames = serving.push(CAMERA, clip)
                yield serving
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def serving(
    tmp_path_factory: pytest.TempPathFactory, codec: Codec, clip: list[np.ndarray]
) -> Iterator[Serving]:
    """A server that asks nobody who they are. Tests that spoil frames push their own, of a camera of their own."""
    with served(tmp_path_factory.mktemp("serving"), codec, clip) as serving:
        yield serving


@pytest.fixture(scope="session")
def secured(
    tmp_path_factory: pytest.TempPathFactory, codec: Codec, clip: list[np.ndarray]
) -> Iterator[Serving]:
    """A server that asks: the viewer vera, the operator otto, the admin anna, all with `PASSWORD`."""
    data = tmp_path_factory.mktemp("secured")
    people = people_in(data)
    token = issue(Kind.CAMERA_TOKEN)
    known = CameraToken(camera_id=CAMERA, hash=token.hash, issued_at=datetime.now(UTC))
    people.file.change(lambda register: register.with_camera_token(token.prefix, known))
    people.tokens[CAMERA] = token.text
    with served(data, codec, clip, people) as serving:
        yield serving


@pytest.fixture(scope="module")  # while Playwright runs, no test with an event loop of its own can
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
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        about_expected = (
            self.expected_status is not None and f"status of {self.expected_status}" in message.text
        )
        if message.type in ("error", "warning") and not about_expected:
            self.found.append(f"console: {message.text} {message.location}")

    def _failed(self, request: Request) -> None:
        # A page that is left gives up what it was fetching.
        if request.failure != "net::ERR_ABORTED":
            self.found.append(f"request: {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status != self.expected_status:
            self.found.append(f"response: {response.status} {response.url}")


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Watches pages, and fails the test in which one has had an error or a failed request."""
    faults = Faults()
    yield faults
    assert faults.found == []


def wait_until(page: Page, condition: str, given: object = None) -> None:
    """Wait until a script holds in `page`.

    Playwright's own `wait_for_function` evaluates a string in the page at every try but the first,
    which the pages' security policy forbids: it works only where there is nothing to wait for.
    """
    ends = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition, given):
        assert time.monotonic() < ends, f"never came true: {condition}"
        page.wait_for_timeout(20)


@contextmanager
def opened(
    browser: Browser, faults: Faults, viewport: ViewportSize = DESKTOP, **settings: object
) -> Iterator[Page]:
    """A page of a fresh browser profile, watched for faults."""
    context: BrowserContext = browser.new_context(viewport=viewport, reduced_motion="reduce", **settings)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        faults.watch(page)
        yield page
    finally:
        context.close()


@pytest.fixture
def unopened(browser: Browser, faults: Faults) -> Iterator[Page]:
    """A desktop's screen that shows nothing yet, for tests that see all it asks for."""
    with opened(browser, faults) as page:
        yield page


@pytest.fixture
def page(unopened: Page, serving: Serving) -> Page:
    """The wall of `serving` on a desktop's screen."""
    unopened.goto(serving.http)
    return unopened


@pytest.fixture
def phone(browser: Browser, serving: Serving, faults: Faults) -> Iterator[Page]:
    """The wall of `serving` on a phone's screen."""
    with opened(browser, faults, PHONE) as page:
        page.goto(serving.http)
        yield page


def log_in(page: Page, secured: Serving, name: str, address: str = "#/") -> None:
    """Open `address` of a server that asks, as one of its people; logins from one address are limited."""
    page.context.add_cookies(secured.sessions.get(name, []))
    page.goto(f"{secured.http}/{address}")
    if name not in secured.sessions:
        page.locator("#login-name").fill(name)
        page.locator("#login-password").fill(PASSWORD)
        page.keyboard.press("Enter")
    expect(page.locator("#person")).to_contain_text(name)
    secured.sessions[name] = page.context.cookies()
