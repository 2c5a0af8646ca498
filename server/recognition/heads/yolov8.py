"""YOLOv8, YOLOv9, YOLO11 and YOLOv12: no anchors, no objectness, decoded within the graph.

Source: ultralytics/ultralytics, ``nn/modules/head.py``, ``Detect`` as exported.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from server.recognition.heads.head import Candidates, Floats, Letterboxing, Outputs, corners
from server.recognition.heads.yolov5 import grid_places

_STRIDES = (8, 16, 32)


class Yolov8(Letterboxing):
    """One output (1, 4 + classes, places): centre and size in pixels of the input, then classes."""

    name = "yolov8"
    overlap = 0.7

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Places come last, one for each of three grids' places."""
        shape = outputs.only
        return shape is not None and len(shape) == 3 and shape[2] == grid_places(size, _STRIDES)

    def classes(self, outputs: Outputs) -> int | None:
        """The rows after the box."""
        rows = outputs.only[1] if outputs.only is not None else None
        return None if rows is None else rows - 4

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """Every class of every place by itself."""
        (columns,) = outputs.values()
        rows = np.ascontiguousarray(columns[0].T)
        return Candidates.dense(corners(rows), rows[:, 4:], minimum_score)
