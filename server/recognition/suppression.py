"""Which of overlapping boxes stays: non-maximum suppression, label by label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

_MOST_CANDIDATES = 1000


def best_boxes(
    boxes: Floats, scores: Floats, labels: Numbers, *, minimum_score: float, overlap: float, most: int
) -> Numbers:
    """Indices of the boxes that stay, best first.

    Args:
        boxes: (n, 4) corners.
        scores, labels: (n,).
        overlap: intersection over union above which the worse of two boxes of one label goes.
        most: at most so many stay.
    """
    order = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    corners = boxes[order]
    sized = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(
        sized.tolist(), scores[order].tolist(), labels[order].tolist(), minimum_score, overlap
    )
    return np.asarray(order[np.sort(np.asarray(kept, np.int64))[:most]], np.int64)
