"""The chain of records on disk: segments that are only ever appended to, and a head that names the last record.

A record counts once it and the head are on disk. What a crash left behind the head is taken in when it is whole, and
dropped when not: nothing was shown on the strength of it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from server.audit.record import GENESIS, Event, Outcome, Record, Subject
from server.config import ServerConfig
from server.errors import AuditError
from server.private_file import give_to_owner_of, locked, make_private_folder, sync_folder, write_private

_log = logging.getLogger(__name__)

HEAD: Final = "head.json"
SET_ASIDE: Final = ".unreadable"
_LOCK: Final = "lock"
_MOST_LINE: Final = 64 * 1024


@dataclass(frozen=True)
class Head:
    """The last record, and where it ends."""

    sequence: int = 0
    hash: str = GENESIS
    segment: str = ""
    bytes: int = 0


class Chain:
    """Appends to the audit in `folder`, from any threads and processes. Old records go after `keep`, if given."""

    def __init__(self, folder: Path, *, segment_bytes: int, keep: timedelta | None = None) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._keep = keep
        self._one_at_a_time = threading.Lock()
        self._tidied_on = ""

    @classmethod
    def of(cls, config: ServerConfig) -> Chain:
        """The chain of a server with this configuration."""
        return cls(
            config.audit_folder,
            segment_bytes=config.audit_segment_bytes,
            keep=timedelta(days=config.audit_days),
        )

    def append(self, event: Event) -> Record:
        """Write down what happened; it is on disk when this returns.

        Raises:
            OSError: it cannot be written.
        """
        with self._one_at_a_time:
            make_private_folder(self._folder)
            with locked(self._folder / _LOCK):
                head = self._sound_head()
                record, head = self._write(head, event)
                if self._keep is not None and record.at[:10] != self._tidied_on:
                    self._tidied_on = record.at[:10]
                    self._forget_old(head, datetime.now(UTC) - self._keep)
                return record

    def _write(self, head: Head, event: Event) -> tuple[Record, Head]:
        record = Record.after(head.sequence, head.hash, event)
        line = record.line()
        if len(line) > _MOST_LINE:
            raise ValueError(
                f"a record of {len(line)} bytes could not be read again; {_MOST_LINE} are the most"
            )
        segment, at = head.segment, head.bytes
        if not segment or at >= self._segment_bytes or self._is_old(segment, record):
            segment, at = f"{record.sequence:012d}.jsonl", 0
            if (self._folder / segment).exists():
                self._set_aside(segment)
        descriptor = os.open(
            self._folder / segment, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            if at == 0:
                give_to_owner_of(self._folder, descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if at == 0:
            sync_folder(self._folder)
        head = Head(record.sequence, record.hash, segment, at + len(line))
        # An older head does no harm: the records behind it are whole, and taken in.
        write_private(self._folder / HEAD, json.dumps(asdict(head)).encode(), name_at_once=False)
        return record, head

    def _is_old(self, segment: str, record: Record) -> bool:
        """A segment spans a tenth of the time for which records are kept, so that none stays for much longer.

        One whose first record is not as it was written is not gone on with: it stays for whoever looks into it.
        """
        if self._keep is None:
            return False
        began = self._began(segment)
        return began is None or _moment(record.at) - began > self._keep / 10

    def _began(self, segment: str) -> datetime | None:
        """When the first record of a segment was written; None when that cannot be told."""
        with (self._folder / segment).open("rb") as file:
            try:
                return _moment(Record.from_line(file.readline(_MOST_LINE)).at)
            except (ValueError, TypeError):
                return None

    def _sound_head(self) -> Head:
        """The head, once what a crash left behind it is taken in or dropped."""
        head = read_head(self._folder)
        if head is None:
            last = None
            for last in records(self._folder):  # noqa: B007  # the last is wanted
                pass
            if last is None:
                return self._begun_anew()
            return self._recovered(
                Head(last.sequence, last.hash), "the head was missing; a cut-off tail would not be seen"
            )
        if not head.segment:
            return head
        try:
            size = (self._folder / head.segment).stat().st_size
        except FileNotFoundError:
            size = -1
        if size < head.bytes:
            return self._recovered(
                Head(head.sequence, head.hash), f"the end of segment {head.segment} was missing"
            )
        if size > head.bytes or self._begun_after(head):
            return self._behind(head)
        return head

    def _begun_anew(self) -> Head:
        """The head of an audit without a record; segments that can hold none are set aside."""
        unreadable = segments(self._folder)
        if not unreadable:
            return Head()
        for name in unreadable:
            self._set_aside(name)
        return self._recovered(Head(), f"no record could be read in {len(unreadable)} segments, set aside")

    def _set_aside(self, segment: str) -> None:
        """Keep what cannot be gone on with, out of the way of what is written."""
        path = self._folder / segment
        path.rename(path.with_name(f"{segment}.{time.time_ns()}{SET_ASIDE}"))

    def _begun_after(self, head: Head) -> bool:
        return any(name > head.segment for name in segments(self._folder))

    def _behind(self, head: Head) -> Head:
        """Take in the whole records that stand behind the head, and cut off the rest."""
        dropped = 0
        for name in segments(self._folder):
            if name < head.segment:
                continue
            path = self._folder / name
            begin = head.bytes if name == head.segment else 0
            with path.open("r+b") as file:
                file.seek(begin)
                whole = begin
                for line in file:
                    try:
                        record = Record.from_line(line)
                    except (ValueError, TypeError):
                        break
                    if (record.sequence, record.previous) != (head.sequence + 1, head.hash):
                        break
                    whole += len(line)
                    head = Head(record.sequence, record.hash, name, whole)
                dropped += path.stat().st_size - whole
                file.truncate(whole)
                os.fsync(file.fileno())
            if whole == 0:
                path.unlink()
        return self._recovered(head, f"{dropped} bytes of an unfinished record were dropped")

    def _recovered(self, head: Head, detail: str) -> Head:
        _log.error("the audit in %s: %s", self._folder, detail)
        _, head = self._write(
            head, Event(subject=Subject.RECOVERED, outcome=Outcome.DONE, principal="server", detail=detail)
        )
        return head

    def _forget_old(self, head: Head, limit: datetime) -> None:
        """Remove the segments whose records are all too old, and say so in the chain first."""
        names = segments(self._folder)
        old = []
        for name, following in pairwise(names):
            began = self._began(following)
            if began is None or began >= limit:
                break
            old.append(name)
        if not old:
            return
        first_kept = int(names[len(old)].partition(".")[0])
        self._write(
            head,
            Event(
                subject=Subject.RETENTION,
                outcome=Outcome.DONE,
                principal="server",
                detail=f"records before {first_kept} are removed",
            ),
        )
        for name in old:
            (self._folder / name).unlink()
        sync_folder(self._folder)


def segments(folder: Path) -> list[str]:
    """Names of the segments, oldest first. Each begins with the number of its first record."""
    return sorted(path.name for path in folder.glob("*.jsonl"))


def lines(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """Every line of every segment: the segment's name, the line's number, its bytes.

    Raises:
        AuditError: a segment cannot be read.
    """
    for name in segments(folder):
        try:
            with (folder / name).open("rb") as file:
                number = 0
                while line := file.readline(_MOST_LINE):
                    number += 1
                    yield name, number, line
        except OSError as error:
            raise AuditError(f"segment {name} cannot be read: {error.strerror}") from error


def records(folder: Path) -> Iterator[Record]:
    """Every sound record, in the order of the segments.

    Raises:
        AuditError: a segment cannot be read.
    """
    for _, _, line in lines(folder):
        try:
            yield Record.from_line(line)
        except (ValueError, TypeError):
            continue


def read_head(folder: Path) -> Head | None:
    """The head; None when there is none that can be read."""
    try:
        return Head(**json.loads((folder / HEAD).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        _log.error("the head of the audit in %s cannot be read", folder)
        return None


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)
