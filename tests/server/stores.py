"""Stores of other kinds than the embedded one, on loopback: other programs, clusters, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from server.store.binary import find_server_binary

PATIENCE = 120.0
"""Ends a test that hangs; nothing is asserted about time."""


class StoreServer:
    """One server process on a port of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self.client = redis.Redis(port=port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def answers(self) -> bool:
        """Whether it is this process that answers on the port."""
        about: Any = self.client.info("server")
        return bool(about["process_id"] == self.process.pid)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process with SIGSTOP: connections stay open and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def debian_redis() -> Path:
    """Debian's server, or skip the test."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip(
            "no redis-server is installed: apt-get install redis-server (requirements/system.sh does)"
        )
    return Path(found)


def free_port() -> int:
    """A port that a cluster's bus port, 10000 higher, also exists for."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= 55535:
            return port


@contextmanager
def store_server(folder: Path, *settings: str, binary: Path | None = None) -> Iterator[StoreServer]:
    """Run a server with these settings beside those that every store needs."""
    folder.mkdir(parents=True, exist_ok=True)
    give_up = time.monotonic() + PATIENCE
    up = False
    while not up:
        server = _begun(folder, settings, binary)
        try:
            # Whoever took the port before the server did would answer a mere PING, too.
            wait_for(lambda: server.process.poll() is not None or server.answers)  # noqa: B023
            up = server.process.poll() is None
            assert up or time.monotonic() < give_up, "the store ends whichever port it is given"
            if up:
                yield server
        finally:
            server.client.close()
            server.process.send_signal(signal.SIGCONT)
            server.process.kill()
            server.process.wait()


def _begun(folder: Path, settings: tuple[str, ...], binary: Path | None) -> StoreServer:
    port = free_port()
    process = subprocess.Popen(
        [
            str(binary or find_server_binary()),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--maxmemory-policy", "volatile-ttl", *settings),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return StoreServer(process, port)


@contextmanager
def store_cluster(folder: Path, binary: Path | None = None) -> Iterator[list[StoreServer]]:
    """Three primaries that share the slots out among themselves."""
    with ExitStack() as running:
        nodes = [
            running.enter_context(
                store_server(
                    folder / name, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", binary=binary
                )
            )
            for name in ("one", "two", "three")
        ]
        for node, first, last in zip(nodes, (0, 5461, 10923), (5460, 10922, 16383), strict=True):
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", first + 1)
        for node in nodes[1:]:
            nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)

        def formed() -> bool:
            told: list[Any] = [node.client.cluster("info") for node in nodes]
            return all(
                about["cluster_state"] == "ok" and about["cluster_known_nodes"] == str(len(nodes))
                for about in told
            )

        wait_for(formed)
        yield nodes


def wait_for(done: Callable[[], object]) -> None:
    """Wait until stores that are about to come up are."""
    give_up = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(redis.ConnectionError):
            if done():
                return
        assert time.monotonic() < give_up, "the store did not come up"
        time.sleep(0.02)


class Switch:
    """An address that leads to one store or another, as a failover behind one name does."""

    def __init__(self, port: int) -> None:
        self.leads_to = port

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The address as a URL. Connections stay with the store that they were made to."""
        self._links: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            self.cut()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._links:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        except OSError:
            writer.close()
            return
        ends = (writer, store_writer)
        self._links.update(ends)
        try:
            await asyncio.gather(_pass_on(reader, store_writer), _pass_on(store_reader, writer))
        finally:
            self._links.difference_update(ends)
            for end in ends:
                end.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while chunk := await reader.read(2**16):
            writer.write(chunk)
            await writer.drain()
    writer.close()
