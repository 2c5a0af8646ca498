"""A network camera by RTSP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import av

from edge.backoff import Backoff
from edge.frame import CapturedFrame
from edge.sources.decoded_video import decoded_frames

_LOG = logging.getLogger(__name__)

# Over TCP, because a lost UDP packet is a smeared picture; the I/O limits end a read from a camera that froze.
_OPEN_TIMEOUT_S: Final = 10.0
_READ_TIMEOUT_S: Final = 5.0
_OPTIONS: Final = {"rtsp_transport": "tcp", "timeout": str(int(_READ_TIMEOUT_S * 1e6))}
_BACKOFF_BASE_S: Final = 0.5
_BACKOFF_CAP_S: Final = 30.0
_BACKOFF_HEALTHY_S: Final = 30.0


class RtspCamera:
    """A camera that is opened again whenever its stream ends.

    FFmpeg reports a camera that went away as a clean end of stream, so that a clean end is a lost connection too.
    """

    live = True

    def __init__(self, url: str, stopped: threading.Event, reconnected: Callable[[], None]) -> None:
        self._url = url
        parts = urlsplit(url)
        # Credentials stay out of the log.
        self._name = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._stopped = stopped
        self._reconnected = reconnected

    def frames(self) -> Iterator[CapturedFrame]:
        """Frames until `close`.

        Presentation times go on rising over lost connections, and where a camera's own time stamps do not.
        """
        backoff = Backoff(_BACKOFF_BASE_S, _BACKOFF_CAP_S, _BACKOFF_HEALTHY_S)
        first_ns: int | None = None
        last_us = -1
        while not self._stopped.is_set():
            connection_began_us: int | None = None
            frame: CapturedFrame | None = None
            end = "its stream ended"
            try:
                with av.open(
                    self._url, options=_OPTIONS, timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S)
                ) as container:
                    for frame in decoded_frames(container, self._name):
                        if self._stopped.is_set():
                            return
                        if first_ns is None:
                            first_ns = frame.captured_at_ns
                        if connection_began_us is None:
                            connection_began_us = (frame.captured_at_ns - first_ns) // 1000
                        last_us = max(last_us + 1, connection_began_us + frame.pts_us)
                        yield replace(frame, pts_us=last_us)
            except (av.FFmpegError, OSError) as error:
                # Not the whole text: FFmpeg's holds the address with its password.
                end = error.strerror or type(error).__name__
            if frame is not None:
                backoff.lived(frame.pts_us / 1e6)
            wait = backoff.next_wait()
            _LOG.warning("camera %s: %s; opening it again in %.1f s", self._name, end, wait)
            if self._stopped.wait(wait):
                return
            self._reconnected()

    def close(self) -> None:
        """End at the next frame or at the end of a wait."""
        self._stopped.set()
