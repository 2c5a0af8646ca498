"""The marks of all cameras, in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis

from secondsight import store_keys
from server.errors import UnknownMarkError
from server.marks.mark import Mark, MarkedFrame, frame_of
from server.store.asking import asking_store

_READ_AT_ONCE: Final = 256
_DIGITS: Final = 20
"""Of the largest number in a frame's name, so that names sort as frames do."""


@dataclass(frozen=True)
class MarkPage:
    """Marks by camera and, within one, newest frame first; and the camera and mark after which the next page begins."""

    marks: list[Mark]
    next_after: tuple[str, str] | None


class Marks:
    """At most `most` of each camera: beyond it those of the oldest frames go.

    Every method may raise StoreUnavailableError.
    """

    def __init__(self, redis: Redis, most: int) -> None:
        self._redis = redis
        self._most = most

    async def cameras(self) -> list[str]:
        """Names of all cameras."""
        with asking_store():
            registered: Any = await self._redis.hkeys(store_keys.CAMERAS)
        return [name.decode() for name in registered]

    async def put(self, mark: Mark) -> bool:
        """Keep a mark in place of what its person said of the same thing before; return whether that was nothing."""
        told, order = store_keys.marks(mark.camera), store_keys.marks_order(mark.camera)
        with asking_store():
            # In this order, and taken back in the other one: a place without a mark is passed over.
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zadd(order, {_place(mark.id): 0})
            pipeline.hset(told, mark.id, mark.line())
            pipeline.zcard(order)
            _, is_new, there = await pipeline.execute()
            if there > self._most:
                oldest: Any = await self._redis.zrange(order, 0, there - self._most - 1)
                await self._drop(mark.camera, [place.decode() for place in oldest])
            return bool(is_new)

    async def get(self, camera_id: str, mark_id: str) -> Mark:
        """One mark.

        Raises:
            UnknownMarkError
        """
        with asking_store():
            line: Any = await self._redis.hget(store_keys.marks(camera_id), mark_id)
        if line is None:
            raise UnknownMarkError(camera_id, mark_id)
        return Mark.from_line(line)

    async def remove(self, mark: Mark) -> None:
        """Take a mark back."""
        with asking_store():
            await self._drop(mark.camera, [_place(mark.id)])

    async def of_frame(self, camera_id: str, frame: str) -> list[Mark]:
        """What was said of a frame, oldest first."""
        place = _place(f"{frame}.")
        with asking_store():
            places: Any = await self._redis.zrangebylex(
                store_keys.marks_order(camera_id), f"[{place}", f"({place}\xff"
            )
            marks = await self._read(camera_id, places)
        return list(MarkedFrame.of(marks).marks) if marks else []

    async def page(self, cameras: Collection[str], *, after: tuple[str, str] | None, limit: int) -> MarkPage:
        """The first `limit` marks of these cameras, or the first after one, whether or not it is still there."""
        found: list[Mark] = []
        for camera_id in sorted(cameras):
            if after is not None and camera_id < after[0]:
                continue
            last = after[1] if after is not None and camera_id == after[0] else None
            found += await self._newest(camera_id, last, limit + 1 - len(found))
            if len(found) > limit:
                end = found[limit - 1]
                return MarkPage(found[:limit], (end.camera, end.id))
        return MarkPage(found, None)

    async def marked_frames(
        self,
        cameras: Collection[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[MarkedFrame]:
        """Frames of which something was said, by camera, newest first.

        Args:
            cameras: None for all.
            since: only frames captured then or later.
            until: only frames captured before.
        """
        for camera_id in sorted(await self.cameras() if cameras is None else cameras):
            async for marked in self._frames_of(camera_id):
                if (since is None or marked.captured_at >= since) and (
                    until is None or marked.captured_at < until
                ):
                    yield marked

    async def _frames_of(self, camera_id: str) -> AsyncIterator[MarkedFrame]:
        held: list[Mark] = []
        last: str | None = None
        while read := await self._newest(camera_id, last, _READ_AT_ONCE):
            last = read[-1].id
            for mark in read:
                if held and mark.frame != held[0].frame:
                    yield MarkedFrame.of(held)
                    held = []
                held.append(mark)
        if held:
            yield MarkedFrame.of(held)

    async def _newest(self, camera_id: str, after: str | None, count: int) -> list[Mark]:
        """Marks of the newest frames, or those that come after one."""
        newest = "+" if after is None else f"({_place(after)}"
        order = store_keys.marks_order(camera_id)
        found: list[Mark] = []
        with asking_store():
            while len(found) < count:
                places: Any = await self._redis.zrevrangebylex(order, newest, "-", 0, count - len(found))
                if not places:
                    break
                # Some were taken back between two looks. Fewer than asked for would look like the end.
                found += await self._read(camera_id, places)
                newest = f"({places[-1].decode()}"
        return found

    async def _read(self, camera_id: str, places: Sequence[bytes]) -> list[Mark]:
        if not places:
            return []
        lines: Any = await self._redis.hmget(
            store_keys.marks(camera_id), [_name(place.decode()) for place in places]
        )
        return [Mark.from_line(line) for line in lines if line is not None]

    async def _drop(self, camera_id: str, places: Sequence[str]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hdel(store_keys.marks(camera_id), *map(_name, places))
        pipeline.zrem(store_keys.marks_order(camera_id), *places)
        await pipeline.execute()


def _place(mark_id: str) -> str:
    """A mark's name with its frame's numbers in full width."""
    session, sequence = store_keys.parse_entry_id(frame_of(mark_id))
    _, _, rest = mark_id.partition(".")
    return f"{session:0{_DIGITS}}-{sequence:0{_DIGITS}}.{rest}"


def _name(place: str) -> str:
    frame, _, rest = place.partition(".")
    return f"{store_keys.entry_id(*map(int, frame.split('-')))}.{rest}"
