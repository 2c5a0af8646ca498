"""How far recognition is behind."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from secondsight import store_keys

NO_SUCH_KEY: Final = "no such key"


class Lags:
    """Frames of a camera that are stored and await a task. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def cameras(self) -> list[str]:
        """Cameras that have ever stored a frame, sorted."""
        names: Any = await self._redis.hkeys(store_keys.CAMERAS)
        return sorted(name.decode() for name in names)

    async def tasks(self, camera_id: str) -> list[str]:
        """Tasks that the camera's frames are kept for, or were."""
        return sorted({store_keys.DEFAULT_TASK, *await self.by_task(camera_id)})

    async def by_task(self, camera_id: str) -> dict[str, int | None]:
        """The lag of every task; None where the store cannot count it."""
        try:
            groups: Any = await self._redis.xinfo_groups(store_keys.frames(camera_id))
        except ResponseError as error:
            if NO_SUCH_KEY not in str(error):
                raise
            return {}
        return {
            group["name"].decode(): None
            if group["lag"] is None
            else int(group["lag"]) + int(group["pending"])
            for group in groups
        }

    async def counted(self, camera_id: str, task: str = store_keys.DEFAULT_TASK) -> int | None:
        """The lag of a task; None where the store cannot count it, or has no such task. 0 without any frame."""
        lags = await self.by_task(camera_id)
        return lags.get(task) if lags or await self._redis.exists(store_keys.frames(camera_id)) else 0

    async def most(self, camera_id: str) -> int | None:
        """The lag of the task that is furthest behind; None where the store cannot count one of them."""
        lags = await self.by_task(camera_id)
        if store_keys.DEFAULT_TASK not in lags:
            return await self.counted(camera_id)
        counted = [lag for lag in lags.values() if lag is not None]
        return max(counted) if len(counted) == len(lags) else None
