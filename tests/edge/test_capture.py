from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from edge.capture import Capture
from edge.config import CaptureConfig
from edge.errors import ConfigError, SourceError
from edge.frame import CapturedFrame
from edge.metrics import DropReason, Tally
from edge.sources import FrameSource, open_source
from tests.edge.conftest import ClipMaker, eventually


def capture_of(
    source: FrameSource, config: CaptureConfig, tally: Tally, hold_source: bool = True
) -> tuple[Capture, threading.Event]:
    stopped = threading.Event()
    return Capture(source, config, tally, hold_source, stopped), stopped


async def all_frames(capture: Capture) -> list[CapturedFrame]:
    frames = []
    while (frame := await capture.take()) is not None:
        frames.append(frame)
    return frames


async def taken(path: object, config: CaptureConfig) -> list[CapturedFrame]:
    tally = Tally()
    capture, _ = capture_of(open_source(str(path), threading.Event()), config, tally)
    capture.start()
    frames = await all_frames(capture)
    assert tally.captured == len(frames)
    assert not tally.dropped
    return frames


async def test_a_held_source_loses_no_frame(make_clip: ClipMaker) -> None:
    frames = await taken(make_clip(frames=10), CaptureConfig(speed=0))
    assert [frame.pts_us for frame in frames] == [100_000 * index for index in range(10)]


async def test_a_held_source_is_read_only_when_a_frame_is_asked_for(make_clip: ClipMaker) -> None:
    tally = Tally()
    source = open_source(str(make_clip(frames=5)), threading.Event())
    capture, _ = capture_of(source, CaptureConfig(speed=0), tally)
    capture.start()
    assert await capture.take() is not None
    await asyncio.sleep(0.1)
    assert tally.captured == 1
    capture.stop()


async def test_looping_goes_on_in_time(make_clip: ClipMaker) -> None:
    frames = await taken(make_clip(frames=3), CaptureConfig(speed=0, loop=True, max_frames=8))
    assert [frame.pts_us for frame in frames] == [100_000 * index for index in range(8)]


@pytest.mark.parametrize(("limit", "expected"), [(5.0, [0, 200, 400, 600, 800]), (4.0, [0, 300, 500, 800])])
async def test_the_frame_rate_is_limited_in_the_sources_time(
    make_clip: ClipMaker, limit: float, expected: list[int]
) -> None:
    frames = await taken(make_clip(frames=10, rate=10), CaptureConfig(speed=0, frame_rate=limit))
    assert [frame.pts_us // 1000 for frame in frames] == expected


async def test_large_frames_are_scaled_down_and_small_ones_left_alone(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=1, size=(64, 48))
    assert (await taken(clip, CaptureConfig(speed=0, max_side=32)))[0].image.shape == (24, 32, 3)
    assert (await taken(clip, CaptureConfig(speed=0, max_side=128)))[0].image.shape == (48, 64, 3)


async def test_a_recording_is_played_no_faster_than_its_own_pace(make_clip: ClipMaker) -> None:
    began = time.monotonic()
    frames = await taken(make_clip(frames=5, rate=10), CaptureConfig(speed=1))
    assert time.monotonic() - began >= 0.4
    assert frames[-1].captured_at_ns - frames[0].captured_at_ns >= 390_000_000


async def test_a_frame_that_nobody_took_gives_way_to_a_newer_one(make_clip: ClipMaker) -> None:
    tally = Tally()
    source = open_source(str(make_clip(frames=10)), threading.Event())
    capture, _ = capture_of(source, CaptureConfig(speed=0), tally, hold_source=False)
    capture.why_waiting = DropReason.UPLINK_SLOW
    capture.start()
    await eventually(lambda: tally.captured == 10)
    frames = await all_frames(capture)
    assert [frame.pts_us for frame in frames] == [900_000]
    assert tally.dropped == {DropReason.UPLINK_SLOW: 9}


async def test_stopping_accounts_for_the_frame_that_waits(make_clip: ClipMaker) -> None:
    tally = Tally()
    source = open_source(str(make_clip(frames=10)), threading.Event())
    capture, _ = capture_of(source, CaptureConfig(speed=0), tally, hold_source=False)
    capture.start()
    await eventually(lambda: tally.captured == 10)
    capture.stop()
    assert await capture.take() is None
    assert sum(tally.dropped.values()) == 10
    assert tally.dropped[DropReason.STOPPED] == 1


async def test_a_failing_source_fails_the_taker_after_its_good_frames(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=2, size=(64, 48))
    clip.write_bytes(b"no video any more")
    capture, _ = capture_of(open_source(str(clip), threading.Event()), CaptureConfig(speed=0), Tally())
    capture.start()
    with pytest.raises(SourceError):
        await capture.take()


class Camera:
    """A live source of one picture over and over, until it is closed."""

    live = True

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped

    def frames(self) -> Iterator[CapturedFrame]:
        for index in count():
            if self._stopped.wait(0.01):
                return
            yield CapturedFrame(np.zeros((16, 16, 3), np.uint8), time.time_ns(), 10_000 * index)

    def close(self) -> None:
        self._stopped.set()


async def test_a_live_source_ends_when_it_is_stopped_also_when_it_should_loop() -> None:
    tally = Tally()
    stopped = threading.Event()
    capture = Capture(Camera(stopped), CaptureConfig(loop=True), tally, hold_source=False, stopped=stopped)
    capture.start()
    await eventually(lambda: tally.captured >= 3)
    capture.stop()
    async with asyncio.timeout(10):
        assert await capture.take() is None


async def test_a_live_camera_does_not_wait() -> None:
    camera = open_source("rtsp://127.0.0.1:1/none", threading.Event())
    with pytest.raises(ConfigError, match="live camera"):
        capture_of(camera, CaptureConfig(), Tally(), hold_source=True)
