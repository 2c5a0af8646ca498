"""A recording, in any container and codec that FFmpeg reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.sources.decoded_video import decoded_frames


class VideoFile:
    """The first video stream of a file."""

    live = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def frames(self) -> Iterator[CapturedFrame]:
        """Frames from the beginning.

        Raises:
            SourceError: the file is no video, or a broken one.
        """
        try:
            with av.open(str(self._path)) as container:
                yield from decoded_frames(container, str(self._path))
        except (av.FFmpegError, OSError) as error:
            raise SourceError(
                f"cannot read {self._path} as a video: {error.strerror or type(error).__name__}",
                "give a recording that a player shows",
            ) from error

    def close(self) -> None:
        """Nothing waits in a file."""
