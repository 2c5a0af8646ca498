"""An HTTP server that answers as a test tells it, one answer after the other."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Self


def problem(status: int, slug: str = "", **headers: str) -> bytes:
    """An answer that is a problem document."""
    body = {"type": f"/problems/{slug}" if slug else "about:blank", "title": "No", "detail": "say it again"}
    return answer(status, json.dumps(body), content_type="application/problem+json", **headers)


def answer(status: int, body: str = "", **headers: str) -> bytes:
    """An answer as it goes over the line, which ends behind it."""
    told = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in told.items()), "", body]
    return "\r\n".join(lines).encode()


class ScriptedHttp:
    """Gives each request the next of the answers; an empty one is a connection that ends without any."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()

    @property
    def url(self) -> str:
        """Its HTTP address."""
        return f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self._answers.pop(0))
        writer.close()
