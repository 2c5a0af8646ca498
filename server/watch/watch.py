"""One camera under its rules: what of its detections is published, what has come and gone, and what is an alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from server.recognition.seen import Detection
from server.watch.rules import CameraRules
from server.watch.zones import zones_of


class Happening(Enum):
    """What a thing did."""

    NEW = auto()
    """It is there."""
    UPDATE = auto()
    """It entered or left a zone, or became an alert."""
    END = auto()
    """It has gone."""


@dataclass(frozen=True)
class Noticed:
    """A published detection.

    Attributes:
        track: name of its thing, the same from frame to frame; empty while it has none.
        zones: those that it is in, its dwell time over.
    """

    detection: Detection
    track: str = ""
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that a thing did.

    Attributes:
        detection: as it was last seen.
        first_seen_s, last_seen_s: seconds, by the clock of the frames.
    """

    happening: Happening
    track: str
    detection: Detection
    zones: tuple[str, ...]
    first_seen_s: float
    last_seen_s: float
    alert: bool


@dataclass(frozen=True)
class Watched:
    """What a frame amounts to. `alert`: somebody has to look at it."""

    noticed: tuple[Noticed, ...]
    events: tuple[Event, ...] = ()
    alert: bool = False


@dataclass
class _Thing:
    track: str
    detection: Detection
    first_seen_s: float
    last_seen_s: float
    entered: dict[str, float] = field(default_factory=dict)
    zones: tuple[str, ...] = ()
    alert: bool = False


class Watch:
    """Applies a camera's rules to its frames, in order.

    The names of things are made of the frame in which each was first known, so that they are never used again, whoever
    watches the camera later. A watch that begins anew does not know the things of the one before: they end without an
    event, and are new.
    """

    def __init__(self, rules: CameraRules) -> None:
        self._rules = rules
        self._last_s: float | None = None
        self._track()

    def _track(self) -> None:
        self._things: dict[int, _Thing] = {}
        if self._rules.track:
            from server.watch.tracks import Tracks

            self._tracks = Tracks(self._rules.lost_after_s)

    @property
    def tracks_things(self) -> bool:
        """Whether things have names that last."""
        return self._rules.track

    @property
    def rules(self) -> CameraRules:
        """Those that are applied."""
        return self._rules

    def follow(self, rules: CameraRules) -> None:
        """Apply other rules from the next frame on. Things stay known, unless they are tracked in another way.

        In a zone that was redrawn a thing's dwell time begins anew.
        """
        before, self._rules = self._rules, rules
        if (rules.track, rules.lost_after_s) != (before.track, before.lost_after_s):
            self._track()
            return
        redrawn = {
            name
            for name, zone in before.zones.items()
            if name not in rules.zones or rules.zones[name].polygon != zone.polygon
        }
        for thing in self._things.values():
            thing.entered = {name: since for name, since in thing.entered.items() if name not in redrawn}

    def look(
        self, detections: Sequence[Detection], *, frame: str, at_s: float, size: tuple[int, int]
    ) -> Watched:
        """Apply the rules to a frame.

        Args:
            frame: its name, ``SESSION-SEQUENCE``.
            at_s: when it was captured, seconds. A clock that went back counts as standing still.
            size: width and height of the picture.
        """
        kept = [detection for detection in detections if self._wanted(detection, size)]
        if not self._rules.track:
            noticed = tuple(
                Noticed(detection, zones=zones_of(detection, self._rules.zones, size)) for detection in kept
            )
            return Watched(noticed, alert=any(map(self._alerts, (each.zones for each in noticed))))
        if self._last_s is not None:
            at_s = max(at_s, self._last_s + 1e-3)
        self._last_s = at_s
        noticed_things: list[Noticed] = []
        events: list[Event] = []
        for detection, number in zip(kept, self._tracks.follow(kept, at_s), strict=True):
            if number is None:
                noticed_things.append(Noticed(detection))
                continue
            thing, event = self._seen(number, detection, frame, at_s, size)
            noticed_things.append(Noticed(detection, thing.track, thing.zones))
            events += event
        events += self._gone(at_s)
        alert = any(event.alert and event.happening is not Happening.END for event in events)
        return Watched(tuple(noticed_things), tuple(events), alert)

    def _wanted(self, detection: Detection, size: tuple[int, int]) -> bool:
        rules = self._rules
        area = (detection.x_max - detection.x_min) * (detection.y_max - detection.y_min)
        return (
            detection.score >= rules.minimum_score
            and (rules.labels is None or detection.label in rules.labels)
            and area >= rules.minimum_size * size[0] * size[1]
        )

    def _alerts(self, zones: tuple[str, ...]) -> bool:
        return any(self._rules.zones[name].alert for name in zones)

    def _seen(
        self, number: int, detection: Detection, frame: str, at_s: float, size: tuple[int, int]
    ) -> tuple[_Thing, list[Event]]:
        happening = None
        thing = self._things.get(number)
        if thing is None:
            thing = _Thing(f"{frame}-{number}", detection, at_s, at_s)
            self._things[number] = thing
            happening = Happening.NEW
        thing.detection, thing.last_seen_s = detection, at_s
        stands_in = zones_of(detection, self._rules.zones, size)
        thing.entered = {name: thing.entered.get(name, at_s) for name in stands_in}
        zones = tuple(
            name for name, since in thing.entered.items() if at_s - since >= self._rules.zones[name].dwell_s
        )
        alert = self._alerts(zones)
        if happening is None and (zones != thing.zones or (alert and not thing.alert)):
            happening = Happening.UPDATE
        thing.zones, thing.alert = zones, thing.alert or alert
        return thing, [] if happening is None else [_event(happening, thing, alert)]

    def _gone(self, at_s: float) -> list[Event]:
        gone = [
            number
            for number, thing in self._things.items()
            if at_s - thing.last_seen_s > self._rules.lost_after_s
        ]
        things = [self._things.pop(number) for number in gone]
        return [_event(Happening.END, thing, thing.alert) for thing in things]


def _event(happening: Happening, thing: _Thing, alert: bool) -> Event:
    return Event(
        happening,
        thing.track,
        replace(thing.detection, mask=None),
        thing.zones,
        thing.first_seen_s,
        thing.last_seen_s,
        alert,
    )
