"""Where enhancement layers wait until somebody asks for a human view."""

from __future__ import annotations

import logging
import time

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from edge.backoff import Backoff
from edge.errors import ConfigError
from edge.metrics import Tally
from edge.pending import PendingFrame
from secondsight import store_keys
from secondsight.v1 import frame_pb2

_LOG = logging.getLogger(__name__)


class EnhancementStore:
    """Writes enhancement layers to Redis with a time to live.

    A store that fails costs the frame its human view and never its machine layer: after a failure the store is left
    alone for as long as `backoff` says, so that a dead one does not slow the uplink down.
    """

    def __init__(
        self, url: str, camera_id: str, ttl_s: int, timeout_s: float, backoff: Backoff, tally: Tally
    ) -> None:
        """Raises ConfigError when `url` is no Redis URL. Connects at the first write."""
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
        self._ttl_ms = ttl_s * 1000
        self._backoff = backoff
        self._tally = tally
        self._resume_at = 0.0

    async def stow(self, pending: PendingFrame, session: int) -> None:
        """Store the enhancement layer of `pending` under its present name, and no longer under an earlier one.

        On success `pending.receipt` is set. A failure is counted and leaves it None.
        """
        name = (session, pending.sequence)
        if pending.stored_as == name:
            return
        first_time = pending.stored_as is None
        enhancement = pending.frame.enhancement
        expires_at_ms = time.time_ns() // 1_000_000 + self._ttl_ms
        if time.monotonic() < self._resume_at or not await self._write(pending, name, enhancement):
            pending.receipt = None
            if pending.queue_us is None:
                self._tally.enhancements_failed += 1
            return
        pending.stored_as = name
        pending.receipt = frame_pb2.EnhancementReceipt(bytes=len(enhancement), slices=pending.frame.slices)
        pending.receipt.expires_at.FromMilliseconds(expires_at_ms)
        if first_time:
            self._tally.enhancement_bytes += len(enhancement)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _write(self, pending: PendingFrame, name: tuple[int, int], enhancement: bytes) -> bool:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(store_keys.enhancement(self._camera_id, *name), enhancement, px=self._ttl_ms)
                if pending.stored_as is not None:
                    pipeline.unlink(store_keys.enhancement(self._camera_id, *pending.stored_as))
                await pipeline.execute()
        except (RedisError, OSError) as error:
            if self._resume_at == 0.0:
                _LOG.warning("the store takes no enhancement layers, frames go without: %s", str(error))
            self._resume_at = time.monotonic() + self._backoff.next_wait()
            return False
        if self._resume_at != 0.0:
            _LOG.warning("the store takes enhancement layers again")
            self._resume_at = 0.0
            self._backoff.reset()
        return True
