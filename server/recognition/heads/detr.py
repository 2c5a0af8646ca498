"""Detection transformers: a set of queries, each of which sees one thing or nothing.

Sources: lyuwenyu/RT-DETR (Zhao et al., CVPR 2024) and Peterande/D-FINE (Peng et al., ICLR 2025), whose exports find
their best boxes within the graph; exports that leave logits; and RT-DETR of ultralytics/ultralytics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.recognition.heads.head import Candidates, Floats, Outputs, UnitRgb, corners, sigmoid
from server.recognition.placement import Placed, stretched
from server.recognition.recogniser import Fit

_MOST_QUERIES: Final = 1000


class _Stretching(UnitRgb):
    """What they share: the picture fills the input, and no box overlaps another of the same thing."""

    fit = Fit.STRETCHED
    overlap = None

    def place(self, image: NDArray[np.uint8], size: tuple[int, int]) -> Placed:
        """Filling the input."""
        return stretched(image, size)


class Deployed(_Stretching):
    """Outputs labels (1, n), boxes (1, n, 4) as corners, scores (1, n): RT-DETR and D-FINE.

    Boxes are in pixels of the size that the graph is told as its second input; it is told that of its own input.
    """

    name = "rt-detr"

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """By the names of the outputs."""
        return set(outputs.shapes) == {"labels", "boxes", "scores"}

    def classes(self, outputs: Outputs) -> int | None:
        """The outputs do not tell."""
        return None

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """The rows from the least score on."""
        scores = outputs["scores"][0]
        kept = scores >= minimum_score
        labels = outputs["labels"][0][kept].astype(np.int64)
        return Candidates(outputs["boxes"][0][kept], scores[kept], labels)


class Logits(_Stretching):
    """Outputs logits (1, n, classes) and pred_boxes (1, n, 4): centre and size as shares of the picture."""

    name = "detr"

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """By the names of the outputs."""
        return {"logits", "pred_boxes"} <= set(outputs.shapes)

    def classes(self, outputs: Outputs) -> int | None:
        """The logits of a query."""
        return outputs.shapes["logits"][-1]

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """Classes exclude nothing: each has a chance of its own (focal loss)."""
        boxes = corners(outputs["pred_boxes"][0]) * np.array(size * 2, np.float32)
        return Candidates.dense(boxes, sigmoid(outputs["logits"][0]), minimum_score)


class Queries(_Stretching):
    """One output (1, n, 4 + classes): centre and size as shares of the picture, then scores."""

    name = "rt-detr-ultralytics"

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Few rows, which come first."""
        shape = outputs.only
        if shape is None or len(shape) != 3 or shape[1] is None or shape[2] is None:
            return False
        return shape[1] <= _MOST_QUERIES and 6 < shape[2] < shape[1]

    def classes(self, outputs: Outputs) -> int | None:
        """The columns after the box."""
        columns = outputs.only[2] if outputs.only is not None else None
        return None if columns is None else columns - 4

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """Every class of every query by itself."""
        (rows,) = outputs.values()
        boxes = corners(rows[0]) * np.array(size * 2, np.float32)
        return Candidates.dense(boxes, rows[0, :, 4:], minimum_score)
