"""Layers: decoded pictures are shared, and their memory is bounded."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from prometheus_client import REGISTRY

from secondsight.v1 import frame_pb2
from server.catalogue import HumanLayers, KeyLayers, key_frame_of
from server.errors import KeyFrameGoneError
from server.layers import Layers
from shared_models import Codec, EncodedFrame, errors
from shared_models.group import GroupFrame
from tests.server.harness import LayersOfFrame, predicted_from

PICTURE_BYTES = 64 * 96 * 3
MEBIBYTE = 2**20


class KeyFrames:
    """Key frames by camera, session and sequence; counts how often one was asked for."""

    def __init__(self, **kept: LayersOfFrame) -> None:
        self.kept = kept
        self.asked = 0

    async def key_layers(self, frame: frame_pb2.Frame) -> KeyLayers:
        self.asked += 1
        name = key_frame_of(frame) or ""
        if frame.id.camera_id not in self.kept:
            raise KeyFrameGoneError(frame.id.camera_id, "1-2", name)
        return KeyLayers(self.kept[frame.id.camera_id].machine)


def layers_of(
    codec: Codec,
    keys: KeyFrames | None = None,
    *,
    pictures_bytes: int = 0,
    references_bytes: int = MEBIBYTE,
) -> Layers:
    return Layers(
        codec, keys or KeyFrames(), pictures_bytes=pictures_bytes, references_bytes=references_bytes
    )


def frame_of(encoded: LayersOfFrame, camera_id: str = "front", key: int = 0) -> frame_pb2.Frame:
    """A stored frame; predicted from frame `key` of session 1 if that is given."""
    return frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id=camera_id, session=1, sequence=2),
        machine_layer=encoded.machine,
        **(predicted_from(1, key) if key else {}),
    )


def _counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def _decoded() -> float:
    return _counted("secondsight_decode_seconds_count")


async def test_a_machine_view_is_decoded_once_while_it_is_kept(
    codec: Codec, encoded: list[EncodedFrame]
) -> None:
    layers = layers_of(codec, pictures_bytes=2 * PICTURE_BYTES)
    before = _decoded()
    first = await layers.machine_view(frame_of(encoded[0]))
    np.testing.assert_array_equal(first, codec.decode_machine(encoded[0].machine))
    assert await layers.machine_view(frame_of(encoded[0])) is first
    assert _decoded() == before + 1
    for other in encoded[1:3]:
        await layers.machine_view(frame_of(other))
    assert await layers.machine_view(frame_of(encoded[0])) is not first
    assert _decoded() == before + 4
    layers.close()


async def test_a_kept_picture_does_not_keep_its_layer(codec: Codec, encoded: list[EncodedFrame]) -> None:
    frame = frame_of(encoded[0])
    held = sys.getrefcount(frame)
    layers = layers_of(codec, pictures_bytes=PICTURE_BYTES)
    await layers.machine_view(frame)
    layers.close()
    assert sys.getrefcount(frame) == held


async def test_a_picture_above_the_limit_is_not_kept(codec: Codec, encoded: list[EncodedFrame]) -> None:
    layers = layers_of(codec, pictures_bytes=PICTURE_BYTES - 1)
    first = await layers.machine_view(frame_of(encoded[0]))
    assert await layers.machine_view(frame_of(encoded[0])) is not first
    layers.close()


async def test_the_event_loop_turns_while_a_picture_is_decoded(
    codec: Codec, encoded: list[EncodedFrame]
) -> None:
    layers = layers_of(codec, pictures_bytes=0)
    turns = 0
    decoding = asyncio.create_task(
        layers.human_view(frame_of(encoded[0]), HumanLayers(encoded[0].enhancement, None), None)
    )
    while not decoding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    layers.close()


async def test_what_cannot_be_decoded_is_told(codec: Codec, encoded: list[EncodedFrame]) -> None:
    layers = layers_of(codec, pictures_bytes=PICTURE_BYTES)
    with pytest.raises(errors.BitstreamError):
        await layers.machine_view(frame_pb2.Frame(machine_layer=b"no bitstream"))
    with pytest.raises(errors.MismatchError):
        await layers.human_view(frame_of(encoded[0]), HumanLayers(encoded[3].enhancement, None), None)
    layers.close()


async def test_a_predicted_frame_is_decoded_against_its_key_frame(
    codec: Codec, stream: list[GroupFrame]
) -> None:
    keys = KeyFrames(front=stream[0])
    layers = layers_of(codec, keys)
    reference = codec.reference(stream[0].machine, stream[0].enhancement)
    hits, misses = (_counted("secondsight_references_total", outcome=outcome) for outcome in ("hit", "miss"))
    for frame in stream[1:4]:
        view = await layers.machine_view(frame_of(frame, key=1))
        np.testing.assert_array_equal(view, codec.decode_machine(frame.machine, reference))
    assert keys.asked == 1
    human = HumanLayers(stream[2].enhancement, KeyLayers(stream[0].machine, stream[0].enhancement))
    for slices in (None, 2):
        np.testing.assert_array_equal(
            await layers.human_view(frame_of(stream[2], key=1), human, slices),
            codec.decode_human(stream[2].machine, stream[2].enhancement, slices, reference),
        )
    # The key frame without its enhancement layer did not do for a human view; with it, it does for machine views.
    await layers.machine_view(frame_of(stream[1], key=1))
    assert keys.asked == 1
    assert _counted("secondsight_references_total", outcome="hit") == hits + 4
    assert _counted("secondsight_references_total", outcome="miss") == misses + 2
    layers.close()


async def test_decoded_key_frames_are_kept_within_their_bound(codec: Codec, stream: list[GroupFrame]) -> None:
    size = codec.reference(stream[0].machine).nbytes
    for room, asked in ((2 * size, 2), (2 * size - 1, 6), (0, 6)):
        keys = KeyFrames(front=stream[0], back=stream[4])
        layers = layers_of(codec, keys, references_bytes=room)
        for number in range(3):
            await layers.machine_view(frame_of(stream[1 + number], "front", key=1))
            await layers.machine_view(frame_of(stream[5 + number], "back", key=5))
        assert keys.asked == asked
        layers.close()


async def test_a_key_frame_that_is_gone_or_another_gives_an_error_and_no_picture(
    codec: Codec, stream: list[GroupFrame]
) -> None:
    keys = KeyFrames()
    layers = layers_of(codec, keys, pictures_bytes=MEBIBYTE)
    predicted = frame_of(stream[1], key=1)
    with pytest.raises(KeyFrameGoneError):
        await layers.machine_view(predicted)
    keys.kept["front"] = stream[4]
    with pytest.raises(errors.ReferenceMissingError):
        await layers.machine_view(predicted)
    keys.kept["front"] = stream[0]
    view = await layers.machine_view(predicted)
    np.testing.assert_array_equal(
        view, codec.decode_machine(stream[1].machine, codec.reference(stream[0].machine))
    )
    layers.close()


async def test_a_picture_of_one_camera_does_not_serve_the_frames_of_another(
    codec: Codec, stream: list[GroupFrame]
) -> None:
    """Names of layers are checksums, which can be forged: the same bytes may stand for another picture there."""
    keys = KeyFrames(front=stream[0])
    layers = layers_of(codec, keys, pictures_bytes=MEBIBYTE)
    await layers.machine_view(frame_of(stream[1], "front", key=1))
    with pytest.raises(KeyFrameGoneError):
        await layers.machine_view(frame_of(stream[1], "back", key=1))
    layers.close()
