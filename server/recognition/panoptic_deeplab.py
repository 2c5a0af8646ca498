"""Panoptic segmentation from three maps: classes, centres of things, and the way from each pixel to its centre.

Source: Cheng et al., Panoptic-DeepLab, CVPR 2020, section 3.2: a pixel belongs to the centre that is nearest to where
its offset leads, and a thing is of the class that most of its pixels are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidRecogniserError
from server.recognition.cityscapes import CITYSCAPES_THINGS
from server.recognition.coco import COCO_LABELS
from server.recognition.heads.head import Outputs
from server.recognition.onnx_graph import OnnxGraph, label_of
from server.recognition.recogniser import OneByOne
from server.recognition.seen import Detection, Mask, Seen, Segment, Segmentation
from server.recognition.semantic import (
    Numbers,
    as_large_as,
    imagenet_input,
    imagenet_policy,
    most_likely,
    usual_labels,
)

_LEAST_CENTRE: Final = 0.1
_NEIGHBOURHOOD: Final = 7
_MOST_THINGS: Final = 200

Floats = NDArray[np.float32]


class PanopticDeepLab(OneByOne):
    """Outputs: logits (1, classes, h, w), centres (1, 1, h, w) and offsets (1, 2, h, w), rows before columns.

    Raises:
        InvalidRecogniserError: the outputs are others, or nothing says which classes are things.
    """

    family = "panoptic-deeplab"

    def __init__(self, graph: OnnxGraph, *, minimum_score: float) -> None:
        by_planes = {shape[1]: name for name, shape in graph.shapes.items() if len(shape) == 4}
        classes = [planes for planes in by_planes if planes not in (1, 2)]
        if len(graph.shapes) != 3 or len(classes) != 1 or not {1, 2} <= set(by_planes):
            raise InvalidRecogniserError(
                f"{graph.address.path} does not end in maps of classes, centres and offsets, as a Panoptic-DeepLab does"
            )
        self._semantic, self._centres, self._offsets = by_planes[classes[0]], by_planes[1], by_planes[2]
        self._graph = graph
        self._minimum_score = minimum_score
        self.labels = graph.labels(usual_labels(classes[0]), classes[0])
        things = graph.address.things or tuple(
            label for label in self.labels if label in CITYSCAPES_THINGS or label in COCO_LABELS
        )
        strangers = sorted(set(things) - set(self.labels))
        if strangers or not things:
            raise InvalidRecogniserError(
                f"{strangers[0]!r} is none of the labels of {graph.address.path}"
                if strangers
                else f"nothing says which classes of {graph.address.path} are things: give things=LABEL,LABEL"
            )
        self._things = frozenset(self.labels.index(label) for label in things)
        self.name = graph.name(self.family)
        self.device = graph.device
        self.inputs = imagenet_policy(graph)

    @staticmethod
    def fits(outputs: Outputs) -> bool:
        """Whether there are three maps, of one, of two and of more planes."""
        planes = sorted(shape[1] or 0 for shape in outputs.shapes.values() if len(shape) == 4)
        return len(outputs.shapes) == len(planes) == 3 and planes[:2] == [1, 2] and planes[2] > 2

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Things with their masks, and what each pixel of `image` shows, uint8 HxWx3 RGB."""
        outputs = self._graph.run(imagenet_input(image, self._graph))
        classes, chances = most_likely(outputs[self._semantic][0])
        is_thing = np.isin(classes, list(self._things))
        centres, scores = centres_of(outputs[self._centres][0, 0])
        owners = owners_of(outputs[self._offsets][0], centres)
        numbers = np.zeros(classes.shape, np.uint16)
        segments: list[Segment] = []

        def add(where: NDArray[np.bool_], label: int, thing: bool, score: float) -> None:
            if score >= self._minimum_score:
                segments.append(Segment(len(segments) + 1, label_of(self.labels, label), thing, score))
                numbers[where] = len(segments)

        for label in np.unique(classes[~is_thing]):
            where = classes == label
            add(where, int(label), False, float(chances[where].mean()))
        for owner in np.unique(owners[is_thing]) if len(centres) else ():
            where = is_thing & (owners == owner)
            label = int(np.bincount(classes[where]).argmax())
            add(where, label, True, float(scores[owner] * chances[where].mean()))
        large = as_large_as(image, numbers)
        things = [_detection(segment, large == segment.number) for segment in segments if segment.is_thing]
        detections = sorted(filter(None, things), key=lambda detection: detection.score, reverse=True)
        return Seen(tuple(detections), Segmentation(large, tuple(segments)))


def centres_of(heat: Floats) -> tuple[Numbers, Floats]:
    """Rows and columns (n, 2) of the peaks of a map (h, w), best first, and their heights (n,)."""
    reach = _NEIGHBOURHOOD // 2
    padded = np.pad(heat, reach, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (_NEIGHBOURHOOD, _NEIGHBOURHOOD))
    rows, columns = np.nonzero((heat == around.max((2, 3))) & (heat > _LEAST_CENTRE))
    scores = heat[rows, columns]
    best = np.argsort(-scores, kind="stable")[:_MOST_THINGS]
    return np.stack([rows, columns], 1)[best], scores[best]


def owners_of(offsets: Floats, centres: Numbers) -> Numbers:
    """Of every pixel (h, w) the number of its centre; offsets (2, h, w) lead there."""
    height, width = offsets.shape[1:]
    owners = np.zeros((height, width), np.int64)
    nearest = np.full((height, width), np.inf, np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None] + offsets[0]
    columns = np.arange(width, dtype=np.float32)[None] + offsets[1]
    for number, (row, column) in enumerate(centres):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        closer = distance < nearest
        owners[closer] = number
        nearest = np.minimum(nearest, distance)
    return owners


def _detection(segment: Segment, pixels: NDArray[np.bool_]) -> Detection | None:
    """A thing with the box around its pixels; None when scaling has left none."""
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not rows.size:
        return None
    corners = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return Detection(segment.label, segment.score, *map(float, corners), mask=Mask.of(pixels))
