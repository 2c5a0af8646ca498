"""How long to wait before connecting again."""

from __future__ import annotations

import math
import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015).

    The n-th wait in a row is uniform in [0, min(cap, base * 2**n)] seconds, so that a fleet whose server comes
    back does not come back as one.

    Args:
        base_s: upper end of the first wait.
        cap_s: upper end of any wait.
        healthy_s: a connection that lived at least so long begins the series again; by default only `reset` does.
        uniform: source of chance, as `random.uniform`.
    """

    def __init__(
        self,
        base_s: float,
        cap_s: float,
        healthy_s: float = math.inf,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._healthy_s = healthy_s
        self._uniform = uniform
        self._failures = 0

    def lived(self, seconds: float) -> None:
        """Report for how long the last connection was up."""
        if seconds >= self._healthy_s:
            self.reset()

    def reset(self) -> None:
        """Begin the series again."""
        self._failures = 0

    def next_wait(self) -> float:
        """Seconds to wait now; every call lengthens the next one."""
        # The exponent is bounded because 2.0**1024 overflows, and nights are long.
        ceiling = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return self._uniform(0.0, ceiling)
