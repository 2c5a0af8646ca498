"""From a source's thread to the event loop, one frame at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
from PIL import Image

from edge.config import CaptureConfig
from edge.errors import ConfigError
from edge.frame import CapturedFrame
from edge.hidden_parts import HiddenParts
from edge.metrics import DropReason, SourceState, Stage, Tally
from edge.motion_gate import MotionGate
from edge.sources import FrameSource


class Capture:
    """Reads a source in a thread and holds its newest frame.

    Args:
        hold_source: the source waits until a frame is asked for. Otherwise a frame that nobody took gives way to the
            next and is counted as dropped, under `why_waiting` of that moment.
        stopped: ends the thread; shared with the source.
    """

    def __init__(
        self,
        source: FrameSource,
        config: CaptureConfig,
        tally: Tally,
        hold_source: bool,
        stopped: threading.Event,
    ) -> None:
        if source.live and hold_source:
            raise ConfigError("a live camera does not wait: leave out --keep-all")
        self._source = source
        tally.live = source.live
        self._config = config
        self._tally = tally
        self._hold_source = hold_source
        self._stopped = stopped
        self._lock = threading.Lock()
        self._newest: CapturedFrame | None = None
        self._offered_at = 0.0
        self._ended = False
        self._failure: BaseException | None = None
        self._wanted = threading.Semaphore(0)
        self._asked = False
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.why_waiting = DropReason.ENCODER_SLOW

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the source has ended; its last frame may still wait."""
        with self._lock:
            return self._ended

    @property
    def over(self) -> bool:
        """Whether the source has ended and nothing of it waits."""
        with self._lock:
            return self._ended and self._newest is None

    async def until_ended(self) -> None:
        """Wait until the source has ended."""
        while True:
            with self._lock:
                if self._ended:
                    return
                self._changed.clear()
            await self._changed.wait()

    async def ready(self) -> None:
        """Wait until `take` has its answer at hand."""
        if self._hold_source and not self._asked:
            self._asked = True
            self._wanted.release()
        while True:
            with self._lock:
                if self._newest is not None or self._ended:
                    return
                self._changed.clear()
            await self._changed.wait()

    async def take(self) -> CapturedFrame | None:
        """The newest frame, when there is one; None after the last.

        Raises:
            SourceError: the source failed.
        """
        while True:
            await self.ready()
            with self._lock:
                frame, self._newest = self._newest, None
                ended = self._ended
            if frame is not None:
                self._asked = False
                self._tally.spent(Stage.CAPTURE, time.monotonic() - self._offered_at)
                return frame
            if ended:
                if self._failure is not None:
                    raise self._failure
                return None

    def stop(self) -> None:
        """End the source; a frame that nobody took is counted as dropped."""
        self._stopped.set()
        self._wanted.release()
        self._source.close()
        self.leave(DropReason.STOPPED)

    def leave(self, reason: str) -> None:
        """Count a frame that nobody took as dropped."""
        with self._lock:
            if self._newest is not None:
                self._newest = None
                self._tally.drop(reason)

    def _run(self) -> None:
        try:
            frames = self._moving(self._paced(self._selected()))
            while self._may_read():
                frame = next(frames, None)
                if frame is None:
                    break
                self._offer(frame)
        except BaseException as error:
            self._failure = error
        with self._lock:
            self._ended = True
            self._tally.source = SourceState.ENDED
        self._wake()

    def _may_read(self) -> bool:
        if self._hold_source:
            self._wanted.acquire()
        return not self._stopped.is_set()

    def _offer(self, frame: CapturedFrame) -> None:
        with self._lock:
            self._tally.capture()
            if self._stopped.is_set():
                self._tally.drop(DropReason.STOPPED)
                return
            if self._newest is not None:
                self._tally.drop(self.why_waiting)
            self._newest, self._offered_at = frame, time.monotonic()
        self._wake()

    def _wake(self) -> None:
        # A source that ends late finds the loop closed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed.set)

    def _selected(self) -> Iterator[CapturedFrame]:
        """The frames that the configuration lets through, with times that rise over loops."""
        config = self._config
        hidden = HiddenParts(config.hidden)
        interval_us = 0.0 if config.frame_rate is None else 1e6 / config.frame_rate
        due_us = 0.0
        taken = 0
        offset_us = 0
        while True:
            last_us = step_us = 0
            for frame in self._source.frames():
                step_us, last_us = frame.pts_us - last_us, frame.pts_us
                pts_us = offset_us + frame.pts_us
                # Half a millisecond of grace: time stamps are rounded, in some containers to milliseconds.
                if pts_us + 500 < due_us:
                    continue
                due_us = max(due_us + interval_us, pts_us)
                image = hidden.blackened(fitted(frame.image, config.max_side))
                yield replace(frame, image=image, pts_us=pts_us)
                taken += 1
                if taken == config.max_frames:
                    return
            # A live source ends only when it is told to, and would then end again and again.
            if not config.loop or self._source.live or taken == 0:
                return
            offset_us += last_us + max(step_us, 1)

    def _paced(self, frames: Iterator[CapturedFrame]) -> Iterator[CapturedFrame]:
        """Frames of a recording at its own pace. After a wait for the reader the rest is not hurried through."""
        if self._source.live or self._config.speed == 0:
            yield from frames
            return
        began: float | None = None
        for frame in frames:
            now = time.monotonic()
            due = now if began is None else began + frame.pts_us / 1e6 / self._config.speed
            if began is None or now > due:
                began = now - frame.pts_us / 1e6 / self._config.speed
            elif self._stopped.wait(due - now):
                return
            yield replace(frame, captured_at_ns=time.time_ns())

    def _moving(self, frames: Iterator[CapturedFrame]) -> Iterator[CapturedFrame]:
        """The frames that the motion gate lets through; the others are counted."""
        config = self._config.motion
        if config is None:
            yield from frames
            return
        gate = MotionGate(config)
        for frame in frames:
            if gate.lets_through(frame):
                yield frame
            else:
                self._tally.capture()
                self._tally.drop(DropReason.NO_MOTION)
            if self._stopped.is_set():
                return


def fitted(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """`image` with its longer side at most `max_side`, Lanczos."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
