"""The ASGI application."""

from __future__ import annotations

from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import compile_path

from server.rest import (
    audit,
    cameras,
    clips,
    cost,
    credentials,
    erasure,
    events,
    exports,
    frames,
    images,
    keep,
    marks,
    overview,
    probes,
    problems,
    recognisers,
    rules,
    session,
    timeline,
    users,
)
from server.rest.deprecation import Deprecations
from server.rest.description import INTRODUCTION, SUMMARY, TAGS, finished
from server.rest.gate import let_in
from server.rest.live import Live
from server.rest.problems import install_problem_handlers
from server.rest.rate_limits import RateLimits
from server.rest.request_limits import RequestLimits
from server.rest.safe_headers import SafeHeaders
from server.rest.services import Services

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLOSED: Final = tuple(
    module.router
    for module in (
        audit,
        cameras,
        clips,
        cost,
        credentials,
        erasure,
        events,
        exports,
        frames,
        images,
        keep,
        marks,
        overview,
        recognisers,
        timeline,
        rules,
        users,
    )
)
"""Routes for those who are let in."""


class Application(FastAPI):
    """FastAPI whose document has examples."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = finished(super().openapi())
        return self.openapi_schema


def bare_app() -> Application:
    """All routes over no services, as for their description."""
    app = Application(
        title="Secondsight",
        version="1",
        summary=SUMMARY,
        description=INTRODUCTION,
        openapi_tags=[{"name": name, "description": told} for name, told in TAGS.items()],
        openapi_url=None,
    )
    for router in CLOSED:
        app.include_router(router, dependencies=[Depends(let_in)])
    for open_to_all in (probes, problems, session):
        app.include_router(open_to_all.router)
    return app


async def _nothing_there(request: Request) -> None:
    """Of an address that is none, or takes other methods: the page behind would answer as if it were a file."""
    known = {
        method.upper()
        for path, methods in request.app.openapi()["paths"].items()
        if compile_path(path)[0].fullmatch(request.url.path)
        for method in methods
    }
    if known:
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(known))})
    raise HTTPException(HTTPStatus.NOT_FOUND)


def create_app(services: Services) -> FastAPI:
    """The application over these services. Its documentation page is left out: it would load files of others."""
    app = bare_app()
    app.state.services = services
    app.state.live = Live(services.catalogue, services.config)
    install_problem_handlers(app)
    app.add_middleware(RequestLimits, config=services.config)
    app.add_middleware(RateLimits)
    app.add_middleware(Deprecations)
    app.add_middleware(SafeHeaders)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(let_in)])
    async def get_document() -> JSONResponse:
        return JSONResponse(app.openapi())

    app.add_api_route("/v1/{rest:path}", _nothing_there, methods=[*_METHODS], include_in_schema=False)

    # All that lies in this folder is served, so it is no package and holds no module.
    page = Path(str(resources.files("server"))) / "page"
    app.mount("/", GZipMiddleware(StaticFiles(directory=page, html=True)), name="page")
    return app
