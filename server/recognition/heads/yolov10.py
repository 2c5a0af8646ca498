"""YOLOv10 and YOLO26: end to end, the network itself leaves one box for each thing.

Source: THU-MIG/yolov10 (Wang et al., NeurIPS 2024), and ``end2end`` exports of ultralytics/ultralytics.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from server.recognition.heads.head import Candidates, Floats, Letterboxing, Outputs

_MOST_ROWS = 1000


class Yolov10(Letterboxing):
    """One output (1, rows, 6): corners in pixels of the input, score, class."""

    name = "yolov10"
    overlap = None

    def fits(self, outputs: Outputs, size: tuple[int, int]) -> bool:
        """Six columns and few rows."""
        shape = outputs.only
        return (
            shape is not None
            and len(shape) == 3
            and shape[2] == 6
            and shape[1] is not None
            and shape[1] <= _MOST_ROWS
        )

    def classes(self, outputs: Outputs) -> int | None:
        """The outputs do not tell."""
        return None

    def candidates(
        self, outputs: Mapping[str, Floats], size: tuple[int, int], minimum_score: float
    ) -> Candidates:
        """The rows from the least score on."""
        (rows,) = outputs.values()
        kept = rows[0][rows[0, :, 4] >= minimum_score]
        return Candidates(kept[:, :4], kept[:, 4], kept[:, 5].round().astype(np.int64))
