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

    async def stow(self, pending: PendingFrame) -> bool:
        """Store the enhancement layer of `pending` under its present name, and no longer under an earlier one.

        On success `pending.receipt` is set. A failure is counted and leaves it None.

        Returns:
            False when the store takes layers but does not have that of the key frame which `pending` is predicted
            from, so that neither this frame nor another one of its group can be viewed.
        """
        if pending.stored_as == pending.name:
            return True
        first_time = pending.stored_as is None
        expires_at_ms = time.time_ns() // 1_000_000 + self._ttl_ms
        usable = await self._write(pending)
        if not usable:
            pending.receipt = None
            if pending.queue_us is None:
                self._tally.enhancements_failed += 1
            return usable is None
        pending.stored_as = pending.name
        enhancement = pending.frame.enhancement
        self._tally.spending.enhancement(len(enhancement))
        pending.receipt = frame_pb2.EnhancementReceipt(bytes=len(enhancement), slices=pending.frame.slices)
        pending.receipt.expires_at.FromMilliseconds(expires_at_ms)
        if first_time:
            self._tally.enhancement_bytes += len(enhancement)
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _write(self, pending: PendingFrame) -> bool | None:
        """True when the layer is stored, False when its key frame's is missing, None when the store fails."""
        key = pending.key
        known_useless = key is not None and key.replaced and not key.viewable
        if known_useless or time.monotonic() < self._resume_at:
            return None
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(self._address(pending.name), pending.frame.enhancement, px=self._ttl_ms)
                if pending.stored_as is not None:
                    pipeline.unlink(self._address(pending.stored_as))
                if key is not None:
                    # After the frame's own layer, so that the key frame's is the last of its group to expire.
                    pipeline.pexpire(self._address(key.name), self._ttl_ms, gt=True)
                    pipeline.exists(self._address(key.name))
                *_, key_exists = await pipeline.execute()
            usable = key is None or (bool(key_exists) and key.viewable)
            if key is not None and not usable:
                key.receipt = key.stored_as = None
                await self._redis.unlink(self._address(pending.name))
                pending.stored_as = None
        except (RedisError, OSError) as error:
            if self._resume_at == 0.0:
                _LOG.warning("the store takes no enhancement layers, frames go without: %s", str(error))
            self._resume_at = time.monotonic() + self._backoff.next_wait()
            return None
        if self._resume_at != 0.0:
            _LOG.warning("the store takes enhancement layers again")
            self._resume_at = 0.0
            self._backoff.reset()
        return usable

    def _address(self, name: tuple[int, int]) -> str:
        return store_keys.enhancement(self._camera_id, *name)
