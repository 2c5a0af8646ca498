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


def test_many_at_once_count_all_or_not_at_all() -> None:
    now = 0.0
    throttle = Throttle("knocks", 10, window=60, clock=lambda: now)
    throttle.take("a", 4)
    now = 20.0
    throttle.take("a", 4)
    for count, free_at in ((3, 60), (6, 60), (7, 80), (10, 80)):
        with pytest.raises(TooManyRequestsError) as refused:
            throttle.take("a", count)
        assert refused.value.retry_after == free_at - now, count
    throttle.take("a", 2)
    with pytest.raises(TooManyRequestsError):
        throttle.take("b", 11)


def test_keys_that_come_once_do_not_fill_memory() -> None:
    throttle = Throttle("knocks", 2, most_keys=10)
    for number in range(100):
        throttle.take(str(number))
    assert len(throttle._taken) == 10
