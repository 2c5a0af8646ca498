"""Pictures that carry their number in blocks which survive coding, so that a wrong picture is seen."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 192
HEIGHT: Final = 128
BITS: Final = 16
"""Of the number; each stands in two blocks, upright and inverted."""

FLOOR_DB: Final = 25.0
"""PSNR above which a human view is the picture that was taken. Other pictures of the scene stay below."""

_BLOCK: Final = 16
_DARK: Final = 30
_BRIGHT: Final = 225
_COLUMNS: Final = WIDTH // _BLOCK

Picture = NDArray[np.uint8]


class UnreadableNumberError(ValueError):
    """The blocks of a picture contradict each other."""


def picture(number: int) -> Picture:
    """Picture `number` of a still scene in which a patterned block moves: uint8 (128, 192, 3).

    The number is in Gray code: from one picture to the next two blocks flip, so that most frames are worth predicting.
    """
    scene = _scene().copy()
    left = 8 * (number % 21)
    scene[96:128, left : left + 32] = _pattern(number // 21 % 4)
    code = number ^ (number >> 1)
    for bit in range(BITS):
        level = _BRIGHT if code >> bit & 1 else _DARK
        scene[_place(bit)] = level
        scene[_place(bit + BITS)] = _BRIGHT + _DARK - level
    return scene


def number_of(view: Picture) -> int:
    """The number that a decoded picture carries.

    Raises:
        UnreadableNumberError: a bit and its inverse do not differ clearly.
    """
    code = 0
    for bit in range(BITS):
        upright, inverted = (float(view[_place(at)][4:-4, 4:-4].mean()) for at in (bit, bit + BITS))
        if abs(upright - inverted) < (_BRIGHT - _DARK) / 3:
            raise UnreadableNumberError(f"bit {bit} is {upright:.0f} and inverted {inverted:.0f}")
        code |= (upright > inverted) << bit
    number = 0
    while code:
        number ^= code
        code >>= 1
    return number


def psnr(view: Picture, number: int) -> float:
    """Of a view against picture `number`, in dB."""
    error = view.astype(float) - picture(number)
    return float(10 * np.log10(255**2 / max(float(np.mean(error**2)), 1e-9)))


def write_clip(path: Path, frames: int, rate: int = 25) -> Path:
    """A lossless recording of pictures 0 to `frames` - 1."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv444p"
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _place(at: int) -> tuple[slice, slice]:
    row, column = divmod(at, _COLUMNS)
    return (
        slice(row * _BLOCK, (row + 1) * _BLOCK),
        slice(column * _BLOCK, (column + 1) * _BLOCK),
    )


@lru_cache(maxsize=1)
def _scene() -> Picture:
    blocks = np.random.default_rng(11).integers(40, 210, (HEIGHT // _BLOCK, _COLUMNS, 3))
    return np.repeat(np.repeat(blocks, _BLOCK, 0), _BLOCK, 1).astype(np.uint8)


@lru_cache(maxsize=4)
def _pattern(kind: int) -> Picture:
    blocks = np.random.default_rng(23 + kind).integers(0, 255, (4, 4, 3))
    return np.repeat(np.repeat(blocks, 8, 0), 8, 1).astype(np.uint8)
