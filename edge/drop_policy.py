"""Which frame gives way when the server, or this machine, is slower than the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Backlog:
    """Encoded frames that the server has not acknowledged.

    Attributes:
        unsent: those that were not written on the present connection.
        unacknowledged: all of them.
    """

    unsent: int
    unacknowledged: int


class DropPolicy(Protocol):
    """Decides before a frame is encoded: an encoded frame is never dropped while the edge runs."""

    @property
    def holds_source(self) -> bool:
        """True when the source waits for the encoder; False when a waiting frame gives way to a newer one."""

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

    def may_encode(self, backlog: Backlog) -> bool:
        return backlog.unsent < self.max_unsent and backlog.unacknowledged < self.max_unacknowledged


@dataclass(frozen=True, slots=True)
class KeepAll:
    """For recordings: the source waits, nothing is dropped."""

    max_unacknowledged: int

    @property
    def holds_source(self) -> bool:
        return True

    def may_encode(self, backlog: Backlog) -> bool:
        return backlog.unacknowledged < self.max_unacknowledged
