"""Events that a receiver did not take, one file each, the oldest of which go when there are too many."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.errors import DeadLetterError, RelayPositionsError
from server.private_file import make_private_folder, write_private
from server.relay import metrics
from server.relay.config import RelayConfig
from server.relay.told import rfc3339


@dataclass(frozen=True)
class Letter:
    """An event that was not taken: its name, and what its receiver was sent."""

    path: Path
    event: str
    document: dict[str, Any]


class DeadLetters:
    """Of one target, in a folder of its own."""

    def __init__(self, target: str, folder: Path, most: int) -> None:
        self._target = target
        self._folder = folder
        self._most = most
        make_private_folder(folder)
        metrics.DEAD_LETTERS.labels(target).set(len(self.paths()))

    @classmethod
    def of(cls, config: RelayConfig, target: str) -> DeadLetters:
        """Those of a webhook of a relay."""
        return cls(target, config.data / f"{target}.dead", config.webhooks[target].dead_letters)

    def paths(self) -> list[Path]:
        """Oldest first."""
        return sorted(self._folder.glob("*.json"))

    def letters(self) -> Iterator[Letter]:
        """Oldest first. Those that go meanwhile, for there are too many, are passed over.

        Raises:
            DeadLetterError: a file is none.
        """
        for path in self.paths():
            try:
                letter = json.loads(path.read_bytes())
                event, document = letter["id"], letter["body"]
                if not (isinstance(event, str) and isinstance(document, dict)):
                    raise TypeError("its members have other types")
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DeadLetterError(path, str(error)) from error
            yield Letter(path, event, document)

    def remove(self, letter: Letter) -> None:
        """It was taken."""
        letter.path.unlink(missing_ok=True)
        metrics.DEAD_LETTERS.labels(self._target).dec()

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
