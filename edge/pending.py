"""Encoded frames that the server has not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.drop_policy import Backlog
from edge.errors import ProtocolError
from edge.frame import EncodedFrame
from edge.metrics import DropReason, Tally
from secondsight.v1 import frame_pb2


@dataclass(slots=True)
class PendingFrame:
    """An encoded frame and what became of it so far.

    Attributes:
        sequence: its name in the present session; 0 until it is first sent there.
        receipt: where its enhancement layer waits; None while no store has taken it.
        stored_as: session and sequence that the enhancement layer is stored under.
        queue_us: from capture to its first write on the uplink; None before that.
    """

    frame: EncodedFrame
    sequence: int = 0
    receipt: frame_pb2.EnhancementReceipt | None = None
    stored_as: tuple[int, int] | None = None
    queue_us: int | None = None


class Pending:
    """Queue of the uplink, oldest frame first: those sent on this connection, then those still to be sent.

    Frames get their sequence numbers when they are first sent, so that frames which were captured before the first
    Welcome, or which a lost session left behind, need no special road. For one event loop.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._frames: deque[PendingFrame] = deque()
        self._sent = 0
        self._last_sequence = 0
        self._changed = asyncio.Event()
        self.session = 0

    @property
    def backlog(self) -> Backlog:
        """How much waits."""
        return Backlog(unsent=len(self._frames) - self._sent, unacknowledged=len(self._frames))

    @property
    def under_way(self) -> int:
        """Frames sent on this connection and not acknowledged."""
        return self._sent

    def add(self, frame: EncodedFrame) -> None:
        """Append the newest frame."""
        self._frames.append(PendingFrame(frame))
        self.notify()

    def welcome(self, session: int, last_stored_sequence: int) -> None:
        """Begin a connection: go on after `last_stored_sequence`, or give every frame a new name in a new session.

        The frames before the last stored one, whose answers the old connection lost, count as acknowledged. Welcome
        does not tell whether each was stored or refused, so they are also counted as presumed.

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
                pending.sequence = 0
        self.notify()

    def next_unsent(self) -> PendingFrame | None:
        """The frame to be sent next, named for the present session; None when all are under way."""
        if self._sent == len(self._frames):
            return None
        pending = self._frames[self._sent]
        if pending.sequence == 0:
            self._last_sequence += 1
            pending.sequence = self._last_sequence
        return pending

    def mark_sent(self, pending: PendingFrame) -> None:
        """Count `pending`, which `next_unsent` gave, as under way."""
        self._sent += 1
        if pending.queue_us is None:
            pending.queue_us = max(0, time.time_ns() - pending.frame.captured_at_ns) // 1000
            self._tally.sent += 1
            self._tally.machine_bytes += len(pending.frame.machine)
        else:
            self._tally.resent += 1

    def acknowledge(self, sequence: int) -> None:
        """Let go of all frames up to `sequence`.

        Raises:
            ProtocolError: that frame was not sent on this connection or before.
        """
        self._check_known(sequence)
        while self._sent and self._frames[0].sequence <= sequence:
            self._sent -= 1
            self._pop_acknowledged()
        self.notify()

    def refuse(self, sequence: int, reason: str) -> None:
        """Drop a frame that the server will never store; one that is gone already is no matter.

        Raises:
            ProtocolError: no such frame was sent.
        """
        self._check_known(sequence)
        for index in range(self._sent):
            if self._frames[index].sequence == sequence:
                del self._frames[index]
                self._sent -= 1
                self._tally.drop(DropReason.refused(reason))
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
        self._tally.unacknowledged = len(self._frames)
        self._changed.set()

    def _check_known(self, sequence: int) -> None:
        if sequence > self._last_sequence:
            raise ProtocolError(
                f"the server answered for frame {sequence}, but {self._last_sequence} was the last sent"
            )

    def _pop_acknowledged(self) -> None:
        self._frames.popleft()
        self._tally.acked += 1
