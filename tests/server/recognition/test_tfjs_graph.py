"""A small graph of every known operator, converted and run, beside the same sums done by torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from server.recognition.tfjs_graph import GraphError, to_onnx
from tests.server.recognition.graph_files import GraphFiles, integers, text

NHWC: dict[str, Any] = {"data_format": text("NHWC"), "padding": text("VALID")}


def test_every_operator_computes_what_torch_computes() -> None:
    rng = np.random.default_rng(1)
    source = rng.standard_normal((1, 3, 9, 11)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 3, 4)).astype(np.float16)
    bias = rng.standard_normal(4).astype(np.float32)

    graph = GraphFiles()
    graph.weight("paddings", np.array([[0, 0], [0, 0], [1, 2], [0, 1]], np.int32))
    graph.node("Pad", "padded", "source", "paddings")
    graph.node("Transpose", "rows", "padded", graph.ints("to_rows", 0, 2, 3, 1))
    graph.weight("kernel", kernel)
    strides, dilations = integers(1, 2, 1, 1), integers(1, 1, 1, 1)
    graph.node("Conv2D", "conv", "rows", "kernel", strides=strides, dilations=dilations, **NHWC)
    graph.node("Add", "sum", "conv", graph.weight("bias", bias))
    graph.node("LeakyRelu", "leaky", "sum", alpha={"f": 0.1})
    graph.weight("around", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    graph.weight("lowest", np.array(-9.0, np.float32))
    graph.node("PadV2", "framed", "leaky", "around", "lowest")
    sides = {"ksize": integers(1, 3, 3, 1), "strides": integers(1, 2, 2, 1)}
    graph.node("MaxPool", "pooled", "framed", **sides, **NHWC)
    aligned = {"half_pixel_centers": {"b": True}, "align_corners": {"b": False}}
    graph.node("ResizeBilinear", "resized", "pooled", graph.ints("size", 6, 10), **aligned)
    graph.ints("widths", 3, 1)
    graph.node("SplitV", "parts", "resized", "widths", graph.ints("axis", 3), num_split={"i": "2"})
    graph.node("ConcatV2", "turned", "parts:1", "parts", "axis")
    graph.node("Sigmoid", "sigmoid", "turned")
    # A shape as converters write it: zeros with sparse additions, added to a constant.
    graph.weight("where", np.array([[1]], np.int32))
    graph.ints("length", 3)
    graph.ints("values", 4)
    graph.weight("zero", np.array(0, np.int32))
    graph.node("SparseToDense", "extra", "where", "length", "values", "zero")
    graph.node("AddV2", "shape", graph.ints("base", 1, 0, -1), "extra")
    graph.node("Reshape", "flat", "sigmoid", "shape")
    graph.node("Identity", "result", "flat")
    converted = to_onnx(graph.model((1, 3, 9, 11), {"result": (1, 4, 60)}), graph.weights)
    (result,) = onnxruntime.InferenceSession(converted).run(None, {"source": source})

    planes = F.pad(torch.from_numpy(source), (0, 1, 1, 2))
    weights = torch.from_numpy(kernel.astype(np.float32)).permute(3, 2, 0, 1)
    planes = F.leaky_relu(F.conv2d(planes, weights, torch.from_numpy(bias), stride=(2, 1)), 0.1)
    planes = F.max_pool2d(F.pad(planes, (1, 1, 1, 1), value=-9.0), 3, 2)
    planes = F.interpolate(planes, (6, 10), mode="bilinear", align_corners=False)
    turned = torch.cat([planes[:, 3:], planes[:, :3]], 1).permute(0, 2, 3, 1)
    expected = torch.sigmoid(turned).reshape(1, 4, 60).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_what_is_not_known_is_named() -> None:
    graph = GraphFiles()
    graph.node("Cumsum", "strange", "source")
    with pytest.raises(GraphError, match=r"Cumsum \(strange\)"):
        to_onnx(graph.model((1, 3, 4, 4), {"strange": (1, 3, 4, 4)}), b"")


def test_convolutions_of_small_networks_compute_what_torch_computes() -> None:
    rng = np.random.default_rng(2)
    source = rng.standard_normal((1, 8, 12, 4)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 4, 6)).astype(np.float32)
    depthwise = rng.standard_normal((3, 3, 6, 1)).astype(np.float32)
    upwards = rng.standard_normal((2, 2, 3, 6)).astype(np.float32)
    same = {"data_format": text("NHWC"), "padding": text("SAME"), "dilations": integers(1, 1, 1, 1)}

    graph = GraphFiles()
    graph.weight("kernel", kernel)
    graph.node("Conv2D", "conv", "source", "kernel", strides=integers(1, 2, 2, 1), **same)
    graph.node("Relu6", "bounded", "conv")
    graph.weight("depthwise", depthwise)
    graph.node("DepthwiseConv2dNative", "each", "bounded", "depthwise", strides=integers(1, 1, 1, 1), **same)
    graph.node("Relu", "positive", "each")
    sides = {"ksize": integers(1, 4, 6, 1), "strides": integers(1, 4, 6, 1)}
    graph.node("AvgPool", "mean", "positive", **sides, **NHWC)
    graph.node("Mul", "weighed", "positive", "mean")
    graph.node("AddN", "total", "weighed", "positive")
    graph.weight("upwards", upwards)
    graph.ints("size", 1, 8, 12, 3)
    graph.node(
        "Conv2DBackpropInput", "large", "size", "upwards", "total", strides=integers(1, 2, 2, 1), **same
    )
    converted = to_onnx(graph.model((1, 8, 12, 4), {"large": (1, 8, 12, 3)}), graph.weights)
    (result,) = onnxruntime.InferenceSession(converted).run(None, {"source": source})

    planes = F.pad(torch.from_numpy(source).permute(0, 3, 1, 2), (0, 1, 0, 1))
    planes = F.conv2d(planes, torch.from_numpy(kernel).permute(3, 2, 0, 1), stride=2).clamp(0, 6)
    planes = F.conv2d(planes, torch.from_numpy(depthwise).permute(2, 3, 0, 1), padding=1, groups=6).relu()
    planes = planes * planes.mean((2, 3), keepdim=True) + planes
    planes = F.conv_transpose2d(planes, torch.from_numpy(upwards).permute(3, 2, 0, 1), stride=2)
    np.testing.assert_allclose(result, planes.permute(0, 2, 3, 1).numpy(), rtol=1e-4, atol=1e-4)


def test_a_padding_that_is_not_known_is_named() -> None:
    graph = GraphFiles()
    graph.weight("kernel", np.zeros((1, 1, 3, 3), np.float32))
    explicit = {"data_format": text("NHWC"), "padding": text("EXPLICIT")}
    sides = {"strides": integers(1, 1, 1, 1), "dilations": integers(1, 1, 1, 1)}
    graph.node("Conv2D", "conv", "source", "kernel", **sides, **explicit)
    with pytest.raises(GraphError, match=r"conv is .*EXPLICIT"):
        to_onnx(graph.model((1, 4, 4, 3), {"conv": (1, 4, 4, 3)}), graph.weights)


def test_a_transposed_convolution_that_overlaps_itself_is_named() -> None:
    graph = GraphFiles()
    graph.weight("kernel", np.zeros((3, 3, 3, 3), np.float32))
    graph.ints("size", 1, 8, 8, 3)
    graph.node("Conv2DBackpropInput", "large", "size", "kernel", "source", strides=integers(1, 2, 2, 1))
    with pytest.raises(GraphError, match="large overlaps itself"):
        to_onnx(graph.model((1, 4, 4, 3), {"large": (1, 8, 8, 3)}), graph.weights)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(lambda weights: weights[:-1], "end before bias"), (lambda weights: weights + b"\0", "go on behind")],
)
def test_weights_that_do_not_fit_are_told(damage: Any, words: str) -> None:
    graph = GraphFiles()
    graph.node("Add", "sum", "source", graph.weight("bias", np.ones(4, np.float32)))
    with pytest.raises(GraphError, match=words):
        to_onnx(graph.model((1, 4), {"sum": (1, 4)}), damage(graph.weights))
