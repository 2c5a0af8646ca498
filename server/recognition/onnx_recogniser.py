"""Which recogniser an ONNX graph is: by the head that its address names, else by its outputs."""

from __future__ import annotations

from server.errors import InvalidRecogniserError
from server.recogniser_device import Device
from server.recognition.heads import HEADS, Outputs
from server.recognition.mask_rcnn import MaskRcnn
from server.recognition.onnx_detector import OnnxDetector
from server.recognition.onnx_graph import OnnxAddress, OnnxGraph
from server.recognition.panoptic_deeplab import PanopticDeepLab
from server.recognition.recogniser import Recogniser
from server.recognition.semantic import SemanticSegmenter

_SEGMENTERS = (MaskRcnn, PanopticDeepLab, SemanticSegmenter)


def load_onnx(address: str, *, minimum_score: float, threads: int, device: Device) -> Recogniser:
    """The recogniser at an address behind ``onnx:``, see `OnnxAddress`.

    Raises:
        InvalidRecogniserError: it cannot be had.
        RecogniserDeviceError: it cannot run there.
    """
    graph = OnnxGraph(OnnxAddress.parse(address), threads=threads, device=device)
    asked, outputs = graph.address.head, Outputs(graph.shapes)
    for head in HEADS:
        if asked == head.name or (asked is None and head.fits(outputs, graph.size)):
            return OnnxDetector(graph, head, minimum_score=minimum_score)
    for segmenter in _SEGMENTERS:
        if asked == segmenter.family or (asked is None and segmenter.fits(outputs)):
            return segmenter(graph, minimum_score=minimum_score)
    known = ", ".join([head.name for head in HEADS] + [segmenter.family for segmenter in _SEGMENTERS])
    if asked is not None:
        raise InvalidRecogniserError(f"no head is named {asked!r}; use one of {known}")
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in graph.shapes.items())
    raise InvalidRecogniserError(
        f"the outputs of {graph.address.path} ({shapes}) are of no known family; name it with head=, one of {known}"
    )
