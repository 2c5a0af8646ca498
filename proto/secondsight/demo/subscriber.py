"""An analytics backend: subscribes to a camera's results and goes on where it was after every lost connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
import grpc.aio

from secondsight import limits, store_keys
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc

_LOG = logging.getLogger(__name__)

_PAUSE_S: Final = 0.5
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The loopback needs no proxy, whatever the environment says.
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """A result and when it came, nanoseconds since the epoch."""

    result: analytics_pb2.RecognitionResult
    received_at_ns: int

    @property
    def name(self) -> str:
        """The frame's name within its camera, SESSION-SEQUENCE."""
        return store_keys.entry_id(self.result.frame.session, self.result.frame.sequence)

    @property
    def capture_to_result_ms(self) -> float:
        """From the capture at the edge to the arrival here; both clocks are this machine's."""
        return (self.received_at_ns - self.result.captured_at.ToNanoseconds()) / 1e6


class Subscriber:
    """Collects all results of one camera."""

    def __init__(self, server: str, camera_id: str, on_result: Callable[[ReceivedResult], None]) -> None:
        self._server = server
        self._camera_id = camera_id
        self._on_result = on_result
        self._offset: str | None = None

    async def run(self) -> None:
        """Receive until cancelled."""
        while True:
            try:
                await self._subscription()
                _LOG.info("the server ended the subscription")
            except grpc.aio.AioRpcError as error:
                _LOG.info("subscription lost: %s", error.details())
            await asyncio.sleep(_PAUSE_S)

    async def _subscription(self) -> None:
        request = analytics_pb2.SubscribeRequest(
            camera_ids=[self._camera_id], start_from=analytics_pb2.START_FROM_EARLIEST
        )
        if self._offset is not None:
            request.resume_after[self._camera_id] = self._offset
        channel = grpc.aio.insecure_channel(self._server, options=_OPTIONS)
        call = analytics_pb2_grpc.AnalyticsServiceStub(channel).Subscribe(request)
        try:
            async for response in call:
                self._on_result(ReceivedResult(response.result, time.time_ns()))
                self._offset = response.offset
        finally:
            call.cancel()
            await channel.close(grace=None)
