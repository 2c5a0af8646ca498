"""Camera streams through the whole server: recognition, views and layers of predicted frames."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from PIL import Image
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from server.process import Server
from server.recognition import OneByOne, Seen
from server.store.client import open_client
from server.store.embedded import EmbeddedStore
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import (
    PATIENCE,
    EdgeStream,
    SquareSpotter,
    edge_stream,
    keep_enhancement,
    predicted_from,
    recognised,
    results_in,
    subscription,
)

Stream = list[GroupFrame]
FRAMES = "/v1/cameras/front-door/frames"


class Recorder(OneByOne):
    """Keeps the pictures that it is shown."""

    name = "recorder"
    labels = ()

    def warm_up(self) -> None:
        """Frames alone count."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []

    def see(self, image: np.ndarray) -> Seen:
        self.pictures.append(image)
        return Seen()


def machine_views(codec: Codec, stream: Stream) -> list[np.ndarray]:
    """What the codec alone makes of a stream."""
    return [
        codec.decode_machine(frame.machine, codec.reference(stream[frame.key - 1].machine))
        for frame in stream
    ]


def receipt(lifetime: float) -> frame_pb2.EnhancementReceipt:
    """What a receipt says of the time; the layer's size is told by the harness."""
    return frame_pb2.EnhancementReceipt(expires_at=Timestamp(seconds=int(time.time() + lifetime)))


async def push(client: Redis, edge: EdgeStream, stream: Stream, *sequences: int) -> None:
    """Send frames with their enhancement layers stored, and with a receipt that says so."""
    for sequence in sequences:
        frame = stream[sequence - 1]
        sent = await edge.send_in_group(sequence, frame, enhancement=receipt(600))
        await keep_enhancement(client, sent, frame)
        await edge.ack_of(sequence)


@asynccontextmanager
async def rest(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(server.app), base_url="http://127.0.0.1"
    ) as client:
        yield client


@asynccontextmanager
async def serving(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    *sequences: int,
    **settings: object,
) -> AsyncIterator[httpx.AsyncClient]:
    """A server with these frames of the stream, recognised, their enhancement layers stored."""
    async with start_server(SquareSpotter(), **settings) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await push(client, edge, stream, *sequences)
        await recognised(client, len(sequences))
        async with rest(server) as http:
            yield http


def pixels(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def slug_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"]


async def test_the_recogniser_sees_what_the_codec_decodes(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    recorder = Recorder()
    async with (
        start_server(recorder) as server,
        edge_stream(server, codec) as edge,
        subscription(server) as following,
    ):
        await edge.hello()
        await push(client, edge, stream, *range(1, 9))
        for sequence, frame in enumerate(stream, 1):
            result = (await following()).result
            assert not result.failure
            assert result.frame.sequence == sequence
            assert result.HasField("key_frame") == (frame.key != sequence)
            if frame.key != sequence:
                assert result.key_frame == frame_pb2.FrameId(
                    camera_id="front-door", session=1, sequence=frame.key
                )
    for seen, expected in zip(recorder.pictures, machine_views(codec, stream), strict=True):
        np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("references_bytes", [2**26, 0])
async def test_a_worker_that_starts_within_a_group_goes_on_with_it(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, references_bytes: int
) -> None:
    recorder = Recorder()
    for first, last in ((1, 3), (4, 6), (7, 8)):
        async with (
            start_server(recorder, references_bytes=references_bytes) as server,
            edge_stream(server, codec) as edge,
        ):
            await edge.hello(session=0 if first == 1 else 1)
            await push(client, edge, stream, *range(first, last + 1))
            await recognised(client, last)
    for seen, expected in zip(recorder.pictures, machine_views(codec, stream), strict=True):
        np.testing.assert_array_equal(seen, expected)


async def test_a_frame_whose_key_frame_is_gone_gets_a_failure_and_never_a_wrong_picture(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    """Only somebody else's hand in the store brings this about."""

    def stored(sequence: int, key: int) -> bytes:
        return frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id="front-door", session=1, sequence=sequence),
            machine_layer=stream[sequence - 1].machine,
            **predicted_from(1, key),
        ).SerializeToString()

    frames = store_keys.frames("front-door")
    await client.hset(store_keys.CAMERAS, "front-door", 1)
    await client.xadd(frames, {store_keys.FRAME_FIELD: stored(2, key=1)}, id="1-2")
    other = frame_pb2.Frame(machine_layer=stream[4].machine).SerializeToString()
    await client.xadd(frames, {store_keys.FRAME_FIELD: other}, id="1-3")
    await client.xadd(frames, {store_keys.FRAME_FIELD: stored(4, key=3)}, id="1-4")
    recorder = Recorder()
    async with start_server(recorder) as server, rest(server) as http:
        await recognised(client, 3)
        results = await results_in(client)
        assert "key frame 1-1, which is no longer stored" in results["1-2"].failure
        assert not results["1-3"].failure
        assert "ReferenceMissingError" in results["1-4"].failure
        assert slug_of(await http.get(f"{FRAMES}/1-2/image")) == (410, "/problems/key-frame-gone")
        assert slug_of(await http.get(f"{FRAMES}/1-4/image")) == (502, "/problems/undecodable-layer")
    assert len(recorder.pictures) == 1


async def test_views_of_a_predicted_frame_are_what_the_codec_decodes(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    key, frame = stream[0], stream[2]
    reference = codec.reference(key.machine, key.enhancement)
    # Of the frames between them none is needed.
    async with serving(start_server, codec, stream, client, 1, 3) as http:
        machine = await http.get(f"{FRAMES}/1-3/image?format=png")
        np.testing.assert_array_equal(pixels(machine), codec.decode_machine(frame.machine, reference))
        for query, slices in (("", None), ("&slices=2", 2)):
            human = await http.get(f"{FRAMES}/1-3/image?view=human&format=png{query}")
            expected = codec.decode_human(frame.machine, frame.enhancement, slices, reference)
            np.testing.assert_array_equal(pixels(human), expected)
            assert human.headers["secondsight-key-frame"] == "1-1"
            assert human.headers["secondsight-machine-bytes"] == str(len(frame.machine))
            assert human.headers["secondsight-enhancement-bytes"] == str(len(frame.enhancement))
            held = {"If-None-Match": human.headers["etag"]}
            again = await http.get(f"{FRAMES}/1-3/image?view=human&format=png{query}", headers=held)
            assert again.status_code == 304
        assert "secondsight-key-frame" not in (await http.get(f"{FRAMES}/1-1/image")).headers


async def test_frames_name_their_key_frame_and_link_to_its_layers(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with serving(start_server, codec, stream, client, 1, 2, 5, 6) as http:
        listed = (await http.get(FRAMES)).json()["frames"]
        assert [(frame["frame"], frame["key_frame"]) for frame in listed] == [
            ("1-6", "1-5"),
            ("1-5", None),
            ("1-2", "1-1"),
            ("1-1", None),
        ]
        assert {frame["enhancement"]["state"] for frame in listed} == {"kept"}
        frame = (await http.get(f"{FRAMES}/1-6")).json()
        links = frame["links"]
        assert (await http.get(links["key_frame"])).json()["frame"] == "1-5"
        assert (await http.get(links["key_machine_layer"])).content == stream[4].machine
        assert (await http.get(links["key_enhancement_layer"])).content == stream[4].enhancement
        for layer in ("machine", "enhancement"):
            response = await http.get(links[f"{layer}_layer"])
            assert response.content == getattr(stream[5], layer)
            assert response.links["related"]["url"] == links["key_frame"]
        key_links = (await http.get(links["key_frame"])).json()["links"]
        assert "key_frame" not in key_links
        assert not (await http.get(key_links["machine_layer"])).links


@pytest.mark.parametrize(
    ("key_lifetime", "lifetime", "slug"),
    [
        (600, 600, (410, "/problems/enhancement-evicted")),
        (-600, 600, (410, "/problems/enhancement-evicted")),
        (-600, -300, (410, "/problems/enhancement-expired")),
        (None, 600, (404, "/problems/enhancement-not-stored")),
    ],
    ids=["evicted", "evicted although it was made to live on", "expired", "never stored"],
)
async def test_a_key_frame_without_its_enhancement_layer_is_told_with_the_frame_that_needs_it(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    key_lifetime: float | None,
    lifetime: float,
    slug: tuple[int, str],
) -> None:
    key, frame = stream[:2]
    if key_lifetime is None:
        key = replace(key, enhancement=b"")
    async with start_server() as server, edge_stream(server, codec) as edge, rest(server) as http:
        await edge.hello()
        await edge.send_in_group(1, key, enhancement=receipt(key_lifetime or 0))
        sent = await edge.send_in_group(2, frame, enhancement=receipt(lifetime))
        await keep_enhancement(client, sent, frame)
        await recognised(client, 2)
        response = await http.get(f"{FRAMES}/1-2/image?view=human")
        assert slug_of(response) == slug
        detail = response.json()["detail"]
        assert "frame 1-1 of camera front-door, the key frame that frame 1-2 is predicted from," in detail
        assert "frame 1-2's machine view" in detail
        assert (await http.get(f"{FRAMES}/1-2")).json()["enhancement"]["state"] == "key_gone"
        assert (await http.get(f"{FRAMES}/1-2/image")).status_code == 200
        # Its own layer is there, for whoever has that of the key frame.
        assert (await http.get(f"{FRAMES}/1-2/layers/enhancement")).content == frame.enhancement
        await client.delete(store_keys.enhancement("front-door", 1, 2))
        assert "frame 1-2 of camera" in (await http.get(f"{FRAMES}/1-2/image?view=human")).json()["detail"]


async def test_frames_and_views_in_any_order_and_with_gaps(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    """Star-shaped: which frames were dropped, and which one is asked for first, changes no picture."""
    chance = random.Random(5)
    for _ in range(3):
        await client.flushdb()
        sent = sorted({1, 5} | {number for number in range(1, 9) if chance.random() < 0.6})
        async with serving(start_server, codec, stream, client, *sent, pictures_bytes=0) as http:
            assert not any(result.failure for result in (await results_in(client)).values())
            asked = chance.sample(sent, len(sent))
            answers = [await http.get(f"{FRAMES}/1-{n}/image?view=human&format=png") for n in asked]
            for number, answer in zip(asked, answers, strict=True):
                frame = stream[number - 1]
                key = stream[frame.key - 1]
                reference = codec.reference(key.machine, key.enhancement)
                expected = codec.decode_human(frame.machine, frame.enhancement, None, reference)
                np.testing.assert_array_equal(pixels(answer), expected)


async def test_a_server_that_is_killed_within_a_group_loses_nothing(
    start_server: StartServer, codec: Codec, stream: Stream, valkey: EmbeddedStore
) -> None:
    recorder = Recorder()
    async with open_client(valkey.url) as client:
        for first, last in ((1, 2), (3, 4), (5, 8)):
            async with (
                # A frame in hand is finished, lest the next server shows it to the recorder again.
                start_server(recorder, url=valkey.url, leave_within=PATIENCE) as server,
                edge_stream(server, codec) as edge,
            ):
                await edge.hello(session=0 if first == 1 else 1)
                await push(client, edge, stream, *range(first, last + 1))
            await asyncio.to_thread(valkey.stop)
            await asyncio.to_thread(valkey.start)
        async with start_server(recorder, url=valkey.url):
            await recognised(client, 8)
            results = await results_in(client)
            assert list(results) == [f"1-{sequence}" for sequence in range(1, 9)]
            assert not any(result.failure for result in results.values())
    for seen, expected in zip(recorder.pictures, machine_views(codec, stream), strict=True):
        np.testing.assert_array_equal(seen, expected)
