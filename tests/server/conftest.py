"""A real store, a real codec and a real server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import torch
from argon2 import PasswordHasher
from redis.asyncio import Redis

from server.access import passwords
from server.config import ServerConfig
from server.process import Server
from server.recognition import NoRecogniser, Recogniser
from server.store.client import open_client
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from shared_models import Codec, EncodedFrame
from shared_models.group import GroupEncoder, GroupFrame
from shared_models.profile import predicted_models
from shared_models.weights import Weights, shipped_weights
from tests.server.crew import Crew, crew_on
from tests.server.people import People, people_in
from tests.server.stores import debian_redis, store_cluster, store_server

CONFIG = ServerConfig(
    grpc="127.0.0.1:0",
    http="127.0.0.1:0",
    block=0.05,
    backlog_poll=0.02,
    store_pause=0.05,
    drain_grace=0.5,
    lease_look=0.05,
    leave_within=1.0,
)
CREW = replace(CONFIG, lease=0.6, lease_look=0.1)
"""Of several workers, some of whom die: their leases are soon over."""


@pytest.fixture(scope="session")
def codec() -> Codec:
    torch.set_num_threads(1)
    weights = Weights.load(shipped_weights("lite"))
    if weights.predicted is None:
        # Untrained models code predicted frames as exactly as trained ones, in more bytes.
        torch.manual_seed(0)
        weights = replace(weights, predicted=predicted_models(weights.config))
    return Codec(weights, "cpu")


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """A bright square that wanders over a gradient, 96x64."""
    made = []
    for step in range(8):
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[..., 0] = np.linspace(0, 255, 96, dtype=np.uint8)
        picture[..., 1] = np.linspace(0, 255, 64, dtype=np.uint8)[:, None]
        picture[20:40, 8 * step : 8 * step + 20] = 250
        made.append(picture)
    return made


@pytest.fixture(scope="session")
def encoded(codec: Codec, pictures: list[np.ndarray]) -> list[EncodedFrame]:
    return [codec.encode(picture) for picture in pictures]


@pytest.fixture(scope="session")
def stream(codec: Codec, pictures: list[np.ndarray]) -> list[GroupFrame]:
    """The pictures as a camera stream of two groups: key frames are the first and the fifth."""
    encoder = GroupEncoder(codec)
    frames = []
    for number, picture in enumerate(pictures):
        if number == 4:
            encoder.request_key()
        frames.append(encoder.encode(picture, encoder.turn()))
    assert [frame.key for frame in frames] == [1, 1, 1, 1, 5, 5, 5, 5]
    return frames


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(StoreConfig(data=tmp_path_factory.mktemp("store"), port=0)) as running:
        yield running


@pytest.fixture
def store_url(store: EmbeddedStore) -> str:
    client = redis.Redis.from_url(store.url)
    client.flushall()
    client.close()
    return store.url


@pytest.fixture(scope="session")
def other_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs of stores that live for the session, made when first asked for."""
    with _OtherStores(tmp_path_factory) as stores:
        yield stores


class _OtherStores(dict[str, str]):
    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._running = ExitStack()

    def __enter__(self) -> _OtherStores:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def __missing__(self, kind: str) -> str:
        folder: Path = self._folders.mktemp(kind)
        if kind == "cluster":
            nodes = self._running.enter_context(store_cluster(folder))
            self[kind] = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        else:
            self[kind] = self._running.enter_context(store_server(folder, binary=debian_redis())).url
        return self[kind]


@pytest.fixture(params=["valkey", "redis", "cluster"])
def any_url(request: pytest.FixtureRequest, store: EmbeddedStore, other_stores: dict[str, str]) -> str:
    """An empty store: the embedded Valkey, Debian's Redis, a cluster of three Valkeys."""
    url = store.url if request.param == "valkey" else other_stores[request.param]
    client: Any
    if request.param == "cluster":
        client = redis.RedisCluster.from_url(url.replace("+cluster", "").split(",")[0])
        client.flushall(target_nodes="primaries")
    else:
        client = redis.Redis.from_url(url)
        client.flushall()
    client.close()
    return url


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Redis]:
    opened = open_client(store_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def crew(any_url: str, codec: Codec) -> AsyncIterator[Crew]:
    """Workers to come, on every kind of store."""
    async with crew_on(any_url, codec, CREW) as made:
        yield made


@pytest.fixture
async def valkey_crew(store_url: str, codec: Codec) -> AsyncIterator[Crew]:
    """Workers to come, on the embedded store."""
    async with crew_on(store_url, codec, CREW) as made:
        yield made


@pytest.fixture(autouse=True, scope="session")
def _light_passwords() -> Iterator[None]:
    """Argon2 as always, of a thousandth of the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=256, parallelism=1))
        yield


@pytest.fixture
def people(tmp_path: Path) -> People:
    """Who is in an access file."""
    return people_in(tmp_path)


StartServer = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def start_server(codec: Codec, store_url: str, tmp_path: Path) -> StartServer:
    """Start a server on the test's store: `async with start_server(recogniser, frames_kept=20) as server`."""

    @asynccontextmanager
    async def start(
        recogniser: Recogniser | None = None, *, url: str = store_url, **settings: object
    ) -> AsyncIterator[Server]:
        server = Server(
            replace(CONFIG, **{"data": tmp_path, **settings}), url, codec, recogniser or NoRecogniser()
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    return start
