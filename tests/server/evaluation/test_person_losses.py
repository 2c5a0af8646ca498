"""Losses are told for the stage and for the respect of the picture in which they happen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from server.evaluation.mixed_views import mixed_views
from server.evaluation.person_losses import PersonLosses
from server.evaluation.photos import AnnotatedPhotos
from server.recognition import Detection, Mask, OneByOne, Seen
from shared_models import Codec, load_codec
from tests.server.evaluation.synthetic import COLOURS, annotated

PHOTOS = 4


class RedPersons(OneByOne):
    """Boxes of red things and their outlines; `lost` is lost in every picture but those of the folder."""

    name = "red persons"
    labels = ("person",)

    def __init__(self, folder: Path, lost: str) -> None:
        photos = AnnotatedPhotos.load(folder).photos
        self._known = {photo.read().tobytes() for photo in photos}
        self._lost = lost

    def _loses(self, what: str, image: np.ndarray) -> bool:
        return self._lost == what and image.tobytes() not in self._known

    def boxes(self, image: np.ndarray) -> list[Detection]:
        rows, columns = np.nonzero(self._red(image))
        if not rows.size or self._loses("boxes", image):
            return []
        corners = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return [Detection("person", 0.9, *map(float, corners))]

    def outlined(self, person: Detection, image: np.ndarray) -> Detection:
        pixels = np.zeros(image.shape[:2], bool) if self._loses("outlines", image) else self._red(image)
        box = person.x_min, person.y_min, person.x_max, person.y_max
        return Detection(person.label, person.score, *box, mask=Mask.of(pixels))

    def see(self, image: np.ndarray) -> Seen:
        return Seen(tuple(self.outlined(box, image) for box in self.boxes(image)))

    def _red(self, image: np.ndarray) -> np.ndarray:
        red: np.ndarray = np.abs(image.astype(int) - COLOURS["person"]).max(2) < 60
        return red


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = annotated(tmp_path / "photos", PHOTOS)
    path = folder / "instances.json"
    description = json.loads(path.read_text())
    for entry in description["annotations"]:
        x, y, width, height = entry["bbox"]
        entry["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    path.write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize(("lost", "whole"), [("boxes", "outlines alone"), ("outlines", "boxes alone")])
def test_the_stage_that_loses_is_told(folder: Path, codec: Codec, lost: str, whole: str) -> None:
    measured = PersonLosses(AnnotatedPhotos.load(folder), RedPersons(folder, lost), resamples=10, seed=1)
    advanced: list[int] = []
    losses = measured.measure(codec, 3, lambda: advanced.append(1))
    assert len(advanced) == PHOTOS
    shares = {name: None if share is None else share.value for name, share in losses.shares.items()}
    assert shares["everything"] == shares[f"{lost} alone"] == 0
    assert shares[whole] == 1
    small = losses.groups["small, below 32x32"]
    assert (small["persons"], small["found"]) == (PHOTOS, PHOTOS)
    assert small["still_found"].value == (0 if lost == "boxes" else 1)
    assert small["overlap"].value > 0.9
    json.dumps(losses.as_dict(), allow_nan=False)
    assert shares["everything, persons large, from 96x96 on"] is None


def test_each_mixed_view_is_the_machine_view_in_one_respect() -> None:
    rng = np.random.default_rng(1)
    grey = np.repeat(rng.integers(60, 190, (48, 48, 1), np.uint8), 3, 2)
    flat = np.full_like(grey, 128)
    mixed = mixed_views(grey, flat)
    assert np.abs(mixed["brightness"].astype(int) - flat).max() <= 1
    assert np.abs(mixed["colour"].astype(int) - grey).max() <= 1
    # What is coarse and what is fine add up.
    total = mixed["coarse"].astype(int) + mixed["fine"].astype(int)
    assert np.abs(total - grey.astype(int) - flat).max() <= 1
    assert mixed["fine"].std() < mixed["coarse"].std()
    same = mixed_views(grey, grey)
    assert all(np.abs(view.astype(int) - grey).max() <= 1 for view in same.values())
