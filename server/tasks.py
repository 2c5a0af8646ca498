"""The recognition tasks that a store knows of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from secondsight import store_keys
from server.lag import Lags
from server.store.client import erase
from server.task_scripts import PRESENT

_THERE_MS: Final = 60_000
"""For so long a worker counts as there that does not say so, whatever its lease is."""


class TaskInUseError(Exception):
    """A task that cannot be forgotten now."""


@dataclass
class TaskAbout:
    """One task, over all cameras. `lag` and `dead` count frames."""

    name: str
    workers: int = 0
    cameras: int = 0
    lag: int = 0
    dead: int = 0


class Tasks:
    """Lists them, and forgets those that nobody runs. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lags = Lags(redis)

    async def all(self) -> list[TaskAbout]:
        """Every task that some camera's frames are kept for, by name."""
        tasks: dict[str, TaskAbout] = {}
        for camera_id in await self._lags.cameras():
            for name, lag in (await self._lags.by_task(camera_id)).items():
                task = tasks.setdefault(name, TaskAbout(name))
                task.cameras += 1
                task.lag += lag or 0
                task.dead += await self._redis.xlen(store_keys.dead(camera_id, name))
        for task in tasks.values():
            task.workers = await self._workers(task.name)
        return [tasks[name] for name in sorted(tasks)]

    async def remove(self, name: str) -> int:
        """Forget a task, its results, its history and its dead letters. Gives of how many cameras.

        Raises:
            InvalidCameraIdError: no task can have that name.
            TaskInUseError: it is the default one, or has workers, or had within the last minute.
        """
        # It becomes part of a pattern: `*` would take the history of every task.
        store_keys.checked_camera_id(name)
        if name == store_keys.DEFAULT_TASK:
            raise TaskInUseError(f"{name} is the default task, which the credits of all edges depend on")
        if await self._workers(name):
            raise TaskInUseError(
                f"task {name} has workers, or some that died within the last minute: end them, and ask again then"
            )
        removed = 0
        for camera_id in await self._lags.cameras():
            if name in await self._lags.by_task(camera_id):
                removed += 1
                await self._redis.xgroup_destroy(store_keys.frames(camera_id), name)
            for key in (
                store_keys.results(camera_id, name),
                store_keys.dead(camera_id, name),
                store_keys.worker(camera_id, name),
            ):
                await self._redis.unlink(key)
        for pattern in store_keys.history_patterns(name):
            await erase(self._redis, pattern)
        await self._redis.unlink(store_keys.workers(name))
        await self._redis.hdel(store_keys.RECOGNISERS, name)
        return removed

    async def _workers(self, name: str) -> int:
        return int(await self._redis.eval(PRESENT, 1, store_keys.workers(name), _THERE_MS))
