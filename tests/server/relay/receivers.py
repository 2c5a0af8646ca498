"""The other ends of a relay: a broker and an HTTP receiver, on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.server.harness import PATIENCE, until

_PATH = f"{os.environ['PATH']}:/usr/sbin"
MOSQUITTO = shutil.which("mosquitto", path=_PATH)
MOSQUITTO_PASSWORDS = shutil.which("mosquitto_passwd", path=_PATH)

needs_broker = pytest.mark.skipif(
    MOSQUITTO is None, reason="no mosquitto: install it (requirements/system.sh does where it can)"
)


def free_port() -> int:
    """Not among those that the system hands out by itself, so that nobody is given it before it is used."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Broker:
    """Mosquitto, which can go away and come back with what it keeps."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.port = free_port()
        self.folder = folder
        # As root it would take on a user who may not write here.
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\n{settings or 'allow_anonymous true'}\n"
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        log = self.folder / "mosquitto.log"
        with log.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                MOSQUITTO, "-c", str(self.folder / "mosquitto.conf"), stdout=file, stderr=file
            )

        async def listening() -> bool:
            assert self._process is not None and self._process.returncode is None, log.read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listening)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None


@dataclass
class Messages:
    """What a broker has passed on: of every topic the last payload, and of events each."""

    last: dict[str, str] = field(default_factory=dict)
    of: dict[str, list[str]] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    """Of every topic, how many came up to the payload that was last waited for."""

    async def until(self, topic: str, payload: str | None = None) -> None:
        """Wait for a topic, and for this payload on it, whatever has followed it by now."""

        async def there() -> bool:
            if payload is None:
                return topic in self.last
            passed = self.passed.get(topic, 0)
            came = self.of.get(topic, [])[passed:]
            if payload not in came:
                return False
            self.passed[topic] = passed + came.index(payload) + 1
            return True

        try:
            await until(there)
        except TimeoutError:
            raise AssertionError(f"{topic} {payload}: {self.last}") from None

    async def several(self, topic: str, count: int) -> list[Any]:
        """Wait for so many messages on a topic."""

        async def enough() -> bool:
            return len(self.of.get(topic, ())) >= count

        await until(enough)
        return [json.loads(payload) for payload in self.of[topic]]


@asynccontextmanager
async def listening(port: int, **login: Any) -> AsyncIterator[Messages]:
    """Subscribe to all topics of a broker."""
    messages = Messages()
    async with aiomqtt.Client("127.0.0.1", port, **login) as client:
        await client.subscribe("#", qos=1)

        async def listen() -> None:
            async for message in client.messages:
                topic, payload = str(message.topic), message.payload.decode()  # type: ignore[union-attr]
                messages.last[topic] = payload
                messages.of.setdefault(topic, []).append(payload)

        task = asyncio.create_task(listen())
        try:
            yield messages
        finally:
            task.cancel()


@dataclass
class Received:
    """A request that came."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[int], Awaitable[Response]]
"""What the n-th request, from 0, gets."""


class Receiver:
    """Takes events; `answer` decides what becomes of them."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Answer = _taken
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def several(self, count: int) -> list[Received]:
        async def enough() -> bool:
            return len(self.requests) >= count

        try:
            await until(enough)
        except TimeoutError:
            raise AssertionError(f"{len(self.requests)} of {count} requests came") from None
        return self.requests

    async def _take(self, request: Request) -> Response:
        self.requests.append(Received(dict(request.headers), await request.body()))
        return await self.answer(len(self.requests) - 1)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        app = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        # It must leave the test's signals alone.
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield self
        finally:
            server.should_exit = True
            async with asyncio.timeout(PATIENCE):
                await task


async def _taken(_: int) -> Response:
    return Response(status_code=204)


def answering(*statuses: int, headers: dict[str, str] | None = None) -> Answer:
    """These one after the other, then 204."""

    async def answer(number: int) -> Response:
        status = statuses[number] if number < len(statuses) else 204
        return Response(status_code=status, headers=headers if status != 204 else None)

    return answer
