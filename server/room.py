"""Room in a store that is full."""

from __future__ import annotations

import asyncio
import logging
import time

from redis.asyncio import Redis

from secondsight import store_keys
from server import metrics
from server.config import ServerConfig
from server.groups import LET_GO, LET_GO_OF_ALL
from server.lag import Lags

_log = logging.getLogger(__name__)


class Room:
    """Relieves a store of the older half of what all tasks have recognised, as often as it takes.

    Where nothing of that is left, of what the default task has recognised: a task that nobody runs must not stop the
    cameras. What the default task has not recognised stays, and so does the last group of a camera, whole, until a key
    frame asks for its place.
    """

    def __init__(self, redis: Redis, lags: Lags, config: ServerConfig) -> None:
        self._redis = redis
        self._lags = lags
        self._config = config
        self._making = asyncio.Lock()
        self._made_at = 0.0
        self.exhausted = False
        """Whether there was nothing left to let go of, the last time."""

    async def make(self) -> None:
        """Let go of something. Who comes while another does has the benefit of it.

        Raises:
            redis.RedisError
        """
        came_at = time.monotonic()
        async with self._making:
            if self._made_at > came_at:
                return
            let_go = 0
            cameras = await self._lags.cameras()
            for minding_all in (True, False):
                if not let_go:
                    let_go = sum([await self._let_go_of(camera_id, minding_all) for camera_id in cameras])
            self._made_at = time.monotonic()
            if let_go:
                metrics.STORE_LET_GO.inc(let_go)
                _log.warning("the store is full and let go of %d older frames and results", let_go)
            elif not self.exhausted:
                _log.error("the store is full and has nothing left to let go of; give it more memory")
            self.exhausted = not let_go

    async def make_for_key(self, camera_id: str) -> int:
        """Let go of a camera's last group for the sake of its next one. Gives how many frames went.

        Raises:
            redis.RedisError
        """
        keys = store_keys.frames(camera_id), store_keys.keys(camera_id)
        let_go = int(await self._redis.eval(LET_GO_OF_ALL, 2, *keys))
        if let_go:
            metrics.STORE_LET_GO.inc(let_go)
            _log.warning(
                "the store is full and let go of the last group of camera %s for the next", camera_id
            )
        return let_go

    async def _let_go_of(self, camera_id: str, minding_all: bool) -> int:
        backlog = await self._lags.most(camera_id) if minding_all else await self._lags.counted(camera_id)
        let_go = await self._let_go_of_results(camera_id)
        if backlog is not None:  # else nobody knows how many of them are recognised
            let_go += await self._let_go_of_groups(camera_id, backlog)
        return let_go

    async def _let_go_of_groups(self, camera_id: str, backlog: int) -> int:
        """Halve the frames; where a group is longer than that, keep as few groups as the backlog allows."""
        frames, keys = store_keys.frames(camera_id), store_keys.keys(camera_id)
        # The backlog may have grown since it was counted, though not above its limit.
        least = max(backlog, self._config.backlog_frames)
        let_go = 0
        for kept in (max(least, await self._redis.xlen(frames) // 2), least):
            if not let_go:
                let_go, passed_over = await self._redis.eval(LET_GO, 2, frames, keys, kept)
                if passed_over:
                    metrics.FRAMES_PASSED_OVER.labels(camera_id).inc(passed_over)
        return int(let_go)

    async def _let_go_of_results(self, camera_id: str) -> int:
        let_go = 0
        for task in await self._lags.tasks(camera_id):
            results = store_keys.results(camera_id, task)
            kept = max(self._config.backlog_frames, await self._redis.xlen(results) // 2)
            let_go += int(await self._redis.xtrim(results, maxlen=kept, approximate=False))
        return let_go
