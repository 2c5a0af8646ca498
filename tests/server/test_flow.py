"""The rules by which a server says which part is slow, and what it measures of whom."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import ingest_pb2
from secondsight.verdict import Cause
from server import metrics
from server.diagnosis import Measures, judge
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, edge_stream, until

WELL = Measures(
    connected=True,
    silent=0.1,
    frames=600,
    edge_wait=0.05,
    store_wait=0.002,
    looks=600,
    full_looks=10,
    backlog=1,
)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, Cause.NONE),
        ({"connected": False, "full_looks": 600}, Cause.NOT_CONNECTED),
        ({"full_looks": 120}, Cause.BACKLOG),
        ({"full_looks": 3, "looks": 4}, Cause.NONE),
        ({"full_looks": 119}, Cause.NONE),
        ({"store_wait": 0.6, "edge_wait": 2.0}, Cause.STORE_SLOW),
        ({"edge_wait": 1.1}, Cause.LATE_FRAMES),
        ({"silent": 31.0, "frames": 0}, Cause.SOURCE_SILENT),
        ({"silent": None, "frames": 0}, Cause.NONE),
    ],
)
def test_a_verdict(changes: dict[str, float], cause: Cause) -> None:
    assert judge(replace(WELL, **changes)).cause is cause  # type: ignore[arg-type]


async def exposed(address: str) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        return (await client.get(f"http://{address}/metrics")).text


async def test_a_camera_is_measured_from_its_first_stored_frame_until_the_store_forgets_it(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    async with start_server(store_look=0.05) as server:
        async with edge_stream(server, codec, "passer-by") as stranger:
            await stranger.hello()
            await stranger.write(ingest_pb2.PushRequest())
            await stranger.ended()
        async with edge_stream(server, codec, "measured") as edge:
            await edge.hello()
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
            text = await exposed(server.http_address)
            assert 'secondsight_camera_connected{camera="measured"} 1.0' in text
            assert 'secondsight_verdict{camera="measured",cause="none",part="none"} 1.0' in text
            assert "passer-by" not in text

        async def disconnected() -> bool:
            return 'secondsight_camera_connected{camera="measured"} 0.0' in await exposed(server.http_address)

        await until(disconnected)

        async def seen() -> bool:
            return 'secondsight_lag_frames{camera="measured",task="recognise"} 0.0' in await exposed(
                server.http_address
            )

        await until(seen)
        await client.hdel(store_keys.CAMERAS, "measured")

        async def forgotten() -> bool:
            return '"measured"' not in await exposed(server.http_address)

        await until(forgotten)
        assert metrics.FLOWS.find("measured") is None


async def test_what_the_store_knows_is_shown(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame]
) -> None:
    async with start_server(store_look=0.05) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[sequence])
            await edge.ack_of(sequence)

        async def counted() -> bool:
            text = await exposed(server.http_address)
            return "secondsight_cameras 1.0" in text and 'secondsight_workers{task="recognise"} 1.0' in text

        await until(counted)
        text = await exposed(server.http_address)
        assert "secondsight_store_up 1.0" in text
        assert metrics.STORE_MEMORY._value.get() > 0
        assert metrics.STORE_MEMORY_LIMIT._value.get() >= metrics.STORE_MEMORY._value.get()
