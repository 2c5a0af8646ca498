"""gRPC of a server that asks who is there."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from secondsight.v1 import analytics_pb2, analytics_pb2_grpc
from server.access.caller import Role
from server.audit.chain import records
from server.process import Server
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import bearer, edge_stream, frames_in, recognised, subscription
from tests.server.people import People

Encoded = list[EncodedFrame]


async def listed(server: Server, key: str | None) -> list[str]:
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        response = await analytics_pb2_grpc.AnalyticsServiceStub(channel).ListCameras(
            analytics_pb2.ListCamerasRequest(), metadata=bearer(key)
        )
        return [camera.camera_id for camera in response.cameras]


async def test_a_camera_pushes_its_own_frames_and_no_others(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        gate = people.tokens["gate"]
        async with edge_stream(server, codec, "gate", token=gate) as edge:
            await edge.hello()
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
        async with edge_stream(server, codec, "yard", token=gate) as edge:
            with pytest.raises(grpc.aio.AioRpcError, match="token is of camera 'gate'") as ended:
                await edge.hello()
            assert ended.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await frames_in(client, "gate") == ["1-1"]
    assert await frames_in(client, "yard") == []


async def test_no_other_credential_pushes(start_server: StartServer, people: People, codec: Codec) -> None:
    async with start_server(access_file=people.file.path) as server:
        for wrong in (None, "", "x", people.keys["anna"], people.tokens["gate"][:-1]):
            async with edge_stream(server, codec, "gate", token=wrong) as edge:
                code, details = await edge.ended()
                assert code is grpc.StatusCode.UNAUTHENTICATED
                assert "access camera add" in details
                assert people.tokens["gate"][13:20] not in details
    told = [record.event for record in records(people.file.path.parent / "audit")]
    assert {(event.subject, event.outcome) for event in told} == {("call", "refused")}
    assert len(told) == 5


async def test_the_stream_of_a_revoked_token_ends(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded
) -> None:
    async with start_server(access_file=people.file.path) as server:
        async with (
            edge_stream(server, codec, "gate", token=people.tokens["gate"]) as gate,
            edge_stream(server, codec, "yard", token=people.tokens["yard"]) as yard,
        ):
            await gate.hello()
            await yard.hello()
            people.file.change(lambda register: register.without_camera_tokens("gate"))
            code, details = await gate.ended()
            assert (code, details) == (grpc.StatusCode.UNAUTHENTICATED, "the token was revoked")
            await yard.send(1, encoded[0])
            await yard.ack_of(1)
        async with edge_stream(server, codec, "gate", token=people.tokens["gate"]) as gate:
            assert (await gate.ended())[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_results_are_for_those_who_may_see_the_camera(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        for wrong in (None, people.tokens["gate"], people.keys["vera"] + "x"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await listed(server, wrong)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async with subscription(server, key=wrong) as following:
                    await following()
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

        for camera_id in ("gate", "yard"):
            async with edge_stream(server, codec, camera_id, token=people.tokens[camera_id]) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
                await recognised(client, 1, camera_id)
        assert await listed(server, people.keys["vera"]) == ["gate", "yard"]
        assert await listed(server, people.keys["yuri"]) == ["yard"]

        earliest = {"start_from": analytics_pb2.START_FROM_EARLIEST}
        async with subscription(server, key=people.keys["yuri"], **earliest) as following:
            assert (await following()).result.frame.camera_id == "yard"
            async with edge_stream(server, codec, "gate", token=people.tokens["gate"]) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
                await recognised(client, 2, "gate")
            async with edge_stream(server, codec, "yard", token=people.tokens["yard"]) as edge:
                await edge.hello()
                await edge.send(1, encoded[0])
            assert (await following()).result.frame.camera_id == "yard"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with subscription(
                server, key=people.keys["yuri"], camera_ids=["yard", "gate"]
            ) as following:
                await following()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_subscription_ends_when_its_key_may_do_something_else(
    start_server: StartServer, people: People
) -> None:
    async with start_server(access_file=people.file.path) as server:
        async with subscription(server, key=people.keys["anna"]) as following:
            people.file.change(
                lambda register: register.with_user(
                    "anna",
                    register.user("anna").model_copy(update={"role": Role.VIEWER, "cameras": ("gate",)}),
                )
            )
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await following()
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        async with subscription(server, key=people.keys["vera"]) as following:
            people.file.change(lambda register: register.without_user("vera"))
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await following()
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_is_open_and_metadata_is_limited(start_server: StartServer, people: People) -> None:
    async with start_server(access_file=people.file.path) as server:
        async with grpc.aio.insecure_channel(server.grpc_address) as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(server, "x" * 40_000)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
