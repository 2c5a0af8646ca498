"""The uplink's channel: TLS, certificates of cameras, and their tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from edge.channel import call_metadata, check_credentials, open_channel
from edge.config import EdgeConfig, TlsConfig
from edge.errors import ConfigError, CredentialsError
from edge.metrics import Tally
from edge.pending import Pending
from edge.uplink import Uplink
from secondsight.certificates.authority import Authority
from tests.edge.conftest import eventually
from tests.edge.scripted_server import ScriptedServer, listening

HERE = EdgeConfig(
    camera_id="door", source="none", server="127.0.0.1:50051", backoff_base_s=0.02, backoff_cap_s=0.05
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    authority = Authority(tmp_path / "files")
    authority.make_server(["localhost"], days=1)
    authority.make_client("door", days=1)
    return tmp_path / "files"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first-token\n")
    return file


def mutual(files: Path) -> TlsConfig:
    return TlsConfig(files / "ca.pem", files / "door.pem", files / "door-key.pem")


def credentials(files: Path) -> grpc.ServerCredentials:
    """A server that wants the cameras' certificates."""
    return grpc.ssl_server_credentials(
        [((files / "server-key.pem").read_bytes(), (files / "server.pem").read_bytes())],
        (files / "ca.pem").read_bytes(),
        require_client_auth=True,
    )


@asynccontextmanager
async def uplink(config: EdgeConfig) -> AsyncIterator[Tally]:
    tally = Tally()
    task = asyncio.create_task(Uplink(config, b"model", "1.2.3", Pending(tally), None, tally).run())
    try:
        yield tally
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_edge_shows_its_certificate_and_at_every_connection_the_token_of_then(
    files: Path, token: Path
) -> None:
    script = ScriptedServer()
    async with listening(script, credentials=credentials(files)) as port:
        config = replace(HERE, server=f"localhost:{port}", tls=mutual(files), token_file=token)
        async with uplink(config):
            talk = await script.conversation()
            await talk.greet(session=1)
            assert talk.authorization == "Bearer first-token"
            await asyncio.to_thread(token.write_text, "second-token")
            await talk.drain()
            await talk.closed_by_edge()
            talk.end()
            talk = await script.conversation()
            await talk.greet(session=1)
            assert talk.authorization == "Bearer second-token"


async def test_a_server_of_another_authority_is_never_told_anything(
    files: Path, token: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = ScriptedServer()
    async with listening(script, credentials=credentials(files)) as port:
        stranger = Authority(tmp_path / "stranger").certificate_file
        config = replace(HERE, server=f"localhost:{port}", tls=replace(mutual(files), ca=stranger))
        async with uplink(replace(config, token_file=token)) as tally:
            await eventually(lambda: caplog.text.count("UNAVAILABLE") > 1)
            assert not tally.connections
        # And one that is right may still not be called by another name than its certificate's.
        config = replace(HERE, server=f"127.0.0.2:{port}", tls=mutual(files))
        channel = open_channel(config)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await channel.channel_ready()
        finally:
            await channel.close()


async def test_an_edge_without_a_token_file_comes_back_when_it_is_there(tmp_path: Path) -> None:
    script, file = ScriptedServer(), tmp_path / "token"
    async with (
        listening(script) as port,
        uplink(replace(HERE, server=f"127.0.0.1:{port}", token_file=file)) as tally,
    ):
        await asyncio.sleep(0.1)
        assert not tally.connected
        file.write_text("late-token")
        assert (await script.conversation()).authorization == "Bearer late-token"


@pytest.mark.parametrize("address", ["10.0.0.5:50051", "server:50051", "[2001:db8::1]:50051"])
def test_a_token_leaves_this_machine_over_tls_alone(address: str, token: Path) -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        replace(HERE, server=address, token_file=token)
    assert replace(HERE, server=address, token_file=token, tls=TlsConfig()).token_file == token


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:50051", "[::1]:50051"])
def test_on_this_machine_a_token_needs_no_tls(address: str, token: Path) -> None:
    assert call_metadata(replace(HERE, server=address, token_file=token)) == [
        ("authorization", "Bearer first-token")
    ]


@pytest.mark.parametrize("text", ["", "\n", "two words", "line\nline", "tök"])
def test_a_file_that_holds_no_token_is_named(text: str, token: Path) -> None:
    token.write_text(text)
    with pytest.raises(CredentialsError, match=str(token)):
        call_metadata(replace(HERE, token_file=token))
    with pytest.raises(ConfigError):
        check_credentials(replace(HERE, token_file=token))


async def test_files_that_are_no_certificates_are_named(files: Path) -> None:
    good = mutual(files)
    for wrong, named in (
        (replace(good, ca=files / "none.pem"), "none.pem"),
        (replace(good, ca=files / "door-key.pem"), "door-key.pem"),
        (replace(good, key=files / "server-key.pem"), "server-key.pem"),
    ):
        with pytest.raises(CredentialsError, match=named):
            open_channel(replace(HERE, tls=wrong))


def test_a_certificate_needs_its_key(files: Path) -> None:
    with pytest.raises(ConfigError, match="without its key"):
        TlsConfig(certificate=files / "door.pem")
