"""Reads a camera's history out of the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server.errors import UnknownCameraError
from server.kept_frames import Name
from server.store.asking import asks_store
from server.timeline.entry import DAY_MS, HOUR_MS
from server.timeline.records import Record, Thing, records_of, thing_of, unpack
from server.timeline.scripts import READ_NAMES, READ_RECORDS

MINUTE_MS: Final = 60_000
_AT_ONCE: Final = 24


class History:
    """Of one camera and task. Every method may raise StoreUnavailableError."""

    def __init__(self, redis: Redis, camera_id: str, task: str) -> None:
        self._redis = redis
        self._camera_id = camera_id
        self._task = task

    @asks_store
    async def check_camera(self) -> None:
        """Raise UnknownCameraError unless the camera has ever stored a frame."""
        if not await self._redis.hexists(store_keys.CAMERAS, self._camera_id):
            raise UnknownCameraError(self._camera_id)

    @asks_store
    async def labels(self) -> dict[int, str]:
        """Labels by their numbers in records."""
        known: Any = await self._redis.hgetall(store_keys.labels(self._camera_id, self._task))
        return {int(number): label.decode() for label, number in known.items()}

    @asks_store
    async def days(self, among: Iterable[int]) -> list[int]:
        """Which of these days, since the epoch, there are records of."""
        asked = list(among)
        pipeline = self._redis.pipeline(transaction=False)
        for day in asked:
            pipeline.exists(store_keys.hours(self._camera_id, self._task, day))
        there = await pipeline.execute()
        return [day for day, exists in zip(asked, there, strict=True) if exists]

    async def hours(self, days: Iterable[int], labels: dict[int, str]) -> list[Record]:
        """The records of the hours of these days, in order."""
        keys = [(store_keys.hours(self._camera_id, self._task, day), day * DAY_MS) for day in days]
        return await self._records(keys, HOUR_MS, labels)

    async def minutes(self, hours: Iterable[int], labels: dict[int, str]) -> list[Record]:
        """The records of the minutes of these hours since the epoch, in order."""
        keys = [(store_keys.minutes(self._camera_id, self._task, hour), hour * HOUR_MS) for hour in hours]
        return await self._records(keys, MINUTE_MS, labels)

    @asks_store
    async def results(
        self, first: str, last: str, most: int, at_once: int
    ) -> list[analytics_pb2.RecognitionResult]:
        """The results that are still kept of frames from `first` to `last`, by name; at most so many."""
        found: list[analytics_pb2.RecognitionResult] = []
        start = first
        while len(found) < most:
            entries: Any = await self._redis.xrange(
                store_keys.results(self._camera_id, self._task), start, last, count=at_once
            )
            found += [
                analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
                for _, fields in entries
            ]
            if len(entries) < at_once:
                break
            start = f"({entries[-1][0].decode()}"
        return found[:most]

    @asks_store
    async def oldest_frame(self) -> Name | None:
        """The oldest frame that is stored; None when none is."""
        entries: Any = await self._redis.xrange(store_keys.frames(self._camera_id), count=1)
        return store_keys.parse_entry_id(entries[0][0].decode()) if entries else None

    @asks_store
    async def kept_frames(self, now_ms: int) -> list[Name]:
        """Frames that outlive their stream, in order."""
        return await self._names(store_keys.kept_index(self._camera_id), now_ms)

    @asks_store
    async def retained_frames(self, now_ms: int) -> list[Name]:
        """Frames whose enhancement layers live longer than their receipts say, in order."""
        return await self._names(store_keys.retained(self._camera_id), now_ms)

    @asks_store
    async def names_of_things(
        self,
        *,
        alerts: bool,
        from_ms: int,
        to_ms: int,
        behind: tuple[int, str] | None,
        oldest_first: bool,
        most: int,
    ) -> list[tuple[int, str]]:
        """When things were first seen and their names, in order: alerts, or the others.

        Args:
            behind: only what comes behind this one in that order.
        """
        order = store_keys.things_in_order(self._camera_id, self._task, alerts=alerts)
        if behind is not None:
            if oldest_first:
                from_ms = max(from_ms, behind[0])
            else:
                to_ms = min(to_ms, behind[0] + 1)
        begin, end = (from_ms, to_ms - 1) if oldest_first else (to_ms - 1, from_ms)
        found: list[tuple[int, str]] = []
        read = 0
        while len(found) < most:
            entries: Any = await self._redis.zrange(
                order, begin, end, byscore=True, desc=not oldest_first, offset=read, num=most, withscores=True
            )
            read += len(entries)
            named = [(int(score), name.decode()) for name, score in entries]
            found += [
                each for each in named if behind is None or (each > behind if oldest_first else each < behind)
            ]
            if len(entries) < most:
                break
        return found[:most]

    @asks_store
    async def things(self, names: list[str], labels: dict[int, str]) -> list[Thing]:
        """These things, as far as they are still known."""
        if not names:
            return []
        packed: Any = await self._redis.hmget(store_keys.things(self._camera_id, self._task), names)
        return [
            thing_of(name, value, labels)
            for name, value in zip(names, packed, strict=True)
            if value is not None
        ]

    async def _names(self, key: str, now_ms: int) -> list[Name]:
        packed: Any = await self._redis.eval(READ_NAMES, 1, key, str(now_ms))
        return sorted(store_keys.parse_entry_id(name.decode()) for name in unpack(packed))

    @asks_store
    async def _records(
        self, keys: list[tuple[str, int]], span_ms: int, labels: dict[int, str]
    ) -> list[Record]:
        found: list[Record] = []
        for begin in range(0, len(keys), _AT_ONCE):
            some = keys[begin : begin + _AT_ONCE]
            pipeline = self._redis.pipeline(transaction=False)
            for key, _ in some:
                pipeline.eval(READ_RECORDS, 1, key)
            for (_, start_ms), packed in zip(some, await pipeline.execute(), strict=True):
                found += records_of(packed, start_ms, span_ms, labels)
        return sorted(found, key=lambda record: record.start_ms)
