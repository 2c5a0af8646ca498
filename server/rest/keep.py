"""``/v1/cameras/{camera}/frames/{frame}/keep``: evidence that is to be there until somebody has it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from server.access.caller import Permission
from server.audit.record import Subject
from server.catalogue import check_enhancement
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import CameraName, Frame, FrameName, frame_document
from server.rest.gate import Caller
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(tags=["frames"], responses=PROBLEM_RESPONSES)


@router.post(
    "/v1/cameras/{camera}/frames/{frame}/keep",
    operation_id="keep_frame",
    summary="Keep a frame",
    response_model=Frame,
)
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
