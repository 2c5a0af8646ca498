"""One record of the audit, and how each holds the one before it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

GENESIS: Final = "0" * 64
"""What the first record of all names as the one before it."""


class Subject(StrEnum):
    """What a record is about."""

    HUMAN_VIEW = "human_view"
    ENHANCEMENT_LAYER = "enhancement_layer"
    CLIP = "clip"
    """Human views of many frames, as a film. In place of the frame: the time that they were captured in."""
    EXPORT = "export"
    """Human views or enhancement layers of many frames, likewise."""
    KEEP = "keep"
    """A frame was to be kept for longer."""
    MARK = "mark"
    """A result was marked right, wrong or missed, or a mark was taken back."""
    ERASURE = "erasure"
    """All that was stored of a camera was to be erased."""
    LOGIN = "login"
    LOGOUT = "logout"
    ACCESS = "access"
    """Users, keys or tokens were changed."""
    RULES = "rules"
    """What is published of a camera's detections, its zones, or how long its layers live was changed."""
    AUDIT = "audit"
    """Somebody read the audit."""
    CALL = "call"
    """A gRPC call without credentials that would do."""
    RECOVERED = "recovered"
    """The audit was found unfinished, after a crash or a full disk."""
    RETENTION = "retention"
    """Older records are removed after this one."""


class Outcome(StrEnum):
    """What became of it."""

    ASKED = "asked"
    """Granted. `delivered` or `failed` follows, with the same `request`."""
    REFUSED = "refused"
    DELIVERED = "delivered"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened. Empty fields do not apply."""

    subject: Subject
    outcome: Outcome
    principal: str = ""
    role: str = ""
    via: str = ""
    """What let the principal in: `loopback`, `session`, `terminal`, or the visible prefix of a key or token; `start` of
    what the server did by itself when it started."""
    address: str = ""
    request: str = ""
    """Joins the records of one request."""
    camera: str = ""
    frame: str = ""
    view: str = ""
    reason: str = ""
    detail: str = ""


FIELDS: Final = ("sequence", "at", *(field.name for field in fields(Event)), "previous", "hash")
"""In the order in which they are exported."""


@dataclass(frozen=True)
class Record:
    """An event in its place: the `sequence`-th, after the record whose hash is `previous`."""

    sequence: int
    at: str
    """RFC 3339, UTC."""
    event: Event
    previous: str
    hash: str

    @classmethod
    def after(cls, sequence: int, previous: str, event: Event) -> Record:
        """The next record after record `sequence` with hash `previous`; it happened now."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(sequence + 1, at, event, previous, _hash(sequence + 1, at, event, previous))

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """Read a record and check its own hash.

        Raises:
            ValueError: it is no record, or not as it was written.
        """
        values = json.loads(line)
        if not isinstance(values, dict) or set(values) != set(FIELDS):
            raise ValueError("its fields are not those of a record")
        own = {name: values.pop(name) for name in ("sequence", "at", "previous", "hash")}
        event = Event(
            subject=Subject(values.pop("subject")), outcome=Outcome(values.pop("outcome")), **values
        )
        record = cls(event=event, **own)
        if record.hash != _hash(record.sequence, record.at, event, record.previous):
            raise ValueError("it does not have the hash that it had when it was written")
        return record

    def fields(self) -> dict[str, str | int]:
        """Its fields by name."""
        values = {
            "sequence": self.sequence,
            "at": self.at,
            "previous": self.previous,
            "hash": self.hash,
            **vars(self.event),
        }
        return {name: values[name] for name in FIELDS}

    def line(self) -> bytes:
        """One line of JSON."""
        return _canonical(self.fields()) + b"\n"


def _hash(sequence: int, at: str, event: Event, previous: str) -> str:
    return hashlib.sha256(
        _canonical({"sequence": sequence, "at": at, "previous": previous, **vars(event)})
    ).hexdigest()


def _canonical(values: dict[str, str | int]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
