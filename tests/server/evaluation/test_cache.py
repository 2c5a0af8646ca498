"""What is known is not made again, and what changed is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.evaluation.cache import Cache, Stream, picture_digest
from server.recognition import Detection, Keypoint, Mask, NoRecogniser, Seen
from tests.server.evaluation.synthetic import COLOURS, ColourRecogniser

Picture = NDArray[np.uint8]


def red() -> Picture:
    picture = np.full((8, 12, 3), 128, np.uint8)
    picture[2:5, 3:7] = COLOURS["person"]
    return picture


PERSON = Detection("person", 0.9, 3.0, 2.0, 7.0, 5.0)


def not_to_be_made() -> Picture:
    raise AssertionError("what is in it is known already")


def test_detections_outlive_the_process_and_come_back_exactly(tmp_path: Path) -> None:
    with Cache(tmp_path / "cache") as cache:
        assert cache.detections(ColourRecogniser(), "red", red) == [PERSON]
        assert cache.detections(ColourRecogniser(), "grey", lambda: red()[6:]) == []
    with Cache(tmp_path / "cache") as cache:
        assert cache.detections(ColourRecogniser(), "red", not_to_be_made) == [PERSON]
        assert cache.detections(ColourRecogniser(), "grey", not_to_be_made) == []


class Outliner(ColourRecogniser):
    """Finds masks and keypoints, too."""

    def see(self, image: Picture) -> Seen:
        (person,) = super().see(image).detections
        mask = Mask.of((image == COLOURS["person"]).all(2))
        return Seen((replace(person, mask=mask, keypoints=(Keypoint("head", 5.0, 2.5, 0.8),)),))


def test_masks_and_keypoints_come_back_exactly(tmp_path: Path) -> None:
    with Cache(tmp_path / "cache") as cache:
        (made,) = cache.detections(Outliner(), "red", red)
    with Cache(tmp_path / "cache") as cache:
        assert cache.detections(Outliner(), "red", not_to_be_made) == [made]
    assert made.mask is not None
    assert made.mask.area == 12


def test_another_recogniser_or_picture_is_something_else() -> None:
    with Cache(None) as cache:
        cache.detections(ColourRecogniser(), "red", red)
        assert cache.detections(NoRecogniser(), "red", red) == []
        assert cache.detections(ColourRecogniser(), "cut", lambda: red()[:, 4:]) != [PERSON]


def test_changed_code_of_a_recogniser_is_another_recogniser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "changing_recogniser.py"
    code = (
        "from server.recognition import Seen\n"
        "class Changing:\n"
        "    name = 'changing'\n\n"
        "    def recognise(self, images):\n"
        "        return [Seen()]\n"
    )
    source.write_text(code)
    from changing_recogniser import Changing  # type: ignore[import-not-found]

    looked = []

    def picture() -> Picture:
        looked.append(1)
        return red()

    with Cache(None) as cache:
        for _ in range(2):
            cache.detections(Changing(), "red", picture)
        assert len(looked) == 1
        source.write_text(code + "    limit = 2\n")
        cache.detections(Changing(), "red", picture)
        assert len(looked) == 2


def test_streams_go_by_codec_quality_and_photo(tmp_path: Path) -> None:
    def make() -> Stream:
        made.append(len(made))
        return Stream(bytes(made), f"picture {len(made)}")

    made: list[int] = []
    keys = [("a", 1, "p"), ("b", 1, "p"), ("a", 2, "p"), ("a", 1, "q")]
    with Cache(tmp_path) as cache:
        first = [cache.stream(*key, make) for key in keys]
    with Cache(tmp_path) as cache:
        assert [cache.stream(*key, make) for key in keys] == first
    assert made == [0, 1, 2, 3]


def test_digests_know_samples_and_shape() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert picture_digest(picture) == picture_digest(picture.copy(order="F"))
    assert len({picture_digest(each) for each in (picture, picture[::-1], picture.reshape(4, 2, 3))}) == 3
