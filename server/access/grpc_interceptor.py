"""Lets gRPC calls in, once when each begins: cameras to push, people and programs to follow results."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import grpc

from secondsight.v1 import analytics_pb2, ingest_pb2
from server import metrics
from server.access.access import Access
from server.access.caller import LOOPBACK, Caller, Permission, Principal, caller
from server.audit.audit import Audit
from server.audit.record import Event, Outcome, Subject
from server.errors import AuditUnavailableError

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

_INGEST: Final = ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name
_ANALYTICS: Final = analytics_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name
_OPEN: Final = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")

_NO_TOKEN: Final = (
    "send `authorization: Bearer TOKEN` with a token of this camera that was not revoked; an operator of the server "
    "issues one by `secondsight access camera add CAMERA`"
)
_NO_KEY: Final = (
    "send `authorization: Bearer KEY` with an API key that is still valid; an operator of the server issues one by "
    "`secondsight access user key NAME`"
)


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Ends calls of strangers with UNAUTHENTICATED; handlers find in `server.access.caller.caller` who calls.

    Health and reflection are open. Whoever wants to hold on to a call asks `Access.renewed` now and then.
    """

    def __init__(self, access: Access, audit: Audit) -> None:
        self._access = access
        self._audit = audit

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_Request, _Response] | None:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        service = handler_call_details.method.rpartition("/")[0].removeprefix("/")
        if handler is None or service in _OPEN:
            return handler
        let_in, refusal = self._let_in(service, _bearer(handler_call_details))
        if let_in is None:
            metrics.CALLERS_REFUSED.labels("grpc").inc()
            return cast(
                "grpc.RpcMethodHandler[_Request, _Response]", self._refusing(handler, refusal, service)
            )
        # The handler runs in the same task, and so in the same context.
        caller.set(let_in)
        return handler

    def _let_in(self, service: str, token: str) -> tuple[Caller | None, str]:
        if self._access.open:
            return LOOPBACK, ""
        if service == _INGEST:
            return self._access.camera(token), _NO_TOKEN
        if service == _ANALYTICS:
            principal = self._access.principal(token)
            return principal if principal is not None and principal.may(Permission.LOOK) else None, _NO_KEY
        return None, f"nobody may call {service}"

    def _refusing(self, handler: Any, refusal: str, service: str) -> Any:
        """A handler of the same kind that lets nobody in."""

        async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            event = Event(
                subject=Subject.CALL,
                outcome=Outcome.REFUSED,
                address=context.peer().rpartition(":")[0],
                detail=f"{service} without a credential that would do",
            )
            with contextlib.suppress(AuditUnavailableError):
                await self._audit.record_refusal(event)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, refusal)

        kind = "_".join(
            "stream" if streaming else "unary"
            for streaming in (handler.request_streaming, handler.response_streaming)
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(refuse, handler.request_deserializer, handler.response_serializer)


def calling_principal() -> Principal:
    """The person or program that opened the call that is being served."""
    return cast(Principal, caller.get())


def _bearer(details: grpc.HandlerCallDetails) -> str:
    for name, value in details.invocation_metadata or ():
        if name == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
