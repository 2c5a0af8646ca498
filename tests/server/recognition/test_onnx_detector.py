"""Detectors from ONNX graphs: every family on a small graph of constants whose boxes are known."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from server.errors import InvalidRecogniserError, UnknownRecogniserError
from server.recognition import Detection, load_recogniser
from server.recognition.heads import HEADS, Outputs
from server.recognition.onnx_detector import OnnxDetector
from tests.server.recognition.onnx_graphs import constant_graph

SIDE = 96
PLACES = 12 * 12 + 6 * 6 + 3 * 3
PICTURE = np.zeros((48, 96, 3), np.uint8)
"""As wide as the network's input and half as high: letterboxed at scale 1, stretched to twice its height."""

NONE = -50.0
"""A logit of what is not there."""


def seen_by(address: str, minimum_score: float = 0.3, picture: np.ndarray = PICTURE) -> list[Detection]:
    (seen,) = load_recogniser(address, minimum_score=minimum_score, threads=1).recognise([picture])
    return list(seen.detections)


def yolov5_rows() -> np.ndarray:
    rows = np.zeros((1, 3 * PLACES, 85), np.float32)
    rows[0, 5, :5] = [20, 40, 8, 16, 0.8]
    rows[0, 5, 5 + 2] = 0.5
    return rows


def yolov8_columns() -> np.ndarray:
    columns = np.zeros((1, 84, PLACES), np.float32)
    columns[0, :4, 7] = [20, 40, 8, 16]
    columns[0, 4 + 2, 7] = 0.4
    return columns


def yolov10_rows() -> np.ndarray:
    rows = np.zeros((1, 30, 6), np.float32)
    rows[0, 3] = [16, 32, 24, 48, 0.4, 2]
    return rows


def yolox_rows() -> np.ndarray:
    rows = np.zeros((1, PLACES, 85), np.float32)
    # Row 2 and column 1 of the grid of 16 pixels, moved by a quarter and a half place: the centre is at (20, 40).
    rows[0, 12 * 12 + 2 * 6 + 1, :5] = [0.25, 0.5, np.log(8 / 16), np.log(16 / 16), 0.8]
    rows[0, 12 * 12 + 2 * 6 + 1, 5 + 2] = 0.5
    return rows


def deployed() -> dict[str, np.ndarray]:
    return {
        "labels": np.array([[2, 0]], np.int64),
        "boxes": np.array([[[16, 32, 24, 48], [0, 0, 9, 9]]], np.float32),
        "scores": np.array([[0.4, 0.1]], np.float32),
    }


def logits() -> dict[str, np.ndarray]:
    chances = np.full((1, 20, 80), NONE, np.float32)
    chances[0, 4, 2] = np.log(0.4 / 0.6)
    boxes = np.zeros((1, 20, 4), np.float32)
    boxes[0, 4] = [20 / SIDE, 40 / SIDE, 8 / SIDE, 16 / SIDE]
    return {"logits": chances, "pred_boxes": boxes}


def queries() -> np.ndarray:
    rows = np.zeros((1, 100, 84), np.float32)
    rows[0, 4, :4] = [20 / SIDE, 40 / SIDE, 8 / SIDE, 16 / SIDE]
    rows[0, 4, 4 + 2] = 0.4
    return rows


IN_THE_MIDDLE = (16, 8, 24, 24)
"""The box of all graphs, (16, 32) to (24, 48), in a picture with 24 rows of grey above it."""
FAMILIES = {
    "yolov5": ({"output0": yolov5_rows()}, IN_THE_MIDDLE),
    "yolov8": ({"output0": yolov8_columns()}, IN_THE_MIDDLE),
    "yolov10": ({"output0": yolov10_rows()}, IN_THE_MIDDLE),
    "yolox": ({"output": yolox_rows()}, (16, 32, 24, 48)),  # at the corner
    "rt-detr": (deployed(), (16, 16, 24, 24)),  # stretched to twice its height
    "detr": (logits(), (16, 16, 24, 24)),
    "rt-detr-ultralytics": ({"output0": queries()}, (16, 16, 24, 24)),
}


def test_every_family_is_tried() -> None:
    assert {head.name for head in HEADS} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_known_by_its_outputs_and_its_box_is_where_it_should_be(
    family: str, tmp_path: Path
) -> None:
    outputs, box = FAMILIES[family]
    address = constant_graph(tmp_path / "net.onnx", outputs, asks_size=family == "rt-detr")
    detector = load_recogniser(address, minimum_score=0.3, threads=1)
    assert isinstance(detector, OnnxDetector)
    assert detector.head == family
    (seen,) = detector.recognise([PICTURE])[0].detections
    assert seen.label == "car"
    assert seen.score == pytest.approx(0.4, abs=1e-5)
    np.testing.assert_allclose((seen.x_min, seen.y_min, seen.x_max, seen.y_max), box, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_below_the_minimum_is_left_out(family: str, tmp_path: Path) -> None:
    outputs, _ = FAMILIES[family]
    address = constant_graph(tmp_path / "net.onnx", outputs, asks_size=family == "rt-detr")
    assert seen_by(address, minimum_score=0.41) == []


def test_of_two_boxes_on_one_thing_the_better_stays(tmp_path: Path) -> None:
    columns = yolov8_columns()
    columns[0, :4, 8] = [21, 40, 8, 16]
    columns[0, 4 + 2, 8] = 0.6
    (seen,) = seen_by(constant_graph(tmp_path / "net.onnx", {"output0": columns}))
    assert (round(seen.score, 3), seen.x_min) == (0.6, 17)


def test_the_network_sees_the_picture_and_not_its_mirror(tmp_path: Path) -> None:
    """The mean of the red channel of the left half comes out as a score."""
    rows = yolov10_rows()
    rows[0, 3, 4] = 0
    nodes = [
        helper.make_node("Slice", ["images", "start", "end", "axes"], ["part"]),
        helper.make_node("ReduceMean", ["part"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "place"], ["score"]),
        helper.make_node("Add", ["rows", "score"], ["output0"]),
    ]
    place = np.zeros_like(rows)
    place[0, 3, 4] = 1
    constants = {
        "start": np.array([0, 0], np.int64),
        "end": np.array([1, SIDE // 2], np.int64),
        "axes": np.array([1, 3], np.int64),
        "rows": rows,
        "place": place,
    }
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "redness",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
            [helper.make_tensor_value_info("output0", TensorProto.FLOAT, rows.shape)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(tmp_path / "net.onnx"))
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[:, : SIDE // 2, 0] = 204
    (seen,) = seen_by(f"onnx:{tmp_path / 'net.onnx'}", picture=picture)
    assert seen.score == pytest.approx(204 / 255, abs=1e-4)
    assert seen_by(f"onnx:{tmp_path / 'net.onnx'}", picture=picture[:, ::-1]) == []


def test_labels_come_from_the_graph_or_from_a_file(tmp_path: Path) -> None:
    columns = yolov8_columns()[:, : 4 + 3]
    inside = constant_graph(
        tmp_path / "inside.onnx", {"output0": columns}, names="{0: 'ant', 1: 'bee', 2: 'wasp'}"
    )
    assert [seen.label for seen in seen_by(inside)] == ["wasp"]
    bare = constant_graph(tmp_path / "bare.onnx", {"output0": columns})
    with pytest.raises(
        InvalidRecogniserError, match="has 3 classes, but its family's usual labels are 80; give labels=FILE"
    ):
        seen_by(bare)
    for name, text in (("labels.txt", "ant\nbee\nwasp\n"), ("labels.json", '["ant", "bee", "wasp"]')):
        (tmp_path / name).write_text(text)
        assert [seen.label for seen in seen_by(f"{bare}?labels={tmp_path / name}")] == ["wasp"]


def test_a_graph_of_open_size_gets_the_side_that_is_named(tmp_path: Path) -> None:
    address = constant_graph(
        tmp_path / "net.onnx", {"output0": yolov8_columns()}, shape=("batch", 3, "height", "width")
    )
    (seen,) = seen_by(f"{address}?side={SIDE}")
    assert (seen.x_min, seen.y_min) == (16, 8)


def test_half_precision_is_given_where_it_is_asked_for(tmp_path: Path) -> None:
    outputs = {"output0": yolov8_columns().astype(np.float16)}
    (seen,) = seen_by(constant_graph(tmp_path / "net.onnx", outputs, kind=TensorProto.FLOAT16))
    assert seen.score == pytest.approx(0.4, abs=1e-3)


def test_a_file_is_held_to_its_digest(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    digest = hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    detector = load_recogniser(f"{address}?sha256={digest}", minimum_score=0.3, threads=1)
    assert detector.name == f"net-yolov8-{digest[:12]}"
    with pytest.raises(InvalidRecogniserError, match="is not the file that was meant"):
        seen_by(f"{address}?sha256={digest[::-1]}")


def test_a_graph_without_inputs_is_told(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    model = onnx.load(tmp_path / "net.onnx")
    del model.graph.input[:]
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(InvalidRecogniserError, match=r"net\.onnx has no input"):
        seen_by(address)


def test_unknown_outputs_are_told_with_the_families_to_choose_from(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"logits": np.zeros((1, 1000), np.float32)})
    with pytest.raises(InvalidRecogniserError, match=r"logits \[1, 1000\].*name it with head=.*yolox"):
        seen_by(address)


def test_a_named_head_is_taken_at_its_word(tmp_path: Path) -> None:
    rows = np.zeros((1, 20, 85), np.float32)
    rows[0, 5] = yolov5_rows()[0, 5]
    address = constant_graph(tmp_path / "net.onnx", {"output0": rows})
    assert len(seen_by(f"{address}?head=yolov5")) == 1
    with pytest.raises(InvalidRecogniserError, match="no head is named 'yolo'"):
        seen_by(f"{address}?head=yolo")


@pytest.mark.parametrize(
    ("shape", "kind", "told"),
    [
        ((8, 3, SIDE, SIDE), TensorProto.FLOAT, "1 x 3 x height x width"),
        ((1, 1, SIDE, SIDE), TensorProto.FLOAT, "1 x 3 x height x width"),
        ((1, 3, SIDE, SIDE), TensorProto.UINT8, "export it for float or float16"),
    ],
)
def test_an_input_that_cannot_be_given_is_told(
    shape: tuple[int, ...], kind: int, told: str, tmp_path: Path
) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()}, shape=shape, kind=kind)
    with pytest.raises(InvalidRecogniserError, match=told):
        seen_by(address)


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("/no/such.onnx", "cannot be read"),
        ("/net.onnx?heads=yolox", "no option 'heads'"),
        ("/net.onnx?side=100", "multiple of 32"),
    ],
)
def test_a_wrong_address_is_told(rest: str, told: str) -> None:
    with pytest.raises(InvalidRecogniserError, match=told):
        seen_by(f"onnx:{rest}")


def test_a_file_that_is_no_graph_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x01nothing")
    with pytest.raises(InvalidRecogniserError, match="no graph that ONNX Runtime can run"):
        seen_by(f"onnx:{tmp_path / 'net.onnx'}")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownRecogniserError, match="onnx:PATH"):
        seen_by("yolo")
    with pytest.raises(InvalidRecogniserError, match="takes nothing behind its name"):
        seen_by("none:at-all")


def test_places_of_sizes_that_are_not_declared_fit_no_family_by_chance() -> None:
    open_shapes = Outputs({"output0": (1, None, None)})
    assert not any(head.fits(open_shapes, (SIDE, SIDE)) for head in HEADS)


def test_a_batch_of_pictures_of_many_sizes_is_seen_as_one_by_one(tmp_path: Path) -> None:
    """The brightness of each picture comes out as the score of its box."""
    rows = yolov10_rows()
    rows[0, 3, 4] = 0
    place = np.zeros_like(rows)
    place[0, 3, 4] = 1
    constants = {
        "rows": rows,
        "place": place,
        "axes": np.array([1, 2, 3], np.int64),
        "flat": np.array([-1, 1, 1]),
    }
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "flat"], ["column"]),
        helper.make_node("Mul", ["column", "place"], ["score"]),
        helper.make_node("Add", ["rows", "score"], ["output0"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "brightness",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("batch", 3, SIDE, SIDE))],
            [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ("batch", *rows.shape[1:]))],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.save(model, str(tmp_path / "net.onnx"))
    detector = load_recogniser(f"onnx:{tmp_path / 'net.onnx'}", minimum_score=0.1, threads=1)
    assert detector.most_at_once == 8
    assert (
        load_recogniser(f"onnx:{tmp_path / 'net.onnx'}?batch=2", minimum_score=0.1, threads=1).most_at_once
        == 2
    )
    with pytest.raises(InvalidRecogniserError, match="batch is '0'"):
        load_recogniser(f"onnx:{tmp_path / 'net.onnx'}?batch=0", minimum_score=0.1, threads=1)
    pictures = [
        np.full((side, side, 3), level, np.uint8) for side, level in ((96, 51), (48, 204), (200, 102))
    ]
    together = detector.recognise(pictures)
    assert [round(seen.detections[0].score, 3) for seen in together] == [0.2, 0.8, 0.4]
    for picture, seen in zip(pictures, together, strict=True):
        assert detector.recognise([picture])[0].detections == seen.detections
