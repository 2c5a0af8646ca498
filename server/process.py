"""The server's process: gRPC, HTTP and one worker on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import uvicorn
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health

from secondsight import limits
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc, ingest_pb2, ingest_pb2_grpc
from server.analytics import Analytics
from server.catalogue import Catalogue
from server.config import ServerConfig, parse_address
from server.frame_bus import FrameBus
from server.ingest import Ingest
from server.layers import Codec, Layers
from server.recognition import Recogniser
from server.rest.app import create_app
from server.rest.services import Services
from server.store.client import Role, open_client
from server.views import Views
from server.worker import Worker

_log = logging.getLogger(__name__)

_SERVICES = (
    "",
    ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name,
    analytics_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name,
)


class Server:
    """Everything that serves, over one store. `start`, then `stop`."""

    def __init__(self, config: ServerConfig, store_url: str, codec: Codec, recogniser: Recogniser) -> None:
        self._config = config
        self._redis = open_client(store_url, Role.COMMANDS, max_connections=config.store_connections)
        self._blocking = open_client(store_url, Role.BLOCKING, max_connections=config.store_connections)
        bus = FrameBus(self._redis, self._blocking, config)
        catalogue = Catalogue(self._redis, read_at_once=config.frames_read_at_once)
        self._layers = Layers(
            codec,
            catalogue,
            pictures_bytes=config.pictures_bytes,
            references_bytes=config.references_bytes,
        )
        self._ingest = Ingest(bus, codec, config)
        self._analytics = Analytics(bus, catalogue)
        self._worker = Worker(bus, self._layers, recogniser, config)
        self._health = grpc_health.HealthServicer()
        self._services = Services(catalogue, Views(catalogue, self._layers, config), config)
        self.app = create_app(self._services)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen and begin to recognise.

        Raises:
            OSError: an address cannot be listened on.
        """
        config = self._config
        self._grpc = grpc.aio.server(
            maximum_concurrent_rpcs=config.grpc_streams,
            options=[
                ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
                ("grpc.max_send_message_length", limits.MESSAGE_BYTES),
                ("grpc.keepalive_time_ms", int(config.keepalive_time * 1000)),
                ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", int(config.shortest_ping_interval * 1000)),
                # Without the probe the window stays small, and a peer that sends on is felt soon.
                ("grpc.http2.bdp_probe", 0),
                # Two servers on one port would each get half of the edges.
                ("grpc.so_reuseport", 0),
            ],
        )
        ingest_pb2_grpc.add_IngestServiceServicer_to_server(self._ingest, self._grpc)
        analytics_pb2_grpc.add_AnalyticsServiceServicer_to_server(self._analytics, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        grpc_host, _ = parse_address(config.grpc)
        try:
            grpc_port = self._grpc.add_insecure_port(config.grpc)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {config.grpc} for gRPC: {error}") from error
        self.grpc_address = f"{grpc_host}:{grpc_port}"
        http_host, http_port = parse_address(config.http)
        try:
            http_socket = socket.create_server((http_host, http_port))
        except OSError as error:
            raise OSError(f"cannot listen on {config.http} for HTTP: {error}") from error
        self.http_address = f"{http_host}:{http_socket.getsockname()[1]}"
        self._http = _HttpServer(
            uvicorn.Config(
                self.app,
                lifespan="off",
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                timeout_graceful_shutdown=max(1, round(config.drain_grace)),
            )
        )
        await self._grpc.start()
        self._tasks = [
            asyncio.create_task(self._worker.run(), name="worker"),
            asyncio.create_task(self._http.serve(sockets=[http_socket]), name="http"),
        ]
        for service in _SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def failed(self) -> None:
        """Return never; raise when a part of the server has ended by itself."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise RuntimeError(f"the server's {task.get_name()} ended by itself")

    async def stop(self) -> None:
        """Turn the health, let edges finish, then end every part. What is not recognised stays in the store."""
        grace = self._config.drain_grace
        self._services.leaving = True
        await self._health.enter_graceful_shutdown()
        await self._ingest.drain()
        self._worker.leave()
        self._analytics.leave()
        self._http.should_exit = True
        _, late = await asyncio.wait(self._tasks, timeout=2 * grace)
        for task in late:
            _log.warning("the server's %s did not end in time", task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._grpc.stop(grace)
        self._worker.close()
        self._layers.close()
        await self._blocking.aclose()
        await self._redis.aclose()


class _HttpServer(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until_told(server: Server, announce: Callable[[Server], None]) -> None:
    """Serve until SIGTERM or SIGINT. `announce` is called once requests are taken.

    Raises:
        OSError: an address cannot be listened on.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await server.start()
    announce(server)
    waiting = asyncio.create_task(told.wait())
    failing = asyncio.create_task(server.failed())
    try:
        await asyncio.wait((waiting, failing), return_when=asyncio.FIRST_COMPLETED)
        if failing.done():
            failing.result()
    finally:
        for task in (waiting, failing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await server.stop()
