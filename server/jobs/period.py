"""What the store holds of a camera between two moments of capture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server.errors import JobTooLargeError, UnknownCameraError
from server.jobs.job import Planned
from server.kept_frames import KeptFrames
from server.store.asking import asking_store


class Periods:
    """Reads frames and results, `read_at_once` at a time, since a store may hold more than fits in memory.

    Every method may raise StoreUnavailableError.
    """

    def __init__(self, redis: Redis, *, read_at_once: int) -> None:
        self._redis = redis
        self._kept = KeptFrames(redis)
        self._read_at_once = read_at_once

    async def check_camera(self, camera_id: str) -> None:
        """Raise UnknownCameraError unless a frame of the camera was ever stored."""
        with asking_store():
            known = await self._redis.hexists(store_keys.CAMERAS, camera_id)
        if not known:
            raise UnknownCameraError(camera_id)

    async def frames(self, camera_id: str, since_ns: int, until_ns: int, *, most: int) -> list[Planned]:
        """Frames captured in this time, in their order, those kept for longer among them.

        Raises:
            UnknownCameraError
            JobTooLargeError: there are more than `most`.
        """
        await self.check_camera(camera_id)
        found: dict[str, Planned] = {}

        def take(name: str, message: bytes) -> None:
            captured_ns = frame_pb2.Frame.FromString(message).captured_at.ToNanoseconds()
            if since_ns <= captured_ns < until_ns:
                found[name] = Planned(camera_id, name, captured_ns)
            if len(found) > most:
                raise JobTooLargeError(
                    f"camera {camera_id!r} has more than {most} frames in this time, which is the most that one clip "
                    "or export may hold; ask for a shorter time"
                )

        async for name, fields in self._entries(store_keys.frames(camera_id)):
            take(name, fields[store_keys.FRAME_FIELD])
        with asking_store():
            for session, sequence in await self._kept.names(camera_id):
                name = store_keys.entry_id(session, sequence)
                kept = None if name in found else await self._kept.find(camera_id, session, sequence)
                if kept is not None:
                    take(name, kept.frame)
        # By name when two were captured at once: the camera's clock may have been set back.
        return sorted(
            found.values(),
            key=lambda planned: (planned.captured_ns, store_keys.parse_entry_id(planned.frame)),
        )

    async def results_kept(self, camera_id: str, task: str) -> int:
        """How many results of a task there are, of whatever time."""
        with asking_store():
            return int(await self._redis.xlen(store_keys.results(camera_id, task)))

    async def results(
        self, camera_id: str, task: str, since_ns: int, until_ns: int
    ) -> AsyncIterator[tuple[str, analytics_pb2.RecognitionResult]]:
        """Results of a task of frames captured in this time, by the frames' names, in their order."""
        async for name, fields in self._entries(store_keys.results(camera_id, task)):
            result = analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
            if since_ns <= result.captured_at.ToNanoseconds() < until_ns:
                yield name, result

    async def _entries(self, stream: str) -> AsyncIterator[tuple[str, dict[bytes, bytes]]]:
        after = "-"
        while True:
            with asking_store():
                entries: Any = await self._redis.xrange(stream, after, "+", count=self._read_at_once)
            for entry_id, fields in entries:
                yield entry_id.decode(), fields
            if len(entries) < self._read_at_once:
                return
            after = f"({entries[-1][0].decode()}"
