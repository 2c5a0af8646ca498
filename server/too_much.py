"""Ends a call that asked for too much, and says when it may be tried again."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import RESOURCE_EXHAUSTED
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

_DETAILS: Final = "grpc-status-details-bin"


class TooMuchError(Exception):
    """A limit on how much one address or camera may ask for. `kind` names it for the metric."""

    def __init__(self, kind: str, told: str, retry_after: float) -> None:
        super().__init__(told)
        self.kind = kind
        self.retry_after = retry_after


async def end_with_too_much(context: grpc.aio.ServicerContext[Any, Any], error: TooMuchError) -> NoReturn:
    """Abort with RESOURCE_EXHAUSTED and a google.rpc.RetryInfo."""
    delay = Duration()
    delay.FromMilliseconds(max(1, round(error.retry_after * 1000)))
    retry = AnyMessage()
    retry.Pack(RetryInfo(retry_delay=delay))
    status = Status(code=RESOURCE_EXHAUSTED, message=str(error), details=[retry])
    await context.abort(
        grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), ((_DETAILS, status.SerializeToString()),)
    )
