"""Workers without a server, on whatever store, that can be made to die, and cameras for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.cancelling import cancel_all
from secondsight.v1 import frame_pb2
from server.catalogue import Catalogue
from server.config import ServerConfig
from server.enhancement_retention import EnhancementRetention
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Wanted
from server.frame_bus import Appending, FrameBus
from server.groups import KeyFrame
from server.kept_frames import KeptFrames
from server.layers import Layers
from server.recognition import Recogniser
from server.store.client import Role, open_client
from server.watch.rules_in_force import RulesInForce
from server.watch.rules_store import RulesStore
from server.worker import Worker
from shared_models import Codec, EncodedFrame
from tests.server.harness import SquareSpotter, results_in, until


@dataclass
class Crew:
    """Workers and a bus on one store."""

    config: ServerConfig
    codec: Codec
    redis: Redis
    blocking: Redis
    bus: FrameBus = field(init=False)
    running: dict[Worker, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bus = FrameBus(self.redis, self.blocking, self.config)

    def start(self, recogniser: Recogniser | None = None, **settings: object) -> Worker:
        """Start one more worker."""
        config = replace(self.config, **settings)
        stores = EnhancementStores(self.redis, config)
        layers = Layers(
            self.codec,
            Catalogue(self.redis, stores, read_at_once=8),
            pictures_bytes=0,
            references_bytes=2**20,
        )
        rules = RulesInForce(RulesStore(self.redis), config)
        worker = Worker(
            FrameBus(self.redis, self.blocking, config),
            layers,
            recogniser or SquareSpotter(),
            EnhancementRetention(
                stores, Wanted(self.redis, self.blocking, config), KeptFrames(self.redis), rules, config
            ),
            rules,
            config,
        )
        self.running[worker] = asyncio.create_task(worker.run())
        return worker

    async def leave(self, worker: Worker) -> None:
        """End a worker as SIGTERM does."""
        worker.leave()
        await self.running.pop(worker)
        worker.close()

    async def die(self, worker: Worker) -> None:
        """End a worker wherever it is, as kill -9 does: it says nothing more to the store."""
        task = self.running.pop(worker)
        await cancel_all([task])
        with suppress(asyncio.CancelledError):
            task.result()
        worker.close()

    async def store(
        self,
        camera_id: str,
        sequences: range,
        encoded: list[EncodedFrame],
        session: int = 1,
        captured_ms: Callable[[int], int] | None = None,
    ) -> None:
        """Store frames as ingest does, as fast as the backlog allows; `captured_ms` tells when, by sequence."""
        for sequence in sequences:
            layer = encoded[sequence % len(encoded)].machine
            frame = frame_pb2.Frame(
                id=frame_pb2.FrameId(camera_id=camera_id, session=session, sequence=sequence),
                machine_layer=layer,
            )
            if captured_ms is not None:
                frame.captured_at.FromMilliseconds(captured_ms(sequence))

            async def has_room() -> bool:
                return await self.bus.backlog(camera_id) < self.config.backlog_frames

            await until(has_room)
            key = KeyFrame(session, sequence, self.codec.inspect(layer).name)
            appended = await self.bus.append(camera_id, session, sequence, frame.SerializeToString(), key)
            assert appended.outcome in (Appending.STORED, Appending.REPEATED)

    async def have_results(self, cameras: list[str], sequences: range, session: int = 1) -> None:
        """Wait for the last result of each camera; all have to be there by then, in order, and none twice."""
        for camera_id in cameras:

            async def has_last(camera_id: str = camera_id) -> bool:
                return store_keys.entry_id(session, sequences[-1]) in await results_in(self.redis, camera_id)

            await until(has_last)
            results = await results_in(self.redis, camera_id)
            assert list(results) == [store_keys.entry_id(session, sequence) for sequence in sequences]
            assert not any(result.failure for result in results.values())


@asynccontextmanager
async def crew_on(url: str, codec: Codec, config: ServerConfig) -> AsyncIterator[Crew]:
    """A crew without workers. Those that are there in the end die."""
    async with (
        open_client(url, max_connections=64) as commands,
        open_client(url, Role.BLOCKING, max_connections=64) as blocking,
    ):
        crew = Crew(config, codec, commands, blocking)
        try:
            yield crew
        finally:
            for worker in list(crew.running):
                await crew.die(worker)
