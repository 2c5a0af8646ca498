"""Encoded frames that the server has not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from edge.drop_policy import Backlog
from edge.errors import ProtocolError
from edge.frame import EncodedFrame
from edge.frame_trace import FrameTraces
from edge.home import Evicted, Home, Kept, Memory
from edge.metrics import DropReason, KeyCause, Stage, Tally
from edge.naming import UNNAMED
from secondsight.tracing import TraceContext
from secondsight.v1 import frame_pb2, ingest_pb2

_NACK_REFERENCE: Final = ingest_pb2.NackReason.Name(ingest_pb2.NACK_REASON_REFERENCE)
_AT_HAND: Final = 16
"""Frames that are not yet sent and fetched from their home together."""
_TEND_S: Final = 1.0


@dataclass(slots=True, eq=False, weakref_slot=True)
class PendingFrame:
    """An encoded frame and what became of it so far. A key frame's is kept for as long as others name it.

    Attributes:
        key: the key frame that it is predicted from; None in a key frame.
        session, sequence: its name; 0 until it is first sent in the present session. What was acknowledged keeps the
            name that it was acknowledged under.
        receipt: where its enhancement layer waits; None while no store has taken it.
        stored_as: session and sequence that the enhancement layer is stored under.
        queue_us: from capture to its first write on the uplink; None before that.
        queued_at, sent_at: monotonic times at which it was queued, and last written; the latter 0 before that.
        trace: its trace, chosen when it is first sent; None when it is not traced.
        lost: a key frame that the server does not have and never will.
        replaced: a key frame in whose place another one was asked for.
        number: its place among all frames of the camera.
    """

    frame: EncodedFrame
    key: PendingFrame | None = None
    session: int = 0
    sequence: int = 0
    receipt: frame_pb2.EnhancementReceipt | None = None
    stored_as: tuple[int, int] | None = None
    queue_us: int | None = None
    queued_at: float = field(default_factory=time.monotonic)
    sent_at: float = 0.0
    trace: TraceContext | None = None
    lost: bool = False
    replaced: bool = False
    number: int = 0

    @property
    def name(self) -> tuple[int, int]:
        """Session and sequence."""
        return self.session, self.sequence

    @property
    def viewable(self) -> bool:
        """Whether its enhancement layer is stored under its present name."""
        return self.receipt is not None and self.stored_as == self.name


class Pending:
    """Queue of the uplink, oldest frame first: those sent on this connection, then those still to be sent.

    The frames are in their home; at hand are those under way and the next few, so that memory does not grow with the
    queue. Names follow from the order of the frames (`edge.naming`). A frame whose key frame is lost can never be
    stored: it is dropped unless it is under way, where the server answers for it.

    For one event loop. What waits for the home is done one after the other; a frame that `next_unsent` gave stays the
    next one until the caller waits for something else.

    Args:
        home: where the frames wait; in memory if left out.
        keys_known: so many of the newest key frames can be named by frames that are added.
        traces: follows single frames.
    """

    def __init__(
        self,
        tally: Tally,
        home: Home | None = None,
        keys_known: int = 8,
        traces: FrameTraces | None = None,
    ) -> None:
        self._tally = tally
        self._traces = traces or FrameTraces()
        self._home: Home = Memory() if home is None else home
        self._at_hand: deque[PendingFrame] = deque()
        self._sent = 0
        self._fetched_through = self._released_through = 0
        self._sent_through = 0
        self._known_through = 0
        self._keys: dict[int, PendingFrame] = {}
        self._keys_known = keys_known
        self._by_number: WeakValueDictionary[int, PendingFrame] = WeakValueDictionary()
        self._caught_up = self._connected = False
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self.key_wanted = False

    async def open(self) -> None:
        """Take up what an earlier process has left.

        Raises:
            SpoolError: this edge may not use the spool.
        """
        await self._home.open()
        self._known_through = self._home.naming.issued
        before = self._tally.unacknowledged
        self._tally.inherited += max(0, self._home.frames - before)
        self._tally.drop(DropReason.RESTARTED, max(0, before - self._home.frames))
        self.notify()

    async def close(self) -> None:
        """Leave what waits to the next process, if its home outlives this one."""
        async with self._one_at_a_time:
            await self._home.close()

    @property
    def session(self) -> int:
        """The one to be resumed; 0 asks for a new one."""
        return self._home.naming.session

    @property
    def backlog(self) -> Backlog:
        """How much waits."""
        return self.backlog_with(0)

    def backlog_with(self, more: int) -> Backlog:
        """How much waits, and so many frames in the encoder."""
        home = self._home
        in_memory = home.in_memory
        return Backlog(
            unsent=home.frames - self._sent + more,
            unacknowledged=home.frames + more,
            in_memory=in_memory + more if in_memory else 0,
            caught_up=self._caught_up,
            has_room=home.has_room(more + 1),
        )

    @property
    def under_way(self) -> int:
        """Frames sent on this connection and not acknowledged."""
        return self._sent

    @property
    def has_unsent(self) -> bool:
        """Whether `next_unsent` has something to give."""
        return self._home.frames > self._sent and self._home.readable

    async def add(self, frame: EncodedFrame) -> None:
        """Append the newest frame; one whose key frame is lost is dropped."""
        await self._whole(self._add(frame))

    async def lose(self, frame: EncodedFrame) -> None:
        """Take note that `frame`, which was not added, will never be: others may be predicted from it."""
        pending = PendingFrame(frame, number=self._home.naming.issue())
        self._remember(pending)
        await self._whole(self._lose(pending))

    def want_key(self, cause: str, instead_of: PendingFrame) -> None:
        """Ask for a key frame instead of `instead_of`, once."""
        if not instead_of.replaced:
            instead_of.replaced = True
            # A newer key frame than that is already what would be asked for.
            if instead_of is self._newest_key:
                self._want_key(cause)

    def server_wants_key(self) -> None:
        """Ask for a key frame because the server does; one that is on its way already is what it wants."""
        newest = self._newest_key
        if newest is None:
            self._want_key(KeyCause.SERVER)
        elif newest.lost or newest.number <= self._released_through:
            self.want_key(KeyCause.SERVER, newest)

    async def welcome(self, session: int, last_stored_sequence: int) -> None:
        """Begin a connection: go on after `last_stored_sequence`, or give every frame a new name in a new session.

        The frames before the last stored one, whose answers the old connection lost, count as acknowledged. Welcome
        does not tell whether each was stored or refused, so they are also counted as presumed.

        In a new session frames go on naming a key frame of an earlier one that was acknowledged there: the server
        takes them for as long as it has that. A new session may well be one with an empty store, so a key frame is
        also asked for.

        Raises:
            ProtocolError: the server holds frames of this session that this edge never sent. The next Hello asks for
                a new session.
        """
        await self._whole(self._welcome(session, last_stored_sequence))

    def hang_up(self) -> None:
        """The connection is over."""
        self._connected = self._caught_up = False
        self._sent = 0
        self.notify()

    async def next_unsent(self) -> PendingFrame | None:
        """The frame to be sent next, named for the present session; None when all are under way."""
        async with self._one_at_a_time:
            if self._sent == len(self._at_hand):
                await self._fetch()
            if self._sent == len(self._at_hand):
                return None
            pending = self._at_hand[self._sent]
            pending.session, pending.sequence = self._home.naming.name(pending.number)
            return pending

    def mark_sent(self, pending: PendingFrame) -> None:
        """Count `pending`, which `next_unsent` has just given, as under way."""
        assert self._at_hand[self._sent] is pending
        self._sent += 1
        self._sent_through = pending.number
        self._known_through = max(self._known_through, pending.number)
        pending.sent_at = time.monotonic()
        self._tally.spending.machine(len(pending.frame.machine))
        if pending.queue_us is None:
            pending.queue_us = max(0, time.time_ns() - pending.frame.captured_at_ns) // 1000
            pending.trace = self._traces.begin()
            self._tally.spent(Stage.QUEUE, pending.sent_at - pending.queued_at)
            self._tally.sent += 1
            self._tally.sent_predicted += pending.key is not None
            self._tally.machine_bytes += len(pending.frame.machine)
        else:
            self._tally.resent += 1
        self._show()

    async def acknowledge(self, sequence: int) -> None:
        """Let go of all frames up to `sequence`.

        Raises:
            ProtocolError: that frame was not sent on this connection or before.
        """
        await self._whole(self._acknowledge(sequence))

    async def refuse(self, sequence: int, reason: str) -> None:
        """Drop a frame that the server will never store; one that is gone already is no matter.

        Raises:
            ProtocolError: no such frame was sent.
        """
        await self._whole(self._refuse(sequence, reason))

    async def tend(self) -> None:
        """Do what the home has to do now and then, until cancelled."""
        while True:
            await asyncio.sleep(_TEND_S)
            await self._whole(self._tend())

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until `predicate` holds; it is looked at after every change."""
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    async def until_fewer_than(self, count: int) -> None:
        """Wait until fewer than `count` frames are unacknowledged."""
        await self.until(lambda: self._home.frames < count)

    def notify(self) -> None:
        """Let those who wait look again."""
        self._caught_up |= self._connected and self._home.frames == self._sent
        self._show()
        self._changed.set()

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` when nothing else is being done, and to its end even if nobody waits for it any more."""

        async def alone() -> None:
            async with self._one_at_a_time:
                await work
            self.notify()

        await asyncio.shield(asyncio.ensure_future(alone()))

    def _show(self) -> None:
        tally, frames = self._tally, self._home.frames
        tally.unacknowledged, tally.unsent, tally.under_way = frames, frames - self._sent, self._sent
        tally.spool = self._home.report()

    @property
    def _newest_key(self) -> PendingFrame | None:
        return next(reversed(self._keys.values()), None)

    async def _add(self, frame: EncodedFrame) -> None:
        key = None
        if frame.predicted:
            key = self._keys.get(frame.key)
            if key is None:
                self._want_key(KeyCause.LOST)
            if key is None or key.lost:
                self._tally.drop(DropReason.KEY_LOST)
                return
        pending = PendingFrame(frame, key, number=self._home.naming.issue())
        self._remember(pending)
        number = pending.number
        all_at_hand = len(self._at_hand) == self._home.frames
        evicted = await self._home.put(
            Kept(number, number if key is None else key.number, frame), self._sent_through
        )
        if all_at_hand and number not in evicted.numbers and len(self._at_hand) - self._sent < _AT_HAND:
            self._at_hand.append(pending)
            self._fetched_through = number
        self._forget(evicted)

    async def _welcome(self, session: int, last_stored_sequence: int) -> None:
        self._sent = 0
        self._caught_up = False
        if session == self.session:
            await self._resume(last_stored_sequence)
        else:
            await self._begin(session, last_stored_sequence)
        for key in {frame.key for frame in self._at_hand if frame.key is not None and frame.key.lost}:
            await self._drop_orphans(key)
        self._connected = True

    async def _acknowledge(self, sequence: int) -> None:
        through, now = self._checked_number(sequence), time.monotonic()
        for pending in self._at_hand_through(through):
            if pending.sent_at:
                self._tally.spent(Stage.ROUND_TRIP, now - pending.sent_at)
                self._traces.settled(pending)
        await self._release(through)

    async def _refuse(self, sequence: int, reason: str) -> None:
        number = self._checked_number(sequence)
        for index in range(self._sent):
            pending = self._at_hand[index]
            if pending.number == number:
                del self._at_hand[index]
                self._sent -= 1
                self._tally.drop(DropReason.refused(reason))
                self._traces.settled(pending, reason)
                await self._home.drop(number)
                if pending.key is None:
                    await self._lose(pending)
                elif reason == _NACK_REFERENCE:
                    await self._lose(pending.key)
                return

    async def _tend(self) -> None:
        self._forget(await self._home.tend(self._sent_through))

    def _remember(self, pending: PendingFrame) -> None:
        if pending.key is None:
            self._by_number[pending.number] = pending
            self._keys[pending.frame.turn] = pending
            if len(self._keys) > self._keys_known:
                del self._keys[next(iter(self._keys))]

    async def _fetch(self) -> None:
        """Have the next frames at hand."""
        for kept in await self._home.after(self._fetched_through, _AT_HAND):
            self._fetched_through = kept.number
            key = self._key(kept.key) if kept.predicted else None
            if kept.predicted and (key is None or key.lost):
                self._tally.drop(DropReason.KEY_LOST)
                await self._home.drop(kept.number)
                continue
            pending = None if kept.predicted else self._by_number.get(kept.number)
            if pending is None:
                pending = PendingFrame(kept.frame, key, number=kept.number)
            if key is None:
                self._by_number[kept.number] = pending
            self._at_hand.append(pending)

    def _key(self, number: int) -> PendingFrame | None:
        """The key frame of that number; None if it is not known that the server has it, or will have it."""
        key = self._by_number.get(number)
        if key is not None:
            return key
        name = self._home.naming.name(number)
        if name == UNNAMED:
            return None
        # It was acknowledged, perhaps by another process. Whether its enhancement layer is stored the store knows.
        key = PendingFrame(
            _GONE, number=number, session=name[0], sequence=name[1], receipt=_SOMEWHERE, stored_as=name
        )
        self._by_number[number] = key
        return key

    async def _resume(self, last_stored_sequence: int) -> None:
        naming = self._home.naming
        through = naming.number(last_stored_sequence)
        if through > self._known_through:
            sent = naming.sequence(self._known_through)
            naming.leave()
            raise ProtocolError(
                f"the server has frame {last_stored_sequence} of this session, but {sent} is the last one sent: is "
                "another edge using this camera's name?"
            )
        count, last = await self._release(through)
        self._tally.presumed += count - (last == through)

    async def _begin(self, session: int, last_stored_sequence: int) -> None:
        naming = self._home.naming
        oldest = await self._home.oldest()
        naming.begin(session, naming.issued + 1 if oldest is None else oldest, last_stored_sequence)
        self._sent_through, self._known_through = 0, naming.number(last_stored_sequence)
        for pending in self._at_hand:
            pending.session = pending.sequence = 0
        await self._home.save_naming()
        newest = self._newest_key
        if newest is not None and newest.session:
            self.want_key(KeyCause.SESSION, newest)

    async def _release(self, through: int) -> tuple[int, int]:
        """Let go of acknowledged frames; returns how many, and the number of the last."""
        gone = self._at_hand_through(through)
        for _ in gone:
            self._at_hand.popleft()
        self._sent = max(0, self._sent - len(gone))
        self._released_through = max(self._released_through, through)
        self._fetched_through = max(self._fetched_through, through)
        released = await self._home.release(through)
        count = max(released.count, len(gone))
        for _ in range(count):
            self._tally.acknowledge()
        return count, max([released.last, *(pending.number for pending in gone)])

    async def _lose(self, key: PendingFrame) -> None:
        self._note_lost(key)
        await self._drop_orphans(key)

    def _note_lost(self, key: PendingFrame) -> None:
        key.lost = True
        self.want_key(KeyCause.LOST, key)

    async def _drop_orphans(self, key: PendingFrame) -> None:
        """Drop the unsent frames that are predicted from `key`."""
        last_under_way = self._at_hand[self._sent - 1].number if self._sent else 0
        self._keep_at_hand(lambda pending: pending.key is not key)
        self._tally.drop(DropReason.KEY_LOST, await self._home.drop_group(key.number, last_under_way))

    def _forget(self, evicted: Evicted) -> None:
        """Follow the home, which has given frames up."""
        if not evicted.numbers:
            return
        for number in evicted.keys:
            key = self._by_number.get(number)
            if key is not None:
                self._note_lost(key)
        self._keep_at_hand(lambda pending: pending.number not in evicted.numbers)

    def _keep_at_hand(self, wanted: Callable[[PendingFrame], bool]) -> None:
        self._at_hand = deque(
            pending for index, pending in enumerate(self._at_hand) if index < self._sent or wanted(pending)
        )

    def _at_hand_through(self, number: int) -> list[PendingFrame]:
        return [pending for pending in self._at_hand if pending.number <= number]

    def _want_key(self, cause: str) -> None:
        self.key_wanted = True
        self._tally.key_requests[cause] += 1

    def _checked_number(self, sequence: int) -> int:
        """Of the frame that is called so, which has to be one that was sent."""
        naming = self._home.naming
        number = naming.number(sequence)
        if number > self._known_through:
            sent = naming.sequence(self._known_through)
            raise ProtocolError(f"the server answered for frame {sequence}, but {sent} was the last sent")
        return number


_GONE: Final = EncodedFrame(b"", b"", 0, 0, 0, 0, 0, 0, 0.0)
_SOMEWHERE: Final = frame_pb2.EnhancementReceipt()
