"""What a way to find edges offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EdgeMethod(Protocol):
    """Finds the edges of a photo."""

    @property
    def name(self) -> str:
        """For the manifest."""

    def lines(self, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Edges, one or two pixels wide, (H, W), of a photo (H, W, 3) RGB."""
