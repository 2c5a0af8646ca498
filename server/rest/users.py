"""``/v1/users``: who is let in. For admins alone; every change is on record before it holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from secondsight.store_keys import CAMERA_ID_PATTERN
from server.access.caller import Role
from server.access.changes import password_renewed, user_added, user_changed, user_removed
from server.access.register import USER_NAME, User
from server.audit.record import Subject
from server.rest.conditional import strong_tag
from server.rest.disclosure import event_of
from server.rest.gate import Administrator
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(prefix="/v1/users", tags=["access"], responses=PROBLEM_RESPONSES)

UserName = Annotated[str, Path(description="A user, as listed by /v1/users.", max_length=64)]
Cameras = Annotated[
    tuple[Annotated[str, Field(pattern=f"^{CAMERA_ID_PATTERN}$")], ...] | None,
    Field(description="Cameras that the user may see; null for all. An admin sees all.", max_length=1024),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="ETag of what you have read: 412 when it was changed meanwhile."),
]


class PasswordState(StrEnum):
    """What a user logs in with."""

    OWN = "own"
    ONE_TIME = "one_time"
    """It opens nothing but the choice of one's own."""
    EXPIRED = "expired"
    """A one-time password that was not used in time."""
    NONE = "none"


class ApiKey(BaseModel):
    """An API key by its visible prefix. Its secret was told once."""

    prefix: str
    issued_at: datetime


class UserDocument(BaseModel):
    """A person or program."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None = Field(description="Those it may see; null for all.")
    disabled: bool = Field(description="It is there, and let in by nothing.")
    password: PasswordState
    one_time_until: datetime | None = Field(description="Until when a one-time password can be exchanged.")
    keys: list[ApiKey]


class Users(BaseModel):
    """All users, sorted by name."""

    users: list[UserDocument]


class NewUser(BaseModel):
    """Who is to be let in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "anna", "role": "viewer"}]}
    )

    name: str = Field(pattern=f"^{USER_NAME}$", description="Letters, digits and ._@-")
    role: Role = Role.VIEWER
    cameras: Cameras = None


class ChangedUser(BaseModel):
    """What of a user changes; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "operator", "cameras": ["gate"]}]}
    )

    role: Role = Role.VIEWER
    cameras: Cameras = None
    disabled: bool = False

    @model_validator(mode="after")
    def _something(self) -> ChangedUser:
        if not self.model_fields_set:
            raise ValueError("say what is to change: role, cameras or disabled")
        return self


class OneTimePassword(BaseModel):
    """What a user logs in with once. It is kept nowhere."""

    user: UserDocument
    one_time_password: str = Field(
        description="Told this once. Whoever logs in with it chooses one of their own."
    )


@router.get("", operation_id="list_users", summary="List users")
@on_record(Subject.ACCESS)
async def list_users(services: Serving, _: Administrator) -> Users:
    """Everybody who is let in, with the prefixes of their keys."""
    users = services.access.register().users
    return Users(users=[_document(name, user) for name, user in sorted(users.items())])


@router.post("", operation_id="create_user", summary="Add a user", status_code=HTTPStatus.CREATED)
@on_record(Subject.ACCESS)
async def create_user(
    request: Request, response: Response, services: Serving, caller: Administrator, new: NewUser
) -> OneTimePassword:
    """Add a user. The answer tells the one-time password, this once."""
    by = event_of(request, caller, Subject.ACCESS)
    services.administration.may_make_credential(by)
    change, password = await asyncio.to_thread(user_added, new.name, new.role, new.cameras)
    register = await services.administration.make(change, by)
    response.headers["Location"] = f"/v1/users/{new.name}"
    return OneTimePassword(user=_document(new.name, register.users[new.name]), one_time_password=password)


@router.get("/{name}", operation_id="get_user", summary="One user")
@on_record(Subject.ACCESS)
async def get_user(response: Response, services: Serving, _: Administrator, name: UserName) -> UserDocument:
    """One user, with an ETag for changing it."""
    user = services.access.register().user(name)
    response.headers["ETag"] = strong_tag(user.tag)
    return _document(name, user)


@router.patch("/{name}", operation_id="change_user", summary="Change a user")
@on_record(Subject.ACCESS)
async def change_user(
    request: Request,
    response: Response,
    services: Serving,
    caller: Administrator,
    name: UserName,
    changed: ChangedUser,
    if_match: IfMatch = None,
) -> UserDocument:
    """Give a user another role or other cameras, or let it in no more. It holds at the user's next request.

    The last admin cannot be made something else or disabled.
    """
    fields = {field: getattr(changed, field) for field in sorted(changed.model_fields_set)}
    change = user_changed(name, fields, expected_tag(if_match))
    register = await services.administration.make(change, event_of(request, caller, Subject.ACCESS))
    user = register.users[name]
    response.headers["ETag"] = strong_tag(user.tag)
    return _document(name, user)


@router.post(
    "/{name}/password",
    operation_id="renew_password",
    summary="A new one-time password",
    status_code=HTTPStatus.CREATED,
)
@on_record(Subject.ACCESS)
async def renew_password(
    request: Request, services: Serving, caller: Administrator, name: UserName
) -> OneTimePassword:
    """Tell a new one-time password, this once, and end the user's browser sessions. API keys stay."""
    by = event_of(request, caller, Subject.ACCESS)
    services.administration.may_make_credential(by)
    change, password = await asyncio.to_thread(password_renewed, name)
    register = await services.administration.make(change, by)
    return OneTimePassword(user=_document(name, register.users[name]), one_time_password=password)


@router.delete(
    "/{name}", operation_id="remove_user", summary="Remove a user", status_code=HTTPStatus.NO_CONTENT
)
@on_record(Subject.ACCESS)
async def remove_user(
    request: Request,
    services: Serving,
    caller: Administrator,
    name: UserName,
    if_match: IfMatch = None,
) -> None:
    """Remove a user with its keys. The last admin cannot be removed."""
    change = user_removed(name, expected_tag(if_match))
    await services.administration.make(change, event_of(request, caller, Subject.ACCESS))


def expected_tag(if_match: str | None) -> str | None:
    """The tag that ``If-Match`` names; None when whatever is there will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    return if_match.strip().removeprefix("W/").strip('"')


def _document(name: str, user: User) -> UserDocument:
    until = user.one_time_until
    if user.password is None:
        password = PasswordState.NONE
    elif until is None:
        password = PasswordState.OWN
    else:
        password = PasswordState.ONE_TIME if datetime.now(UTC) < until else PasswordState.EXPIRED
    keys = sorted(user.keys.items(), key=lambda item: item[1].issued_at)
    return UserDocument(
        name=name,
        role=user.role,
        cameras=user.cameras,
        disabled=user.disabled,
        password=password,
        one_time_until=until,
        keys=[ApiKey(prefix=prefix, issued_at=key.issued_at) for prefix, key in keys],
    )
