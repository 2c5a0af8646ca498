"""Who asks: an API key, a browser session, or, on a server that asks nobody, whoever is on this machine."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from server import metrics
from server.access.caller import LOOPBACK, Permission, Principal
from server.config import is_loopback
from server.errors import AccessError, CrossSiteError, ForbiddenError, UnauthenticatedError, UnknownHostError
from server.rest.services import Serving

_COOKIE: Final = "secondsight"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="An API key, by `secondsight access user key NAME`.")
_session = APIKeyCookie(name=f"__Host-{_COOKIE}", auto_error=False, description="Set by `POST /v1/session`.")


async def let_in(
    request: Request,
    services: Serving,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _: Annotated[str | None, Security(_session)],
) -> Principal:
    """Who asks, once it is known that they may look at what the path names.

    Raises:
        UnauthenticatedError
        ForbiddenError: the camera in the path is not one of theirs.
        CrossSiteError
        UnknownHostError
    """
    if services.access.open:
        check_host(request)
        check_same_site(request)
        return LOOPBACK
    principal = None
    try:
        principal = services.access.principal(bearer.credentials) if bearer else session_of(request, services)
        if principal is None:
            metrics.CALLERS_REFUSED.labels("http").inc()
            raise UnauthenticatedError
        principal.check(Permission.LOOK)
        camera = request.path_params.get("camera")
        if camera is not None:
            principal.check_sees(camera)
    except AccessError as error:
        await services.disclosures.turned_away(request, principal, error)
        raise
    return principal


Caller = Annotated[Principal, Depends(let_in)]


async def let_in_administrator(
    request: Request, response: Response, services: Serving, principal: Caller
) -> Principal:
    """Who asks, once it is known that they may administer the server. Refusals go on record.

    No browser or proxy keeps the answer, which may hold a secret.

    Raises:
        ForbiddenError
    """
    try:
        principal.check(Permission.ADMINISTER)
        if principal.cameras is not None:
            raise ForbiddenError("this is about every camera, and your access covers some of them")
    except AccessError as error:
        await services.disclosures.turned_away(request, principal, error)
        raise
    response.headers["Cache-Control"] = "no-store"
    return principal


Administrator = Annotated[Principal, Depends(let_in_administrator)]


async def let_in_for_all_cameras(principal: Caller) -> Principal:
    """Who asks for what tells of every camera.

    Raises:
        ForbiddenError: they may not see every camera.
    """
    if principal.cameras is not None:
        raise ForbiddenError("this tells of all cameras, and your access covers some of them")
    return principal


def session_of(request: Request, services: Serving) -> Principal | None:
    """Whose browser asks; None without a session.

    Raises:
        CrossSiteError: another site's page asks, or it is not known whose page does.
    """
    token = request.cookies.get(_cookie_name(request))
    if token is None:
        return None
    principal = services.access.in_session(token)
    if principal is not None:
        check_same_site(request, by_cookie=True)
    return principal


def check_host(request: Request) -> None:
    """Raise UnknownHostError unless the server is called by a name of the loopback.

    A page of another site whose name was made to point here calls it by that name, and would otherwise be let in.
    """
    if not is_loopback(request.url.hostname or ""):
        raise UnknownHostError


def check_same_site(request: Request, *, by_cookie: bool = False) -> None:
    """Raise CrossSiteError when a page of another site asks, or when it is not known whose page asks for a change.

    Browsers say whose page asks. What says nothing is no browser, and has no cookies that it was not given on purpose;
    with a cookie it has to say.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if request.method in _SAFE_METHODS:
        same = site != "cross-site"
    elif site is not None:
        same = site in ("same-origin", "none")
    elif origin is not None:
        same = urlsplit(origin).netloc == request.headers.get("host")
    else:
        same = not by_cookie
    if not same:
        raise CrossSiteError


def set_session(request: Request, response: Response, token: str) -> None:
    """Let the browser keep the session's token, out of the page's reach and for this site alone."""
    response.set_cookie(
        _cookie_name(request), token, httponly=True, samesite="strict", secure=_is_secure(request)
    )


def forget_session(request: Request, response: Response) -> None:
    """Let the browser forget the session's token."""
    response.delete_cookie(
        _cookie_name(request), httponly=True, samesite="strict", secure=_is_secure(request)
    )


def _cookie_name(request: Request) -> str:
    # With this prefix browsers take it over TLS alone, and from no other host of the domain.
    return f"__Host-{_COOKIE}" if _is_secure(request) else _COOKIE


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
