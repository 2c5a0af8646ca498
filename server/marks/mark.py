"""An operator's word on one thing in a frame, given on its human view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from secondsight import store_keys


class Verdict(StrEnum):
    """What an operator says."""

    RIGHT = "right"
    """What was detected is there, with this label."""
    WRONG = "wrong"
    """It is not; or it is something else, which the mark's label tells."""
    MISSED = "missed"
    """Something is there that was not detected."""


@dataclass(frozen=True)
class MarkedBox:
    """Corners in pixels of the frame; its upper left corner is the origin."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def overlap(self, other: MarkedBox) -> float:
        """Intersection over union."""
        width = min(self.x_max, other.x_max) - max(self.x_min, other.x_min)
        height = min(self.y_max, other.y_max) - max(self.y_min, other.y_min)
        shared = max(0.0, width) * max(0.0, height)
        together = self.area + other.area - shared
        return shared / together if together else 0.0

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.x_max - self.x_min) * (self.y_max - self.y_min)


@dataclass(frozen=True)
class Seen:
    """The detection that a verdict is about, as it was then: the `number`-th of the frame's result."""

    number: int
    label: str
    score: float
    recogniser: str
    mask: str | None = None
    """COCO's compressed run lengths."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One verdict of one person."""

    camera: str
    frame: str
    captured_ns: int
    """When the frame was, nanoseconds since the epoch."""
    width: int
    height: int
    task: str = store_keys.DEFAULT_TASK
    """Whose result it is held against."""
    detections: int
    """Of that result; whether all of them are marked tells whether the frame is told wholly."""
    verdict: Verdict
    label: str | None
    """What it is, as the operator says; None where there is nothing."""
    box: MarkedBox
    seen: Seen | None
    """None when it was missed."""
    note: str
    by: str
    at_ns: int
    """When it was said, nanoseconds since the epoch."""

    @property
    def id(self) -> str:
        """The same for all that one person says of one detection, or of one box that was missed."""
        about = (
            [round(side, 1) for side in asdict(self.box).values()] if self.seen is None else self.seen.number
        )
        digest = hashlib.sha256(json.dumps([self.by, self.task, about]).encode()).hexdigest()
        return f"{self.frame}.{digest[:12]}"

    @property
    def at(self) -> datetime:
        """When it was said."""
        return datetime.fromtimestamp(self.at_ns / 1e9, UTC)

    @property
    def captured_at(self) -> datetime:
        """When the frame was."""
        return datetime.fromtimestamp(self.captured_ns / 1e9, UTC)

    def line(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_line(cls, line: bytes) -> Mark:
        """Read what `line` wrote.

        Raises:
            ValueError: it is no mark.
        """
        try:
            values: dict[str, Any] = json.loads(line)
            seen = values.pop("seen")
            return cls(
                verdict=Verdict(values.pop("verdict")),
                box=MarkedBox(**values.pop("box")),
                seen=None if seen is None else Seen(**seen),
                **values,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"this is no mark: {error}") from error


@dataclass(frozen=True)
class MarkedFrame:
    """A frame with all that was said of it, oldest first."""

    camera: str
    frame: str
    captured_at: datetime
    width: int
    height: int
    marks: tuple[Mark, ...]

    @classmethod
    def of(cls, marks: Sequence[Mark]) -> MarkedFrame:
        """From the marks of one frame, at least one."""
        first = marks[0]
        in_order = tuple(sorted(marks, key=lambda mark: (mark.at_ns, mark.id)))
        return cls(first.camera, first.frame, first.captured_at, first.width, first.height, in_order)

    @property
    def settled(self) -> tuple[Mark, ...]:
        """The last word on each thing: of several people's on one detection, or on one missed thing, the latest."""
        words: list[Mark] = []
        for mark in self.marks:
            words = [word for word in words if not _same_thing(word, mark)]
            words.append(mark)
        return tuple(words)

    @property
    def unmarked(self) -> int:
        """Detections of which nobody has said anything, of the tasks of which something was said."""
        known = {mark.task: mark.detections for mark in self.marks}
        judged = {(mark.task, mark.seen.number) for mark in self.marks if mark.seen is not None}
        return sum(known.values()) - len(judged)


_SAME_THING = 0.5


def _same_thing(one: Mark, other: Mark) -> bool:
    if one.seen is not None and other.seen is not None:
        return (one.task, one.seen.number) == (other.task, other.seen.number)
    both_missed = one.seen is None and other.seen is None
    return both_missed and one.label == other.label and one.box.overlap(other.box) >= _SAME_THING


def frame_of(mark_id: str) -> str:
    """Name of the frame that a mark is about.

    Raises:
        InvalidEntryIdError: it is no name of a mark.
    """
    frame, _, _ = mark_id.partition(".")
    return store_keys.entry_id(*store_keys.parse_entry_id(frame))
