"""``/healthz``, ``/readyz`` and ``/metrics`` of a worker that is a process of its own."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from server.errors import StoreUnavailableError
from server.store.writable import Writable
from server.worker import Worker


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether the worker recognises, and why not."""

    ready: bool
    worker: str
    cameras: int
    store: bool
    store_detail: str
    leaving: bool


def create_probes(worker: Worker, store: Writable) -> FastAPI:
    """The application. It shows no picture and no result, and asks nobody who they are: keep its address inside."""
    app = FastAPI(title="Secondsight worker", version="1", openapi_url=None)

    @app.head("/healthz")
    @app.get("/healthz")
    async def get_health() -> Health:
        return Health(status="ok")

    @app.head("/readyz")
    @app.get("/readyz")
    async def get_readiness(response: Response) -> Readiness:
        detail = ""
        try:
            await store.check()
        except StoreUnavailableError as error:
            detail = str(error)
        ready = not detail and worker.has_store and not worker.is_leaving
        if not ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Readiness(
            ready=ready,
            worker=worker.name,
            cameras=len(worker.cameras),
            store=not detail,
            store_detail=detail,
            leaving=worker.is_leaving,
        )

    @app.get("/metrics")
    async def get_metrics() -> Response:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app
