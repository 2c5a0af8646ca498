"""Picture codecs to compare with: what one has to offer, those that Pillow brings, and the list of all."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared_models.evaluation.video_peers import VVC, X265


class Peer(Protocol):
    """A codec with fixed settings and one dial."""

    @property
    def name(self) -> str:
        """Codec and the settings that matter."""

    @property
    def dial(self) -> str:
        """What the numbers of the ladder are called, for example "QP"."""

    @property
    def ladder(self) -> tuple[int, ...]:
        """Positions of the dial that are measured."""

    @property
    def counts(self) -> str:
        """What the bytes of `encode` are."""

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to all the bytes that `decode` needs."""

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Bytes to (H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class PillowPeer:
    """A format of Pillow's."""

    name: str
    format: str
    ladder: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    dial: ClassVar[str] = "quality"
    counts: ClassVar[str] = "the whole file"

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to a file's bytes."""
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, quality=quality, **self.settings)
        return buffer.getvalue()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A file's bytes to (H, W, 3) uint8 RGB."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


JPEG: Final = PillowPeer(
    "JPEG (Pillow, 4:2:0, optimised)",
    "JPEG",
    (10, 15, 20, 30, 40, 50, 60, 70, 80, 88),
    {"optimize": True, "subsampling": "4:2:0"},
)
WEBP: Final = PillowPeer("WebP (Pillow, method 4)", "WEBP", (1, 5, 15, 30, 50, 70, 80, 90), {"method": 4})
AVIF: Final = PillowPeer("AVIF (Pillow, speed 8)", "AVIF", (15, 25, 35, 45, 55, 65, 75), {"speed": 8})
PEERS: Final[tuple[Peer, ...]] = (JPEG, WEBP, AVIF, X265, VVC)
