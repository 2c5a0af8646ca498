"""Our accumulation against pycocotools' own, on the photos and on resamples spelt out as photos."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from server.evaluation.average_precision import Matches
from server.evaluation.photos import AnnotatedPhotos, Photo
from server.recognition import Detection, Mask

PHOTOS, CATEGORIES = 12, 4


def row(photo: int, box: list[float], category: int, **more: Any) -> dict[str, Any]:
    return {"image_id": photo, "category_id": category, "bbox": box, "area": box[2] * box[3], **more}


@pytest.fixture(scope="module")
def scene() -> tuple[dict[str, Any], dict[int, list[Detection]]]:
    """Objects, a few of them crowds, and detections that lie on them, beside them, twice on them, or nowhere."""
    rng = np.random.default_rng(7)
    annotations: list[dict[str, Any]] = []
    detections: dict[int, list[Detection]] = {}
    for photo in range(1, PHOTOS + 1):
        detections[photo] = []
        for _ in range(rng.integers(0, 9)):
            category = int(rng.integers(1, CATEGORIES))  # the last one is never there
            box = [float(value) for value in (*rng.uniform(0, 200, 2), *rng.uniform(10, 90, 2))]
            crowd = int(rng.random() < 0.15)
            annotations.append(row(photo, box, category, id=len(annotations) + 1, iscrowd=crowd))
            for _ in range(rng.integers(0, 3)):
                x, y, width, height = np.array(box) * rng.uniform(0.85, 1.15, 4)
                label = f"c{category if rng.random() < 0.8 else CATEGORIES}"
                score = float(rng.random())
                detections[photo].append(Detection(label, score, x, y, x + width, y + height))
    description = {
        "images": [{"id": photo, "width": 300, "height": 300} for photo in range(1, PHOTOS + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"c{number}"} for number in range(1, CATEGORIES + 1)],
    }
    return description, detections


def indexed(description: dict[str, Any]) -> COCO:
    truth = COCO()
    truth.dataset = description
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def matches(scene: tuple[dict[str, Any], dict[int, list[Detection]]]) -> Matches:
    description, detections = scene
    photos = tuple(Photo(photo, Path("unread"), 300 * 300) for photo in detections)
    return Matches(AnnotatedPhotos(photos, indexed(description)), detections)


def by_pycocotools(
    scene: tuple[dict[str, Any], dict[int, list[Detection]]], counts: list[int]
) -> tuple[float, float]:
    """AP and AP50 of a set in which photo n stands counts[n] times, each time as a photo of its own."""
    description, detections = scene
    images, annotations, rows = [], [], []
    for photo, count in zip(detections, counts, strict=True):
        for _ in range(count):
            number = len(images) + 1
            images.append({"id": number, "width": 300, "height": 300})
            for entry in description["annotations"]:
                if entry["image_id"] == photo:
                    annotations.append({**entry, "image_id": number, "id": len(annotations) + 1})
            for found in detections[photo]:
                box = [found.x_min, found.y_min, found.x_max - found.x_min, found.y_max - found.y_min]
                rows.append(row(number, box, int(found.label[1:]), score=found.score))
    truth = indexed({**description, "images": images, "annotations": annotations})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def test_the_set_itself_scores_what_pycocotools_says(
    scene: tuple[dict[str, Any], dict[int, list[Detection]]],
) -> None:
    found = matches(scene).average_precision(np.ones((1, PHOTOS)))
    expected = by_pycocotools(scene, [1] * PHOTOS)
    assert 0.1 < expected[0] < 0.9
    assert (found.mean[0], found.at_half[0]) == pytest.approx(expected, abs=1e-9)


def test_a_resample_scores_what_pycocotools_says_of_the_photos_repeated(
    scene: tuple[dict[str, Any], dict[int, list[Detection]]],
) -> None:
    draws = np.random.default_rng(3).multinomial(PHOTOS, np.full(PHOTOS, 1 / PHOTOS), size=300)
    found = matches(scene).average_precision(draws.astype(float))
    for number in (0, 1, 2, 299):
        expected = by_pycocotools(scene, draws[number].tolist())
        assert (found.mean[number], found.at_half[number]) == pytest.approx(expected, abs=1e-9)


def test_photos_without_any_object_have_no_precision(
    scene: tuple[dict[str, Any], dict[int, list[Detection]]],
) -> None:
    description, _ = scene
    empty = set(range(1, PHOTOS + 1)) - {entry["image_id"] for entry in description["annotations"]}
    assert empty
    only_empty = np.array([[float(photo in empty) for photo in range(1, PHOTOS + 1)]])
    assert np.isnan(matches(scene).average_precision(only_empty).mean[0])


def test_nothing_found_is_zero(scene: tuple[dict[str, Any], dict[int, list[Detection]]]) -> None:
    description, detections = scene
    nothing = description, {photo: [] for photo in detections}
    assert matches(nothing).average_precision(np.ones((1, PHOTOS))).mean[0] == 0


def test_masks_are_held_against_masks_of_the_labels_that_are_looked_for() -> None:
    """Two discs in each photo; masks that are a little off, and boxes that would be wrong."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:120, :120]
    annotations: list[dict[str, Any]] = []
    detections: dict[int, list[Detection]] = {}
    results: list[dict[str, Any]] = []
    for photo in range(1, PHOTOS + 1):
        detections[photo] = []
        for category in (1, 2):
            row_at, column_at, radius = rng.uniform(30, 90), rng.uniform(30, 90), rng.uniform(10, 25)
            disc = Mask.of((rows - row_at) ** 2 + (columns - column_at) ** 2 < radius**2)
            off = rng.uniform(0, radius / 2)
            seen = Mask.of((rows - row_at - off) ** 2 + (columns - column_at) ** 2 < radius**2)
            truth = {"segmentation": disc.as_coco(), "area": disc.area, "iscrowd": 0}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": photo, "category_id": category, **truth}
            )
            score = float(rng.random())
            detections[photo].append(Detection(f"c{category}", score, 0.0, 0.0, 1.0, 1.0, mask=seen))
            found = {"image_id": photo, "category_id": category, "score": score}
            results.append({**found, "segmentation": seen.as_coco()})
    truth = indexed(
        {
            "images": [{"id": photo, "width": 120, "height": 120} for photo in detections],
            "annotations": annotations,
            "categories": [{"id": number, "name": f"c{number}"} for number in (1, 2)],
        }
    )
    photos = AnnotatedPhotos(tuple(Photo(photo, Path("unread"), 120 * 120) for photo in detections), truth)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.catIds = [2]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = Matches(photos, detections, {"c2"}).average_precision(np.ones((1, PHOTOS)))
    assert 0.1 < found.mean[0] < 0.95
    assert (found.mean[0], found.at_half[0]) == pytest.approx(tuple(evaluation.stats[:2]), abs=1e-9)
