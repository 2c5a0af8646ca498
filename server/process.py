"""The server's process: gRPC, HTTP and, unless others do that, one worker, on one event loop."""

from __future__ import annotations

from server import metrics
from server.access.access import Access, FirstLogin
from server.analytics import Analytics
from server.audit.audit import Audit
from server.catalogue import Catalogue
from server.config import ServerConfig
from server.enhancement import EnhancementSource
from server.enhancement_retention import EnhancementRetention
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Wanted
from server.erasure import Erasure
from server.frame_bus import FrameBus
from server.grpc_server import GrpcServer
from server.http_server import HttpServer
from server.ingest import Ingest
from server.jobs.footage import Footage
from server.jobs.jobs import Jobs
from server.jobs.making import Sources
from server.jobs.period import Periods
from server.kept_frames import KeptFrames
from server.layers import Codec, Layers
from server.marks.marks import Marks
from server.overview import Overview
from server.parts import Parts
from server.recognition import Recogniser
from server.rest.app import create_app
from server.rest.services import Services
from server.result_feed import ResultFeed
from server.store.client import Role, open_client
from server.store.writable import Writable
from server.store_watch import StoreWatch
from server.subscriptions import Subscriptions
from server.timeline.timeline import Timelines
from server.views import Views
from server.watch.rules_in_force import RulesInForce
from server.watch.rules_store import RulesStore
from server.worker import Worker


class Server:
    """Everything that serves, over one store. `start`, then `stop`. Without a recogniser it has no worker."""

    def __init__(
        self, config: ServerConfig, store_url: str, codec: Codec, recogniser: Recogniser | None
    ) -> None:
        self._config = config
        self.access = Access(config)
        audit = self._audit = Audit(config)
        self._redis = open_client(store_url, Role.COMMANDS, max_connections=config.store_connections)
        self._blocking = open_client(store_url, Role.BLOCKING, max_connections=config.store_connections)
        bus = FrameBus(self._redis, self._blocking, config)
        self._stores = EnhancementStores(self._redis, config)
        wanted = Wanted(self._redis, self._blocking, config)
        rules_store = RulesStore(self._redis)
        rules = RulesInForce(rules_store, config)
        retention = EnhancementRetention(self._stores, wanted, KeptFrames(self._redis), rules, config)
        catalogue = Catalogue(self._redis, self._stores, read_at_once=config.frames_read_at_once)
        enhancement = EnhancementSource(catalogue, self._stores, wanted, config)
        self._layers = Layers(
            codec,
            catalogue,
            pictures_bytes=config.pictures_bytes,
            references_bytes=config.references_bytes,
        )
        self._ingest = Ingest(bus, wanted, codec, self.access, config)
        self._feed = ResultFeed(bus, config)
        self._subscriptions = Subscriptions(bus, self._feed, self.access)
        self._analytics = Analytics(self._subscriptions, catalogue)
        self._worker = (
            None if recogniser is None else Worker(bus, self._layers, recogniser, retention, rules, config)
        )
        views, marks = Views(enhancement, self._layers, config), Marks(self._redis, config.marks_kept)
        sources = Sources(
            Footage(catalogue, enhancement, self._layers, views, config),
            Periods(self._redis, read_at_once=config.frames_read_at_once),
            marks,
            config,
        )
        self._jobs = Jobs(sources, audit, config)
        self._watch = StoreWatch(self._redis, config)
        self._overview = Overview(metrics.FLOWS, config)
        self._services = Services(
            catalogue,
            Writable(self._redis, config.probe_within),
            enhancement,
            retention,
            rules,
            rules_store,
            views,
            self.access,
            audit,
            marks,
            self._jobs,
            self._subscriptions,
            Timelines(self._redis, config),
            Erasure(self._redis, self._stores, config),
            self._overview,
            self._watch,
            config,
        )
        self.app = create_app(self._services)
        self._grpc = GrpcServer(self._ingest, self._analytics, self.access, audit, config)
        self._http = HttpServer(self.app, config.http, config.drain_grace, config.tls)
        self._parts = Parts("server")

    def first_admin(self) -> FirstLogin | None:
        """Make an admin where somebody will be asked who they are, and nobody can be let in; on record.

        Raises:
            AccessFileError, AuditUnavailableError
        """
        return self.access.first_admin(self._audit.write)

    async def start(self) -> None:
        """Listen and begin to recognise.

        Raises:
            OSError: an address cannot be listened on.
        """
        self.http_address = self._http.listen()
        self.grpc_address = await self._grpc.start()
        if self._worker is not None:
            self._parts.begin("worker", self._worker.run())
        self._jobs.open()
        self._parts.begin("jobs", self._jobs.run())
        self._parts.begin("store watch", self._watch.run())
        self._parts.begin("overview", self._overview.run())
        self._parts.begin("http", self._http.serve_there())
        await self._grpc.announce()

    async def failed(self) -> None:
        """Return never; raise when a part of the server has ended by itself."""
        await self._parts.failed()

    async def stop(self) -> None:
        """Turn the health, let edges finish, then end every part. What is not recognised stays in the store."""
        grace = self._config.drain_grace
        self._services.leaving = True
        await self._grpc.turn_away()
        await self._ingest.drain()
        if self._worker is not None:
            self._worker.leave()
        self._subscriptions.leave()
        self._watch.leave()
        self._overview.leave()
        self._jobs.leave()
        self._http.should_exit = True
        await self._parts.end_of("worker", within=self._config.leave_within)
        await self._parts.end(within=2 * grace)
        await self._grpc.stop(grace)
        if self._worker is not None:
            self._worker.close()
        self._jobs.close()
        await self._feed.close()
        self._layers.close()
        await self._stores.close()
        await self._blocking.aclose()
        await self._redis.aclose()
