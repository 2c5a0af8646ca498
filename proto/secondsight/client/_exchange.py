"""One call over HTTP from its first try to its last, without sending or waiting: whoever drives it does that.

`exchange` yields an `httpx.Request` to be sent, and is sent the answer, or the error that httpx raised; or it yields a
`Pause`, and goes on after it.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Final, TypeVar

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
from secondsight.client._settings import Retries, Settings

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
    pauses = waits(settings.retries)
    # An absolute path: a server behind a path of its own is reached by that.
    url = httpx.URL(settings.server.rstrip("/") + request.path, params=dict(request.query) or None)
    while True:
        outcome = yield httpx.Request(
            request.method,
            url,
            # In UTF-8: a reason may be told in any language.
            headers=[
                (name.encode(), value.encode())
                for name, value in {**headers_of(settings), **request.headers}.items()
            ],
            json=request.body,
            extensions={"timeout": timeout_of(settings).as_dict()},
        )
        assert outcome is not None
        error = _error(outcome, settings)
        if error is None:
            assert isinstance(outcome, httpx.Response)
            return _parsed(request, outcome, settings)
        asked_for = error.problem.retry_after if isinstance(error, ProblemError) else None
        wait = next(pauses, None) if request.may_be_repeated and _may_pass(error) else None
        if wait is None or (asked_for or 0.0) > settings.retries.patience:
            raise error
        yield Pause(wait + (asked_for or 0.0))


def timeout_of(settings: Settings) -> httpx.Timeout:
    """As httpx wants them."""
    timeouts = settings.timeouts
    return httpx.Timeout(
        connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
    )


def waits(retries: Retries) -> Iterator[float]:
    """Seconds between the attempts: exponential, with full jitter (Brooker, "Exponential Backoff And Jitter", 2015)."""
    for attempt in range(retries.attempts - 1):
        yield wait_after(attempt, retries)


def wait_after(failures: int, retries: Retries) -> float:
    """Seconds to wait after so many failures before this one."""
    # The exponent is bounded because 2.0**1024 overflows, and nights are long.
    return random.uniform(0.0, min(retries.longest_wait, retries.first_wait * 2.0 ** min(failures, 64)))


def _error(outcome: httpx.Response | httpx.TransportError, settings: Settings) -> ClientError | None:
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
