"""What is known is not made again, and what changed is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from server.evaluation.cache import Cache, Stream, picture_digest
from server.recognition import Detection, NoRecogniser
from tests.server.evaluation.synthetic import ColourRecogniser

CAR = Detection("car", 0.1 + 0.2, 1.5, 2.0, 3.25, 4.0)


def must_not_be_made() -> list[Detection]:
    raise AssertionError("it is known already")


def test_detections_outlive_the_process_and_come_back_exactly(tmp_path: Path) -> None:
    with Cache(tmp_path / "cache") as cache:
        assert cache.detections(ColourRecogniser(), "picture", lambda: [CAR]) == [CAR]
        assert cache.detections(ColourRecogniser(), "empty", lambda: []) == []
    with Cache(tmp_path / "cache") as cache:
        assert cache.detections(ColourRecogniser(), "picture", must_not_be_made) == [CAR]
        assert cache.detections(ColourRecogniser(), "empty", must_not_be_made) == []


def test_another_recogniser_or_picture_is_something_else(tmp_path: Path) -> None:
    with Cache(None) as cache:
        cache.detections(ColourRecogniser(), "picture", lambda: [CAR])
        assert cache.detections(NoRecogniser(), "picture", lambda: []) == []
        assert cache.detections(ColourRecogniser(), "other", lambda: []) == []


def test_changed_code_of_a_recogniser_is_another_recogniser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "changing_recogniser.py"
    source.write_text("class Changing:\n    name = 'changing'\n")
    from changing_recogniser import Changing  # type: ignore[import-not-found]

    with Cache(None) as cache:
        cache.detections(Changing(), "picture", lambda: [CAR])
        assert cache.detections(Changing(), "picture", must_not_be_made) == [CAR]
        source.write_text("class Changing:\n    name = 'changing'\n    limit = 2\n")
        assert cache.detections(Changing(), "picture", lambda: []) == []


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
