"""Where enhancement layers wait: with a real edge's uplink, its own store, and one server or two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from redis.asyncio import Redis

from edge.config import EdgeConfig, EnhancementConfig
from edge.enhancement import EnhancementKeeper
from edge.frame import EncodedFrame
from edge.metrics import Tally
from edge.pending import Pending
from edge.uplink import Uplink
from secondsight import store_keys
from server import metrics
from server.process import Server
from server.recognition import Seen
from server.store.client import open_client
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, SquareSpotter, recognised, until

AT_EDGE = EnhancementConfig(place="edge")


class Edge:
    """A camera's edge from its queue on: uplink, keeper, store."""

    def __init__(self, camera_id: str, pending: Pending, keeper: EnhancementKeeper, tally: Tally) -> None:
        self.camera_id = camera_id
        self.tally = tally
        self._pending = pending
        self.keeper = keeper

    async def send(self, frames: Sequence[GroupFrame], first_turn: int = 1) -> None:
        """Send frames of a camera stream and wait until they are acknowledged."""
        for turn, frame in enumerate(frames, first_turn):
            await self._pending.add(
                EncodedFrame(
                    machine=frame.machine,
                    enhancement=frame.enhancement,
                    slices=5,
                    captured_at_ns=1_700_000_000_000_000_000 + turn,
                    pts_us=40_000 * turn,
                    encode_us=1,
                    turn=turn,
                    key=frame.key,
                    changed=frame.changed,
                )
            )
        async with asyncio.timeout(PATIENCE):
            await self._pending.until_fewer_than(1)

    @property
    def frames(self) -> str:
        return f"/v1/cameras/{self.camera_id}/frames"


@asynccontextmanager
async def edge_of(
    server: Server,
    codec: Codec,
    store: str,
    enhancement: EnhancementConfig,
    camera_id: str = "front-door",
    store_timeout_s: float = 20.0,
) -> AsyncIterator[Edge]:
    config = EdgeConfig(
        camera_id=camera_id,
        source="none",
        server=server.grpc_address,
        store=store,
        enhancement=enhancement,
        backoff_base_s=0.02,
        backoff_cap_s=0.05,
        store_timeout_s=store_timeout_s,
        store_backoff_base_s=0.05,
        store_backoff_cap_s=0.05,
    )
    tally = Tally()
    pending, keeper = Pending(tally), EnhancementKeeper(config, tally)
    uplink = Uplink(config, codec.predicting_id, "1.2.3", pending, keeper, tally)
    tasks = [asyncio.create_task(uplink.run()), asyncio.create_task(keeper.run())]
    try:
        yield Edge(camera_id, pending, keeper, tally)
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await keeper.close()


@asynccontextmanager
async def asking(*servers: Server) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app=server.app), base_url="http://127.0.0.1", timeout=60
                )
            )
            for server in servers
        ]


@pytest.fixture
async def site(valkey: EmbeddedStore) -> AsyncIterator[Redis]:
    """The store at the camera's site, which the server does not know."""
    opened = open_client(valkey.url)
    yield opened
    await opened.aclose()


def layer_key(sequence: int, session: int = 1, camera_id: str = "front-door") -> str:
    return store_keys.enhancement(camera_id, session, sequence)


async def layers_in(store: Redis, camera_id: str = "front-door") -> list[str]:
    """Names of the frames whose layers a store has."""
    found: list[Any] = await store.keys(f"{{{camera_id}}}:enhancement:*")
    return sorted(key.decode().rpartition(":")[2] for key in found)


async def view(http: httpx.AsyncClient, edge: Edge, frame: str, **query: Any) -> httpx.Response:
    return await http.get(
        f"{edge.frames}/{frame}/image", params={"view": "human", "format": "png", "wait": 30, **query}
    )


def problem(response: httpx.Response, status: int, slug: str) -> None:
    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{slug}"), response.text


async def state(http: httpx.AsyncClient, edge: Edge, frame: str) -> str:
    found: str = (await http.get(f"{edge.frames}/{frame}")).json()["enhancement"]["state"]
    return found


async def test_a_view_over_the_uplink_is_the_one_through_the_store(
    start_server: StartServer,
    codec: Codec,
    stream: list[GroupFrame],
    store_url: str,
    client: Redis,
    site: Redis,
    valkey: EmbeddedStore,
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, store_url, EnhancementConfig(), "near") as near,
        edge_of(server, codec, valkey.url, AT_EDGE, "far") as far,
        asking(server) as (http,),
    ):
        await near.send(stream)
        await far.send(stream)
        assert await layers_in(client, "far") == []
        assert len(await layers_in(site, "far")) == len(stream)
        (session,) = {name.partition("-")[0] for name in await layers_in(site, "far")}
        ours = "1" if session == "2" else "2"
        for sequence in (1, 2, 7):
            assert await state(http, far, f"{session}-{sequence}") == "at_edge"
            through_store = await view(http, near, f"{ours}-{sequence}")
            over_uplink = await view(http, far, f"{session}-{sequence}")
            assert over_uplink.status_code == 200, over_uplink.text
            assert over_uplink.content == through_store.content
            assert await state(http, far, f"{session}-{sequence}") == "kept"
        # Frames 2 and 7 took the layers of their key frames, 1 and 5, of which the first was there already.
        assert far.tally.enhancements_replied == 4
        assert far.tally.reply_bytes == sum(len(stream[place].enhancement) for place in (0, 1, 4, 6))
        carried = {name: metrics.FLOWS.watch(name).carried for name in ("near", "far")}
        assert (carried["far"].stored, carried["far"].fetched) == (0, far.tally.reply_bytes)
        both = sum(len(frame.machine) + len(frame.enhancement) for frame in stream)
        assert carried["near"].machine + carried["near"].stored == carried["far"].whole == both
        raw = await http.get(f"{far.frames}/{session}-3/layers/enhancement")
        assert raw.content == stream[2].enhancement
        lives = [await client.pttl(key) for key in await client.keys("{far}:enhancement:*")]
        assert len(lives) == 5
        assert all(0 < life <= 60_000 for life in lives)


async def test_without_its_edge_a_view_waits_for_it_to_come_back(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], client: Redis, valkey: EmbeddedStore
) -> None:
    async with start_server() as server, asking(server) as (http,):
        async with edge_of(server, codec, valkey.url, AT_EDGE) as edge:
            await edge.send(stream[:2])
        await until(lambda: _gone(client, store_keys.uplink("front-door")))
        away = await view(http, edge, "1-2")
        problem(away, 503, "edge-not-connected")
        assert int(away.headers["retry-after"]) > 0
        async with edge_of(server, codec, valkey.url, AT_EDGE):
            await until(lambda: client.exists(store_keys.uplink("front-door")))
            assert (await view(http, edge, "1-2")).status_code == 200


async def _gone(client: Redis, key: str) -> bool:
    return not await client.exists(key)


async def test_what_the_edge_no_longer_has_is_gone_and_not_asked_for_again(
    start_server: StartServer,
    codec: Codec,
    stream: list[GroupFrame],
    valkey: EmbeddedStore,
    site: Redis,
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, valkey.url, AT_EDGE) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:3])
        await site.unlink(layer_key(2))
        for _ in range(2):
            problem(await view(http, edge, "1-2"), 410, "enhancement-evicted")
        assert edge.tally.enhancement_lacks == 1
        assert await state(http, edge, "1-2") == "evicted"
        await site.unlink(layer_key(1))
        gone = await view(http, edge, "1-3")
        assert gone.status_code == 200, "its key frame's layer has come already"


async def test_a_store_at_the_edge_that_is_silent_is_told_as_such(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore, site: Redis
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, valkey.url, AT_EDGE, store_timeout_s=1.0) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:1])
        await site.client_pause(60_000)
        silent = await view(http, edge, "1-1", wait=30)
        problem(silent, 503, "edge-store-silent")
        assert int(silent.headers["retry-after"]) > 0


async def test_an_edge_that_does_not_answer_in_time_is_told_as_such(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore, site: Redis
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, valkey.url, AT_EDGE) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:1])
        late = await view(http, edge, "1-1", wait=0)
        problem(late, 503, "edge-too-slow")
        # Nobody has to ask for it again.
        await until(lambda: _answered(edge))
        assert (await view(http, edge, "1-1", wait=30)).status_code == 200
        assert edge.tally.enhancements_replied == 1


async def test_no_more_requests_wait_for_edges_than_may(
    start_server: StartServer,
    codec: Codec,
    stream: list[GroupFrame],
    valkey: EmbeddedStore,
    client: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        start_server(enhancement_waits=1) as server,
        edge_of(server, codec, valkey.url, AT_EDGE) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:1])
        released, fetch = asyncio.Event(), edge.keeper.fetch

        async def held(session: int, sequence: int) -> bytes:
            await released.wait()
            return await fetch(session, sequence)

        monkeypatch.setattr(edge.keeper, "fetch", held)
        first = asyncio.create_task(view(http, edge, "1-1", wait=30))
        await until(lambda: client.exists(store_keys.asked("front-door", 1, 1)))
        problem(await view(http, edge, "1-1", wait=30), 503, "views-busy")
        released.set()
        assert (await first).status_code == 200


async def _answered(edge: Edge) -> bool:
    return edge.tally.enhancements_replied > 0


async def test_one_request_on_the_wire_serves_all_who_wait_also_at_another_server(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore
) -> None:
    async with (
        start_server() as with_uplink,
        start_server() as without,
        edge_of(with_uplink, codec, valkey.url, AT_EDGE) as edge,
        asking(with_uplink, without) as (here, there),
    ):
        await edge.send(stream[:1])
        views = await asyncio.gather(*(view(http, edge, "1-1") for http in (there, here, there, here)))
        assert {one.status_code for one in views} == {200}
        assert len({one.content for one in views}) == 1
        assert edge.tally.enhancements_replied == 1


async def test_a_detection_lengthens_the_lives_of_the_frame_and_of_its_key_frame(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore, site: Redis
) -> None:
    short = EnhancementConfig(place="edge", routine_s=600, detection_s=6000, alert_s=60_000)
    spotter = SquareSpotter()
    spotter.released.clear()
    async with (
        start_server(spotter) as server,
        edge_of(server, codec, valkey.url, short) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:2])
        assert all([await site.pttl(layer_key(sequence)) <= 600_000 for sequence in (1, 2)])
        spotter.released.set()
        for sequence in (1, 2):
            await until(lambda: _lives(site, layer_key(sequence), 600_000))  # noqa: B023
        assert await site.pttl(layer_key(1)) <= 6_000_000
        kept = await http.post(f"{edge.frames}/1-2/keep")
        assert kept.status_code == 200, kept.text
        for sequence in (1, 2):
            await until(lambda: _lives(site, layer_key(sequence), 6_000_000))  # noqa: B023


async def _lives(client: Redis, key: str, longer_than_ms: int) -> bool:
    return await client.pttl(key) > longer_than_ms


async def test_an_alert_is_kept_for_longer_than_a_detection_also_in_the_servers_own_store(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], store_url: str, client: Redis
) -> None:
    settings: dict[str, Any] = {"retain_detection": 1000.0, "retain_alert": 60_000.0}
    async with (
        start_server(SquareSpotter(), alert_labels=("shadow",), alert_score=0.4, **settings) as server,
        edge_of(server, codec, store_url, EnhancementConfig(routine_s=600)) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:2])
        for sequence in (1, 2):
            await until(lambda: _lives(client, layer_key(sequence), 6_000_000))  # noqa: B023
        told = (await http.get(f"{edge.frames}/1-2")).json()
        assert told["result"]["alert"]
        expires_at = datetime.fromisoformat(told["enhancement"]["expires_at"])
        left = (expires_at - datetime.now(UTC)).total_seconds()
        assert 6000 < left <= 60_000
        # Its receipt says 600 s, but it was to live for longer: who took it before was the store.
        await client.unlink(layer_key(2))
        assert await state(http, edge, "1-2") == "evicted"


async def test_with_the_policy_detection_only_what_was_recognised_is_stored(
    start_server: StartServer,
    codec: Codec,
    stream: list[GroupFrame],
    store_url: str,
    client: Redis,
) -> None:
    policy = EnhancementConfig(policy="detection", verdict_s=600, detection_s=6000)
    picky = PickySpotter(seen=(3,))
    async with (
        start_server(picky) as server,
        edge_of(server, codec, store_url, policy) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream)
        await recognised(client, len(stream))
        await until(lambda: _lives(client, layer_key(3), 600_000))
        assert await layers_in(client) == ["1-1", "1-3"]
        assert await client.pttl(layer_key(1)) > 600_000
        assert await state(http, edge, "1-3") == "kept"
        assert (await view(http, edge, "1-3")).status_code == 200
        assert edge.tally.enhancements_replied == 0
        # Until it is let go, what nobody recognised can be asked for.
        assert await state(http, edge, "1-6") == "at_edge"
        assert (await view(http, edge, "1-6")).status_code == 200
        assert edge.tally.enhancements_replied == 2


class PickySpotter(SquareSpotter):
    """Sees something in some frames, counted from 1."""

    def __init__(self, seen: tuple[int, ...]) -> None:
        super().__init__()
        self._seen = seen

    def see(self, image: np.ndarray) -> Seen:
        found = super().see(image)
        return found if self.asked in self._seen else Seen(())


async def test_with_the_policy_nth_a_kept_frames_key_frame_is_kept_too(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], store_url: str, client: Redis
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, store_url, EnhancementConfig(policy="nth", nth=3)) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream)
        assert await layers_in(client) == ["1-1", "1-3", "1-5", "1-6"]
        for frame in ("1-3", "1-6"):
            assert (await view(http, edge, frame)).status_code == 200
        problem(await view(http, edge, "1-2"), 404, "enhancement-not-stored")


async def test_with_the_policy_off_there_are_no_human_views(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], store_url: str, client: Redis
) -> None:
    async with (
        start_server() as server,
        edge_of(server, codec, store_url, EnhancementConfig(policy="off")) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:2])
        problem(await view(http, edge, "1-2"), 404, "enhancement-not-stored")
        assert await layers_in(client) == []
        machine = await http.get(f"{edge.frames}/1-2/image")
        assert machine.status_code == 200


async def test_a_store_named_for_a_camera_is_read_by_the_server_itself(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], tmp_path: Path, client: Redis
) -> None:
    with EmbeddedStore(StoreConfig(data=tmp_path / "camera", port=0)) as near_camera:
        async with (
            start_server(camera_stores={"front-door": near_camera.url}, camera_store_patience=10.0) as server,
            edge_of(server, codec, near_camera.url, EnhancementConfig()) as edge,
            asking(server) as (http,),
        ):
            await edge.send(stream[:2])
            assert await layers_in(client) == []
            assert await state(http, edge, "1-2") == "kept"
            assert (await view(http, edge, "1-2")).status_code == 200
            near_camera.stop()
            problem(await view(http, edge, "1-2"), 503, "camera-store-silent")
            assert await state(http, edge, "1-2") == "unreachable"


async def test_what_is_kept_while_the_edge_is_away_is_kept_there_when_it_is_back(
    start_server: StartServer, codec: Codec, stream: list[GroupFrame], valkey: EmbeddedStore, site: Redis
) -> None:
    short = EnhancementConfig(place="edge", routine_s=600, detection_s=6000, alert_s=60_000)
    async with start_server() as server, asking(server) as (http,):
        async with edge_of(server, codec, valkey.url, short) as edge:
            await edge.send(stream[:2])
        kept = await http.post(f"{edge.frames}/1-2/keep")
        assert kept.json()["enhancement"]["state"] == "at_edge"
        async with edge_of(server, codec, valkey.url, short) as later:
            await later.send(stream[:1])  # in another session
            for sequence in (1, 2):
                await until(lambda: _lives(site, layer_key(sequence), 6_000_000))  # noqa: B023


async def test_a_frame_that_is_kept_outlives_its_stream_with_its_result(
    start_server: StartServer,
    codec: Codec,
    stream: list[GroupFrame],
    valkey: EmbeddedStore,
    client: Redis,
) -> None:
    async with (
        start_server(SquareSpotter(), frames_kept=9, group_frames=4) as server,
        edge_of(server, codec, valkey.url, AT_EDGE) as edge,
        asking(server) as (http,),
    ):
        await edge.send(stream[:2])
        await recognised(client, 2)
        before = (await http.get(f"{edge.frames}/1-2")).json()
        machine = await http.get(f"{edge.frames}/1-2/image", params={"format": "png"})
        assert (await http.post(f"{edge.frames}/1-2/keep")).status_code == 200
        for round_ in range(1, 4):
            again = [replace(frame, key=frame.key + 100 * round_) for frame in stream]
            await edge.send(again, first_turn=100 * round_ + 1)
        await until(lambda: _trimmed(client, "1-2"))
        listed = (await http.get(f"/v1/cameras/{edge.camera_id}/kept")).json()
        assert ([frame["frame"] for frame in listed["frames"]], listed["next"]) == (["1-2"], None)
        for sequence in (1, 2):
            await until(lambda: _lives(client, store_keys.kept("front-door", 1, sequence), 0))  # noqa: B023
        assert (await http.get(f"{edge.frames}/1-2")).json() == before
        assert (
            await http.get(f"{edge.frames}/1-2/image", params={"format": "png"})
        ).content == machine.content
        assert (await view(http, edge, "1-2")).status_code == 200
        newest = (await http.get(f"{edge.frames}?limit=3")).json()["frames"]
        for frame in newest:
            assert (await http.post(f"{frame['links']['self']}/keep")).status_code == 200
        address, pages = f"/v1/cameras/{edge.camera_id}/kept?limit=2", []
        while address:
            page = (await http.get(address)).json()
            pages.append([frame["frame"] for frame in page["frames"]])
            address = page["next"]
        kept = [frame["frame"] for frame in newest]
        assert pages == [kept[:2], [kept[2], "1-2"]]


async def _trimmed(client: Redis, name: str) -> bool:
    return not await client.xrange(store_keys.frames("front-door"), name, name)
