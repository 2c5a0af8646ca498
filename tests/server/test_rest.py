"""REST: cameras, frames, views, raw layers and every refusal as a problem document."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server.catalogue import Catalogue
from server.config import ServerConfig
from server.enhancement_stores import EnhancementStores
from server.process import Server
from server.store.embedded import EmbeddedStore
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, SquareSpotter, edge_stream, keep_enhancement, recognised, until

Encoded = list[EncodedFrame]
FRAMES = "/v1/cameras/front-door/frames"


@asynccontextmanager
async def rest(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=server.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@asynccontextmanager
async def serving(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    count: int = 1,
    **settings: object,
) -> AsyncIterator[httpx.AsyncClient]:
    """A server with `count` recognised frames 1-1, 1-2, ... whose enhancement layers are stored."""
    async with start_server(SquareSpotter(), **settings) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence in range(1, count + 1):
            layers = encoded[(sequence - 1) % len(encoded)]
            await keep_enhancement(client, await edge.send(sequence, layers), layers)
        await recognised(client, count)
        async with rest(server) as http:
            yield http


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["instance"] == response.request.url.path
    assert body["detail"]
    return body


def pixels(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


async def test_cameras(start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        (camera,) = (await http.get("/v1/cameras")).json()["cameras"]
        assert camera["camera"] == "front-door"
        assert camera["session"] == 1
        assert camera["last_frame_at"].endswith("Z")
        assert camera["state"] == "live"
        assert camera["since"] <= camera["last_frame_at"]
        assert camera["awaiting"] == 0
        assert camera["frames"] == FRAMES


async def test_one_frame_with_its_result(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        frame = (await http.get(f"{FRAMES}/1-1")).json()
        assert frame["frame"] == "1-1"
        assert (frame["session"], frame["sequence"], frame["pts_us"]) == (1, 1, 40_000)
        assert frame["machine_bytes"] == len(encoded[0].machine)
        assert frame["enhancement"]["state"] == "kept"
        assert frame["enhancement"]["bytes"] == len(encoded[0].enhancement)
        assert frame["result"]["detections"][0] == {
            "label": "square",
            "score": 0.9,
            "box": {"x_min": 0.0, "y_min": 0.0, "x_max": 48.0, "y_max": 32.0},
            "track": None,
            "zones": [],
            "mask": None,
            "keypoints": [],
        }
        for link in frame["links"].values():
            assert (await http.get(link)).status_code == 200


async def test_frames_are_listed_newest_first_page_by_page(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client, count=5) as http:
        pages = []
        address: str | None = f"{FRAMES}?limit=2"
        while address is not None:
            page = (await http.get(address)).json()
            pages.append([frame["frame"] for frame in page["frames"]])
            address = page["next"]
        assert pages == [["1-5", "1-4"], ["1-3", "1-2"], ["1-1"]]


async def test_a_page_is_read_a_few_frames_at_a_time_and_without_their_layers(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client, count=6):
        catalogue = Catalogue(client, EnhancementStores(client, ServerConfig()), read_at_once=2)
        await client.config_resetstat()
        page = await catalogue.frames("front-door", before=None, limit=5)
        assert (await client.info("commandstats"))["cmdstat_xrevrange"]["calls"] == 3
        assert [stored.name for stored in page.frames] == ["1-6", "1-5", "1-4", "1-3", "1-2"]
        assert page.next_before == "1-2"
        assert [stored.machine_bytes for stored in page.frames] == [
            len(layers.machine) for layers in encoded[5:0:-1]
        ]
        assert not any(stored.frame.machine_layer for stored in page.frames)
        assert all(stored.result is not None for stored in page.frames)
        last = await catalogue.frames("front-door", before="1-2", limit=5)
        assert ([stored.name for stored in last.frames], last.next_before) == (["1-1"], None)


async def test_a_page_has_its_limit(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(
        start_server, codec, encoded, client, count=4, page_frames=2, page_frames_limit=3
    ) as http:
        assert len((await http.get(FRAMES)).json()["frames"]) == 2
        assert len((await http.get(f"{FRAMES}?limit=50")).json()["frames"]) == 3


async def test_the_machine_view_is_what_the_codec_decodes(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        response = await http.get(f"{FRAMES}/1-1/image?view=machine&format=png")
        assert response.headers["content-type"] == "image/png"
        assert response.headers["cache-control"] == "private, no-cache"
        np.testing.assert_array_equal(pixels(response), codec.decode_machine(encoded[0].machine))


@pytest.mark.parametrize("slices", [None, 1, 3, 5])
async def test_the_human_view_is_what_the_codec_fuses(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, slices: int | None
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        asked = "" if slices is None else f"&slices={slices}"
        response = await http.get(f"{FRAMES}/1-1/image?view=human&format=png{asked}")
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["secondsight-machine-bytes"] == str(len(encoded[0].machine))
        assert response.headers["secondsight-enhancement-bytes"] == str(len(encoded[0].enhancement))
        fused = codec.decode_human(encoded[0].machine, encoded[0].enhancement, slices=slices)
        np.testing.assert_array_equal(pixels(response), fused)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "image/webp"),
        ("image/jpeg;q=0.5, image/png;q=0.9", "image/png"),
        ("image/*;q=0.3, image/jpeg;q=0", "image/webp"),
        ("image/avif", "image/avif"),
        ("image/avif, image/*;q=0.8", "image/avif"),
        ("image/avif;q=0.2, image/*;q=0.1", "image/avif"),
        ("image/jpeg;q=nan, image/png;q=0.1", "image/png"),
    ],
)
async def test_the_format_is_negotiated(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, accept: str, media_type: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        response = await http.get(f"{FRAMES}/1-1/image", headers={"Accept": accept})
        assert response.headers["content-type"] == media_type
        assert response.headers["vary"] == "Accept"
        assert pixels(response).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("width", "shape"), [(48, (32, 48, 3)), (96, (64, 96, 3)), (500, (64, 96, 3)), (1, (1, 1, 3))]
)
@pytest.mark.parametrize("view", ["machine", "human"])
async def test_a_picture_is_shrunk_and_never_enlarged(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    width: int,
    shape: tuple[int, ...],
    view: str,
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        whole = await http.get(f"{FRAMES}/1-1/image?view={view}")
        shrunk = await http.get(f"{FRAMES}/1-1/image?view={view}&width={width}")
        assert pixels(shrunk).shape == shape
        assert shrunk.headers["etag"] != whole.headers["etag"]


async def test_frames_are_found_by_when_they_were_captured(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client, count=5) as http:
        every = (await http.get(FRAMES)).json()["frames"]
        times = {frame["frame"]: frame["captured_at"] for frame in every}
        window = {"from": times["1-2"], "to": times["1-5"], "limit": 2}
        first = (await http.get(FRAMES, params=window)).json()
        assert [frame["frame"] for frame in first["frames"]] == ["1-4", "1-3"]
        second = (await http.get(first["next"])).json()
        assert [frame["frame"] for frame in second["frames"]] == ["1-2"]
        assert second["next"] is None
        assert (await http.get(FRAMES, params={"to": times["1-1"]})).json()["frames"] == []
        nearest = (await http.get(f"{FRAMES}/at", params={"time": times["1-3"]})).json()
        assert nearest["frame"] == "1-3"
        assert (await http.get(f"{FRAMES}/at?time=2001-01-01T00:00:00Z")).json()["frame"] == "1-1"
        problem(await http.get(f"{FRAMES}/at?time=yesterday"), 422, "invalid-request")
        problem(await http.get(f"{FRAMES}/at?time=2001-01-01T00:00:00"), 422, "invalid-request")
        problem(
            await http.get("/v1/cameras/nowhere/frames/at?time=2001-01-01T00:00:00Z"), 404, "unknown-camera"
        )


async def test_results_of_another_task_are_asked_for_by_its_name(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        people = analytics_pb2.RecognitionResult(task="people", recogniser="somebody")
        await client.xadd(
            store_keys.results("front-door", "people"),
            {store_keys.RESULT_FIELD: people.SerializeToString()},
            id="1-1",
        )
        for address in (f"{FRAMES}/1-1?", f"{FRAMES}/at?time=2030-01-01T00:00:00Z&"):
            assert (await http.get(address)).json()["result"]["task"] == "recognise"
            assert (await http.get(f"{address}task=people")).json()["result"]["recogniser"] == "somebody"
            assert (await http.get(f"{address}task=cars")).json()["result"] is None
        (listed,) = (await http.get(FRAMES, params={"task": "people"})).json()["frames"]
        assert listed["result"]["task"] == "people"
        problem(await http.get(FRAMES, params={"task": "People!"}), 422, "invalid-request")


async def test_what_the_client_holds_is_not_sent_again(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        tags = set()
        for address in (
            f"{FRAMES}/1-1/image?format=png",
            f"{FRAMES}/1-1/image?format=webp",
            f"{FRAMES}/1-1/image?view=human",
            f"{FRAMES}/1-1/image?view=human&slices=2",
            f"{FRAMES}/1-1/layers/machine",
        ):
            tag = (await http.get(address)).headers["etag"]
            tags.add(tag)
            again = await http.get(address, headers={"If-None-Match": f'"other", {tag}'})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == tag
        assert len(tags) == 5


async def test_raw_layers(start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        machine = await http.get(f"{FRAMES}/1-1/layers/machine")
        assert machine.content == encoded[0].machine
        assert machine.headers["content-type"] == "application/octet-stream"
        assert (await http.get(f"{FRAMES}/1-1/layers/enhancement")).content == encoded[0].enhancement


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/v1/cameras/nowhere/frames", "unknown-camera"),
        ("/v1/cameras/nowhere/frames/1-1", "unknown-camera"),
        ("/v1/cameras/nowhere/frames/1-1/image", "unknown-camera"),
        (f"{FRAMES}/1-99", "unknown-frame"),
        (f"{FRAMES}/latest", "unknown-frame"),
        (f"{FRAMES}/1-99/image?view=human", "unknown-frame"),
        (f"{FRAMES}/1-99/layers/machine", "unknown-frame"),
    ],
)
async def test_unknown_names_are_404(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, path: str, slug: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        problem(await http.get(path), 404, slug)


async def test_an_expired_enhancement_is_410_and_the_machine_view_stays(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        tag = (await http.get(f"{FRAMES}/1-1/image?view=human")).headers["etag"]
        await client.pexpire(store_keys.enhancement("front-door", 1, 1), 1)
        await asyncio.sleep(0.01)
        for path in ("image?view=human", "layers/enhancement"):
            problem(await http.get(f"{FRAMES}/1-1/{path}"), 410, "enhancement-expired")
        held = await http.get(f"{FRAMES}/1-1/image?view=human", headers={"If-None-Match": tag})
        problem(held, 410, "enhancement-expired")
        assert (await http.get(f"{FRAMES}/1-1/image")).status_code == 200
        assert (await http.get(f"{FRAMES}/1-1")).json()["enhancement"]["state"] == "expired"


async def test_an_enhancement_that_went_before_its_time_was_evicted(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    receipt = frame_pb2.EnhancementReceipt()
    async with start_server() as server, edge_stream(server, codec) as edge, rest(server) as http:
        await edge.hello()
        for sequence, life in ((1, 600), (2, -600)):
            receipt.expires_at.FromSeconds(int(time.time()) + life)
            await edge.send(sequence, encoded[0], enhancement=receipt)
        await edge.ack_of(2)
        for path in ("image?view=human", "layers/enhancement"):
            gone = problem(await http.get(f"{FRAMES}/1-1/{path}"), 410, "enhancement-evicted")
            assert "full" in str(gone["detail"])
            problem(await http.get(f"{FRAMES}/1-2/{path}"), 410, "enhancement-expired")
        states = [frame["enhancement"]["state"] for frame in (await http.get(FRAMES)).json()["frames"]]
        assert states == ["expired", "evicted"]


async def test_an_enhancement_that_never_was_is_its_own_404(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server() as server, edge_stream(server, codec) as edge, rest(server) as http:
        await edge.hello()
        await edge.send(1, EncodedFrame(encoded[0].machine, b""))
        await edge.ack_of(1)
        problem(await http.get(f"{FRAMES}/1-1/image?view=human"), 404, "enhancement-not-stored")
        problem(await http.get(f"{FRAMES}/1-1/layers/enhancement"), 404, "enhancement-not-stored")
        assert (await http.get(f"{FRAMES}/1-1")).json()["enhancement"]["state"] == "not_stored"


@pytest.mark.parametrize(
    "query", ["slices=0", "slices=6", "slices=many", "view=xray", "format=tiff", "view=human&slices=-1"]
)
async def test_a_bad_query_is_422(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, query: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        body = problem(await http.get(f"{FRAMES}/1-1/image?{query}"), 422, "invalid-request")
        assert body["errors"]


async def test_more_slices_than_are_stored_is_422(
    start_server: StartServer, codec: Codec, pictures: list[np.ndarray], client: Redis
) -> None:
    two = [codec.encode(pictures[0], slices=2)]
    async with serving(start_server, codec, two, client) as http:
        assert (await http.get(f"{FRAMES}/1-1/image?view=human&slices=2")).status_code == 200
        problem(await http.get(f"{FRAMES}/1-1/image?view=human&slices=3"), 422, "slices-not-stored")


@pytest.mark.parametrize("query", ["limit=0", "limit=few"])
async def test_a_bad_limit_is_422(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, query: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        problem(await http.get(f"{FRAMES}?{query}"), 422, "invalid-request")


async def test_a_time_that_ends_before_it_begins_is_422(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    backwards = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    async with serving(start_server, codec, encoded, client) as http:
        problem(await http.get(FRAMES, params=backwards), 422, "invalid-range")
        problem(await http.get("/v1/marks/summary", params=backwards), 422, "invalid-range")


@pytest.mark.parametrize("cursor", ["%20", "bm9uc2Vuc2U", "ü", "!!!!!"])
async def test_a_cursor_that_was_never_issued_is_422(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, cursor: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        problem(await http.get(f"{FRAMES}?cursor={cursor}"), 422, "invalid-cursor")


async def test_no_acceptable_format_is_406(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        response = await http.get(f"{FRAMES}/1-1/image", headers={"Accept": "text/html, image/gif"})
        assert "image/webp" in str(problem(response, 406, "not-acceptable")["detail"])


async def test_layers_that_do_not_belong_together_are_502(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        await client.set(store_keys.enhancement("front-door", 1, 1), encoded[5].enhancement)
        body = problem(await http.get(f"{FRAMES}/1-1/image?view=human"), 502, "undecodable-layer")
        assert "MismatchError" in str(body["detail"])
        await client.set(store_keys.enhancement("front-door", 1, 1), b"rubbish")
        problem(await http.get(f"{FRAMES}/1-1/image?view=human"), 502, "undecodable-layer")


async def test_a_machine_layer_that_cannot_be_decoded_is_502(
    start_server: StartServer, client: Redis
) -> None:
    frame = frame_pb2.Frame(id=frame_pb2.FrameId(camera_id="front-door", session=1, sequence=1))
    await client.xadd(
        store_keys.frames("front-door"), {store_keys.FRAME_FIELD: frame.SerializeToString()}, id="1-1"
    )
    await client.hset(store_keys.CAMERAS, "front-door", 1)
    async with start_server() as server, rest(server) as http:
        await recognised(client, 1)
        problem(await http.get(f"{FRAMES}/1-1/image"), 502, "undecodable-layer")
        assert (await http.get(f"{FRAMES}/1-1")).json()["result"]["failure"]


@pytest.mark.parametrize("view", ["machine", "human"])
async def test_a_codec_that_runs_out_of_memory_is_a_problem_of_its_own(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    monkeypatch: pytest.MonkeyPatch,
    view: str,
) -> None:
    def short_of_memory(*layers: bytes, **options: object) -> np.ndarray:
        raise torch.OutOfMemoryError("tried to allocate 9 GiB")

    async with serving(start_server, codec, encoded, client, pictures_bytes=0) as http:
        monkeypatch.setattr(codec, f"decode_{view}", short_of_memory)
        body = problem(await http.get(f"{FRAMES}/1-1/image?view={view}"), 503, "decoding-failed")
        assert "OutOfMemoryError" in str(body["detail"])


async def test_views_beyond_the_limit_are_503_and_told_when_to_come_back(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, decode = threading.Event(), codec.decode_human

    def held(*layers: Any, **options: Any) -> np.ndarray:
        assert released.wait(PATIENCE)
        return decode(*layers, **options)

    async with serving(start_server, codec, encoded, client, views_at_once=2) as http:
        monkeypatch.setattr(codec, "decode_human", held)
        views = [asyncio.create_task(http.get(f"{FRAMES}/1-1/image?view=human")) for _ in range(6)]

        async def others_are_answered() -> bool:
            return sum(view.done() for view in views) == 4

        try:
            await until(others_are_answered)
        finally:
            released.set()
        answers = await asyncio.gather(*views)
        assert sum(answer.status_code == 200 for answer in answers) == 2
        for answer in answers:
            if answer.status_code == 200:
                continue
            problem(answer, 503, "views-busy")
            assert answer.headers["retry-after"] == "1"
        assert (await http.get(f"{FRAMES}/1-1/image?view=human")).status_code == 200


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(start_server: StartServer) -> None:
    async with start_server() as server, rest(server) as http:
        for method, address, status in (
            ("GET", "/v1/nothing", 404),
            ("POST", "/v1/nothing/at/all", 404),
            ("DELETE", "/v1/nothing", 404),
            ("POST", "/v1/cameras", 405),
            ("DELETE", "/v1/users", 405),
        ):
            response = await http.request(method, address)
            assert response.status_code == status, address
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["type"] == "about:blank"
        assert (await http.delete("/v1/users")).headers["allow"] == "GET, POST"
        for probe in ("/healthz", "/readyz"):
            headed = await http.head(probe)
            assert (headed.status_code, headed.content) == (200, b"")
        for known in ("/v1/cameras", f"{FRAMES}/1-1/image"):
            probed = await http.head(known)
            assert (probed.status_code, probed.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_does_not_say_that_it_is_json_is_told_to(
    start_server: StartServer, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    async with start_server() as server, rest(server) as http:
        refused = await http.post("/v1/clips", content=b'{"camera": "gate"}', headers=headers)
        assert refused.status_code == 415
        assert "application/json" in refused.json()["detail"]
        said = {"Content-Type": "application/json; charset=utf-8"}
        problem(
            await http.post("/v1/clips", content=b'{"camera": "gate"}', headers=said), 422, "invalid-request"
        )
        problem(await http.post("/v1/clips", content=b"[]", headers=said), 422, "invalid-request")


async def test_probes_and_metrics(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        ready = await http.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {"ready": True, "store": True, "store_detail": "", "leaving": False}
        await http.get(f"{FRAMES}/1-1/image?view=human")
        text = (await http.get("/metrics")).text
        for name in (
            'secondsight_frames_stored_total{camera="front-door",type="key"}',
            'secondsight_frames_recognised_total{camera="front-door"}',
            'secondsight_layer_bytes_total{camera="front-door",layer="machine"}',
            "secondsight_decode_seconds_count",
            "secondsight_recognise_seconds_count",
            "secondsight_human_view_seconds_count",
            "secondsight_capture_to_result_seconds_count",
        ):
            assert name in text


async def test_a_store_that_is_away_is_503(
    start_server: StartServer, codec: Codec, encoded: Encoded, valkey: EmbeddedStore
) -> None:
    async with start_server(url=valkey.url, store_patience=0.2) as server, rest(server) as http:
        async with edge_stream(server, codec) as edge:
            await edge.hello()
            await edge.send(1, encoded[0])
            await edge.ack_of(1)
        await asyncio.to_thread(valkey.stop)
        for path in ("/v1/cameras", FRAMES, f"{FRAMES}/1-1", f"{FRAMES}/1-1/image?view=human"):
            response = await http.get(path)
            problem(response, 503, "store-unavailable")
            assert response.headers["retry-after"]
        ready = await http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["store"] is False
        assert (await http.get("/healthz")).status_code == 200


async def test_over_a_real_socket(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await keep_enhancement(client, await edge.send(1, encoded[0]), encoded[0])
        await recognised(client, 1)
        async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=PATIENCE) as http:
            view = await http.get(f"{FRAMES}/1-1/image?view=human&format=png")
            fused = codec.decode_human(encoded[0].machine, encoded[0].enhancement)
            np.testing.assert_array_equal(pixels(view), fused)
            page = await http.get("/")
            assert "text/html" in page.headers["content-type"]
            assert "default-src 'self'" in page.headers["content-security-policy"]
            openapi = (await http.get("/openapi.json")).json()
            assert "/v1/cameras/{camera}/frames/{frame}/image" in json.dumps(openapi)


async def test_the_page_comes_with_its_files_and_no_others(start_server: StartServer) -> None:
    async with start_server() as server, rest(server) as http:
        for file in ("index.html", "page.css", "page.js", "favicon.svg"):
            assert (await http.get(f"/{file}")).status_code == 200
        assert (await http.get("/__init__.py")).status_code == 404


async def test_an_entry_that_is_no_frame_is_502(start_server: StartServer, client: Redis) -> None:
    await client.xadd(store_keys.frames("front-door"), {store_keys.FRAME_FIELD: b"\xff\xff"}, id="1-1")
    await client.hset(store_keys.CAMERAS, "front-door", 1)
    async with start_server() as server, rest(server) as http:
        problem(await http.get(f"{FRAMES}/1-1"), 502, "undecodable-layer")


@pytest.mark.parametrize("slug", ["unknown-camera", "enhancement-evicted", "views-busy", "invalid-request"])
async def test_the_type_of_a_problem_can_be_looked_up(start_server: StartServer, slug: str) -> None:
    async with start_server() as server, rest(server) as http:
        explained = await http.get(f"/problems/{slug}")
        assert explained.status_code == 200
        assert len(explained.text.splitlines()) >= 3
        assert (await http.get("/problems/no-such")).status_code == 404


async def test_the_page_travels_compressed_and_is_not_sent_again(start_server: StartServer) -> None:
    async with start_server() as server, rest(server) as http:
        whole = await http.get("/wall.js", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in whole.headers
        packed = await http.get("/wall.js", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(packed.content) / 2
        assert packed.content == whole.content
        again = await http.get("/wall.js", headers={"If-None-Match": packed.headers["etag"]})
        assert again.status_code == 304
