"""Frames that outlive the stream that they came in, because somebody has to look at them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from secondsight import store_keys
from server.errors import StoreUnavailableError
from server.store.client import STORE_ERRORS


@dataclass(frozen=True)
class KeptFrame:
    """Messages as they lie in the store. The result is None where there was none yet."""

    frame: bytes
    result: bytes | None


class KeptFrames:
    """Copies of frames and of their results, each with a time to live."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def keep(
        self,
        camera_id: str,
        names: Iterable[tuple[int, int]],
        results: dict[tuple[int, int], bytes],
        seconds: float,
    ) -> None:
        """Have these frames live for at least so long from now, with these results; one that is gone stays so.

        Raises:
            StoreUnavailableError
        """
        try:
            for name in names:
                await self._keep(camera_id, name, results.get(name), round(seconds * 1000))
        except STORE_ERRORS as error:
            raise StoreUnavailableError from error

    async def find(self, camera_id: str, session: int, sequence: int) -> KeptFrame | None:
        """The copy of a frame."""
        fields: Any = await self._redis.hgetall(store_keys.kept(camera_id, session, sequence))
        frame = fields.get(store_keys.FRAME_FIELD)
        return None if frame is None else KeptFrame(frame, fields.get(store_keys.RESULT_FIELD))

    async def _keep(
        self, camera_id: str, name: tuple[int, int], result: bytes | None, lifetime_ms: int
    ) -> None:
        entry_id, key = store_keys.entry_id(*name), store_keys.kept(camera_id, *name)
        entries: Any = await self._redis.xrange(store_keys.frames(camera_id), entry_id, entry_id)
        if not entries:
            # Its copy may be there from before.
            await self._redis.pexpire(key, lifetime_ms, gt=True)
            return
        fields: dict[Any, Any] = {store_keys.FRAME_FIELD: entries[0][1][store_keys.FRAME_FIELD]}
        if result is not None:
            fields[store_keys.RESULT_FIELD] = result
        # As one, lest a copy without a time to live be left behind.
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(key, mapping=fields)
        pipeline.pexpire(key, lifetime_ms, nx=True)
        pipeline.pexpire(key, lifetime_ms, gt=True)
        await pipeline.execute()
