"""ONNX graphs that take pictures: opened, checked and run in one way for all recognisers made of them."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.errors import InvalidRecogniserError
from server.recogniser_device import Device
from server.recognition.cityscapes import CITYSCAPES_LABELS
from server.recognition.coco import COCO_LABEL_BY_NUMBER, COCO_LABELS
from server.recognition.onnx_device import in_use, providers

Floats = NDArray[np.float32]
Shape = tuple[int | None, ...]

_USUAL_SIDE: Final = 640
_SIDES: Final = range(32, 4097)
_SIZES_INPUT: Final = "orig_target_sizes"
_MOST_AT_ONCE: Final = 8
_MOST_ALLOWED: Final = 64
_OPTIONS: Final = ("head", "labels", "side", "batch", "sha256", "things")
_KNOWN_LABELS: Final = {
    "coco": COCO_LABELS,
    "coco-91": COCO_LABEL_BY_NUMBER,
    "cityscapes": CITYSCAPES_LABELS,
}


@dataclass(frozen=True)
class OnnxAddress:
    """Which graph, and what it does not tell itself: ``PATH?head=yolox&labels=FILE&side=640&sha256=DIGEST``.

    Attributes:
        head: name of its family; None finds it by the outputs.
        labels: file with a label per line, or with a JSON list, or one of coco, coco-91 and cityscapes; None takes
            those within the graph, else its family's usual ones.
        side: pixels of the input's sides, where the graph leaves them open.
        batch: pictures of one call, at most, where the graph leaves that open.
        sha256: digest that the file must have.
        things: labels of what can be counted, by commas, for a panoptic network.
    """

    path: Path
    head: str | None = None
    labels: str | None = None
    side: int = _USUAL_SIDE
    batch: int = _MOST_AT_ONCE
    sha256: str | None = None
    things: tuple[str, ...] = ()

    @classmethod
    def parse(cls, address: str) -> OnnxAddress:
        """The address behind ``onnx:``.

        Raises:
            InvalidRecogniserError: it is none.
        """
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise InvalidRecogniserError(f"onnx: has no option {unknown[0]!r}; it has {', '.join(_OPTIONS)}")
        side = options.get("side", str(_USUAL_SIDE))
        if not side.isdecimal() or int(side) not in _SIDES or int(side) % 32:
            raise InvalidRecogniserError(f"side is {side!r}; give a multiple of 32, 32 to 4096")
        batch = options.get("batch", str(_MOST_AT_ONCE))
        if not batch.isdecimal() or not 1 <= int(batch) <= _MOST_ALLOWED:
            raise InvalidRecogniserError(f"batch is {batch!r}; give 1 to {_MOST_ALLOWED} pictures")
        return cls(
            path=Path(parts.path).expanduser(),
            head=options.get("head"),
            labels=options.get("labels"),
            side=int(side),
            batch=int(batch),
            sha256=options.get("sha256"),
            things=tuple(filter(None, options.get("things", "").split(","))),
        )


class OnnxGraph:
    """A graph with one picture, or a batch of them, as its input.

    Raises:
        InvalidRecogniserError: the file is no such graph, or not the one that was meant.
        RecogniserDeviceError: it cannot run there.
    """

    def __init__(self, address: OnnxAddress, *, threads: int, device: Device) -> None:
        content = _read(address)
        self.address = address
        self.digest = hashlib.sha256(content).hexdigest()
        self._session = onnx_session(content, address.path, threads, device)
        self.device = in_use(self._session, device)
        inputs = self._session.get_inputs()
        if not inputs:
            raise InvalidRecogniserError(
                f"{address.path} has no input: export it with a picture as its input"
            )
        self._image, *others = inputs
        if {other.name for other in others} - {_SIZES_INPUT}:
            raise InvalidRecogniserError(
                f"{address.path} asks for {', '.join(sorted(other.name for other in others))} beside the picture; "
                f"only {_SIZES_INPUT} can be given"
            )
        self._asks_size = bool(others)
        shape = tuple(map(_side, self._image.shape))
        if (
            len(shape) not in (3, 4)
            or shape[-3] not in (3, None)
            or (len(shape) == 4 and shape[0] not in (1, None))
        ):
            raise InvalidRecogniserError(
                f"{address.path} takes {self._image.name} of shape {self._image.shape}; what is given is "
                "1 x 3 x height x width, or 3 x height x width"
            )
        if self._image.type not in ("tensor(float)", "tensor(float16)"):
            raise InvalidRecogniserError(
                f"{address.path} takes a picture of {self._image.type}; export it for float or float16"
            )
        self._batched = len(shape) == 4
        self.most_at_once = address.batch if self._batched and shape[0] is None and not self._asks_size else 1
        self.fixed_size = (shape[-1], shape[-2]) if shape[-1] and shape[-2] else None
        self.size = (shape[-1] or address.side, shape[-2] or address.side)
        self.shapes: Mapping[str, Shape] = {
            output.name: tuple(map(_side, output.shape)) for output in self._session.get_outputs()
        }

    def run(self, tensor: Floats) -> dict[str, Floats]:
        """Outputs by name for a batch (n, 3, height, width), all as float32.

        A graph that asks for the picture's size is told that of its own input.
        """
        pictures = tensor if self._batched else tensor[0]
        inputs: dict[str, Any] = {
            self._image.name: pictures.astype(np.float16) if "float16" in self._image.type else pictures
        }
        if self._asks_size:
            inputs[_SIZES_INPUT] = np.array([tensor.shape[:1:-1]] * len(tensor), np.int64)
        values = self._session.run(list(self.shapes), inputs)
        return {name: np.asarray(value, np.float32) for name, value in zip(self.shapes, values, strict=True)}

    def labels(self, usual: tuple[str, ...], classes: int | None) -> tuple[str, ...]:
        """The address's labels, else those within the graph, else `usual`.

        Raises:
            InvalidRecogniserError: they cannot be read, or are not as many as there are `classes`.
        """
        asked, packed = self.address.labels, self._session.get_modelmeta().custom_metadata_map.get("names")
        labels, origin = usual, "its family's usual labels"
        if asked is not None:
            labels, origin = _KNOWN_LABELS.get(asked) or _labels_of_file(Path(asked).expanduser()), asked
        elif packed is not None:
            labels, origin = _labels_of_metadata(packed, self.address.path), "the labels within the graph"
        if classes is not None and classes != len(labels):
            raise InvalidRecogniserError(
                f"{self.address.path} has {classes} classes, but {origin} are {len(labels)}; give labels=FILE, a label "
                "per line"
            )
        return labels

    def name(self, family: str) -> str:
        """Of a recogniser made of it: the file's stem, the family and the beginning of the digest."""
        return f"{self.address.path.stem}-{family}-{self.digest[:12]}"


def label_of(labels: tuple[str, ...], number: int) -> str:
    """The label of a class, also of one that the labels do not reach."""
    return (labels[number] if 0 <= number < len(labels) else "") or f"class {number}"


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


def onnx_session(graph: bytes, path: Path, threads: int, device: Device) -> onnxruntime.InferenceSession:
    """A session over a graph, where the device says. On the CPU it takes so many threads.

    Raises:
        RecogniserDeviceError: ONNX Runtime has no such device.
        InvalidRecogniserError: `graph`, read from `path`, is none that can be run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take the codec's cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen = providers(device)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=chosen)
    except Exception as error:  # ONNX Runtime's errors have no common root of their own
        raise InvalidRecogniserError(f"{path} is no graph that ONNX Runtime can run: {error}") from error


def _side(declared: Any) -> int | None:
    return declared if isinstance(declared, int) else None


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
