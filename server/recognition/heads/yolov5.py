"""YOLOv5 and YOLOv7: anchors, an objectness, decoded within the graph.

Source: ultralytics/yolov5, ``models/yolo.py``, ``Detect`` as exported.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.recognition.heads.head import Candidates, Floats, Letterboxing, Outputs, corners

_ANCHORS = 3
_STRIDES = (8, 16, 32)


class Yolov5(Letterboxing):
    """One output (1, places, 5 + classes): centre and size in pixels of the input, objectness, classes."""

    name = "yolov5"
    overlap = 0.45

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Three anchors at every place of three grids."""
        return _places(outputs) == _ANCHORS * grid_places(size, _STRIDES)

    def classes(self, outputs: Outputs) -> int | None:
        """The columns after box and objectness."""
        columns = outputs.only[2] if outputs.only is not None else None
        return None if columns is None else columns - 5

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """A class's score is its own times the objectness."""
        (rows,) = outputs.values()
        return Candidates.dense(corners(rows[0]), rows[0, :, 5:] * rows[0, :, 4:5], minimum_score)


def grid_places(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """Places of all grids over an input of this (width, height)."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def _places(outputs: Outputs) -> int | None:
    shape = outputs.only
    return shape[1] if shape is not None and len(shape) == 3 else None
