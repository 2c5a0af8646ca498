"""What can be seen in a picture, whoever saw it: things with boxes, masks and keypoints, and what each pixel shows."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths


@dataclass(frozen=True)
class Mask:
    """Pixels of one thing in a whole picture, as COCO's compressed run lengths (column by column)."""

    height: int
    width: int
    counts: bytes

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> Mask:
        """From a truth value per pixel, height x width."""
        coded = run_lengths.encode(np.asfortranarray(pixels, np.uint8))
        height, width = pixels.shape
        return cls(height, width, bytes(coded["counts"]))

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """A truth value per pixel, height x width."""
        return np.asarray(run_lengths.decode(self.as_coco()), np.bool_)

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(run_lengths.area(self.as_coco()))

    def as_coco(self) -> dict[str, object]:
        """As pycocotools takes it."""
        return {"size": [self.height, self.width], "counts": self.counts}


@dataclass(frozen=True)
class Keypoint:
    """A named place of a thing, in pixels of the picture."""

    name: str
    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Detection:
    """One thing seen in a picture. Corners in pixels of that picture, its upper left corner is the origin."""

    label: str
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    _: KW_ONLY
    mask: Mask | None = None
    keypoints: tuple[Keypoint, ...] = ()


@dataclass(frozen=True)
class Segment:
    """What the pixels of one number show: a thing that can be counted, or stuff such as road and sky."""

    number: int
    label: str
    is_thing: bool
    score: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What each pixel of a picture shows.

    Attributes:
        numbers: uint16, height x width; 0 where nothing is known.
        segments: one for each number in use.
    """

    numbers: NDArray[np.uint16]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """All that a recogniser has seen in one picture; detections best first."""

    detections: tuple[Detection, ...] = ()
    segmentation: Segmentation | None = None
