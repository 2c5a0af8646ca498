"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from server import errors
from server.rest.services import services_of

MEDIA_TYPE: Final = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """A problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class _Kind:
    status: HTTPStatus
    slug: str
    title: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"


_KINDS: Final[dict[type[errors.ServerError], _Kind]] = {
    errors.UnknownCameraError: _Kind(HTTPStatus.NOT_FOUND, "unknown-camera", "Unknown camera"),
    errors.CameraConnectedError: _Kind(HTTPStatus.CONFLICT, "camera-connected", "The camera is connected"),
    errors.UnknownFrameError: _Kind(HTTPStatus.NOT_FOUND, "unknown-frame", "Unknown frame"),
    errors.UnknownMarkError: _Kind(HTTPStatus.NOT_FOUND, "unknown-mark", "Unknown mark"),
    errors.InvalidMarkError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-mark", "Invalid mark"),
    errors.KeyFrameGoneError: _Kind(HTTPStatus.GONE, "key-frame-gone", "The key frame is no longer stored"),
    errors.EnhancementNotStoredError: _Kind(
        HTTPStatus.NOT_FOUND, "enhancement-not-stored", "No enhancement layer was stored"
    ),
    errors.EnhancementExpiredError: _Kind(
        HTTPStatus.GONE, "enhancement-expired", "The enhancement layer has expired"
    ),
    errors.EnhancementEvictedError: _Kind(
        HTTPStatus.GONE, "enhancement-evicted", "The enhancement layer was evicted"
    ),
    errors.NoUplinkError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "edge-not-connected", "The edge that has the layer is not connected"
    ),
    errors.EdgeTooSlowError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "edge-too-slow", "The layer has not come in time"
    ),
    errors.EdgeStoreSilentError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "edge-store-silent", "The edge's store does not answer"
    ),
    errors.CameraStoreSilentError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "camera-store-silent", "The camera's store does not answer"
    ),
    errors.SlicesNotStoredError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "slices-not-stored", "The enhancement layer has fewer slices"
    ),
    errors.InvalidCursorError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-cursor", "Invalid cursor"),
    errors.InvalidSubscriptionError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-subscription", "Nothing that can be followed"
    ),
    errors.StreamsBusyError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "streams-busy", "Too many event streams at once"
    ),
    errors.InvalidRangeError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-range", "Invalid range of time"
    ),
    errors.RangeNotSatisfiableError: _Kind(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "No such bytes"
    ),
    errors.NotAcceptableError: _Kind(
        HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", "No acceptable image format"
    ),
    errors.UndecodableLayerError: _Kind(
        HTTPStatus.BAD_GATEWAY, "undecodable-layer", "The layers cannot be decoded"
    ),
    errors.DecodingFailedError: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "decoding-failed", "The codec failed"),
    errors.ViewsBusyError: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "views-busy", "Too many views at once"),
    errors.UnauthenticatedError: _Kind(HTTPStatus.UNAUTHORIZED, "unauthenticated", "Who are you?"),
    errors.LoginFailedError: _Kind(HTTPStatus.UNAUTHORIZED, "login-failed", "Not logged in"),
    errors.PasswordChangeRequiredError: _Kind(
        HTTPStatus.FORBIDDEN, "password-change-required", "Choose a password of your own"
    ),
    errors.WeakPasswordError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "weak-password", "The new password will not do"
    ),
    errors.ForbiddenError: _Kind(HTTPStatus.FORBIDDEN, "forbidden", "Not allowed"),
    errors.ReasonError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "reason-required", "Say what it is for"),
    errors.CrossSiteError: _Kind(HTTPStatus.FORBIDDEN, "cross-site", "Sent by another site's page"),
    errors.UnknownHostError: _Kind(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", "Not this server's name"),
    errors.TooManyRequestsError: _Kind(
        HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"
    ),
    errors.AccessFileError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "access-file", "The access file cannot be used"
    ),
    errors.AccessOffError: _Kind(HTTPStatus.CONFLICT, "access-off", "Access control is off"),
    errors.UserError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-user", "No user can be like this"),
    errors.UnknownUserError: _Kind(HTTPStatus.NOT_FOUND, "unknown-user", "Unknown user"),
    errors.UserExistsError: _Kind(HTTPStatus.CONFLICT, "user-exists", "There is such a user already"),
    errors.LastAdminError: _Kind(HTTPStatus.CONFLICT, "last-admin", "An admin has to be left"),
    errors.UnknownCredentialError: _Kind(HTTPStatus.NOT_FOUND, "unknown-credential", "Unknown key or token"),
    errors.ChangedMeanwhileError: _Kind(
        HTTPStatus.PRECONDITION_FAILED, "changed-meanwhile", "Changed meanwhile"
    ),
    errors.TagRequiredError: _Kind(
        HTTPStatus.PRECONDITION_REQUIRED, "tag-required", "Say what you have seen of it"
    ),
    errors.RulesError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-rules", "No rules can be like this"),
    errors.RulesOfFileError: _Kind(HTTPStatus.CONFLICT, "rules-of-file", "A file governs the rules"),
    errors.AuditError: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "audit-unreadable", "The audit cannot be read"),
    errors.AuditUnavailableError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "audit-unavailable", "The audit cannot be written"
    ),
    errors.UnknownJobError: _Kind(HTTPStatus.NOT_FOUND, "unknown-job", "Unknown clip or export"),
    errors.NothingToShowError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "nothing-to-show", "Nothing is there of what was asked for"
    ),
    errors.JobTooLargeError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "job-too-large", "More than one clip or export may hold"
    ),
    errors.JobNotDoneError: _Kind(HTTPStatus.CONFLICT, "job-not-done", "There is no file yet"),
    errors.JobsUnavailableError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "jobs-unavailable", "No clips and exports now"
    ),
    errors.KeyReusedError: _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The key stands for another request"
    ),
    errors.StoreUnavailableError: _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer"
    ),
}
_LIMITS: Final = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
)
_INVALID_REQUEST: Final = _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "Invalid request")

PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "content": {MEDIA_TYPE: {}}}
    for status in sorted(
        {int(kind.status) for kind in (*_KINDS.values(), _INVALID_REQUEST)} | set(map(int, _LIMITS))
    )
}


def problem_titles(status: int) -> list[str]:
    """Titles of the problems with this status."""
    return sorted({kind.title for kind in (*_KINDS.values(), _INVALID_REQUEST) if kind.status == status})


router = APIRouter(prefix="/problems", tags=["problems"])


@router.get(
    "/{slug}",
    operation_id="get_problem",
    summary="What a problem's `type` means",
    response_class=PlainTextResponse,
)
async def get_problem(
    slug: Annotated[str, Path(description="The last part of a `type`.")],
) -> PlainTextResponse:
    """The document behind the `type` of a problem."""
    for error, kind in _KINDS.items():
        if kind.slug == slug:
            return PlainTextResponse(f"{kind.status.value} {kind.title}\n\n{error.__doc__}\n")
    if slug == _INVALID_REQUEST.slug:
        return PlainTextResponse(
            f"{_INVALID_REQUEST.status.value} {_INVALID_REQUEST.title}\n\n"
            "A part of the address or the query cannot be read; `errors` tells where and what.\n"
        )
    raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no problem {slug!r}")


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(errors.ServerError, _server_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _defect)


def _answer(
    request: Request, kind: _Kind, detail: str, headers: dict[str, str] | None = None, **extra: Any
) -> JSONResponse:
    body = {
        "type": kind.uri if kind.slug else "about:blank",
        "title": kind.title,
        "status": int(kind.status),
        "detail": detail,
        "instance": request.url.path,
        **extra,
    }
    return JSONResponse(body, status_code=int(kind.status), headers=headers, media_type=MEDIA_TYPE)


async def _server_error(request: Request, error: Exception) -> JSONResponse:
    kind = next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), None)
    if kind is None:
        return await _defect(request, error)
    headers = {}
    detail = str(error)
    if isinstance(error, errors.AccessFileError):
        _log.error("%s", error)
        detail = "the access file cannot be used; the server's log tells why"
    if isinstance(error, (errors.UnauthenticatedError, errors.LoginFailedError)):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(
        error,
        (
            errors.ViewsBusyError,
            errors.TooManyRequestsError,
            errors.EnhancementUnavailableError,
            errors.StreamsBusyError,
            errors.JobsUnavailableError,
        ),
    ):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.RangeNotSatisfiableError):
        headers["Content-Range"] = f"bytes */{error.length}"
    if isinstance(error, errors.StoreUnavailableError):
        _log.info("%s cannot be answered: %r", request.url.path, error.__cause__)
        headers["Retry-After"] = str(services_of(request).config.store_retry_after)
    return _answer(request, kind, detail, headers)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if any(
        fault["loc"] == ("body",) and fault["type"] == "model_attributes_type" for fault in error.errors()
    ):
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type != "application/json" and not content_type.endswith("+json"):
            given = f"not {content_type}" if content_type else "with `Content-Type: application/json`"
            return answer_by_status(
                request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a body is sent as application/json, {given}"
            )
    found = [{"where": fault["loc"], "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(
        f"{'.'.join(str(part) for part in fault['where'])}: {fault['what']}" for fault in found
    )
    return _answer(request, _INVALID_REQUEST, detail, errors=jsonable_encoder(found))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers) if error.headers else None
    told = error.detail if error.detail != status.phrase else status.description or status.phrase
    return _answer(request, _Kind(status, "", status.phrase), told, headers)


def answer_by_status(request: Request, status: HTTPStatus, detail: str) -> JSONResponse:
    """The problem document of a fault that its status tells all about."""
    return _answer(request, _Kind(status, "", status.phrase), detail)


async def _defect(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _answer(request, _Kind(status, "", status.phrase), "a defect of the server; its log tells more")
