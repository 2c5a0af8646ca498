"""Hands results to analytics backends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import grpc

from secondsight.call_metadata import SERVER_TIME
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc
from server import metrics
from server.access.grpc_interceptor import calling_principal
from server.catalogue import Catalogue
from server.errors import ForbiddenError, InvalidSubscriptionError, StoreUnavailableError
from server.subscriptions import ChangedAccessError, Subscriptions, Wanted

_ListContext = grpc.aio.ServicerContext[analytics_pb2.ListCamerasRequest, analytics_pb2.ListCamerasResponse]
_SubscribeContext = grpc.aio.ServicerContext[analytics_pb2.SubscribeRequest, analytics_pb2.SubscribeResponse]


class Analytics(analytics_pb2_grpc.AnalyticsServiceServicer):
    """AnalyticsService. Every subscriber reads the store at its own pace; none is waited for."""

    def __init__(self, subscriptions: Subscriptions, catalogue: Catalogue) -> None:
        self._subscriptions = subscriptions
        self._catalogue = catalogue

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
        """See analytics.proto. Initial metadata tells when the starting positions were taken, once they are."""
        metrics.SUBSCRIPTIONS.inc()
        try:
            principal = calling_principal()
            wanted = Wanted(request.camera_ids, request.labels, request.minimum_score, request.task)
            began_ns = time.time_ns()
            positions = await self._subscriptions.positions(
                await self._subscriptions.cameras(wanted, principal),
                wanted.task,
                request.resume_after,
                otherwise_first=request.start_from == analytics_pb2.START_FROM_EARLIEST,
            )
            await context.send_initial_metadata(((SERVER_TIME, str(began_ns)),))
            with self._subscriptions.following(wanted, principal, positions) as subscription:
                missed: set[str] = set()
                while not self._subscriptions.leaving:
                    turn = await subscription.turn()
                    missed |= turn.missed
                    for published in turn.results:
                        result = wanted.of(published.message)
                        if result is not None:
                            yield analytics_pb2.SubscribeResponse(
                                result=result,
                                offset=published.entry_id,
                                missed=published.camera_id in missed,
                            )
                            missed.discard(published.camera_id)
        except InvalidSubscriptionError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except ForbiddenError as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except ChangedAccessError:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "what this key may do was changed; subscribe again, if it is still valid",
            )
        except StoreUnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            metrics.SUBSCRIPTIONS.dec()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is about to leave; subscribe again")
