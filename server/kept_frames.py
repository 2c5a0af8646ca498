"""Frames that outlive the stream that they came in, because somebody has to look at them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from secondsight import store_keys
from server.store.asking import asking_store

Name = tuple[int, int]
"""Session and sequence of a frame."""


@dataclass(frozen=True)
class KeptFrame:
    """Messages as they lie in the store. The result is None where there was none yet."""

    frame: bytes
    result: bytes | None


class KeptFrames:
    """Copies of frames and of their results, each with a time to live. The newest `most` of a camera are listed."""

    def __init__(self, redis: Redis, most: int = 10_000) -> None:
        self._redis = redis
        self._most = most

    async def keep(self, camera_id: str, names: Sequence[Name], result: bytes | None, seconds: float) -> None:
        """Have a frame live for at least so long from now, with its result; one that is gone stays so.

        Args:
            names: the frame's, behind its key frame's if it has one, which is kept as well.

        Raises:
            StoreUnavailableError
        """
        with asking_store():
            for name in names:
                await self._keep(
                    camera_id, name, result if name == names[-1] else None, round(seconds * 1000)
                )
            index, now_ms = store_keys.kept_index(camera_id), time.time() * 1000
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zadd(index, {store_keys.entry_id(*names[-1]): now_ms + seconds * 1000}, gt=True)
            pipeline.zremrangebyscore(index, "-inf", now_ms)
            pipeline.zremrangebyrank(index, 0, -self._most - 1)
            await pipeline.execute()

    async def names(self, camera_id: str) -> list[Name]:
        """Frames that were kept and whose time is not over, newest first."""
        members: Any = await self._redis.zrangebyscore(
            store_keys.kept_index(camera_id), time.time() * 1000, "+inf"
        )
        return sorted((store_keys.parse_entry_id(member.decode()) for member in members), reverse=True)

    async def find(self, camera_id: str, session: int, sequence: int) -> KeptFrame | None:
        """The copy of a frame."""
        fields: Any = await self._redis.hgetall(store_keys.kept(camera_id, session, sequence))
        frame = fields.get(store_keys.FRAME_FIELD)
        return None if frame is None else KeptFrame(frame, fields.get(store_keys.RESULT_FIELD))

    async def _keep(self, camera_id: str, name: Name, result: bytes | None, lifetime_ms: int) -> None:
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
