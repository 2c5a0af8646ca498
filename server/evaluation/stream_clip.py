"""Clips: files of video, decoded as the edge decodes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from server.evaluation.config import STREAM
from server.evaluation.errors import ClipError
from shared_models.evaluation.stream import Shape

Picture = NDArray[np.uint8]
_FALLBACK_FRAME_RATE: Final = Fraction(25)


@dataclass(frozen=True)
class Clip:
    """The first `frames` frames of a file. They are decoded whenever they are asked for, and not kept.

    `digest` is the SHA-256 of the file.
    """

    path: Path
    shape: Shape
    frames: int
    digest: str

    @classmethod
    def opened(cls, path: Path, most: int | None = None) -> Clip:
        """A file, or its first `most` frames.

        Raises:
            ClipError: it cannot be read, holds no video, or frames of several sizes.
        """
        sizes = set()
        frames = 0
        rate = _FALLBACK_FRAME_RATE
        for frame, average_rate in _decoded(path, most):
            sizes.add((frame.width, frame.height))
            frames += 1
            rate = average_rate or _FALLBACK_FRAME_RATE
        if len(sizes) != 1:
            told = "no frame" if not sizes else f"frames of several sizes ({sorted(sizes)})"
            raise ClipError(f"{path} holds {told}: give a video whose frames are of one size")
        width, height = sizes.pop()
        return cls(path, Shape(width, height, rate), frames, hashlib.sha256(path.read_bytes()).hexdigest())

    def pictures(self) -> Iterator[Picture]:
        """(H, W, 3) uint8 RGB, in presentation order."""
        for frame, _ in _decoded(self.path, self.frames):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)

    def spread(self, count: int) -> tuple[int, ...]:
        """Positions of at most `count` frames, spread evenly."""
        count = min(count, self.frames)
        return tuple((2 * place + 1) * self.frames // (2 * count) for place in range(count))


def clips_of(path: Path, most: int | None = None) -> list[Clip]:
    """The clip that a file is, or those of a folder, by name.

    Raises:
        ClipError: there is none, or one cannot be used.
    """
    if not path.is_dir():
        return [Clip.opened(path, most)]
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in STREAM.suffixes)
    if not found:
        raise ClipError(
            f"{path} holds no clip ({', '.join(STREAM.suffixes)}): name a file to use it all the same"
        )
    return [Clip.opened(each, most) for each in found]


def _decoded(path: Path, most: int | None) -> Iterator[tuple[av.VideoFrame, Fraction | None]]:
    """Frames of the first video stream, with its average rate."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ClipError(f"{path} holds no video stream: give a video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                if number == most:
                    return
                yield frame, stream.average_rate
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"{path} cannot be read as a video: {error}") from error
