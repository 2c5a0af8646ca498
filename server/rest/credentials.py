"""``/v1/api-keys`` and ``/v1/camera-tokens``: what lets programs and cameras in. For admins alone."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from secondsight.store_keys import CAMERA_ID_PATTERN
from server.access.changes import key_issued, key_revoked, token_issued, tokens_revoked
from server.access.register import USER_NAME
from server.audit.record import Subject
from server.errors import UnknownCredentialError
from server.rest.disclosure import event_of
from server.rest.gate import Administrator
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(prefix="/v1", tags=["access"], responses=PROBLEM_RESPONSES)

Prefix = Annotated[str, Path(description="The visible beginning of a key or token.", max_length=64)]


class KeyDocument(BaseModel):
    """An API key. Its secret was told once."""

    prefix: str
    user: str
    issued_at: datetime


class Keys(BaseModel):
    """All API keys, by user and age."""

    keys: list[KeyDocument]


class NewKey(BaseModel):
    """Whose key it is to be."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(pattern=f"^{USER_NAME}$")


class IssuedKey(KeyDocument):
    """A new API key."""

    key: str = Field(description="Told this once, kept nowhere.")


class TokenDocument(BaseModel):
    """The token of a camera. Its secret was told once."""

    prefix: str
    camera: str
    issued_at: datetime


class Tokens(BaseModel):
    """All camera tokens, by camera and age."""

    tokens: list[TokenDocument]


class NewToken(BaseModel):
    """Whose token it is to be."""

    model_config = ConfigDict(extra="forbid")

    camera: str = Field(pattern=f"^{CAMERA_ID_PATTERN}$")


class IssuedToken(TokenDocument):
    """A new camera token."""

    token: str = Field(description="Told this once, kept nowhere.")


@router.get("/api-keys", operation_id="list_api_keys", summary="List API keys")
@on_record(Subject.ACCESS)
async def list_api_keys(services: Serving, _: Administrator) -> Keys:
    """The API keys of all users, by their prefixes."""
    found = [
        KeyDocument(prefix=prefix, user=name, issued_at=key.issued_at)
        for name, user in services.access.register().users.items()
        for prefix, key in user.keys.items()
    ]
    return Keys(keys=sorted(found, key=lambda key: (key.user, key.issued_at)))


@router.post(
    "/api-keys", operation_id="issue_api_key", summary="Issue an API key", status_code=HTTPStatus.CREATED
)
@on_record(Subject.ACCESS)
async def issue_api_key(request: Request, services: Serving, caller: Administrator, new: NewKey) -> IssuedKey:
    """Issue a key with which a program may do what its user may. The answer tells it, this once."""
    by = event_of(request, caller, Subject.ACCESS)
    services.administration.may_make_credential(by)
    change, issued = key_issued(new.user)
    register = await services.administration.make(change, by)
    key = register.users[new.user].keys[issued.prefix]
    return IssuedKey(prefix=issued.prefix, user=new.user, issued_at=key.issued_at, key=issued.text)


@router.delete(
    "/api-keys/{prefix}",
    operation_id="revoke_api_key",
    summary="Revoke an API key",
    status_code=HTTPStatus.NO_CONTENT,
)
@on_record(Subject.ACCESS)
async def revoke_api_key(request: Request, services: Serving, caller: Administrator, prefix: Prefix) -> None:
    """Revoke a key; what it has opened ends within seconds."""
    change = key_revoked(services.access.register().owner_of(prefix), prefix)
    await services.administration.make(change, event_of(request, caller, Subject.ACCESS))


@router.get("/camera-tokens", operation_id="list_camera_tokens", summary="List camera tokens")
@on_record(Subject.ACCESS)
async def list_camera_tokens(services: Serving, _: Administrator) -> Tokens:
    """The tokens of all cameras, by their prefixes."""
    found = [
        TokenDocument(prefix=prefix, camera=token.camera_id, issued_at=token.issued_at)
        for prefix, token in services.access.register().camera_tokens.items()
    ]
    return Tokens(tokens=sorted(found, key=lambda token: (token.camera, token.issued_at)))


@router.post(
    "/camera-tokens",
    operation_id="issue_camera_token",
    summary="Issue a camera token",
    status_code=HTTPStatus.CREATED,
)
@on_record(Subject.ACCESS)
async def issue_camera_token(
    request: Request, services: Serving, caller: Administrator, new: NewToken
) -> IssuedToken:
    """Issue a token with which a camera may push its own frames. The answer tells it, this once.

    Older tokens of the camera stay until they are revoked.
    """
    by = event_of(request, caller, Subject.ACCESS)
    services.administration.may_make_credential(by)
    change, issued = token_issued(new.camera)
    register = await services.administration.make(change, by)
    token = register.camera_tokens[issued.prefix]
    return IssuedToken(
        prefix=issued.prefix, camera=token.camera_id, issued_at=token.issued_at, token=issued.text
    )


@router.delete(
    "/camera-tokens/{prefix}",
    operation_id="revoke_camera_token",
    summary="Revoke a camera token",
    status_code=HTTPStatus.NO_CONTENT,
)
@on_record(Subject.ACCESS)
async def revoke_camera_token(
    request: Request, services: Serving, caller: Administrator, prefix: Prefix
) -> None:
    """Revoke a token; the stream that it opened ends within seconds."""
    token = services.access.register().camera_tokens.get(prefix)
    if token is None:
        raise UnknownCredentialError(f"there is no token {prefix!r}; GET /v1/camera-tokens tells them")
    change = tokens_revoked(prefix, token.camera_id)
    await services.administration.make(change, event_of(request, caller, Subject.ACCESS))
