"""So many of something a minute, for each of whoever asks."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from server.errors import TooManyRequestsError


@dataclass(frozen=True)
class Quota:
    """What a caller may have in `window` seconds, what is left of it, and when it grows again, seconds from now."""

    name: str
    count: int
    window: float
    left: int
    grows_in: int

    @property
    def policy(self) -> str:
        """As in the field `RateLimit-Policy`."""
        return f'"{self.name}";q={self.count};w={self.window:.0f}'

    @property
    def state(self) -> str:
        """As in the field `RateLimit`."""
        return f'"{self.name}";r={self.left};t={self.grows_in}'


counted: ContextVar[list[Quota] | None] = ContextVar("server.access.throttle.counted", default=None)
"""Where the quotas go that a request has counted against, if somebody wants to tell."""


class Throttle:
    """At most `count` in any `window` seconds for each key. The keys seen last are remembered, up to `most_keys`.

    Args:
        policy: what callers are told their quota by; None: they are not told.
    """

    def __init__(
        self,
        what: str,
        count: int,
        *,
        policy: str | None = None,
        window: float = 60.0,
        most_keys: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._policy = policy
        self._count = count
        self._window = window
        self._most_keys = most_keys
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str, count: int = 1) -> None:
        """Count so many more.

        Raises:
            TooManyRequestsError: it would be too many; none of them counts.
        """
        now = self._clock()
        taken = self._taken.setdefault(key, deque())
        self._taken.move_to_end(key)
        while taken and taken[0] <= now - self._window:
            taken.popleft()
        too_many = len(taken) + count - self._count
        if too_many > 0:
            # As many as are too many have to be forgotten first.
            begun = taken[min(too_many, len(taken)) - 1] if taken else now
            self._tell(taken, now)
            raise TooManyRequestsError(self._what, max(1, math.ceil(begun + self._window - now)))
        taken.extend([now] * count)
        self._tell(taken, now)
        while len(self._taken) > self._most_keys:
            self._taken.popitem(last=False)

    def _tell(self, taken: deque[float], now: float) -> None:
        told = counted.get()
        if told is None or self._policy is None:
            return
        oldest = taken[0] if taken else now
        grows_in = max(0, math.ceil(oldest + self._window - now))
        told.append(
            Quota(self._policy, self._count, self._window, max(0, self._count - len(taken)), grows_in)
        )
