"""Sums over the last minute or hour."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
_STEPS: Final = 60


class Trailing:
    """What was added within the last `span` seconds, to a sixtieth of it. Any thread may add and ask.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, span: float = MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        self._span = span
        self._step = span / _STEPS
        self._clock = clock
        self._began = clock()
        self._sums: deque[tuple[int, float]] = deque()
        self._lock = threading.Lock()

    def add(self, amount: float = 1.0) -> None:
        """Add `amount` now."""
        step = int(self._clock() / self._step)
        with self._lock:
            if self._sums and self._sums[-1][0] == step:
                amount += self._sums.pop()[1]
            self._sums.append((step, amount))
            self._forget(step)

    @property
    def total(self) -> float:
        """The sum."""
        with self._lock:
            self._forget(int(self._clock() / self._step))
            return sum(amount for _, amount in self._sums)

    @property
    def age(self) -> float:
        """Seconds that it covers: the span, or less at first."""
        return min(self._span, self._clock() - self._began)

    @property
    def per_second(self) -> float:
        """The sum over the time that it covers, one second at least."""
        return self.total / max(1.0, self.age)

    def _forget(self, step: int) -> None:
        while self._sums and self._sums[0][0] <= step - _STEPS:
            self._sums.popleft()
