"""The frame bus when answers of the store are lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from secondsight import store_keys
from server.config import ServerConfig
from server.frame_bus import Claimed, FrameBus, Holding
from server.groups import KeyFrame
from server.store.client import Role, open_client
from server.store.embedded import EmbeddedStore
from tests.server.harness import PATIENCE


class LossyLink:
    """A TCP link to the store that, once told to, breaks instead of delivering the next answer with a frame in it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.lose_next_frame = False
        self.lost = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The link's URL."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store_reader, store_writer = await asyncio.open_connection(*self._target)
        asking = asyncio.create_task(self._asked(reader, store_writer))
        try:
            while answer := await store_reader.read(2**16):
                if self.lose_next_frame and b"the-frame" in answer:
                    self.lose_next_frame = False
                    self.lost += 1
                    break
                writer.write(answer)
                await writer.drain()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            asking.cancel()
            for end in (writer, store_writer):
                end.close()

    @staticmethod
    async def _asked(reader: asyncio.StreamReader, store_writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while asked := await reader.read(2**16):
                store_writer.write(asked)
                await store_writer.drain()


async def test_frames_whose_claim_was_lost_on_the_way_come_before_later_ones(valkey: EmbeddedStore) -> None:
    address = urlsplit(valkey.url)
    assert address.hostname is not None
    assert address.port is not None
    link = LossyLink(address.hostname, address.port)
    async with (
        link.listening() as lossy_url,
        open_client(valkey.url) as commands,
        open_client(lossy_url, Role.BLOCKING) as blocking,
    ):
        bus = FrameBus(commands, blocking, ServerConfig(block=0.1, lease=600.0))
        session = (await bus.open_session("gate", 0)).number
        for sequence in (1, 2, 3):
            await bus.append("gate", session, sequence, b"the-frame", KeyFrame(session, sequence, 1))
        link.lose_next_frame = True
        leases = bus.leases("worker", store_keys.DEFAULT_TASK)
        await leases.take(["gate"])
        holding = Holding("gate", may_wait=True)
        claimed: Claimed | None = None
        async with asyncio.timeout(PATIENCE):
            while claimed is None:
                claimed = await bus.claim(holding, leases)
        assert link.lost == 1
        assert (claimed.entry_id, claimed.tries) == (f"{session}-1", 2)
