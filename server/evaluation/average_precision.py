"""COCO's average precision of boxes or masks, of a set of photos and of many resamples of it at once.

pycocotools matches detections to truth, photo by photo. The accumulation is done here, for a thousand resamples need
it, as matrix products: precision changes only at true positives, so that for each of these the detections that rank
before it are counted by photo once, and a resample is a vector of how often it takes each photo.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from server.evaluation.config import EVALUATION
from server.evaluation.photos import AnnotatedPhotos
from server.recognition import Detection

_OVERLAPS: Final = np.linspace(0.5, 0.95, 10)
_RECALLS: Final = np.linspace(0.0, 1.0, 101)
EVERY_AREA: Final = (0.0, 1e10)
"""Pixels of things that count."""
_RESAMPLES_AT_ONCE: Final = 250

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class AveragePrecision:
    """Of each resample: the mean over overlaps 0.5 to 0.95, and that at 0.5; 0 to 1."""

    mean: Counts
    at_half: Counts


@dataclass(frozen=True)
class _Group:
    """The true positives of one category at one overlap, best first."""

    category: int
    overlap: int
    before: Counts  # (photos, true positives): counted detections up to and with each of them
    positives: Counts  # (photos, true positives): true positives likewise


class Matches:
    """Detections of all photos held against the truth: by their masks where there is one with a mask, else by boxes.

    Args:
        detections: of every photo, by its id.
        labels: the only ones that are looked for; None looks for all that are annotated.
        area: pixels, from and to: other things are neither looked for nor wrong to find.
    """

    def __init__(
        self,
        photos: AnnotatedPhotos,
        detections: Mapping[int, Sequence[Detection]],
        labels: Collection[str] | None = None,
        area: tuple[float, float] = EVERY_AREA,
    ) -> None:
        rows = [
            _row(photo, photos.categories[detection.label], detection)
            for photo, found in detections.items()
            for detection in found
            if detection.label in photos.categories
        ]
        kind = "segm" if any("segmentation" in row for row in rows) else "bbox"
        evaluation = COCOeval(photos.truth, _results(photos, rows), kind)
        if labels is not None:
            known = (number for label, number in photos.categories.items() if label in labels)
            evaluation.params.catIds = sorted(known)
        evaluation.params.imgIds = [photo.id for photo in photos.photos]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [list(area)], ["all"]
        evaluation.params.maxDets = [EVALUATION.most_detections]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
        count = len(photos.photos)
        self._truths = np.zeros((count, len(evaluation.params.catIds)))
        self._groups: list[_Group] = []
        for category in range(len(evaluation.params.catIds)):
            self._add(category, evaluation.evalImgs[category * count : (category + 1) * count])

    def average_precision(self, weights: Counts, *, by_truths: bool = False) -> AveragePrecision:
        """Average precision of every resample.

        Args:
            weights: (resamples, photos), how often a resample takes each photo.
            by_truths: let categories weigh as much as they have truths, and not, as COCO does, all the same.
        """
        parts = [
            self._accumulated(weights[start : start + _RESAMPLES_AT_ONCE], by_truths)
            for start in range(0, len(weights), _RESAMPLES_AT_ONCE)
        ]
        return AveragePrecision(
            np.concatenate([part.mean for part in parts]), np.concatenate([part.at_half for part in parts])
        )

    def _add(self, category: int, by_photo: Sequence[dict[str, Any] | None]) -> None:
        """Take over one category: what pycocotools found in each photo, None where nothing was and nothing is."""
        seen = [(place, found) for place, found in enumerate(by_photo) if found is not None]
        for place, found in seen:
            self._truths[place, category] = np.count_nonzero(np.asarray(found["gtIgnore"]) == 0)
        if not self._truths[:, category].any():
            return
        scores = np.concatenate([found["dtScores"] for _, found in seen])
        order = np.argsort(-scores, kind="mergesort")
        matched, ignored = (
            np.concatenate([found[key] for _, found in seen], axis=1)[:, order].astype(bool)
            for key in ("dtMatches", "dtIgnore")
        )
        owners = np.concatenate([np.full(len(found["dtScores"]), place) for place, found in seen])[order]
        by_owner = owners == np.arange(len(by_photo))[:, None]
        for overlap in range(len(_OVERLAPS)):
            counted = ~ignored[overlap]
            positive = matched[overlap] & counted
            at = np.flatnonzero(positive)
            if at.size:
                before = np.cumsum(by_owner & counted, axis=1)[:, at].astype(float)
                positives = np.cumsum(by_owner & positive, axis=1)[:, at].astype(float)
                self._groups.append(_Group(category, overlap, before, positives))

    def _accumulated(self, weights: Counts, by_truths: bool) -> AveragePrecision:
        truths = weights @ self._truths
        precision = np.zeros((len(_OVERLAPS), len(weights), truths.shape[1]))
        for group in self._groups:
            positives = weights @ group.positives
            before = weights @ group.before
            with np.errstate(invalid="ignore", divide="ignore"):
                recall = np.nan_to_num(positives / truths[:, group.category, None])
                at_each = np.nan_to_num(positives / before)
            envelope = np.maximum.accumulate(at_each[:, ::-1], axis=1)[:, ::-1]
            # How many of the 101 recalls are first reached at each true positive.
            reached = np.searchsorted(_RECALLS, recall, side="right")
            reached[:, 1:] -= reached[:, :-1].copy()
            precision[group.overlap, :, group.category] = (envelope * reached).sum(1) / len(_RECALLS)
        shares = truths if by_truths else truths > 0
        with np.errstate(invalid="ignore"):
            by_overlap = (precision * shares).sum(2) / shares.sum(1)
        return AveragePrecision(by_overlap.mean(0), by_overlap[0])


def _row(photo: int, category: int, detection: Detection) -> dict[str, Any]:
    width, height = detection.x_max - detection.x_min, detection.y_max - detection.y_min
    row: dict[str, Any] = {"image_id": photo, "category_id": category, "score": detection.score}
    if detection.mask is not None:
        return row | {"segmentation": detection.mask.as_coco()}
    return row | {"bbox": [detection.x_min, detection.y_min, width, height]}


def _results(photos: AnnotatedPhotos, rows: list[dict[str, Any]]) -> Any:
    """pycocotools' form of the detections; its own loader takes no empty list."""
    from pycocotools.coco import COCO

    if rows:
        with contextlib.redirect_stdout(io.StringIO()):
            return photos.truth.loadRes(rows)
    empty = COCO()
    empty.dataset = photos.truth.dataset | {"annotations": []}
    with contextlib.redirect_stdout(io.StringIO()):
        empty.createIndex()
    return empty
