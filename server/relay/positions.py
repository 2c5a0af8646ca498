"""How far a target is, in a file: what it was handed comes no second time, what it was not handed comes still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from secondsight.client import Result
from server.errors import RelayPositionsError
from server.private_file import make_private_folder, write_private


class _Kept(BaseModel):
    """The file.

    Attributes:
        since: when the target began.
        cameras: position after the last result of each camera that was dealt with.
    """

    model_config = ConfigDict(extra="forbid")

    version: int = 1
    task: str
    since: AwareDatetime
    cameras: dict[str, str] = {}


class TargetPositions:
    """Of one target.

    Raises:
        RelayPositionsError: the file is there and cannot be used.
    """

    def __init__(self, path: Path, task: str, *, save_every: float) -> None:
        self._path = path
        self._save_every = save_every
        self._saved_at = 0.0
        self._changed = False
        self._writing: asyncio.Task[None] | None = None
        make_private_folder(path.parent)
        try:
            self._kept = _Kept.model_validate_json(path.read_bytes())
            self.first_start = False
        except FileNotFoundError:
            self._kept = _Kept(task=task, since=datetime.now(UTC))
            self.first_start = True
        except (OSError, ValidationError) as error:
            raise RelayPositionsError(path, str(error)) from error
        if self._kept.task != task:
            raise RelayPositionsError(path, f"it tells how far the task {self._kept.task!r} is, not {task!r}")

    @property
    def cameras(self) -> dict[str, str]:
        """For a subscription to go on after."""
        return dict(self._kept.cameras)

    def is_older(self, result: Result) -> bool:
        """Whether a result was there before the target was, and so is none of its."""
        return result.camera not in self._kept.cameras and result.recognised_at < self._kept.since

    async def move(self, cameras: Mapping[str, str]) -> None:
        """Go on after these positions. They are in the file a little later.

        Raises:
            RelayPositionsError: the file cannot be written.
        """
        self._kept.cameras.update(cameras)
        self._changed = True
        await self.save_in_time()

    async def save_in_time(self) -> None:
        """Write what has changed, unless something was written a moment ago.

        Raises:
            RelayPositionsError
        """
        if time.monotonic() - self._saved_at >= self._save_every:
            await self.save()

    async def save(self) -> None:
        """Write what has changed.

        Raises:
            RelayPositionsError
        """
        if not self._changed and not self.first_start:
            return
        if self._writing is not None:
            # One after the other, also when whoever waited for it was cancelled.
            await asyncio.wait([self._writing])
        content = self._kept.model_dump_json(indent=1).encode()
        self._changed = False
        self._writing = asyncio.create_task(asyncio.to_thread(write_private, self._path, content))
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            self._changed = True
            raise RelayPositionsError(self._path, str(error)) from error
        self.first_start = False
        self._saved_at = time.monotonic()
