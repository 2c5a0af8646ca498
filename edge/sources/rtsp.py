"""A network camera by RTSP."""

from __future__ import annotations

import errno
import time
from collections.abc import Generator
from typing import Final
from urllib.parse import urlsplit

import av

from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.sources.decoded_video import decoded_frames

# The watchdog leaves a frozen camera long before; these bring its thread back, which takes twice as long: a read, and
# then the farewell to the camera.
_OPEN_TIMEOUT_S: Final = 10.0
_READ_TIMEOUT_S: Final = 20.0
_REMEDY: Final = (
    "give rtsp://HOST/PATH or rtsp://USER:PASSWORD@HOST:PORT/PATH, with `/`, `?` and `#` in a password as "
    "%2F, %3F and %23"
)


class RtspCamera:
    """A camera at an rtsp:// or rtsps:// URL, over TCP, because a lost UDP packet is a smeared picture.

    FFmpeg reports a camera that went away as a clean end of stream.

    Args:
        longest_silence_s: that the camera may keep between two frames.
    """

    def __init__(self, url: str, longest_silence_s: float = 0.0) -> None:
        """Raises SourceError for an address without a host, or with a port that is no number."""
        self._url = url
        parts = urlsplit(url)
        # No message shows the address: it may hold a password.
        if not parts.hostname:
            raise SourceError("the camera's address names no host", _REMEDY)
        try:
            _ = parts.port
        except ValueError as error:
            raise SourceError("the port in the camera's address is no number to 65535", _REMEDY) from error
        # Some cameras take their password in the query.
        self.name = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        self._read_timeout_s = max(_READ_TIMEOUT_S, longest_silence_s)

    def frames(self) -> Generator[CapturedFrame]:
        """Frames of one connection; see `edge.sources.live.Camera`."""
        options = {"rtsp_transport": "tcp", "timeout": str(round(self._read_timeout_s * 1e6))}
        began = time.monotonic()
        try:
            container = av.open(self._url, options=options, timeout=(_OPEN_TIMEOUT_S, self._read_timeout_s))
        except av.FFmpegError as error:
            # FFmpeg calls what it was interrupted in invalid data.
            if time.monotonic() - began >= _OPEN_TIMEOUT_S:
                raise TimeoutError(errno.ETIMEDOUT, f"no answer for {_OPEN_TIMEOUT_S:.0f} s") from error
            raise
        with container:
            yield from decoded_frames(container, self.name, live=True)
