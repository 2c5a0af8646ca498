"""What a detector's head is: how its input is made, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.recognition.placement import Placed, letterboxed
from server.recognition.recogniser import Fit

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """A graph's outputs, in its order, as they are declared: None for a size that is known only when it runs."""

    shapes: Mapping[str, tuple[int | None, ...]]

    @property
    def only(self) -> tuple[int | None, ...] | None:
        """Shape of the only output; None where there are several."""
        return next(iter(self.shapes.values())) if len(self.shapes) == 1 else None


@dataclass(frozen=True)
class Candidates:
    """What a head has found.

    Attributes:
        boxes: (n, 4) corners in pixels of the network's input.
        scores: (n,).
        labels: (n,) numbers of classes, from 0.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]

    @classmethod
    def dense(cls, boxes: Floats, scores: Floats, minimum_score: float) -> Candidates:
        """From boxes (n, 4) that have a score for each class, (n, classes)."""
        places, labels = np.nonzero(scores >= minimum_score)
        return cls(boxes[places], scores[places, labels], labels)


class Head(Protocol):
    """One family of detectors. Sizes are (width, height)."""

    @property
    def name(self) -> str:
        """As it is named in a recogniser's address."""

    @property
    def overlap(self) -> float | None:
        """Intersection over union above which the worse of two boxes goes; None when the network sees to that."""

    @property
    def fit(self) -> Fit:
        """What `place` does."""

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Whether a graph with these outputs is of this family."""

    def classes(self, outputs: Outputs) -> int | None:
        """Number of classes, where the outputs tell."""

    def place(self, image: NDArray[np.uint8], size: tuple[int, int]) -> Placed:
        """The picture as the network was trained to see it."""

    def tensor(self, placed: Placed) -> Floats:
        """(1, 3, height, width)."""

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """What the outputs mean, from this score on."""


def unit_rgb(placed: Placed) -> Floats:
    """RGB from 0 to 1, (1, 3, height, width)."""
    return np.ascontiguousarray(placed.pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


class UnitRgb:
    """Heads whose network sees RGB from 0 to 1."""

    def tensor(self, placed: Placed) -> Floats:
        """RGB from 0 to 1."""
        return unit_rgb(placed)


class Letterboxing(UnitRgb):
    """Heads whose network keeps the picture's proportions."""

    fit = Fit.LETTERBOXED

    def place(self, image: NDArray[np.uint8], size: tuple[int, int]) -> Placed:
        """In the middle, on grey."""
        return letterboxed(image, size, centred=True)


def corners(centred: Floats) -> Floats:
    """(n, 4) corners of boxes that are given by centre and size."""
    centre, half = centred[:, :2], centred[:, 2:4] / 2
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def sigmoid(logits: Floats) -> Floats:
    """The logistic function."""
    return (1 / (1 + np.exp(-logits))).astype(np.float32)
