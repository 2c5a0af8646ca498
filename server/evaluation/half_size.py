"""The simplest thing that an operator can do for fewer bits: send the picture at half its size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared_models.evaluation.peers import Peer


@dataclass(frozen=True)
class HalfSize:
    """Another codec on the picture at half its width and height, scaled up again after decoding.

    One byte before the other codec's stream tells whether height and width were odd.
    """

    codec: Peer

    @property
    def name(self) -> str:
        """The codec's name, marked."""
        return f"half size, {self.codec.name}"

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to bytes."""
        height, width = image.shape[:2]
        half = _scaled(image, (height + 1) // 2, (width + 1) // 2)
        return bytes([height % 2 * 2 + width % 2]) + self.codec.encode(half, quality)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Bytes to (H, W, 3) uint8 RGB."""
        odd_height, odd_width = divmod(data[0], 2)
        half = self.codec.decode(data[1:])
        return _scaled(half, 2 * half.shape[0] - odd_height, 2 * half.shape[1] - odd_width)


def _scaled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
