"""Tells callers how much of what is limited they may still ask for.

Fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10, in answers to requests that have
counted against a limit, refused ones too. The latter also say `Retry-After`.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.throttle import Quota, counted


class RateLimits:
    """ASGI middleware that adds the fields."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        quotas: list[Quota] = []
        token = counted.set(quotas)

        async def send_with_quotas(message: Message) -> None:
            if message["type"] == "http.response.start" and quotas:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = ", ".join(quota.policy for quota in quotas)
                headers["RateLimit"] = ", ".join(quota.state for quota in quotas)
            await send(message)

        try:
            await self._app(scope, receive, send_with_quotas)
        finally:
            counted.reset(token)
