"""Events that a receiver did not take, one file each, the oldest of which go when there are too many."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.errors import RelayPositionsError
from server.private_file import make_private_folder, write_private
from server.relay import metrics
from server.relay.told import rfc3339


class DeadLetters:
    """Of one target, in a folder of its own."""

    def __init__(self, target: str, folder: Path, most: int) -> None:
        self._target = target
        self._folder = folder
        self._most = most
        make_private_folder(folder)
        metrics.DEAD_LETTERS.labels(target).set(len(self.paths()))

    def paths(self) -> list[Path]:
        """Oldest first."""
        return sorted(self._folder.glob("*.json"))

    async def keep(self, event: str, body: dict[str, Any], why: str, attempts: int) -> None:
        """Write an event down.

        Raises:
            RelayPositionsError: that cannot be done.
        """
        letter = {
            "id": event,
            "at": rfc3339(datetime.now(UTC)),
            "attempts": attempts,
            "why": why,
            "body": body,
        }
        name = f"{time.time_ns():020}-{hashlib.sha256(event.encode()).hexdigest()[:8]}.json"
        try:
            await asyncio.to_thread(self._write, self._folder / name, json.dumps(letter, indent=1).encode())
        except OSError as error:
            raise RelayPositionsError(self._folder, str(error)) from error

    def _write(self, path: Path, content: bytes) -> None:
        write_private(path, content)
        paths = self.paths()
        for old in paths[: -self._most]:
            old.unlink(missing_ok=True)
        metrics.DEAD_LETTERS.labels(self._target).set(min(len(paths), self._most))
