"""Erasing a camera leaves nothing of it, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.audit.chain import records
from server.audit.record import Outcome, Subject
from server.store.client import open_client
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, keep_enhancement, recognised

Encoded = list[EncodedFrame]
CAMERA = "/v1/cameras/front-door"
WHY = {"reason": "a test"}


@pytest.fixture
async def any_client(any_url: str) -> Any:
    opened = open_client(any_url)
    yield opened
    await opened.aclose()


async def names(client: Redis) -> set[str]:
    return {key.decode() async for key in client.scan_iter(match="*")}


def http_to(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


def outcomes(folder: Path) -> list[Outcome]:
    return [
        record.event.outcome
        for record in records(folder / "audit")
        if record.event.subject is Subject.ERASURE
    ]


async def test_a_camera_is_erased_whole_and_comes_back_as_a_new_one(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    any_url: str,
    any_client: Redis,
    tmp_path: Path,
) -> None:
    async with (
        start_server(SquareSpotter(), url=any_url, uplink_seen=0.3) as server,
        http_to(server.app) as http,
    ):
        for camera in ("front-door", "yard"):
            async with edge_stream(server, codec, camera) as edge:
                await edge.hello()
                for sequence in (1, 2, 3):
                    layers = encoded[sequence]
                    await keep_enhancement(any_client, await edge.send(sequence, layers), layers)
                await recognised(any_client, 3, camera)
        assert (await http.post(f"{CAMERA}/frames/1-2/keep", params=WHY)).status_code == 200
        theirs = {name for name in await names(any_client) if "{front-door}" in name}
        assert len(theirs) > 8
        others = {name for name in await names(any_client) if "{yard}" in name}

        while (answer := await http.delete(CAMERA)).status_code == 409:
            assert answer.json()["type"] == "/problems/camera-connected"
        assert answer.status_code == 204, answer.text
        left = await names(any_client)
        assert not {name for name in left if "{front-door}" in name}
        assert others - left <= {store_keys.uplink("yard"), store_keys.edge("yard")}
        listed = (await http.get("/v1/cameras")).json()["cameras"]
        assert [camera["camera"] for camera in listed] == ["yard"]
        assert (await http.get(f"{CAMERA}/frames")).status_code == 404
        assert (await http.delete(CAMERA)).status_code == 404
        assert outcomes(tmp_path)[-4:] == [Outcome.ASKED, Outcome.DONE, Outcome.ASKED, Outcome.FAILED]

        async with edge_stream(server, codec) as edge:
            await edge.hello()
            assert edge.session > 2
            await edge.send(1, encoded[0])
            await recognised(any_client, 1)
        frames = (await http.get(f"{CAMERA}/frames")).json()["frames"]
        assert [frame["frame"] for frame in frames] == [f"{edge.session}-1"]


async def test_a_connected_camera_stays(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with (
        start_server(SquareSpotter()) as server,
        edge_stream(server, codec) as edge,
        http_to(server.app) as http,
    ):
        await edge.hello()
        await edge.send(1, encoded[0])
        await recognised(client, 1)
        before = await names(client)
        refused = await http.delete(CAMERA)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/camera-connected")
        assert "stop its edge" in refused.json()["detail"]
        assert await names(client) >= before


async def test_layers_in_a_store_of_the_camera_go_too(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, tmp_path: Path
) -> None:
    with EmbeddedStore(StoreConfig(data=tmp_path / "site", port=0)) as site:
        of_site = open_client(site.url)
        stores = {"front-door": site.url}
        async with start_server(SquareSpotter(), camera_stores=stores, uplink_seen=0.3) as server:
            async with edge_stream(server, codec) as edge:
                await edge.hello()
                await keep_enhancement(of_site, await edge.send(1, encoded[0]), encoded[0])
                await recognised(client, 1)
            await of_site.set("unrelated", b"stays")
            async with http_to(server.app) as http:
                while (answer := await http.delete(CAMERA)).status_code == 409:
                    pass
                assert answer.status_code == 204
        assert await names(of_site) == {"unrelated"}
        await of_site.aclose()


@pytest.mark.parametrize("name", ["*", "%3F*", "[a-z]*"])
async def test_a_name_that_is_a_pattern_erases_nothing(
    start_server: StartServer, client: Redis, name: str
) -> None:
    kept = {store_keys.rules("yard"), store_keys.enhancement("front-door", 1, 1)}
    for key in kept:
        await client.set(key, b"stays")
    async with start_server() as server, http_to(server.app) as http:
        refused = await http.delete(f"/v1/cameras/{name}")
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/unknown-camera")
    assert {key for key in await names(client) if key.startswith("{")} == kept
