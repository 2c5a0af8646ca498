"""Edges by the photo's own gradients: the last resort, which knows nothing of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.feature import canny

from shared_models.masks.config import DEFAULTS, MaskConfig


class GradientEdges:
    """Canny's edges of the luminance."""

    name = "gradient"

    def __init__(self, config: MaskConfig = DEFAULTS) -> None:
        self._config = config

    def lines(self, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """See `EdgeMethod`."""
        edges: NDArray[np.bool_] = canny(
            rgb2gray(photo),
            sigma=self._config.gradient_smoothing,
            low_threshold=self._config.gradient_weak,
            high_threshold=self._config.gradient_strong,
            mode="nearest",
        )
        return edges
