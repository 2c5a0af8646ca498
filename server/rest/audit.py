"""``/v1/audit``: who saw whom, when and why. For admins alone, and each look is itself on record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from server.access.caller import Principal
from server.audit.reading import Place, Sought, read_back, sought_records
from server.audit.record import Event, Outcome, Record, Subject
from server.errors import AuditError
from server.rest.disclosure import REQUEST_HEADER, Disclosure, event_of
from server.rest.gate import Administrator
from server.rest.moments import PeriodQuery
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=PROBLEM_RESPONSES)

_NDJSON: Final = "application/x-ndjson"
_MOST_FINDINGS: Final = 50
_LINES_AT_ONCE: Final = 500
_NO_STORE: Final = {"Cache-Control": "no-store"}


class AuditRecord(BaseModel):
    """One record. Empty fields do not apply."""

    sequence: int
    at: datetime
    subject: Subject
    outcome: Outcome
    principal: str
    role: str
    via: str = Field(
        description="`loopback`, `session`, `terminal`, or the visible prefix of a key or token."
    )
    address: str
    request: str = Field(description="Joins the records of one request.")
    camera: str
    frame: str
    view: str
    reason: str
    detail: str


class AuditRecords(BaseModel):
    """Records, newest first."""

    records: list[AuditRecord]
    next: str | None = Field(description="Address of older records; null when there are none.")
    back_to: datetime | None = Field(
        description="How far back was looked, where that was broken off to be gone on with at `next`."
    )
    unreadable: int = Field(
        description="Lines that look like what is sought and are no record as it was written; see the verification."
    )


class Anchored(BaseModel):
    """Number and hash of a record. Noted elsewhere, it proves later that nothing up to it was changed."""

    sequence: int
    hash: str


class VerificationDocument(BaseModel):
    """What following the chain found."""

    intact: bool
    since: datetime | None = Field(description="Time of the oldest record that is kept; null without any.")
    records: int
    first: int
    last: Anchored
    faults: list[str] = Field(
        description="Signs that somebody changed the audit, or that a disk did. 50 at most."
    )
    notices: list[str] = Field(description="What was mended or removed in due course. 50 at most.")
    checked_at: datetime


def _sought(
    period: PeriodQuery,
    principal: Annotated[str | None, Query(max_length=64, description="Of this user alone.")] = None,
    camera: Annotated[str | None, Query(max_length=64, description="About this camera alone.")] = None,
    subject: Annotated[Subject | None, Query(description="About this alone.")] = None,
    outcome: Annotated[Outcome | None, Query(description="That ended so.")] = None,
) -> Sought:
    return Sought(
        since=period.since,
        until=period.until,
        principal=principal,
        camera=camera,
        subject=subject,
        outcome=outcome,
    )


SoughtQuery = Annotated[Sought, Depends(_sought)]


@router.get("", operation_id="list_audit", summary="List the audit, newest first")
@on_record(Subject.AUDIT)
async def list_audit(
    request: Request,
    services: Serving,
    caller: Administrator,
    sought: SoughtQuery,
    cursor: Annotated[str | None, Query(description="Taken from a `next` link.", max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Records on a page.")] = 100,
) -> AuditRecords:
    """Records of the audit. One request looks at a bounded number of them: a page may have fewer than asked for.

    That somebody looks is on record first.
    """
    before = None if cursor is None else Place.parse(cursor)
    await _on_record(request, services, caller, f"looked at {sought}" + (", further back" if before else ""))
    page = await asyncio.to_thread(read_back, services.audit.folder, sought, limit=limit, before=before)
    following = None
    if page.further is not None:
        url = request.url.include_query_params(cursor=str(page.further))
        following = f"{url.path}?{url.query}"
    return AuditRecords(
        records=[_document(record) for record in page.records],
        next=following,
        back_to=None if page.back_to is None else datetime.fromisoformat(page.back_to),
        unreadable=page.unreadable,
    )


@router.get("/verification", operation_id="verify_audit", summary="Whether the audit was changed")
@on_record(Subject.AUDIT)
async def verify_audit(request: Request, services: Serving, caller: Administrator) -> VerificationDocument:
    """Follow the whole chain of records, as `secondsight audit verify` does.

    It proves order, not authorship: note `last` somewhere that the server's host cannot write.
    """
    await _on_record(request, services, caller, "verified the chain")
    verified = await services.verification.verified()
    found = verified.found
    return VerificationDocument(
        intact=not found.faults,
        since=datetime.fromisoformat(found.since) if found.since else None,
        records=found.records,
        first=found.first,
        last=Anchored(sequence=found.last.sequence, hash=found.last.hash),
        faults=found.faults[:_MOST_FINDINGS],
        notices=found.notices[:_MOST_FINDINGS],
        checked_at=verified.at,
    )


@router.get(
    "/export",
    operation_id="export_audit",
    summary="Download the audit",
    response_class=StreamingResponse,
    responses={200: {"content": {_NDJSON: {}}, "description": "One record a line, oldest first."}},
)
@on_record(Subject.AUDIT)
async def export_audit(
    request: Request, services: Serving, caller: Administrator, sought: SoughtQuery
) -> StreamingResponse:
    """Records with their hashes, one a line (NDJSON), oldest first."""
    asked = await _on_record(request, services, caller, f"export of {sought}", Outcome.ASKED)
    disclosure = Disclosure(services.audit, asked)
    records = sought_records(services.audit.folder, sought)
    return StreamingResponse(
        _lines(records, disclosure),
        media_type=_NDJSON,
        headers={
            **_NO_STORE,
            REQUEST_HEADER: asked.request,
            "Content-Disposition": 'attachment; filename="audit.ndjson"',
        },
    )


async def _lines(records: Iterator[Record], disclosure: Disclosure) -> AsyncIterator[bytes]:
    count = 0
    outcome, why = Outcome.FAILED, "broken off"
    try:
        while batch := await asyncio.to_thread(lambda: list(islice(records, _LINES_AT_ONCE))):
            count += len(batch)
            yield b"".join(
                json.dumps(record.fields(), ensure_ascii=False).encode() + b"\n" for record in batch
            )
        outcome, why = Outcome.DELIVERED, "whole"
    except AuditError as error:
        why = str(error)
        raise
    finally:
        await asyncio.shield(disclosure.ended(outcome, f"{count} records, {why}"))


async def _on_record(
    request: Request, services: Services, caller: Principal, told: str, outcome: Outcome = Outcome.DONE
) -> Event:
    """Write down that somebody looks.

    Raises:
        TooManyRequestsError
        AuditUnavailableError
    """
    services.audit_looks.take(caller.name)
    event = replace(event_of(request, caller, Subject.AUDIT), outcome=outcome, detail=told)
    await services.audit.record(event)
    return event


def _document(record: Record) -> AuditRecord:
    fields = record.fields()
    return AuditRecord.model_validate({name: fields[name] for name in AuditRecord.model_fields})
