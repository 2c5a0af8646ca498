"""How fast somebody may do something: token buckets, alone and by name."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class Pace:
    """A token bucket that may be overdrawn.

    Args:
        per_second: tokens that come back.
        burst: tokens that it holds at most, and at first.
        clock: monotonic, seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    @property
    def tokens(self) -> float:
        """What is there; below 0 when more was taken than there was."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        return self._tokens

    @property
    def full(self) -> bool:
        """Whether nothing was taken for long."""
        return self.tokens >= self._burst

    @property
    def wait(self) -> float:
        """Seconds until it is no longer overdrawn."""
        return max(0.0, -self.tokens) / self._per_second

    def take(self, amount: float = 1.0) -> None:
        """Take tokens, whether they are there or not."""
        self._tokens = self.tokens - amount


class Paces:
    """One bucket for each name. Those that are full again are forgotten, and of too many the oldest."""

    def __init__(
        self, per_second: float, burst: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._most = most
        self._clock = clock
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paces)

    def take(self, name: str) -> float:
        """Take one token of `name`, if there is one; else the seconds until there is."""
        pace = self._paces.get(name)
        if pace is None:
            pace = self._paces[name] = Pace(self._per_second, self._burst, self._clock)
        self._paces.move_to_end(name)
        self._tidy()
        if pace.tokens < 1:
            return (1 - pace.tokens) / self._per_second
        pace.take()
        return 0.0

    def _tidy(self) -> None:
        while len(self._paces) > 1:
            oldest = next(iter(self._paces))
            if len(self._paces) <= self._most and not self._paces[oldest].full:
                return
            del self._paces[oldest]
