"""A detector that comes as an ONNX graph, of any family that `heads` knows."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.errors import InvalidRecogniserError
from server.recognition.coco import COCO_LABELS
from server.recognition.heads import HEADS, Head, Outputs
from server.recognition.recogniser import Detection
from server.recognition.suppression import best_boxes

_MOST_DETECTIONS: Final = 300
_USUAL_SIDE: Final = 640
_SIDES: Final = range(32, 4097)
_SIZES_INPUT: Final = "orig_target_sizes"


@dataclass(frozen=True)
class OnnxAddress:
    """Which graph, and what it does not tell itself: ``onnx:PATH?head=yolox&labels=FILE&side=640&sha256=DIGEST``.

    Attributes:
        head: name of its family; None finds it by the outputs.
        labels: file with a label per line, or with a JSON list; None takes those within the graph, else COCO's.
        side: pixels of the input's sides, where the graph leaves them open.
        sha256: digest that the file must have.
    """

    path: Path
    head: str | None = None
    labels: Path | None = None
    side: int = _USUAL_SIDE
    sha256: str | None = None

    @classmethod
    def parse(cls, address: str) -> OnnxAddress:
        """The address behind ``onnx:``.

        Raises:
            InvalidRecogniserError: it is none.
        """
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - {"head", "labels", "side", "sha256"})
        if unknown:
            raise InvalidRecogniserError(
                f"onnx: has no option {unknown[0]!r}; it has head, labels, side and sha256"
            )
        side = options.get("side", str(_USUAL_SIDE))
        if not side.isdecimal() or int(side) not in _SIDES or int(side) % 32:
            raise InvalidRecogniserError(f"side is {side!r}; give a multiple of 32, 32 to 4096")
        return cls(
            path=Path(parts.path).expanduser(),
            head=options.get("head"),
            labels=Path(options["labels"]).expanduser() if "labels" in options else None,
            side=int(side),
            sha256=options.get("sha256"),
        )


class OnnxDetector:
    """Runs on a GPU where ONNX Runtime has one.

    Raises:
        InvalidRecogniserError: the file is no such detector, or not the one that was meant.
    """

    def __init__(self, address: OnnxAddress, *, minimum_score: float, threads: int) -> None:
        self._minimum_score = minimum_score
        graph = _read(address)
        self._session = _session(graph, address.path, threads)
        image, *others = self._session.get_inputs()
        if {other.name for other in others} - {_SIZES_INPUT}:
            raise InvalidRecogniserError(
                f"{address.path} asks for {', '.join(sorted(other.name for other in others))} beside the picture; "
                f"only {_SIZES_INPUT} can be given"
            )
        self._image, self._asks_size = image, bool(others)
        self._size = _input_size(image, address)
        outputs = Outputs(
            {output.name: tuple(map(_side, output.shape)) for output in self._session.get_outputs()}
        )
        self._head = _head(address, outputs, self._size)
        self.labels = _labels(address, self._session, self._head.classes(outputs))
        digest = hashlib.sha256(graph).hexdigest()
        self.name = f"{address.path.stem}-{self._head.name}-{digest[:12]}"

    @property
    def head(self) -> str:
        """Name of its family."""
        return self._head.name

    def recognise(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detections of at least the minimum score in `image`, uint8 HxWx3 RGB, best first, at most 300."""
        height, width = image.shape[:2]
        placed = self._head.place(image, self._size)
        tensor = self._head.tensor(placed)
        inputs: dict[str, Any] = {
            self._image.name: tensor.astype(np.float16) if "float16" in self._image.type else tensor
        }
        if self._asks_size:
            inputs[_SIZES_INPUT] = np.array([self._size], np.int64)
        names = [output.name for output in self._session.get_outputs()]
        values = self._session.run(names, inputs)
        outputs = {name: np.asarray(value, np.float32) for name, value in zip(names, values, strict=True)}
        found = self._head.candidates(outputs, self._size, self._minimum_score)
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
        return [
            Detection(
                self._label(int(found.labels[k])), min(1.0, float(found.scores[k])), *map(float, boxes[k])
            )
            for k in kept
        ]

    def _label(self, number: int) -> str:
        return self.labels[number] if 0 <= number < len(self.labels) else f"class {number}"


def load_onnx_detector(address: str, *, minimum_score: float, threads: int) -> OnnxDetector:
    """The detector at an address behind ``onnx:``, see `OnnxAddress`.

    Raises:
        InvalidRecogniserError: it cannot be had.
    """
    return OnnxDetector(OnnxAddress.parse(address), minimum_score=minimum_score, threads=threads)


def _read(address: OnnxAddress) -> bytes:
    try:
        graph = address.path.read_bytes()
    except OSError as error:
        raise InvalidRecogniserError(f"{address.path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(graph).hexdigest()
    if address.sha256 is not None and address.sha256.lower() != digest:
        raise InvalidRecogniserError(
            f"{address.path} is not the file that was meant: its SHA-256 is {digest}, not {address.sha256}"
        )
    return graph


def _session(graph: bytes, path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take the codec's cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common root of their own
        raise InvalidRecogniserError(f"{path} is no graph that ONNX Runtime can run: {error}") from error


def _side(declared: Any) -> int | None:
    return declared if isinstance(declared, int) else None


def _input_size(image: Any, address: OnnxAddress) -> tuple[int, int]:
    """Width and height."""
    shape = tuple(map(_side, image.shape))
    if len(shape) != 4 or shape[1] not in (3, None) or shape[0] not in (1, None):
        raise InvalidRecogniserError(
            f"{address.path} takes {image.name} of shape {image.shape}; one picture at a time is given, "
            "1 x 3 x height x width"
        )
    if image.type not in ("tensor(float)", "tensor(float16)"):
        raise InvalidRecogniserError(
            f"{address.path} takes a picture of {image.type}; export it for float or float16"
        )
    return shape[3] or address.side, shape[2] or address.side


def _head(address: OnnxAddress, outputs: Outputs, size: tuple[int, int]) -> Head:
    known = {head.name: head for head in HEADS}
    if address.head is not None:
        if address.head not in known:
            raise InvalidRecogniserError(f"no head is named {address.head!r}; use one of {', '.join(known)}")
        return known[address.head]
    for head in HEADS:
        if head.fits(outputs, size):
            return head
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in outputs.shapes.items())
    raise InvalidRecogniserError(
        f"the outputs of {address.path} ({shapes}) are of no known family; name it with head=, one of "
        f"{', '.join(known)}"
    )


def _labels(
    address: OnnxAddress, session: onnxruntime.InferenceSession, classes: int | None
) -> tuple[str, ...]:
    labels, origin = COCO_LABELS, "COCO's labels"
    packed = session.get_modelmeta().custom_metadata_map.get("names")
    if address.labels is not None:
        labels, origin = _labels_of_file(address.labels), str(address.labels)
    elif packed is not None:
        labels, origin = _labels_of_metadata(packed, address.path), "the labels within the graph"
    if classes is not None and classes != len(labels):
        raise InvalidRecogniserError(
            f"{address.path} has {classes} classes, but {origin} are {len(labels)}; give labels=FILE, a label per line"
        )
    return labels


def _labels_of_file(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRecogniserError(f"the labels in {path} cannot be read: {error}") from error
    if path.suffix == ".json":
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, TypeError) as error:
            raise InvalidRecogniserError(f"{path} is no JSON list of labels: {error}") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _labels_of_metadata(text: str, path: Path) -> tuple[str, ...]:
    """As Ultralytics writes them: a Python dict of numbers and labels."""
    try:
        names = ast.literal_eval(text)
        return tuple(str(names[number]) for number in range(len(names)))
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise InvalidRecogniserError(
            f"the labels within {path} cannot be read ({error}); give labels=FILE"
        ) from error
