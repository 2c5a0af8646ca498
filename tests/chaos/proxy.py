"""A TCP proxy that makes a link bad: resets, stalls, cuts, latency, a low rate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

_READ: Final = 16 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Tap(Protocol):
    """Sees the bytes of one connection as the link has passed them on, and may change them."""

    def upstream(self, data: bytes) -> bytes:
        """Bytes from the client, before they are written to the server."""

    def downstream(self, data: bytes) -> bytes:
        """Bytes from the server, before they are written to the client."""


class Untapped:
    """Passes all bytes on as they are."""

    def upstream(self, data: bytes) -> bytes:
        """See Tap."""
        return data

    def downstream(self, data: bytes) -> bytes:
        """See Tap."""
        return data


@dataclass(eq=False)
class Proxy:
    """A link to ``127.0.0.1:target``. Its conditions may be changed at any time, and hold for open connections too.

    Attributes:
        latency_s: added to every piece of bytes, in either direction.
        bytes_per_s: rate in either direction; None has no limit.
        cut_after: bytes from clients after which all connections are reset, once.
        down: new connections are reset.
    """

    target: int
    tap: Callable[[], Tap] = Untapped
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    cut_after: int | None = None
    down: bool = False
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """End all connections as a host does that has forgotten them."""
        for writer in list(self._open):
            _reset(writer)

    def stall(self) -> None:
        """Take bytes and pass none on, until `flow`. Connections can still be opened."""
        self._flowing.clear()

    def flow(self) -> None:
        """End a stall."""
        self._flowing.set()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Meanwhile nobody is there: open connections are reset, new ones too."""
        self.down = True
        self.reset()
        try:
            yield
        finally:
            self.down = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            if self.down:
                return
            back, onward = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(onward)
            tap = self.tap()
            ways = (
                asyncio.ensure_future(self._pass(reader, onward, tap.upstream, counted=True)),
                asyncio.ensure_future(self._pass(back, writer, tap.downstream, counted=False)),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, onward):
                if end is not None:
                    _reset(end)
                    self._open.discard(end)
            self._tasks.discard(task)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        see: Callable[[bytes], bytes],
        counted: bool,
    ) -> None:
        while data := await reader.read(_READ):
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            if self.bytes_per_s is not None:
                await asyncio.sleep(len(data) / self.bytes_per_s)
            await self._flowing.wait()
            if counted and self.cut_after is not None:
                self.cut_after -= len(data)
                if self.cut_after < 0:
                    # What lies before the cut arrives.
                    writer.write(see(data[: self.cut_after]))
                    await writer.drain()
                    self.cut_after = None
                    self.reset()
                    raise ConnectionResetError
            writer.write(see(data))
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
