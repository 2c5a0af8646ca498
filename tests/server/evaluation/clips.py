"""A camera that does not move, and the red and blue rectangles that pass before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from shared_models.evaluation.speed import pink_noise
from tests.server.evaluation.synthetic import COLOURS

Picture = NDArray[np.uint8]


def moving(frames: int, height: int = 96, width: int = 128) -> list[Picture]:
    """Two pixels a frame to the right, before a grey wall that is not quite even."""
    wall = (112 + pink_noise(height, width) // 8).astype(np.uint8)
    pictures = [wall.copy() for _ in range(frames)]
    for number, picture in enumerate(pictures):
        picture[16:48, 8 + 2 * number : 32 + 2 * number] = COLOURS["person"]
        picture[56:80, 16 + 2 * number : 56 + 2 * number] = COLOURS["car"]
    return pictures


def written(pictures: Sequence[Picture], path: Path, rate: int = 10) -> Path:
    """A file that has the pictures as they are, frame for frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
