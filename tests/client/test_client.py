"""What a client asks over HTTP, synchronously and not, of a real server."""

from __future__ import annotations

import asyncio

import numpy as np

from secondsight.client import AsyncClient, Client
from shared_models import Codec, EncodedFrame
from tests.client.conftest import FRAMES, Street


async def test_both_clients_list_cameras_and_frames_page_by_page(street: Street) -> None:
    async with AsyncClient(street.settings) as client:
        (camera,) = await client.cameras()
        frames = [frame async for frame in client.frames("street", page_size=4)]
        assert await client.frame("street", "1-2") == frames[-2]
        (recogniser,) = await client.recognisers()
    assert (camera.camera, camera.session) == ("street", 1)
    assert (recogniser.task, recogniser.labels) == ("recognise", ("square", "shadow"))
    assert [frame.sequence for frame in frames] == list(range(FRAMES, 0, -1))
    result = frames[0].result
    assert result is not None
    assert (result.camera, result.frame, result.captured_at) == (
        "street",
        frames[0].frame,
        frames[0].captured_at,
    )
    assert [detection.label for detection in result.detections] == ["square", "shadow"]

    def synchronously() -> None:
        with Client(street.settings) as client:
            assert client.cameras()[0].camera == "street"
            assert client.recognisers() == (recogniser,)
            assert list(client.frames("street", page_size=4)) == frames

    await asyncio.to_thread(synchronously)


async def test_views_come_with_their_provenance(
    street: Street, codec: Codec, encoded: list[EncodedFrame]
) -> None:
    async with AsyncClient(street.settings) as client:
        machine = await client.view("street", "1-1", format="png")
        human = await client.view("street", "1-1", "human", reason="für die Wache", format="png")
    layers = encoded[0]
    assert np.array_equal(np.asarray(machine.picture()), codec.decode_machine(layers.machine))
    assert np.array_equal(np.asarray(human.picture()), codec.decode_human(layers.machine, layers.enhancement))
    told = human.provenance
    assert (told.camera, told.frame, told.view, told.media_type) == ("street", "1-1", "human", "image/png")
    assert told.machine_bytes == len(layers.machine)
    assert told.enhancement_bytes == len(layers.enhancement)
    assert told.request
    assert machine.provenance.request is None


async def test_subscribe(street: Street) -> None:
    async with AsyncClient(street.settings) as client, client.subscribe(start="earliest") as results:
        frames = [(await anext(results)).frame for _ in range(FRAMES)]
    assert frames == [f"1-{sequence}" for sequence in range(1, FRAMES + 1)]

    def synchronously() -> None:
        with Client(street.settings) as client, client.subscribe(start="earliest") as results:
            assert [next(results).frame for _ in range(FRAMES)] == frames

    await asyncio.to_thread(synchronously)
