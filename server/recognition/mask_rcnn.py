"""Mask R-CNN: boxes, and for each the pixels of its thing.

Sources: He et al., ICCV 2017; the ONNX exports of torchvision (masks of the whole picture) and of the ONNX model zoo
(masks of 28x28 within their boxes).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidRecogniserError
from server.recognition.coco import COCO_LABEL_BY_NUMBER
from server.recognition.heads.head import Outputs, unit_rgb
from server.recognition.onnx_graph import OnnxGraph, label_of
from server.recognition.placement import letterboxed, stretched
from server.recognition.recogniser import Fit, InputPolicy, OneByOne
from server.recognition.seen import Detection, Mask, Seen

_MOST_DETECTIONS: Final = 100
_IN_MASK: Final = 0.5

Floats = NDArray[np.float32]


class MaskRcnn(OneByOne):
    """Four outputs, told apart by how many sides they have: boxes (n, 4), masks (n, 1, h, w), labels and scores (n).

    Labels are COCO's numbers unless others are given. Of the two lists, the scores are the one that is named so, else
    the one that stays within 0 and 1.

    Raises:
        InvalidRecogniserError: the outputs are others.
    """

    family = "mask-rcnn"

    def __init__(self, graph: OnnxGraph, *, minimum_score: float) -> None:
        by_sides: dict[int, list[str]] = {1: [], 2: [], 4: []}
        for name, shape in graph.shapes.items():
            by_sides.setdefault(len(shape), []).append(name)
        if [len(by_sides[sides]) for sides in (1, 2, 4)] != [2, 1, 1]:
            raise InvalidRecogniserError(
                f"{graph.address.path} does not end in boxes, labels, scores and masks, as a Mask R-CNN does"
            )
        (self._boxes,), (self._masks,), self._lists = by_sides[2], by_sides[4], by_sides[1]
        self._graph = graph
        self._minimum_score = minimum_score
        self.labels = graph.labels(COCO_LABEL_BY_NUMBER, None)
        self.name = graph.name(self.family)
        self.device = graph.device
        self.inputs = _input_policy(graph)

    @staticmethod
    def fits(outputs: Outputs) -> bool:
        """Whether there are two lists, a table of four columns and a stack of masks."""
        shapes = list(outputs.shapes.values())
        tables = [shape for shape in shapes if len(shape) == 2]
        stacks = [shape for shape in shapes if len(shape) == 4]
        lists = [shape for shape in shapes if len(shape) == 1]
        return (
            (len(lists), len(tables), len(stacks), len(shapes)) == (2, 1, 1, 4)
            and tables[0][1] in (4, None)
            and stacks[0][1] in (1, None)
        )

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Things of at least the minimum score in `image`, uint8 HxWx3 RGB, at most 100."""
        height, width = image.shape[:2]
        fixed = self._graph.fixed_size
        if fixed is None:
            scale = min(1.0, self._graph.address.side / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            placed = stretched(image, size)
        else:
            placed = letterboxed(image, fixed, centred=False)
        outputs = self._graph.run(unit_rgb(placed))
        scores, labels = self._told_apart(outputs)
        kept = np.flatnonzero(scores >= self._minimum_score)
        kept = kept[np.argsort(-scores[kept], kind="stable")][:_MOST_DETECTIONS]
        boxes = placed.in_picture(outputs[self._boxes][kept], (width, height))
        masks = outputs[self._masks][kept, 0]
        covers_input = masks.shape[1:] == placed.pixels.shape[:2]
        detections = []
        for number, score, box, mask in zip(labels[kept], scores[kept], boxes, masks, strict=True):
            if covers_input:
                across, down = placed.scale
                inner = mask[: max(1, round(height * down)), : max(1, round(width * across))]
                pixels = cv2.resize(inner, (width, height)) > _IN_MASK
            else:
                pixels = _pasted(mask, box, (width, height))
            detections.append(
                Detection(
                    label_of(self.labels, int(number)), float(score), *map(float, box), mask=Mask.of(pixels)
                )
            )
        return Seen(tuple(detections))

    def _told_apart(self, outputs: dict[str, Floats]) -> tuple[Floats, NDArray[np.int64]]:
        first, second = self._lists
        scores = next((name for name in self._lists if "score" in name.lower()), None)
        if scores is None:
            whole = bool(np.all(outputs[first] == np.round(outputs[first]))) and bool(
                np.any(outputs[first] > 1)
            )
            scores = second if whole or "label" in first.lower() else first
        labels = second if scores == first else first
        return outputs[scores], outputs[labels].round().astype(np.int64)


def _input_policy(graph: OnnxGraph) -> InputPolicy:
    if graph.fixed_size is not None:
        return InputPolicy(Fit.LETTERBOXED, *graph.fixed_size)
    return InputPolicy(Fit.SHRUNK, graph.address.side, graph.address.side)


def _pasted(mask: Floats, box: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a picture of this (width, height) that a small mask within its box means."""
    width, height = size
    left, above = int(np.floor(box[0])), int(np.floor(box[1]))
    right, below = max(left + 1, int(np.ceil(box[2]))), max(above + 1, int(np.ceil(box[3])))
    pixels = np.zeros((height, width), np.bool_)
    inside = cv2.resize(mask, (right - left, below - above)) > _IN_MASK
    pixels[above:below, left:right] = inside[: height - above, : width - left]
    return pixels
