"""Encoded frames that the server has not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from edge.drop_policy import Backlog
from edge.errors import ProtocolError
from edge.frame import EncodedFrame
from edge.metrics import DropReason, KeyCause, Stage, Tally
from secondsight.v1 import frame_pb2, ingest_pb2

_NACK_REFERENCE: Final = ingest_pb2.NackReason.Name(ingest_pb2.NACK_REASON_REFERENCE)


@dataclass(slots=True, eq=False)
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
        lost: a key frame that the server does not have and never will.
        replaced: a key frame in whose place another one was asked for.
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
    lost: bool = False
    replaced: bool = False

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

    Frames get their sequence numbers when they are first sent, so that frames which were captured before the first
    Welcome, or which a lost session left behind, need no special road. A frame whose key frame is lost can never be
    stored: it is dropped unless it is under way, where the server answers for it. For one event loop.

    Args:
        keys_known: so many of the newest key frames can be named by frames that are added.
    """

    def __init__(self, tally: Tally, keys_known: int = 8) -> None:
        self._tally = tally
        self._frames: deque[PendingFrame] = deque()
        self._sent = 0
        self._last_sequence = 0
        self._keys: dict[int, PendingFrame] = {}
        self._keys_known = keys_known
        self._changed = asyncio.Event()
        self.session = 0
        self.key_wanted = False

    @property
    def backlog(self) -> Backlog:
        """How much waits."""
        return Backlog(unsent=len(self._frames) - self._sent, unacknowledged=len(self._frames))

    @property
    def under_way(self) -> int:
        """Frames sent on this connection and not acknowledged."""
        return self._sent

    def add(self, frame: EncodedFrame) -> None:
        """Append the newest frame; one whose key frame is lost is dropped."""
        key = None
        if frame.predicted:
            key = self._keys.get(frame.key)
            if key is None:
                self._want_key(KeyCause.LOST)
            if key is None or key.lost:
                self._tally.drop(DropReason.KEY_LOST)
                return
        pending = PendingFrame(frame, key)
        self._remember(pending)
        self._frames.append(pending)
        self.notify()

    def lose(self, frame: EncodedFrame) -> None:
        """Take note that `frame`, which was not added, will never be: others may be predicted from it."""
        pending = PendingFrame(frame)
        self._remember(pending)
        self._lose(pending)

    def want_key(self, cause: str, instead_of: PendingFrame) -> None:
        """Ask for a key frame instead of `instead_of`, once."""
        if not instead_of.replaced:
            instead_of.replaced = True
            self._want_key(cause)

    def server_wants_key(self) -> None:
        """Ask for a key frame because the server does; one that is on its way already is what it wants."""
        newest = self._newest_key
        if newest is None:
            self._want_key(KeyCause.SERVER)
        elif newest not in self._frames:
            self.want_key(KeyCause.SERVER, newest)

    def welcome(self, session: int, last_stored_sequence: int) -> None:
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
        self._sent = 0
        if session == self.session:
            if last_stored_sequence > self._last_sequence:
                self.session = 0
                raise ProtocolError(
                    f"the server has frame {last_stored_sequence} of session {session}, but {self._last_sequence} is "
                    "the last one sent: is another edge using this camera's name?"
                )
            while self._frames and 0 < self._frames[0].sequence <= last_stored_sequence:
                self._tally.presumed += self._frames[0].sequence < last_stored_sequence
                self._pop_acknowledged()
        else:
            self.session = session
            self._last_sequence = last_stored_sequence
            for pending in self._frames:
                pending.session = pending.sequence = 0
            newest = self._newest_key
            if newest is not None and newest.session:
                self.want_key(KeyCause.SESSION, newest)
        self._drop_orphans()
        self.notify()

    def next_unsent(self) -> PendingFrame | None:
        """The frame to be sent next, named for the present session; None when all are under way."""
        if self._sent == len(self._frames):
            return None
        pending = self._frames[self._sent]
        if pending.sequence == 0:
            self._last_sequence += 1
            pending.session, pending.sequence = self.session, self._last_sequence
        return pending

    def mark_sent(self, pending: PendingFrame) -> None:
        """Count `pending`, which `next_unsent` gave, as under way."""
        self._sent += 1
        pending.sent_at = time.monotonic()
        self._tally.spending.machine(len(pending.frame.machine))
        if pending.queue_us is None:
            pending.queue_us = max(0, time.time_ns() - pending.frame.captured_at_ns) // 1000
            self._tally.spent(Stage.QUEUE, pending.sent_at - pending.queued_at)
            self._tally.sent += 1
            self._tally.sent_predicted += pending.key is not None
            self._tally.machine_bytes += len(pending.frame.machine)
        else:
            self._tally.resent += 1
        self._show()

    def acknowledge(self, sequence: int) -> None:
        """Let go of all frames up to `sequence`.

        Raises:
            ProtocolError: that frame was not sent on this connection or before.
        """
        self._check_known(sequence)
        while self._sent and self._frames[0].sequence <= sequence:
            self._sent -= 1
            self._tally.spent(Stage.ROUND_TRIP, time.monotonic() - self._frames[0].sent_at)
            self._pop_acknowledged()
        self.notify()

    def refuse(self, sequence: int, reason: str) -> None:
        """Drop a frame that the server will never store; one that is gone already is no matter.

        Raises:
            ProtocolError: no such frame was sent.
        """
        self._check_known(sequence)
        for index in range(self._sent):
            pending = self._frames[index]
            if pending.sequence == sequence:
                del self._frames[index]
                self._sent -= 1
                self._tally.drop(DropReason.refused(reason))
                if pending.key is None:
                    self._lose(pending)
                elif reason == _NACK_REFERENCE:
                    self._lose(pending.key)
                break
        self.notify()

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until `predicate` holds; it is looked at after every change."""
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    async def until_fewer_than(self, count: int) -> None:
        """Wait until fewer than `count` frames are unacknowledged."""
        await self.until(lambda: len(self._frames) < count)

    def notify(self) -> None:
        """Let those who wait look again."""
        self._show()
        self._changed.set()

    def _show(self) -> None:
        backlog, tally = self.backlog, self._tally
        tally.unacknowledged, tally.unsent, tally.under_way = (
            backlog.unacknowledged,
            backlog.unsent,
            self._sent,
        )

    @property
    def _newest_key(self) -> PendingFrame | None:
        return next(reversed(self._keys.values()), None)

    def _remember(self, pending: PendingFrame) -> None:
        if pending.key is None:
            self._keys[pending.frame.turn] = pending
            if len(self._keys) > self._keys_known:
                del self._keys[next(iter(self._keys))]

    def _lose(self, key: PendingFrame) -> None:
        key.lost = True
        # A newer key frame than the lost one is already what would be asked for.
        if key is self._newest_key:
            self.want_key(KeyCause.LOST, key)
        self._drop_orphans()

    def _want_key(self, cause: str) -> None:
        self.key_wanted = True
        self._tally.key_requests[cause] += 1

    def _drop_orphans(self) -> None:
        """Drop the unsent frames whose key frame is lost."""
        kept = [
            pending
            for index, pending in enumerate(self._frames)
            if index < self._sent or pending.key is None or not pending.key.lost
        ]
        for _ in range(len(self._frames) - len(kept)):
            self._tally.drop(DropReason.KEY_LOST)
        self._frames = deque(kept)

    def _check_known(self, sequence: int) -> None:
        if sequence > self._last_sequence:
            raise ProtocolError(
                f"the server answered for frame {sequence}, but {self._last_sequence} was the last sent"
            )

    def _pop_acknowledged(self) -> None:
        self._frames.popleft()
        self._tally.acknowledge()
