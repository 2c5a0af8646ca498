"""A real server with frames of a camera, for clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from redis.asyncio import Redis

from secondsight.client import Settings
from server.process import Server
from shared_models import Codec, EncodedFrame
from tests.ports import held_port
from tests.server.conftest import (  # noqa: F401  # fixtures
    StartServer,
    _light_passwords,
    client,
    codec,
    encoded,
    people,
    pictures,
    start_server,
    store,
    store_url,
    stream,
)
from tests.server.harness import EdgeStream, SquareSpotter, edge_stream, keep_enhancement, recognised

FRAMES = 6


def settings_of(server: Server, **more: object) -> Settings:
    """Those by which a client reaches a server of this process."""
    return replace(Settings(server=f"http://{server.http_address}", grpc=server.grpc_address), **more)


@pytest.fixture
def kept_places() -> Iterator[dict[str, str]]:
    """Addresses, as settings, for a server and the one that comes after it."""
    with held_port() as grpc, held_port() as http:
        yield {"grpc": f"127.0.0.1:{grpc}", "http": f"127.0.0.1:{http}"}


@dataclass
class Street:
    """A server, and a camera `street` whose stream is open and of which FRAMES frames are recognised."""

    server: Server
    edge: EdgeStream
    settings: Settings


@pytest.fixture
async def street(
    start_server: StartServer,  # noqa: F811
    codec: Codec,  # noqa: F811
    encoded: list[EncodedFrame],  # noqa: F811
    client: Redis,  # noqa: F811
) -> AsyncIterator[Street]:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec, "street") as edge:
        await edge.hello()
        for sequence in range(1, FRAMES + 1):
            layers = encoded[sequence - 1]
            await keep_enhancement(client, await edge.send(sequence, layers), layers)
        await recognised(client, FRAMES, "street")
        yield Street(server, edge, settings_of(server))
