"""What a camera has put on its uplink: in the last minute, and day by day."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from edge.errors import ConfigError

_LOG = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds, as `time.time` or `time.monotonic`."""

_MINUTE_S: Final = 60


def day_of(now: float) -> str:
    """The day in UTC, as 2026-02-28."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


class Ledger:
    """Bytes by day in a small file, so that a restart does not forget what a day has cost.

    The file is written ahead: it says as much as up to `step_bytes` more than was spent, so that a killed edge counts
    too much rather than too little, and so that the file is written some hundred times a day and not for every frame.
    `close` makes it exact.

    Args:
        days_kept: so many days in which bytes were spent last. Not the largest dates: a clock that was ahead for a time
            has left such that are still to come.

    Raises:
        ConfigError: the file's folder cannot be made or written.
    """

    def __init__(self, path: Path, step_bytes: int, days_kept: int = 31) -> None:
        self._path = path
        self._step_bytes = max(1, step_bytes)
        self._days_kept = days_kept
        self._ahead = 0
        self._failing = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.days = self._read()
            self._write(self.days)
        except OSError as error:
            raise ConfigError(
                f"what a day has cost cannot be kept in {path}: give a state folder that this user may write ({error})"
            ) from error

    def add(self, day: str, count: int) -> None:
        """Add `count` bytes to `day`."""
        new_day = day not in self.days
        self.days[day] = self.days.pop(day, 0) + count
        self._ahead -= count
        if new_day or self._ahead < 0:
            self._ahead = self._step_bytes
            self._save({**self.days, day: self.days[day] + self._ahead})

    def close(self) -> None:
        """Write the exact count."""
        self._save(self.days)

    def _read(self) -> dict[str, int]:
        try:
            days = json.loads(self._path.read_text())["days"]
            return {str(day): int(count) for day, count in days.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _LOG.warning("%s cannot be read and is begun anew: today counts from 0 (%s)", self._path, error)
            return {}

    def _save(self, days: dict[str, int]) -> None:
        try:
            self._write(days)
            self._failing = False
        except OSError as error:
            if not self._failing:
                _LOG.warning("%s cannot be written, a restart would forget today: %s", self._path, error)
            self._failing = True

    def _write(self, days: dict[str, int]) -> None:
        kept = dict(list(days.items())[-self._days_kept :])
        scratch = self._path.with_suffix(".new")
        with scratch.open("w") as file:
            json.dump({"days": kept}, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)


class Spending:
    """Bytes on the uplink, every sending counted. Any thread may ask.

    Args:
        wall: tells the day; it may be set while the edge runs.
        clock: monotonic; tells the minute.
        counts_enhancement: the store lies across the uplink, so that enhancement layers cost as much as machine ones.
        ledger: keeps the days over restarts.
    """

    def __init__(
        self,
        wall: Clock = time.time,
        clock: Clock = time.monotonic,
        counts_enhancement: bool = False,
        ledger: Ledger | None = None,
    ) -> None:
        self._wall = wall
        self._clock = clock
        self._counts_enhancement = counts_enhancement
        self._ledger = ledger
        self._days: dict[str, int] = {} if ledger is None else ledger.days
        self._seconds: deque[tuple[int, int]] = deque()
        self._peak_minute = 0
        self._beside = 0
        self._lock = threading.Lock()

    def machine(self, count: int) -> None:
        """A machine layer of `count` bytes is sent."""
        self._spend(count)

    def enhancement(self, count: int, foreseen: bool = True) -> None:
        """An enhancement layer of `count` bytes has gone to the store, `foreseen` when its frame was coded."""
        if self._counts_enhancement:
            self._spend(count)
            self._beside += 0 if foreseen else count

    def reply(self, count: int) -> None:
        """An enhancement layer of `count` bytes was asked for over the uplink, and is sent."""
        self._spend(count)
        self._beside += count

    @property
    def beside_bytes(self) -> int:
        """Since the start, what nobody could foresee when a frame was coded."""
        return self._beside

    @property
    def minute_bytes(self) -> int:
        """In the last 60 seconds."""
        with self._lock:
            return self._minute()

    @property
    def peak_minute_bytes(self) -> int:
        """The most in any 60 seconds so far."""
        with self._lock:
            return self._peak_minute

    @property
    def today_bytes(self) -> int:
        """Since midnight UTC, also by runs before this one if there is a ledger."""
        with self._lock:
            return self._days.get(day_of(self._wall()), 0)

    @property
    def left_of_day_s(self) -> float:
        """Seconds until midnight UTC."""
        moment = datetime.fromtimestamp(self._wall(), UTC)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - moment).total_seconds()

    @property
    def days(self) -> dict[str, int]:
        """Bytes by day, UTC."""
        with self._lock:
            return dict(sorted(self._days.items()))

    def close(self) -> None:
        """Make the ledger exact."""
        if self._ledger is not None:
            self._ledger.close()

    def _spend(self, count: int) -> None:
        second, day = int(self._clock()), day_of(self._wall())
        with self._lock:
            if self._seconds and self._seconds[-1][0] == second:
                count_before = self._seconds.pop()[1]
                self._seconds.append((second, count_before + count))
            else:
                self._seconds.append((second, count))
            self._peak_minute = max(self._peak_minute, self._minute())
            if self._ledger is None:
                self._days[day] = self._days.get(day, 0) + count
            else:
                self._ledger.add(day, count)

    def _minute(self) -> int:
        began = int(self._clock()) - _MINUTE_S
        while self._seconds and self._seconds[0][0] <= began:
            self._seconds.popleft()
        return sum(count for _, count in self._seconds)
