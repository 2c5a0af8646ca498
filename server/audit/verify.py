"""Whether the audit is as it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from server.audit.chain import SET_ASIDE, lines, read_head
from server.audit.record import GENESIS, Outcome, Record, Subject
from server.errors import AuditError


@dataclass(frozen=True)
class Anchor:
    """Number and hash of a record, noted elsewhere while it was the last."""

    sequence: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read ``SEQUENCE:HASH``.

        Raises:
            AuditError: it is none.
        """
        found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise AuditError(
                f"{text!r} is no anchor; use SEQUENCE:HASH as `secondsight audit verify` prints it"
            )
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass
class Findings:
    """What was found. `faults` are signs that somebody changed the audit, or that a disk did."""

    records: int = 0
    first: int = 0
    since: str = ""
    """When the first was written, RFC 3339, UTC."""
    last: Anchor = Anchor(0, GENESIS)
    faults: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def verify(folder: Path, anchors: tuple[Anchor, ...] = ()) -> Findings:
    """Read the whole audit and follow the chain.

    Raises:
        AuditError: there is none, or it cannot be read.
    """
    if not folder.is_dir():
        raise AuditError(f"there is no audit in {str(folder)!r}")
    # The head first: what is appended meanwhile comes after it.
    head = read_head(folder)
    pinned = {anchor.sequence: anchor for anchor in anchors}
    if head is not None:
        pinned.setdefault(head.sequence, Anchor(head.sequence, head.hash))
    found = Findings()
    removed_before = 1
    unfinished: dict[str, int] = {}
    torn: list[str] = []
    previous = Anchor(0, GENESIS)
    for segment, number, line in lines(folder):
        where = f"{segment} line {number}"
        found.faults += torn
        torn = []
        try:
            record = Record.from_line(line)
        except (ValueError, TypeError) as error:
            (found.faults if line.endswith(b"\n") else torn).append(f"{where}: {error}")
            continue
        if found.records == 0:
            found.first, found.since = record.sequence, record.at
        elif record.sequence != previous.sequence + 1:
            found.faults.append(
                f"{where}: record {record.sequence} follows record {previous.sequence}: records were removed, "
                "reordered or repeated"
            )
        if record.previous != previous.hash and (found.records > 0 or record.sequence == 1):
            found.faults.append(f"{where}: record {record.sequence} was not written after the one before it")
        found.records += 1
        previous = Anchor(record.sequence, record.hash)
        expected = pinned.pop(record.sequence, previous)
        if expected.hash != record.hash:
            found.faults.append(
                f"{where}: record {record.sequence} is not the one that was noted as {expected}"
            )
        match record.event.subject, record.event.outcome:
            case Subject.RECOVERED, _:
                found.notices.append(f"{where}, {record.at}: {record.event.detail}")
            case Subject.RETENTION, _:
                removed_before = int(re.sub(r"\D", "", record.event.detail) or 1)
            case _, Outcome.ASKED:
                unfinished[record.event.request] = record.sequence
            case _, Outcome.DELIVERED | Outcome.FAILED:
                unfinished.pop(record.event.request, None)
    found.last = previous
    # Nothing was granted on an unfinished line at the very end: it is being written, or a crash left it. Were more cut
    # off, the head would tell.
    found.notices += torn
    for path in sorted(folder.glob(f"*{SET_ASIDE}")):
        found.faults.append(f"{path.name}: no record in it could be read, so that it was set aside")
    _judge_ends(found, head is not None, removed_before, pinned)
    if unfinished:
        numbers = ", ".join(str(number) for number in list(unfinished.values())[:5])
        found.notices.append(
            f"{len(unfinished)} requests were granted and nothing says how they ended (records {numbers}, ...): "
            "the server was killed, or they are under way"
        )
    return found


def _judge_ends(found: Findings, has_head: bool, removed_before: int, missing: dict[int, Anchor]) -> None:
    if found.records > 0 and found.first > removed_before:
        found.faults.append(f"records before {found.first} were removed, and no retention says so")
    if not has_head and found.records > 0:
        found.faults.append("the head is missing: a cut-off tail would not be seen")
    for sequence, anchor in sorted(missing.items()):
        if sequence > found.last.sequence:
            found.faults.append(f"records {found.last.sequence + 1} to {sequence} were cut off at the end")
        elif sequence >= found.first and sequence > 0:
            found.faults.append(f"record {sequence}, noted as {anchor}, is missing")
        elif sequence > 0:
            found.notices.append(f"record {sequence} is older than what is kept; its anchor tells nothing")
