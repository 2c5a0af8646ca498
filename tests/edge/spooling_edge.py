"""A queue on disk, and ways to end the process that has it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.config import SpoolConfig
from edge.metrics import Tally
from edge.pending import Pending
from edge.spool import Spool


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Edge:
    """A process with a queue on disk."""

    def __init__(
        self,
        folder: Path,
        *,
        complete: bool = False,
        max_age_s: float | None = None,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], float] | None = None,
        **limits: Any,
    ) -> None:
        self.tally = Tally()
        self.clock = clock or Clock()
        self.spool = Spool(
            SpoolConfig(folder, retry_s=5.0, **limits),
            "door",
            complete,
            max_age_s,
            self.tally,
            self.clock,
            wall or (lambda: 1_700_000_000.0),
        )
        self.pending = Pending(self.tally, self.spool)

    async def tend(self) -> None:
        """As once a second."""
        await self.pending._tend()
        self.pending.notify()

    async def send(self, count: int) -> list[tuple[str, int]]:
        """Text and sequence of the next frames."""
        sent = []
        for _ in range(count):
            entry = await self.pending.next_unsent()
            assert entry is not None
            self.pending.mark_sent(entry)
            sent.append((entry.frame.machine.decode().removeprefix("machine "), entry.sequence))
        return sent

    async def kill(self) -> None:
        """End it, and leave on the disk what SIGKILL would leave there."""
        spool = self.spool
        await asyncio.get_running_loop().run_in_executor(spool._thread, _abandon, spool)
        spool._thread.shutdown()


def _abandon(spool: Spool) -> None:
    files = {path: path.read_bytes() for path in spool._folder.iterdir()}
    if spool._naming_file is not None:
        spool._naming_file.close()
    if spool._lock is not None:
        os.close(spool._lock)
    if spool._file is not None:
        spool._file.close()
    # What closing has put in order is as it was.
    for path in spool._folder.iterdir():
        path.unlink()
    for path, content in files.items():
        path.write_bytes(content)
