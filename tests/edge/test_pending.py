from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.config import SpoolConfig
from edge.errors import ProtocolError
from edge.home import Memory
from edge.metrics import DropReason, KeyCause, Tally
from edge.pending import Pending, PendingFrame
from edge.spool import Spool
from tests.edge.conftest import Frames


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def frames() -> Frames:
    return Frames()


@pytest.fixture(params=["memory", "disk"])
async def queue(request: pytest.FixtureRequest, tally: Tally, tmp_path: Path) -> AsyncIterator[Pending]:
    """An empty queue, with each of its homes: the rules are the same."""
    config = SpoolConfig(tmp_path)
    home = Memory() if request.param == "memory" else Spool(config, "door", False, None, tally)
    # So few are known that a test can go beyond.
    queue = Pending(tally, home, keys_known=4)
    await queue.open()
    yield queue
    await queue.close()


@pytest.fixture
async def pending(queue: Pending, frames: Frames) -> Pending:
    for name in "abcd":
        await queue.add(frames.key(name))
    return queue


async def send(pending: Pending, count: int) -> list[tuple[str, int]]:
    sent = []
    for _ in range(count):
        entry = await pending.next_unsent()
        assert entry is not None
        pending.mark_sent(entry)
        sent.append((entry.frame.machine.decode().removeprefix("machine "), entry.sequence))
    return sent


async def test_frames_are_named_in_the_order_in_which_they_are_sent(pending: Pending) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    assert await send(pending, 4) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert await pending.next_unsent() is None


async def test_a_frame_keeps_its_name_until_it_is_sent(pending: Pending) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    assert await pending.next_unsent() is await pending.next_unsent()
    assert await send(pending, 2) == [("a", 1), ("b", 2)]


async def test_an_ack_is_cumulative_and_may_come_twice(pending: Pending, tally: Tally) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 3)
    await pending.acknowledge(2)
    await pending.acknowledge(2)
    await pending.acknowledge(1)
    assert (tally.acked, pending.under_way, pending.backlog.unacknowledged) == (2, 1, 2)


async def test_an_ack_for_a_frame_that_was_never_sent_breaks_the_contract(pending: Pending) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 2)
    with pytest.raises(ProtocolError, match="frame 3"):
        await pending.acknowledge(3)


async def test_a_resumed_session_goes_on_after_the_last_stored_frame(pending: Pending, tally: Tally) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 3)
    await pending.welcome(session=7, last_stored_sequence=2)
    assert tally.acked == 2
    assert await send(pending, 2) == [("c", 3), ("d", 4)]
    assert (tally.sent, tally.resent) == (4, 1)


async def test_frames_that_a_resumed_session_has_passed_unanswered_are_presumed_stored(
    pending: Pending, tally: Tally
) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 4)
    await pending.acknowledge(1)
    # The server has refused the second or the third frame, or neither: the connection broke before it could tell.
    await pending.welcome(session=7, last_stored_sequence=4)
    assert (tally.acked, tally.presumed, pending.backlog.unacknowledged) == (4, 2, 0)


async def test_a_new_session_gives_every_frame_a_new_name(pending: Pending, tally: Tally) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 3)
    await pending.acknowledge(1)
    await pending.welcome(session=9, last_stored_sequence=0)
    assert await send(pending, 3) == [("b", 1), ("c", 2), ("d", 3)]
    assert tally.resent == 2


async def test_frames_of_a_stranger_in_our_session_make_the_next_hello_ask_for_a_new_one(
    pending: Pending,
) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 2)
    with pytest.raises(ProtocolError, match="another edge"):
        await pending.welcome(session=7, last_stored_sequence=5)
    assert pending.session == 0
    await pending.welcome(session=8, last_stored_sequence=0)
    assert await send(pending, 4) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


async def test_a_refused_frame_is_dropped_and_counted_by_reason(pending: Pending, tally: Tally) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 3)
    await pending.refuse(2, "NACK_REASON_BITSTREAM")
    await pending.refuse(2, "NACK_REASON_BITSTREAM")
    assert tally.dropped == {"nack_bitstream": 1}
    await pending.acknowledge(3)
    assert tally.acked == 2
    assert await send(pending, 1) == [("d", 4)]


async def test_waiting_ends_at_the_change_that_was_waited_for(pending: Pending) -> None:
    await pending.welcome(session=7, last_stored_sequence=0)
    await send(pending, 4)
    first = asyncio.create_task(pending.until_fewer_than(4))
    second = asyncio.create_task(pending.until_fewer_than(2))
    await asyncio.sleep(0)
    await pending.acknowledge(1)
    await first
    assert not second.done()
    await pending.acknowledge(4)
    await second


@pytest.fixture
async def group(queue: Pending, frames: Frames) -> Pending:
    """A queue with a key frame and three frames predicted from it: K, p, q, r."""
    key = frames.key("K")
    await queue.add(key)
    for name in "pqr":
        await queue.add(frames.predicted(name, key))
    return queue


async def sent(pending: Pending, count: int) -> list[PendingFrame]:
    entries = []
    for _ in range(count):
        entry = await pending.next_unsent()
        assert entry is not None
        pending.mark_sent(entry)
        entries.append(entry)
    return entries


async def test_a_predicted_frame_names_its_key_frame_as_it_is_called_when_sent(
    group: Pending, tally: Tally
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    key, first, second = await sent(group, 3)
    assert (key.key, key.name) == (None, (7, 1))
    assert [entry.key and entry.key.name for entry in (first, second)] == [(7, 1)] * 2
    assert (tally.sent, tally.sent_predicted) == (3, 2)


async def test_in_a_new_session_an_unacknowledged_key_frame_and_those_that_name_it_are_renamed(
    group: Pending,
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 3)
    await group.welcome(session=9, last_stored_sequence=0)
    key, *others = await sent(group, 4)
    assert key.name == (9, 1)
    assert [(entry.name, entry.key and entry.key.name) for entry in others] == [
        ((9, 2), (9, 1)),
        ((9, 3), (9, 1)),
        ((9, 4), (9, 1)),
    ]
    assert not group.key_wanted


async def test_in_a_new_session_a_stored_key_frame_keeps_its_name_and_another_one_is_asked_for(
    group: Pending, tally: Tally
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 3)
    await group.acknowledge(1)
    await group.welcome(session=9, last_stored_sequence=0)
    assert [(entry.name, entry.key and entry.key.name) for entry in await sent(group, 3)] == [
        ((9, 1), (7, 1)),
        ((9, 2), (7, 1)),
        ((9, 3), (7, 1)),
    ]
    assert group.key_wanted
    await group.welcome(session=10, last_stored_sequence=0)
    assert tally.key_requests == {KeyCause.SESSION: 1}


async def test_a_resumed_session_asks_for_no_key_frame(group: Pending) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 2)
    await group.welcome(session=7, last_stored_sequence=1)
    assert [entry.key and entry.key.name for entry in await sent(group, 3)] == [(7, 1)] * 3
    assert not group.key_wanted


async def test_frames_predicted_from_a_refused_key_frame_are_dropped_and_another_one_is_asked_for(
    group: Pending, tally: Tally, frames: Frames
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    key, _ = await sent(group, 2)
    await group.refuse(1, "NACK_REASON_BITSTREAM")
    assert (group.backlog.unsent, group.backlog.unacknowledged) == (0, 1), (
        "the server answers for what is under way"
    )
    assert tally.dropped == {"nack_bitstream": 1, DropReason.KEY_LOST: 2}
    await group.refuse(2, "NACK_REASON_REFERENCE")
    assert tally.dropped == {"nack_bitstream": 1, DropReason.KEY_LOST: 2, "nack_reference": 1}
    # This one was in the encoder when the answer came.
    await group.add(frames.predicted("s", key.frame))
    assert (group.backlog.unacknowledged, tally.dropped[DropReason.KEY_LOST]) == (0, 3)
    assert group.key_wanted
    assert tally.key_requests == {KeyCause.LOST: 1}
    await group.add(frames.key("L"))
    # The numbers of what was dropped unsent stay unused.
    assert [entry.name for entry in await sent(group, 1)] == [(7, 5)]


async def test_a_refused_reference_loses_the_key_frame_though_it_was_acknowledged(
    group: Pending, tally: Tally
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 2)
    await group.acknowledge(1)
    await group.refuse(2, "NACK_REASON_REFERENCE")
    assert tally.dropped == {"nack_reference": 1, DropReason.KEY_LOST: 2}
    assert group.key_wanted
    assert group.backlog.unacknowledged == 0


async def test_a_refused_predicted_frame_harms_no_other(group: Pending, tally: Tally) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 3)
    await group.refuse(2, "NACK_REASON_LIMIT")
    assert tally.dropped == {"nack_limit": 1}
    assert not group.key_wanted
    assert [entry.name for entry in await sent(group, 1)] == [(7, 4)]


async def test_frames_under_way_when_their_key_frame_is_lost_are_not_sent_on_another_connection(
    group: Pending, tally: Tally
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 4)
    await group.refuse(1, "NACK_REASON_BITSTREAM")
    assert group.under_way == 3
    await group.welcome(session=7, last_stored_sequence=0)
    assert await group.next_unsent() is None
    assert tally.dropped == {"nack_bitstream": 1, DropReason.KEY_LOST: 3}


async def test_a_key_frame_that_is_never_queued_takes_its_group_along(
    queue: Pending, tally: Tally, frames: Frames
) -> None:
    key = frames.key("K")
    await queue.lose(key)
    for name in "pq":
        await queue.add(frames.predicted(name, key))
    assert tally.dropped == {DropReason.KEY_LOST: 2}
    assert tally.key_requests == {KeyCause.LOST: 1}


async def test_a_key_frame_that_is_older_than_those_that_are_known_is_as_good_as_lost(
    queue: Pending, tally: Tally, frames: Frames
) -> None:
    keys = [frames.key(name) for name in "ABCDE"]
    for key in keys:
        await queue.add(key)
    await queue.add(frames.predicted("b", keys[1]))
    assert not queue.key_wanted
    await queue.add(frames.predicted("a", keys[0]))
    assert tally.dropped == {DropReason.KEY_LOST: 1}
    assert queue.key_wanted


async def test_a_key_frame_on_its_way_is_what_the_server_asks_for(
    group: Pending, tally: Tally, frames: Frames
) -> None:
    group.server_wants_key()
    assert not group.key_wanted
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 2)
    await group.acknowledge(1)
    group.server_wants_key()
    assert group.key_wanted
    assert tally.key_requests == {KeyCause.SERVER: 1}


async def test_a_lost_key_frame_that_the_server_asks_for_too_is_replaced_once(
    group: Pending, tally: Tally, frames: Frames
) -> None:
    await group.welcome(session=7, last_stored_sequence=0)
    await sent(group, 2)
    await group.acknowledge(1)
    await group.refuse(2, "NACK_REASON_REFERENCE")
    # The next frame is in the encoder, as a key frame, when the server's own wish arrives.
    group.key_wanted = False
    group.server_wants_key()
    assert not group.key_wanted
    await group.add(frames.key("L"))
    await sent(group, 1)
    await group.acknowledge(5)
    group.server_wants_key()
    assert tally.key_requests == {KeyCause.LOST: 1, KeyCause.SERVER: 1}
