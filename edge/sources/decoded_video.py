"""Frames of an opened container as captured frames: what files and network cameras share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import SourceError
from edge.frame import CapturedFrame

if TYPE_CHECKING:
    from av.container import InputContainer

_FALLBACK_FRAME_RATE: Final = Fraction(25)


def decoded_frames(container: InputContainer, name: str) -> Iterator[CapturedFrame]:
    """Frames of the first video stream, RGB, in presentation order.

    Frames without a time stamp are placed by the stream's frame rate.

    Raises:
        SourceError: the container holds no video.
        av.FFmpegError: the stream breaks off.
    """
    if not container.streams.video:
        raise SourceError(f"{name} holds no video stream")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    frame_rate = stream.average_rate or _FALLBACK_FRAME_RATE
    first_time: Fraction | None = None
    for index, frame in enumerate(container.decode(stream)):
        stamp, unit = frame.pts, frame.time_base
        at = index / frame_rate if stamp is None or unit is None else stamp * unit
        if first_time is None:
            first_time = at
        yield CapturedFrame(
            image=frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False),
            captured_at_ns=time.time_ns(),
            pts_us=round((at - first_time) * 1_000_000),
        )
