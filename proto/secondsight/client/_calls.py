"""gRPC calls: their channel, who makes them, and what their ends mean."""

from __future__ import annotations

from typing import Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from secondsight import limits
from secondsight.client._exceptions import (
    ClientError,
    IncompatibleServerError,
    Problem,
    SettingsError,
    TimedOutError,
    UnreachableError,
    error_of,
)
from secondsight.client._exchange import VERSION
from secondsight.client._settings import Settings, Tls

_DETAILS: Final = "grpc-status-details-bin"
_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: (422, "Invalid request"),
    grpc.StatusCode.OUT_OF_RANGE: (422, "Invalid request"),
    grpc.StatusCode.UNAUTHENTICATED: (401, "Who are you?"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "Not allowed"),
    grpc.StatusCode.NOT_FOUND: (404, "Not found"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "Too many requests"),
    grpc.StatusCode.INTERNAL: (500, "The server failed"),
    grpc.StatusCode.DATA_LOSS: (500, "The server failed"),
}


def open_channel(settings: Settings) -> grpc.aio.Channel:
    """A channel of its own for one call. Close it.

    Raises:
        SettingsError: a certificate or a key cannot be used.
    """
    options = [
        ("grpc.max_send_message_length", limits.MESSAGE_BYTES),
        ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # As over HTTP: straight to the server, whatever the environment says of proxies.
        ("grpc.enable_http_proxy", 0),
        # A channel of its own per call, not one that a closed channel left behind.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if not settings.secure:
        return grpc.aio.insecure_channel(settings.grpc_address, options=options)
    return grpc.aio.secure_channel(settings.grpc_address, _credentials(settings.tls), options=options)


def metadata(secret: str | None) -> list[tuple[str, str]]:
    """Who calls."""
    return [] if secret is None else [("authorization", f"Bearer {secret}")]


def call_error(error: grpc.aio.AioRpcError, settings: Settings) -> ClientError:
    """What the end of a call means."""
    code, told = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return IncompatibleServerError(
            f"{settings.grpc_address} does not know this call ({told}): it is no Secondsight server, or older than "
            f"this client ({VERSION})"
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return IncompatibleServerError(told)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimedOutError(f"{settings.grpc_address} does not answer in time")
    if code not in _STATUS:
        return UnreachableError(f"{settings.grpc_address} cannot be reached: {code.name}, {told}")
    status, title = _STATUS[code]
    return error_of(Problem(status=status, title=title, detail=told, retry_after=_retry_after(error)))


def may_pass(error: ClientError) -> bool:
    """Whether the same call may go well later, with nothing changed here."""
    if isinstance(error, UnreachableError):
        return True
    problem = getattr(error, "problem", None)
    return isinstance(problem, Problem) and (problem.status == 429 or problem.status >= 500)


def asked_wait(error: ClientError, most: float) -> float:
    """Seconds that the server wants to be left alone for, `most` at most."""
    problem = getattr(error, "problem", None)
    return min((isinstance(problem, Problem) and problem.retry_after) or 0.0, most)


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return float(max(0.0, info.retry_delay.ToNanoseconds() / 1e9))
        except DecodeError:
            continue
    return None


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    # gRPC tells of a bad file only by a connection that cannot be had; the ssl module says what is wrong.
    tls.context()
    try:
        ca, key, certificate = (
            None if path is None else path.read_bytes() for path in (tls.ca, tls.key, tls.certificate)
        )
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read: {error.strerror}") from error
    return grpc.ssl_channel_credentials(ca, key, certificate)
