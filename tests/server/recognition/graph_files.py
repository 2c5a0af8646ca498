"""Graphs in the files that TensorFlow.js writes."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


class GraphFiles:
    """Collects nodes and weights as TensorFlow.js writes them."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.manifest: list[dict[str, Any]] = []
        self.weights = b""

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append({"op": operator, "name": name, "input": list(inputs), "attr": attributes})
        return name

    def weight(self, name: str, values: np.ndarray) -> str:
        entry: dict[str, Any] = {"name": name, "shape": list(values.shape)}
        if values.dtype == np.float16:
            entry |= {"dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
        else:
            entry |= {"dtype": values.dtype.name}
        self.manifest.append(entry)
        self.weights += values.tobytes()
        self.nodes.append({"op": "Const", "name": name, "attr": {}})
        return name

    def ints(self, name: str, *values: int) -> str:
        return self.weight(name, np.array(values, np.int32))

    def model(self, source: tuple[int, ...], outputs: dict[str, tuple[int, ...]]) -> bytes:
        def declared(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
            return {"name": f"{name}:0", "tensorShape": {"dim": [{"size": str(side)} for side in shape]}}

        return json.dumps(
            {
                "signature": {
                    "inputs": {"source:0": declared("source", source)},
                    "outputs": {f"{name}:0": declared(name, shape) for name, shape in outputs.items()},
                },
                "modelTopology": {"node": [{"op": "Placeholder", "name": "source"}, *self.nodes]},
                "weightsManifest": [{"paths": ["model.bin"], "weights": self.manifest}],
            }
        ).encode()
