"""Reads the audit back, newest first, a bounded stretch at a time."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from server.audit.chain import records, segments
from server.audit.record import Outcome, Record, Subject
from server.errors import AuditError, InvalidCursorError

MOST_LOOKED_AT: Final = 20_000
"""Records that one page may look at: a second at most."""
_BLOCK: Final = 64 * 1024
_AT: Final = re.compile(rb'"at":"([0-9-]{10}T[0-9:.]{12}Z)"')
_CURSOR: Final = re.compile(r"([0-9]{12,18}):([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Which records are meant; None for any. Times count from `since` on, and before `until`."""

    since: datetime | None = None
    until: datetime | None = None
    principal: str | None = None
    camera: str | None = None
    subject: Subject | None = None
    outcome: Outcome | None = None

    def fits(self, record: Record) -> bool:
        """Whether a record is one of them."""
        event = record.event
        return (
            self.principal in (None, event.principal)
            and self.camera in (None, event.camera)
            and self.subject in (None, event.subject)
            and self.outcome in (None, event.outcome)
            and (self.until is None or moment_of(record) < self.until)
            and not self.ends_before(moment_of(record))
        )

    def ends_before(self, at: datetime) -> bool:
        """Whether none of them is as old as this."""
        return self.since is not None and at < self.since

    def marks(self) -> list[bytes]:
        """What the line of each of them has in it, which is found out faster than what record it is."""
        named = {
            "principal": self.principal,
            "camera": self.camera,
            "subject": self.subject,
            "outcome": self.outcome,
        }
        return [
            f'"{name}":{json.dumps(value)}'.encode() for name, value in named.items() if value is not None
        ]

    def __str__(self) -> str:
        """In words, for the record of who looked."""
        told = {
            "from": self.since and self.since.isoformat(),
            "to": self.until and self.until.isoformat(),
            "principal": self.principal,
            "camera": self.camera,
            "subject": self.subject,
            "outcome": self.outcome,
        }
        return (
            ", ".join(f"{name} {value}" for name, value in told.items() if value is not None) or "all records"
        )


@dataclass(frozen=True)
class Place:
    """Between two records: before `byte` of the segment that begins with record `first`."""

    first: str
    byte: int

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """Read what `str` made.

        Raises:
            InvalidCursorError
        """
        try:
            found = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor.encode()).decode())
        except ValueError:
            found = None
        if found is None:
            raise InvalidCursorError(cursor)
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.first}:{self.byte}".encode()).decode()


@dataclass(frozen=True)
class AuditPage:
    """Records, newest first.

    Attributes:
        further: where to go on; None when there is nothing older.
        back_to: time of the oldest record that was looked at, when the search was broken off to be gone on with.
        unreadable: lines that look like what is sought and hold no record as it was written.
    """

    records: list[Record]
    further: Place | None
    back_to: str | None
    unreadable: int


def read_back(
    folder: Path, sought: Sought, *, limit: int, before: Place | None = None, most: int = MOST_LOOKED_AT
) -> AuditPage:
    """The newest records that are sought, from `before` on backwards.

    Raises:
        AuditError: a segment cannot be read.
    """
    found: list[Record] = []
    looked_at = unreadable = 0
    marks = sought.marks()
    for place, line in _lines_back(folder, sought, before):
        looked_at += 1
        at = _written_at(line)
        if at is not None and sought.ends_before(datetime.fromisoformat(at)):
            break
        if all(mark in line for mark in marks):
            try:
                record = Record.from_line(line)
            except (ValueError, TypeError):
                unreadable += 1
                continue
            if sought.fits(record):
                found.append(record)
                if len(found) == limit:
                    return AuditPage(found, place, None, unreadable)
        if looked_at >= most and at is not None:
            return AuditPage(found, place, at, unreadable)
    return AuditPage(found, None, None, unreadable)


def sought_records(folder: Path, sought: Sought) -> Iterator[Record]:
    """All records that are sought, oldest first.

    Raises:
        AuditError: a segment cannot be read.
    """
    return (record for record in records(folder) if sought.fits(record))


def moment_of(record: Record) -> datetime:
    """When it was written."""
    return datetime.fromisoformat(record.at)


def _written_at(line: bytes) -> str | None:
    """When a record was written, without reading all of it. Within a text its quotes would be escaped."""
    found = _AT.search(line)
    return None if found is None else found[1].decode()


def _lines_back(folder: Path, sought: Sought, before: Place | None) -> Iterator[tuple[Place, bytes]]:
    """Lines, newest first, each with the place before it."""
    for name in reversed(segments(folder)):
        first = name.partition(".")[0]
        if before is not None and first > before.first:
            continue
        path = folder / name
        try:
            if sought.until is not None and _begins_from(path, sought.until):
                continue
            end = path.stat().st_size
            if before is not None and first == before.first:
                end = min(end, before.byte)
            for at, line in _file_back(path, end):
                yield Place(first, at), line
        except FileNotFoundError:
            continue  # too old by now
        except OSError as error:
            raise AuditError(f"segment {name} cannot be read: {error.strerror}") from error


def _begins_from(path: Path, moment: datetime) -> bool:
    """Whether all records of a segment are of this moment or later."""
    with path.open("rb") as file:
        try:
            return moment_of(Record.from_line(file.readline(_BLOCK))) >= moment
        except (ValueError, TypeError):
            return False


def _file_back(path: Path, end: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file before byte `end`, last first, each with where it begins. A line has at most a block."""
    with path.open("rb") as file:
        tail = b""
        while end > 0:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            held = file.read(end - begin) + tail
            # The first line of the block may have begun before it.
            whole = 0 if begin == 0 else held.find(b"\n") + 1
            if begin > 0 and whole == 0:
                tail, end = b"", begin  # longer than any record
                continue
            lines = held[whole:].splitlines(keepends=True)
            at = begin + len(held)
            for line in reversed(lines):
                at -= len(line)
                # What is being written has no end yet.
                if line.endswith(b"\n"):
                    yield at, line
            tail = held[:whole]
            end = begin
