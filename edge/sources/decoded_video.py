"""Frames of an opened container as captured frames: what files and network cameras share."""

from __future__ import annotations

import time
from collections.abc import Generator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import SourceError
from edge.frame import CapturedFrame

if TYPE_CHECKING:
    from av.container import InputContainer

_FALLBACK_FRAME_RATE: Final = Fraction(25)
_HIGHEST_FRAME_RATE: Final = 1000
_LONGEST_STEP_S: Final = 60
_MOST_PIXELS: Final = 8192 * 8192
"""Of a picture, before memory is taken for it: no camera's are larger, but a stream may claim anything."""


def decoded_frames(container: InputContainer, name: str, *, live: bool = False) -> Generator[CapturedFrame]:
    """Frames of the first video stream, RGB, in presentation order, times rising from 0.

    A frame comes one frame time after the one before it where it has no time stamp, or one that is not later, or later
    by more than a minute: a clock that was set, or a recording put together from several.

    Raises:
        SourceError: the container holds no video.
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
    stamped: Fraction | None = None
    at = Fraction(0)
    for index, frame in enumerate(container.decode(stream)):
        before = stamped
        stamped = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if index > 0:
            step = 1 / frame_rate
            if before is not None and stamped is not None and 0 < stamped - before <= _LONGEST_STEP_S:
                step = stamped - before
            at += step
        yield CapturedFrame(
            image=frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False),
            captured_at_ns=time.time_ns(),
            pts_us=round(at * 1_000_000),
        )
