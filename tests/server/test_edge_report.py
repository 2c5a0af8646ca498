"""What an edge tells of itself, from its stream to REST and gRPC."""

from __future__ import annotations

import asyncio

import grpc
import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc, frame_pb2, ingest_pb2
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, EdgeStream, edge_stream, recognised, until

Encoded = list[EncodedFrame]


def full_spool(source: str = "frozen") -> ingest_pb2.PushRequest:
    report = frame_pb2.EdgeReport(source=source)
    report.spool.frames, report.spool.bytes, report.spool.limit_bytes = 3, 9000, 10_000
    report.spool.oldest.FromSeconds(61)
    report.spool.full = True
    report.dropped.update(rate=7, spool_full=2)
    report.dropped_last_minute.update(spool_full=2)
    report.reconnects_last_hour = 4
    return ingest_pb2.PushRequest(report=report)


async def tell(edge: EdgeStream, client: Redis, request: ingest_pb2.PushRequest) -> None:
    await edge.write(request)

    async def kept() -> bool:
        return bool(await client.exists(store_keys.edge("front-door")))

    await until(kept)


async def test_what_an_edge_tells_is_told_with_its_camera(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.send(1, encoded[0])
        await recognised(client, 1)
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            (camera,) = (await http.get("/v1/cameras")).json()["cameras"]
            assert camera["edge"] is None
            await tell(edge, client, full_spool())
            (camera,) = (await http.get("/v1/cameras")).json()["cameras"]
        spool = {"frames": 3, "bytes": 9000, "limit_bytes": 10_000, "oldest_seconds": 61.0}
        assert camera["edge"] == {
            "source": "frozen",
            "spool": {**spool, "full": True, "failing": False},
            "dropped": {"rate": 7, "spool_full": 2},
            "dropped_last_minute": {"spool_full": 2},
            "reconnects_last_hour": 4,
        }
        async with grpc.aio.insecure_channel(server.grpc_address) as channel:
            stub = analytics_pb2_grpc.AnalyticsServiceStub(channel)
            (listed,) = (await stub.ListCameras(analytics_pb2.ListCamerasRequest())).cameras
            assert listed.edge == full_spool().report
        assert 0 < await client.ttl(store_keys.edge("front-door")) <= 60


async def test_reports_that_come_too_often_are_passed_over(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.write(full_spool())
        await edge.write(full_spool("giving"))
        await edge.send(1, encoded[0])
        await recognised(client, 1)
        kept = await client.get(store_keys.edge("front-door"))
        assert frame_pb2.EdgeReport.FromString(kept).source == "frozen"


def of_reason(reason: str) -> ingest_pb2.PushRequest:
    request = full_spool()
    request.report.dropped[reason] = 1
    return request


@pytest.mark.parametrize(
    "report",
    [
        full_spool(""),
        full_spool("<script>"),
        full_spool("x" * 40),
        of_reason("<script>"),
        of_reason(""),
        of_reason("x" * 65),
    ],
)
async def test_a_report_with_what_is_no_state_or_reason_ends_the_stream(
    start_server: StartServer, codec: Codec, report: ingest_pb2.PushRequest
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await edge.write(report)
        async with asyncio.timeout(PATIENCE):
            assert await edge.call.code() is grpc.StatusCode.INVALID_ARGUMENT
