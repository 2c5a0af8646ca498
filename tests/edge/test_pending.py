from __future__ import annotations

import asyncio

import pytest

from edge.errors import ProtocolError
from edge.frame import EncodedFrame
from edge.metrics import Tally
from edge.pending import Pending


def frame(name: str) -> EncodedFrame:
    return EncodedFrame(
        machine=name.encode(), enhancement=b"e", slices=5, captured_at_ns=0, pts_us=0, encode_us=1
    )


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def pending(tally: Tally) -> Pending:
    queue = Pending(tally)
    for name in "abcd":
        queue.add(frame(name))
    return queue


def send(pending: Pending, count: int) -> list[tuple[str, int]]:
    sent = []
    for _ in range(count):
        entry = pending.next_unsent()
        assert entry is not None
        pending.mark_sent(entry)
        sent.append((entry.frame.machine.decode(), entry.sequence))
    return sent


def test_frames_are_named_in_the_order_in_which_they_are_sent(pending: Pending) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    assert send(pending, 4) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert pending.next_unsent() is None


def test_a_frame_keeps_its_name_until_it_is_sent(pending: Pending) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    assert pending.next_unsent() is pending.next_unsent()
    assert send(pending, 2) == [("a", 1), ("b", 2)]


def test_an_ack_is_cumulative_and_may_come_twice(pending: Pending, tally: Tally) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 3)
    pending.acknowledge(2)
    pending.acknowledge(2)
    pending.acknowledge(1)
    assert (tally.acked, pending.under_way, pending.backlog.unacknowledged) == (2, 1, 2)


def test_an_ack_for_a_frame_that_was_never_sent_breaks_the_contract(pending: Pending) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 2)
    with pytest.raises(ProtocolError, match="frame 3"):
        pending.acknowledge(3)


def test_a_resumed_session_goes_on_after_the_last_stored_frame(pending: Pending, tally: Tally) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 3)
    pending.welcome(session=7, last_stored_sequence=2)
    assert tally.acked == 2
    assert send(pending, 2) == [("c", 3), ("d", 4)]
    assert (tally.sent, tally.resent) == (4, 1)


def test_frames_that_a_resumed_session_has_passed_unanswered_are_presumed_stored(
    pending: Pending, tally: Tally
) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 4)
    pending.acknowledge(1)
    # The server has refused the second or the third frame, or neither: the connection broke before it could tell.
    pending.welcome(session=7, last_stored_sequence=4)
    assert (tally.acked, tally.presumed, pending.backlog.unacknowledged) == (4, 2, 0)


def test_a_new_session_gives_every_frame_a_new_name(pending: Pending, tally: Tally) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 3)
    pending.acknowledge(1)
    pending.welcome(session=9, last_stored_sequence=0)
    assert send(pending, 3) == [("b", 1), ("c", 2), ("d", 3)]
    assert tally.resent == 2


def test_frames_of_a_stranger_in_our_session_make_the_next_hello_ask_for_a_new_one(pending: Pending) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 2)
    with pytest.raises(ProtocolError, match="another edge"):
        pending.welcome(session=7, last_stored_sequence=5)
    assert pending.session == 0
    pending.welcome(session=8, last_stored_sequence=0)
    assert send(pending, 4) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


def test_a_refused_frame_is_dropped_and_counted_by_reason(pending: Pending, tally: Tally) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 3)
    pending.refuse(2, "NACK_REASON_BITSTREAM")
    pending.refuse(2, "NACK_REASON_BITSTREAM")
    assert tally.dropped == {"nack_bitstream": 1}
    pending.acknowledge(3)
    assert tally.acked == 2
    assert send(pending, 1) == [("d", 4)]


async def test_waiting_ends_at_the_change_that_was_waited_for(pending: Pending) -> None:
    pending.welcome(session=7, last_stored_sequence=0)
    send(pending, 4)
    first = asyncio.create_task(pending.until_fewer_than(4))
    second = asyncio.create_task(pending.until_fewer_than(2))
    await asyncio.sleep(0)
    pending.acknowledge(1)
    await first
    assert not second.done()
    pending.acknowledge(4)
    await second
