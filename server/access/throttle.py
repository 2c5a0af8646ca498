"""So many of something a minute, for each of whoever asks."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from server.errors import TooManyRequestsError


class Throttle:
    """At most `count` in any `window` seconds for each key. The keys seen last are remembered, up to `most_keys`."""

    def __init__(
        self,
        what: str,
        count: int,
        *,
        window: float = 60.0,
        most_keys: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
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
            raise TooManyRequestsError(self._what, max(1, math.ceil(begun + self._window - now)))
        taken.extend([now] * count)
        while len(self._taken) > self._most_keys:
            self._taken.popitem(last=False)
