"""What a camera's edge is to be told about enhancement layers, on its way to whichever server holds its uplink.

Whoever wants something puts it into the camera's stream ``wanted``. The server with the uplink reads that, and puts
requests and notes on the wire. A request that several make for one layer is one: the first marks it as waiting. The
layer then appears in the store under its usual key for a while, where all of them look for it; a lack appears in the
mark's place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2, ingest_pb2
from server.config import ServerConfig
from server.store.asking import asks_store
from server.store.client import STORE_ERRORS

Name = tuple[int, int]
"""Session and sequence of a frame."""

_SILENT_S: Final = 2.0
"""For which a store at the edge that did not answer counts as silent."""
_EDGE_KEEPS_S: Final = {
    frame_pb2.RETENTION_DETECTION: 30 * 24 * 3600.0,
    frame_pb2.RETENTION_ALERT: 365 * 24 * 3600.0,
}
"""How long a frame counts as kept at an edge that was asked to. The edge alone knows, and says so when it is not."""

_FAREWELL_S: Final = 1.0

_GIVE_UP_UPLINK: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('unlink', KEYS[1]) end
return 0
"""


class Asked(Enum):
    """How far a request to the edge is."""

    WAITING = b"waiting"
    GONE = b"gone"
    """The edge has no such layer."""
    UNAVAILABLE = b"unavailable"
    """The edge's own store does not answer."""


@dataclass(frozen=True)
class Progress:
    """Of requests for layers of one camera: by frame what has come, or how far it is; None when nobody asked."""

    connected: bool
    layers: dict[Name, bytes | None]
    asked: dict[Name, Asked | None]


@dataclass(frozen=True)
class Wish:
    """One entry of ``wanted``, and its place in the stream."""

    entry_id: str
    request: ingest_pb2.EnhancementRequest | None
    retain: ingest_pb2.Retain | None


class Wanted:
    """The store's side of it. Every method may raise StoreUnavailableError.

    `blocking` is used for reads that wait, and must have a socket timeout above `config.block`.
    """

    def __init__(self, redis: Redis, blocking: Redis, config: ServerConfig) -> None:
        self._redis = redis
        self._blocking = blocking
        self._config = config

    @asks_store
    async def progress(self, camera_id: str, names: Sequence[Name]) -> Progress:
        """Look how far the requests for the layers of these frames are."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.exists(store_keys.uplink(camera_id))
        for name in names:
            pipeline.get(store_keys.enhancement(camera_id, *name))
            pipeline.get(store_keys.asked(camera_id, *name))
        connected, *answers = await pipeline.execute()
        return Progress(
            connected=bool(connected),
            layers=dict(zip(names, answers[::2], strict=True)),
            asked={
                name: None if state is None else Asked(state)
                for name, state in zip(names, answers[1::2], strict=True)
            },
        )

    @asks_store
    async def ask(self, camera_id: str, name: Name) -> None:
        """Request a layer, unless somebody has."""
        first = await self._redis.set(
            store_keys.asked(camera_id, *name),
            Asked.WAITING.value,
            px=round(self._config.enhancement_wait_most * 1000),
            nx=True,
        )
        if first:
            request = ingest_pb2.EnhancementRequest(session=name[0], sequence=name[1])
            await self._redis.xadd(
                store_keys.wanted(camera_id),
                {store_keys.REQUEST_FIELD: request.SerializeToString()},
                maxlen=self._config.wanted_kept,
            )

    @asks_store
    async def retain(self, camera_id: str, names: Iterable[Name], retention: frame_pb2.Retention) -> None:
        """Have the edge keep the layers of these frames for as long as the class says."""
        pipeline = self._redis.pipeline(transaction=False)
        for session, sequence in names:
            retain = ingest_pb2.Retain(session=session, sequence=sequence, retention=retention)
            pipeline.xadd(
                store_keys.wanted(camera_id),
                {store_keys.RETAIN_FIELD: retain.SerializeToString()},
                maxlen=self._config.wanted_kept,
            )
        await pipeline.execute()
        await self.note_kept(camera_id, names, _EDGE_KEEPS_S[retention])

    @asks_store
    async def note_kept(self, camera_id: str, names: Iterable[Name], seconds: float) -> None:
        """Write down that the layers of these frames live for so long from now, whatever their receipts say."""
        until = {store_keys.entry_id(*name): (time.time() + seconds) * 1000 for name in names}
        if not until:
            return
        retained = store_keys.retained(camera_id)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zadd(retained, until, gt=True)
        pipeline.zremrangebyscore(retained, "-inf", time.time() * 1000)
        # Of as many frames as the camera has; those that live the shortest go first.
        pipeline.zremrangebyrank(retained, 0, -(self._config.frames_kept + self._config.group_frames + 1))
        await pipeline.execute()

    @asks_store
    async def last_note(self, camera_id: str) -> str:
        """Where an uplink that is opened now begins to read: what was told just before may not have come."""
        entries: Any = await self._redis.xrevrange(store_keys.wanted(camera_id), count=1)
        if not entries:
            return "0-0"
        milliseconds, _, _ = entries[0][0].decode().partition("-")
        return f"{max(0, int(milliseconds) - round(self._config.wanted_again * 1000))}-0"

    @asks_store
    async def read(self, camera_id: str, after: str, count: int) -> list[Wish]:
        """What comes after this place; waits up to `config.block` for it."""
        key = store_keys.wanted(camera_id)
        reply: Any = await self._blocking.xread(
            {key: after}, count=count, block=round(self._config.block * 1000)
        )
        if isinstance(reply, dict):
            entries = [entry for batches in reply.values() for batch in batches for entry in batch]
        else:
            entries = [entry for _, of_key in reply or () for entry in of_key]
        return [_wish(entry_id.decode(), fields) for entry_id, fields in entries]

    @asks_store
    async def is_waiting(self, camera_id: str, name: Name) -> bool:
        """Whether somebody waits for that layer."""
        state: Any = await self._redis.get(store_keys.asked(camera_id, *name))
        return bool(state == Asked.WAITING.value)

    @asks_store
    async def hand_over(self, camera_id: str, name: Name, layer: bytes) -> None:
        """Put a layer that the edge sent where those look who wait for it."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(
            store_keys.enhancement(camera_id, *name),
            layer,
            px=round(self._config.enhancement_fetched * 1000),
            nx=True,
        )
        pipeline.unlink(store_keys.asked(camera_id, *name))
        await pipeline.execute()

    @asks_store
    async def tell_lack(self, camera_id: str, name: Name, lack: Asked) -> None:
        """Tell those who wait that there is no layer, and those who ask in the near future."""
        seconds = self._config.enhancement_lack if lack is Asked.GONE else _SILENT_S
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(store_keys.asked(camera_id, *name), lack.value, px=round(seconds * 1000))
        if lack is Asked.GONE:
            pipeline.zrem(store_keys.retained(camera_id), store_keys.entry_id(*name))
        await pipeline.execute()

    @asynccontextmanager
    async def uplink(self, camera_id: str, token: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Tell meanwhile that the camera's edge can be asked; gives what has to be called again and again."""
        key = store_keys.uplink(camera_id)
        lifetime_ms = round(self._config.uplink_seen * 1000)
        told_at = float("-inf")

        @asks_store
        async def tell() -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= self._config.uplink_seen / 3:
                await self._redis.set(key, token, px=lifetime_ms)
                told_at = time.monotonic()

        try:
            yield tell
        finally:
            # If the store does not answer the key goes by itself, and the next uplink need not wait for that.
            with suppress(*STORE_ERRORS, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    # Another uplink of the camera may be open by now, through whichever server.
                    await self._redis.eval(_GIVE_UP_UPLINK, 1, key, token)


def _wish(entry_id: str, fields: dict[bytes, bytes]) -> Wish:
    request, retain = fields.get(store_keys.REQUEST_FIELD), fields.get(store_keys.RETAIN_FIELD)
    return Wish(
        entry_id,
        None if request is None else ingest_pb2.EnhancementRequest.FromString(request),
        None if retain is None else ingest_pb2.Retain.FromString(retain),
    )
