"""Event streams: what they tell, where they go on, whom they let in, and what a slow reader costs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server import metrics
from server.access.caller import LOOPBACK
from server.process import Server
from server.rest.event_stream import EventStream
from server.store.client import STORE_ERRORS, open_client
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from server.subscriptions import Wanted
from shared_models import Codec, EncodedFrame
from tests.server.conftest import CONFIG, StartServer
from tests.server.harness import PATIENCE, EdgeStream, SquareSpotter, edge_stream, recognised, until
from tests.server.people import People

Encoded = list[EncodedFrame]


@dataclass(frozen=True)
class Event:
    """As an EventSource dispatches it."""

    name: str
    id: str
    data: Any


Next = Callable[[], Awaitable[Event]]


class StreamOverError(Exception):
    """The server ended the stream."""


@asynccontextmanager
async def events(server: Server, headers: dict[str, str] | None = None, **query: Any) -> AsyncIterator[Next]:
    """Open a stream; gives a function that returns the next event."""
    async with (
        httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
        http.stream("GET", "/v1/events", params=query, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        last = ""

        async def following() -> Event:
            nonlocal last
            name, data = "message", []
            async with asyncio.timeout(PATIENCE):
                async for line in lines:
                    if line.startswith("id: "):
                        last = line[4:]
                    elif line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: "):
                        data.append(line[6:])
                    elif not line and data:
                        return Event(name, last, json.loads("\n".join(data)))
                    elif not line:
                        name = "message"
            raise StreamOverError

        yield following


async def result(following: Next) -> Event:
    """The next result."""
    return await named(following, "result")


async def named(following: Next, name: str) -> Event:
    while True:
        event = await following()
        if event.name == name:
            return event


async def push(edge: EdgeStream, encoded: Encoded, *sequences: int) -> None:
    for sequence in sequences:
        await edge.send(sequence, encoded[sequence % len(encoded)])
        await edge.ack_of(sequence)


async def publish(client: Redis, *sequences: int, camera_id: str = "front-door") -> None:
    """Results as a worker publishes them, of a camera that nobody drives."""
    await client.hset(store_keys.CAMERAS, camera_id, 1)
    for sequence in sequences:
        message = analytics_pb2.RecognitionResult(
            detections=[analytics_pb2.Detection(label="square", score=0.9)]
        )
        message.frame.camera_id, message.frame.session, message.frame.sequence = camera_id, 1, sequence
        message.captured_at.GetCurrentTime()
        message.recognised_at.GetCurrentTime()
        await client.xadd(
            store_keys.results(camera_id),
            {store_keys.RESULT_FIELD: message.SerializeToString()},
            id=f"1-{sequence}",
        )


async def test_cameras_at_first_and_results_as_they_come(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await push(edge, encoded, 1)
        await recognised(client, 1)
        async with events(server) as following:
            there = await following()
            assert (there.name, there.data) == ("cameras", {"cameras": ["front-door"]})
            camera = await following()
            assert (camera.name, camera.data["camera"], camera.data["state"]) == (
                "camera",
                "front-door",
                "live",
            )
            await push(edge, encoded, 2)
            told = await result(following)
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            frame = (await http.get("/v1/cameras/front-door/frames/1-2")).json()
        assert told.data == frame
        assert [detection["label"] for detection in told.data["result"]["detections"]] == ["square", "shadow"]


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_stream_goes_on_where_an_earlier_one_was(
    start_server: StartServer, client: Redis, by_header: bool
) -> None:
    async with start_server() as server:
        await publish(client, 1)
        async with events(server) as following:
            await publish(client, 2, 3, 4)
            seen = [await result(following) for _ in range(2)]
        await publish(client, 5)
        await publish(client, 1, camera_id="new-one")
        id_ = seen[-1].id
        query = {} if by_header else {"after": id_}
        headers = {"Last-Event-ID": id_} if by_header else {}
        async with events(server, headers, **query) as following:
            later = [await result(following) for _ in range(3)]
        assert [event.data["frame"] for event in seen] == ["1-2", "1-3"]
        assert sorted((event.data["camera"], event.data["frame"]) for event in later) == [
            ("front-door", "1-4"),
            ("front-door", "1-5"),
            ("new-one", "1-1"),
        ]


async def test_a_stream_that_told_nothing_can_be_gone_on_with(
    start_server: StartServer, client: Redis
) -> None:
    async with start_server() as server:
        await publish(client, 1)
        async with events(server) as following:
            at_first = (await named(following, "camera")).id
        await publish(client, 2)
        async with events(server, after=at_first) as following:
            assert (await result(following)).data["frame"] == "1-2"


async def test_what_was_let_go_of_meanwhile_is_told(start_server: StartServer, client: Redis) -> None:
    async with start_server() as server:
        await publish(client, 1)
        async with events(server) as following:
            await publish(client, 2)
            id_ = (await result(following)).id
        await publish(client, 3, 4, 5)
        await client.xtrim(store_keys.results("front-door"), maxlen=2, approximate=False)
        async with events(server, after=id_) as following:
            dropped = await named(following, "dropped")
            assert dropped.data == {"camera": "front-door", "results": None}
            assert [(await result(following)).data["frame"] for _ in range(2)] == ["1-4", "1-5"]


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ({"after": "no-token"}, "invalid-cursor"),
        ({"after": "AAAAAAAAAA"}, "invalid-cursor"),
        ({"after": "x" * 500}, "invalid-cursor"),
        ({"camera": "No Camera"}, "invalid-subscription"),
        ({"task": "No Task"}, "invalid-subscription"),
        ({"minimum_score": "2"}, "invalid-request"),
        ({"rate": "0"}, "invalid-request"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    start_server: StartServer, query: dict[str, str], slug: str
) -> None:
    async with (
        start_server() as server,
        httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
    ):
        answer = await http.get("/v1/events", params=query)
        assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{slug}")


async def test_a_token_is_of_one_task(start_server: StartServer, client: Redis) -> None:
    async with start_server() as server:
        await publish(client, 1)
        async with events(server) as following:
            id_ = (await following()).id
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            answer = await http.get("/v1/events", params={"after": id_, "task": "other"})
        assert answer.json()["type"] == "/problems/invalid-cursor"


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"label": "shadow"}, ["shadow"]),
        ({"minimum_score": 0.5}, ["square"]),
        ({"label": ["shadow", "square"], "minimum_score": 0.3}, ["square", "shadow"]),
        ({}, ["square", "shadow"]),
    ],
)
async def test_detections_are_filtered(
    start_server: StartServer, codec: Codec, encoded: Encoded, query: dict[str, Any], labels: list[str]
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        async with events(server, **query) as following:
            await push(edge, encoded, 1)
            told = await result(following)
        assert [detection["label"] for detection in told.data["result"]["detections"]] == labels


async def test_with_a_rate_the_newest_win(start_server: StartServer, client: Redis) -> None:
    async with start_server() as server:
        await publish(client, 1)
        async with events(server, rate=4) as following:
            await publish(client, *range(2, 42))
            frames = []
            while not frames or frames[-1] != "1-41":
                frames.append((await result(following)).data["frame"])
            assert len(frames) < 20
            id_ = (await _next_id(client, following, 42)).id
        await publish(client, 43, 44, 45)
        async with events(server, rate=4, after=id_) as following:
            assert (await result(following)).data["frame"] == "1-45"


async def _next_id(client: Redis, following: Next, sequence: int) -> Event:
    await publish(client, sequence)
    return await result(following)


async def test_a_camera_that_changes_is_told(
    start_server: StartServer, codec: Codec, encoded: Encoded
) -> None:
    async with start_server(SquareSpotter(), cameras_look=0.05) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await push(edge, encoded, 1)
        async with events(server) as following:
            assert (await named(following, "camera")).data["state"] == "live"
            edge.call.cancel()
            # What else changes meanwhile, as the frame that awaited recognition, is told too.
            while (await named(following, "camera")).data["state"] == "live":
                pass


async def test_cameras_are_told_to_those_that_may_see_them(
    start_server: StartServer, people: People, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        for camera_id in ("gate", "yard"):
            await publish(client, 1, camera_id=camera_id)
        async with events(server, people.header("yuri")) as following:
            await publish(client, 2, camera_id="gate")
            await publish(client, 2, camera_id="yard")
            there = await following()
            assert (there.name, there.data) == ("cameras", {"cameras": ["yard"]})
            told = [await following() for _ in range(2)]
            assert {(event.name, event.data["camera"]) for event in told} == {
                ("camera", "yard"),
                ("result", "yard"),
            }
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            answer = await http.get("/v1/events", params={"camera": "gate"}, headers=people.header("yuri"))
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
            assert (await http.get("/v1/events")).status_code == 401


async def test_an_erased_camera_is_told_and_may_come_back(start_server: StartServer, client: Redis) -> None:
    async with (
        start_server(cameras_look=0.05) as server,
        httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
    ):
        for camera_id in ("gate", "yard"):
            await publish(client, 1, camera_id=camera_id)
        async with events(server, rate=1) as following:
            assert (await named(following, "cameras")).data == {"cameras": ["gate", "yard"]}
            assert {(await named(following, "camera")).data["camera"] for _ in range(2)} == {"gate", "yard"}
            assert (await http.delete("/v1/cameras/gate")).status_code == 204
            assert (await following()).data == {"cameras": ["yard"]}
            async with events(server, rate=1) as later:
                assert (await later()).data == {"cameras": ["yard"]}
                assert (await later()).data["camera"] == "yard"
            await publish(client, 2, camera_id="gate")
            told = {(event.name, event.data["camera"]) for event in [await following() for _ in range(2)]}
            assert told == {("camera", "gate"), ("result", "gate")}


async def test_a_camera_erased_while_nobody_looked_is_told_to_none(
    start_server: StartServer, client: Redis
) -> None:
    async with (
        start_server(cameras_look=60.0) as server,
        httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
    ):
        await publish(client, 1, camera_id="gate")
        async with events(server) as following:
            assert (await following()).data == {"cameras": ["gate"]}

        async def closed() -> bool:
            return metrics.EVENT_STREAMS._value.get() == 0

        await until(closed)
        assert (await http.delete("/v1/cameras/gate")).status_code == 204
        async with events(server) as following:
            assert (await following()).data == {"cameras": []}


async def test_of_an_erased_camera_hears_nobody_who_may_not_see_it(
    start_server: StartServer, people: People, client: Redis
) -> None:
    async with (
        start_server(access_file=people.file.path, cameras_look=0.05) as server,
        httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http,
    ):
        for camera_id in ("gate", "yard"):
            await publish(client, 1, camera_id=camera_id)
        async with (
            events(server, people.header("anna")) as all_see,
            events(server, people.header("yuri")) as following,
        ):
            assert (await named(all_see, "cameras")).data == {"cameras": ["gate", "yard"]}
            assert (await named(following, "cameras")).data == {"cameras": ["yard"]}
            assert (await named(following, "camera")).data["camera"] == "yard"
            for camera_id, left in (("gate", ["yard"]), ("yard", [])):
                erased = await http.delete(
                    f"/v1/cameras/{camera_id}", params={"reason": "a test"}, headers=people.header("anna")
                )
                assert erased.status_code == 204, erased.text
                assert (await named(all_see, "cameras")).data == {"cameras": left}
            assert (await following()).data == {"cameras": []}


async def test_cameras_stay_while_the_store_is_away(
    start_server: StartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = StoreConfig(data=tmp_path / "own", port=0)
    with ExitStack() as stores:
        store = stores.enter_context(EmbeddedStore(config))
        client = open_client(store.url)
        async with start_server(url=store.url, store_patience=0.2, cameras_look=0.05) as server:
            await publish(client, 1)
            async with events(server) as following:
                assert (await named(following, "cameras")).data == {"cameras": ["front-door"]}
                assert (await following()).name == "camera"
                stores.close()

                async def looked() -> bool:
                    return "the state of the cameras" in caplog.text

                await until(looked)
                stores.enter_context(EmbeddedStore(replace(config, port=urlsplit(store.url).port or 0)))
                await publish(client, 2)
                assert (await following()).data["frame"] == "1-2"
        await client.aclose()


async def test_a_stream_ends_with_the_access(
    start_server: StartServer, people: People, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        await publish(client, 1, camera_id="gate")
        async with events(server, people.header("vera")) as following:
            await following()
            people.file.change(lambda register: register.without_user("vera"))
            with pytest.raises(StreamOverError):
                await result(following)


async def test_a_leaving_server_ends_streams_at_once(start_server: StartServer, client: Redis) -> None:
    async with start_server(drain_grace=PATIENCE) as server:
        await publish(client, 1)
        async with events(server) as following:
            await following()
            server._subscriptions.leave()
            with pytest.raises(StreamOverError):
                await result(following)


async def test_streams_are_limited_and_their_room_is_given_back(
    start_server: StartServer, people: People, client: Redis
) -> None:
    async with start_server(access_file=people.file.path, streams_at_once=2, streams_each=1) as server:
        await publish(client, 1, camera_id="gate")
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:

            async def refused(name: str) -> str:
                answer = await http.get("/v1/events", headers=people.header(name))
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["type"] == "/problems/streams-busy"
                return str(answer.json()["detail"])

            async with events(server, people.header("vera")):
                assert "you have 1 event streams open" in await refused("vera")
                async with events(server, people.header("otto")):
                    assert "the server has 2 event streams open" in await refused("anna")

        async def closed() -> bool:
            return metrics.EVENT_STREAMS._value.get() == 0

        await until(closed)
        async with events(server, people.header("vera")) as following:
            assert (await following()).name == "cameras"


async def test_a_slow_reader_is_told_how_much_it_missed(start_server: StartServer, client: Redis) -> None:
    async with start_server(results_read_at_once=4) as server:
        await publish(client, 1)
        live, subscriptions = server.app.state.live, server._subscriptions
        async with live.place(LOOPBACK):
            positions = await subscriptions.positions(
                ["front-door"], store_keys.DEFAULT_TASK, {}, otherwise_first=False
            )
            stream = EventStream(
                live, subscriptions, LOOPBACK, Wanted(), None, positions, config=_behind(server, 10)
            )
            chunks = stream.chunks()
            told = ""

            async def read_until(word: str) -> None:
                nonlocal told
                async with asyncio.timeout(PATIENCE):
                    while word not in told:
                        told += (await anext(chunks)).decode()

            try:
                for sequence in (2, 3):
                    await publish(client, sequence)
                    await read_until(f'"1-{sequence}"')
                await publish(client, *range(4, 103))
                await _come(server, "1-102")
                await read_until('"1-102"')
            finally:
                await chunks.aclose()
        given = [line for line in told.splitlines() if line.startswith('data: {"frame"')]
        (dropped,) = [
            json.loads(told.splitlines()[at + 1][6:])
            for at, line in enumerate(told.splitlines())
            if line == "event: dropped"
        ]
        assert dropped["camera"] == "front-door"
        assert dropped["results"] > 0
        assert len(given) + dropped["results"] == 101


def _behind(server: Server, results: int) -> Any:
    return replace(CONFIG, stream_behind=results)


async def _come(server: Server, name: str) -> None:
    """Wait until the feed has this result of the camera."""

    async def there() -> bool:
        recent = server._feed.beginning(store_keys.DEFAULT_TASK, "front-door")
        return recent is not None and recent.results[-1].entry_id == name

    await until(there)


async def test_a_reader_that_takes_nothing_is_let_go(start_server: StartServer, client: Redis) -> None:
    async with start_server(stream_stuck=0.1) as server:
        await publish(client, 1)
        before = metrics.EVENT_STREAMS_STUCK._value.get()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/events",
            "raw_path": b"/v1/events",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 4000),
            "root_path": "",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        async with asyncio.timeout(PATIENCE):
            await server.app(scope, receive, send)
        assert metrics.EVENT_STREAMS_STUCK._value.get() == before + 1
        assert metrics.EVENT_STREAMS._value.get() == 0


async def test_however_many_read_the_store_is_asked_once(start_server: StartServer, client: Redis) -> None:
    async with start_server(cameras_look=60.0) as server:
        await publish(client, 1)
        async with (
            events(server) as one,
            events(server) as two,
            events(server, rate=100) as three,
            events(server, label="square") as four,
        ):
            readers = (one, two, three, four)
            for sequence in (2, 3):
                # All of them wait.
                await publish(client, sequence)
                told = [(await result(reader)).data["frame"] for reader in readers]
                assert told == [f"1-{sequence}"] * 4
            await client.config_resetstat()
            for sequence in range(4, 14):
                await publish(client, sequence)
                for reader in readers:
                    assert (await result(reader)).data["frame"] == f"1-{sequence}"
            counted: Any = await client.info("commandstats")
        assert counted["cmdstat_zscore"]["calls"] == 10
        assert counted.get("cmdstat_xrange", {"calls": 0})["calls"] == 0


async def test_a_store_that_dies_and_comes_back_ends_no_stream(
    start_server: StartServer, tmp_path: Path
) -> None:
    with EmbeddedStore(StoreConfig(data=tmp_path / "own", port=0)) as store:
        client = open_client(store.url)
        async with start_server(url=store.url, store_patience=0.2) as server:
            await publish(client, 1)
            async with events(server) as following:
                await publish(client, 2)
                assert (await result(following)).data["frame"] == "1-2"
                restarts = store.restarts
                os.kill(store.pid, signal.SIGKILL)

                async def published() -> bool:
                    with suppress(*STORE_ERRORS):
                        await publish(client, 3)
                        return store.restarts > restarts
                    return False

                await until(published)
                assert (await result(following)).data["frame"] == "1-3"
        await client.aclose()
