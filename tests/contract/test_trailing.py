"""Sums over the last minute."""

from __future__ import annotations

import pytest

from secondsight.trailing import Trailing


def test_what_is_older_than_the_span_is_forgotten() -> None:
    now = 0.0
    trailing = Trailing(60.0, clock=lambda: now)
    for second in range(90):
        now = float(second)
        trailing.add(2.0)
    assert trailing.total == 120.0
    assert trailing.per_second == pytest.approx(2.0)
    now = 149.0
    assert trailing.total == 0.0


def test_at_first_it_covers_what_there_was() -> None:
    now = 0.0
    trailing = Trailing(60.0, clock=lambda: now)
    trailing.add(5.0)
    assert trailing.per_second == 5.0
    now = 10.0
    assert trailing.per_second == 0.5
