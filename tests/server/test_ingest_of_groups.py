"""IngestService and camera streams: no frame is stored without its key frame, and one that lacks is asked for."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import ingest_pb2
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import EdgeStream, edge_stream, frames_in, predicted_from, until

Stream = list[GroupFrame]
REFERENCE = ingest_pb2.NACK_REASON_REFERENCE


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"secondsight_{name}_total", labels) or 0.0


async def refused(edge: EdgeStream, sequence: int) -> str:
    """The detail of the refusal of a frame for its reference."""
    nack = await edge.nack()
    assert (nack.sequence, nack.reason) == (sequence, REFERENCE)
    return nack.detail


async def asked_for_keys(edge: EdgeStream, up_to: int) -> int:
    """Requests for a key frame until frame `up_to` is answered for."""
    asked = 0
    while edge.acked_sequence < up_to:
        asked += (await edge.read()).HasField("key_request")
    return asked


async def test_groups_are_stored_and_counted_by_type(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    types = {kind: counted("frames_stored", camera="front-door", type=kind) for kind in ("key", "predicted")}
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence, frame in enumerate(stream, 1):
            await edge.send_in_group(sequence, frame)
            await edge.ack_of(sequence)
        assert await frames_in(client) == [f"1-{sequence}" for sequence in range(1, 9)]
        keys = await client.xrange(store_keys.keys("front-door"))
        assert [(entry_id, int(fields[store_keys.NAME_FIELD])) for entry_id, fields in keys] == [
            (f"1-{turn}".encode(), codec.inspect(stream[turn - 1].machine).name) for turn in (1, 5)
        ]
    assert counted("frames_stored", camera="front-door", type="key") == types["key"] + 2
    assert counted("frames_stored", camera="front-door", type="predicted") == types["predicted"] + 6


async def test_any_predicted_frame_may_be_dropped(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 4, 5, 7):
            await edge.send_in_group(sequence, stream[sequence - 1])
            await edge.ack_of(sequence)
        assert await frames_in(client) == ["1-1", "1-4", "1-5", "1-7"]


async def test_a_key_frame_that_never_came_is_asked_for_once_until_one_comes(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    before = counted("key_requests", reason="not_stored")
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (2, 3, 4):
            await edge.send_in_group(sequence, stream[sequence - 1])
        assert "no key frame of the camera is stored" in await refused(edge, 2)
        assert "no key frame" in (await edge.key_request()).detail
        assert await asked_for_keys(edge, up_to=4) == 0
        assert not await client.exists(store_keys.frames("front-door"), store_keys.CAMERAS)
        for sequence in (5, 6):
            await edge.send_in_group(sequence, stream[sequence - 1])
            await edge.ack_of(sequence)
        assert await frames_in(client) == ["1-5", "1-6"]
        # The next one that lacks its key frame asks anew.
        await edge.send(7, stream[6], **predicted_from(1, 1))
        assert "1-5" in await refused(edge, 7)
        await edge.key_request()
    assert counted("key_requests", reason="not_stored") == before + 2


@pytest.mark.parametrize(
    ("reference", "tells"),
    [
        (predicted_from(1, 1), "1-5"),
        (predicted_from(1, 6), "1-5"),
        (predicted_from(7, 5), "1-5"),
        (predicted_from(1, 0), "no frame"),
        (predicted_from(0, 5), "no frame"),
        ({}, "no frame"),
    ],
    ids=["an older key frame", "no key frame", "another session", "no sequence", "no session", "nothing"],
)
async def test_a_predicted_frame_names_the_last_key_frame_or_is_refused(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    reference: dict[str, int],
    tells: str,
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 5, 6):
            await edge.send_in_group(sequence, stream[sequence - 1])
            await edge.ack_of(sequence)
        await edge.send(7, stream[6], **reference)
        detail = await refused(edge, 7)
        assert tells in detail
        assert "send a key frame" in detail
        await edge.key_request()
        await edge.send_in_group(8, stream[7])
        await edge.ack_of(8)
        assert await frames_in(client) == ["1-1", "1-5", "1-6", "1-8"]


async def test_a_frame_coded_against_another_key_frame_than_it_names_is_refused(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send_in_group(1, stream[0])
        await edge.send(2, stream[6], **predicted_from(1, 1))
        detail = await refused(edge, 2)
        for key in (stream[0], stream[4]):
            assert f"{codec.inspect(key.machine).name:016x}" in detail
        await edge.key_request()
        assert await frames_in(client) == ["1-1"]


@pytest.mark.parametrize("reference", [predicted_from(1, 1), predicted_from(1, 0), predicted_from(0, 1)])
async def test_a_self_contained_frame_that_claims_a_reference_is_refused(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, reference: dict[str, int]
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send_in_group(1, stream[0])
        for sequence in (2, 3):
            await edge.send(sequence, stream[4], **reference)
        assert "self-contained" in await refused(edge, 2)
        await edge.key_request()
        assert await asked_for_keys(edge, up_to=3) == 0
        assert await frames_in(client) == ["1-1"]


async def test_a_group_goes_on_after_a_restart_of_the_server_and_in_a_later_session(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 2):
            await edge.send_in_group(sequence, stream[sequence - 1])
            await edge.ack_of(sequence)
    async with start_server() as server:
        async with edge_stream(server, codec) as edge:
            await edge.hello(session=1)
            await edge.send_in_group(3, stream[2])
            await edge.ack_of(3)
        async with edge_stream(server, codec) as edge:
            assert (await edge.hello()).session == 2
            await edge.send(1, stream[3], **predicted_from(1, 1))
            await edge.ack_of(1)
        assert await frames_in(client) == ["1-1", "1-2", "1-3", "2-1"]


async def test_a_frame_that_was_stored_is_acknowledged_again_though_its_group_is_over(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server:
        for last in (5, 6):
            async with edge_stream(server, codec) as edge:
                await edge.hello(session=1 if last == 6 else 0)
                for sequence in range(1, last + 1):
                    await edge.send_in_group(sequence, stream[sequence - 1])
                    await edge.ack_of(sequence)
        assert await frames_in(client) == [f"1-{sequence}" for sequence in range(1, 7)]


async def test_a_store_that_was_emptied_under_the_server_is_not_filled_with_orphans(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send_in_group(1, stream[0])
        await edge.ack_of(1)
        await client.flushdb()
        for sequence in (2, 3):
            await edge.send_in_group(sequence, stream[sequence - 1])
            assert "no key frame" in await refused(edge, sequence)
        assert await frames_in(client) == []
        await edge.send_in_group(5, stream[4])
        await edge.send_in_group(6, stream[5])
        await edge.ack_of(6)
        assert await frames_in(client) == ["1-5", "1-6"]


async def test_a_group_has_its_limit(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server(group_frames=3) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send_in_group(sequence, stream[sequence - 1])
            await edge.ack_of(sequence)
        await edge.send_in_group(4, stream[3])
        assert "--group-frames" in await refused(edge, 4)
        await edge.key_request()
        await edge.send_in_group(5, stream[4])
        await edge.ack_of(5)


async def test_frames_are_let_go_of_in_groups_behind_the_recogniser(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with (
        start_server(frames_kept=6, backlog_frames=5, group_frames=4) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        for number in range(5):
            for turn, frame in enumerate(stream[:4], 4 * number + 1):
                reference = {} if frame is stream[0] else predicted_from(1, 4 * number + 1)
                await edge.send(turn, frame, **reference)
                await edge.ack_of(turn)

        async def all_are_recognised() -> bool:
            return await client.xlen(store_keys.results("front-door")) == 20

        await until(all_are_recognised)
        kept = await frames_in(client)
        assert kept == [f"1-{sequence}" for sequence in range(13, 21)]
        results = await client.xrange(store_keys.results("front-door"))
        assert all(b"cannot be decoded" not in fields[store_keys.RESULT_FIELD] for _, fields in results)
