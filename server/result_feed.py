"""Tells subscribers that there are results to read, with one waiting read of the store per camera.

However many subscribe, and whatever nodes of a cluster the cameras are on. Subscribers are only woken: each reads the
store from its own position, so a slow one holds up nobody and nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from secondsight.cancelling import cancel_all
from server.config import ServerConfig
from server.errors import StoreUnavailableError
from server.frame_bus import FrameBus

_log = logging.getLogger(__name__)


class Follower:
    """A subscriber's cameras, and those of them that may have results which it has not read."""

    def __init__(self, feed: ResultFeed, task: str) -> None:
        self.task = task
        self._feed = feed
        self.cameras: set[str] = set()
        self._woken: set[str] = set()
        self._called = asyncio.Event()

    def follow(self, cameras: Iterable[str]) -> None:
        """Be woken by these cameras too; by each at once, for what is there already."""
        for camera_id in set(cameras) - self.cameras:
            self.cameras.add(camera_id)
            self._feed.watch(camera_id, self)
            self.wake(camera_id)

    def wake(self, camera_id: str) -> None:
        """There may be results of this camera to read."""
        self._woken.add(camera_id)
        self._called.set()

    async def woken(self) -> set[str]:
        """Cameras to read, once there are any; none when there are none for as long as a read waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._feed.patience):
                await self._called.wait()
        woken, self._woken = self._woken, set()
        self._called.clear()
        return woken


@dataclass
class _Tail:
    followers: set[Follower] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class ResultFeed:
    """Watches the results of the cameras that somebody follows."""

    def __init__(self, bus: FrameBus, config: ServerConfig) -> None:
        self.patience = config.block
        self._bus = bus
        self._tails: dict[tuple[str, str], _Tail] = {}
        self._cameras: list[str] = []
        self._looked_at = 0.0

    async def cameras(self) -> list[str]:
        """All cameras, as of a moment ago, however many ask.

        Raises:
            StoreUnavailableError
        """
        if time.monotonic() - self._looked_at >= self.patience:
            self._looked_at = time.monotonic()
            self._cameras = await self._bus.cameras()
        return self._cameras

    async def close(self) -> None:
        """End the waiting reads."""
        await cancel_all([tail.task for tail in self._tails.values() if tail.task is not None])

    @contextmanager
    def following(self, task: str) -> Iterator[Follower]:
        """Follow a task's results, of the cameras that the follower names."""
        follower = Follower(self, task)
        try:
            yield follower
        finally:
            for camera_id in follower.cameras:
                self._tails[task, camera_id].followers.discard(follower)

    def watch(self, camera_id: str, follower: Follower) -> None:
        """Wake `follower` when the camera has results."""
        tail = self._tails.setdefault((follower.task, camera_id), _Tail())
        tail.followers.add(follower)
        if tail.task is None:
            tail.task = asyncio.create_task(self._watch(camera_id, follower.task, tail))

    async def _watch(self, camera_id: str, task: str, tail: _Tail) -> None:
        """Until nobody follows any longer: a waiting read is let end, since its connection would not be of use."""
        position: str | None = None
        try:
            while tail.followers:
                try:
                    if position is None:
                        position = (await self._bus.last_results([camera_id], task))[camera_id]
                        came: str | None = position
                    else:
                        came = await self._bus.wait_for_result(camera_id, task, position)
                except StoreUnavailableError as error:
                    # They find out by themselves, and tell those who asked.
                    _log.warning("results of camera %s: %s", camera_id, error)
                    came = position
                if came is not None:
                    position = came
                    for follower in tail.followers:
                        follower.wake(camera_id)
        finally:
            del self._tails[task, camera_id]
