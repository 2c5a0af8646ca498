"""The gRPC side of the server: its limits, what it tells of itself, and whether it is healthy."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as grpc_health
from grpc_reflection.v1alpha import reflection

from secondsight import limits
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc, ingest_pb2, ingest_pb2_grpc
from server.access.access import Access
from server.access.grpc_interceptor import AccessInterceptor
from server.analytics import Analytics
from server.audit.audit import Audit
from server.config import ServerConfig, parse_address
from server.ingest import Ingest
from server.tls import grpc_credentials

_SERVICES = (
    ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name,
    analytics_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name,
)


class GrpcServer:
    """IngestService and AnalyticsService beside health and reflection. `start`, `turn_away`, `stop`."""

    def __init__(
        self, ingest: Ingest, analytics: Analytics, access: Access, audit: Audit, config: ServerConfig
    ) -> None:
        self._ingest = ingest
        self._analytics = analytics
        self._access = access
        self._audit = audit
        self._config = config
        self._health = grpc_health.HealthServicer()

    async def start(self) -> str:
        """Listen. Gives the address, with the port that a port of 0 became. Healthy only after `announce`.

        Raises:
            OSError: the address cannot be listened on.
            ServerConfigError: there is no certificate where there should be one.
        """
        config = self._config
        self._server = grpc.aio.server(
            interceptors=(AccessInterceptor(self._access, self._audit),),
            maximum_concurrent_rpcs=config.grpc_streams,
            options=[
                ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
                ("grpc.max_send_message_length", limits.MESSAGE_BYTES),
                # Above the first a call may be refused, above the second it is.
                ("grpc.max_metadata_size", config.metadata_bytes),
                ("grpc.absolute_max_metadata_size", 2 * config.metadata_bytes),
                ("grpc.keepalive_time_ms", int(config.keepalive_time * 1000)),
                ("grpc.keepalive_timeout_ms", int(config.keepalive_timeout * 1000)),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", int(config.shortest_ping_interval * 1000)),
                # Without the probe the window stays small, and a peer that sends on is felt soon.
                ("grpc.http2.bdp_probe", 0),
                # An ingest stream is asked to move before (`stream_age`); what is left is given a keepalive's time.
                ("grpc.max_connection_age_ms", int(config.connection_age * 1000)),
                ("grpc.max_connection_age_grace_ms", int(config.keepalive_time * 1000)),
                # Two servers on one port would each get half of the edges.
                ("grpc.so_reuseport", 0),
            ],
        )
        ingest_pb2_grpc.add_IngestServiceServicer_to_server(self._ingest, self._server)
        analytics_pb2_grpc.add_AnalyticsServiceServicer_to_server(self._analytics, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*_SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME),
            self._server,
        )
        host, _ = parse_address(config.grpc)
        try:
            port = (
                self._server.add_insecure_port(config.grpc)
                if config.tls is None
                else self._server.add_secure_port(config.grpc, grpc_credentials(config.tls))
            )
        except RuntimeError as error:
            raise OSError(f"cannot listen on {config.grpc} for gRPC: {error}") from error
        await self._server.start()
        return f"{host}:{port}"

    async def announce(self) -> None:
        """Tell that every service serves."""
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def turn_away(self) -> None:
        """Tell that no service serves any longer, while all still do."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """End calls that do not end by themselves within `grace` seconds."""
        await self._server.stop(grace)
