"""Frames that programs push: encoded here or elsewhere, over lost connections, refused and drained."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.client import (
    AsyncClient,
    Client,
    FeedClosedError,
    FrameRefusedError,
    IncompatibleServerError,
    Layers,
    PictureError,
    PushError,
    Retries,
    UnauthenticatedError,
    UnreachableError,
)
from shared_models import Codec, EncodedFrame, FrameType, GroupFrame
from tests.client.conftest import settings_of
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, frames_in, recognised
from tests.server.people import People

Pictures = list[np.ndarray]
Stream = list[GroupFrame]


async def test_pictures_become_frames_that_people_can_look_at(
    start_server: StartServer, codec: Codec, pictures: Pictures, store_url: str, client: Redis
) -> None:
    async with start_server(SquareSpotter()) as server, AsyncClient(settings_of(server)) as asking:
        async with asking.pushing("gate", store=store_url) as feed:
            pushed = [await feed.push(picture) for picture in pictures]
        await recognised(client, len(pictures), "gate")
        assert [each.state for each in pushed] == ["acknowledged"] * len(pictures)
        assert all(each.viewable for each in pushed)
        # Frames of a group are predicted from its key frame.
        assert pushed[0].layers.key is None and pushed[1].layers.key is pushed[0]
        frames = [frame async for frame in asking.frames("gate")]
        assert [frame.frame for frame in reversed(frames)] == [each.frame for each in pushed]
        for frame, sent in zip(reversed(frames), pushed, strict=True):
            assert frame.key_frame == (None if sent.layers.key is None else sent.layers.key.frame)
        human = await asking.view("gate", frames[0].frame, "human", format="png")
        machine = await asking.view("gate", frames[0].frame, format="png")
    last = pictures[-1].astype(float)

    def error(picture: object) -> float:
        return float(((np.asarray(picture, float) - last) ** 2).mean())

    assert error(human.picture()) < error(machine.picture())


async def test_the_synchronous_feed_pushes_layers_of_another_encoder(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with start_server() as server:

        def push() -> None:
            with Client(settings_of(server)) as asking:
                with asking.pushing("gate", model=codec.predicting_id) as feed:
                    key = None
                    for frame in stream:
                        if frame.frame_type is FrameType.SELF_CONTAINED:
                            key = None
                        layers = Layers(machine=frame.machine, key=key)
                        pushed = feed.push_layers(layers)
                        key = key or pushed
                assert feed.waiting == 0
                with pytest.raises(FeedClosedError):
                    feed.push_layers(layers)

        await asyncio.to_thread(push)
        assert await frames_in(client, "gate") == [f"1-{number}" for number in range(1, len(stream) + 1)]


async def test_a_feed_outlives_its_server(
    start_server: StartServer,
    codec: Codec,
    encoded: list[EncodedFrame],
    client: Redis,
    kept_places: dict[str, str],
) -> None:
    """Frames pushed while no server is there are sent to the next one, once, in the session that goes on."""
    retries = Retries(first_wait=0.05, longest_wait=0.2)
    async with start_server(**kept_places) as first:
        settings = settings_of(first, retries=retries)
        asking = AsyncClient(settings)
        feed = asking.pushing("gate", model=codec.predicting_id)
        await feed.__aenter__()
        for frame in encoded[:3]:
            await feed.push_layers(Layers(machine=frame.machine))
        await feed.flush()
    # The first server has drained the stream and ended.
    for frame in encoded[3:6]:
        await feed.push_layers(Layers(machine=frame.machine))
    assert feed.waiting == 3
    async with start_server(**kept_places), asking:
        await feed.__aexit__(None, None, None)
        assert await frames_in(client, "gate") == [f"1-{number}" for number in range(1, 7)]


async def test_a_refused_frame_is_told_and_the_others_are_stored(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    broken = encoded[1].machine[:-3] + b"???"
    async with start_server() as server, AsyncClient(settings_of(server)) as asking:
        async with asking.pushing("gate", model=codec.predicting_id) as feed:
            good = await feed.push_layers(Layers(machine=encoded[0].machine))
            bad = await feed.push_layers(Layers(machine=broken))
            orphan = await feed.push_layers(Layers(machine=encoded[1].machine, key=bad))
            with pytest.raises(FrameRefusedError, match="BITSTREAM"):
                await feed.flush()
            assert feed.key_wanted
            last = await feed.push_layers(Layers(machine=encoded[2].machine))
            assert not feed.key_wanted
        states = [each.state for each in (good, bad, orphan, last)]
        assert states == ["acknowledged", "refused", "refused", "acknowledged"]
        assert len(await frames_in(client, "gate")) == 2


async def test_new_session_names_what_waits_anew(
    start_server: StartServer,
    codec: Codec,
    encoded: list[EncodedFrame],
    client: Redis,
    store_url: str,
    kept_places: dict[str, str],
) -> None:
    """A store that forgot the camera gives another session; enhancement layers move to the new names."""
    retries = Retries(first_wait=0.05, longest_wait=0.2)
    layers = [Layers(machine=each.machine, enhancement=each.enhancement, slices=5) for each in encoded]
    async with start_server(**kept_places) as first:
        settings = settings_of(first, retries=retries)
        asking = AsyncClient(settings)
        feed = asking.pushing("gate", model=codec.predicting_id, store=store_url)
        await feed.__aenter__()
        await feed.push_layers(layers[0])
        await feed.flush()
    await client.flushall()
    await client.set(store_keys.SESSIONS, 6)
    pushed = await feed.push_layers(layers[1])
    async with start_server(**kept_places), asking:
        assert feed.waiting == 1
        await feed.flush()
        await feed.__aexit__(None, None, None)
        assert pushed.name is not None and pushed.name[0] == 7
        assert await client.exists(store_keys.enhancement("gate", *pushed.name))


async def test_what_cannot_be_pushed_is_said_at_once(
    start_server: StartServer, codec: Codec, pictures: Pictures, people: People
) -> None:
    few = Retries(attempts=2, first_wait=0.01)
    async with start_server() as server, AsyncClient(settings_of(server, retries=few)) as asking:
        with pytest.raises(IncompatibleServerError, match="model"):
            async with asking.pushing("gate", model=b"another model"):
                pass
        async with asking.pushing("gate") as feed:
            for picture in (b"no picture", pictures[0][:8, :8], pictures[0].astype(float)):
                with pytest.raises(PictureError):
                    await feed.push(picture)  # type: ignore[arg-type]
        with pytest.raises(PushError):
            Layers(machine=b"")
    with pytest.raises(UnreachableError):
        async with asking.pushing("gate", model=codec.predicting_id):
            pass
    async with start_server(access_file=people.file.path) as server:
        with pytest.raises(UnauthenticatedError, match="secondsight access camera add"):
            async with AsyncClient(settings_of(server)).pushing("gate", model=codec.predicting_id):
                pass
        token = people.tokens["gate"]
        async with AsyncClient(settings_of(server, camera_token=token)).pushing(
            "gate", model=codec.predicting_id
        ) as feed:
            await feed.push_layers(Layers(machine=codec.encode(pictures[0]).machine))
