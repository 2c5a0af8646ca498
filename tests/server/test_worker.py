"""The worker: every stored frame gets one result, in order, whatever happens."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
import torch
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.store_keys import DEFAULT_TASK as GROUP
from secondsight.v1 import frame_pb2
from server.errors import WarmUpError
from server.recognition import OneByOne, Seen
from shared_models import Codec, EncodedFrame
from shared_models.reference import Reference
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, SquareSpotter, edge_stream, recognised, results_in, until

Encoded = list[EncodedFrame]
FRAMES = store_keys.frames("front-door")


async def _store(client: Redis, sequence: int, machine: bytes) -> None:
    """A stored frame, as ingest leaves it."""
    frame = frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id="front-door", session=1, sequence=sequence), machine_layer=machine
    )
    await client.xadd(FRAMES, {store_keys.FRAME_FIELD: frame.SerializeToString()}, id=f"1-{sequence}")
    await client.hset(store_keys.CAMERAS, "front-door", 1)


async def test_a_stored_frame_gets_its_result(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        sent = await edge.send(1, encoded[0])
        await recognised(client, 1)
        result = (await results_in(client))["1-1"]
        assert result.frame == sent.id
        assert result.captured_at == sent.captured_at
        assert result.recognised_at.ToNanoseconds() >= sent.captured_at.ToNanoseconds()
        assert result.recogniser == "square-spotter"
        assert (result.width, result.height) == (96, 64)
        assert result.machine_bytes == len(encoded[0].machine)
        assert result.enhancement == sent.enhancement
        assert result.timing.decode_us > 0
        assert not result.failure
        assert [detection.label for detection in result.detections] == ["square", "shadow"]
        assert result.detections[0].box.x_max == 48
        assert (await client.xpending(FRAMES, GROUP))["pending"] == 0


async def test_results_are_in_order_and_each_camera_has_its_turn(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with (
        start_server(SquareSpotter()) as server,
        edge_stream(server, codec, "front-door") as front,
        edge_stream(server, codec, "garden") as garden,
    ):
        for edge in (front, garden):
            await edge.hello()
        for sequence in range(1, 7):
            await front.send(sequence, encoded[sequence])
            await garden.send(sequence, encoded[sequence])
        for camera, session in (("front-door", 1), ("garden", 2)):
            await recognised(client, 6, camera)
            assert list(await results_in(client, camera)) == [f"{session}-{n}" for n in range(1, 7)]


async def test_a_frame_that_cannot_be_decoded_gets_a_failure_and_the_next_its_result(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    await _store(client, 1, encoded[0].machine[:-4] + b"\x00\x01\x02\x03")
    await client.xadd(FRAMES, {store_keys.FRAME_FIELD: b"\xff\xff no message"}, id="1-2")
    await _store(client, 3, encoded[0].machine)
    async with start_server(SquareSpotter()):
        await recognised(client, 3)
        first, second, third = (await results_in(client)).values()
        assert "CorruptError" in first.failure
        assert "cannot be decoded" in second.failure
        assert second.frame.sequence == 2
        assert not first.detections
        assert not third.failure
        assert len(third.detections) == 2


async def test_a_codec_that_runs_out_of_memory_gives_a_failure_and_the_next_frame_its_result(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = codec.decode_machine

    def short_of_memory(machine: bytes, reference: Reference | None = None) -> np.ndarray:
        if machine == encoded[0].machine:
            raise torch.OutOfMemoryError("tried to allocate 9 GiB")
        return decode(machine, reference)

    monkeypatch.setattr(codec, "decode_machine", short_of_memory)
    for sequence in (1, 2):
        await _store(client, sequence, encoded[sequence - 1].machine)
    async with start_server(SquareSpotter()):
        await recognised(client, 2)
        first, second = (await results_in(client)).values()
        assert "OutOfMemoryError: tried to allocate 9 GiB" in first.failure
        assert not second.failure
        assert len(second.detections) == 2


class _Stumbles(OneByOne):
    name = "stumbles"
    labels = ()

    def warm_up(self) -> None:
        """Frames alone count."""

    def see(self, image: np.ndarray) -> Seen:
        raise ZeroDivisionError("no such thing")


class _Warming(SquareSpotter):
    """Knows whether it was shown anything before it was warm."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def warm_up(self) -> None:
        self.done.append("warm up")

    def see(self, image: np.ndarray) -> Seen:
        self.done.append("see")
        return super().see(image)


async def test_a_recogniser_is_warm_before_the_first_frame_and_tells_what_it_is(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    await _store(client, 1, encoded[0].machine)
    recogniser = _Warming()
    async with start_server(recogniser) as server:
        await recognised(client, 1)
        assert recogniser.done == ["warm up", "see"]
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            told = (await http.get("/v1/recognisers")).json()
        assert told["recognisers"] == [
            {
                "task": "recognise",
                "recogniser": "square-spotter",
                "labels": ["square", "shadow"],
                "device": "cpu",
                "inputs": "any size, as it is",
            }
        ]


async def test_a_recogniser_that_cannot_be_warmed_up_ends_the_process(start_server: StartServer) -> None:
    class Cold(SquareSpotter):
        def warm_up(self) -> None:
            raise MemoryError("no room")

    async with start_server(Cold()) as server:
        with pytest.raises(WarmUpError, match="square-spotter cannot be warmed up"):
            await server.failed()


async def test_a_recogniser_that_raises_gives_a_failure(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    await _store(client, 1, encoded[0].machine)
    async with start_server(_Stumbles()):
        await recognised(client, 1)
        failure = (await results_in(client))["1-1"].failure
        assert failure == "the recogniser failed (ZeroDivisionError: no such thing)"


async def test_what_a_dead_worker_had_claimed_comes_first(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    for sequence in range(1, 6):
        await _store(client, sequence, encoded[sequence].machine)
    await client.xgroup_create(FRAMES, GROUP, id="0")
    await client.xreadgroup(GROUP, "worker", {FRAMES: ">"}, count=3)
    async with start_server(SquareSpotter()):
        await recognised(client, 5)
        assert list(await results_in(client)) == [f"1-{n}" for n in range(1, 6)]
        assert (await client.xpending(FRAMES, GROUP))["pending"] == 0


async def test_a_result_that_was_published_before_the_acknowledgement_was_lost_stands(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    await _store(client, 1, encoded[0].machine)
    await client.xgroup_create(FRAMES, GROUP, id="0")
    await client.xreadgroup(GROUP, "worker", {FRAMES: ">"}, count=1)
    await client.xadd(store_keys.results("front-door"), {store_keys.RESULT_FIELD: b""}, id="1-1")
    spotter = SquareSpotter()
    async with start_server(spotter):

        async def acknowledged() -> bool:
            return (await client.xpending(FRAMES, GROUP))["pending"] == 0

        await until(acknowledged)
        assert spotter.asked == 1
        assert await client.xlen(store_keys.results("front-door")) == 1


async def test_a_lost_group_is_made_again_after_the_last_result(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    spotter = SquareSpotter()
    async with start_server(spotter) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in (1, 2, 3):
            await edge.send(sequence, encoded[0])
        await recognised(client, 3)
        await client.xgroup_destroy(FRAMES, GROUP)
        for sequence in (4, 5):
            await edge.send(sequence, encoded[0])
            await edge.ack_of(sequence)
        await recognised(client, 5)
        assert spotter.asked == 5


async def test_a_claimed_frame_that_the_store_lost_gets_a_failure_in_its_turn(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    for sequence in (1, 2):
        await _store(client, sequence, encoded[0].machine)
    await client.xgroup_create(FRAMES, GROUP, id="0")
    await client.xreadgroup(GROUP, "worker", {FRAMES: ">"}, count=1)
    await client.xtrim(FRAMES, minid="1-2", approximate=False)
    async with start_server(SquareSpotter()):
        await recognised(client, 2)
        results = await results_in(client)
        assert list(results) == ["1-1", "1-2"]
        assert "let go of the frame" in results["1-1"].failure
        assert not results["1-2"].failure
        assert (await client.xpending(FRAMES, GROUP))["pending"] == 0


async def test_the_packaged_detector_sees_the_frames(
    start_server: StartServer, encoded: Encoded, client: Redis
) -> None:
    pytest.importorskip("cv2")
    from server.recognition import load_recogniser

    await _store(client, 1, encoded[0].machine)
    async with start_server(load_recogniser("ssd-mobilenet", minimum_score=0.0, threads=1)):
        await recognised(client, 1)
        result = (await results_in(client))["1-1"]
        assert result.recogniser == "ssd-mobilenet-v2-coco"
        assert not result.failure
        assert result.detections
        for detection in result.detections:
            assert detection.label
            assert 0 <= detection.box.x_min <= detection.box.x_max <= 96
            assert 0 <= detection.box.y_min <= detection.box.y_max <= 64
        assert result.timing.recognise_us > 0
