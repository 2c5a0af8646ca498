"""A server whose results the tests publish, and relays of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server.process import Server
from server.relay.config import RelayConfig
from server.relay.process import Relay
from tests.server.harness import until

KINDS = {
    "new": analytics_pb2.EVENT_KIND_NEW,
    "update": analytics_pb2.EVENT_KIND_UPDATE,
    "end": analytics_pb2.EVENT_KIND_END,
}


class Worker:
    """Publishes results as a worker does."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._sequences: dict[str, int] = {}

    async def publish(
        self,
        *detections: analytics_pb2.Detection,
        camera: str = "gate",
        events: tuple[analytics_pb2.Event, ...] = (),
        **fields: Any,
    ) -> str:
        """Publish the next result of a camera; gives the frame's name."""
        sequence = self._sequences[camera] = self._sequences.get(camera, 0) + 1
        result = analytics_pb2.RecognitionResult(
            width=640, height=360, recogniser="test", detections=detections, events=events, **fields
        )
        result.frame.camera_id, result.frame.session, result.frame.sequence = camera, 1, sequence
        result.captured_at.FromDatetime(datetime.now(UTC))
        result.recognised_at.FromDatetime(datetime.now(UTC))
        await self._client.hset(store_keys.CAMERAS, camera, round(datetime.now(UTC).timestamp() * 1e9))
        name = store_keys.entry_id(1, sequence)
        await self._client.xadd(
            store_keys.results(camera), {store_keys.RESULT_FIELD: result.SerializeToString()}, id=name
        )
        return name


def seen(label: str = "person", score: float = 0.9, track: str = "", *zones: str) -> analytics_pb2.Detection:
    """A detection."""
    return analytics_pb2.Detection(
        label=label,
        score=score,
        track=track,
        zones=zones,
        box=analytics_pb2.Box(x_min=10, y_min=20, x_max=110, y_max=220),
    )


def event(kind: str, detection: analytics_pb2.Detection, *, alert: bool = False) -> analytics_pb2.Event:
    """An event of a tracked thing."""
    made = analytics_pb2.Event(kind=KINDS[kind], track=detection.track, detection=detection, alert=alert)
    made.first_seen_at.FromDatetime(datetime.now(UTC))
    made.last_seen_at.FromDatetime(datetime.now(UTC))
    return made


@pytest.fixture
def worker(client: Redis) -> Worker:
    return Worker(client)


StartRelay = Callable[..., AbstractAsyncContextManager[Relay]]


@pytest.fixture
def start_relay(tmp_path: Path) -> StartRelay:
    """Start a relay: `async with start_relay(server, mqtt={...}) as relay`. It has its server on entry."""

    @asynccontextmanager
    async def start(server: Server, *, wait: bool = True, **settings: Any) -> AsyncIterator[Relay]:
        relay = Relay(
            RelayConfig.model_validate(
                {
                    "server": f"http://{server.http_address}",
                    "grpc": server.grpc_address,
                    "data": tmp_path / "relay",
                    "listen": "127.0.0.1:0",
                    "save_every_s": 0.01,
                    "longest_pause_s": 0.2,
                    "drain_grace_s": 0.5,
                    **settings,
                }
            )
        )
        await relay.start()
        try:
            if wait:

                async def ready() -> bool:
                    return not any(outlet.status.ailing for outlet in relay.outlets)

                await until(ready)
            yield relay
        finally:
            await relay.stop()

    return start
