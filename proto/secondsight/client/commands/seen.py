"""A result in one line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secondsight.client import Result


def seen_in(result: Result) -> str:
    """For example ``2 person, car, alert``."""
    if result.failure is not None:
        return f"failed: {result.failure}"
    labels = Counter(detection.label for detection in result.detections)
    labels.update(segment.label for segment in result.segments if not labels)
    told = [label if count == 1 else f"{count} {label}" for label, count in labels.most_common()]
    told += [f"{event.track} {event.kind}" for event in result.events]
    return ", ".join([*told, *(["alert"] if result.alert else [])]) or "nothing"
