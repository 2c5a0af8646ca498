"""Ctrl-C while a run is training."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interruption:
    """Puts Ctrl-C off to where the run can be left; a second one ends it at once, as elsewhere.

    Only the main thread hears of it, and not at all a process that was started deaf to it.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._put_off = False

    def __enter__(self) -> Interruption:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._want)
            self._put_off = True
        return self

    def __exit__(self, *unused: object) -> None:
        if self._put_off:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _want(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
