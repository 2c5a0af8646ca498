"""Who watches: the store's streams as they grow, so that no trim hides anything, and a subscriber to the results."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc, frame_pb2
from tests.chaos.witness import Name

_POLL_S: Final = 0.05
_AT_ONCE: Final = 50
_PATIENCE_S: Final = 3.0


@dataclass
class Seen:
    """What lay in the store of one camera, in the order of its streams.

    Attributes:
        stored: name in the stream, and the frame.
        enhancements: layers that lay beside their frames when these were seen.
        results: name in the stream, and the result.
    """

    stored: list[tuple[Name, frame_pb2.Frame]] = field(default_factory=list)
    enhancements: dict[Name, bytes] = field(default_factory=dict)
    results: list[tuple[Name, analytics_pb2.RecognitionResult]] = field(default_factory=list)
    frames_at: str = "0-0"
    results_at: str = "0-0"


class Observer:
    """Reads every camera's streams, through restarts of the store."""

    def __init__(self, url: str) -> None:
        self.cameras: defaultdict[str, Seen] = defaultdict(Seen)
        # Of its own making: what watches the product shares no code with it.
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=_PATIENCE_S,
            socket_connect_timeout=_PATIENCE_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                with contextlib.suppress(RedisError, OSError):
                    await self.look()
                await asyncio.sleep(_POLL_S)
        finally:
            await self._redis.aclose()

    async def look(self) -> None:
        """Read what is new.

        Raises:
            RedisError: the store is away.
        """
        async with self._reading:
            names: Any = await self._redis.hkeys(store_keys.CAMERAS)
            for camera in sorted(name.decode() for name in names):
                await self._look_at(camera, self.cameras[camera])

    async def _look_at(self, camera: str, seen: Seen) -> None:
        frames, results = store_keys.frames(camera), store_keys.results(camera)
        reply: Any = await self._redis.xread(
            {frames: seen.frames_at, results: seen.results_at}, count=_AT_ONCE
        )
        for key, batches in _streams(reply):
            for entry_id, fields in batches:
                name = store_keys.parse_entry_id(entry_id.decode())
                if key == frames.encode():
                    frame = frame_pb2.Frame.FromString(fields[store_keys.FRAME_FIELD])
                    layer: Any = await self._redis.get(store_keys.enhancement(camera, *name))
                    if layer is not None:
                        seen.enhancements[name] = layer
                    seen.stored.append((name, frame))
                    seen.frames_at = entry_id.decode()
                else:
                    result = analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
                    seen.results.append((name, result))
                    seen.results_at = entry_id.decode()


class Subscriber:
    """An analytics backend that goes on from its last offsets whenever its stream ends."""

    def __init__(self, target: str, key: str | None = None) -> None:
        self.got: defaultdict[str, list[Name]] = defaultdict(list)
        self.calls = 0
        self._target = target
        self._metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        self._offsets: dict[str, str] = {}

    def forget(self) -> None:
        """Begin anew."""
        self.got.clear()
        self._offsets.clear()

    async def run(self) -> None:
        """Subscribe until cancelled."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self._call()
            await asyncio.sleep(0.2)

    async def _call(self) -> None:
        options = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000)]
        async with grpc.aio.insecure_channel(self._target, options=options) as channel:
            call = analytics_pb2_grpc.AnalyticsServiceStub(channel).Subscribe(
                analytics_pb2.SubscribeRequest(
                    resume_after=self._offsets, start_from=analytics_pb2.START_FROM_EARLIEST
                ),
                metadata=self._metadata,
            )
            self.calls += 1
            try:
                async for response in call:
                    frame = response.result.frame
                    self.got[frame.camera_id].append((frame.session, frame.sequence))
                    self._offsets[frame.camera_id] = response.offset
            finally:
                call.cancel()


@asynccontextmanager
async def watching(*watchers: Observer | Subscriber) -> AsyncIterator[None]:
    """Let these run meanwhile."""
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _streams(reply: Any) -> list[tuple[bytes, list[Any]]]:
    """Stream by stream, from a reply to XREAD in RESP2 (pairs) or RESP3 (a map of lists of lists)."""
    if isinstance(reply, dict):
        return [(key, [entry for batch in batches for entry in batch]) for key, batches in reply.items()]
    return [(key, entries) for key, entries in reply or ()]
