"""A detector that comes as an ONNX graph, of any family that `heads` knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.recognition.coco import COCO_LABELS
from server.recognition.heads import Head, Outputs
from server.recognition.onnx_graph import OnnxGraph, label_of
from server.recognition.placement import Placed
from server.recognition.recogniser import BaseRecogniser, InputPolicy
from server.recognition.seen import Detection, Seen
from server.recognition.suppression import best_boxes

_MOST_DETECTIONS: Final = 300

Floats = NDArray[np.float32]


class OnnxDetector(BaseRecogniser):
    """Boxes from a graph and the head that it ends in.

    Raises:
        InvalidRecogniserError: the graph's classes have no labels.
    """

    def __init__(self, graph: OnnxGraph, head: Head, *, minimum_score: float) -> None:
        self._graph = graph
        self._head = head
        self._minimum_score = minimum_score
        self.labels = graph.labels(COCO_LABELS, head.classes(Outputs(graph.shapes)))
        self.name = graph.name(head.name)
        self.most_at_once = graph.most_at_once
        self.inputs = InputPolicy(head.fit, *graph.size)
        self.device = graph.device

    @property
    def head(self) -> str:
        """Name of its family."""
        return self._head.name

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> list[Seen]:
        """Detections of at least the minimum score in each of `images`, uint8 HxWx3 RGB, at most 300."""
        placed = [self._head.place(image, self._graph.size) for image in images]
        outputs = self._graph.run(np.concatenate([self._head.tensor(each) for each in placed]))
        return [
            self._seen({name: value[k : k + 1] for name, value in outputs.items()}, placed[k], image)
            for k, image in enumerate(images)
        ]

    def _seen(self, outputs: Mapping[str, Floats], placed: Placed, image: NDArray[np.uint8]) -> Seen:
        height, width = image.shape[:2]
        found = self._head.candidates(outputs, self._graph.size, self._minimum_score)
        boxes = placed.in_picture(found.boxes, (width, height))
        if self._head.overlap is None:
            kept = np.argsort(-found.scores, kind="stable")[:_MOST_DETECTIONS]
        else:
            kept = best_boxes(
                boxes,
                found.scores,
                found.labels,
                minimum_score=self._minimum_score,
                overlap=self._head.overlap,
                most=_MOST_DETECTIONS,
            )
        return Seen(
            tuple(
                Detection(
                    label_of(self.labels, int(found.labels[k])),
                    min(1.0, float(found.scores[k])),
                    *map(float, boxes[k]),
                )
                for k in kept
            )
        )
