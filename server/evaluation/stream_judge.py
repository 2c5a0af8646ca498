"""What people and detectors have of decoded frames, held against the original ones."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO

from server.evaluation.average_precision import Matches
from server.evaluation.cache import Cache, picture_digest
from server.evaluation.config import STREAM
from server.evaluation.photos import AnnotatedPhotos, Photo
from server.evaluation.stream_clip import Clip
from server.recognition import Detection, Recogniser
from shared_models.evaluation.quality import ms_ssim_db
from shared_models.evaluation.stream import Agreement, Closeness

Picture = NDArray[np.uint8]
Detections = Sequence[Sequence[Detection]]


class Judge:
    """Knows the original frames that are judged, and what detectors see in them.

    Args:
        recognisers: by the name under which they are told of.
        judged: how many frames, spread evenly.
    """

    def __init__(self, clip: Clip, recognisers: Mapping[str, Recogniser], cache: Cache, judged: int) -> None:
        self._recognisers = recognisers
        self._cache = cache
        self._clip = clip
        self.places = clip.spread(judged)

    def original(self, place: int) -> Picture:
        """The frame at a judged place."""
        return self._originals[place]

    def closeness(self, views: Mapping[int, Picture], *, similarity: bool) -> Closeness:
        """Of views, by place; MS-SSIM takes much longer than PSNR.

        All judged places have to be there.
        """
        pairs = [(self._originals[place], views[place]) for place in self.places]
        unlike = [_unlike(original, view) for original, view in pairs] if similarity else [None]
        return Closeness.of([_squared_error(original, view) for original, view in pairs], unlike)

    def agreement(self, views: Mapping[int, Picture]) -> dict[str, Agreement]:
        """Of what detectors see in views, by place, with what they see in the originals."""
        return {
            name: agreement(truth, self._seen(self._recognisers[name], views))
            for name, truth in self._truths.items()
            if any(truth)
        }

    @property
    def truths(self) -> dict[str, int]:
        """How many detections on the originals count as truth, by detector."""
        return {name: sum(map(len, truth)) for name, truth in self._truths.items()}

    @cached_property
    def _originals(self) -> dict[int, Picture]:
        wanted = set(self.places)
        return {place: picture for place, picture in enumerate(self._clip.pictures()) if place in wanted}

    @cached_property
    def _truths(self) -> dict[str, Detections]:
        return {
            name: [
                [found for found in frame if found.score >= STREAM.truth_score]
                for frame in self._seen(recogniser, self._originals)
            ]
            for name, recogniser in self._recognisers.items()
        }

    def _seen(self, recogniser: Recogniser, views: Mapping[int, Picture]) -> Detections:
        return [
            self._cache.detections(recogniser, picture_digest(views[place]), lambda place=place: views[place])  # type: ignore[misc]
            for place in self.places
        ]


def agreement(truth: Detections, seen: Detections) -> Agreement:
    """COCO's average precision of the detections of each frame, the truth's categories weighed by its instances.

    A truth has to hold a detection; what is seen of categories that it lacks does not count.
    """
    frames = _annotated(truth)
    matches = Matches(frames, dict(enumerate(seen, 1)))
    precision = matches.average_precision(np.ones((1, len(truth))), by_truths=True)
    return Agreement(float(precision.at_half[0]), float(precision.mean[0]))


def _annotated(truth: Detections) -> AnnotatedPhotos:
    """Detections as annotations, frames numbered from 1."""
    labels = sorted({found.label for frame in truth for found in frame})
    numbers = {label: number for number, label in enumerate(labels, 1)}
    annotations: list[dict[str, Any]] = []
    for image, frame in enumerate(truth, 1):
        for found in frame:
            width, height = found.x_max - found.x_min, found.y_max - found.y_min
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": numbers[found.label],
                    "bbox": [found.x_min, found.y_min, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    known = COCO()
    known.dataset = {
        "images": [{"id": image} for image in range(1, len(truth) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in numbers.items()],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
    return AnnotatedPhotos(tuple(Photo(image["id"], Path(), 0) for image in known.dataset["images"]), known)


def _squared_error(original: Picture, view: Picture) -> float:
    return float(np.mean((original.astype(np.float64) - view.astype(np.float64)) ** 2))


def _unlike(original: Picture, view: Picture) -> float | None:
    decibels = ms_ssim_db(original, view)
    return None if decibels is None else 10.0 ** (-decibels / 10.0)
