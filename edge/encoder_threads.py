"""The threads in which frames are encoded: a budget that the cameras of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any


class Place:
    """The right to encode one frame now."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self.used = False

    def lasts_until(self, coding: asyncio.Future[Any]) -> None:
        """The place is taken up, and given back when `coding` is done."""
        self.used = True
        coding.add_done_callback(lambda _: self._places.release())


class EncoderThreads:
    """So many frames are encoded at a time, whichever cameras they are of.

    A camera waits for its place before it takes its newest frame, so that no picture grows old in a queue. Places are
    given in the order in which they were asked for; as a camera asks for one at a time, cameras take turns.
    """

    def __init__(self, count: int) -> None:
        self._places = asyncio.Semaphore(count)
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="encoder")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Wait for a place. One that is not used within is given back."""
        await self._places.acquire()
        place = Place(self._places)
        try:
            yield place
        finally:
            if not place.used:
                self._places.release()

    def submit(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Begin `work` in a thread."""
        return self._pool.submit(work, *arguments)

    def close(self) -> None:
        """Wait for the frames in work and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
