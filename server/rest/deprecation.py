"""Marks what is to go, and tells every caller: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link to what to use
instead. docs/rest.md has the policy.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SINCE: Final = "x-deprecated-since"
SUNSET: Final = "x-sunset"
_SUCCESSOR: Final = "x-successor"


def deprecated(*, since: date, sunset: date, successor: str) -> dict[str, Any]:
    """Options of a route: ``@router.get("/old", **deprecated(...))``.

    Args:
        since: from when on it should not be used.
        sunset: from when on it may be gone.
        successor: address of what to use instead.

    Raises:
        ValueError: it would go before half a year has passed.
    """
    if (sunset - since).days < 180:
        raise ValueError(f"{sunset} is not half a year after {since}: callers need time")
    return {
        "deprecated": True,
        "openapi_extra": {_SINCE: since.isoformat(), SUNSET: sunset.isoformat(), _SUCCESSOR: successor},
    }


class Deprecations:
    """ASGI middleware that tells callers of routes that are marked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_notice(message: Message) -> None:
            told = getattr(scope.get("route"), "openapi_extra", None) or {}
            if message["type"] == "http.response.start" and _SINCE in told:
                headers = MutableHeaders(scope=message)
                headers["Deprecation"] = f"@{_midnight(told[_SINCE]).timestamp():.0f}"
                headers["Sunset"] = format_datetime(_midnight(told[SUNSET]), usegmt=True)
                headers.append("Link", f'<{told[_SUCCESSOR]}>; rel="successor-version"')
            await send(message)

        await self._app(scope, receive, send_with_notice if scope["type"] == "http" else send)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)
