"""All limits and choices of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared_models.evaluation.goals import LIMITS


@dataclass(frozen=True)
class EvaluationConfig:
    """How recognition is measured.

    Attributes:
        recognisers: names of those that look at pictures of photos.
        detectors: names of those that look at frames of streams.
        minimum_score: detections below it are not looked at; low, for average precision ranks all of them.
        most_detections: of one photo (COCO's maxDets).
        resamples: of the bootstrap over photos.
        seed: of the bootstrap.
        coverage: of the intervals.
        rates: bits per pixel at which the share of the original's average precision is told.
        contest: bits per pixel between which the machine layer is held against its peers.
    """

    recognisers: tuple[str, ...] = ("ssd-mobilenet", "nanodet", "persons")
    detectors: tuple[str, ...] = ("ssd-mobilenet", "nanodet")
    minimum_score: float = 0.01
    most_detections: int = 100
    resamples: int = 1000
    seed: int = 1
    coverage: float = 0.95
    rates: tuple[float, ...] = (LIMITS.stretch_share_rate, LIMITS.share_rate)
    contest: tuple[float, float] = LIMITS.contest


EVALUATION: Final = EvaluationConfig()


@dataclass(frozen=True)
class StreamConfig:
    """How streams of a camera are measured.

    Attributes:
        judged: frames of a clip whose views are looked at, spread evenly; bits are those of all its frames.
        truth_score: detections on originals that count as truth, at least.
        agreement: average precision against them at overlap 0.5, at which rates are told.
        shares: of the frames with human views, for which costs are told.
        seed: of the drawing of those frames.
        draws: of those frames, over which costs are means.
        keyint: frames from one key frame of x264 and x265 to the next, at most.
        suffixes: of the files that count as clips in a folder.
    """

    judged: int = 24
    truth_score: float = 0.5
    agreement: float = 0.95
    shares: tuple[float, ...] = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
    seed: int = 1
    draws: int = 100
    keyint: int = 125
    suffixes: tuple[str, ...] = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts", ".m4v", ".h264", ".hevc")


STREAM: Final = StreamConfig()
