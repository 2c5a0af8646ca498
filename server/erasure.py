"""Erases what is stored of a camera: its frames, layers, results, history and marks."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from redis.asyncio import Redis

from secondsight import store_keys
from server.config import ServerConfig
from server.enhancement_stores import EnhancementStores
from server.errors import CameraConnectedError, UnknownCameraError
from server.store.asking import asks_store
from server.store.client import erase

_PASSES: Final = 20


class Erasure:
    """Over the server's own store, and the camera's where the configuration names one."""

    def __init__(self, redis: Redis, stores: EnhancementStores, config: ServerConfig) -> None:
        self._redis = redis
        self._stores = stores
        self._config = config

    @asks_store
    async def camera(self, camera_id: str) -> int:
        """Erase a camera, as if it had never been there; how many keys it had.

        Session numbers go on rising: when it comes back, its frames take other names. What waits at its edge stays
        there. Whatever fails can be asked for again.

        Raises:
            UnknownCameraError
            CameraConnectedError: its edge would begin it anew at once.
            CameraStoreSilentError: its own store does not answer.
            StoreUnavailableError
        """
        try:
            # It becomes part of a pattern: `*` would be every camera.
            store_keys.checked_camera_id(camera_id)
        except store_keys.InvalidCameraIdError as error:
            raise UnknownCameraError(camera_id) from error
        if await self._connected(camera_id):
            raise CameraConnectedError(camera_id)
        erased = await self._stores.erase(camera_id)
        # No worker takes it any more. One that has a frame in hand finds its lease gone, and may touch keys until
        # it does.
        listed = await self._redis.hdel(store_keys.CAMERAS, camera_id)
        for _ in range(_PASSES):
            found = await erase(self._redis, store_keys.all_of(camera_id))
            erased += found
            if not found:
                break
            await asyncio.sleep(self._config.lease_look)
        if not listed and not erased:
            raise UnknownCameraError(camera_id)
        return erased

    async def _connected(self, camera_id: str) -> bool:
        """Whether its uplink is open, or a frame came so lately that it may be: not every edge reads what is wanted."""
        stored_at = await self._redis.hget(store_keys.CAMERAS, camera_id)
        if stored_at is not None and time.time() - int(stored_at) / 1e9 < self._config.uplink_seen:
            return True
        return bool(await self._redis.exists(store_keys.uplink(camera_id)))
