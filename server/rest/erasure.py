"""``DELETE /v1/cameras/{camera}``: a camera that is gone for good, or is to be forgotten."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import APIRouter, Request

from server.audit.record import Outcome, Subject
from server.rest.disclosure import event_of
from server.rest.frames import CameraName
from server.rest.gate import Administrator
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(prefix="/v1/cameras", tags=["cameras"], responses=PROBLEM_RESPONSES)


@router.delete(
    "/{camera}", operation_id="erase_camera", summary="Erase a camera", status_code=HTTPStatus.NO_CONTENT
)
@on_record(Subject.ERASURE)
async def erase_camera(
    request: Request, services: Serving, caller: Administrator, camera: CameraName
) -> None:
    """Erase all that is stored of a camera: frames, enhancement layers, results, history, kept frames, marks and rules.

    It is on record before anything is erased. A camera whose edge is connected is left alone. What waits at the edge,
    films and exports that were made and the camera's tokens stay: they have ends of their own.
    """
    asked = replace(event_of(request, caller, Subject.ERASURE), outcome=Outcome.ASKED, camera=camera)
    await services.audit.record(asked)
    try:
        erased = await services.erasure.camera(camera)
    except BaseException as error:
        await services.audit.record(replace(asked, outcome=Outcome.FAILED, detail=str(error)))
        raise
    await services.audit.record(replace(asked, outcome=Outcome.DONE, detail=f"{erased} keys"))
