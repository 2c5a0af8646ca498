"""Requests that are longer than anything the interface asks for are refused before they are read whole."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.config import ServerConfig
from server.rest.problems import answer_by_status


class RequestLimits:
    """ASGI middleware with the limits of the configuration."""

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._fault(scope)
        if fault is not None:
            await answer_by_status(Request(scope), *fault)(scope, receive, send)
            return
        most, read = self._config.body_bytes, 0

        async def receive_within() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(most))
            return message

        await self._app(scope, receive_within, send)

    def _fault(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        config = self._config
        address = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if address > config.address_bytes:
            return HTTPStatus.REQUEST_URI_TOO_LONG, f"an address has at most {config.address_bytes} bytes"
        headers = sum(len(name) + len(value) for name, value in scope["headers"])
        if headers > config.header_bytes:
            return (
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the headers have at most {config.header_bytes} bytes together",
            )
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced[:20]) > config.body_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(config.body_bytes)
        return None


def _too_large(most: int) -> str:
    return f"a body has at most {most} bytes"
