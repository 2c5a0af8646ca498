"""Token buckets, and what becomes of cameras and addresses that ask for too much."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from secondsight import store_keys
from server.pace import Pace, Paces
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, EdgeStream, edge_stream, frames_in, recognised

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_up_to_its_burst_and_may_be_overdrawn() -> None:
    clock = Clock()
    pace = Pace(10, 20, clock)
    pace.take(25)
    assert (pace.tokens, pace.wait) == (-5, 0.5)
    clock.now = 0.5
    assert (pace.tokens, pace.wait) == (0, 0)
    clock.now = 100
    assert pace.tokens == 20
    assert pace.full


def test_names_are_told_when_to_come_again_and_are_forgotten() -> None:
    clock = Clock()
    paces = Paces(0.5, 2, most=3, clock=clock)
    assert [paces.take("door") for _ in range(3)] == [0, 0, 2.0]
    assert paces.take("gate") == 0
    clock.now = 2.0
    assert paces.take("door") == 0
    for name in "abcdef":
        paces.take(name)
    assert len(paces) == 3
    clock.now = 100.0
    paces.take("last")
    assert len(paces) == 1


def _ended_by_flood() -> float:
    return REGISTRY.get_sample_value("secondsight_streams_refused_total", {"limit": "flood"}) or 0.0


async def _retry_info(edge: EdgeStream) -> RetryInfo:
    status = await rpc_status.aio.from_call(edge.call)
    assert status is not None
    (detail,) = status.details
    info = RetryInfo()
    assert detail.Unpack(info)
    return info


async def test_a_camera_near_its_rate_is_slowed_through_its_credits_and_loses_nothing(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    async with (
        start_server(frames_per_second=4, burst=0.25, flood_frames=1) as server,
        edge_stream(server, codec) as edge,
    ):
        credits = (await edge.hello()).credits
        least = credits
        for sequence in range(1, 13):
            while credits == 0:
                credits = (await edge.read()).ack.credits
            await edge.send(sequence, encoded[0])
            credits = (await edge.ack_of(sequence)).credits
            least = min(least, credits)
        assert least == 0
        assert len(await frames_in(client)) == 12


async def test_a_camera_that_floods_is_ended_and_told_when_to_come_again(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    async with (
        start_server(frames_per_second=4, burst=0.5, flood_frames=2, backlog_frames=2) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        refused = _ended_by_flood()

        async def flood() -> None:
            for sequence in range(1, 10_000):
                await edge.send(sequence, encoded[0])

        flooding = asyncio.create_task(flood())
        code, details = await edge.ended()
        await asyncio.wait({flooding})
        flooding.exception()
        # gRPC resets a stream whose client still sends: what the client sees of the status depends on the moment.
        assert code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)
        assert code is grpc.StatusCode.INTERNAL or "beyond its rate" in details
        assert _ended_by_flood() == refused + 1
        # Whatever was acknowledged is there, and recognised.
        names = await frames_in(client)
        assert [f"{edge.session}-{number}" for number in range(1, edge.acked_sequence + 1)] == names[
            : edge.acked_sequence
        ]
        await recognised(client, len(names))


async def test_bytes_count_as_well_as_frames(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame]
) -> None:
    size = len(encoded[0].machine)
    async with (
        start_server(bytes_per_second=size, burst=1.0) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[0])
        assert (await edge.ack_of(3)).credits == 0
        while (await edge.ack_of(3)).credits == 0:
            pass


async def test_one_address_has_so_many_streams(start_server: StartServer, codec: Codec) -> None:
    async with start_server(streams_per_peer=2) as server, AsyncExitStack() as stack:
        first = await stack.enter_async_context(edge_stream(server, codec, "camera-1"))
        await first.hello()
        second = await stack.enter_async_context(edge_stream(server, codec, "camera-2"))
        await second.hello()
        third = await stack.enter_async_context(edge_stream(server, codec, "camera-3"))
        code, details = await third.ended()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 streams" in details
        first.call.cancel()
        async with asyncio.timeout(PATIENCE):
            while True:
                async with edge_stream(server, codec, "camera-4") as later:
                    try:
                        await later.hello()
                    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        continue
                    break


async def test_streams_are_begun_only_so_often(start_server: StartServer, codec: Codec) -> None:
    async with start_server(hellos_at_once=8, hellos_per_second=0.5) as server:
        for _ in range(2):
            async with edge_stream(server, codec, "door") as edge:
                await edge.hello()
        async with edge_stream(server, codec, "door") as edge:
            with pytest.raises(grpc.aio.AioRpcError, match="do two edges use its name"):
                await edge.hello()
            assert (await _retry_info(edge)).retry_delay.seconds >= 1
        async with edge_stream(server, codec, "gate") as edge:
            await edge.hello()


async def test_an_old_stream_is_drained_and_goes_on_where_it_was(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    async with start_server(stream_age=0.3) as server:
        async with edge_stream(server, codec) as edge:
            session = (await edge.hello()).session
            sequence = 0
            while True:
                sequence += 1
                await edge.send(sequence, encoded[0])
                response = await edge.read()
                while response.WhichOneof("kind") == "ack" and response.ack.acked_sequence < sequence:
                    response = await edge.read()
                if response.HasField("drain"):
                    break
            await edge.call.done_writing()
            assert (await edge.ended())[0] is grpc.StatusCode.OK
        async with edge_stream(server, codec) as edge:
            welcome = await edge.hello(session)
            assert welcome.session == session
            assert sequence - 1 <= welcome.last_stored_sequence <= sequence
        stored = await frames_in(client)
        assert stored == [f"{session}-{number}" for number in range(1, welcome.last_stored_sequence + 1)]


async def test_a_server_leaves_in_order(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    """Health turns before edges are asked to finish, they finish before the server stops, and no result is lost."""
    async with (
        start_server(drain_grace=5.0) as server,
        edge_stream(server, codec) as edge,
        grpc.aio.insecure_channel(server.grpc_address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[sequence])
        await edge.ack_of(3)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING
        stopping = asyncio.create_task(server.stop())
        while not (await edge.read()).HasField("drain"):
            pass
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        assert not stopping.done()
        await edge.call.done_writing()
        assert (await edge.ended())[0] is grpc.StatusCode.OK
        await stopping
    assert await frames_in(client) == ["1-1", "1-2", "1-3"]
    async with start_server():
        await recognised(client, 3)
    assert await client.xlen(store_keys.results("front-door")) == 3
