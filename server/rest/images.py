"""``/v1/cameras/{camera}/frames/{frame}/image``: the machine view and the human view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response

from secondsight.tracing import Stretch, TraceContext, tracer
from server import metrics
from server.access.caller import Permission
from server.audit.record import Subject
from server.catalogue import StoredFrame
from server.provenance import Provenance, model_of
from server.rest.conditional import is_current, not_modified, strong_tag, tagged
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import CameraName, FrameName, WaitQuery, key_frame_headers
from server.rest.gate import Caller
from server.rest.moments import utc
from server.rest.negotiation import negotiate_format
from server.rest.on_record import human_view, on_record
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
    responses={
        200: {"content": {image_format.media_type: {} for image_format in ImageFormat}},
        304: {"description": "The client has it (`If-None-Match`); a human view is on record all the same."},
    },
)
@on_record(human_view)
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
    download: Annotated[
        bool,
        Query(description="As a file to keep, which says within where it comes from, and who took it when."),
    ] = False,
    accept: Annotated[
        str | None,
        Header(description="Formats by liking (RFC 9110). AVIF takes long to make, and has to be named."),
    ] = None,
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
    asked = _Asked(
        camera, frame, view, slices, width, format or negotiate_format(accept), wait, download, caller.name
    )
    with _traced(traceparent, f"{view} view", camera, frame):
        if view is View.MACHINE:
            return await _image(request, services, asked, "")
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
            return disclosure.of(await _image(request, services, asked, disclosure.request))


@dataclass(frozen=True)
class _Asked:
    camera: str
    frame: str
    view: View
    slices: int | None
    width: int | None
    format: ImageFormat
    wait: float | None
    download: bool
    by: str


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


async def _image(request: Request, services: Services, asked: _Asked, number: str) -> Response:
    """`number` of the request in the audit; empty where it is not there."""
    stored = await services.catalogue.frame(asked.camera, asked.frame)
    gathered = await services.views.gather(
        stored, asked.view, asked.format, asked.slices, asked.wait, asked.width
    )
    tag = strong_tag(gathered.digest)
    if is_current(request, tag) and not asked.download:
        return not_modified(tag, _VARY)
    provenance = _provenance(stored, asked, number)
    if asked.download:
        content = await services.views.make_download(gathered, provenance)
        kept = {
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="{provenance.name}.{asked.format.ending}"',
            "Secondsight-Taken-By": quote(provenance.taken_by),
            "Secondsight-Taken-At": provenance.taken_at.isoformat(),
        }
    else:
        content = await services.views.make(gathered)
        kept = tagged(tag)
    flow = metrics.FLOWS.find(asked.camera)
    if flow is not None:
        flow.views[asked.view].add()
    headers = {
        **kept,
        **_VARY,
        **key_frame_headers(stored),
        "Secondsight-Camera": provenance.camera,
        "Secondsight-Frame": provenance.frame,
        "Secondsight-Captured-At": provenance.captured_at.isoformat(),
        "Secondsight-Model": provenance.model,
        "Secondsight-View": provenance.view,
        "Secondsight-Machine-Bytes": str(len(stored.frame.machine_layer)),
        "Secondsight-Enhancement-Bytes": str(len(gathered.enhancement)),
    }
    if provenance.slices is not None:
        headers["Secondsight-Slices"] = str(provenance.slices)
    return Response(content, media_type=asked.format.media_type, headers=headers)


def _provenance(stored: StoredFrame, asked: _Asked, number: str) -> Provenance:
    held = stored.frame.enhancement.slices
    return Provenance(
        camera=stored.frame.id.camera_id,
        frame=stored.name,
        captured_at=utc(stored.frame.captured_at),
        model=model_of(stored.frame.machine_layer),
        view=asked.view,
        slices=None if asked.view is View.MACHINE else asked.slices or held,
        width=asked.width,
        taken_by=asked.by,
        taken_at=datetime.now(UTC),
        request=number,
    )
