"""What one published result adds to the history of its camera."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from secondsight import store_keys
from secondsight.v1 import analytics_pb2

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
AHEAD_MS: Final = HOUR_MS
"""By which a camera's clock may be ahead of the server's."""

_MOST_LABELS: Final = 32
_MOST_SIGHTINGS: Final = 64


@dataclass(frozen=True)
class Sighting:
    """A thing in a frame; without a track, all things of one label.

    Attributes:
        score: the best, thousandths.
    """

    track: str
    label: str
    score: int
    count: int
    zones: tuple[str, ...]
    alert: bool


@dataclass(frozen=True)
class Entry:
    """A frame, as far as the history tells of it.

    Attributes:
        at_ms: when it was captured, milliseconds since the epoch.
        until_s: when its enhancement layer's life is over, seconds since the epoch; 0 without one.
        labels: how many of each label are in it.
    """

    frame: str
    at_ms: int
    machine_bytes: int
    enhancement_bytes: int
    until_s: int
    alert: bool
    labels: dict[str, int] = field(default_factory=dict)
    sightings: tuple[Sighting, ...] = ()

    @property
    def hour(self) -> int:
        """Hours since the epoch."""
        return self.at_ms // HOUR_MS

    @property
    def day(self) -> int:
        """Days since the epoch."""
        return self.at_ms // DAY_MS

    def packed(self) -> str:
        """As RECORD reads it."""
        return json.dumps(
            {
                "id": self.frame,
                "at": self.at_ms,
                "machine": self.machine_bytes,
                "enhancement": self.enhancement_bytes,
                "until": self.until_s,
                "alert": int(self.alert),
                "labels": list(self.labels.items()),
                "sightings": [
                    [seen.track, seen.label, seen.score, seen.count, int(seen.alert), *seen.zones]
                    for seen in self.sightings
                ],
            },
            separators=(",", ":"),
        )


def entry_of(
    result: analytics_pb2.RecognitionResult,
    *,
    alert_labels: tuple[str, ...] = (),
    alert_score: float = 0.0,
    tracked: bool = False,
    history_days: int,
) -> Entry:
    """What a result adds.

    A frame counts where it was captured. One whose time cannot be, because it is before the history begins or ahead of
    the server's clock, counts where it was recognised: a camera whose clock is wrong is on the timeline all the same.

    Args:
        alert_labels, alert_score: detections that make a frame an alert, whatever its camera's rules say.
        tracked: the camera's things have names; one without a name was seen for the first time, and may be none.
    """
    at_ms = result.captured_at.ToMilliseconds()
    now_ms = time.time_ns() // 1_000_000
    if not now_ms - history_days * DAY_MS <= at_ms <= now_ms + AHEAD_MS:
        at_ms = result.recognised_at.ToMilliseconds() or now_ms
    labels = Counter(seen.label for seen in result.detections)
    return Entry(
        frame=store_keys.entry_id(result.frame.session, result.frame.sequence),
        at_ms=at_ms,
        machine_bytes=result.machine_bytes,
        enhancement_bytes=result.enhancement.bytes,
        until_s=result.enhancement.expires_at.seconds if result.enhancement.bytes else 0,
        alert=result.alert,
        labels=dict(labels.most_common(_MOST_LABELS)),
        sightings=_sightings(result, alert_labels, alert_score, tracked),
    )


def _sightings(
    result: analytics_pb2.RecognitionResult, alert_labels: tuple[str, ...], alert_score: float, tracked: bool
) -> tuple[Sighting, ...]:
    alerting_tracks = {event.track for event in result.events if event.alert}
    found: dict[tuple[str, str], Sighting] = {}
    for seen in result.detections:
        if tracked and not seen.track:
            continue
        alerting_label = seen.label in alert_labels and seen.score >= alert_score
        # Of things without a track it is not told which zone it was that made the frame an alert.
        alerting = seen.track in alerting_tracks if seen.track else result.alert and bool(seen.zones)
        before = found.get((seen.track, seen.label), Sighting(seen.track, seen.label, 0, 0, (), False))
        found[seen.track, seen.label] = Sighting(
            seen.track,
            seen.label,
            max(before.score, round(1000 * seen.score)),
            before.count + 1,
            (*before.zones, *(zone for zone in seen.zones if zone not in before.zones)),
            before.alert or alerting or alerting_label,
        )
    best_first = sorted(found.values(), key=lambda each: (not each.alert, -each.score))
    return tuple(best_first[:_MOST_SIGHTINGS])
