"""Outlines of persons: where the mask lies by a network of constants, and the fetched network on a drawn person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from server.recognition import Detection, OneByOne, Seen, load_recogniser
from server.recognition.networks import FOLDER_VARIABLE, network_folder
from server.recognition.persons import FILE, Persons

BOX = (40.0, 20.0, 60.0, 80.0)


class Finder(OneByOne):
    """Finds a person and a dog at one place."""

    name = "finder"
    labels = ("person", "dog")

    def see(self, image: np.ndarray) -> Seen:
        return Seen((Detection("dog", 0.9, *BOX), Detection("person", 0.8, *BOX)))


@pytest.fixture
def sees_the_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = np.zeros((1, 256, 256, 1), np.float32)
    chances[:, :, :128] = 1
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], ["chances"])],
        "constants",
        [helper.make_tensor_value_info("input_1", TensorProto.FLOAT, [1, 256, 256, 3])],
        [helper.make_tensor_value_info("chances", TensorProto.FLOAT, chances.shape)],
        [numpy_helper.from_array(chances, "value")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    save(model, str(tmp_path / FILE))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


@pytest.mark.usefixtures("sees_the_left_half")
@pytest.mark.parametrize("size", [(100, 100), (90, 70), (400, 300)])
def test_a_mask_comes_back_to_its_place_and_ends_at_its_box(size: tuple[int, int]) -> None:
    (seen,) = Persons(Finder(), threads=1).recognise([np.zeros((*size, 3), np.uint8)])
    (person,) = seen.detections
    assert (person.label, person.score, person.x_min) == ("person", 0.8, 40.0)
    assert person.mask is not None
    expected = np.zeros(size, bool)
    # Half of the padded square is half of the box, which is narrower than the square.
    expected[20:80, 40:50] = True
    wrong = person.mask.pixels != expected
    assert not wrong[:, :49].any()
    assert not wrong[:, 51:].any()


def test_the_fetched_network_outlines_persons(data_root: Path) -> None:
    if not (network_folder() / FILE).is_file():
        pytest.skip(f"{FILE} is not in {network_folder()}: fetch it with `make detectors`")
    from server.evaluation.photos import AnnotatedPhotos

    if not (data_root / "coco_val" / "instances.json").is_file():
        pytest.skip("no coco_val/ among the test pictures")
    photos = AnnotatedPhotos.load(data_root / "coco_val")

    class Knows(OneByOne):
        """Knows where the person is."""

        name = "knows"
        labels = ("person",)
        box = (0.0, 0.0, 0.0, 0.0)

        def see(self, image: np.ndarray) -> Seen:
            return Seen((Detection("person", 1.0, *self.box),))

    detector = Knows()
    persons = Persons(detector, threads=1)
    overlaps = []
    for truth in photos.truth.dataset["annotations"]:
        if truth["category_id"] != photos.categories["person"] or truth["iscrowd"] or truth["area"] < 150**2:
            continue
        (photo,) = (photo for photo in photos.photos if photo.id == truth["image_id"])
        x, y, width, height = truth["bbox"]
        detector.box = (x, y, x + width, y + height)
        (found,) = persons.recognise([photo.read()])[0].detections
        assert found.mask is not None
        seen, real = found.mask.pixels, photos.truth.annToMask(truth).astype(bool)
        overlaps.append((seen & real).sum() / (seen | real).sum())
    assert len(overlaps) > 10
    assert np.median(overlaps) > 0.7


def test_the_detector_is_named_behind_a_colon(sees_the_left_half: None) -> None:
    assert (
        load_recogniser("persons", minimum_score=0.3, threads=1).name
        == "persons-selfie-ssd-mobilenet-v2-coco"
    )
    assert load_recogniser("persons:none", minimum_score=0.3, threads=1).name == "persons-selfie-none"
