"""TensorFlow.js graph models to ONNX: the operators of the detectors that come this way, and no others.

Source: the graph-model format of ``@tensorflow/tfjs-converter`` (``modelTopology`` is a TensorFlow GraphDef in JSON,
``weightsManifest`` lists the weights in the order of the binary file) and the ONNX operators of opset 18.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from server.errors import RecogniserError

_OPSET: Final = 18
_IR_VERSION: Final = 8
_NHWC_TO_NCHW: Final = (0, 3, 1, 2)
_NCHW_TO_NHWC: Final = (0, 2, 3, 1)

Array = NDArray[Any]


class GraphError(RecogniserError):
    """A graph that cannot be converted."""


def to_onnx(model: bytes, weights: bytes) -> bytes:
    """Convert a graph model.

    Args:
        model: the model's JSON file.
        weights: its one binary file; float16 weights become float32.

    Returns:
        A serialised ONNX model with the inputs and outputs of the graph's signature, their ``:0`` left out.

    Raises:
        GraphError: the files do not fit each other, or the graph uses what is not known here.
    """
    description = json.loads(model)
    conversion = _Conversion(_constants(description["weightsManifest"], weights))
    for node in description["modelTopology"]["node"]:
        conversion.add(node)
    signature = description["signature"]
    graph = helper.make_graph(
        conversion.nodes,
        "graph",
        [_declared(tensor) for tensor in signature["inputs"].values()],
        [_declared(tensor) for tensor in signature["outputs"].values()],
        conversion.initialisers(),
    )
    converted = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    converted.ir_version = _IR_VERSION
    onnx.checker.check_model(converted, full_check=True)
    return bytes(converted.SerializeToString())


def _declared(tensor: dict[str, Any]) -> onnx.ValueInfoProto:
    sides = [int(side["size"]) for side in tensor["tensorShape"]["dim"]]
    return helper.make_tensor_value_info(_name(tensor["name"]), onnx.TensorProto.FLOAT, sides)


def _constants(manifest: Sequence[dict[str, Any]], weights: bytes) -> dict[str, Array]:
    """The weights by name. TensorFlow.js writes 64-bit integers as int32."""
    constants: dict[str, Array] = {}
    offset = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        if offset + count * stored.itemsize > len(weights):
            raise GraphError(f"the weights end before {entry['name']}: fetch the files again")
        values = np.frombuffer(weights, stored, count, offset).reshape(entry["shape"])
        offset += values.nbytes
        constants[entry["name"]] = values.astype(np.float32 if entry["dtype"] == "float32" else np.int64)
    if offset != len(weights):
        raise GraphError("the weights go on behind the last one listed: fetch the files again")
    return constants


def _name(reference: str) -> str:
    """A tensor's name in ONNX: the first output of a node goes by the node's own name."""
    return reference.removesuffix(":0")


def _attribute(node: dict[str, Any], name: str) -> Any:
    """An attribute's value: an integer, a number, a truth value, text or a list of integers."""
    value = node["attr"][name]
    if "list" in value:
        return [int(entry) for entry in value["list"].get("i", [])]
    if "s" in value:
        return base64.b64decode(value["s"]).decode()
    if "i" in value:
        return int(value["i"])
    return value["f"] if "f" in value else value["b"]


def _padding(node: dict[str, Any]) -> str:
    """ONNX's name of a padding. TensorFlow puts an odd row or column behind, as SAME_UPPER does."""
    layout, padding = _attribute(node, "data_format"), _attribute(node, "padding")
    if layout != "NHWC" or padding not in ("VALID", "SAME"):
        raise GraphError(
            f"{node['name']} is {layout}, {padding}; the converter knows NHWC with VALID or SAME"
        )
    return "SAME_UPPER" if padding == "SAME" else "VALID"


def _convolution(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "strides": _attribute(node, "strides")[1:3],
        "dilations": _attribute(node, "dilations")[1:3],
        "auto_pad": _padding(node),
    }


class _Conversion:
    """The ONNX nodes so far. What depends on constants alone is computed at once."""

    def __init__(self, constants: dict[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._constants = constants
        self._used: dict[str, Array] = {}

    def add(self, node: dict[str, Any]) -> None:
        operator, name = node["op"], node["name"]
        inputs = [_name(reference) for reference in node.get("input", [])]
        match operator:
            case "Placeholder" | "Const":
                pass
            case "SparseToDense":
                where, shape, values, default = (self._constants[each] for each in inputs)
                dense = np.full(shape, default, np.int64)
                dense[tuple(where.T)] = values
                self._constants[name] = dense
            case "Add" | "AddV2":
                first, second = inputs
                if first in self._constants and second in self._constants:
                    self._constants[name] = self._constants[first] + self._constants[second]
                else:
                    self._emit("Add", inputs, [name])
            case "Identity" | "Sigmoid" | "Relu" | "Mul":
                self._emit(operator, inputs, [name])
            case "AddN":
                self._emit("Sum", inputs, [name])
            case "Relu6":
                bounds = [self._constant(f"{name}/{k}", np.array(k, np.float32)) for k in (0, 6)]
                self._emit("Clip", [*inputs, *bounds], [name])
            case "LeakyRelu":
                self._emit("LeakyRelu", inputs, [name], alpha=_attribute(node, "alpha"))
            case "Transpose":
                self._emit("Transpose", inputs[:1], [name], perm=self._integers(inputs[1]))
            case "Reshape":
                self._emit("Reshape", inputs, [name])
            case "ConcatV2":
                (axis,) = self._integers(inputs[-1])
                self._emit("Concat", inputs[:-1], [name], axis=axis)
            case "SplitV":
                (axis,) = self._integers(inputs[2])
                outputs = [name, *(f"{name}:{k}" for k in range(1, _attribute(node, "num_split")))]
                self._emit("Split", inputs[:2], outputs, axis=axis)
            case "Pad" | "PadV2":
                pads = self._constant(f"{name}/pads", self._constants[inputs[1]].T.flatten())
                self._emit("Pad", [inputs[0], pads, *inputs[2:]], [name])
            case "Conv2D":
                kernel = self._constant(f"{name}/kernel", self._constants[inputs[1]].transpose(3, 2, 0, 1))
                self._emit_on_planes("Conv", inputs[0], [kernel], name, **_convolution(node))
            case "DepthwiseConv2dNative":
                weights = self._constants[inputs[1]].transpose(2, 3, 0, 1)
                kernel = self._constant(f"{name}/kernel", weights.reshape(-1, 1, *weights.shape[2:]))
                self._emit_on_planes(
                    "Conv", inputs[0], [kernel], name, group=len(weights), **_convolution(node)
                )
            case "Conv2DBackpropInput":
                weights = self._constants[inputs[1]].transpose(3, 2, 0, 1)
                strides = _attribute(node, "strides")[1:3]
                if list(weights.shape[2:]) != strides:
                    raise GraphError(
                        f"{name} overlaps itself; the converter knows a kernel as wide as its step"
                    )
                kernel = self._constant(f"{name}/kernel", weights)
                self._emit_on_planes("ConvTranspose", inputs[2], [kernel], name, strides=strides)
            case "MaxPool" | "AvgPool":
                sides = {"kernel_shape": "ksize", "strides": "strides"}
                given = {ours: _attribute(node, theirs)[1:3] for ours, theirs in sides.items()}
                ours = {"MaxPool": "MaxPool", "AvgPool": "AveragePool"}[operator]
                self._emit_on_planes(ours, inputs[0], [], name, auto_pad=_padding(node), **given)
            case "ResizeBilinear" if _attribute(node, "half_pixel_centers"):
                self._emit_on_planes(
                    "Resize",
                    inputs[0],
                    ["", "", inputs[1]],
                    name,
                    axes=(2, 3),
                    mode="linear",
                    coordinate_transformation_mode="half_pixel",
                )
            case _:
                raise GraphError(f"the graph's operator {operator} ({name}) is not known to the converter")

    def initialisers(self) -> list[onnx.TensorProto]:
        """The constants that the nodes read."""
        return [numpy_helper.from_array(values, name) for name, values in self._used.items()]

    def _emit(self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        self._used.update((name, self._constants[name]) for name in inputs if name in self._constants)
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def _emit_on_planes(
        self, operator: str, source: str, more: Sequence[str], name: str, **attributes: Any
    ) -> None:
        """An operator that ONNX knows on (N, C, H, W) alone; the runtime removes pairs of transpositions."""
        self._emit("Transpose", [source], [f"{name}/planes"], perm=_NHWC_TO_NCHW)
        self._emit(operator, [f"{name}/planes", *more], [f"{name}/result"], **attributes)
        self._emit("Transpose", [f"{name}/result"], [name], perm=_NCHW_TO_NHWC)

    def _constant(self, name: str, values: Array) -> str:
        self._constants[name] = np.ascontiguousarray(values)
        return name

    def _integers(self, name: str) -> list[int]:
        return [int(value) for value in self._constants[name].flatten()]
