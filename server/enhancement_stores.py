"""The stores in which enhancement layers lie: the server's own, and those that its configuration names for cameras."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from secondsight import store_keys
from server.config import ServerConfig
from server.errors import CameraStoreSilentError, ServerConfigError, StoreUnavailableError
from server.store.client import STORE_ERRORS, erase, open_client


class EnhancementStores:
    """Reads layers and lengthens their lives, wherever a camera's are. `own` is not closed with it.

    A camera with a store of its own may have layers in the server's, too: those that came over its uplink.

    Every method raises StoreUnavailableError for the server's own store, and CameraStoreSilentError for another one,
    which is then left alone for `config.camera_store_rest`.

    Raises:
        ServerConfigError: a URL of `config.camera_stores` is none.
    """

    def __init__(self, own: Redis, config: ServerConfig) -> None:
        self._own = own
        self._patience = config.camera_store_patience
        self._rest = config.camera_store_rest
        self._retry_after = config.store_retry_after
        self._named: dict[str, Redis] = {}
        self._resting_until: dict[str, float] = {}
        for camera_id, url in config.camera_stores.items():
            try:
                self._named[camera_id] = open_client(url)
            except ServerConfigError as error:
                raise ServerConfigError(f"camera {camera_id}: {error}") from error

    async def read(self, camera_id: str, keys: Sequence[str]) -> list[bytes | None]:
        """The layers under these keys of a camera, in their order."""

        def ask(pipeline: Pipeline, key: str) -> None:
            pipeline.get(key)

        layers: dict[str, bytes] = {}
        for store in self._of(camera_id):
            lacking = [key for key in keys if key not in layers]
            answers = await self._asked(camera_id, store, ask, lacking)
            layers |= {key: layer for key, layer in zip(lacking, answers, strict=True) if layer is not None}
        return [layers.get(key) for key in keys]

    async def exist(self, camera_id: str, keys: Sequence[str]) -> list[bool]:
        """Which of these keys of a camera hold a layer."""

        def ask(pipeline: Pipeline, key: str) -> None:
            pipeline.exists(key)

        return await self._any(camera_id, ask, keys)

    async def lengthen(self, camera_id: str, keys: Sequence[str], seconds: float) -> list[bool]:
        """Have layers live for at least so long from now; tells which are there."""

        def ask(pipeline: Pipeline, key: str) -> None:
            pipeline.pexpire(key, round(seconds * 1000), gt=True)

        await self._any(camera_id, ask, keys)
        return await self.exist(camera_id, keys)

    async def erase(self, camera_id: str) -> int:
        """Remove what a store that is the camera's own has of it; how many keys those were."""
        named = self._named.get(camera_id)
        if named is None:
            return 0
        try:
            return await erase(named, store_keys.all_of(camera_id))
        except STORE_ERRORS as error:
            raise CameraStoreSilentError(camera_id, self._retry_after) from error

    async def close(self) -> None:
        """Close the connections to the stores of cameras."""
        for store in self._named.values():
            await store.aclose()

    def _of(self, camera_id: str) -> list[Redis]:
        return [*filter(None, [self._named.get(camera_id)]), self._own]

    async def _any(
        self, camera_id: str, ask: Callable[[Pipeline, str], None], keys: Sequence[str]
    ) -> list[bool]:
        """Key by key, whether one of the stores says so."""
        answers = [await self._asked(camera_id, store, ask, keys) for store in self._of(camera_id)]
        return [any(of_key) for of_key in zip(*answers, strict=True)]

    async def _asked(
        self, camera_id: str, store: Redis, ask: Callable[[Pipeline, str], None], keys: Sequence[str]
    ) -> list[Any]:
        if not keys:
            return []
        if store is not self._own and time.monotonic() < self._resting_until.get(camera_id, 0.0):
            # Frames of other cameras wait behind this answer, so a silent store is not waited for at every look.
            raise CameraStoreSilentError(camera_id, self._retry_after)
        pipeline = store.pipeline(transaction=False)
        for key in keys:
            ask(pipeline, key)
        try:
            if store is self._own:
                return await pipeline.execute()
            async with asyncio.timeout(self._patience):
                return await pipeline.execute()
        except (*STORE_ERRORS, TimeoutError) as error:
            if store is self._own:
                raise StoreUnavailableError from error
            self._resting_until[camera_id] = time.monotonic() + self._rest
            raise CameraStoreSilentError(camera_id, self._retry_after) from error
