"""From thin lines to masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import dilation


def widened(lines: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Lines of one pixel, `width` pixels wide: every pixel within half that distance of one is white too."""
    offset = np.arange(width) - (width - 1) / 2
    disc = np.hypot(offset[:, None], offset) <= width / 2
    return dilation(lines.astype(np.uint8), disc).astype(bool)
