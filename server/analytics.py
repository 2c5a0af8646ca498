"""Hands results to analytics backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc
from server import metrics
from server.access.access import Access
from server.access.caller import Principal
from server.access.grpc_interceptor import calling_principal
from server.catalogue import Catalogue
from server.errors import ForbiddenError, StoreUnavailableError
from server.frame_bus import FrameBus
from server.result_feed import ResultFeed

_ListContext = grpc.aio.ServicerContext[analytics_pb2.ListCamerasRequest, analytics_pb2.ListCamerasResponse]
_SubscribeContext = grpc.aio.ServicerContext[analytics_pb2.SubscribeRequest, analytics_pb2.SubscribeResponse]


class InvalidSubscriptionError(ValueError):
    """A SubscribeRequest with a field out of range."""


class _ChangedAccessError(Exception):
    """The subscriber's key was revoked, or what it may do was changed."""


class Analytics(analytics_pb2_grpc.AnalyticsServiceServicer):
    """AnalyticsService. Every subscriber reads the store at its own pace; none is waited for."""

    def __init__(self, bus: FrameBus, feed: ResultFeed, catalogue: Catalogue, access: Access) -> None:
        self._bus = bus
        self._feed = feed
        self._catalogue = catalogue
        self._access = access
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End all subscriptions."""
        self._leaving.set()

    async def ListCameras(
        self, request: analytics_pb2.ListCamerasRequest, context: _ListContext
    ) -> analytics_pb2.ListCamerasResponse:
        """See analytics.proto."""
        principal = calling_principal()
        try:
            cameras = await self._catalogue.cameras()
        except StoreUnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return analytics_pb2.ListCamerasResponse(
            cameras=[camera for camera in cameras if principal.sees(camera.camera_id)]
        )

    async def Subscribe(
        self, request: analytics_pb2.SubscribeRequest, context: _SubscribeContext
    ) -> AsyncIterator[analytics_pb2.SubscribeResponse]:
        """See analytics.proto. Initial metadata is sent once the starting positions are taken."""
        metrics.SUBSCRIPTIONS.inc()
        try:
            principal = calling_principal()
            wanted = _Filter(request)
            _check_covered(principal, wanted.cameras)
            positions = await self._start(request, wanted, principal)
            await context.send_initial_metadata(())
            with self._feed.following(wanted.task) as follower:
                while not self._leaving.is_set():
                    if self._access.renewed(principal) != principal:
                        raise _ChangedAccessError
                    if not wanted.cameras:
                        # A camera that was not there at the start: all that it sent came after the call.
                        for camera_id in await self._feed.cameras():
                            if principal.sees(camera_id):
                                positions.setdefault(camera_id, "0-0")
                    follower.follow(positions)
                    woken = {camera_id: positions[camera_id] for camera_id in await follower.woken()}
                    for published in await self._bus.results_after(woken, wanted.task):
                        positions[published.camera_id] = published.entry_id
                        # There may be more of them than are read at once.
                        follower.wake(published.camera_id)
                        result = wanted.apply(analytics_pb2.RecognitionResult.FromString(published.result))
                        if result is not None:
                            yield analytics_pb2.SubscribeResponse(result=result, offset=published.entry_id)
        except InvalidSubscriptionError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except ForbiddenError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except _ChangedAccessError:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "what this key may do was changed; subscribe again, if it is still valid",
            )
        except StoreUnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            metrics.SUBSCRIPTIONS.dec()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is about to leave; subscribe again")

    async def _start(
        self, request: analytics_pb2.SubscribeRequest, wanted: _Filter, principal: Principal
    ) -> dict[str, str]:
        cameras = wanted.cameras or list(filter(principal.sees, await self._bus.cameras()))
        last = await self._bus.last_results(cameras, wanted.task)
        if request.start_from == analytics_pb2.START_FROM_EARLIEST:
            positions = dict.fromkeys(cameras, "0-0")
        else:
            positions = dict(last)
        for camera_id, offset in request.resume_after.items():
            try:
                asked = store_keys.parse_entry_id(offset)
            except store_keys.InvalidEntryIdError as error:
                raise InvalidSubscriptionError(f"resume_after of camera {camera_id!r}: {error}") from error
            if camera_id in last:
                # An offset beyond the last result is of an older store; nothing would ever come after it.
                positions[camera_id] = store_keys.entry_id(
                    *min(asked, store_keys.parse_entry_id(last[camera_id]))
                )
        return positions


def _check_covered(principal: Principal, cameras: list[str]) -> None:
    for camera_id in cameras:
        if not principal.sees(camera_id):
            raise ForbiddenError(f"your access does not cover camera {camera_id!r}")


class _Filter:
    """What a subscriber wants to see.

    Raises:
        InvalidSubscriptionError: that is nothing that can be seen.
    """

    def __init__(self, request: analytics_pb2.SubscribeRequest) -> None:
        try:
            self.cameras = [
                store_keys.checked_camera_id(camera_id) for camera_id in dict.fromkeys(request.camera_ids)
            ]
            self.task = store_keys.checked_camera_id(request.task or store_keys.DEFAULT_TASK)
        except store_keys.InvalidCameraIdError as error:
            raise InvalidSubscriptionError(str(error)) from error
        if not 0 <= request.minimum_score <= 1:
            raise InvalidSubscriptionError(f"minimum_score is {request.minimum_score}; use 0 to 1")
        self._labels = frozenset(request.labels)
        self._minimum_score = request.minimum_score

    def apply(self, result: analytics_pb2.RecognitionResult) -> analytics_pb2.RecognitionResult | None:
        """The result with the wanted detections; None when it is not wanted."""
        if not self._labels and self._minimum_score == 0:
            return result
        matches = [
            detection
            for detection in result.detections
            if detection.score >= self._minimum_score
            and (not self._labels or detection.label in self._labels)
        ]
        if not matches:
            return None
        del result.detections[:]
        result.detections.extend(matches)
        return result
