"""How long to wait before another attempt."""

from __future__ import annotations

import random


def pause(failures: int, first: float, longest: float) -> float:
    """Seconds, after so many failures in a row: half of min(longest, first * 2**(failures - 1)), the rest by chance.

    Equal jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): never at once, and not all together.
    """
    ceiling = min(longest, first * 2.0 ** min(failures - 1, 64))
    return ceiling / 2 + random.uniform(0, ceiling / 2)
