"""The invariant, counted: whatever is killed, every acknowledged frame is recognised exactly once and in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import redis

from secondsight import store_keys
from secondsight.demo.processes import SERVER_READY, STORE_READY, Child, Children, free_ports
from secondsight.v1 import analytics_pb2, frame_pb2

CAMERA = "survivor"
FRAMES = 60


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip whose frames all differ."""
    path = tmp_path / "clip.mkv"
    columns = np.linspace(0, 255, 160, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "yuv420p"
        for index in range(FRAMES):
            image = np.empty((96, 160, 3), np.uint8)
            image[...] = np.roll(columns, 3 * index)[None, :, None]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class Installation:
    """Store, server and edge as processes of their own."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children = children
        self._summary = folder / "edge.json"
        self._store_port, self._grpc_port, self._http_port = free_ports(0, 0, 0)
        self._data = folder / "store"
        self.client = redis.Redis(port=self._store_port)
        self.store: Child
        self.server: Child

    async def start(self) -> None:
        url = f"redis://127.0.0.1:{self._store_port}/0"
        self.store = self._children.start(
            "store", "store", "--data", str(self._data), "--port", str(self._store_port)
        )
        await self.store.ready(STORE_READY)
        self.server = self._children.start(
            "server",
            "server",
            *(
                "--store",
                url,
                "--grpc",
                f"127.0.0.1:{self._grpc_port}",
                "--http",
                f"127.0.0.1:{self._http_port}",
            ),
        )
        await self.server.ready(SERVER_READY)

    def start_edge(self, clip: Path) -> Child:
        return self._children.start(
            "edge",
            "edge",
            *("--camera", CAMERA, "--source", str(clip), "--keep-all", "--speed", "0"),
            *(
                "--server",
                f"127.0.0.1:{self._grpc_port}",
                "--store",
                f"redis://127.0.0.1:{self._store_port}/0",
            ),
            *("--backoff-cap", "1", "--max-unacknowledged", "8", "--summary", str(self._summary)),
        )

    async def recognised(self, count: int, edge: Child | None = None) -> None:
        """Wait for `count` results."""
        async with asyncio.timeout(120):
            while self.client.xlen(store_keys.results(CAMERA)) < count:
                if edge is not None and not edge.running:
                    raise edge.failure("ended early")
                await asyncio.sleep(0.02)

    def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = json.loads(self._summary.read_text())
        return counts

    def check_everything_once_and_in_order(self) -> None:
        counts = self.counts()
        assert counts["captured"] == counts["acked"] == FRAMES
        assert counts["dropped"] == {}
        frames = {
            name: frame_pb2.Frame.FromString(fields[store_keys.FRAME_FIELD])
            for name, fields in self.client.xrange(store_keys.frames(CAMERA))
        }
        results = [
            (name, analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD]))
            for name, fields in self.client.xrange(store_keys.results(CAMERA))
        ]
        # By their place in the clip: a frame that came twice, under two names, would be seen.
        assert [frames[name].pts_us for name, _ in results] == [40_000 * index for index in range(FRAMES)]
        assert [result.failure for _, result in results] == [""] * FRAMES
        for frame in frames.values():
            key = store_keys.enhancement(CAMERA, frame.id.session, frame.id.sequence)
            assert self.client.strlen(key) == frame.enhancement.bytes


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Children(tmp_path / "logs") as children:
        running = Installation(children, tmp_path)
        yield running
        running.client.close()


@pytest.mark.parametrize("victim", ["server", "store"])
async def test_no_acknowledged_frame_is_lost(installation: Installation, clip: Path, victim: str) -> None:
    await installation.start()
    edge = installation.start_edge(clip)
    for fraction, number in ((0.25, signal.SIGKILL), (0.6, signal.SIGTERM)):
        await installation.recognised(int(fraction * FRAMES), edge)
        child: Child = getattr(installation, victim)
        os.kill(child.pid, number)
        await child.ended()
        # Long enough for the edge to try in vain.
        await asyncio.sleep(0.7)
        child.restart()
        await child.ready(STORE_READY if victim == "store" else SERVER_READY)
    assert await edge.ended() == 0, edge.failure("failed")
    assert installation.counts()["connections"] >= (3 if victim == "server" else 1)
    await installation.recognised(FRAMES)
    installation.check_everything_once_and_in_order()
