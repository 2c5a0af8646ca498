"""VVC+M: what stands beside the machine layer is the difference to its picture, coded by VVC.

Harell et al., "VVC+M: Plug and Play Scalable Image Coding for Humans and Machines" (arXiv 2305.10453), with our machine
layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from shared_models.codec import Codec
from shared_models.evaluation.video_peers import VVC

_GREY: Final = 2**15
_STEP: Final = 128
"""Of a difference of one, in 16-bit samples: half of a picture's own step, so that -255 to 255 find room."""
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True)
class MachinePlusVvc:
    """The machine layer at its default level, and x - x_m by VVC intra.

    The difference is halved and shifted to mid-grey. Its samples go in with 16 bits and are coded with 10, so that
    halving rounds nothing away and nothing need be clipped. Halved errors count twice in the sum: a QP here answers to
    one higher by 6 in VVC alone. The length of the machine layer stands in front, in 4 bytes that are counted.
    """

    codec: Codec
    name: ClassVar[str] = "VVC+M (our machine layer, difference by libvvenc, 4:2:0, 10 bits, preset medium)"
    dial: ClassVar[str] = "QP"
    ladder: ClassVar[tuple[int, ...]] = (21, 25, 29, 33, 37)
    counts: ClassVar[str] = "machine layer and difference"

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to machine layer and difference.

        Raises:
            ImageError: the picture is outside the codec's limits.
            PeerError: FFmpeg is missing or failed.
        """
        machine = self.codec.encode(image, slices=1).machine
        difference = image.astype(np.int32) - self.codec.decode_machine(machine)
        coded = VVC.encode_samples((_STEP * difference + _GREY).astype(np.uint16), quality)
        return len(machine).to_bytes(_LENGTH_BYTES, "little") + machine + coded

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Machine layer and difference to (H, W, 3) uint8 RGB.

        Raises:
            BitstreamError: the machine layer cannot be decoded.
            PeerError: FFmpeg is missing or failed.
        """
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
        machine, coded = data[_LENGTH_BYTES:start], data[start:]
        difference = (VVC.decode_samples(coded).astype(np.float64) - _GREY) / _STEP
        restored = self.codec.decode_machine(machine) + difference
        return restored.round().clip(0, 255).astype(np.uint8)
