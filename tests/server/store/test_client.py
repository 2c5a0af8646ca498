"""Clients of the store live through its restart."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from server.errors import ServerConfigError
from server.store.client import LONGEST_BLOCK_MS, Role, open_client
from server.store.embedded import EmbeddedStore


@pytest.mark.parametrize(
    "url", ["nonsense", "127.0.0.1:6379", "http://:secret@store", "redis+cluster://:secret@a:1,b"]
)
def test_an_address_that_is_none_is_told_without_its_secrets(url: str) -> None:
    with pytest.raises(ServerConfigError, match="give redis://HOST:PORT/0") as caught:
        open_client(url)
    assert "secret" not in str(caught.value)


async def answered(command: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    """Repeat a command as a caller would whose outage outlasts the client's own retries."""
    while True:
        try:
            return await command(*args, **kwargs)
        except (redis.ConnectionError, redis.TimeoutError):
            await asyncio.sleep(0.05)


async def test_replies_are_bytes(valkey: EmbeddedStore) -> None:
    async with open_client(valkey.url) as client:
        await client.set("layer", bytes(range(256)))
        assert await client.get("layer") == bytes(range(256))


async def test_the_longest_block_ends_without_an_error(valkey: EmbeddedStore) -> None:
    async with open_client(valkey.url, Role.BLOCKING) as client:
        await client.xgroup_create("frames", "workers", mkstream=True)
        assert not await client.xreadgroup("workers", "one", {"frames": ">"}, block=LONGEST_BLOCK_MS)


async def test_a_blocked_reader_and_a_writer_live_through_a_kill(valkey: EmbeddedStore) -> None:
    wanted = 300
    async with open_client(valkey.url) as writer, open_client(valkey.url, Role.BLOCKING) as reader:
        await writer.xgroup_create("frames", "workers", mkstream=True)

        async def write() -> None:
            for sequence in range(1, wanted + 1):
                if sequence == wanted // 2:
                    os.kill(valkey.pid, signal.SIGKILL)
                # Its answer may be lost when the frame is not: then the repetition is refused, and it is stored.
                with contextlib.suppress(redis.ResponseError):
                    await answered(writer.xadd, "frames", {"n": sequence}, id=f"1-{sequence}")

        async def read() -> list[bytes]:
            seen: list[bytes] = []
            while len(seen) < wanted:
                reply = await answered(
                    reader.xread, {"frames": seen[-1] if seen else b"0"}, count=10, block=500
                )
                seen += [entry for _, entries in reply for entry, _ in entries]
            return seen

        _, seen = await asyncio.gather(write(), read())
    assert seen == [b"1-%d" % sequence for sequence in range(1, wanted + 1)]
    assert valkey.restarts == 1


async def test_a_store_that_is_not_there_is_an_error_soon(unused_tcp_port: int) -> None:
    async with open_client(f"redis://127.0.0.1:{unused_tcp_port}/0") as client:
        with pytest.raises(redis.ConnectionError):
            await client.ping()
