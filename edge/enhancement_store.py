"""Enhancement layers in Redis, each with a time to live."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from edge.backoff import Backoff
from edge.errors import ConfigError, EnhancementUnavailableError
from secondsight import store_keys

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

Name = tuple[int, int]
"""Session and sequence of a frame."""


class EnhancementStore:
    """Writes, reads and lengthens the lives of one camera's enhancement layers.

    After a failure the store is left alone for as long as `backoff` says, so that a dead one does not slow the uplink
    down. Every method raises EnhancementUnavailableError meanwhile, and when the store fails.
    """

    def __init__(self, url: str, camera_id: str, timeout_s: float, backoff: Backoff) -> None:
        """Raises ConfigError when `url` is no Redis URL. Connects at the first command."""
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # One retry, for the connection that a restarted store has left behind.
                retry=Retry(NoBackoff(), 1),
                decode_responses=False,
            )
        except ValueError as error:
            raise ConfigError(f"{url!r} is no store address: give redis://HOST:PORT/0 ({error})") from error
        self._camera_id = camera_id
        self._backoff = backoff
        self._resume_at = 0.0

    @property
    def left_alone_s(self) -> float:
        """For so long the store is not asked, because it failed; 0 when it is."""
        return max(0.0, self._resume_at - time.monotonic())

    async def write(
        self,
        name: Name,
        layer: bytes,
        ttl_ms: int,
        *,
        instead_of: Name | None = None,
        key: Name | None = None,
    ) -> bool:
        """Store a layer.

        Args:
            instead_of: an earlier name of the frame, which goes.
            key: name of the key frame that it is predicted from.

        Returns:
            False, and the layer is not stored, when that of the key frame is not there.
        """

        async def attempt() -> bool:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(self._address(name), layer, px=ttl_ms)
                if instead_of is not None:
                    pipeline.unlink(self._address(instead_of))
                if key is not None:
                    # After the frame's own layer, so that the key frame's is the last of its group to expire.
                    pipeline.pexpire(self._address(key), ttl_ms, gt=True)
                    pipeline.exists(self._address(key))
                *_, key_exists = await pipeline.execute()
            if key is not None and not key_exists:
                await self.remove(name)
                return False
            return True

        return await self._asked(attempt)

    async def remove(self, name: Name) -> None:
        """Let a layer go."""
        await self._asked(lambda: self._redis.unlink(self._address(name)))

    async def lengthen(self, name: Name, ttl_ms: int) -> bool:
        """Have a layer live for at least so long from now; False when it is not there."""

        async def attempt() -> bool:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.pexpire(self._address(name), ttl_ms, gt=True)
                pipeline.exists(self._address(name))
                _, exists = await pipeline.execute()
            return bool(exists)

        return await self._asked(attempt)

    async def read(self, name: Name) -> bytes | None:
        """A layer; None when it is not there."""
        layer: Any = await self._asked(lambda: self._redis.get(self._address(name)))
        return None if layer is None else bytes(layer)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _asked(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        if self.left_alone_s:
            raise EnhancementUnavailableError("the store of enhancement layers failed just now")
        try:
            done = await attempt()
        except (RedisError, OSError) as error:
            if self._resume_at == 0.0:
                _LOG.warning("the store takes no enhancement layers, frames go without: %s", str(error))
            self._resume_at = time.monotonic() + self._backoff.next_wait()
            raise EnhancementUnavailableError("the store of enhancement layers failed") from error
        if self._resume_at != 0.0:
            _LOG.warning("the store takes enhancement layers again")
            self._resume_at = 0.0
            self._backoff.reset()
        return done

    def _address(self, name: Name) -> str:
        return store_keys.enhancement(self._camera_id, *name)
