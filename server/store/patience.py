"""Asking a store again that does not do what it is asked, and telling what ails it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from server import metrics
from server.errors import NotReplicatedError, StoreFullError, StoreUnavailableError
from server.store.client import STORE_ERRORS

_TOO_FEW_REPLICAS: Final = "NOREPLICAS"

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Patience:
    """Repeats what the store has not done, for a while.

    `make_room` is called before what failed for want of memory is asked again.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        patience: float,
        pause: float,
        make_room: Callable[[], Awaitable[None]],
    ) -> None:
        self._redis = redis
        self._patience = patience
        self._pause = pause
        self._make_room = make_room
        self._failing: dict[str, str] = {}

    async def ask(self, what: str, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """Do `attempt`, again and again if it has to be. `what` it is, for metrics and the log.

        Raises:
            StoreUnavailableError: it was not done, though it may have been without our hearing of it.
            StoreFullError: it was not done, for want of memory.
        """
        begun = time.monotonic()
        full = False
        while True:
            try:
                if full:
                    await self._make_room()
                done = await attempt()
            except (*STORE_ERRORS, NotReplicatedError) as error:
                full = isinstance(error, OutOfMemoryError)
                metrics.STORE_RETRIES.inc()
                self._note(what, _ailment(error), error)
                if isinstance(error, ReadOnlyError):
                    await self._connect_anew()
                if time.monotonic() - begun >= self._patience:
                    raise (StoreFullError() if full else StoreUnavailableError()) from error
            else:
                metrics.STORE_SECONDS.labels(what).observe(time.monotonic() - begun)
                self._note(what, None)
                return done
            await asyncio.sleep(self._pause)

    def _note(self, what: str, ailment: str | None, error: Exception | None = None) -> None:
        before = self._failing.pop(what, None)
        if ailment is not None:
            self._failing[what] = ailment
        if ailment == before:
            return
        if before is not None:
            metrics.STORE_FAILING.labels(what, before).set(0)
        if ailment is None:
            _log.warning("the store does again what it is asked (%s)", what)
        else:
            metrics.STORE_FAILING.labels(what, ailment).set(1)
            _log.warning("the store does not do what it is asked (%s, %s): %s", what, ailment, error)

    async def _connect_anew(self) -> None:
        # It was the primary when we connected. Behind the same address there may be another one by now.
        pool = getattr(self._redis, "connection_pool", None)  # a cluster's client sees to it by itself
        if pool is not None:
            await pool.disconnect(inuse_connections=False)


def _ailment(error: Exception) -> str:
    if isinstance(error, OutOfMemoryError):
        return "full"
    if isinstance(error, ReadOnlyError):
        return "read_only"
    if isinstance(error, NotReplicatedError) or _TOO_FEW_REPLICAS in str(error):
        return "not_replicated"
    return "refuses" if isinstance(error, ResponseError) else "away"
