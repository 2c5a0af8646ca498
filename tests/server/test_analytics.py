"""AnalyticsService: who gets which results, from where on."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from redis.asyncio import Redis

from secondsight.v1 import analytics_pb2, analytics_pb2_grpc
from server.recognition import Seen
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import EdgeStream, SquareSpotter, edge_stream, recognised, subscription

Encoded = list[EncodedFrame]
EARLIEST = analytics_pb2.START_FROM_EARLIEST


async def _push(edge: EdgeStream, encoded: Encoded, *sequences: int) -> None:
    for sequence in sequences:
        await edge.send(sequence, encoded[sequence % len(encoded)])
        await edge.ack_of(sequence)


async def test_cameras_are_listed(start_server: StartServer, codec: Codec, encoded: Encoded) -> None:
    async with (
        start_server() as server,
        edge_stream(server, codec, "garden") as garden,
        edge_stream(server, codec, "attic") as attic,
        edge_stream(server, codec, "silent") as silent,
        grpc.aio.insecure_channel(server.grpc_address) as channel,
    ):
        for edge in (garden, attic, silent):
            await edge.hello()
        for edge in (garden, attic):
            await _push(edge, encoded, 1)
        listed = await analytics_pb2_grpc.AnalyticsServiceStub(channel).ListCameras(
            analytics_pb2.ListCamerasRequest()
        )
        assert [camera.camera_id for camera in listed.cameras] == ["attic", "garden"]
        assert [camera.session for camera in listed.cameras] == [attic.session, garden.session]
        assert all(camera.last_frame_at.seconds > 0 for camera in listed.cameras)


@pytest.mark.parametrize(
    "start_from", [analytics_pb2.START_FROM_UNSPECIFIED, analytics_pb2.START_FROM_LATEST]
)
async def test_a_subscription_begins_with_results_made_after_it(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, start_from: int
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await _push(edge, encoded, 1, 2)
        await recognised(client, 2)
        async with subscription(server, start_from=start_from) as following:
            await _push(edge, encoded, 3)
            response = await following()
            assert response.result.frame.sequence == 3
            assert [detection.label for detection in response.result.detections] == ["square", "shadow"]


async def test_a_subscription_can_begin_with_all_that_is_kept(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await _push(edge, encoded, 1, 2)
        await recognised(client, 2)
        async with subscription(server, start_from=EARLIEST) as following:
            await _push(edge, encoded, 3)
            assert [(await following()).result.frame.sequence for _ in range(3)] == [1, 2, 3]


async def test_a_subscription_goes_on_after_an_offset(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await _push(edge, encoded, 1, 2, 3, 4)
        await recognised(client, 4)
        async with subscription(server, start_from=EARLIEST) as following:
            await following()
            offset = (await following()).offset
        async with subscription(server, resume_after={"front-door": offset}) as following:
            assert [(await following()).result.frame.sequence for _ in range(2)] == [3, 4]


async def test_an_offset_of_a_store_that_was_lost_does_not_silence_a_subscription(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        async with subscription(
            server, camera_ids=["front-door"], resume_after={"front-door": "900-1"}
        ) as following:
            await _push(edge, encoded, 1)
            assert (await following()).offset == "1-1"


async def test_cameras_that_appear_later_are_followed(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with (
        start_server(SquareSpotter()) as server,
        subscription(server) as following,
        edge_stream(server, codec, "new-one") as edge,
    ):
        await edge.hello()
        await _push(edge, encoded, 1)
        assert (await following()).result.frame.camera_id == "new-one"


async def test_only_the_cameras_asked_for_are_followed(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with (
        start_server(SquareSpotter()) as server,
        edge_stream(server, codec, "garden") as garden,
        edge_stream(server, codec, "attic") as attic,
    ):
        for edge in (garden, attic):
            await edge.hello()
            await _push(edge, encoded, 1)
            await recognised(client, 1, edge.camera_id)
        async with subscription(server, camera_ids=["attic"], start_from=EARLIEST) as following:
            await _push(garden, encoded, 2)
            await recognised(client, 2, "garden")
            await _push(attic, encoded, 2)
            seen = [(await following()).result.frame for _ in range(2)]
            assert [(frame.camera_id, frame.sequence) for frame in seen] == [("attic", 1), ("attic", 2)]


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        ({"labels": ["shadow"]}, ["shadow"]),
        ({"minimum_score": 0.5}, ["square"]),
        ({"labels": ["shadow", "square"], "minimum_score": 0.3}, ["square", "shadow"]),
    ],
)
async def test_detections_are_filtered(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    wanted: dict[str, object],
    labels: list[str],
) -> None:
    async with (
        start_server(SquareSpotter()) as server,
        edge_stream(server, codec) as edge,
        subscription(server, **wanted) as following,
    ):
        await edge.hello()
        await _push(edge, encoded, 1)
        assert [detection.label for detection in (await following()).result.detections] == labels


class _SeesTheSecondFrame(SquareSpotter):
    def see(self, image: np.ndarray) -> Seen:
        seen = super().see(image)
        return seen if self.asked == 2 else Seen()


async def test_frames_without_a_match_are_left_out_only_with_a_filter(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with (
        start_server(_SeesTheSecondFrame()) as server,
        edge_stream(server, codec) as edge,
        subscription(server) as everything,
        subscription(server, labels=["square"]) as squares,
    ):
        await edge.hello()
        await _push(edge, encoded, 1, 2)
        assert [(await everything()).result.frame.sequence for _ in range(2)] == [1, 2]
        assert (await squares()).result.frame.sequence == 2


@pytest.mark.parametrize(
    ("request_", "tells"),
    [
        ({"camera_ids": ["No Camera"]}, "No Camera"),
        ({"minimum_score": 1.5}, "1.5"),
        ({"minimum_score": float("nan")}, "nan"),
        ({"resume_after": {"front-door": "yesterday"}}, "yesterday"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    start_server: StartServer, request_: dict[str, object], tells: str
) -> None:
    async with start_server() as server:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            async with subscription(server, **request_) as following:
                await following()
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert tells in (refusal.value.details() or "")


async def test_a_leaving_server_ends_subscriptions(start_server: StartServer) -> None:
    async with start_server() as server, subscription(server) as following:
        server._subscriptions.leave()
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await following()
        assert end.value.code() is grpc.StatusCode.UNAVAILABLE
