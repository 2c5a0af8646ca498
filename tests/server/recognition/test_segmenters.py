"""Mask R-CNN, semantic and panoptic segmentation on small graphs of constants whose meaning is known."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from server.errors import InvalidRecogniserError
from server.messages import detection_message, segmentation_message
from server.recognition import Detection, Mask, Seen, load_recogniser
from server.recognition.mask_rcnn import MaskRcnn
from server.recognition.panoptic_deeplab import PanopticDeepLab, centres_of, owners_of
from server.recognition.semantic import SemanticSegmenter
from tests.server.recognition.onnx_graphs import constant_graph

SIDE = 96
PICTURE = np.zeros((48, 96, 3), np.uint8)


def seen_by(address: str, picture: np.ndarray = PICTURE) -> Seen:
    (seen,) = load_recogniser(address, minimum_score=0.3, threads=1).recognise([picture])
    return seen


def filled(seen: Detection, size: tuple[int, int]) -> np.ndarray:
    """Truth values within a detection's box."""
    pixels = np.zeros(size, bool)
    pixels[round(seen.y_min) : round(seen.y_max), round(seen.x_min) : round(seen.x_max)] = True
    return pixels


def test_a_mask_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(1).random((37, 53)) > 0.7
    mask = Mask.of(pixels)
    assert (mask.height, mask.width, mask.area) == (37, 53, pixels.sum())
    np.testing.assert_array_equal(mask.pixels, pixels)


def rcnn_outputs(masks: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([[0, 0, 9, 9], [16, 8, 24, 24]], np.float32),
        "labels": np.array([1, 18], np.int64),
        "scores": np.array([0.2, 0.9], np.float32),
        "masks": masks,
    }


def test_masks_of_the_whole_picture_are_taken_as_they_are(tmp_path: Path) -> None:
    masks = np.zeros((2, 1, SIDE, SIDE), np.float32)
    masks[1, 0, 8:24, 16:24] = 0.9
    address = constant_graph(tmp_path / "net.onnx", rcnn_outputs(masks), shape=(3, SIDE, SIDE))
    assert isinstance(load_recogniser(address, minimum_score=0.3, threads=1), MaskRcnn)
    (dog,) = seen_by(address).detections
    assert (dog.label, round(dog.score, 3)) == ("dog", 0.9)
    assert dog.mask is not None
    np.testing.assert_array_equal(dog.mask.pixels, filled(dog, (48, 96)))


def test_small_masks_are_laid_into_their_boxes(tmp_path: Path) -> None:
    masks = np.zeros((2, 1, 28, 28), np.float32)
    masks[1, 0, :, :14] = 1
    address = constant_graph(tmp_path / "net.onnx", rcnn_outputs(masks), shape=(3, "height", "width"))
    (dog,) = seen_by(address).detections
    assert dog.mask is not None
    left_half = np.zeros((48, 96), bool)
    left_half[8:24, 16:20] = True
    np.testing.assert_array_equal(dog.mask.pixels, left_half)


def test_a_picture_that_is_too_large_is_scaled_and_its_masks_are_scaled_back(tmp_path: Path) -> None:
    masks = np.zeros((2, 1, SIDE // 2, SIDE), np.float32)
    masks[1, 0, 8:24, 16:24] = 0.9
    address = constant_graph(tmp_path / "net.onnx", rcnn_outputs(masks), shape=(3, "height", "width"))
    (dog,) = seen_by(f"{address}?side={SIDE}", np.zeros((96, 192, 3), np.uint8)).detections
    assert dog.mask is not None
    assert (dog.x_min, dog.y_min, dog.x_max, dog.y_max) == (32, 16, 48, 48)
    wrong = dog.mask.pixels != filled(dog, (96, 192))
    assert wrong.sum() <= 4  # corners, which scaling rounds


def semantic_logits() -> np.ndarray:
    """Sky above, road below."""
    logits = np.zeros((1, 19, 24, 24), np.float32)
    logits[0, 10, :12] = 9
    logits[0, 0, 12:] = 9
    return logits


def test_each_pixel_gets_its_likeliest_class(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"logits": semantic_logits()})
    assert isinstance(load_recogniser(address, minimum_score=0.3, threads=1), SemanticSegmenter)
    segmentation = seen_by(address).segmentation
    assert segmentation is not None
    assert {segment.number: segment.label for segment in segmentation.segments} == {11: "sky", 1: "road"}
    np.testing.assert_array_equal(segmentation.numbers, np.repeat([11, 1], 24)[:, None] * np.ones(96, int))


def test_a_map_of_classes_is_taken_as_it_is(tmp_path: Path) -> None:
    classes = semantic_logits().argmax(1, keepdims=True)
    address = constant_graph(tmp_path / "net.onnx", {"classes": classes})
    segmentation = seen_by(f"{address}?labels=cityscapes").segmentation
    assert segmentation is not None
    assert {segment.label for segment in segmentation.segments} == {"sky", "road"}


def panoptic_outputs() -> dict[str, np.ndarray]:
    """Road with two cars side by side: pixels of columns 2 to 5 lead to the left one, 6 to 9 to the right one."""
    logits = np.zeros((1, 19, 24, 24), np.float32)
    logits[0, 0] = 5
    logits[0, 13, 8:12, 2:10] = 9
    heat = np.zeros((1, 1, 24, 24), np.float32)
    heat[0, 0, 10, 4], heat[0, 0, 10, 8] = 0.9, 0.6
    # Two columns beside a peak is none of its own.
    heat[0, 0, 10, 5] = 0.5
    rows, columns = np.mgrid[:24, :24]
    offsets = np.stack([10 - rows, np.where(columns < 6, 4, 8) - columns])[None].astype(np.float32)
    return {"semantic": logits, "center": heat, "offset": offsets}


def test_things_of_one_class_are_told_apart_by_their_centres(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", panoptic_outputs())
    assert isinstance(load_recogniser(address, minimum_score=0.3, threads=1), PanopticDeepLab)
    seen = seen_by(address, np.zeros((24, 24, 3), np.uint8))
    left, right = seen.detections
    assert (left.label, right.label) == ("car", "car")
    assert (left.x_min, left.y_min, left.x_max, left.y_max) == (2, 8, 6, 12)
    assert (right.x_min, right.y_min, right.x_max, right.y_max) == (6, 8, 10, 12)
    assert left.score > right.score
    assert left.mask is not None
    np.testing.assert_array_equal(left.mask.pixels, filled(left, (24, 24)))
    assert seen.segmentation is not None
    told = [(segment.label, segment.is_thing) for segment in seen.segmentation.segments]
    assert told == [("road", False), ("car", True), ("car", True)]
    assert (seen.segmentation.numbers == 1).sum() == 24 * 24 - 2 * 16


def test_a_peak_is_the_highest_around_it() -> None:
    centres, scores = centres_of(panoptic_outputs()["center"][0, 0])
    assert centres.tolist() == [[10, 4], [10, 8]]
    np.testing.assert_allclose(scores, [0.9, 0.6])


def test_a_pixel_belongs_to_the_centre_nearest_to_where_it_leads() -> None:
    offsets = np.zeros((2, 1, 4), np.float32)
    offsets[1, 0, 0] = 3
    assert owners_of(offsets, np.array([[0, 0], [0, 3]])).tolist() == [[1, 0, 1, 1]]


def test_classes_that_are_no_labels_are_told(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", panoptic_outputs())
    with pytest.raises(InvalidRecogniserError, match="'boat' is none of the labels"):
        seen_by(f"{address}?things=car,boat")


@pytest.mark.parametrize("family", ["mask-rcnn", "semantic", "panoptic-deeplab"])
def test_a_family_that_does_not_fit_the_outputs_is_told(family: str, tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"logits": np.zeros((1, 7), np.float32)})
    with pytest.raises(InvalidRecogniserError, match="does not end in"):
        seen_by(f"{address}?head={family}")


def test_a_segmentation_becomes_a_picture_of_numbers(tmp_path: Path) -> None:
    seen = seen_by(constant_graph(tmp_path / "net.onnx", panoptic_outputs()))
    assert seen.segmentation is not None
    message = segmentation_message(seen.segmentation)
    with Image.open(io.BytesIO(message.numbers_png)) as picture:
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), seen.segmentation.numbers)
    numbers = seen.segmentation.numbers
    assert [segment.pixels for segment in message.segments] == [
        int((numbers == segment.number).sum()) for segment in message.segments
    ]


def test_a_mask_travels_in_cocos_run_lengths(tmp_path: Path) -> None:
    seen = seen_by(constant_graph(tmp_path / "net.onnx", panoptic_outputs()))
    message = detection_message(seen.detections[0])
    mask = Mask(message.mask.height, message.mask.width, message.mask.counts)
    assert mask == seen.detections[0].mask
