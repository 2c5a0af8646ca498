"""One clip or export: what was asked for, and how far it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from server.access.caller import Permission, Role
from server.errors import NoUplinkError
from server.views import ImageFormat, View

_LISTED: Final = 1000
"""Frames that are listed of those left out; beyond it they are counted."""


class Kind(StrEnum):
    """What a job makes."""

    CLIP = "clip"
    """A film, MP4."""
    RESULTS = "results"
    """COCO JSON of what was recognised."""
    VIEWS = "views"
    """A zip of pictures."""
    LAYERS = "layers"
    """A zip of bitstreams."""
    MARKS = "marks"
    """A zip of human views and, as COCO JSON, what operators said of them."""


class State(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Planned(NamedTuple):
    """A frame that a job is to show."""

    camera: str
    frame: str
    captured_ns: int
    """Nanoseconds since the epoch, by the camera host's clock."""


class Order(BaseModel):
    """What was asked for, by whom."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    cameras: tuple[str, ...]
    since: datetime
    until: datetime
    """Moments of capture; what is of `until` is no more part of it."""
    view: View
    """Of layers: `machine` for the machine layers alone."""
    slices: int | None = None
    width: int | None = None
    image_format: ImageFormat = ImageFormat.JPEG
    task: str
    reason: str = ""
    owner: str
    role: Role
    via: str
    address: str

    @property
    def shows_people(self) -> bool:
        """Whether people can be recognised in what it makes."""
        return self.view is View.HUMAN

    @property
    def permission(self) -> Permission:
        """What it takes to ask for it, and to have it."""
        return Permission.HUMAN_VIEW if self.shows_people else Permission.LOOK

    @property
    def period(self) -> str:
        """``SINCE/UNTIL``, RFC 3339."""
        return f"{_told(self.since)}/{_told(self.until)}"


class LeftOut(BaseModel):
    """A frame that a job could not show. `why` is a word for programs, `detail` a sentence."""

    camera: str
    frame: str
    why: str
    detail: str


class JobFile(BaseModel):
    """What a job has made."""

    name: str
    media_type: str
    bytes: int
    sha256: str


class Job(BaseModel):
    """A job as it is kept. Times are UTC."""

    id: str
    order: Order
    state: State = State.QUEUED
    asked_at: datetime
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    """That a server has begun and, but for the last, not ended."""
    planned: int
    """Frames that it is to go through."""
    gone_through: int = 0
    left_out: list[LeftOut] = Field(default_factory=list)
    left_out_by_reason: dict[str, int] = Field(default_factory=dict)
    failure: str | None = None
    file: JobFile | None = None
    request: str = ""
    """Joins its records in the audit, when it shows people."""
    key: str | None = None
    """Idempotency-Key that it was asked for with,"""
    key_of: str = ""
    """and digest of what was asked for."""

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (State.DONE, State.FAILED)

    @property
    def left_out_count(self) -> int:
        """Frames that it could not show."""
        return sum(self.left_out_by_reason.values())

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.state is State.DONE:
            return 1.0
        return min(self.gone_through / self.planned, 1.0) if self.planned else 0.0

    def leave_out(self, camera: str, frame: str, error: Exception) -> None:
        """Note that a frame cannot be shown, and why."""
        why = reason_word(error)
        self.left_out_by_reason[why] = self.left_out_by_reason.get(why, 0) + 1
        if len(self.left_out) < _LISTED:
            self.left_out.append(LeftOut(camera=camera, frame=frame, why=why, detail=str(error)))

    def begin_again(self) -> None:
        """Forget what an attempt that did not end has found."""
        self.state = State.QUEUED
        self.begun_at, self.gone_through = None, 0
        self.left_out, self.left_out_by_reason = [], {}


def reason_word(error: Exception) -> str:
    """``enhancement-expired`` for EnhancementExpiredError: as problem documents name them."""
    if isinstance(error, NoUplinkError):
        return "edge-not-connected"
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
