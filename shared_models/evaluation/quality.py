"""How close a decoded picture is to its source."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def psnr(source: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two (H, W, 3) uint8 RGB pictures, dB; infinite for equal ones."""
    error = float(np.mean((source.astype(np.float64) - decoded.astype(np.float64)) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)
