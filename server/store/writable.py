"""Whether the store takes what is written to it."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from server.errors import StoreFullError, StoreUnavailableError
from server.store.client import STORE_ERRORS

_KEY: Final = "secondsight:probe"
_LIVES_MS: Final = 1000


class Writable:
    """Tries it, for probes: a store that is full, read-only or short of replicas answers a PING all the same."""

    def __init__(self, redis: Redis, within: float) -> None:
        self._redis = redis
        self._within = within

    async def check(self) -> None:
        """Write a key that goes at once, and before all others when memory is short.

        Raises:
            StoreFullError
            StoreUnavailableError: the message names what ails the store.
        """
        try:
            async with asyncio.timeout(self._within):
                await self._redis.set(_KEY, 1, px=_LIVES_MS)
        except OutOfMemoryError as error:
            raise StoreFullError from error
        except ReadOnlyError as error:
            raise StoreUnavailableError(
                "the store is a replica and takes nothing; wait for it to be promoted, or name its primary (--store)"
            ) from error
        except TimeoutError as error:
            raise StoreUnavailableError(f"the store did not answer within {self._within:g} s") from error
        except STORE_ERRORS as error:
            raise StoreUnavailableError from error
