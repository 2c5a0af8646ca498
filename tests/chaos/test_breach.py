"""A system that breaks its promise on purpose is found to do so, by the same count from the same sources."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from server.config import ServerConfig
from server.process import Server
from server.recognition import NoRecogniser
from server.store.embedded import EmbeddedStore
from shared_models import load_codec
from tests.chaos.invariant import count
from tests.chaos.observer import Observer, Subscriber, watching
from tests.chaos.proxy import Proxy, Untapped
from tests.chaos.unruly import UnrulyCamera
from tests.chaos.witness import Witness

CAMERA = "gate"
FRAMES = 6

_STORES: Final = b"redis.call('XADD', frames, id, 'frame', frame)"
_PRETENDS: Final = b"local swallowed = true".ljust(len(_STORES))


class _Store:
    """Makes the store say of one frame that it is stored, and forget it."""

    def __init__(self, swallowed: int) -> None:
        self.appended = 0
        self._swallowed = swallowed

    def tap(self) -> _Swallowing:
        return _Swallowing(self)

    def pass_on(self, data: bytes) -> bytes:
        if _STORES in data:
            self.appended += 1
            if self.appended == self._swallowed:
                return data.replace(_STORES, _PRETENDS)
        return data


class _Swallowing(Untapped):
    def __init__(self, store: _Store) -> None:
        self._store = store

    def upstream(self, data: bytes) -> bytes:
        return self._store.pass_on(data)


@pytest.mark.parametrize(("swallowed", "lost"), [(0, 0), (4, 1)])
async def test_a_frame_that_is_acknowledged_and_not_stored_is_missed(
    valkey: EmbeddedStore, tmp_path: Path, swallowed: int, lost: int
) -> None:
    codec = load_codec("lite", device="cpu")
    witness, store = Witness(), _Store(swallowed)
    config = ServerConfig(grpc="127.0.0.1:0", http="127.0.0.1:0", data=tmp_path, block=0.05, drain_grace=0.5)
    port = int(valkey.url.rpartition(":")[2].removesuffix("/0"))
    async with Proxy(port, store.tap) as link:
        server = Server(config, f"redis://127.0.0.1:{link.port}/0", codec, NoRecogniser())
        await server.start()
        try:
            grpc_port = int(server.grpc_address.rpartition(":")[2])
            observer, subscriber = Observer(valkey.url), Subscriber(server.grpc_address)
            async with Proxy(grpc_port, witness.tap) as uplink, watching(observer, subscriber):
                camera = UnrulyCamera(f"127.0.0.1:{uplink.port}", CAMERA, codec, token=None)
                async with camera.stream() as stream:
                    for sequence in range(1, FRAMES + 1):
                        await stream.send(camera.frame(sequence))
                        await stream.heard(sequence)
                async with asyncio.timeout(30):
                    while (1, FRAMES) not in subscriber.got[CAMERA]:  # noqa: ASYNC110  # told by another task
                        await asyncio.sleep(0.02)
                await observer.look()
        finally:
            await server.stop()
    assert store.appended == FRAMES
    counted = count(CAMERA, witness.cameras[CAMERA], observer.cameras[CAMERA], subscriber.got[CAMERA], codec)
    assert counted.acknowledged == FRAMES
    assert (counted.lost, counted.stored) == (lost, FRAMES - lost)
    assert bool(counted.violations) is bool(lost)
