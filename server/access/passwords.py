"""Passwords of people: Argon2id, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.errors import TooManyRequestsError, WeakPasswordError

SHORTEST: Final = 12
LONGEST: Final = 200
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 16

_hasher: Final = PasswordHasher()


def one_time_password() -> str:
    """A password of 118 random bits, in groups that can be typed."""
    characters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(characters) for _ in range(6)) for _ in range(4))


def hash_password(password: str) -> str:
    """What is kept of it.

    Raises:
        WeakPasswordError: it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPasswordError(f"a password has {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_hex())


def _verify(password: str, kept: str | None) -> bool:
    try:
        # Who asks for a user that is not there waits as long as for one that is.
        return _hasher.verify(kept or _nobodys(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


class PasswordCheck:
    """Verifies passwords off the event loop. Each takes 64 MiB, so few are under way and few may wait."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether it is the password; never when `kept` is None.

        Raises:
            TooManyRequestsError: too many wait already.
        """
        if self._waiting >= _MOST_WAITING:
            raise TooManyRequestsError("logins", 5)
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(_verify, password, kept)
        finally:
            self._waiting -= 1
