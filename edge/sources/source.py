"""The contract of a source, and which one an address names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

from edge.config import WatchdogConfig
from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.metrics import Tally

if TYPE_CHECKING:
    from edge.sources.live import Camera


class FrameSource(Protocol):
    """Where pictures come from. One reader, in one thread.

    A source that ends on purpose (a recording) ends its iterator; one that fails raises SourceError; a live one
    connects again by itself and ends only when it is told to.
    """

    @property
    def live(self) -> bool:
        """True when the source has its own clock and does not wait for its reader."""

    def frames(self) -> Iterator[CapturedFrame]:
        """Frames in order, `captured_at_ns` being the time at which each was read. A recording can be read anew.

        Raises:
            SourceError: the source cannot be opened or read.
        """

    def close(self) -> None:
        """End the iterator soon, from any thread."""


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a live source needs beside its address."""

    stopped: threading.Event
    tally: Tally
    watchdog: WatchdogConfig

    def watched(self, camera: Camera) -> FrameSource:
        from edge.sources.live import LiveSource

        return LiveSource(camera, self.stopped, self.tally, self.watchdog)


def open_source(
    address: str,
    stopped: threading.Event,
    tally: Tally | None = None,
    watchdog: WatchdogConfig | None = None,
) -> FrameSource:
    """The source that `address` names: `SCHEMES`, a device, a folder of images, or a video file.

    Args:
        stopped: set when the reader wants no more; a source that waits also watches it.
        tally: is told how a live source does.
        watchdog: when a live source counts as frozen or still.

    Raises:
        SourceError: nothing is there, or it is of no known kind.
    """
    surroundings = _Surroundings(stopped, tally or Tally(), watchdog or WatchdogConfig())
    if address.startswith("/dev/"):
        return _v4l2(address, surroundings)
    if "://" not in address:
        return _recording(Path(address))
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError as error:
        # Without the address, which may hold a password.
        raise SourceError(
            "the source's address cannot be read", "write `[` and `]` in a user or a password as %5B and %5D"
        ) from error
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise SourceError(
            f"{scheme}:// is no known kind of source",
            f"give a video file, an image folder, /dev/videoN or one of {known}",
        )
    return SCHEMES[scheme](address, surroundings)


def _rtsp(address: str, surroundings: _Surroundings) -> FrameSource:
    from edge.sources.rtsp import RtspCamera

    return surroundings.watched(RtspCamera(address, surroundings.watchdog.frozen_s))


def _v4l2(address: str, surroundings: _Surroundings) -> FrameSource:
    from edge.sources.v4l2 import V4l2Camera

    return surroundings.watched(V4l2Camera(address))


def _synthetic(address: str, surroundings: _Surroundings) -> FrameSource:
    from edge.sources.synthetic import SyntheticCamera

    return surroundings.watched(SyntheticCamera(address))


def _file(address: str, surroundings: _Surroundings) -> FrameSource:
    return _recording(Path(unquote(urlsplit(address).path)))


def _recording(path: Path) -> FrameSource:
    from edge.sources.image_folder import ImageFolder
    from edge.sources.video_file import VideoFile

    path = path.expanduser()
    if path.is_dir():
        return ImageFolder(path)
    if path.is_file():
        return VideoFile(path)
    raise SourceError(f"there is no file or folder {path}")


SCHEMES: Final[dict[str, Callable[[str, _Surroundings], FrameSource]]] = {
    "rtsp": _rtsp,
    "rtsps": _rtsp,
    "v4l2": _v4l2,
    "synthetic": _synthetic,
    "file": _file,
}
"""What opens an address, by its scheme."""
