"""From segments to edges, as SA-ICM does it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from skimage.feature import canny


def segment_edges(segments: Iterable[NDArray[np.bool_]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Canny's edges of every segment, (H, W) = `size`.

    SA-ICM (Shindo et al., 2024, arXiv 2403.04173, eq. 2) runs Canny's detector over a picture of all segments. Here it
    runs over each by itself, so that what is found does not hang on the colours that two neighbours are drawn in.

    Args:
        segments: one mask (H, W) per segment; they may overlap.
    """
    edges = np.zeros(size, bool)
    for segment in segments:
        rows, columns = (np.flatnonzero(segment.any(axis)) for axis in (1, 0))
        if rows.size == 0:
            continue
        # The detector looks three pixels around.
        window = tuple(slice(max(0, at[0] - 3), at[-1] + 4) for at in (rows, columns))
        edges[window] |= canny(segment[window].astype(float), sigma=0.5, mode="nearest")
    return edges
