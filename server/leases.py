"""Which worker has the frames of which camera, for one recognition task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from secondsight import store_keys
from server.store.patience import Patience
from server.task_scripts import ATTEND, GIVE_BACK, TAKE


class Leases:
    """One worker's view of them. Every method may raise StoreUnavailableError.

    They last `lasting` seconds by the store's clock. No other clock is looked at.
    """

    def __init__(self, redis: Redis, patience: Patience, *, task: str, worker: str, lasting: float) -> None:
        self.task = task
        self.worker = worker
        self.lasting_ms = round(lasting * 1000)
        self._redis = redis
        self._patience = patience

    async def attend(self) -> list[str]:
        """Tell the others that this worker is there. Gives all that are, itself included."""
        return await self._attend(leaves=False)

    async def depart(self) -> None:
        """Tell the others that this worker is no longer there, before they find out."""
        await self._attend(leaves=True)

    async def holders(self, cameras: Iterable[str]) -> dict[str, str | None]:
        """Who has each camera, None for nobody. Lengthens the worker's own leases."""
        return await self._ask_all(list(cameras), wants=False)

    async def take(self, cameras: Iterable[str]) -> list[str]:
        """Take these cameras as far as nobody has them. Gives those that the worker has now."""
        holders = await self._ask_all(list(cameras), wants=True)
        return [camera_id for camera_id, holder in holders.items() if holder == self.worker]

    async def give_back(self, camera_id: str) -> None:
        """Let others have a camera at once."""
        lease = store_keys.worker(camera_id, self.task)
        await self._patience.ask("give back", lambda: self._redis.eval(GIVE_BACK, 1, lease, self.worker))

    async def _attend(self, *, leaves: bool) -> list[str]:
        key = store_keys.workers(self.task)

        async def attempt() -> list[str]:
            there: Any = await self._redis.eval(ATTEND, 1, key, self.worker, self.lasting_ms, int(leaves))
            return [worker.decode() for worker in there]

        return await self._patience.ask("attend", attempt)

    async def _ask_all(self, cameras: list[str], *, wants: bool) -> dict[str, str | None]:
        async def attempt() -> dict[str, str | None]:
            pipeline = self._redis.pipeline(transaction=False)
            for camera_id in cameras:
                lease = store_keys.worker(camera_id, self.task)
                pipeline.eval(TAKE, 1, lease, self.worker, self.lasting_ms, int(wants))
            holders: list[bytes | None] = await pipeline.execute()
            return {
                camera_id: None if holder is None else holder.decode()
                for camera_id, holder in zip(cameras, holders, strict=True)
            }

        return await self._patience.ask("lease", attempt) if cameras else {}
