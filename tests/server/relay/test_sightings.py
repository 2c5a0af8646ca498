"""Counts that hold for a while, and alerts by thing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from secondsight.client import Box, Detection, Event, Result
from server.relay.sightings import Sightings

BOX = Box(x_min=0, y_min=0, x_max=1, y_max=1)


def detection(label: str = "person", track: str | None = None, *zones: str) -> Detection:
    return Detection(label=label, score=0.9, box=BOX, track=track, zones=zones)


def result(*detections: Detection, events: tuple[Event, ...] = (), alert: bool = False) -> Result:
    now = datetime.now(UTC)
    return Result(
        camera="gate",
        frame="1-1",
        captured_at=now,
        recogniser="test",
        recognised_at=now,
        width=10,
        height=10,
        detections=detections,
        events=events,
        alert=alert,
    )


def event(kind: str, track: str, *, alert: bool) -> Event:
    now = datetime.now(UTC)
    return Event(
        kind=kind,
        track=track,
        detection=detection(track=track),
        first_seen_at=now,
        last_seen_at=now,
        alert=alert,
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def add(sightings: Sightings, seen: Result) -> None:
    sightings.add(seen, list(seen.detections))


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 4)), max_size=30))
def test_a_count_is_the_most_at_once_of_the_last_while(steps: list[tuple[float, int]]) -> None:
    clock, hold = Clock(), 3.0
    sightings = Sightings(hold, most=10, clock=clock)
    past: list[tuple[float, int]] = []
    for pause, count in steps:
        clock.now += pause
        add(sightings, result(*[detection()] * count))
        past.append((clock.now, count))
        expected = max(count for at, count in past if at >= clock.now - hold)
        assert dict(sightings.counts()).get(("", "person"), 0) == expected
    clock.now += hold + 1
    assert set(dict(sightings.counts()).values()) <= {0}


def test_zones_count_by_themselves_and_keys_are_bounded() -> None:
    sightings = Sightings(3.0, most=3, clock=Clock())
    add(sightings, result(detection("person", None, "drive"), detection("person"), detection("car")))
    add(sightings, result(detection("dog")))
    assert dict(sightings.counts()) == {("", "person"): 2, ("drive", "person"): 1, ("", "car"): 1}


def test_an_alert_lasts_while_its_thing_is_seen() -> None:
    clock = Clock()
    sightings = Sightings(3.0, most=10, clock=clock)
    add(sightings, result(detection(track="t"), events=(event("update", "t", alert=True),), alert=True))
    for _ in range(5):
        clock.now += 2
        add(sightings, result(detection(track="t")))
        assert sightings.alert
    add(sightings, result(detection(track="u"), events=(event("end", "t", alert=True),)))
    clock.now += 3
    assert not sightings.alert
    add(sightings, result(detection(track="t")))
    assert not sightings.alert


def test_without_tracks_the_frame_says_it() -> None:
    clock = Clock()
    sightings = Sightings(3.0, most=10, clock=clock)
    add(sightings, result(detection(), alert=True))
    assert sightings.alert
    clock.now += 3.1
    assert not sightings.alert
