"""The process of a worker alone: recognition beside whatever servers and workers share its store."""

from __future__ import annotations

from server.catalogue import Catalogue
from server.config import ServerConfig
from server.enhancement_retention import EnhancementRetention
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Wanted
from server.frame_bus import FrameBus
from server.http_server import HttpServer
from server.kept_frames import KeptFrames
from server.layers import Codec, Layers
from server.parts import Parts
from server.recognition import Recogniser
from server.store.client import Role, open_client
from server.store.writable import Writable
from server.watch.rules_in_force import RulesInForce
from server.watch.rules_store import RulesStore
from server.worker import Worker
from server.worker_probes import create_probes


class WorkerProcess:
    """A worker, its probes on `config.http`, and nothing else. `start`, then `stop`."""

    def __init__(self, config: ServerConfig, store_url: str, codec: Codec, recogniser: Recogniser) -> None:
        self._config = config
        self._redis = open_client(store_url, Role.COMMANDS, max_connections=config.store_connections)
        self._blocking = open_client(store_url, Role.BLOCKING, max_connections=config.store_connections)
        self._stores = EnhancementStores(self._redis, config)
        wanted = Wanted(self._redis, self._blocking, config)
        self._layers = Layers(
            codec,
            Catalogue(self._redis, self._stores, read_at_once=config.frames_read_at_once),
            pictures_bytes=config.pictures_bytes,
            references_bytes=config.references_bytes,
        )
        rules = RulesInForce(RulesStore(self._redis), config)
        self.worker = Worker(
            FrameBus(self._redis, self._blocking, config),
            self._layers,
            recogniser,
            EnhancementRetention(self._stores, wanted, KeptFrames(self._redis), rules, config),
            rules,
            config,
        )
        probes = create_probes(self.worker, Writable(self._redis, config.probe_within))
        self._http = HttpServer(probes, config.http, config.drain_grace)
        self._parts = Parts("worker")

    async def start(self) -> None:
        """Answer probes and begin to recognise.

        Raises:
            OSError: the address cannot be listened on.
        """
        self.http_address = self._http.listen()
        self._parts.begin("recognition", self.worker.run())
        self._parts.begin("probes", self._http.serve_there())

    async def failed(self) -> None:
        """Return never; raise when a part has ended by itself."""
        await self._parts.failed()

    async def stop(self) -> None:
        """Finish the frames in hand, let others have the cameras, and end."""
        self.worker.leave()
        await self._parts.end_of("recognition", within=self._config.leave_within)
        self._http.should_exit = True
        await self._parts.end(within=2 * self._config.drain_grace)
        self.worker.close()
        self._layers.close()
        await self._stores.close()
        await self._blocking.aclose()
        await self._redis.aclose()
