"""Looks at the store now and then, for what no single process counts: memory, backlogs, results, workers.

All that server and workers do shows in the store, whichever process did it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from secondsight import store_keys
from secondsight.certificates.expiry import expiry
from server import metrics
from server.config import ServerConfig
from server.lag import NO_SUCH_KEY, Lags
from server.store.client import STORE_ERRORS
from server.task_scripts import PRESENT


@dataclass(frozen=True)
class StoreMemory:
    """The store at the last look, all nodes together.

    Attributes:
        used, limit: bytes; a limit of 0 is none.
        evicted: keys that it gave up for want of memory, since its start.
    """

    up: bool = False
    used: int = 0
    limit: int = 0
    evicted: int = 0


class StoreWatch:
    """Sets the metrics that are read from the store."""

    def __init__(self, redis: Redis, config: ServerConfig) -> None:
        self._redis = redis
        self._lags = Lags(redis)
        self._config = config
        self._leaving = asyncio.Event()
        self._known: set[str] = set()
        self.memory = StoreMemory()
        self._results: dict[str, int] = {}
        self._tasks_of: dict[str, set[str]] = {}
        self._tasks: set[str] = set()

    async def run(self) -> None:
        """Look until `leave`. A store that does not answer is looked at again the next time."""
        while not self._leaving.is_set():
            self._look_at_certificate()
            try:
                await self.look()
                metrics.STORE_UP.set(1)
            except STORE_ERRORS:
                # Whoever needs the store says what ails it.
                metrics.STORE_UP.set(0)
                self.memory = replace(self.memory, up=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), self._config.store_look)

    def leave(self) -> None:
        """Return from `run` soon."""
        self._leaving.set()

    def _look_at_certificate(self) -> None:
        tls = self._config.tls
        if tls is not None and (ends := expiry(tls.certificate)) is not None:
            metrics.CERTIFICATE_EXPIRY.set(ends)

    async def look(self) -> None:
        """Look once. Raises one of `STORE_ERRORS`."""
        await self._look_at_memory()
        stored_at: Any = await self._redis.hgetall(store_keys.CAMERAS)
        cameras = {name.decode(): int(moment) / 1e9 for name, moment in stored_at.items()}
        for gone in self._known - cameras.keys():
            metrics.forget_camera(gone)
            self._results.pop(gone, None)
            self._tasks_of.pop(gone, None)
        self._known = set(cameras)
        metrics.CAMERAS.set(len(cameras))
        for camera_id, moment in cameras.items():
            flow = metrics.FLOWS.watch(camera_id)
            flow.last_stored_at = max(moment, flow.last_stored_at or 0.0)
            await self._look_at_backlogs(camera_id)
            await self._look_at_results(camera_id)
        tasks = {store_keys.DEFAULT_TASK}.union(*self._tasks_of.values())
        for gone in self._tasks - tasks:
            metrics.WORKERS.remove_by_labels({"task": gone})
        self._tasks = tasks
        for task in tasks:
            await self._look_at_workers(task)

    async def _look_at_memory(self) -> None:
        used = limit = evicted = 0
        for memory, stats in [
            (await self._info("memory", node), await self._info("stats", node)) for node in self._nodes()
        ]:
            used += int(memory["used_memory"])
            limit += int(memory["maxmemory"])
            evicted += int(stats["evicted_keys"])
        self.memory = StoreMemory(True, used, limit, evicted)
        metrics.STORE_MEMORY.set(used)
        metrics.STORE_MEMORY_LIMIT.set(limit)
        metrics.STORE_EVICTED.set(evicted)

    def _nodes(self) -> Iterable[Any]:
        """The primaries of a cluster; one None for a store that is none."""
        client: object = self._redis
        return client.get_primaries() if isinstance(client, RedisCluster) else (None,)

    async def _info(self, section: str, node: Any) -> dict[str, Any]:
        if node is None:
            return await self._redis.info(section)
        cluster = cast(Any, self._redis)
        told = await cluster.info(section, target_nodes=node)
        return cast(dict[str, Any], told)

    async def _look_at_backlogs(self, camera_id: str) -> None:
        lags = await self._lags.by_task(camera_id)
        counted = [lag for lag in lags.values() if lag is not None]
        metrics.FLOWS.watch(camera_id).awaiting = max(counted) if len(counted) == len(lags) > 0 else None
        for task in self._tasks_of.get(camera_id, set()) - lags.keys():
            # It was forgotten, and nobody would set its numbers again.
            metrics.LAG.remove_by_labels({"camera": camera_id, "task": task})
            metrics.DEAD_LETTERS.remove_by_labels({"camera": camera_id, "task": task})
        self._tasks_of[camera_id] = set(lags)
        for task, lag in lags.items():
            if lag is not None:
                metrics.LAG.labels(camera_id, task).set(lag)
                if task == store_keys.DEFAULT_TASK:
                    metrics.BACKLOG.labels(camera_id).set(lag)
            dead = await self._redis.xlen(store_keys.dead(camera_id, task))
            metrics.DEAD_LETTERS.labels(camera_id, task).set(dead)

    async def _look_at_results(self, camera_id: str) -> None:
        try:
            stream = await self._redis.xinfo_stream(store_keys.results(camera_id))
        except ResponseError as error:
            if NO_SUCH_KEY not in str(error):
                raise
            return
        added = int(stream["entries-added"])
        before = self._results.get(camera_id)
        self._results[camera_id] = added
        if before is not None and added > before:
            metrics.FLOWS.watch(camera_id).results.add(added - before)

    async def _look_at_workers(self, task: str) -> None:
        within = round(self._config.lease * 1000)
        there = await self._redis.eval(PRESENT, 1, store_keys.workers(task), within)
        metrics.WORKERS.labels(task).set(int(there))
