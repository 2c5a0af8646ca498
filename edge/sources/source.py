"""The contract of a source, and which one an address names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from edge.errors import SourceError
from edge.frame import CapturedFrame


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


def open_source(
    address: str, stopped: threading.Event, reconnected: Callable[[], None] = lambda: None
) -> FrameSource:
    """The source that `address` names: a folder of images, a video file, or an rtsp:// URL.

    Args:
        stopped: set when the reader wants no more; a source that waits also watches it.
        reconnected: called when a live source was lost and opened again.

    Raises:
        SourceError: nothing is there, or it is of no known kind.
    """
    from edge.sources.image_folder import ImageFolder
    from edge.sources.rtsp import RtspCamera
    from edge.sources.video_file import VideoFile

    scheme = urlsplit(address).scheme.lower()
    if scheme in ("rtsp", "rtsps"):
        return RtspCamera(address, stopped, reconnected)
    if "://" in address and scheme != "file":
        raise SourceError(
            f"{scheme}:// is no known kind of source: give rtsp://, a video file or an image folder"
        )
    path = Path(urlsplit(address).path if scheme == "file" else address).expanduser()
    if path.is_dir():
        return ImageFolder(path)
    if path.is_file():
        return VideoFile(path)
    raise SourceError(f"there is no file or folder {path}")
