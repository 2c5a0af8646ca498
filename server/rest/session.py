"""``/v1/session``: people log in and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr

from server.access.caller import LOOPBACK, Permission, Principal, Role
from server.access.passwords import LONGEST
from server.audit.record import Event, Outcome, Subject
from server.errors import AccessError
from server.rest.disclosure import address_of
from server.rest.gate import check_host, check_same_site, forget_session, session_of, set_session
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving

router = APIRouter(prefix="/v1/session", tags=["session"], responses=PROBLEM_RESPONSES)

Password = Annotated[SecretStr, Field(max_length=LONGEST)]


class Login(BaseModel):
    """What a person is let in by."""

    name: str = Field(max_length=64)
    password: Password
    new_password: Password | None = Field(None, description="One's own, in exchange for a one-time password.")


class Person(BaseModel):
    """Who is logged in."""

    name: str
    role: Role
    human_views: bool = Field(description="Whether the role is enough for human views.")


class Session(BaseModel):
    """What the page has to know before it asks for anything."""

    asks: bool = Field(description="Whether the server asks who is there, and what human views are for.")
    person: Person | None = Field(description="Who is logged in; null for nobody.")
    reason_characters: int = Field(description="Longest reason for a human view.")


@router.get("", operation_id="get_session", summary="Who is logged in")
async def get_session(request: Request, services: Serving) -> Session:
    """Open to all: it tells nothing but what the asking browser's own session is."""
    if services.access.open:
        check_host(request)
        return _session(services, LOOPBACK)
    return _session(services, session_of(request, services))


@router.post("", operation_id="log_in", summary="Log in")
async def log_in(request: Request, response: Response, services: Serving, login: Login) -> Session:
    """Begin a browser session, which a cookie carries. A one-time password is exchanged for one's own at once."""
    check_same_site(request)
    if services.access.open:
        check_host(request)
        return _session(services, LOOPBACK)
    address = address_of(request)
    # A name that is none may be a password typed into the wrong field.
    known = login.name if services.access.knows(login.name) else ""
    try:
        token = await services.access.log_in(
            login.name,
            login.password.get_secret_value(),
            None if login.new_password is None else login.new_password.get_secret_value(),
            address,
        )
    except AccessError as error:
        await services.audit.record_refusal(
            Event(
                subject=Subject.LOGIN,
                outcome=Outcome.REFUSED,
                principal=known,
                via="password",
                address=address,
                detail=str(error),
            )
        )
        raise
    principal = services.access.in_session(token)
    assert principal is not None
    try:
        await services.audit.record(_of(principal, Subject.LOGIN, address))
    except BaseException:
        services.access.log_out(principal)
        raise
    set_session(request, response, token)
    return _session(services, principal)


@router.delete("", operation_id="log_out", summary="Log out", status_code=HTTPStatus.NO_CONTENT)
async def log_out(request: Request, response: Response, services: Serving) -> None:
    """End the browser's session, if it has one."""
    check_same_site(request)
    principal = session_of(request, services)
    if principal is not None:
        services.access.log_out(principal)
        await services.audit.record(_of(principal, Subject.LOGOUT, address_of(request)))
    forget_session(request, response)


def _session(services: Services, principal: Principal | None) -> Session:
    person = None
    if principal is not None:
        person = Person(
            name=principal.name, role=principal.role, human_views=principal.may(Permission.HUMAN_VIEW)
        )
    return Session(
        asks=not services.access.open,
        person=person,
        reason_characters=services.config.reason_characters,
    )


def _of(principal: Principal, subject: Subject, address: str) -> Event:
    return Event(
        subject=subject,
        outcome=Outcome.DONE,
        principal=principal.name,
        role=principal.role,
        via="session",
        address=address,
    )
