"""How a picture is laid into the fixed input of a network, and how boxes find back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GREY: Final = 114


@dataclass(frozen=True)
class Placed:
    """A picture within a network's input.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, the size of the input.
        scale: pixels of the input per pixel of the picture, across and down.
        corner: where the picture's upper left corner lies in the input, across and down.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]
    corner: tuple[float, float]

    def in_picture(self, boxes: Floats, size: tuple[int, int]) -> Floats:
        """Boxes (n, 4), corners in pixels of the input, as corners within a picture of this (width, height)."""
        moved = (boxes - np.array(self.corner * 2, np.float32)) / np.array(self.scale * 2, np.float32)
        return moved.clip(0, np.array(size * 2, np.float32)).astype(np.float32)


def letterboxed(image: NDArray[np.uint8], size: tuple[int, int], *, centred: bool) -> Placed:
    """The picture as large as its proportions allow within `size` (width, height), on grey.

    Args:
        centred: in the middle; otherwise at the upper left corner.
    """
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, above = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2) if centred else (0, 0)
    pixels = np.full((size[1], size[0], 3), _GREY, np.uint8)
    pixels[above : above + inner[1], left : left + inner[0]] = _resized(image, inner)
    return Placed(pixels, (inner[0] / width, inner[1] / height), (left, above))


def stretched(image: NDArray[np.uint8], size: tuple[int, int]) -> Placed:
    """The picture filling all of `size` (width, height), whatever becomes of its proportions."""
    height, width = image.shape[:2]
    return Placed(_resized(image, size), (size[0] / width, size[1] / height), (0.0, 0.0))


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
