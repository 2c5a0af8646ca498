from __future__ import annotations

import pytest

from edge.drop_policy import Backlog, KeepAll, NewestWins


@pytest.mark.parametrize(
    ("unsent", "unacknowledged", "expected"),
    [(0, 0, True), (3, 3, True), (4, 4, False), (0, 63, True), (0, 64, False), (3, 64, False)],
)
def test_newest_wins_bounds_what_waits_and_what_is_under_way(
    unsent: int, unacknowledged: int, expected: bool
) -> None:
    policy = NewestWins(max_unsent=4, max_unacknowledged=64)
    assert policy.may_encode(Backlog(unsent, unacknowledged)) is expected
    assert not policy.holds_source


@pytest.mark.parametrize(("unacknowledged", "expected"), [(0, True), (63, True), (64, False)])
def test_keep_all_bounds_memory_alone_and_holds_the_source(unacknowledged: int, expected: bool) -> None:
    policy = KeepAll(max_unacknowledged=64)
    assert policy.may_encode(Backlog(unacknowledged, unacknowledged)) is expected
    assert policy.holds_source
