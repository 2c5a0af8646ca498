"""Browser sessions. They live in the process that began them; after a restart people log in again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from server.access.credential import hash_of


@dataclass
class Session:
    """One browser of one user."""

    user: str
    began_at: datetime
    began: float
    used: float


class Sessions:
    """Sessions by the hash of their token. Each ends `idle` seconds after its last use, `longest` after its first."""

    def __init__(
        self,
        *,
        idle: float,
        longest: float,
        most_of_a_user: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle = idle
        self._longest = longest
        self._most_of_a_user = most_of_a_user
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self, user: str) -> str:
        """A new session's token. The user's oldest sessions end when there are too many."""
        self._forget_ended()
        own = [key for key, session in self._sessions.items() if session.user == user]
        for key in own[: max(0, len(own) - self._most_of_a_user + 1)]:
            del self._sessions[key]
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[hash_of(token)] = Session(user, datetime.now(UTC), now, now)
        return token

    def use(self, token: str) -> tuple[str, Session] | None:
        """The session of a token with its key, which is thereby not idle; None when it is over or never was."""
        key = hash_of(token)
        session = self.look(key)
        if session is None:
            return None
        session.used = self._clock()
        return key, session

    def look(self, key: str) -> Session | None:
        """The session, without counting as its use."""
        session = self._sessions.get(key)
        if session is None or self._is_over(session):
            self._sessions.pop(key, None)
            return None
        return session

    def end(self, key: str) -> None:
        """End it, if it goes on."""
        self._sessions.pop(key, None)

    def _is_over(self, session: Session) -> bool:
        now = self._clock()
        return now - session.used >= self._idle or now - session.began >= self._longest

    def _forget_ended(self) -> None:
        for key in [key for key, session in self._sessions.items() if self._is_over(session)]:
            del self._sessions[key]
