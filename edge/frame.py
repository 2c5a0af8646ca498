"""A frame on its way through the edge: captured, then encoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """One picture of a camera.

    Attributes:
        image: uint8 RGB, height x width x 3.
        captured_at_ns: wall clock at capture, nanoseconds since the epoch.
        pts_us: presentation time inside the source, microseconds since its first frame.
    """

    image: NDArray[np.uint8]
    captured_at_ns: int
    pts_us: int


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """Both layers of a captured frame.

    Attributes:
        slices: enhancement slices in `enhancement`, 1 to 5.
        encode_us: time from pixels to bytes, microseconds.
        turn: its place among the frames that the encoder was given.
        key: turn of the key frame that it is predicted from; its own in a key frame, which needs no other.
        changed: share of the picture that differs from the key frame's, 0 to 1; 1 in a key frame.
    """

    machine: bytes
    enhancement: bytes
    slices: int
    captured_at_ns: int
    pts_us: int
    encode_us: int
    turn: int
    key: int
    changed: float

    @property
    def predicted(self) -> bool:
        """Whether it can be decoded only with its key frame."""
        return self.key != self.turn
