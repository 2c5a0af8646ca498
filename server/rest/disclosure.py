"""What people can be recognised in is shown for a reason, and written down before and after."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Header, Query, Request, Response
from starlette.types import Message, Receive, Scope, Send

from server.access.access import Access
from server.access.caller import Permission, Principal
from server.access.throttle import Throttle
from server.audit.audit import Audit
from server.audit.record import Event, Outcome, Subject
from server.config import ServerConfig
from server.errors import AccessError, AuditUnavailableError, ReasonError, ServerError
from server.plain_text import is_plain
from server.rest.on_record import subject_of

_LONGEST_NAME: Final = 128
REQUEST_HEADER: Final = "Secondsight-Request"

ReasonQuery = Annotated[
    str | None,
    Query(
        alias="reason",
        description="What the human view is for; the audit keeps it. Needed when the server asks who is there.",
    ),
]
ReasonHeader = Annotated[
    str | None, Header(alias="Secondsight-Reason", description="Another place for `reason`, UTF-8.")
]

_log = logging.getLogger(__name__)


class Disclosure:
    """Something that was granted, by what is on record of it. What becomes of it goes on record, too."""

    def __init__(self, audit: Audit, *asked: Event) -> None:
        self._audit = audit
        self._asked = asked

    @property
    def request(self) -> str:
        """Its number in the audit."""
        return self._asked[0].request

    def of(self, response: Response) -> Response:
        """The response that shows it. Once it is sent, that is on record too."""
        response.headers[REQUEST_HEADER] = self._asked[0].request
        return _Told(response, self)

    async def ended(self, outcome: Outcome, detail: str) -> None:
        """Write down what became of it. The bytes may have left by now, so that a failure is told in the log alone."""
        try:
            for asked in self._asked:
                await self._audit.record(replace(asked, outcome=outcome, detail=detail))
        except AuditUnavailableError:
            _log.error("request %s ended as %s, which is not in the audit", self._asked[0].request, outcome)


class _Told(Response):
    """A response that tells when it was sent, and how much of it."""

    def __init__(self, response: Response, disclosure: Disclosure) -> None:
        self._response = response
        self._disclosure = disclosure
        self.status_code = response.status_code
        self.background = None
        self.raw_headers = response.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, sent = self.status_code, 0

        async def counting(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            await send(message)
            sent += len(message.get("body", b""))

        try:
            await self._response(scope, receive, counting)
        except BaseException as error:
            await self._disclosure.ended(Outcome.FAILED, f"while it was sent: {type(error).__name__}")
            raise
        await self._disclosure.ended(Outcome.DELIVERED, f"status {status}, {sent} bytes")


class Disclosures:
    """Lets people see people: with the permission, a reason, not too often, and never without a record."""

    def __init__(self, access: Access, audit: Audit, config: ServerConfig) -> None:
        self._access = access
        self._audit = audit
        self._config = config
        self._asked = Throttle("human views", config.human_views_per_minute, policy="human-views")
        self._in_bulk = Throttle(
            "human views in clips and exports",
            config.human_views_per_hour,
            policy="bulk-human-views",
            window=3600.0,
        )
        self._fetched = Throttle(
            "fetches of files with human views", config.human_views_per_minute, policy="human-view-files"
        )

    @asynccontextmanager
    async def begin(
        self,
        request: Request,
        principal: Principal,
        permission: Permission,
        *,
        subject: Subject,
        camera: str,
        frame: str,
        view: str = "",
        reason: str | None = None,
        detail: str = "",
    ) -> AsyncIterator[Disclosure]:
        """Grant what is asked for, and write that down before anything is fetched; answer by `of` of what this gives.

        Raises:
            ForbiddenError: the role is too low.
            ReasonError: there is no reason, or one that cannot be kept.
            TooManyRequestsError
            AuditUnavailableError: it cannot be written down.
        """
        event = Event(
            subject=subject,
            outcome=Outcome.ASKED,
            principal=principal.name,
            role=principal.role,
            via=principal.via,
            address=address_of(request),
            request=secrets.token_hex(8),
            camera=camera[:_LONGEST_NAME],
            frame=frame[:_LONGEST_NAME],
            view=view,
            detail=detail,
        )
        async with self._refusing(event):
            principal.check(permission)
            event = replace(event, reason=self._checked(reason))
            self._take(self._asked, principal)
        await self._audit.record(event)
        disclosure = Disclosure(self._audit, event)
        try:
            yield disclosure
        except BaseException as error:
            detail = str(error) if isinstance(error, ServerError) else type(error).__name__
            await disclosure.ended(Outcome.FAILED, detail)
            raise

    async def grant_many(self, principal: Principal, event: Event, cameras: Iterable[str]) -> Event:
        """Grant human views of many frames at once, which count as one so far; gives the event with its reason.

        Whoever asks finds out how many frames there are, then calls `record_many`.

        Raises:
            ForbiddenError, ReasonError, TooManyRequestsError, AuditUnavailableError
        """
        async with self._refusing(event):
            principal.check(Permission.HUMAN_VIEW)
            for camera in cameras:
                principal.check_sees(camera)
            event = replace(event, reason=self._checked(event.reason))
            self._take(self._asked, principal)
        return event

    async def record_many(self, principal: Principal, event: Event, frames: Mapping[str, int]) -> None:
        """Write down what is granted of each camera. The frames count against what a user may have in an hour.

        Raises:
            TooManyRequestsError, AuditUnavailableError
        """
        async with self._refusing(event):
            self._take(self._in_bulk, principal, sum(frames.values()))
        for camera, count in frames.items():
            await self._audit.record(replace(event, camera=camera, detail=f"{count} frames"))

    async def fetch(self, principal: Principal, events: Sequence[Event]) -> Disclosure:
        """Let a file be fetched that shows people, once that is on record: one event for each camera.

        Raises:
            ForbiddenError, TooManyRequestsError, AuditUnavailableError
        """
        async with self._refusing(events[0]):
            principal.check(Permission.HUMAN_VIEW)
            self._take(self._fetched, principal)
        for event in events:
            await self._audit.record(event)
        return Disclosure(self._audit, *events)

    async def turned_away(self, request: Request, principal: Principal | None, error: AccessError) -> None:
        """Write down that somebody was not even let in, where the route says that this goes on record.

        Raises:
            AuditUnavailableError
        """
        subject = subject_of(request)
        if subject is None:
            return
        event = Event(
            subject=subject,
            outcome=Outcome.REFUSED,
            principal=principal.name if principal is not None else "",
            role=principal.role if principal is not None else "",
            via=principal.via if principal is not None else "",
            address=address_of(request),
            camera=request.path_params.get("camera", "")[:_LONGEST_NAME],
            frame=request.path_params.get("frame", "")[:_LONGEST_NAME],
            detail=str(error),
        )
        await self._audit.record_refusal(event)

    @asynccontextmanager
    async def _refusing(self, event: Event) -> AsyncIterator[None]:
        try:
            yield
        except AccessError as error:
            await self._audit.record_refusal(replace(event, outcome=Outcome.REFUSED, detail=str(error)))
            raise

    def _take(self, throttle: Throttle, principal: Principal, count: int = 1) -> None:
        if not self._access.open:
            throttle.take(principal.name, count)

    def _checked(self, reason: str | None) -> str:
        told = self.reason(reason)
        if not told and not self._access.open:
            raise ReasonError(
                "say what the human view is for, by `reason` in the query or the header Secondsight-Reason; "
                "the audit keeps it"
            )
        return told

    def reason(self, given: str | None) -> str:
        """A reason as it is kept; none has to be given.

        Raises:
            ReasonError: it is too long, or no line of text.
        """
        told = (given or "").strip()
        if len(told) > self._config.reason_characters:
            raise ReasonError(f"a reason has at most {self._config.reason_characters} characters")
        if not is_plain(told):
            raise ReasonError("a reason is one line of text, without control characters")
        return told


def event_of(request: Request, principal: Principal, subject: Subject) -> Event:
    """What somebody does, for the audit, with the answer's number."""
    return Event(
        subject=subject,
        outcome=Outcome.DONE,
        principal=principal.name,
        role=principal.role,
        via=principal.via,
        address=address_of(request),
        request=secrets.token_hex(8),
    )


def address_of(request: Request) -> str:
    """The client's address."""
    return request.client.host if request.client is not None else ""


def told_reason(query: str | None, header: str | None) -> str | None:
    """The reason, wherever it was given."""
    if query is not None or header is None:
        return query
    try:
        # Headers come as Latin-1, whatever they were sent as.
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
