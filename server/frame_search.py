"""Finds frames by when they were captured. The store has them by session and sequence.

That order is the one of capture, unless a camera host's clock was set back: then what is found is near, and every
answer says when it was captured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from server.kept_frames import KeptFrames

_LAST_SEQUENCE: Final = 2**64 - 1


@dataclass(frozen=True)
class Found:
    """A frame in the store."""

    session: int
    sequence: int
    frame: frame_pb2.Frame

    @property
    def captured_ns(self) -> int:
        """When it was captured, nanoseconds since the epoch."""
        return self.frame.captured_at.ToNanoseconds()

    @property
    def name(self) -> str:
        """As in `store_keys.entry_id`."""
        return store_keys.entry_id(self.session, self.sequence)


class FrameSearch:
    """Looks a frame up by bisection, one read a step. Every method may raise redis.RedisError or DecodeError."""

    def __init__(self, redis: Redis, kept: KeptFrames) -> None:
        self._redis = redis
        self._kept = kept

    async def first_from(self, camera_id: str, moment_ns: int) -> Found | None:
        """The first frame of the stream that was captured at `moment_ns` or after it."""
        first, last = await self.first(camera_id), await self.last(camera_id)
        if first is None or last is None or last.captured_ns < moment_ns:
            return None
        if first.captured_ns >= moment_ns:
            return first
        # The first frames of sessions, then the frames of the last session that begins before the moment.
        within, after = first, last
        low, high = first.session + 1, last.session
        while low <= high:
            middle = (low + high) // 2
            found = await self.first(camera_id, middle, 0)
            if found is None or found.captured_ns >= moment_ns:
                after = found or after
                high = middle - 1
            else:
                within = found
                low = found.session + 1
        low, high = within.sequence + 1, _LAST_SEQUENCE
        end = await self.last(camera_id, store_keys.entry_id(within.session, _LAST_SEQUENCE))
        if end is not None and end.captured_ns >= moment_ns:
            after, high = end, end.sequence - 1
        else:
            return after
        while low <= high:
            middle = (low + high) // 2
            found = await self.first(camera_id, within.session, middle)
            if found is None or found.captured_ns >= moment_ns:
                after = found or after
                high = middle - 1
            else:
                low = found.sequence + 1
        return after

    async def nearest(self, camera_id: str, moment_ns: int) -> str | None:
        """Name of the frame captured nearest to a moment, also of those that outlive the stream; None without any."""
        after = await self.first_from(camera_id, moment_ns)
        before = await self.last(camera_id, "+" if after is None else f"({after.name}")
        candidates = [found for found in (after, before) if found is not None]
        if before is None:
            # The moment is before all that the stream has: what was kept of that time lies elsewhere.
            candidates += await self._kept_around(camera_id, moment_ns)
        if not candidates:
            return None
        return min(candidates, key=lambda found: abs(found.captured_ns - moment_ns)).name

    async def _kept_around(self, camera_id: str, moment_ns: int) -> list[Found]:
        names = sorted(await self._kept.names(camera_id))
        around: list[Found] = []
        low, high = 0, len(names) - 1
        while low <= high:
            middle = (low + high) // 2
            found = await self._kept_frame(camera_id, *names[middle])
            if found is None:  # the store was full
                names.pop(middle)
                high -= 1
                continue
            around.append(found)
            if found.captured_ns >= moment_ns:
                high = middle - 1
            else:
                low = middle + 1
        return around

    async def _kept_frame(self, camera_id: str, session: int, sequence: int) -> Found | None:
        kept = await self._kept.find(camera_id, session, sequence)
        return None if kept is None else _found(session, sequence, kept.frame)

    async def first(self, camera_id: str, session: int = 0, sequence: int = 0) -> Found | None:
        """The first frame of the stream, from this place on."""
        entries: Any = await self._redis.xrange(
            store_keys.frames(camera_id), store_keys.entry_id(session, sequence), "+", count=1
        )
        return _entry(entries)

    async def last(self, camera_id: str, until: str = "+") -> Found | None:
        """The last frame of the stream, up to this one."""
        entries: Any = await self._redis.xrevrange(store_keys.frames(camera_id), until, "-", count=1)
        return _entry(entries)


def _entry(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> Found | None:
    if not entries:
        return None
    ((entry_id, fields),) = entries
    return _found(*store_keys.parse_entry_id(entry_id.decode()), fields[store_keys.FRAME_FIELD])


def _found(session: int, sequence: int, frame: bytes) -> Found:
    return Found(session, sequence, frame_pb2.Frame.FromString(frame))
