"""A store that dies and comes back: no acknowledged frame is lost, none has two results."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import grpc
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.store.client import open_client
from server.store.embedded import EmbeddedStore
from shared_models import Codec, EncodedFrame
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import (
    PATIENCE,
    EdgeStream,
    SquareSpotter,
    edge_stream,
    frames_in,
    recognised,
    results_in,
    subscription,
    until,
)

Encoded = list[EncodedFrame]


async def _kill(store: EmbeddedStore) -> None:
    """kill -9, and wait until the supervisor has begun to start it again."""
    restarts = store.restarts
    os.kill(store.pid, signal.SIGKILL)

    async def restarted() -> bool:
        return store.restarts > restarts

    await until(restarted)


async def _push_within_credits(
    edge: EdgeStream, stream: list[GroupFrame], first: int, last: int, acked: list[int]
) -> None:
    """Send frames `first` to `last` as an edge does; `acked` follows what the server has acknowledged.

    The stream begins again whenever it is over.
    """
    credits = (await edge.hello(edge.session)).credits
    sequence, acknowledged = first, first - 1
    while acknowledged < last:
        while sequence <= last and sequence - acknowledged <= credits:
            frame = stream[(sequence - 1) % len(stream)]
            begun = (sequence - 1) // len(stream) * len(stream)
            await edge.send_in_group(sequence, replace(frame, key=begun + frame.key))
            sequence += 1
        response = await edge.read()
        assert not response.HasField("nack"), response.nack
        acknowledged, credits = response.ack.acked_sequence, response.ack.credits
        acked.append(acknowledged)


async def test_a_store_killed_under_load_loses_nothing_and_doubles_nothing(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore
) -> None:
    count = 120
    client = open_client(valkey.url)
    acked: list[int] = [0]
    async with (
        start_server(SquareSpotter(), url=valkey.url, store_patience=PATIENCE) as server,
        edge_stream(server, codec) as edge,
        subscription(server) as following,
    ):
        pushing = asyncio.create_task(_push_within_credits(edge, stream, 1, count, acked))
        for reached in (20, 60, 90):

            async def there(reached: int = reached) -> bool:
                return acked[-1] >= reached or pushing.done()

            await until(there)
            await _kill(valkey)
        await pushing
        await recognised(client, count)
        results = await results_in(client)
        assert list(results) == [f"1-{sequence}" for sequence in range(1, count + 1)]
        assert not any(result.failure for result in results.values())
        assert [(await following()).offset for _ in range(count)] == list(results)
        keys = [entry_id.decode() for entry_id, _ in await client.xrange(store_keys.keys("front-door"))]
        assert keys == [f"1-{sequence}" for sequence in range(1, count + 1, 4)]
    assert valkey.restarts == 3
    await client.aclose()


async def test_a_frame_is_not_acknowledged_while_the_store_is_away(
    start_server: StartServer, codec: Codec, encoded: Encoded, valkey: EmbeddedStore
) -> None:
    async with start_server(url=valkey.url, store_patience=0.5) as server:
        async with edge_stream(server, codec) as edge:
            session = (await edge.hello()).session
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
            await asyncio.to_thread(valkey.stop)
            await edge.send(2, encoded[1])
            code, details = await edge.ended()
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "store" in details
            assert edge.acked_sequence == 1
        async with edge_stream(server, codec) as edge:
            with pytest.raises(grpc.aio.AioRpcError) as end:
                await edge.hello(session)
            assert end.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.to_thread(valkey.start)
        async with edge_stream(server, codec) as edge:
            welcome = await edge.hello(session)
            assert (welcome.session, welcome.last_stored_sequence) == (session, 1)
            await edge.send(2, encoded[1])
            await edge.ack_of(2)
            client = open_client(valkey.url)
            await recognised(client, 2)
            await client.aclose()


async def test_a_full_store_lets_go_of_what_is_recognised_and_of_nothing_else(
    start_server: StartServer, codec: Codec, encoded: Encoded, valkey: EmbeddedStore
) -> None:
    client = open_client(valkey.url)
    frames, results = store_keys.frames("front-door"), store_keys.results("front-door")
    for sequence in range(1, 41):
        await client.xadd(frames, {store_keys.FRAME_FIELD: bytes(100_000)}, id=f"1-{sequence}")
        await client.xadd(results, {store_keys.RESULT_FIELD: b""}, id=f"1-{sequence}")
    await client.hset(store_keys.CAMERAS, "front-door", 1)
    await client.set(store_keys.SESSIONS, 1)
    spotter = SquareSpotter()
    spotter.released.clear()
    async with (
        start_server(spotter, url=valkey.url, backlog_frames=4) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[sequence])
            await edge.ack_of(sequence)
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used - 1_000_000)
        await edge.send(4, encoded[4])
        await edge.ack_of(4)
        kept = await frames_in(client)
        assert kept[-4:] == ["2-1", "2-2", "2-3", "2-4"]
        assert 4 < len(kept) < 40
        assert len(await results_in(client)) < 40
        spotter.released.set()
        await until(lambda: _has_result(client, "2-4"))
        assert spotter.asked == 4
    await client.aclose()


async def _has_result(client: Redis, frame: str) -> bool:
    return frame in await results_in(client)


async def test_a_store_full_of_what_cannot_go_is_told_with_the_remedy(
    start_server: StartServer, codec: Codec, encoded: Encoded, valkey: EmbeddedStore
) -> None:
    client = open_client(valkey.url)
    async with (
        start_server(url=valkey.url, store_patience=0.3) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        await client.config_set("maxmemory", 1)
        await edge.send(1, encoded[0])
        code, details = await edge.ended()
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "full" in details
        assert "--store-memory" in details
    await client.aclose()


async def test_a_full_store_acknowledges_nothing_and_goes_on_when_there_is_room(
    start_server: StartServer, codec: Codec, encoded: Encoded, valkey: EmbeddedStore
) -> None:
    client = open_client(valkey.url)
    async with start_server(url=valkey.url) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        await edge.ack_of(1)
        await client.config_set("maxmemory", 1)
        await edge.send(2, encoded[1])

        async def let_go_of_all() -> bool:
            return await frames_in(client) == []

        await until(let_go_of_all)
        await client.config_set("maxmemory", 0)
        await edge.ack_of(2)
        await recognised(client, 2)
    await client.aclose()
