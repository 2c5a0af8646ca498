"""YOLOX: no anchors, an objectness, and boxes that are left to be decoded.

Source: Megvii-BaseDetection/YOLOX (Ge et al., 2021), ``demo/ONNXRuntime``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from server.recognition.heads.head import Candidates, Floats, Outputs, corners
from server.recognition.heads.yolov5 import grid_places
from server.recognition.placement import Placed, letterboxed
from server.recognition.recogniser import Fit

_STRIDES = (8, 16, 32)


class Yolox:
    """One output (1, places, 5 + classes): offset and logarithm of the size in strides, objectness, classes."""

    name = "yolox"
    fit = Fit.LETTERBOXED
    overlap = 0.45

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Places come first, one for each of three grids' places."""
        shape = outputs.only
        return shape is not None and len(shape) == 3 and shape[1] == grid_places(size, _STRIDES)

    def classes(self, outputs: Outputs) -> int | None:
        """The columns after box and objectness."""
        columns = outputs.only[2] if outputs.only is not None else None
        return None if columns is None else columns - 5

    def place(self, image: NDArray[np.uint8], size: tuple[int, int]) -> Placed:
        """At the upper left corner, on grey."""
        return letterboxed(image, size, centred=False)

    def tensor(self, placed: Placed) -> Floats:
        """BGR from 0 to 255."""
        return np.ascontiguousarray(placed.pixels[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """A class's score is its own times the objectness."""
        (rows,) = outputs.values()
        places, strides = _grids(size)
        centres = (rows[0, :, :2] + places) * strides
        sizes = np.exp(rows[0, :, 2:4]) * strides
        boxes = corners(np.concatenate([centres, sizes], 1))
        return Candidates.dense(boxes, rows[0, :, 5:] * rows[0, :, 4:5], minimum_score)


def _grids(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Column and row of every place, (places, 2), and its stride, (places, 1)."""
    places, strides = [], []
    for stride in _STRIDES:
        columns, rows = size[0] // stride, size[1] // stride
        places.append(np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2))
        strides.append(np.full((columns * rows, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)
