"""What clips and exports have in common: how a job is asked for, told of and fetched."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Self

from fastapi import Header, Path, Request, Response
from fastapi.responses import FileResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator
from starlette.types import Receive, Scope, Send

from secondsight import store_keys
from server.access.caller import Principal, Role
from server.audit.record import Event, Outcome, Subject
from server.errors import JobNotDoneError, JobTooLargeError, UnknownJobError
from server.jobs.job import Job, JobFile, Kind, LeftOut, Order, Planned, State
from server.jobs.jobs import job_events
from server.plain_text import plain_text
from server.rest.byte_ranges import ACCEPTED, asked_range
from server.rest.conditional import is_current, not_modified, strong_tag, tagged
from server.rest.disclosure import address_of
from server.rest.services import Services

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_KEY: Final = 255

JobName = Annotated[str, Path(description="As in the answer to the POST that made it.", max_length=64)]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=_LONGEST_KEY,
        description="Chosen by whoever asks. The same request with the same key makes no second job.",
    ),
]
CameraId = Annotated[str, Field(pattern=f"^{store_keys.CAMERA_ID_PATTERN}$")]
Reason = Annotated[
    Annotated[str, AfterValidator(plain_text)] | None,
    Field(
        description="What human views are for; the audit keeps it. Needed when the server asks who is there."
    ),
]
Width = Annotated[
    int | None,
    Field(
        ge=16, le=8192, description="Pixels; pictures are made smaller, never larger. 854 makes 480p of 16:9."
    ),
]
Slices = Annotated[
    int | None, Field(ge=1, le=5, description="Human views from the first slices alone; all when left out.")
]

FILE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."},
    206: {"content": {"application/octet-stream": {}}, "description": "The part that `Range` asks for."},
    304: {"description": "It is what `If-None-Match` names."},
    416: {"description": "The file has no such part."},
}


class Period(BaseModel):
    """Moments of capture, by the clocks of the cameras' hosts."""

    since: AwareDatetime = Field(alias="from", description="RFC 3339, with its zone.")
    until: AwareDatetime = Field(alias="to", description="What is of this moment is no more part of it.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since < _EARLIEST:
            raise ValueError("`from` is before 1970")
        if self.until <= self.since:
            raise ValueError("`to` has to be after `from`")
        if self.since >= datetime.now(UTC):
            raise ValueError("`from` is yet to come")
        return self

    @property
    def until_now(self) -> datetime:
        """What has not been captured yet cannot be shown."""
        return min(self.until, datetime.now(UTC))


class JobDocument(BaseModel):
    """A clip or an export."""

    id: str
    kind: Kind
    state: State
    progress: float = Field(description="From 0 to 1.")
    cameras: list[str]
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    view: str
    reason: str
    owner: str = Field(description="Who asked for it. They and admins see it.")
    asked_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    kept_until: datetime | None = Field(
        description="When it will be removed, at the latest; null until it has ended."
    )
    frames: int = Field(description="That it goes through.")
    left_out: int = Field(description="Frames that could not be shown. Nothing is put in their place.")
    left_out_by_reason: dict[str, int]
    failure: str | None = Field(description="Why it failed, when it did.")
    bytes: int | None = Field(description="Of the file; null until it is there.")
    media_type: str | None
    file_name: str | None
    links: dict[str, str]


class JobDetails(JobDocument):
    """A clip or an export, with the frames that it leaves out."""

    left_out_frames: list[LeftOut] = Field(description="The first thousand of them.")


def check_mine(services: Services, principal: Principal, job_id: str, kinds: Sequence[Kind]) -> Job:
    """A job that whoever asks may know of.

    Raises:
        UnknownJobError: there is none, or it is somebody else's.
    """
    job = services.jobs.find(job_id)
    if job.order.kind not in kinds or not _is_theirs(job, principal):
        raise UnknownJobError(job_id)
    return job


def mine(services: Services, principal: Principal, kinds: Sequence[Kind]) -> list[JobDocument]:
    """All jobs that whoever asks may know of, the last one first."""
    return [
        document(services, job)
        for job in services.jobs.all()
        if job.order.kind in kinds and _is_theirs(job, principal)
    ]


async def ask(
    response: Response,
    services: Services,
    principal: Principal,
    wanted: Period,
    order: Order,
    key: str | None,
) -> JobDocument:
    """Take the job that `order` makes of what is wanted, or find the one that was asked for before with the same key.

    What shows people takes the role operator and a reason, and is on record, camera by camera with the number of
    frames, before the job begins.

    Raises:
        AccessError: `principal` may not have this.
        JobError, UnknownCameraError, StoreUnavailableError, AuditUnavailableError
    """
    jobs = services.jobs
    key_of = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
    async with jobs.asking:
        job = jobs.asked_before(principal.name, key, key_of)
        if job is None:
            jobs.check_available()
            jobs.check_waiting(principal.name)
            job = await _disclosed(services, principal, order, key, key_of)
    response.headers["Location"] = address(job)
    response.headers["Retry-After"] = "1"
    return document(services, job)


async def _disclosed(
    services: Services, principal: Principal, order: Order, key: str | None, key_of: str
) -> Job:
    disclosures = services.disclosures
    if not order.shows_people:
        for camera in order.cameras:
            principal.check_sees(camera)
        order = order.model_copy(update={"reason": disclosures.reason(order.reason)})
        plan = await services.jobs.plan(order)
        return await services.jobs.add(order, plan, request="", key=key, key_of=key_of)
    asked = Event(
        subject=Subject.CLIP if order.kind is Kind.CLIP else Subject.EXPORT,
        outcome=Outcome.ASKED,
        principal=principal.name,
        role=principal.role,
        via=principal.via,
        address=order.address,
        request=secrets.token_hex(8),
        camera=order.cameras[0],
        frame=order.period,
        view=order.view,
        reason=order.reason,
    )
    asked = await disclosures.grant_many(principal, asked, order.cameras)
    plan = await services.jobs.plan(order)
    _check_hour(services, plan)
    await disclosures.record_many(principal, asked, Counter(planned.camera for planned in plan))
    return await services.jobs.add(
        order.model_copy(update={"reason": asked.reason}), plan, request=asked.request, key=key, key_of=key_of
    )


def _check_hour(services: Services, plan: Sequence[Planned]) -> None:
    most = services.config.human_views_per_hour
    if not services.access.open and len(plan) > most:
        raise JobTooLargeError(
            f"that would be {len(plan)} human views, and a user may have {most} in an hour; ask for a shorter time"
        )


async def fetch(request: Request, services: Services, principal: Principal, job: Job) -> Response:
    """The file of a job, or the part of it that `Range` asks for. Whether it may be seen is asked again each time.

    Raises:
        JobNotDoneError, RangeNotSatisfiableError
        AccessError: `principal` may not have this, or no more.
        AuditUnavailableError
    """
    if job.state is not State.DONE or job.file is None:
        raise JobNotDoneError(job.id, job.state)
    for camera in job.order.cameras:
        principal.check_sees(camera)
    answer = _answer(request, services, job, job.file)
    if not job.order.shows_people:
        return answer
    number = secrets.token_hex(8)
    events = [
        replace(
            event,
            principal=principal.name,
            role=principal.role,
            via=principal.via,
            address=address_of(request),
            request=number,
        )
        for event in job_events(job, Outcome.ASKED, f"its file, {job.file.bytes} bytes")
    ]
    return (await services.disclosures.fetch(principal, events)).of(answer)


def _answer(request: Request, services: Services, job: Job, file: JobFile) -> Response:
    tag = strong_tag(file.sha256[:32])
    if is_current(request, tag):
        return not_modified(tag)
    return _FilePart(
        services.jobs.path(job),
        asked_range(request, file.bytes, tag),
        media_type=file.media_type,
        filename=file.name,
        headers={**tagged(tag), **ACCEPTED},
    )


class _FilePart(FileResponse):
    """A file, or its bytes from the first to the last of `part`, read as they are sent."""

    def __init__(self, path: FilePath, part: tuple[int, int] | None, **given: Any) -> None:
        super().__init__(path, **given)
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The request's own words were read by the rule that holds for layers, too.
        headers = [header for header in scope["headers"] if header[0] not in (b"range", b"if-range")]
        if self._part is not None:
            headers.append((b"range", b"bytes=%d-%d" % self._part))
        await super().__call__({**scope, "headers": headers}, receive, send)


def address(job: Job) -> str:
    """Where a job is told of."""
    return f"/v1/{'clips' if job.order.kind is Kind.CLIP else 'exports'}/{job.id}"


def document(services: Services, job: Job) -> JobDocument:
    """A job as it is told."""
    return JobDocument(**_fields(services, job))


def details(services: Services, job: Job) -> JobDetails:
    """A job with the frames that it leaves out."""
    return JobDetails(**_fields(services, job), left_out_frames=job.left_out)


def _fields(services: Services, job: Job) -> dict[str, Any]:
    order, file = job.order, job.file if job.state is State.DONE else None
    links = {"self": address(job)}
    if file is not None:
        links["file"] = f"{address(job)}/file"
    return {
        "id": job.id,
        "kind": order.kind,
        "state": job.state,
        "progress": round(job.progress, 3),
        "cameras": list(order.cameras),
        "since": order.since,
        "until": order.until,
        "view": order.view,
        "reason": order.reason,
        "owner": order.owner,
        "asked_at": job.asked_at,
        "begun_at": job.begun_at,
        "ended_at": job.ended_at,
        "kept_until": services.jobs.kept_until(job),
        "frames": job.planned,
        "left_out": job.left_out_count,
        "left_out_by_reason": job.left_out_by_reason,
        "failure": job.failure,
        "bytes": None if file is None else file.bytes,
        "media_type": None if file is None else file.media_type,
        "file_name": None if file is None else file.name,
        "links": links,
    }


def _is_theirs(job: Job, principal: Principal) -> bool:
    return principal.role is Role.ADMIN or job.order.owner == principal.name


def ordered_by(request: Request, principal: Principal) -> dict[str, Any]:
    """The fields of an order that say who asked."""
    return {
        "owner": principal.name,
        "role": principal.role,
        "via": principal.via,
        "address": address_of(request),
    }
