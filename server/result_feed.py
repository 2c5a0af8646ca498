"""Brings results out of the store with one waiting read per camera, however many subscribe.

And whatever nodes of a cluster the cameras are on. Subscribers are only woken: each takes results from its own
position on, those that have just come from here, older ones from the store. So a slow one holds up nobody and nothing
is kept for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from secondsight import store_keys
from secondsight.cancelling import cancel_all
from server.config import ServerConfig
from server.errors import StoreUnavailableError
from server.frame_bus import FrameBus, Published

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

    async def woken(self, within: float | None = None) -> set[str]:
        """Cameras to read, once there are any; none when there are none in time, or for as long as a read waits."""
        patience = self._feed.patience
        with suppress(TimeoutError):
            async with asyncio.timeout(patience if within is None else min(within, patience)):
                await self._called.wait()
        woken, self._woken = self._woken, set()
        self._called.clear()
        return woken


@dataclass
class _Tail:
    """The end of a camera's results.

    Attributes:
        recent: all that came after `floor`, oldest first; None while it is not known where they begin.
        count: results that have come since the tail was begun.
    """

    followers: set[Follower] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    recent: deque[Published] = field(default_factory=deque)
    recent_bytes: int = 0
    floor: tuple[int, int] | None = None
    count: int = 0

    def add(self, published: Published, most: int, most_bytes: int) -> None:
        self.count += 1
        self.recent.append(published)
        self.recent_bytes += len(published.result)
        while len(self.recent) > most or (self.recent_bytes > most_bytes and len(self.recent) > 1):
            gone = self.recent.popleft()
            self.recent_bytes -= len(gone.result)
            self.floor = store_keys.parse_entry_id(gone.entry_id)


@dataclass(frozen=True)
class Recent:
    """Results of a camera that came after the position `floor`, and how many had come with the last of them."""

    floor: str
    results: list[Published]
    count: int


class ResultFeed:
    """Watches the results of the cameras that somebody follows."""

    def __init__(self, bus: FrameBus, config: ServerConfig) -> None:
        self.patience = config.block
        self._bus = bus
        self._config = config
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

    def after(self, task: str, camera_id: str, position: str) -> Recent | None:
        """What a followed camera's results are after a position; None when only the store can tell."""
        tail = self._tails[task, camera_id]
        place = store_keys.parse_entry_id(position)
        if tail.floor is None or place < tail.floor:
            return None
        results = [
            published for published in tail.recent if store_keys.parse_entry_id(published.entry_id) > place
        ]
        return Recent(position, results, tail.count)

    def beginning(self, task: str, camera_id: str) -> Recent | None:
        """All recent results of a followed camera; None while none are known."""
        tail = self._tails[task, camera_id]
        if tail.floor is None:
            return None
        return Recent(store_keys.entry_id(*tail.floor), list(tail.recent), tail.count)

    async def _watch(self, camera_id: str, task: str, tail: _Tail) -> None:
        """Until nobody follows any longer: a waiting read is let end, since its connection would not be of use."""
        position: str | None = None
        try:
            while tail.followers:
                came = True
                try:
                    if position is None:
                        position = (await self._bus.last_results([camera_id], task))[camera_id]
                        tail.floor = store_keys.parse_entry_id(position)
                    else:
                        results = await self._bus.wait_for_results(camera_id, task, position)
                        came = bool(results)
                        for published in results:
                            position = published.entry_id
                            tail.add(published, self._config.results_read_at_once, self._config.recent_bytes)
                except StoreUnavailableError as error:
                    # They find out by themselves, and tell those who asked.
                    _log.warning("results of camera %s: %s", camera_id, error)
                if came:
                    for follower in tail.followers:
                        follower.wake(camera_id)
        finally:
            del self._tails[task, camera_id]
