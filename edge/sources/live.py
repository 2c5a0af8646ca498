"""What every live camera shares: it is watched, and opened again whenever it is lost.

A camera is read in a thread of its own. A read that never comes back cannot be ended from outside (neither FFmpeg nor a
driver promises it), so the thread is left behind, and the camera opened again in another one. Threads that were left
behind and have not come back are counted, and bounded.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from edge.backoff import Backoff
from edge.config import WatchdogConfig
from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.metrics import SourceState, Tally

_LOG = logging.getLogger(__name__)

_INTERVALS: Final = 32
_CLOCK_OFF_US: Final = 10_000_000
_LAST_WAIT_S: Final = 1.0
_SPARSE: Final = 8


class Camera(Protocol):
    """A live camera, once."""

    @property
    def name(self) -> str:
        """For the log: without credentials."""

    def frames(self) -> Generator[CapturedFrame]:
        """Open the camera and give its frames, times rising from 0, until it is lost.

        Any call may take for ever. Closing the generator lets go of the camera.

        Raises:
            SourceError, av.FFmpegError, OSError: why it is lost; a clean end is a lost camera, too.
        """


class LiveSource:
    """Frames of a camera until it is told to stop, whatever the camera does.

    Presentation times rise over lost connections, and keep to the monotonic clock of this machine within ten seconds
    where the camera's own clock does not.
    """

    live = True

    def __init__(
        self, camera: Camera, stopped: threading.Event, tally: Tally, watchdog: WatchdogConfig
    ) -> None:
        self._camera = camera
        self._stopped = stopped
        self._tally = tally
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._left: list[_Connection] = []
        self._told = ""
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def frames(self) -> Iterator[CapturedFrame]:
        """Frames until `close`.

        Raises:
            Exception: a fault of ours in reading the camera.
        """
        watchdog = self._watchdog
        backoff = Backoff(watchdog.reopen_base_s, watchdog.reopen_cap_s, watchdog.reopen_healthy_s)
        clock = _Clock(self._tally)
        opened = 0
        while self._may_open():
            connection = _Connection(self._camera)
            with self._lock:
                # Under the lock, so that `close` finds the connection or is seen here.
                if self._stopped.is_set():
                    return
                self._connection = connection
            self._tally.source_reconnects += opened > 0
            opened += 1
            clock.connected()
            try:
                connection.open()
                yield from self._watched(connection, clock)
                return
            except _CameraLost as lost:
                self._tally.source_freezes += lost.state is SourceState.FROZEN
                self._tell(lost.state, logging.WARNING, f"{lost}; it is opened again until it is back")
            finally:
                connection.leave()
                self._left.append(connection)
            backoff.lived(connection.lived_s)
            if self._stopped.wait(backoff.next_wait()):
                return

    def close(self) -> None:
        """End at once, also where the camera does not."""
        self._stopped.set()
        with self._lock:
            if self._connection is not None:
                self._connection.leave()

    def _may_open(self) -> bool:
        """Wait while too many readers are left behind; False when told to stop."""
        while not self._stopped.is_set():
            self._count_left()
            if len(self._left) < self._watchdog.abandoned:
                return True
            self._tell(
                SourceState.FROZEN,
                logging.ERROR,
                f"{len(self._left)} reads have not come back; it is opened again when one does, or when this "
                "process is started again",
            )
            self._stopped.wait(_LAST_WAIT_S)
        return False

    def _count_left(self) -> None:
        self._left = [connection for connection in self._left if connection.reading]
        self._tally.source_hung = len(self._left)

    def _watched(self, connection: _Connection, clock: _Clock) -> Iterator[CapturedFrame]:
        """Frames of one connection; returns when it was left.

        Raises:
            _CameraLost: it ended, failed, or gave no frame in time.
        """
        watchdog, still = self._watchdog, _StillMeter()
        last_at: float | None = None
        while True:
            limit_s = watchdog.frozen_s
            if last_at is None or not self._intervals:
                limit_s = max(limit_s, watchdog.first_frame_s)
            else:
                limit_s = max(limit_s, watchdog.frozen_frames * statistics.median(self._intervals))
            taken = connection.take(limit_s)
            if taken is None:
                return
            frame, at = taken
            if self._left:
                self._count_left()
            if last_at is None:
                height, width = frame.image.shape[:2]
                self._tell(SourceState.GIVING, logging.INFO, f"gives frames of {width}x{height}")
            else:
                self._intervals.append(at - last_at)
            last_at = at
            still_s = still.measure(frame.image, at)
            if still_s >= watchdog.still_s:
                self._tell(
                    SourceState.STILL,
                    logging.WARNING,
                    f"has shown exactly the same picture for {watchdog.still_s:.0f} s: look whether it hangs",
                )
            elif self._tally.source is SourceState.STILL:
                self._tell(SourceState.GIVING, logging.INFO, "shows another picture again")
            yield replace(frame, pts_us=clock.place(frame.pts_us, at))

    def _tell(self, state: SourceState, level: int, text: str) -> None:
        """Note the state; log it where it is another one than before, or has another reason."""
        self._tally.source = state
        if text != self._told:
            _LOG.log(level, "camera %s: %s", self._camera.name, text)
            self._told = text


class _CameraLost(Exception):
    """This connection to the camera is over."""

    def __init__(self, state: SourceState, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class _Connection:
    """One thread that reads the camera, and the one frame that it may be ahead of its taker."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._condition = threading.Condition()
        self._frame: tuple[CapturedFrame, float] | None = None
        self._over: Exception | None = None
        self._left = False
        self._first_at = self._last_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"camera {camera.name}", daemon=True)

    @property
    def lived_s(self) -> float:
        """From the first frame to the last."""
        return self._last_at - self._first_at

    @property
    def reading(self) -> bool:
        """Whether the thread is still in the camera's hands."""
        return self._thread.is_alive()

    def open(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, limit_s: float) -> tuple[CapturedFrame, float] | None:
        """The next frame and when it was decoded, monotonic seconds; None once left.

        Raises:
            _CameraLost: the camera is lost, or gave no frame for `limit_s`.
        """
        with self._condition:
            # No more than a bool: a local that is the failure, and the failure's trace back, would hold each other.
            came = self._condition.wait_for(
                lambda: self._frame is not None or self._over is not None or self._left, limit_s
            )
            if self._left:
                return None
            if not came:
                raise _CameraLost(SourceState.FROZEN, f"no frame for {limit_s:.1f} s")
            if self._frame is None:
                assert self._over is not None
                raise self._over
            frame, self._frame = self._frame, None
            self._condition.notify_all()
            return frame

    def leave(self) -> None:
        """Want no more: the thread ends as soon as the camera lets it."""
        with self._condition:
            self._left = True
            # The failure's trace back leads here again, with the last pictures on its way: a cycle that waits for a
            # collection of garbage, which may be hours away.
            self._frame = self._over = None
            self._condition.notify_all()

    def _run(self) -> None:
        over: Exception = _CameraLost(SourceState.AWAY, "its stream ended")
        try:
            with closing(self._camera.frames()) as frames:
                for frame in frames:
                    if not self._give(frame):
                        return
        except (av.FFmpegError, OSError) as error:
            # Not the whole text: FFmpeg's holds the address with its password.
            over = _CameraLost(SourceState.AWAY, error.strerror or type(error).__name__)
        except SourceError as error:
            over = _CameraLost(SourceState.AWAY, str(error))
        except Exception as error:
            over = error
        with self._condition:
            self._over = over
            self._condition.notify_all()

    def _give(self, frame: CapturedFrame) -> bool:
        """Lay `frame` out and wait until the one before it is taken; False when nobody wants more."""
        at = self._last_at = time.monotonic()
        self._first_at = self._first_at or at
        with self._condition:
            self._condition.wait_for(lambda: self._frame is None or self._left)
            self._frame = (frame, at)
            self._condition.notify_all()
            return not self._left


class _Clock:
    """Places frames in time by their camera's clock while that goes on as ours does, else by ours."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._began: float | None = None
        self._ahead_us: int | None = None
        self._last_us = -1

    def connected(self) -> None:
        """The camera's times begin again."""
        self._ahead_us = None

    def place(self, pts_us: int, at: float) -> int:
        """Presentation time of a frame that the camera gives `pts_us` and that was decoded `at`, monotonic seconds."""
        if self._began is None:
            self._began = at
        now_us = round((at - self._began) * 1e6)
        if self._ahead_us is not None and abs(pts_us + self._ahead_us - now_us) > _CLOCK_OFF_US:
            self._tally.source_clock_jumps += 1
            self._ahead_us = None
        if self._ahead_us is None:
            self._ahead_us = max(now_us, self._last_us + 1) - pts_us
        self._last_us = max(pts_us + self._ahead_us, self._last_us + 1)
        return self._last_us


class _StillMeter:
    """For how long a camera has given the very same picture: one with a sensor never does, for the noise in it."""

    def __init__(self) -> None:
        self._picture: NDArray[np.uint8] | None = None
        self._since = 0.0

    def measure(self, image: NDArray[np.uint8], at: float) -> float:
        """Seconds since the first of the pictures that all equal `image`, taken `at`."""
        if self._picture is None or not _equal(self._picture, image):
            self._picture, self._since = image, at
        return at - self._since


def _equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    # Few pixels tell nearly all pictures apart.
    sparse = np.s_[::_SPARSE, ::_SPARSE]
    return np.array_equal(one[sparse], other[sparse]) and np.array_equal(one, other)
