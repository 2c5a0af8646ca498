"""The timeline of a camera: its history in buckets, with the gaps in it and what can still be looked at."""

from __future__ import annotations

import asyncio
import statistics
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from redis.asyncio import Redis

from secondsight import store_keys
from server.config import ServerConfig
from server.kept_frames import Name
from server.timeline.entry import AHEAD_MS, DAY_MS, HOUR_MS, entry_of
from server.timeline.history import MINUTE_MS, History
from server.timeline.records import LabelRecord, Record

_SECONDS: Final = (1, 2, 5, 10, 15, 30)
_MINUTES: Final = (1, 2, 5, 10, 15, 30)
_HOURS: Final = (1, 2, 3, 6, 12, 24)
SIZES_S: Final = (*_SECONDS, *(60 * each for each in _MINUTES), *(3600 * each for each in _HOURS))
"""Of buckets, seconds. Each divides a day."""

_BY_MINUTES: Final = 7 * DAY_MS
"""The longest stretch that is told by its minutes: each takes some 20 µs of the server's time."""
_RESULTS_AT_ONCE: Final = 128


class Viewable(StrEnum):
    """What can still be looked at."""

    NONE = "none"
    """The history alone tells of it."""
    MACHINE = "machine"
    """Machine views."""
    HUMAN = "human"
    """Human views as well, unless a full store has let go of their enhancement layers."""


@dataclass
class Bucket:
    """What was seen in a stretch of time; times in ms since the epoch.

    Longer than the others where a finer one would tell of less than a minute, and only minutes are known.
    """

    start_ms: int
    span_ms: int
    frames: int = 0
    machine_bytes: int = 0
    enhancement_bytes: int = 0
    alerts: int = 0
    until_s: int = 0
    first_ms: int = 0
    first_frame: str = ""
    last_ms: int = 0
    last_frame: str = ""
    labels: dict[str, LabelRecord] = field(default_factory=dict)
    viewable: Viewable = Viewable.NONE

    def add(self, record: Record) -> None:
        """Take in what was seen in a part of the stretch."""
        if not self.frames or record.first_ms < self.first_ms:
            self.first_ms, self.first_frame = record.first_ms, record.first_frame
        if not self.frames or record.last_ms >= self.last_ms:
            self.last_ms, self.last_frame = record.last_ms, record.last_frame
        self.frames += record.frames
        self.machine_bytes += record.machine_bytes
        self.enhancement_bytes += record.enhancement_bytes
        self.alerts += record.alerts
        self.until_s = max(self.until_s, record.until_s)
        for label, seen in record.labels.items():
            before = self.labels.get(label, LabelRecord(0, 0))
            self.labels[label] = LabelRecord(max(before.most, seen.most), before.frames + seen.frames)


@dataclass(frozen=True)
class Gap:
    """A time in which frames were due and none was captured."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True)
class Timeline:
    """Buckets in which there were frames, and gaps, in order.

    Attributes:
        from_ms, to_ms: whole buckets.
        oldest_ms, newest_ms: first and last frame of the whole history; None without any.
        interval_ms: usual time from one frame to the next; None when nobody knows.
    """

    from_ms: int
    to_ms: int
    oldest_ms: int | None
    newest_ms: int | None
    bucket_s: int
    interval_ms: float | None
    buckets: list[Bucket]
    gaps: list[Gap]


@dataclass(frozen=True)
class Showable:
    """Frames of which there is still a picture.

    Attributes:
        kept: with both layers, also when their stream has let go of them.
        retained: those whose enhancement layers live longer than their receipts say.
    """

    oldest_stored: Name | None
    kept: Sequence[Name]
    retained: Sequence[Name]

    def frame(self, name: str) -> bool:
        """Whether there is one of this frame."""
        place = store_keys.parse_entry_id(name)
        at = bisect_left(self.kept, place)
        return self._is_stored(place) or (at < len(self.kept) and self.kept[at] == place)

    def of(self, bucket: Bucket, now_s: float) -> Viewable:
        """What there is of a bucket."""
        first, last = map(store_keys.parse_entry_id, (bucket.first_frame, bucket.last_frame))
        if _any_of(self.kept, first, last):
            return Viewable.HUMAN
        if not self._is_stored(last):
            return Viewable.NONE
        human = bucket.until_s > now_s or _any_of(self.retained, first, last)
        return Viewable.HUMAN if human else Viewable.MACHINE

    def _is_stored(self, place: Name) -> bool:
        return self.oldest_stored is not None and place >= self.oldest_stored


async def showable(history: History) -> Showable:
    """What can still be looked at of a camera.

    Raises:
        StoreUnavailableError
    """
    now_ms = time.time_ns() // 1_000_000
    return Showable(
        await history.oldest_frame(),
        await history.kept_frames(now_ms),
        await history.retained_frames(now_ms),
    )


def _any_of(names: Sequence[Name], first: Name, last: Name) -> bool:
    return bisect_left(names, first) < bisect_right(names, last)


def bucket_size(span_ms: int, most: int) -> int:
    """The least size of buckets, seconds, with which there are no more than `most`."""
    enough = (size for size in SIZES_S if span_ms <= 1000 * size * most)
    return next((size for size in enough if 1000 * size >= HOUR_MS or span_ms <= _BY_MINUTES), SIZES_S[-1])


class Timelines:
    """Makes timelines of cameras."""

    def __init__(self, redis: Redis, config: ServerConfig) -> None:
        self._redis = redis
        self._config = config

    def history(self, camera_id: str, task: str) -> History:
        """The history of a camera, as a task saw it."""
        return History(self._redis, camera_id, task)

    async def of(self, camera_id: str, task: str, *, from_ms: int, to_ms: int, most: int) -> Timeline:
        """The timeline from one time to another, in at most this many buckets, and one for what begins in their midst.

        Raises:
            StoreUnavailableError
            UnknownCameraError
        """
        history = self.history(camera_id, task)
        await history.check_camera()
        now_ms = time.time_ns() // 1_000_000
        begins_ms, ends_ms = now_ms - self._config.history_days * DAY_MS, now_ms + AHEAD_MS
        from_ms, to_ms = (min(max(moment, begins_ms), ends_ms) for moment in (from_ms, to_ms))
        size_ms = 1000 * bucket_size(to_ms - from_ms, most)
        from_ms = from_ms // size_ms * size_ms
        to_ms = max(-(-to_ms // size_ms) * size_ms, from_ms + size_ms)

        labels = await history.labels()
        days = await history.days(range(begins_ms // DAY_MS, ends_ms // DAY_MS + 1))
        asked = [day for day in days if from_ms < (day + 1) * DAY_MS and day * DAY_MS < to_ms]
        hours = await history.hours(sorted({*asked, *days[:1], *days[-1:]}), labels)
        records = _within(hours, from_ms, to_ms)
        interval_ms = usual_interval_ms(records)
        if size_ms < HOUR_MS:
            records = _within(
                await history.minutes([record.start_ms // HOUR_MS for record in records], labels),
                from_ms,
                to_ms,
            )
            interval_ms = usual_interval_ms(records) or interval_ms
        if size_ms < MINUTE_MS:
            records = _within(await self._finer(history, records), from_ms, to_ms)

        oldest_ms = min((record.first_ms for record in hours), default=None)
        newest_ms = max((record.last_ms for record in hours), default=None)
        buckets = await asyncio.to_thread(_in_buckets, records, size_ms)
        pictures = await showable(history)
        for bucket in buckets:
            bucket.viewable = pictures.of(bucket, now_ms / 1000)
        known_from = to_ms if oldest_ms is None else max(from_ms, oldest_ms)
        gaps = gaps_in(records, known_from, min(to_ms, now_ms), self._longest_pause_ms(interval_ms))
        return Timeline(from_ms, to_ms, oldest_ms, newest_ms, size_ms // 1000, interval_ms, buckets, gaps)

    def _longest_pause_ms(self, interval_ms: float | None) -> float:
        return max(1000 * self._config.gap_least, self._config.gap_intervals * (interval_ms or 0))

    async def _finer(self, history: History, minutes: list[Record]) -> list[Record]:
        """The records of single frames, for minutes of which all results are still kept."""
        most = self._config.timeline_results
        if not 0 < sum(record.frames for record in minutes) <= most:
            return minutes
        names = [
            store_keys.parse_entry_id(name)
            for record in minutes
            for name in (record.first_frame, record.last_frame)
        ]
        results = await history.results(
            store_keys.entry_id(*min(names)), store_keys.entry_id(*max(names)), most, _RESULTS_AT_ONCE
        )
        frames: dict[int, list[Record]] = defaultdict(list)
        for result in results:
            entry = entry_of(result, history_days=self._config.history_days)
            frames[entry.at_ms // MINUTE_MS].append(Record.of_entry(entry))
        finer: list[Record] = []
        for record in minutes:
            of_minute = frames[record.start_ms // MINUTE_MS]
            finer += of_minute if len(of_minute) == record.frames else [record]
        return sorted(finer, key=lambda record: record.first_ms)


def _within(records: Iterable[Record], from_ms: int, to_ms: int) -> list[Record]:
    return [
        record
        for record in records
        if from_ms < record.start_ms + max(record.span_ms, 1) and record.start_ms < to_ms
    ]


def _in_buckets(records: Iterable[Record], size_ms: int) -> list[Bucket]:
    buckets: dict[tuple[int, int], Bucket] = {}
    for record in records:
        span_ms = max(size_ms, record.span_ms)
        start_ms = record.start_ms // span_ms * span_ms
        buckets.setdefault((start_ms, span_ms), Bucket(start_ms, span_ms)).add(record)
    return sorted(buckets.values(), key=lambda bucket: bucket.start_ms)


def usual_interval_ms(records: Sequence[Record]) -> float | None:
    """The usual time from one frame to the next: within records, or between them where each has but few frames."""
    within = [
        (record.last_ms - record.first_ms - (record.pause_ms[1] - record.pause_ms[0])) / (record.frames - 2)
        for record in records
        if record.frames > 2
    ]
    if within:
        return statistics.median(within)
    times = sorted(moment for record in records for moment in {record.first_ms, record.last_ms})
    between = [later - earlier for earlier, later in pairwise(times)]
    return statistics.median(between) if between else None


def gaps_in(records: Iterable[Record], from_ms: int, to_ms: int, longest_pause_ms: float) -> list[Gap]:
    """Where nothing was captured for longer than that, from one time to another."""
    found: list[Gap] = []

    def note(begins: int, ends: int) -> None:
        begins, ends = max(begins, from_ms), min(ends, to_ms)
        if ends - begins > longest_pause_ms:
            found.append(Gap(begins, ends))

    reached = from_ms
    for record in sorted(records, key=lambda record: record.first_ms):
        note(reached, record.first_ms)
        pause_from, pause_to = record.pause_ms
        note(max(pause_from, reached), pause_to)
        reached = max(reached, record.last_ms)
    note(reached, to_ms)
    return found
