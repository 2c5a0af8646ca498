"""Requests for enhancement layers that an edge is slow to answer, or never answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import ingest_pb2
from server.enhancement_wanted import Wanted
from shared_models import Codec
from tests.server.conftest import CONFIG, StartServer
from tests.server.harness import PATIENCE, edge_stream, until

CAMERA = "front-door"


async def test_an_edge_counts_as_connected_while_it_has_as_many_requests_as_it_may(
    start_server: StartServer, codec: Codec, client: Redis
) -> None:
    # Nothing is given up while the test lasts.
    long = {"enhancement_wait_most": 10 * PATIENCE}
    wanted, uplink = Wanted(client, client, replace(CONFIG, **long)), store_keys.uplink(CAMERA)

    async def is_connected() -> bool:
        return bool(await client.exists(uplink))

    async with (
        start_server(enhancement_requests=1, uplink_seen=0.3, **long) as server,
        edge_stream(server, codec, CAMERA) as edge,
    ):
        await edge.hello(keeps_enhancement=True)
        for sequence in (1, 2):
            await wanted.ask(CAMERA, (1, sequence))
        first = await edge.enhancement_request()
        assert first.sequence == 1
        # Once, it may have been told before the second request was read.
        for _ in range(3):
            await client.unlink(uplink)
            await until(is_connected)
        await edge.write(
            ingest_pb2.PushRequest(
                enhancement=ingest_pb2.EnhancementReply(
                    request=first.request, lack=ingest_pb2.ENHANCEMENT_LACK_GONE
                )
            )
        )
        assert (await edge.enhancement_request()).sequence == 2


async def test_a_layer_whose_request_was_never_answered_can_be_asked_for_again(
    start_server: StartServer, codec: Codec, client: Redis
) -> None:
    short = {"enhancement_wait": 0.1, "enhancement_wait_most": 0.1}
    wanted = Wanted(client, client, replace(CONFIG, **short))
    async with start_server(**short) as server, edge_stream(server, codec, CAMERA) as edge:
        await edge.hello(keeps_enhancement=True)
        numbers = []
        for _ in range(3):
            requested = asyncio.create_task(edge.enhancement_request())

            async def is_asked(requested: asyncio.Task[ingest_pb2.EnhancementRequest] = requested) -> bool:
                await wanted.ask(CAMERA, (1, 1))
                return requested.done()

            await until(is_asked)
            request = await requested
            assert (request.session, request.sequence) == (1, 1)
            numbers.append(request.request)
        assert len(set(numbers)) == 3
