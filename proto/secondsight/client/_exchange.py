"""One call over HTTP from its first try to its last, without sending or waiting: whoever drives it does that.

`exchange` yields an `httpx.Request` to be sent, and is sent the answer, or the error that httpx raised; or it yields a
`Pause`, and goes on after it.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final, TypeVar

import httpx

from secondsight.client._documents import UnreadableError
from secondsight.client._exceptions import (
    ClientError,
    IncompatibleServerError,
    Problem,
    ProblemError,
    TimedOutError,
    UnreachableError,
    error_of,
)
from secondsight.client._requests import Request
from secondsight.client._settings import NO_RETRIES, Retries, Settings

T = TypeVar("T")

VERSION: Final = version("secondsight")
_PROBLEM: Final = "application/problem+json"
_TRY_AGAIN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds."""

    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
Exchange = Generator[httpx.Request | Pause, Outcome, T]


def headers_of(settings: Settings) -> dict[str, str]:
    """Headers of every request."""
    headers = {"User-Agent": f"secondsight-client/{VERSION}"}
    if settings.api_key is not None:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    return headers


def exchange(request: Request[T], settings: Settings) -> Exchange[T]:
    """The answer, read.

    Raises:
        ClientError
    """
    attempts = Attempts(settings.retries if request.may_be_repeated else NO_RETRIES)
    while True:
        outcome = yield request_of(
            request.method,
            request.path,
            settings,
            query=request.query,
            headers=request.headers,
            body=request.body,
        )
        assert outcome is not None
        error = error_of_answer(outcome, settings)
        if error is None:
            assert isinstance(outcome, httpx.Response)
            return _parsed(request, outcome, settings)
        yield Pause(attempts.wait_after(error))


class Attempts:
    """Of one call, or of one step on its way."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._failures = 0

    def begin_again(self) -> None:
        """It got further."""
        self._failures = 0

    def wait_after(self, error: ClientError) -> float:
        """Seconds to wait before the next attempt; raises `error` when there is to be none."""
        asked_for = (error.problem.retry_after if isinstance(error, ProblemError) else None) or 0.0
        self._failures += 1
        if (
            not _may_pass(error)
            or self._failures >= self._retries.attempts
            or asked_for > self._retries.patience
        ):
            raise error
        return asked_for + wait_after(self._failures - 1, self._retries)


def request_of(
    method: str,
    path: str,
    settings: Settings,
    *,
    query: Mapping[str, str] = MappingProxyType({}),
    headers: Mapping[str, str] = MappingProxyType({}),
    body: Mapping[str, Any] | None = None,
) -> httpx.Request:
    """To be sent. A server behind a path of its own is reached by that."""
    return httpx.Request(
        method,
        httpx.URL(settings.server.rstrip("/") + path, params=dict(query) or None),
        # In UTF-8: a reason may be told in any language.
        headers=[
            (name.encode(), value.encode()) for name, value in {**headers_of(settings), **headers}.items()
        ],
        json=body,
        extensions={"timeout": timeout_of(settings).as_dict()},
    )


def timeout_of(settings: Settings) -> httpx.Timeout:
    """As httpx wants them."""
    timeouts = settings.timeouts
    return httpx.Timeout(
        connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
    )


def wait_after(failures: int, retries: Retries) -> float:
    """Seconds to wait after so many failures before this one, with full jitter.

    Brooker, "Exponential Backoff And Jitter", AWS 2015.
    """
    # The exponent is bounded because 2.0**1024 overflows, and nights are long.
    return random.uniform(0.0, min(retries.longest_wait, retries.first_wait * 2.0 ** min(failures, 64)))


def error_of_answer(outcome: httpx.Response | httpx.TransportError, settings: Settings) -> ClientError | None:
    """What is wrong with an answer, whose body was read, or with the way to it; None when nothing is."""
    server = settings.server
    if isinstance(outcome, httpx.TimeoutException):
        return TimedOutError(f"{server} does not answer in time ({type(outcome).__name__})")
    if isinstance(outcome, httpx.TransportError):
        return UnreachableError(f"{server} cannot be reached: {outcome or type(outcome).__name__}")
    if outcome.is_success:
        return None
    problem = _problem(outcome)
    if problem is None:
        return IncompatibleServerError(
            f"{server} answers {outcome.status_code} {outcome.reason_phrase} and tells no problem: that is no "
            "Secondsight server, or another one stands before it"
        )
    if outcome.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and not problem.slug:
        return IncompatibleServerError(
            f"the server has no {outcome.request.method} {outcome.request.url.path}: it is older than this client "
            f"({VERSION}); install the server's version of secondsight, or update the server"
        )
    return error_of(problem)


def _may_pass(error: ClientError) -> bool:
    if isinstance(error, ProblemError):
        return error.problem.status in _TRY_AGAIN
    return isinstance(error, UnreachableError)


def _problem(response: httpx.Response) -> Problem | None:
    if response.headers.get("content-type", "").partition(";")[0] != _PROBLEM:
        return None
    try:
        told = response.json()
        return Problem(
            status=response.status_code,
            title=str(told["title"]),
            detail=str(told.get("detail") or ""),
            type=str(told.get("type") or "about:blank"),
            errors=tuple(told.get("errors") or ()),
            retry_after=_retry_after(response),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    told = response.headers.get("retry-after")
    if told is None:
        return None
    if told.strip().isdecimal():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _parsed(request: Request[T], response: httpx.Response, settings: Settings) -> T:
    try:
        return request.parse(response)
    except (UnreadableError, ValueError) as error:
        raise IncompatibleServerError(
            f"{settings.server} answers {request.path} with what this client ({VERSION}) cannot read ({error}): "
            "install the server's version of secondsight"
        ) from error
