"""Results as they come, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Self

import grpc.aio

from secondsight.call_metadata import SERVER_TIME
from secondsight.client._calls import asked_wait, call_error, may_pass, metadata, open_channel
from secondsight.client._exceptions import ClientError, UnauthenticatedError, UnreachableError
from secondsight.client._exchange import wait_after
from secondsight.client._loop_thread import LoopThread
from secondsight.client._results import Positions, Wanted, result_of
from secondsight.client._settings import Settings
from secondsight.client._values import Result
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc

_LOG = logging.getLogger(__name__)

Responses = AsyncGenerator[analytics_pb2.SubscribeResponse, None]


class AsyncSubscription:
    """Results, by ``async for`` inside ``async with``. Opened by `AsyncClient.subscribe`.

    Every result comes at least once: one counts as dealt with when the next is asked for, and what was dealt with does
    not come again. `positions` tells how far that is; a later subscription that is given it goes on from there.
    """

    def __init__(self, settings: Settings, wanted: Wanted, resume_after: Mapping[str, str]) -> None:
        self._settings = settings
        self._positions = Positions(wanted, resume_after)
        self._responses = self._connections()
        self._in_hand: analytics_pb2.SubscribeResponse | None = None
        self._open = False

    @property
    def positions(self) -> dict[str, str]:
        """By camera, opaque. Fit for JSON."""
        return self._positions.offsets

    @property
    def connected(self) -> bool:
        """Whether the server has taken the subscription, and its connection is not known to be lost."""
        return self._open

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Result]:
        return self

    def done(self) -> None:
        """Count the result in hand as dealt with now, and not when the next one is asked for."""
        if self._in_hand is not None:
            self._positions.dealt_with(self._in_hand)
            self._in_hand = None

    async def __anext__(self) -> Result:
        self.done()
        self._in_hand = await anext(self._responses)
        return result_of(self._in_hand.result, missed=self._in_hand.missed)

    async def close(self) -> None:
        """End it. The result in hand counts as not dealt with."""
        await self._responses.aclose()

    async def _connections(self) -> Responses:
        failures, ever_open = 0, False
        retries = self._settings.retries
        while True:
            self._open = False
            try:
                async with aclosing(self._connection()) as responses:
                    async for response in responses:
                        failures = 0
                        if self._positions.is_new(response):
                            yield response
                raise UnreachableError("the server ended the subscription")
            except ClientError as error:
                ever_open |= self._open
                # A key that was changed is asked about once more: it may have got other rights, and not have ended.
                changed = self._open and isinstance(error, UnauthenticatedError)
                if not (may_pass(error) or changed) or (not ever_open and failures + 1 >= retries.attempts):
                    raise
                if self._open:
                    failures = 0
                wait = wait_after(failures, retries) + asked_wait(error, retries.patience)
                failures += 1
                _LOG.info("subscription to %s: %s", self._settings.grpc_address, str(error))
            await asyncio.sleep(wait)

    async def _connection(self) -> Responses:
        async with open_channel(self._settings) as channel:
            call = analytics_pb2_grpc.AnalyticsServiceStub(channel).Subscribe(
                self._positions.request(), metadata=metadata(self._settings.api_key)
            )
            try:
                timeouts = self._settings.timeouts
                async with asyncio.timeout(timeouts.connect + timeouts.read):
                    told = dict(await call.initial_metadata() or ())
                if not told and call.done():
                    # The call failed; reading says how.
                    await call.read()
                self._open = True
                self._positions.opened(int(told.get(SERVER_TIME, time.time_ns())))
                async for response in call:
                    yield response
            except TimeoutError as error:
                raise UnreachableError(f"{self._settings.grpc_address} does not answer in time") from error
            except grpc.aio.AioRpcError as error:
                raise call_error(error, self._settings) from error
            except asyncio.CancelledError as error:
                # grpcio raises this also when the server cancelled the call; that must not end the task.
                task = asyncio.current_task()
                if task is None or task.cancelling() or not call.cancelled():
                    raise
                raise UnreachableError("the server cancelled the subscription") from error
            finally:
                call.cancel()


class Subscription:
    """Results, by ``for`` inside ``with``. Opened by `Client.subscribe`; otherwise as `AsyncSubscription`."""

    def __init__(self, subscription: AsyncSubscription, loop: LoopThread) -> None:
        self._subscription = subscription
        self._loop = loop

    @property
    def positions(self) -> dict[str, str]:
        """By camera, opaque. Fit for JSON."""
        return self._subscription.positions

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        try:
            return self._loop.run(self._subscription.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def done(self) -> None:
        """Count the result in hand as dealt with now, and not when the next one is asked for."""
        self._subscription.done()

    def close(self) -> None:
        """End it. The result in hand counts as not dealt with."""
        self._loop.run(self._subscription.close())
