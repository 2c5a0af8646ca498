"""Records of a camera's history, as they come out of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import msgpack

from server.timeline.entry import Entry

UNKNOWN_LABEL: Final = "other"
"""Of what was seen when a camera had as many labels as its records can tell of."""


@dataclass(frozen=True)
class LabelRecord:
    """How much of a label there was: the most in one frame, and the number of frames that it was in."""

    most: int
    frames: int


@dataclass(frozen=True)
class Record:
    """What was seen in a stretch of time. Times in ms since the epoch.

    Attributes:
        start_ms, span_ms: the stretch.
        until_s: when the last of its enhancement layers is gone, s since the epoch.
        first_ms, first_frame: the first frame by its clock, and its name.
        pause_ms: the longest time without a frame between two of its frames, from and to.
    """

    start_ms: int
    span_ms: int
    frames: int
    machine_bytes: int
    enhancement_bytes: int
    alerts: int
    until_s: int
    first_ms: int
    first_frame: str
    last_ms: int
    last_frame: str
    pause_ms: tuple[int, int]
    labels: Mapping[str, LabelRecord]

    @classmethod
    def of_entry(cls, entry: Entry) -> Record:
        """The record of a single frame."""
        return cls(
            start_ms=entry.at_ms,
            span_ms=0,
            frames=1,
            machine_bytes=entry.machine_bytes,
            enhancement_bytes=entry.enhancement_bytes,
            alerts=int(entry.alert),
            until_s=entry.until_s,
            first_ms=entry.at_ms,
            first_frame=entry.frame,
            last_ms=entry.at_ms,
            last_frame=entry.frame,
            pause_ms=(entry.at_ms, entry.at_ms),
            labels={label: LabelRecord(count, 1) for label, count in entry.labels.items()},
        )


@dataclass(frozen=True)
class Thing:
    """Something that was seen for a while. Times in ms since the epoch.

    Attributes:
        name: its track; where things are not tracked, a name for all of a label that was seen without a break.
        best_frame: the frame that shows it best, with this score; of an alert, one in which it was one.
        most: of it at once.
    """

    name: str
    label: str
    first_ms: int
    last_ms: int
    best_score: float
    best_frame: str
    frames: int
    most: int
    alert: bool
    zones: tuple[str, ...]

    @property
    def is_track(self) -> bool:
        """Whether it is one thing that was followed."""
        return "~" not in self.name


def unpack(packed: bytes) -> Any:
    """What a script has packed."""
    return msgpack.unpackb(packed, raw=True, strict_map_key=False)


def records_of(packed: bytes, start_ms: int, span_ms: int, labels: Mapping[int, str]) -> Iterator[Record]:
    """The records of one key, unordered.

    Args:
        packed: as READ_RECORDS gives them.
        start_ms: when the hour or day of the key begins.
        span_ms: of one record.
    """
    flat = cast(list[bytes], unpack(packed))
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        begins = start_ms + int(field) * span_ms
        frames, machine, enhancement, alerts, until, first, first_frame, last, last_frame, *rest = unpack(
            value
        )
        pause_from, pause_to, *counted = rest
        yield Record(
            start_ms=begins,
            span_ms=span_ms,
            frames=frames,
            machine_bytes=machine,
            enhancement_bytes=enhancement,
            alerts=alerts,
            until_s=until,
            first_ms=begins + first,
            first_frame=first_frame.decode(),
            last_ms=begins + last,
            last_frame=last_frame.decode(),
            pause_ms=(begins + pause_from, begins + pause_to),
            labels={
                labels.get(number, UNKNOWN_LABEL): LabelRecord(most, within)
                for number, most, within in zip(counted[::3], counted[1::3], counted[2::3], strict=True)
            },
        )


def thing_of(name: str, packed: bytes, labels: Mapping[int, str]) -> Thing:
    """One thing, as `things` holds it."""
    number, first, last, score, frame, frames, most, alert, *zones = unpack(packed)
    return Thing(
        name=name,
        label=labels.get(number, UNKNOWN_LABEL),
        first_ms=first,
        last_ms=last,
        best_score=score / 1000,
        best_frame=frame.decode(),
        frames=frames,
        most=most,
        alert=bool(alert),
        zones=tuple(zone.decode() for zone in zones),
    )
