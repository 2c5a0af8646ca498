"""A network camera for tests: an RTSP server in a process of its own, to be frozen, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import av
import numpy as np


class RtspServer:
    """Serves one clip over and over at `url`; a context manager."""

    def __init__(self, folder: Path, port: int) -> None:
        self._port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        _make_clip(folder / "clip.mp4")

    @property
    def url(self) -> str:
        return f"rtsp://operator:secret@127.0.0.1:{self._port}/clip.mp4?play_count=0&password=secret"

    def start(self) -> None:
        """Returns when it takes connections."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._folder), str(self._port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            assert self._process.poll() is None, "the RTSP server did not start"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)

    def freeze(self) -> None:
        """Keep every connection, and say nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Vanish."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _make_clip(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "5"})
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(50):
            picture = noise.integers(0, 255, (96, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    from aio_rtsp_toolkit.server import serve

    asyncio.run(serve(sys.argv[1], "127.0.0.1", int(sys.argv[2]), control_port=None))
