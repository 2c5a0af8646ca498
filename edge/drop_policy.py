"""Which frame gives way when the server, or this machine, is slower than the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.metrics import DropReason


@dataclass(frozen=True, slots=True)
class Backlog:
    """Encoded frames that the server has not acknowledged, and those in the encoder.

    Attributes:
        unsent: those that were not written on the present connection.
        unacknowledged: all of them.
        in_memory: those that are nowhere but in memory. With a spool there are some only while its disk fails.
        caught_up: on the present connection there was a moment with nothing to send.
        has_room: the spool can take them without giving up others.
    """

    unsent: int
    unacknowledged: int
    in_memory: int
    caught_up: bool = True
    has_room: bool = True


class DropPolicy(Protocol):
    """Decides before a frame is encoded: without a spool, an encoded frame is never dropped while the edge runs."""

    @property
    def holds_source(self) -> bool:
        """True when the source waits for the encoder; False when a waiting frame gives way to a newer one."""

    @property
    def reason(self) -> str:
        """Why frames are left out while none may be encoded, as in `DropReason`."""

    def may_encode(self, backlog: Backlog) -> bool:
        """Whether one more frame may be encoded now."""


@dataclass(frozen=True, slots=True)
class NewestWins:
    """For cameras: what is sent next is always the newest picture."""

    max_unsent: int
    max_unacknowledged: int

    @property
    def holds_source(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        return DropReason.UPLINK_SLOW

    def may_encode(self, backlog: Backlog) -> bool:
        return backlog.unsent < self.max_unsent and backlog.unacknowledged < self.max_unacknowledged


@dataclass(frozen=True, slots=True)
class KeepAll:
    """For recordings: the source waits, nothing is dropped."""

    max_unacknowledged: int

    @property
    def holds_source(self) -> bool:
        return True

    @property
    def reason(self) -> str:
        return DropReason.UPLINK_SLOW

    def may_encode(self, backlog: Backlog) -> bool:
        return backlog.unacknowledged < self.max_unacknowledged


@dataclass(frozen=True, slots=True)
class SpoolNewest:
    """For cameras with a spool: it takes every frame that the server is away for, and those that come until the server
    has all of them. A server that is merely slow gets the newest picture, as without a spool."""

    max_unsent: int
    max_unacknowledged: int

    @property
    def holds_source(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        return DropReason.UPLINK_SLOW

    def may_encode(self, backlog: Backlog) -> bool:
        if backlog.in_memory:
            return backlog.in_memory < self.max_unacknowledged
        return not backlog.caught_up or backlog.unsent < self.max_unsent


@dataclass(frozen=True, slots=True)
class SpoolAll:
    """For complete delivery: a full spool takes nothing more. A recording waits, a camera's new frames are left out."""

    holds_source: bool
    max_unacknowledged: int

    @property
    def reason(self) -> str:
        return DropReason.SPOOL_FULL

    def may_encode(self, backlog: Backlog) -> bool:
        if backlog.in_memory:
            return backlog.in_memory < self.max_unacknowledged
        return backlog.has_room
