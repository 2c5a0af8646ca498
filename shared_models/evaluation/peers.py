"""Picture codecs to compare with: those that Pillow brings."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Peer:
    """A format with the settings used for it and the ladder of its quality numbers."""

    name: str
    format: str
    ladder: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to a file's bytes."""
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, quality=quality, **self.settings)
        return buffer.getvalue()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Bytes to (H, W, 3) uint8 RGB."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


JPEG: Final = Peer(
    "JPEG (Pillow, 4:2:0, optimised)",
    "JPEG",
    (10, 15, 20, 30, 40, 50, 60, 70, 80, 88),
    {"optimize": True, "subsampling": "4:2:0"},
)
WEBP: Final = Peer("WebP (Pillow, method 4)", "WEBP", (1, 5, 15, 30, 50, 70, 80, 90), {"method": 4})
AVIF: Final = Peer("AVIF (Pillow, speed 8)", "AVIF", (15, 25, 35, 45, 55, 65, 75), {"speed": 8})
PEERS: Final = (JPEG, WEBP, AVIF)
