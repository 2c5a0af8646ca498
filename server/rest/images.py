"""``/v1/cameras/{camera}/frames/{frame}/image``: the machine view and the human view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from secondsight.tracing import Stretch, TraceContext, tracer
from server import metrics
from server.access.caller import Permission
from server.audit.record import Subject
from server.rest.conditional import is_current, not_modified, strong_tag, tagged
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import CameraName, FrameName, WaitQuery, key_frame_headers
from server.rest.gate import Caller
from server.rest.negotiation import negotiate_format
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving
from server.views import ImageFormat, View

router = APIRouter(tags=["images"], responses=PROBLEM_RESPONSES)

_VARY = {"Vary": "Accept"}


@router.get(
    "/v1/cameras/{camera}/frames/{frame}/image",
    operation_id="get_image",
    summary="A picture of a frame",
    response_class=Response,
    responses={200: {"content": {image_format.media_type: {} for image_format in ImageFormat}}},
)
async def get_image(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    view: Annotated[View, Query(description="`machine`: the machine layer alone. `human`: both layers.")] = (
        View.MACHINE
    ),
    slices: Annotated[
        int | None,
        Query(ge=1, le=5, description="Human view from the first slices alone; all when left out."),
    ] = None,
    width: Annotated[
        int | None,
        Query(ge=1, le=8192, description="Pixels, that a wider picture is shrunk to; none is enlarged."),
    ] = None,
    format: Annotated[
        ImageFormat | None, Query(description="Chosen by the Accept header when left out.")
    ] = None,
    accept: Annotated[str | None, Header()] = None,
    traceparent: Annotated[
        str | None, Header(description="W3C trace context of who asks, if the request is traced.")
    ] = None,
    wait: WaitQuery = None,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """The frame as its machine layer shows it, or sharpened by its enhancement layer.

    A human view takes the role operator and a reason, and is on record before it is made.
    """
    asked = _Asked(camera, frame, view, slices, width, format or negotiate_format(accept), wait)
    with _traced(traceparent, f"{view} view", camera, frame):
        if view is View.MACHINE:
            return await _image(request, services, asked)
        async with services.disclosures.begin(
            request,
            caller,
            Permission.HUMAN_VIEW,
            subject=Subject.HUMAN_VIEW,
            camera=camera,
            frame=frame,
            view=view,
            reason=told_reason(reason, reason_header),
        ) as disclosure:
            return disclosure.of(await _image(request, services, asked))


@dataclass(frozen=True)
class _Asked:
    camera: str
    frame: str
    view: View
    slices: int | None
    width: int | None
    format: ImageFormat
    wait: float | None


@contextmanager
def _traced(traceparent: str | None, name: str, camera: str, frame: str) -> Iterator[None]:
    begun = time.time_ns()
    failure = ""
    try:
        yield
    except Exception as error:
        failure = type(error).__name__
        raise
    finally:
        # Operators trace their own requests; failures of those who do not are in the audit and the metrics.
        context = TraceContext.parse(traceparent or "")
        if context is not None:
            span = Stretch(name, begun, time.time_ns())
            tracer().record(context, [span], {"camera": camera, "frame": frame}, failure)


async def _image(request: Request, services: Services, asked: _Asked) -> Response:
    stored = await services.catalogue.frame(asked.camera, asked.frame)
    gathered = await services.views.gather(
        stored, asked.view, asked.format, asked.slices, asked.wait, asked.width
    )
    tag = strong_tag(gathered.digest)
    if is_current(request, tag):
        return not_modified(tag, _VARY)
    content = await services.views.make(gathered)
    flow = metrics.FLOWS.find(asked.camera)
    if flow is not None:
        flow.views[asked.view].add()
    headers = {
        **tagged(tag),
        **_VARY,
        **key_frame_headers(stored),
        "Secondsight-Machine-Bytes": str(len(stored.frame.machine_layer)),
        "Secondsight-Enhancement-Bytes": str(len(gathered.enhancement)),
    }
    return Response(content, media_type=asked.format.media_type, headers=headers)
