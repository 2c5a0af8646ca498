from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.frame import EncodedFrame
from edge.sources import decoded_video
from secondsight.v1 import frame_pb2
from shared_models import Codec
from shared_models.bitstream import FrameType
from shared_models.reference import Reference
from tests.edge.scripted_server import ScriptedServer, listening
from tests.ports import held_port
from tests.predicting_codec import predicting_codec

ClipMaker = Callable[..., Path]


@pytest.fixture
def make_clip(tmp_path: Path) -> ClipMaker:
    """Makes a clip whose n-th frame has the grey level 8 n."""

    def make(
        frames: int = 10, rate: int = 10, size: tuple[int, int] = (64, 48), name: str = "clip.mkv"
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            for index in range(frames):
                image = np.full((size[1], size[0], 3), 8 * index, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def failing_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One frame, and behind it more damage than a source puts up with, whatever the decoder's threads hold back."""
    monkeypatch.setattr(decoded_video, "_MOST_DAMAGED", 3)
    path = tmp_path / "failing.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
        good, *others = [packet for frame in (*[grey] * 40, None) for packet in stream.encode(frame)]
        container.mux(good)
        for packet in others:
            damaged = av.Packet(b"no frame")
            damaged.stream, damaged.time_base = packet.stream, packet.time_base
            damaged.pts, damaged.dts = packet.pts, packet.dts
            container.mux(damaged)
    return path


@pytest.fixture(scope="session")
def codec() -> Codec:
    """A codec that predicts; it has no state that a test could change."""
    return predicting_codec()


@pytest.fixture
async def server() -> AsyncIterator[tuple[ScriptedServer, str]]:
    """A scripted server and its address."""
    servicer = ScriptedServer()
    async with listening(servicer) as port:
        yield servicer, f"127.0.0.1:{port}"


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of the loopback on which nobody listens before the test does."""
    with held_port() as port:
        yield port


@pytest.fixture
def make_moving_clip(tmp_path: Path) -> ClipMaker:
    """Makes a clip of a still scene in which a bright square wanders."""

    def make(frames: int = 20, rate: int = 10, size: tuple[int, int] = (160, 96)) -> Path:
        path = tmp_path / "moving.mkv"
        blocks = np.random.default_rng(7).integers(30, 200, (size[1] // 16, size[0] // 16, 3))
        scene = np.repeat(np.repeat(blocks, 16, 0), 16, 1).astype(np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            for index in range(frames):
                image = scene.copy()
                left = 4 * index % (size[0] - 24)
                image[40:64, left : left + 24] = 250
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


class Viewer:
    """Decodes what a server stored: it has nothing but the frames that it was given."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._references: dict[tuple[int, int], Reference] = {}

    def view(self, frame: frame_pb2.Frame) -> NDArray[np.uint8]:
        """The machine view; raises what the codec raises, and KeyError for a reference that was not given."""
        header = self._codec.inspect(frame.machine_layer)
        if header.frame_type is FrameType.SELF_CONTAINED:
            assert (frame.reference_session, frame.reference_sequence) == (0, 0)
            self._references[frame.id.session, frame.id.sequence] = self._codec.reference(frame.machine_layer)
            return self._codec.decode_machine(frame.machine_layer)
        reference = self._references[frame.reference_session, frame.reference_sequence]
        return self._codec.decode_machine(frame.machine_layer, reference)


class Frames:
    """Makes encoded frames of a few bytes, turn by turn."""

    def __init__(self) -> None:
        self._turn = -1

    def key(self, name: str) -> EncodedFrame:
        """A frame that needs no other."""
        self._turn += 1
        return self._frame(name, self._turn)

    def predicted(self, name: str, key: EncodedFrame) -> EncodedFrame:
        """A frame that needs `key`."""
        self._turn += 1
        return self._frame(name, key.turn)

    def _frame(self, name: str, key: int) -> EncodedFrame:
        return EncodedFrame(
            machine=f"machine {name}".encode(),
            enhancement=f"enhancement {name}".encode(),
            slices=4,
            captured_at_ns=1_700_000_000_123_456_789,
            pts_us=40_000,
            encode_us=1234,
            turn=self._turn,
            key=key,
            changed=1.0 if key == self._turn else 0.1,
        )


async def eventually(predicate: Callable[[], bool]) -> None:
    """Wait until `predicate` holds."""
    while True:
        if predicate():
            return
        await asyncio.sleep(0.01)
