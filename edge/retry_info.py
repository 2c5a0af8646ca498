"""When a server that has had too much wants to be asked again (google.rpc.RetryInfo)."""

from __future__ import annotations

from typing import Final

import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

_DETAILS: Final = "grpc-status-details-bin"


def retry_after_s(error: grpc.aio.AioRpcError, most_s: float) -> float:
    """Seconds that the server asks for, `most_s` at most; 0 when it does not say."""
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            details = Status.FromString(value).details
            for detail in details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return float(min(max(0.0, info.retry_delay.ToNanoseconds() / 1e9), most_s))
        except DecodeError:
            continue
    return 0.0
