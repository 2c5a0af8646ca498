"""Live cameras that hang, vanish, stand still or have lost their clock."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from edge.config import WatchdogConfig
from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.metrics import SourceState, Tally
from edge.sources import open_source
from edge.sources.live import LiveSource
from tests.edge.rtsp_server import RtspServer

# A camera that is only slow, as all are on a busy machine, is not to be taken for a frozen one.
QUICK = WatchdogConfig(
    frozen_s=2.0, first_frame_s=60.0, still_s=0.1, reopen_base_s=0.01, reopen_cap_s=0.02, abandoned=2
)


def frame(number: int, pts_us: int, captured_at_ns: int = 0) -> CapturedFrame:
    """A frame whose pixels are `number`."""
    return CapturedFrame(np.full((16, 16, 3), number % 256, np.uint8), captured_at_ns, pts_us)


Connection = Callable[[int], Generator[CapturedFrame]]


class Camera:
    """Plays the camera of each connection as the test writes it; the connections count from 0."""

    name = "camera under test"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.opened = 0

    def frames(self) -> Generator[CapturedFrame]:
        self.opened += 1
        return self._connection(self.opened - 1)


class Watched:
    """A camera's frames as they come, in a thread as in an edge."""

    def __init__(self, source: LiveSource, tally: Tally) -> None:
        self.tally = tally
        self.frames: list[CapturedFrame] = []
        self.failure: Exception | None = None
        self._source = source
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def until(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            assert self._thread.is_alive() or predicate(), self.failure
            time.sleep(0.005)

    def close(self) -> None:
        self._source.close()
        self._thread.join()

    def ended(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            for taken in self._source.frames():
                self.frames.append(taken)
        except Exception as error:
            self.failure = error

    @property
    def pts_us(self) -> list[int]:
        return [taken.pts_us for taken in self.frames]


@contextmanager
def watched(camera: Camera, watchdog: WatchdogConfig = QUICK) -> Iterator[Watched]:
    tally = Tally()
    running = Watched(LiveSource(camera, threading.Event(), tally, watchdog), tally)
    try:
        yield running
    finally:
        running.close()


def steadily(start: int = 0, interval_s: float = 0.01) -> Generator[CapturedFrame]:
    for number in count(start):
        yield frame(number, round((number - start) * interval_s * 1e6))
        time.sleep(interval_s)


def test_a_camera_that_was_lost_is_opened_again_and_time_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def connection(number: int) -> Generator[CapturedFrame]:
        if 0 < number < 5:
            raise OSError(111, "Connection refused")
        for at in range(3):
            yield frame(10 * number + at, 40_000 * at)

    with watched(Camera(connection)) as running:
        running.until(lambda: len(running.frames) >= 6)
        assert running.tally.source_reconnects >= 5
        assert running.tally.source_freezes == 0
    assert all(earlier < later for earlier, later in pairwise(running.pts_us))
    # Four refusals are one line.
    assert caplog.text.count("Connection refused") == 1


def test_a_camera_that_hangs_is_left_and_its_thread_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    thawed = threading.Event()
    let_go: list[int] = []

    def connection(number: int) -> Generator[CapturedFrame]:
        try:
            yield frame(0, 0)
            yield frame(1, 10_000)
            if number == 0:
                thawed.wait()
            yield from steadily(2)
        finally:
            let_go.append(number)

    with watched(Camera(connection)) as running:
        running.until(lambda: len(running.frames) > 5)
        assert running.tally.source_freezes == 1
        assert running.tally.source is SourceState.GIVING
        assert running.tally.source_hung == 1
        assert let_go == []
        thawed.set()
        running.until(lambda: running.tally.source_hung == 0)
        assert let_go == [0]
    assert caplog.text.count("no frame for 2.0 s") == 1


def test_only_so_many_reads_that_never_come_back_are_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    thawed = threading.Semaphore(0)

    def connection(number: int) -> Generator[CapturedFrame]:
        if number < 3:
            thawed.acquire()
        yield from steadily()

    camera = Camera(connection)
    with watched(camera, replace(QUICK, frozen_s=0.02, first_frame_s=0.02)) as running:
        running.until(lambda: "2 reads have not come back" in caplog.text)
        time.sleep(0.1)
        assert camera.opened == 2
        assert running.tally.source is SourceState.FROZEN
        assert running.tally.source_hung == 2
        thawed.release()
        running.until(lambda: camera.opened == 3)
        thawed.release(2)
        running.until(lambda: len(running.frames) > 3)


def test_a_camera_that_hangs_does_not_hold_up_the_end() -> None:
    thawed = threading.Event()

    def connection(_: int) -> Generator[CapturedFrame]:
        yield frame(0, 0)
        thawed.wait()

    with watched(Camera(connection), WatchdogConfig()) as running:
        running.until(lambda: len(running.frames) >= 1)
    thawed.set()


def test_a_slow_camera_is_given_ten_frame_times() -> None:
    def connection(_: int) -> Generator[CapturedFrame]:
        for number in range(3):
            yield frame(number, 200_000 * number)
            time.sleep(0.2)
        time.sleep(1.2)
        yield frame(9, 600_000)
        time.sleep(1)

    with watched(Camera(connection), WatchdogConfig(frozen_s=0.15, first_frame_s=5.0)) as running:
        running.until(lambda: len(running.frames) >= 4)
        assert running.tally.source_freezes == 0


def test_the_same_picture_over_and_over_is_told_and_the_camera_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    moving = threading.Event()

    def connection(_: int) -> Generator[CapturedFrame]:
        for number in count():
            yield frame(number if moving.is_set() else 0, 10_000 * number)
            time.sleep(0.01)

    camera = Camera(connection)
    with watched(camera) as running:
        running.until(lambda: running.tally.source is SourceState.STILL)
        came = len(running.frames)
        running.until(lambda: len(running.frames) > came + 5)
        assert running.tally.source is SourceState.STILL
        moving.set()
        running.until(lambda: running.tally.source is SourceState.GIVING)
    assert camera.opened == 1
    assert caplog.text.count("exactly the same picture") == 1
    assert caplog.text.count("another picture again") == 1


@pytest.mark.parametrize(
    "jumps",
    [
        [0, 40, 80, 3_600_000, 3_600_040, 3_600_080],
        [0, 40, 86_400_000, 80, 120, 160],
        [3_600_000, 3_600_040, 0, 40, 80, 120],
    ],
)
def test_a_camera_whose_clock_jumps_is_placed_by_ours(jumps: list[int]) -> None:
    def connection(_: int) -> Generator[CapturedFrame]:
        for number, pts_ms in enumerate(jumps):
            yield frame(number, 1000 * pts_ms)
            time.sleep(0.01)
        time.sleep(1)

    began = time.monotonic()
    with watched(Camera(connection), WatchdogConfig()) as running:
        running.until(lambda: len(running.frames) >= len(jumps))
        assert running.tally.source_clock_jumps >= 1
    assert running.pts_us[0] == 0
    assert all(earlier < later for earlier, later in pairwise(running.pts_us))
    assert running.pts_us[-1] / 1e6 < time.monotonic() - began + 1


def test_the_wall_clock_moves_captured_times_and_nothing_else() -> None:
    """A wall clock that is set back by a day while the camera is away."""

    def connection(number: int) -> Generator[CapturedFrame]:
        today = 1_700_000_000_000_000_000 - number * 86_400_000_000_000
        for at in range(3):
            yield frame(at, 10_000 * at, captured_at_ns=today + at)

    with watched(Camera(connection)) as running:
        running.until(lambda: len(running.frames) >= 6)
    assert running.frames[3].captured_at_ns < running.frames[2].captured_at_ns
    assert all(earlier < later for earlier, later in pairwise(running.pts_us))
    assert running.pts_us[5] < 10_000_000
    assert running.tally.source_clock_jumps == 0


def test_a_stream_that_becomes_no_video_is_a_lost_camera_and_a_fault_of_ours_is_a_fault() -> None:
    def connection(number: int) -> Generator[CapturedFrame]:
        yield frame(0, 0)
        raise SourceError("holds no video stream") if number == 0 else ZeroDivisionError

    with watched(Camera(connection)) as running:
        running.ended()
    assert len(running.frames) == 2
    assert isinstance(running.failure, ZeroDivisionError)


def test_a_lost_connection_and_its_last_picture_are_let_go_of_at_once() -> None:
    pictures: list[weakref.ref[np.ndarray]] = []

    def connection(number: int) -> Generator[CapturedFrame]:
        given = frame(number, 0)
        pictures.append(weakref.ref(given.image))
        yield given

    gc.collect()
    gc.disable()
    try:
        source = LiveSource(Camera(connection), threading.Event(), Tally(), QUICK)
        assert len(list(islice(source.frames(), 20))) == 20
        alive = sum(picture() is not None for picture in pictures)
    finally:
        gc.enable()
    assert len(pictures) >= 20
    # Of the connections that were left last, whose threads may not have ended yet.
    assert alive <= 3


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_camera_that_is_away_for_long_costs_nothing(
    free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """So many attempts are those of two hours."""
    tally = Tally()
    watchdog = WatchdogConfig(reopen_base_s=0.0005, reopen_cap_s=0.0005)
    source = open_source(
        f"rtsp://operator:secret@127.0.0.1:{free_port}/live?password=secret",
        threading.Event(),
        tally,
        watchdog,
    )
    assert source.live and isinstance(source, LiveSource)
    running = Watched(source, tally)
    try:
        running.until(lambda: tally.source_reconnects >= 200)
        gc.collect()
        descriptors, threads, memory = (
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            threading.active_count(),
            resident_kb(),
        )
        running.until(lambda: tally.source_reconnects >= 500)
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # noqa: PTH208
        assert threading.active_count() <= threads + 1
        assert resident_kb() < memory + 4096
        assert tally.source is SourceState.AWAY
    finally:
        running.close()
    assert f"rtsp://127.0.0.1:{free_port}/live" in caplog.text
    assert "secret" not in caplog.text
    assert len(caplog.records) == 1


def test_a_network_camera_that_freezes_or_vanishes_is_waited_for(
    tmp_path: Path, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally()
    with RtspServer(tmp_path, free_port) as camera:
        source = open_source(camera.url, threading.Event(), tally, QUICK)
        assert isinstance(source, LiveSource)
        running = Watched(source, tally)

        def gives_more() -> None:
            came = len(running.frames)
            running.until(lambda: len(running.frames) > came + 5 and tally.source is SourceState.GIVING)

        try:
            gives_more()
            camera.freeze()
            running.until(lambda: tally.source is SourceState.FROZEN)
            assert tally.source_freezes
            camera.thaw()
            gives_more()
            camera.kill()
            running.until(lambda: tally.source is SourceState.AWAY)
            camera.start()
            gives_more()
        finally:
            running.close()
    assert all(earlier < later for earlier, later in pairwise(running.pts_us))
    assert running.frames[0].image.shape == (96, 160, 3)
    assert "secret" not in caplog.text
