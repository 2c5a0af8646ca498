"""A line to a server that breaks where a test wants it to."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Passes bytes on; after `cut_after` every connection ends behind so many bytes of answers, twice."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.rpartition(":")
        self._port = int(port)
        self._limit: int | None = None
        self.cuts = 0

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

    def cut_after(self, count: int) -> None:
        """Of the next two answers only so many bytes come through."""
        self._limit = count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(self._host, self._port)
        passing = asyncio.ensure_future(_pass(reader, ours))
        try:
            left: int | None = None
            while data := await theirs.read(4096):
                if self._limit is not None and self.cuts < 2:
                    left = self._limit if left is None else left
                    data, left = data[:left], left - len(data)
                writer.write(data)
                await writer.drain()
                if left is not None and left <= 0:
                    self.cuts += 1
                    break
        except ConnectionError:
            pass
        finally:
            passing.cancel()
            for each in (ours, writer):
                each.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
