"""IngestService: what is stored, what is refused, who may speak, and how fast."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2, ingest_pb2
from shared_models import Codec, EncodedFrame, Layer
from shared_models.bitstream import Bitstream
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, frames_in, recognised, until

Encoded = list[EncodedFrame]


async def test_a_frame_is_acknowledged_once_it_is_stored(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        welcome = await edge.hello()
        assert welcome.session == 1
        assert welcome.last_stored_sequence == 0
        assert welcome.credits == 8
        sent = await edge.send(1, encoded[0])
        ack = await edge.ack_of(1)
        assert ack.acked_sequence == 1
        assert ack.server_time.seconds > 0
        ((entry_id, fields),) = await client.xrange(store_keys.frames("front-door"))
        assert entry_id == b"1-1"
        stored = frame_pb2.Frame.FromString(fields[store_keys.FRAME_FIELD])
        assert stored.stored_at.seconds > 0
        stored.ClearField("stored_at")
        assert stored == sent
        assert await client.hexists(store_keys.CAMERAS, "front-door")


async def test_a_name_that_stores_nothing_leaves_nothing_behind(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    session_key = store_keys.session("front-door")
    async with start_server() as server, edge_stream(server, codec) as edge:
        assert (await edge.hello()).credits == 8
        of_worker = {store_keys.workers(store_keys.DEFAULT_TASK), store_keys.RECOGNISERS}

        async def worker_is_there() -> bool:
            return await client.exists(*of_worker) == len(of_worker)

        await until(worker_is_there)
        lasting = {key.decode() async for key in client.scan_iter() if await client.ttl(key) == -1}
        assert lasting == {store_keys.SESSIONS, *of_worker}
        await edge.send(1, encoded[0])
        await edge.ack_of(1)
        assert await client.ttl(session_key) == -1


async def test_the_first_frame_of_a_camera_takes_one_credit(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    spotter = SquareSpotter()
    spotter.released.clear()
    async with start_server(spotter) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        assert (await edge.ack_of(1)).credits == 7
        spotter.released.set()


async def test_a_session_whose_number_was_let_go_is_resumed_by_its_frames(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server:
        async with edge_stream(server, codec) as edge:
            session = (await edge.hello()).session
            await client.delete(store_keys.session("front-door"))
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
        async with edge_stream(server, codec) as edge:
            welcome = await edge.hello(session)
            assert (welcome.session, welcome.last_stored_sequence) == (session, 1)


async def test_a_gap_in_the_sequence_is_a_dropped_frame_and_no_fault(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 5, 9):
            await edge.send(sequence, encoded[0])
            await edge.ack_of(sequence)
        assert await frames_in(client) == ["1-1", "1-5", "1-9"]


async def test_a_session_is_resumed_after_its_last_stored_frame(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server:
        async with edge_stream(server, codec) as edge:
            session = (await edge.hello()).session
            for sequence in (1, 2, 3):
                await edge.send(sequence, encoded[sequence])
            await edge.ack_of(3)
        async with edge_stream(server, codec) as edge:
            welcome = await edge.hello(session)
            assert (welcome.session, welcome.last_stored_sequence) == (session, 3)
            await edge.send(3, encoded[3])
            await edge.ack_of(3)
            await edge.send(4, encoded[4])
            await edge.ack_of(4)
        assert await frames_in(client) == ["1-1", "1-2", "1-3", "1-4"]


async def test_resuming_goes_on_after_a_restart_of_the_server(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        session = (await edge.hello()).session
        await edge.send(7, encoded[0])
        await edge.ack_of(7)
    async with start_server() as server, edge_stream(server, codec) as edge:
        assert (await edge.hello(session)).last_stored_sequence == 7


async def test_a_session_that_is_not_current_is_not_resumed(start_server: StartServer, codec: Codec) -> None:
    async with start_server() as server:
        async with edge_stream(server, codec) as edge:
            old = (await edge.hello()).session
        async with edge_stream(server, codec) as edge:
            current = (await edge.hello()).session
            assert current > old
        async with edge_stream(server, codec) as edge:
            assert (await edge.hello(old)).session > current


async def test_sessions_go_on_rising_when_their_counter_is_lost(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server:
        for _ in range(3):
            async with edge_stream(server, codec) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
                await edge.ack_of(1)
        await client.delete(store_keys.SESSIONS)
        async with edge_stream(server, codec) as edge:
            assert (await edge.hello()).session == 4
            await edge.send(1, encoded[0])
            await edge.ack_of(1)


async def test_a_newer_stream_takes_over(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as old, edge_stream(server, codec) as new:
        await old.hello()
        await old.send(1, encoded[0])
        await old.ack_of(1)
        assert (await new.hello()).session == 2
        assert await old.ended() == (grpc.StatusCode.ABORTED, "superseded")
        await new.send(1, encoded[1])
        await new.ack_of(1)
        assert await frames_in(client) == ["1-1", "2-1"]


async def test_an_edge_that_comes_back_takes_over_its_own_stream(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as old, edge_stream(server, codec) as new:
        session = (await old.hello()).session
        await old.send(1, encoded[0])
        await old.ack_of(1)
        welcome = await new.hello(session)
        assert (welcome.session, welcome.last_stored_sequence) == (session, 1)
        assert await old.ended() == (grpc.StatusCode.ABORTED, "superseded")
        await new.send(2, encoded[1])
        await new.ack_of(2)
        assert await frames_in(client) == ["1-1", "1-2"]


async def test_a_stream_is_fenced_off_by_a_later_session_on_another_server(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with (
        start_server() as here,
        start_server(worker_name="other") as there,
        edge_stream(here, codec) as old,
        edge_stream(there, codec) as new,
    ):
        await old.hello()
        await new.hello()
        await new.send(1, encoded[0])
        await new.ack_of(1)
        await old.send(1, encoded[0])
        assert await old.ended() == (grpc.StatusCode.ABORTED, "superseded")
        assert await frames_in(client) == ["2-1"]


def _damaged(machine: bytes) -> bytes:
    return machine[:-1] + bytes([machine[-1] ^ 1])


def _claiming(machine: bytes, side: int) -> bytes:
    """A stream of a frame that it says is huge, with all checksums right, and no shorter than it could be."""
    stream = Bitstream.parsed(machine, Layer.MACHINE)
    (segment,) = stream.segments
    longer = replace(segment, payload=segment.payload + bytes(2**15))
    return replace(
        stream, header=replace(stream.header, width=side, height=side), segments=(longer,)
    ).packed()


@pytest.mark.parametrize(
    ("make", "reason", "tells"),
    [
        (lambda e: {"machine_layer": b"no bitstream"}, "BITSTREAM", "Error"),
        (lambda e: {"machine_layer": _damaged(e.machine)}, "BITSTREAM", "Error"),
        (lambda e: {"machine_layer": e.machine[:50]}, "BITSTREAM", "TruncatedError"),
        (lambda e: {"machine_layer": e.enhancement}, "BITSTREAM", "LayerError"),
        (lambda e: {"machine_layer": bytes(9 * 2**20)}, "LIMIT", "limit of 8388608"),
        (lambda e: {"machine_layer": _claiming(e.machine, 8192)}, "BITSTREAM", "FrameSizeError"),
        (lambda e: {"machine_layer": _claiming(e.machine, 4096)}, "LIMIT", "4096x4096"),
        (lambda e: {"traceparent": "x" * 5000}, "LIMIT", "4096 bytes"),
        (lambda e: {"enhancement": frame_pb2.EnhancementReceipt(slices=6)}, "LIMIT", "at most 5 slices"),
        (lambda e: {"captured_at": Timestamp(seconds=10**15)}, "LIMIT", "clock"),
        (lambda e: {"id": frame_pb2.FrameId(camera_id="garden")}, "IDENTITY", "garden"),
        (lambda e: {"id": frame_pb2.FrameId(session=99)}, "IDENTITY", "99"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_reason(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    make: object,
    reason: str,
    tells: str,
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0], **make(encoded[0]))  # type: ignore[operator]
        nack = await edge.nack()
        assert ingest_pb2.NackReason.Name(nack.reason) == f"NACK_REASON_{reason}"
        assert nack.sequence == 1
        assert tells in nack.detail
        await edge.send(2, encoded[1])
        await edge.ack_of(2)
        assert await frames_in(client) == ["1-2"]


async def test_the_size_of_a_frame_is_limited_as_configured(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(frame_pixels=96 * 64 - 1) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        nack = await edge.nack()
        assert nack.reason == ingest_pb2.NACK_REASON_LIMIT
        assert "--frame-pixels" in nack.detail
    async with start_server(frame_pixels=96 * 64) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        await edge.ack_of(1)


async def test_a_frame_of_another_model_is_refused(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    stream = Bitstream.parsed(encoded[0].machine, Layer.MACHINE)
    foreign = replace(stream, header=replace(stream.header, model_id=b"elsewhat")).packed()
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0], machine_layer=foreign)
        nack = await edge.nack()
        assert nack.reason == ingest_pb2.NACK_REASON_MODEL
        assert codec.model_id.hex() in nack.detail


@pytest.mark.parametrize("sequence", [0, 2])
async def test_a_sequence_that_does_not_rise_is_refused(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, sequence: int
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(3, encoded[0])
        await edge.ack_of(3)
        await edge.send(sequence, encoded[0])
        nack = await edge.nack()
        assert (nack.sequence, nack.reason) == (sequence, ingest_pb2.NACK_REASON_ORDER)
        assert await frames_in(client) == ["1-3"]


@pytest.mark.parametrize(
    ("hello", "code", "tells"),
    [
        ({"camera_id": "Front Door"}, grpc.StatusCode.INVALID_ARGUMENT, "no camera name"),
        ({"model_id": b"12345678"}, grpc.StatusCode.FAILED_PRECONDITION, b"12345678".hex()),
    ],
)
async def test_a_wrong_hello_ends_the_stream(
    start_server: StartServer, codec: Codec, hello: dict[str, str], code: grpc.StatusCode, tells: str
) -> None:
    fields = {"camera_id": "front-door", "model_id": codec.predicting_id, **hello}
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.write(ingest_pb2.PushRequest(hello=ingest_pb2.Hello(**fields)))
        ended, details = await edge.ended()
        assert ended is code
        assert tells in details


async def test_an_edge_that_only_asks_is_answered_and_disturbs_nobody(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for model, taken in ((codec.predicting_id, True), (b"12345678", False)):
            question = ingest_pb2.Hello(camera_id="front-door", model_id=model, only_asks=True)
            async with edge_stream(server, codec) as asking:
                await asking.write(ingest_pb2.PushRequest(hello=question))
                if taken:
                    welcome = (await asking.read()).welcome
                    assert (welcome.session, welcome.credits) == (0, 0)
                    assert welcome.server_time.seconds > 0
                    assert (await asking.ended())[0] is grpc.StatusCode.OK
                else:
                    assert (await asking.ended())[0] is grpc.StatusCode.FAILED_PRECONDITION
        await edge.send(1, encoded[0])
        await edge.ack_of(1)
        assert int(await client.get(store_keys.SESSIONS)) == 1


async def test_a_stream_begins_with_a_hello_and_has_one(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with start_server() as server:
        async with edge_stream(server, codec) as edge:
            await edge.send(1, encoded[0])
            assert (await edge.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT
        async with edge_stream(server, codec) as edge:
            await edge.hello()
            await edge.write(ingest_pb2.PushRequest(hello=ingest_pb2.Hello(camera_id="front-door")))
            assert (await edge.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT
        async with edge_stream(server, codec) as edge:
            await edge.call.done_writing()
            assert (await edge.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT
        async with edge_stream(server, codec) as edge:
            await edge.hello()
            await edge.write(ingest_pb2.PushRequest(enhancement=ingest_pb2.EnhancementReply(request=1)))
            assert await edge.ended() == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "an enhancement layer came that was not asked for",
            )


async def test_silence_in_place_of_a_hello_ends_the_stream(start_server: StartServer, codec: Codec) -> None:
    async with start_server(hello_within=0.1) as server, edge_stream(server, codec) as edge:
        assert (await edge.ended())[0] is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_credits_shrink_with_the_backlog_and_come_back_without_a_frame(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    spotter = SquareSpotter()
    spotter.released.clear()
    async with start_server(spotter, backlog_frames=4) as server, edge_stream(server, codec) as edge:
        assert (await edge.hello()).credits == 4
        for sequence in (1, 2, 3, 4):
            await edge.send(sequence, encoded[0])
            assert (await edge.ack_of(sequence)).credits == 4 - sequence
        spotter.released.set()
        while (await edge.ack_of(4)).credits < 4:
            pass
        await recognised(client, 4)


async def test_a_stream_that_opens_on_a_full_backlog_gets_its_credits_later(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    spotter = SquareSpotter()
    spotter.released.clear()
    async with start_server(spotter, backlog_frames=2) as server:
        async with edge_stream(server, codec) as edge:
            session = (await edge.hello()).session
            for sequence in (1, 2):
                await edge.send(sequence, encoded[0])
            await edge.ack_of(2)
        async with edge_stream(server, codec) as edge:
            assert (await edge.hello(session)).credits == 0
            spotter.released.set()
            while (await edge.ack_of(2)).credits < 2:
                pass


async def test_frames_beyond_the_credits_wait_and_none_is_trimmed_unrecognised(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    spotter = SquareSpotter()
    spotter.released.clear()
    count = 150  # more than one node of a stream, so that trimming does trim
    async with (
        start_server(spotter, backlog_frames=4, frames_kept=5) as server,
        edge_stream(server, codec) as edge,
    ):
        await edge.hello()
        sending = asyncio.create_task(_send_all(edge, encoded, count))
        await edge.ack_of(4)
        await asyncio.sleep(0.3)
        assert await frames_in(client) == [f"1-{sequence}" for sequence in (1, 2, 3, 4)]
        spotter.released.set()
        await edge.ack_of(count)
        await sending
        await recognised(client, count)
        assert spotter.asked == count
        assert await client.xlen(store_keys.frames("front-door")) < count


async def _send_all(edge: object, encoded: Encoded, count: int) -> None:
    for sequence in range(1, count + 1):
        await edge.send(sequence, encoded[sequence % len(encoded)])  # type: ignore[attr-defined]


async def test_the_edge_hears_from_a_quiet_server(start_server: StartServer, codec: Codec) -> None:
    async with start_server(ack_interval=0.1) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        assert [(await edge.ack_of(0)).credits for _ in range(3)] == [8, 8, 8]


async def test_a_leaving_server_asks_edges_to_finish(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        await edge.ack_of(1)
        stopping = asyncio.create_task(server._ingest.drain())
        while not (response := await edge.read()).HasField("drain"):
            assert response.HasField("ack")  # of frame 1 again, which has been recognised since
        assert response.drain.reconnect_after.ToMilliseconds() == 1000
        await edge.send(2, encoded[1])
        await edge.call.done_writing()
        assert (await edge.ended())[0] is grpc.StatusCode.OK
        await stopping
        assert await frames_in(client) == ["1-1"]
        async with edge_stream(server, codec) as late:
            await late.write(
                ingest_pb2.PushRequest(hello=ingest_pb2.Hello(camera_id="late", model_id=codec.predicting_id))
            )
            assert (await late.ended())[0] is grpc.StatusCode.UNAVAILABLE


async def test_streams_of_one_camera_leave_nothing_behind(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with start_server() as server:
        for _ in range(20):
            async with edge_stream(server, codec) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
                await edge.ack_of(1)

        async def closed() -> bool:
            return not server._ingest._uplinks

        await until(closed)
