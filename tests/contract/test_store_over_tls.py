"""The clients of the store over TLS, against a Redis that takes nothing else."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from edge.backoff import Backoff
from edge.config import TlsConfig
from edge.enhancement_store import EnhancementStore
from edge.errors import EnhancementUnavailableError
from secondsight.certificates.authority import Authority
from server.store.client import open_client
from tests.ports import held_port

SERVER = shutil.which("redis-server")


@dataclass(frozen=True)
class Store:
    """A running store with client certificates, its port, and the folder of its authority."""

    port: int
    files: Path

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.port}/0"

    @property
    def tls(self) -> TlsConfig:
        return TlsConfig(self.files / "ca.pem", self.files / "edge.pem", self.files / "edge-key.pem")

    @property
    def url_with_files(self) -> str:
        return f"{self.url}?ssl_ca_certs={self.tls.ca}&ssl_certfile={self.tls.certificate}&ssl_keyfile={self.tls.key}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if SERVER is None:
        pytest.skip("no redis-server is installed, and the embedded store is built without TLS")
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    authority.make_server(["localhost"], days=1)
    authority.make_client("edge", days=1)
    files = {
        "--tls-cert-file": "server.pem",
        "--tls-key-file": "server-key.pem",
        "--tls-ca-cert-file": "ca.pem",
    }
    options = [word for name, file in files.items() for word in (name, str(folder / file))]
    with (
        held_port() as port,
        subprocess.Popen(
            [SERVER, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", *options],
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "Ready to accept connections" in line:
                    break
            else:
                pytest.skip("redis-server is built without TLS")
            yield Store(port, folder)
        finally:
            process.terminate()


def edge_store(url: str, tls: TlsConfig | None) -> EnhancementStore:
    return EnhancementStore(url, "door", 5.0, Backoff(0.01, 0.01), tls)


async def test_the_server_and_the_edge_share_a_store_over_tls(store: Store) -> None:
    edge = edge_store(store.url, store.tls)
    try:
        async with open_client(store.url_with_files) as server:
            await asyncio.wait_for(server.set("layer", b"\x00\xff"), 30)
            assert await server.get("layer") == b"\x00\xff"
            assert await edge.read((1, 1)) is None
    finally:
        await edge.close()


@pytest.mark.parametrize("own", [False, True])
async def test_a_strange_authority_or_no_certificate_is_no_store(
    store: Store, tmp_path: Path, own: bool
) -> None:
    stranger = Authority(tmp_path).certificate_file
    tls = TlsConfig(stranger, store.tls.certificate, store.tls.key) if own else TlsConfig(store.tls.ca)
    edge = edge_store(store.url, tls)
    try:
        with pytest.raises(EnhancementUnavailableError):
            await edge.read((1, 1))
    finally:
        await edge.close()


async def test_a_plain_client_is_refused(store: Store) -> None:
    async with open_client(f"redis://localhost:{store.port}/0") as client:
        with pytest.raises((redis.RedisError, ssl.SSLError)):
            await client.get("layer")
