"""Graphs of constants: networks whose outputs are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constant_graph(
    path: Path,
    outputs: dict[str, np.ndarray],
    *,
    names: str | None = None,
    shape: tuple[int | str, ...] = (1, 3, 96, 96),
    asks_size: bool = False,
    kind: int = TensorProto.FLOAT,
) -> str:
    """Write a graph that gives `outputs` whatever it is shown; its address.

    Args:
        names: labels as Ultralytics packs them into a graph.
        shape, kind: of its input.
        asks_size: it has the second input of RT-DETR.
    """
    inputs = [helper.make_tensor_value_info("images", kind, shape)]
    if asks_size:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", [f"{name}/value"], [name]) for name in outputs],
            "constants",
            inputs,
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in outputs.items()
            ],
            [numpy_helper.from_array(array, f"{name}/value") for name, array in outputs.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    if names is not None:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return f"onnx:{path}"
