"""What the server asks of a recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detection:
    """One thing seen in a picture. Corners in pixels of that picture, its upper left corner is the origin."""

    label: str
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Recogniser(Protocol):
    """Sees things in decoded machine layers. Called by one thread at a time, never on the event loop."""

    @property
    def name(self) -> str:
        """Name and version of the model, published with every result."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that a detection may have."""

    def recognise(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detections in `image`, uint8 HxWx3 RGB, best first."""


class NoRecogniser:
    """Sees nothing: for a server that only keeps frames and makes views."""

    name = "none"
    labels: tuple[str, ...] = ()

    def recognise(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Nothing, whatever the picture."""
        return []
