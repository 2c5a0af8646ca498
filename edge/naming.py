"""Which frame has which name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SESSIONS_KNOWN: Final = 16

UNNAMED: Final = (0, 0)
"""Of a frame that no known session has named."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """Where a session began.

    Attributes:
        first: number of the first frame that it can name.
        offset: of a frame's number over its sequence in this session.
    """

    session: int
    first: int
    offset: int


class Naming:
    """Numbers a camera's frames as they are queued, and names them from that in the present session.

    Numbers rise for ever. A session's sequence numbers follow them from the frame that was the oldest one waiting when
    it began, so that a frame has one name in a session whether it is sent, sent again, or sent by another process; a
    frame that is dropped leaves a gap. What had been acknowledged by then keeps its name in the session before.

    Args:
        sessions: the earlier ones, oldest first.
        issued: the highest number that may have been given so far.
    """

    def __init__(self, sessions: tuple[SessionStart, ...] = (), issued: int = 0) -> None:
        self.sessions = sessions
        self.issued = issued
        self.session = sessions[-1].session if sessions else 0

    def issue(self) -> int:
        """The number of the newest frame."""
        self.issued += 1
        return self.issued

    def begin(self, session: int, first: int, last_stored_sequence: int) -> None:
        """Name the frames from number `first` in `session`, after its last stored one."""
        start = SessionStart(session, first, first - 1 - last_stored_sequence)
        self.sessions = (*self.sessions, start)[-_SESSIONS_KNOWN:]
        self.session = session

    def leave(self) -> None:
        """Give the session up: the next Hello asks for a new one."""
        self.session = 0

    def name(self, number: int) -> tuple[int, int]:
        """Session and sequence of a frame that waits, or that was acknowledged; UNNAMED if nothing is known of it."""
        for start in reversed(self.sessions):
            if start.first <= number:
                return start.session, number - start.offset
        return UNNAMED

    def number(self, sequence: int) -> int:
        """Of the frame that is called so in the present session."""
        return sequence + self.sessions[-1].offset

    def sequence(self, number: int) -> int:
        """Of a frame, in the present session."""
        return number - self.sessions[-1].offset
