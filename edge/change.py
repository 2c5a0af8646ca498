"""How much of a picture is new, told before it is encoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 8
_STEP = 2


class ChangeMeter:
    """Compares a picture with the last one that was sent, in blocks of 16x16 pixels.

    The encoder's own measure (`EncodedFrame.changed`) comes too late for a frame that is better not encoded, and tells
    the difference to the key frame, not what is new. The mean of a block hardly knows noise: of noise with a standard
    deviation of 10 grey levels the difference of two blocks' means, 64 pixels looked at in each, has 1.8.

    Args:
        threshold: grey levels by which a block's mean has to differ.
    """

    def __init__(self, threshold: float = 8.0) -> None:
        self._threshold = threshold
        self._sent: NDArray[np.float32] | None = None
        self._measured: NDArray[np.float32] | None = None

    def measure(self, image: NDArray[np.uint8]) -> float:
        """Share of the blocks of `image` that changed since the last `sent`, 0 to 1; 1 when nothing was sent yet."""
        self._measured = _block_means(image)
        if self._sent is None or self._sent.shape != self._measured.shape:
            return 1.0
        return float((np.abs(self._measured - self._sent) > self._threshold).mean())

    def sent(self) -> None:
        """The picture that was measured last is sent."""
        self._sent = self._measured


def _block_means(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean of green in blocks, from every second row and column; what does not fill a block is left out."""
    green = image[::_STEP, ::_STEP, 1]
    rows, columns = green.shape[0] // _BLOCK, green.shape[1] // _BLOCK
    whole = green[: rows * _BLOCK, : columns * _BLOCK]
    means: NDArray[np.float32] = whole.reshape(rows, _BLOCK, columns, _BLOCK).mean(
        axis=(1, 3), dtype=np.float32
    )
    return means
