"""How many of what a camera sees, steady enough for switches: things count for a while after they were last seen."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator

from secondsight.client import Detection, Result

_TRACKS: int = 1000

Key = tuple[str, str]
"""Zone, or empty for the whole picture, and label."""


class Sightings:
    """Of one camera.

    Args:
        hold: seconds for which a thing counts after it was last seen.
        most: keys with counts of their own; what comes beyond them is not counted.
        clock: monotonic, seconds.
    """

    def __init__(self, hold: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._hold = hold
        self._most = most
        self._clock = clock
        self._seen: dict[Key, deque[tuple[float, int]]] = {}
        self._alert_until = 0.0
        self._alerting: OrderedDict[str, None] = OrderedDict()

    def add(self, result: Result, detections: list[Detection]) -> None:
        """A result, and those of its detections that count."""
        now = self._clock()
        counts: Counter[Key] = Counter()
        for detection in detections:
            counts["", detection.label] += 1
            for zone in detection.zones:
                counts[zone, detection.label] += 1
        for key, count in counts.items():
            if key in self._seen or len(self._seen) < self._most:
                seen = self._seen.setdefault(key, deque())
                # What is not more than a later count will never again be the most.
                while seen and seen[-1][1] <= count:
                    seen.pop()
                seen.append((now, count))
        for event in result.events:
            if event.alert and event.kind != "end":
                self._alerting[event.track] = None
                while len(self._alerting) > _TRACKS:
                    self._alerting.popitem(last=False)
            elif event.kind == "end":
                self._alerting.pop(event.track, None)
        alerts = any(detection.track in self._alerting for detection in detections)
        # Without tracks the frame alone says so.
        if alerts or (result.alert and detections):
            self._alert_until = now + self._hold

    def know(self, key: Key) -> None:
        """This was counted in an earlier life."""
        if len(self._seen) < self._most:
            self._seen.setdefault(key, deque())

    def counts(self) -> Iterator[tuple[Key, int]]:
        """The most at once of everything ever seen, within the time that things are held; 0 when that is over."""
        since = self._clock() - self._hold
        for key, seen in self._seen.items():
            while seen and seen[0][0] < since:
                seen.popleft()
            yield key, seen[0][1] if seen else 0

    @property
    def alert(self) -> bool:
        """Whether somebody has to look."""
        return self._clock() < self._alert_until
