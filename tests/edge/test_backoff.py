from __future__ import annotations

from edge.backoff import Backoff


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(base_s=0.5, cap_s=30.0, healthy_s=60.0, uniform=longest)
    assert [backoff.next_wait() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_night_of_failures_does_not_overflow() -> None:
    backoff = Backoff(base_s=0.5, cap_s=30.0, healthy_s=60.0, uniform=longest)
    for _ in range(5000):
        backoff.next_wait()
    assert backoff.next_wait() == 30.0


def test_waits_are_spread_over_the_whole_range() -> None:
    backoff = Backoff(base_s=8.0, cap_s=8.0, healthy_s=60.0)
    waits = [backoff.next_wait() for _ in range(400)]
    assert all(0.0 <= wait <= 8.0 for wait in waits)
    assert min(waits) < 2.0
    assert max(waits) > 6.0


def test_only_a_healthy_connection_begins_the_series_again() -> None:
    backoff = Backoff(base_s=1.0, cap_s=30.0, healthy_s=60.0, uniform=longest)
    assert [backoff.next_wait(), backoff.next_wait()] == [1.0, 2.0]
    backoff.lived(59.9)
    assert backoff.next_wait() == 4.0
    backoff.lived(60.0)
    assert backoff.next_wait() == 1.0
