"""Frames of an opened container as captured frames: what files and network cameras share."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Generator
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
import numpy as np
from numpy.typing import NDArray

from edge.errors import SourceError
from edge.frame import CapturedFrame

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.sidedata.sidedata import SideDataContainer
    from av.video.stream import VideoStream

_LOG = logging.getLogger(__name__)

_FALLBACK_FRAME_RATE: Final = Fraction(25)
_HIGHEST_FRAME_RATE: Final = 1000
_LONGEST_STEP_S: Final = 60
_MOST_PIXELS: Final = 8192 * 8192
"""Of a picture, before memory is taken for it: no camera's are larger, but a stream may claim anything."""
_MOST_DAMAGED: Final = 250
"""Packets in a row that cannot be decoded before the stream counts as broken: ten seconds of most cameras."""
_MATRIX: Final = "DISPLAYMATRIX"


def decoded_frames(container: InputContainer, name: str, *, live: bool = False) -> Generator[CapturedFrame]:
    """Frames of the first video stream, RGB, upright, in presentation order, times rising from 0.

    A frame comes one frame time after the one before it where it has no time stamp, or one that is not later, or later
    by more than a minute: a clock that was set, or a recording put together from several. Damaged packets are left out,
    and their number is told in the log.

    Raises:
        SourceError: the container holds no video, or none that can be decoded from some place on.
        av.FFmpegError: the stream breaks off.
    """
    if not container.streams.video:
        raise SourceError(f"{name} holds no video stream")
    stream = container.streams.video[0]
    # Threads that share out pictures, not parts of one, hold back as many pictures as there are threads.
    stream.thread_type = "SLICE" if live else "AUTO"
    stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
    frame_rate = stream.average_rate
    # Containers that do not know it give 0, or the ticks of their clock.
    if frame_rate is None or not 0 < frame_rate <= _HIGHEST_FRAME_RATE:
        frame_rate = _FALLBACK_FRAME_RATE
    upright = _Upright()
    stamped: Fraction | None = None
    at = Fraction(0)
    for index, frame in enumerate(_decoded(container, stream, name)):
        before = stamped
        stamped = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if index > 0:
            step = 1 / frame_rate
            if before is not None and stamped is not None and 0 < stamped - before <= _LONGEST_STEP_S:
                step = stamped - before
            at += step
        yield CapturedFrame(
            image=upright(frame),
            captured_at_ns=time.time_ns(),
            pts_us=round(at * 1_000_000),
        )


def _decoded(container: InputContainer, stream: VideoStream, name: str) -> Generator[VideoFrame]:
    """Frames of `stream` past what is damaged in it."""
    damaged = in_a_row = 0
    decoded = False
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError as error:
                damaged += 1
                in_a_row += 1
                if in_a_row == _MOST_DAMAGED:
                    raise SourceError(f"{name}: {in_a_row} packets in a row cannot be decoded") from error
                continue
            in_a_row = 0
            decoded |= bool(frames)
            yield from frames
        if damaged and not decoded:
            raise SourceError(f"{name}: none of its packets can be decoded")
    finally:
        if damaged:
            _LOG.warning("%s: %d packets could not be decoded and were left out", name, damaged)


class _Upright:
    """Pixels as a player shows them: turned and mirrored by the nearest quarter turns of the display matrix.

    `VideoFrame.rotation` says half a turn of a picture that is mirrored from left to right, so the matrix is read: of
    the first frame, and when the rotation changes. A frame that was asked for its side data and the side data hold each
    other until garbage is collected, and with them pixels and threads of a conversion: so a small copy is asked.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._transposed = False
        self._steps = (1, 1)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a frame."""
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._read(frame)
        image = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        if self._transposed:
            image = image.swapaxes(0, 1)
        down, right = self._steps
        return np.ascontiguousarray(image[::down, ::right])

    def _read(self, frame: VideoFrame) -> None:
        self._transposed, self._steps = False, (1, 1)
        # PyAV's stubs know of motion vectors alone.
        side_data = cast("SideDataContainer", frame.reformat(width=16, height=16, format="rgb24").side_data)
        if _MATRIX not in side_data:
            return
        # libavutil/display.h: x' = a x + c y and y' = b x + d y, the y axis pointing down.
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side_data[_MATRIX]))
        self._transposed = abs(b) > abs(a)
        if self._transposed:
            a, d = c, b
        self._steps = (-1 if d < 0 else 1, -1 if a < 0 else 1)
