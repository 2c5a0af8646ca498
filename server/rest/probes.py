"""``/healthz``, ``/readyz`` and ``/metrics``; the first two by HEAD, too, as many monitors ask."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from server.errors import StoreUnavailableError
from server.rest.gate import let_in_for_all_cameras
from server.rest.services import Serving

router = APIRouter(tags=["probes"])


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether requests can be served now, part by part."""

    ready: bool
    store: bool
    store_detail: str
    """What ails the store; empty when nothing does."""
    leaving: bool


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", operation_id="get_health", summary="Whether the process lives")
async def get_health() -> Health:
    """Always 200 while the event loop turns."""
    return Health(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the server can serve",
    responses={503: {"model": Readiness}},
)
async def get_readiness(services: Serving, response: Response) -> Readiness:
    """200 when the store takes what is written and the server is not about to leave, else 503.

    The model is loaded before anything is answered.
    """
    detail = ""
    try:
        await services.writable.check()
    except StoreUnavailableError as error:
        detail = str(error)
    ready = not detail and not services.leaving
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(ready=ready, store=not detail, store_detail=detail, leaving=services.leaving)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[Depends(let_in_for_all_cameras)],
)
async def get_metrics() -> Response:
    """Text in Prometheus's exposition format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
