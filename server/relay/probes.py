"""``/healthz``, ``/readyz`` and ``/metrics`` of a relay."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from server.relay.status import Status


class Outlet(Protocol):
    """Hands results to one target."""

    name: str
    status: Status

    async def run(self) -> None:
        """Until cancelled."""


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether all targets have their server and their receiver; of those that have not, what is wrong."""

    ready: bool
    targets: int
    ailing: dict[str, str]


def create_probes(outlets: Sequence[Outlet]) -> FastAPI:
    """The application. It shows no result, and asks nobody who they are: keep its address inside."""
    app = FastAPI(title="Secondsight relay", version="1", openapi_url=None)

    @app.head("/healthz")
    @app.get("/healthz")
    async def get_health() -> Health:
        return Health(status="ok")

    @app.head("/readyz")
    @app.get("/readyz")
    async def get_readiness(response: Response) -> Readiness:
        ailing = {outlet.name: outlet.status.ailing for outlet in outlets if outlet.status.ailing}
        if ailing:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Readiness(ready=not ailing, targets=len(outlets), ailing=ailing)

    @app.get("/metrics")
    async def get_metrics() -> Response:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app
