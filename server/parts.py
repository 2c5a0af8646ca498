"""The parts of a process that run side by side for as long as it serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from secondsight.cancelling import cancel_all

_log = logging.getLogger(__name__)


class Parts:
    """Tasks of which none ends before it is told to."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        """Run one more part."""
        self._tasks.append(asyncio.create_task(part, name=name))

    async def failed(self) -> None:
        """Return never; raise when a part has ended by itself."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise RuntimeError(f"the {self._of}'s {task.get_name()} ended by itself")

    async def end_of(self, name: str, within: float) -> None:
        """Wait for one part, which was told to end; if it has not ended `within` seconds it is cancelled."""
        await self._end([task for task in self._tasks if task.get_name() == name], within)

    async def end(self, within: float) -> None:
        """Wait for all parts, which were told to end; what has not ended `within` seconds is cancelled."""
        await self._end(self._tasks, within)

    async def _end(self, tasks: list[asyncio.Task[None]], within: float) -> None:
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within)
        for task in late:
            _log.warning("the %s's %s did not end in time", self._of, task.get_name())
        await cancel_all(late)
        await asyncio.gather(*tasks, return_exceptions=True)
