"""A camera at this machine: USB, CSI or a capture card, through Video4Linux."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import av

from edge.errors import SourceError
from edge.frame import CapturedFrame
from edge.sources.decoded_video import decoded_frames

_OPTIONS: Final = ("width", "height", "fps", "format")


class V4l2Camera:
    """The device of `v4l2:///dev/video0?width=1280&height=720&fps=15&format=mjpeg`, or of plain `/dev/video0`.

    What is left out the driver chooses. `format` is FFmpeg's name of a pixel format or of a codec that the camera has:
    over USB most give their larger pictures only as `mjpeg`.
    """

    def __init__(self, address: str) -> None:
        """Raises SourceError for an option that there is not."""
        parts = urlsplit(address)
        self.name = parts.path
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(given.keys() - set(_OPTIONS)):
            raise SourceError(
                f"{address}: there is no option {unknown[0]!r}", f"there are {', '.join(_OPTIONS)}"
            )
        for name in ("width", "height", "fps"):
            if name in given and not (given[name].isdecimal() and int(given[name]) > 0):
                raise SourceError(f"{address}: {name} is {given[name]!r}", "give a whole number above 0")
        if ("width" in given) != ("height" in given):
            raise SourceError(f"{address}: one side alone is given", "give width and height, or neither")
        self._options: dict[str, str] = {}
        if "width" in given:
            self._options["video_size"] = f"{given['width']}x{given['height']}"
        if "fps" in given:
            self._options["framerate"] = given["fps"]
        if "format" in given:
            self._options["input_format"] = given["format"]

    def frames(self) -> Generator[CapturedFrame]:
        """Frames until the device fails or is unplugged; see `edge.sources.live.Camera`."""
        with av.open(self.name, format="v4l2", options=self._options) as container:
            yield from decoded_frames(container, self.name, live=True)
