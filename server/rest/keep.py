"""``/v1/cameras/{camera}/frames/{frame}/keep`` and ``/v1/cameras/{camera}/kept``: evidence that is to be there until
somebody has it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from server.access.caller import Permission
from server.audit.record import Subject
from server.catalogue import check_enhancement
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import (
    CameraName,
    Frame,
    FrameName,
    Frames,
    frame_document,
    from_cursor,
    page_document,
)
from server.rest.gate import Caller
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(tags=["frames"], responses=PROBLEM_RESPONSES)


@router.post(
    "/v1/cameras/{camera}/frames/{frame}/keep",
    operation_id="keep_frame",
    summary="Keep a frame",
    response_model=Frame,
)
@on_record(Subject.KEEP)
async def keep_frame(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """Keep the frame with both layers, and its key frame's, as long as what somebody has to look at is kept.

    It takes the role operator and a reason. A layer that waits at the edge is kept there once the edge has heard of it.
    """
    async with services.disclosures.begin(
        request,
        caller,
        Permission.KEEP,
        subject=Subject.KEEP,
        camera=camera,
        frame=frame,
        reason=told_reason(reason, reason_header),
    ) as disclosure:
        stored = await services.catalogue.frame(camera, frame)
        check_enhancement(stored)
        await services.retention.keep(stored)
        kept = frame_document(await services.catalogue.frame(camera, frame))
        return disclosure.of(Response(kept.model_dump_json(), media_type="application/json"))


@router.get(
    "/v1/cameras/{camera}/kept", operation_id="list_kept_frames", summary="List kept frames, newest first"
)
async def list_kept_frames(
    request: Request,
    services: Serving,
    camera: CameraName,
    cursor: Annotated[str | None, Query(description="Taken from a `next` link.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="Frames on a page.")] = None,
) -> Frames:
    """Frames of a camera that are kept because of an alert, or because somebody said so."""
    config = services.config
    page = await services.catalogue.kept(
        camera,
        before=None if cursor is None else from_cursor(cursor),
        limit=min(limit or config.page_frames, config.page_frames_limit),
    )
    return page_document(request, page)
