"""Layers: decoded pictures are shared, and their memory is bounded."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from prometheus_client import REGISTRY

from server.layers import Layers
from shared_models import Codec, EncodedFrame, errors

PICTURE_BYTES = 64 * 96 * 3


def _decoded() -> float:
    return REGISTRY.get_sample_value("secondsight_decode_seconds_count") or 0.0


async def test_a_machine_view_is_decoded_once_while_it_is_kept(
    codec: Codec, encoded: list[EncodedFrame]
) -> None:
    layers = Layers(codec, pictures_bytes=2 * PICTURE_BYTES)
    before = _decoded()
    first = await layers.machine_view(encoded[0].machine)
    np.testing.assert_array_equal(first, codec.decode_machine(encoded[0].machine))
    assert await layers.machine_view(encoded[0].machine) is first
    assert _decoded() == before + 1
    for other in encoded[1:3]:
        await layers.machine_view(other.machine)
    assert await layers.machine_view(encoded[0].machine) is not first
    assert _decoded() == before + 4
    layers.close()


async def test_a_kept_picture_does_not_keep_its_layer(codec: Codec, encoded: list[EncodedFrame]) -> None:
    machine = bytes(bytearray(encoded[0].machine))
    held = sys.getrefcount(machine)
    layers = Layers(codec, pictures_bytes=PICTURE_BYTES)
    await layers.machine_view(machine)
    layers.close()
    assert sys.getrefcount(machine) == held


async def test_a_picture_above_the_limit_is_not_kept(codec: Codec, encoded: list[EncodedFrame]) -> None:
    layers = Layers(codec, pictures_bytes=PICTURE_BYTES - 1)
    first = await layers.machine_view(encoded[0].machine)
    assert await layers.machine_view(encoded[0].machine) is not first
    layers.close()


async def test_the_event_loop_turns_while_a_picture_is_decoded(
    codec: Codec, encoded: list[EncodedFrame]
) -> None:
    layers = Layers(codec, pictures_bytes=0)
    turns = 0
    decoding = asyncio.create_task(layers.human_view(encoded[0].machine, encoded[0].enhancement, None))
    while not decoding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    layers.close()


async def test_what_cannot_be_decoded_is_told(codec: Codec, encoded: list[EncodedFrame]) -> None:
    layers = Layers(codec, pictures_bytes=PICTURE_BYTES)
    with pytest.raises(errors.BitstreamError):
        await layers.machine_view(b"no bitstream")
    with pytest.raises(errors.MismatchError):
        await layers.human_view(encoded[0].machine, encoded[3].enhancement, None)
    layers.close()
