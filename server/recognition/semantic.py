"""Semantic segmentation: what each pixel shows, things of one kind not told apart."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidRecogniserError
from server.recognition.cityscapes import CITYSCAPES_LABELS
from server.recognition.coco import COCO_LABELS
from server.recognition.heads.head import Outputs
from server.recognition.onnx_graph import OnnxGraph, label_of
from server.recognition.placement import stretched
from server.recognition.recogniser import Fit, InputPolicy, OneByOne
from server.recognition.seen import Seen, Segment, Segmentation

_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
_MULTIPLE: Final = 32

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class SemanticSegmenter(OneByOne):
    """One output: logits (1, classes, h, w), or classes (1, h, w) or (1, 1, h, w), of any size.

    Raises:
        InvalidRecogniserError: the output is another.
    """

    family = "semantic"

    def __init__(self, graph: OnnxGraph, *, minimum_score: float) -> None:
        shape = Outputs(graph.shapes).only
        if shape is None or len(shape) not in (3, 4):
            raise InvalidRecogniserError(
                f"{graph.address.path} does not end in one map of classes, as semantic segmentation does"
            )
        self._graph = graph
        self._minimum_score = minimum_score
        self._classes = shape[1] if len(shape) == 4 and shape[1] != 1 else None
        self.labels = graph.labels(usual_labels(self._classes), self._classes)
        self.name = graph.name(self.family)
        self.device = graph.device
        self.inputs = imagenet_policy(graph)

    @staticmethod
    def fits(outputs: Outputs) -> bool:
        """Whether there is one output, a map."""
        shape = outputs.only
        return shape is not None and len(shape) == 4

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Classes by pixel in `image`, uint8 HxWx3 RGB; a class below the minimum score in the mean is left out."""
        (output,) = self._graph.run(imagenet_input(image, self._graph)).values()
        if self._classes is None:
            classes = output.reshape(output.shape[-2:]).round().astype(np.int64)
            chances = np.ones(classes.shape, np.float32)
        else:
            classes, chances = most_likely(output[0])
        segments = []
        numbers = np.zeros(classes.shape, np.uint16)
        for number in np.unique(classes):
            where = classes == number
            score = float(chances[where].mean())
            if score >= self._minimum_score and number >= 0:
                segments.append(Segment(int(number) + 1, label_of(self.labels, int(number)), False, score))
                numbers[where] = number + 1
        return Seen(segmentation=Segmentation(as_large_as(image, numbers), tuple(segments)))


def usual_labels(classes: int | None) -> tuple[str, ...]:
    """Labels by which networks of so many classes usually go."""
    return {len(CITYSCAPES_LABELS): CITYSCAPES_LABELS, len(COCO_LABELS): COCO_LABELS}.get(classes or 0, ())


def imagenet_policy(graph: OnnxGraph) -> InputPolicy:
    """What `imagenet_input` does."""
    if graph.fixed_size is not None:
        return InputPolicy(Fit.STRETCHED, *graph.fixed_size)
    return InputPolicy(Fit.SHRUNK, graph.address.side, graph.address.side)


def imagenet_input(image: NDArray[np.uint8], graph: OnnxGraph) -> Floats:
    """(1, 3, h, w), RGB by the mean and deviation of ImageNet, stretched to the graph's size.

    Where that is open: the longer side as the address says, both to the nearest multiple of 32.
    """
    height, width = image.shape[:2]
    size = graph.fixed_size
    if size is None:
        scale = min(1.0, graph.address.side / max(height, width))
        across, down = (
            max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (width, height)
        )
        size = across, down
    pixels = stretched(image, size).pixels.astype(np.float32) / 255
    return np.ascontiguousarray(((pixels - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None])


def most_likely(logits: Floats) -> tuple[Numbers, Floats]:
    """The likeliest class of every pixel and its chance, (h, w), from logits (classes, h, w)."""
    weights = np.exp(logits - logits.max(0))
    classes = logits.argmax(0)
    chances = np.take_along_axis(weights, classes[None], 0)[0] / weights.sum(0)
    return classes.astype(np.int64), chances


def as_large_as(image: NDArray[np.uint8], numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """A map at the picture's size, each pixel the nearest's number."""
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(numbers, (width, height), interpolation=cv2.INTER_NEAREST), np.uint16)
