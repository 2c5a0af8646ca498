"""The server's ports over TLS: who is refused, and that certificates are renewed while it runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from secondsight.certificates.authority import Authority
from server.config import ServerConfig
from server.errors import ServerConfigError
from server.tls import ServerTlsConfig, http_context, tls_of
from tests.server.conftest import CONFIG, StartServer
from tests.server.harness import PATIENCE


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """An authority, a server's certificate and a camera's."""
    authority = Authority(tmp_path / "files")
    authority.make_server(["localhost"], days=1)
    authority.make_client("door", days=1)
    return tmp_path / "files"


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """The same of another authority."""
    authority = Authority(tmp_path / "strangers")
    authority.make_server(["localhost"], days=1)
    authority.make_client("door", days=1)
    return tmp_path / "strangers"


def tls(files: Path, client_ca: Path | None = None) -> ServerTlsConfig:
    return ServerTlsConfig(
        certificate=files / "server.pem", key=files / "server-key.pem", client_ca=client_ca
    )


def client_of(authority: Path, own: Path | None = None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        (authority / "ca.pem").read_bytes(),
        None if own is None else (own / "door-key.pem").read_bytes(),
        None if own is None else (own / "door.pem").read_bytes(),
    )


@asynccontextmanager
async def channel_to(
    address: str, credentials: grpc.ChannelCredentials | None
) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        grpc.aio.insecure_channel(address, options=options)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=options)
    ) as channel:
        yield channel


async def is_served(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    async with channel_to(address, credentials) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=PATIENCE
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def shown(address: str) -> bytes:
    """The certificate that a port shows now."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), PATIENCE) as connection,
        context.wrap_socket(connection) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    assert certificate
    return certificate


def certificate_in(files: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((files / "server.pem").read_text())


async def test_grpc_is_for_those_who_trust_the_authority(
    start_server: StartServer, files: Path, strangers: Path
) -> None:
    async with start_server(tls=tls(files)) as server:
        assert await is_served(server.grpc_address, client_of(files))
        assert not await is_served(server.grpc_address, None)
        assert not await is_served(server.grpc_address, client_of(strangers))


async def test_with_clients_authorities_grpc_is_for_those_with_a_certificate(
    start_server: StartServer, files: Path, strangers: Path
) -> None:
    async with start_server(tls=tls(files, client_ca=files / "ca.pem")) as server:
        assert await is_served(server.grpc_address, client_of(files, own=files))
        assert not await is_served(server.grpc_address, client_of(files))
        assert not await is_served(server.grpc_address, client_of(files, own=strangers))
        # Browsers have none, and log in.
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=files / "ca.pem"), timeout=PATIENCE
        ) as http:
            assert (await http.get(f"https://{server.http_address}/healthz")).is_success


async def test_http_is_for_those_who_trust_the_authority(
    start_server: StartServer, files: Path, strangers: Path
) -> None:
    async with start_server(tls=tls(files)) as server:
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=files / "ca.pem"), timeout=PATIENCE
        ) as http:
            assert (await http.get(f"https://{server.http_address}/healthz")).is_success
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=strangers / "ca.pem"), timeout=PATIENCE
        ) as http:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.get(f"https://{server.http_address}/healthz")
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://{server.http_address}/healthz")


async def test_a_renewed_certificate_is_shown_without_a_restart(
    start_server: StartServer, files: Path
) -> None:
    async with start_server(tls=tls(files)) as server:
        ports = (server.grpc_address, server.http_address)
        before = certificate_in(files)
        async with channel_to(server.grpc_address, client_of(files)) as old:
            health = health_pb2_grpc.HealthStub(old)
            await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
            assert [await asyncio.to_thread(shown, port) for port in ports] == [before, before]
            Authority(files).make_server([], days=1)
            after = certificate_in(files)
            assert after != before
            assert [await asyncio.to_thread(shown, port) for port in ports] == [after, after]
            # Who is connected stays so.
            await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert await is_served(server.grpc_address, client_of(files))


async def test_a_certificate_that_cannot_be_used_leaves_the_old_one(
    start_server: StartServer, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_server(tls=tls(files)) as server:
        before = certificate_in(files)
        (files / "server.pem").write_text("half a certifica")
        for port in (server.http_address, server.grpc_address):
            assert await asyncio.to_thread(shown, port) == before
    assert "cannot be used" in caplog.text


def test_files_that_are_no_certificate_are_named(files: Path) -> None:
    with pytest.raises(ServerConfigError, match="door-key"):
        http_context(replace(tls(files), key=files / "door-key.pem"))


def test_a_certificate_needs_its_key(files: Path) -> None:
    assert tls_of(None, None, None) is None
    with pytest.raises(ServerConfigError, match="--tls-key"):
        tls_of(files / "server.pem", None, None)


def test_beyond_the_loopback_there_is_tls_or_nothing(files: Path) -> None:
    with pytest.raises(ServerConfigError, match="--tls-certificate"):
        replace(CONFIG, grpc="0.0.0.0:0")
    assert ServerConfig(grpc="0.0.0.0:0", tls=tls(files)).tls == tls(files)
