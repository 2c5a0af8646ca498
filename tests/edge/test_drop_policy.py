from __future__ import annotations

import pytest

from edge.drop_policy import Backlog, KeepAll, NewestWins, SpoolAll, SpoolNewest
from edge.metrics import DropReason


@pytest.mark.parametrize(
    ("unsent", "unacknowledged", "expected"),
    [(0, 0, True), (3, 3, True), (4, 4, False), (0, 63, True), (0, 64, False), (3, 64, False)],
)
def test_newest_wins_bounds_what_waits_and_what_is_under_way(
    unsent: int, unacknowledged: int, expected: bool
) -> None:
    policy = NewestWins(max_unsent=4, max_unacknowledged=64)
    assert policy.may_encode(Backlog(unsent, unacknowledged, in_memory=unacknowledged)) is expected
    assert not policy.holds_source


@pytest.mark.parametrize(("unacknowledged", "expected"), [(0, True), (63, True), (64, False)])
def test_keep_all_bounds_memory_alone_and_holds_the_source(unacknowledged: int, expected: bool) -> None:
    policy = KeepAll(max_unacknowledged=64)
    assert policy.may_encode(Backlog(unacknowledged, unacknowledged, in_memory=unacknowledged)) is expected
    assert policy.holds_source


@pytest.mark.parametrize(
    ("unsent", "in_memory", "caught_up", "expected"),
    [
        (0, 0, True, True),
        (4, 0, True, False),
        (100_000, 0, False, True),
        (100_000, 63, False, True),
        (100_000, 64, False, False),
        (64, 64, True, False),
    ],
)
def test_a_spool_takes_all_frames_until_the_server_has_caught_up_and_the_newest_from_then_on(
    unsent: int, in_memory: int, caught_up: bool, expected: bool
) -> None:
    policy = SpoolNewest(max_unsent=4, max_unacknowledged=64)
    assert policy.may_encode(Backlog(unsent, unsent, in_memory, caught_up)) is expected
    assert not policy.holds_source


@pytest.mark.parametrize(
    ("in_memory", "has_room", "expected"),
    [(0, True, True), (0, False, False), (63, False, True), (64, True, False)],
)
def test_a_spool_for_all_frames_takes_them_while_it_has_room(
    in_memory: int, has_room: bool, expected: bool
) -> None:
    policy = SpoolAll(holds_source=True, max_unacknowledged=64)
    assert policy.may_encode(Backlog(1000, 1000, in_memory, has_room=has_room)) is expected
    assert policy.reason == DropReason.SPOOL_FULL
