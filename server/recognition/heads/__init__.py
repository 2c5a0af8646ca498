"""The heads of detectors that come as ONNX graphs: one file per family."""

from __future__ import annotations

from typing import Final

from server.recognition.heads.detr import Deployed, Logits, Queries
from server.recognition.heads.head import Candidates, Head, Outputs
from server.recognition.heads.yolov5 import Yolov5
from server.recognition.heads.yolov8 import Yolov8
from server.recognition.heads.yolov10 import Yolov10
from server.recognition.heads.yolox import Yolox

__all__ = ["HEADS", "Candidates", "Head", "Outputs"]

HEADS: Final[tuple[Head, ...]] = (
    Deployed(),
    Logits(),
    Yolov10(),
    Yolov5(),
    Yolox(),
    Queries(),
    Yolov8(),
)
"""In the order in which a graph is compared with them."""
