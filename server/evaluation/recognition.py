"""Average precision against bits per pixel: of our views and of other codecs' pictures, for several recognisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.evaluation.average_precision import AveragePrecision, Matches
from server.evaluation.cache import Cache
from server.evaluation.codings import Coding
from server.evaluation.photos import AnnotatedPhotos
from server.recognition import Detection, Recogniser

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One setting in one recogniser's eyes.

    The first sample of each array is the set of photos itself, each further one a resample of it; resample n takes the
    same photos in every setting, so that differences between settings are paired.
    """

    setting: str
    bits_per_pixel: Samples
    precision: AveragePrecision


class RecognitionMeasurement:
    """Codes annotated photos and lets recognisers look at them.

    Args:
        recognisers: by the name under which they are told of.
        resamples: how many resamples of the photos are drawn.
        seed: of the drawing.
    """

    def __init__(
        self,
        photos: AnnotatedPhotos,
        recognisers: Mapping[str, Recogniser],
        cache: Cache,
        *,
        resamples: int,
        seed: int,
    ) -> None:
        self._photos = photos
        self._recognisers = recognisers
        self._cache = cache
        count = len(photos.photos)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self._weights = np.concatenate([np.ones((1, count)), drawn]).astype(float)
        self._pixels = np.array([photo.pixels for photo in photos.photos], float)

    def measure(self, coding: Coding, advance: Callable[[], None]) -> dict[str, Measured]:
        """Code every photo and recognise what comes out, by recogniser; `advance` is called after each photo."""
        sizes = []
        seen: dict[str, dict[int, Sequence[Detection]]] = {name: {} for name in self._recognisers}
        for photo in self._photos.photos:
            coded = coding.code(photo)
            sizes.append(coded.size)
            for name, recogniser in self._recognisers.items():
                seen[name][photo.id] = self._cache.detections(recogniser, coded.digest, coded.picture)
            advance()
        rates = 8 * (self._weights @ np.array(sizes, float)) / (self._weights @ self._pixels)
        return {
            name: Measured(coding.setting, rates, self._matches(name, found).average_precision(self._weights))
            for name, found in seen.items()
        }

    def _matches(self, name: str, found: Mapping[int, Sequence[Detection]]) -> Matches:
        return Matches(self._photos, found, self._recognisers[name].labels)
