"""So many a minute."""

from __future__ import annotations

import pytest

from server.access.throttle import Throttle
from server.errors import TooManyRequestsError


def test_a_window_slides_and_keys_do_not_share_it() -> None:
    now = 0.0
    throttle = Throttle("knocks", 2, window=60, clock=lambda: now)
    throttle.take("a")
    now = 20.0
    throttle.take("a")
    with pytest.raises(TooManyRequestsError, match="knocks") as refused:
        throttle.take("a")
    assert refused.value.retry_after == 40
    throttle.take("b")
    now = 60.0
    throttle.take("a")
    with pytest.raises(TooManyRequestsError):
        throttle.take("a")


def test_keys_that_come_once_do_not_fill_memory() -> None:
    throttle = Throttle("knocks", 2, most_keys=10)
    for number in range(100):
        throttle.take(str(number))
    assert len(throttle._taken) == 10
