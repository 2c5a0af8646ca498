"""Measuring with recognisers whose precision is known, on pictures made for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from server.evaluation.cache import Cache
from server.evaluation.codings import CONTESTANTS, Coding, Contestant, HumanView, MachineView, Original
from server.evaluation.errors import AnnotationError
from server.evaluation.photos import AnnotatedPhotos
from server.evaluation.recognition import Measured, RecognitionMeasurement
from shared_models import load_codec
from tests.server.evaluation.synthetic import SIDE, ColourRecogniser, annotated


@pytest.fixture
def photos(tmp_path: Path) -> AnnotatedPhotos:
    return AnnotatedPhotos.load(annotated(tmp_path / "photos", 8))


def measured(
    photos: AnnotatedPhotos,
    coding: Coding,
    recogniser: ColourRecogniser,
    *,
    resamples: int = 200,
    seed: int = 1,
) -> Measured:
    with Cache(None) as cache:
        measurement = RecognitionMeasurement(
            photos, {"colours": recogniser}, cache, resamples=resamples, seed=seed
        )
        return measurement.measure(coding, lambda: None)["colours"]


def test_who_finds_everything_has_precision_one(photos: AnnotatedPhotos) -> None:
    found = measured(photos, Original(), ColourRecogniser())
    assert found.precision.mean == pytest.approx(np.ones(201))
    assert found.bits_per_pixel.tolist() == [0.0] * 201


def test_who_looks_at_every_second_picture_has_half(photos: AnnotatedPhotos) -> None:
    found = measured(photos, Original(), ColourRecogniser(lambda call: call % 2 == 0))
    # Photos 2, 4, 6, 8: all cars, and half of the persons, whose 51 of 101 recalls are reached.
    assert found.precision.mean[0] == pytest.approx((1 + 51 / 101) / 2)
    assert np.nanstd(found.precision.mean) > 0.01


def test_the_same_pictures_differ_by_nothing_and_the_seed_decides(photos: AnnotatedPhotos) -> None:
    def run(seed: int) -> Measured:
        return measured(photos, Original(), ColourRecogniser(lambda call: call != 3), seed=seed)

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.precision.mean, again.precision.mean)
    assert (first.precision.mean != other.precision.mean).any()
    assert first.precision.mean[0] == other.precision.mean[0]


def test_rates_are_those_of_the_resampled_photos(photos: AnnotatedPhotos) -> None:
    codec = load_codec()
    found = measured(photos, MachineView(codec, 1), ColourRecogniser())
    sizes = [len(codec.encode(photo.read(), machine_quality=1, slices=1).machine) for photo in photos.photos]
    assert found.bits_per_pixel[0] == pytest.approx(8 * sum(sizes) / (8 * SIDE * SIDE))
    assert 8 * min(sizes) / SIDE**2 <= found.bits_per_pixel.min() < found.bits_per_pixel.max()
    both = measured(photos, HumanView(codec, 0), ColourRecogniser())
    assert both.bits_per_pixel[0] > found.bits_per_pixel[0]


@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda contestant: contestant.codec.name)
def test_every_contestant_is_measured_once_and_then_remembered(
    contestant: Contestant, photos: AnnotatedPhotos, tmp_path: Path
) -> None:
    recogniser = ColourRecogniser()
    two = AnnotatedPhotos(photos.photos[:2], photos.truth)
    results = []
    for _ in range(2):
        with Cache(tmp_path / "cache") as cache:
            best = contestant.views(cache)[0]
            measurement = RecognitionMeasurement(two, {"colours": recogniser}, cache, resamples=5, seed=1)
            results.append(measurement.measure(best, lambda: None)["colours"])
    first, again = results
    assert recogniser.calls == 2
    assert 0 < first.bits_per_pixel[0] < 24
    np.testing.assert_array_equal(first.bits_per_pixel, again.bits_per_pixel)
    np.testing.assert_array_equal(first.precision.mean, again.precision.mean)


def test_photos_come_by_rising_id_and_may_be_cut_short(tmp_path: Path) -> None:
    folder = annotated(tmp_path / "photos", 5)
    description = json.loads((folder / "instances.json").read_text())
    description["images"].reverse()
    (folder / "instances.json").write_text(json.dumps(description))
    photos = AnnotatedPhotos.load(folder, 3)
    assert [photo.id for photo in photos.photos] == [1, 2, 3]
    assert {entry["image_id"] for entry in photos.truth.dataset["annotations"]} == {1, 2, 3}
    assert photos.categories == {"person": 1, "car": 2}
    assert photos.photos[0].pixels == SIDE * SIDE


def test_folders_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"instances\.json cannot be used"):
        AnnotatedPhotos.load(tmp_path)
    (tmp_path / "instances.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(AnnotationError, match="lists no photo"):
        AnnotatedPhotos.load(tmp_path)
    (tmp_path / "instances.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(AnnotationError, match="file_name"):
        AnnotatedPhotos.load(tmp_path)
    folder = annotated(tmp_path / "photos", 3)
    (folder / "images" / "0002.png").unlink()
    with pytest.raises(AnnotationError, match=r"1 photos .*0002\.png"):
        AnnotatedPhotos.load(folder)
