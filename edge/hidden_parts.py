"""Parts of a camera's picture that nobody is to see: blackened before the picture is coded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edge.config import Polygon


class HiddenParts:
    """Blackens polygons, whatever the size of the picture.

    A pixel goes when its middle lies within a polygon or its edge runs through it: rather one too many.
    """

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        self._polygons = tuple(polygons)
        self._seen = lru_cache(maxsize=1)(self._draw)

    def blackened(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`image`, (H, W, 3), without what is hidden; it is not changed itself."""
        if not self._polygons:
            return image
        return image * self._seen(*image.shape[:2])

    def _draw(self, height: int, width: int) -> NDArray[np.uint8]:
        """(H, W, 3): 1 where the picture is seen, 0 where it is hidden."""
        seen = Image.new("L", (width, height), 1)
        draw = ImageDraw.Draw(seen)
        for polygon in self._polygons:
            # Pillow counts from the middles of pixels.
            corners = [(x * width - 0.5, y * height - 0.5) for x, y in polygon]
            draw.polygon(corners, fill=0, outline=0)
        return np.asarray(seen)[..., None].repeat(3, axis=2)
