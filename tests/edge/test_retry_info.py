"""What a server says about when to come again, over a real call."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from edge.retry_info import retry_after_s
from secondsight.v1 import ingest_pb2_grpc
from tests.edge.scripted_server import ScriptedServer

_DETAILS = "grpc-status-details-bin"


def _status(seconds: int, nanos: int = 0) -> bytes:
    detail = Any()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    return Status(code=8, message="too much", details=[detail]).SerializeToString()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (((_DETAILS, _status(2, 500_000_000)),), 2.5),
        (((_DETAILS, _status(10**9)),), 30.0),
        (((_DETAILS, _status(-5)),), 0.0),
        (((_DETAILS, b"no status"),), 0.0),
        ((("other-bin", _status(2)),), 0.0),
        ((), 0.0),
    ],
)
async def test_the_wait_that_the_server_asks_for(
    server: tuple[ScriptedServer, str], metadata: tuple[tuple[str, bytes], ...], expected: float
) -> None:
    servicer, address = server
    servicer.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", metadata)
    async with grpc.aio.insecure_channel(address) as channel:
        call = ingest_pb2_grpc.IngestServiceStub(channel).Push()
        try:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call.read()
            assert retry_after_s(raised.value, most_s=30.0) == expected
        finally:
            call.cancel()
