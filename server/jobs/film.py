"""An MP4 file with H.264, written picture by picture, each shown when it was captured."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageOps

from shared_models.picture import Picture

MEDIA_TYPE: Final = "video/mp4"
_FORMAT: Final = "mp4"
_WHOLE: Final = {"movflags": "+faststart+use_metadata_tags"}
_TICKS: Final = 90_000
"""A second; MPEG's own."""
_LAST_S: Final = 0.2
"""For which a lone picture is shown."""
_OPTIONS: Final = {"preset": "veryfast", "crf": "20", "threads": "1", "bf": "0", "g": "50"}
"""On one thread, that of whoever writes, lest a film take all cores. Without B frames pictures lie in their order."""


class Film:
    """Takes pictures in order of time; whole once it was finished.

    A picture is shown until the next one's time, so that gaps hold the picture before them. The first picture and
    `width` decide on the size, which is even on both sides; a picture of another shape is fitted in, on black.
    """

    def __init__(self, path: Path, width: int | None) -> None:
        self._path = path
        self._width = width
        self._size: tuple[int, int] | None = None
        self._first_ns = 0
        self._last_tick, self._step = -1, round(_LAST_S * _TICKS)
        self._part = path.with_suffix(".part")
        self._container = av.open(str(self._part), "w", format=_FORMAT)
        self._stream = self._container.add_stream("libx264", options=dict(_OPTIONS))
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, _TICKS)
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        # As the conversion below, ITU-R BT.709 of limited range: players guess by the size of what says nothing.
        self._stream.codec_context.colorspace = 1
        self._stream.codec_context.color_primaries = 1
        self._stream.codec_context.color_trc = 1
        self._stream.codec_context.color_range = 1

    def add(self, picture: Picture, captured_ns: int) -> None:
        """Show a picture from its moment of capture on, nanoseconds since the epoch."""
        if self._size is None:
            self._size = _size(picture, self._width)
            self._stream.width, self._stream.height = self._size
            self._first_ns = captured_ns
        tick = round((captured_ns - self._first_ns) * _TICKS / 1e9)
        if self._last_tick >= 0:
            # Two pictures of one moment are shown one after the other.
            tick = max(tick, self._last_tick + 1)
            self._step = tick - self._last_tick
        self._last_tick = tick
        frame = av.VideoFrame.from_ndarray(_fitted(picture, self._size), format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
        self._write(frame)

    def close(self) -> None:
        """Write what is left. The last picture is shown for as long as the one before it."""
        try:
            if self._size is not None:
                self._write(None)
        finally:
            self._container.close()

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Put what is told of the whole before the pictures, where players look for it, once it was closed."""
        with (
            av.open(str(self._part)) as part,
            av.open(str(self._path), "w", format=_FORMAT, options=_WHOLE) as film,
        ):
            film.metadata.update(metadata)
            pictures = part.streams.video[0]
            stream = film.add_stream_from_template(pictures)
            for packet in part.demux(pictures):
                if packet.dts is not None:
                    packet.stream = stream
                    film.mux(packet)
        self._part.unlink()

    def _write(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            # The muxer takes it of the last one alone; of others it is the next one's time.
            packet.duration = self._step
            self._container.mux(packet)


def _size(picture: Picture, width: int | None) -> tuple[int, int]:
    """Even on both sides, as 4:2:0 takes it; never larger than the picture but for that."""
    own_height, own_width = picture.shape[:2]
    if width is None or width >= own_width:
        return own_width + own_width % 2, own_height + own_height % 2
    return width - width % 2, max(2, round(own_height * width / own_width / 2) * 2)


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    height, width = picture.shape[:2]
    if (width + width % 2, height + height % 2) == size:
        # The last column or row once more makes an odd size even.
        return np.ascontiguousarray(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
    image = Image.fromarray(picture)
    same_shape = abs(width * size[1] - height * size[0]) <= 2 * max(width, height)
    if same_shape:
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    return np.asarray(ImageOps.pad(image, size, Image.Resampling.LANCZOS))
