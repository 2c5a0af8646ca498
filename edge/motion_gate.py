"""Leaves out the frames of a scene in which nothing happens."""

from __future__ import annotations

from edge.change import ChangeMeter
from edge.config import MotionConfig
from edge.frame import CapturedFrame


class MotionGate:
    """Lets a frame through when it differs from the last one let through, or when that is long ago.

    What changes slowly adds up until it counts, as the comparison is with the last frame let through.
    """

    def __init__(self, config: MotionConfig) -> None:
        self._least_change = config.least_change
        self._longest_us = round(config.longest_interval_s * 1e6)
        self._meter = ChangeMeter(config.threshold)
        self._last_us = 0

    def lets_through(self, frame: CapturedFrame) -> bool:
        """Whether `frame` is to be taken; times rise from frame to frame."""
        changed = self._meter.measure(frame.image) >= self._least_change
        if not changed and frame.pts_us - self._last_us < self._longest_us:
            return False
        self._meter.sent()
        self._last_us = frame.pts_us
        return True
