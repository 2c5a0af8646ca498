"""Boundaries of the regions into which a map of edge probabilities falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from skimage.morphology import h_minima
from skimage.segmentation import watershed

from shared_models.masks.config import DEFAULTS, MaskConfig


def region_boundaries(probability: NDArray[np.float32], config: MaskConfig = DEFAULTS) -> NDArray[np.bool_]:
    """Watershed the map and keep the boundaries that are strong on average, one pixel wide.

    Unlike a threshold, this closes contours along their weak parts and gives lines of one width.

    Args:
        probability: of an edge, (H, W) in [0, 1].
    """
    smooth = gaussian_filter(probability, config.smoothing)
    levels = np.round(smooth * 255.0).astype(np.uint8)
    basins, _ = label(h_minima(levels, max(1, round(config.basin_depth * 255.0))))
    regions = watershed(levels, basins).astype(np.int64)

    # Pixel pairs across a boundary, first side by side, then one above the other.
    pairs = [(regions[:, :-1], regions[:, 1:]), (regions[:-1], regions[1:])]
    heights = [np.maximum(smooth[:, :-1], smooth[:, 1:]), np.maximum(smooth[:-1], smooth[1:])]
    across = [first != second for first, second in pairs]
    boundaries = np.concatenate(
        [
            np.minimum(first, second)[where] * (regions.max() + 1) + np.maximum(first, second)[where]
            for (first, second), where in zip(pairs, across, strict=True)
        ]
    )
    strength = np.concatenate([height[where] for height, where in zip(heights, across, strict=True)])
    _, boundary = np.unique(boundaries, return_inverse=True)
    kept = (np.bincount(boundary, strength) / np.bincount(boundary) >= config.boundary_strength)[boundary]

    lines = np.zeros(probability.shape, bool)
    beside = int(across[0].sum())
    lines[:, :-1][across[0]] |= kept[:beside]
    lines[:-1][across[1]] |= kept[beside:]
    return lines
