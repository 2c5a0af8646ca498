"""All limits and choices of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared_models.evaluation.goals import LIMITS


@dataclass(frozen=True)
class EvaluationConfig:
    """How recognition is measured.

    Attributes:
        detectors: names of the recognisers that look at the pictures.
        minimum_score: detections below it are not looked at; low, for average precision ranks all of them.
        most_detections: of one photo (COCO's maxDets).
        resamples: of the bootstrap over photos.
        seed: of the bootstrap.
        coverage: of the intervals.
        rates: bits per pixel at which the share of the original's average precision is told.
        contest: bits per pixel between which the machine layer is held against its peers.
    """

    detectors: tuple[str, ...] = ("ssd-mobilenet", "nanodet")
    minimum_score: float = 0.01
    most_detections: int = 100
    resamples: int = 1000
    seed: int = 1
    coverage: float = 0.95
    rates: tuple[float, ...] = (LIMITS.stretch_share_rate, LIMITS.share_rate)
    contest: tuple[float, float] = LIMITS.contest


EVALUATION: Final = EvaluationConfig()
