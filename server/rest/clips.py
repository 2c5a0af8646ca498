"""``/v1/clips``: films of what one camera showed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from secondsight import store_keys
from server.audit.record import Subject
from server.jobs.job import Kind, Order
from server.rest import jobs
from server.rest.gate import Caller
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving
from server.views import View

router = APIRouter(prefix="/v1/clips", tags=["clips"], responses=PROBLEM_RESPONSES)

_KINDS: Final = (Kind.CLIP,)


class ClipOrder(jobs.Period):
    """What a clip is to show."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "camera": "front-door",
                    "from": "2026-05-01T22:10:00Z",
                    "to": "2026-05-01T22:12:00Z",
                    "view": "human",
                    "reason": "a parcel is missing",
                    "width": 854,
                }
            ]
        },
    )

    camera: jobs.CameraId
    view: View = Field(View.MACHINE, description="`machine`: the machine layers alone. `human`: both layers.")
    slices: jobs.Slices = None
    width: jobs.Width = None
    reason: jobs.Reason = None


class Clips(BaseModel):
    """Clips, the last one asked for first: one's own, or all of them for admins."""

    clips: list[jobs.JobDocument]


@router.post("", operation_id="make_clip", summary="Make a clip", status_code=HTTPStatus.ACCEPTED)
@on_record(Subject.CLIP)
async def make_clip(
    request: Request,
    response: Response,
    services: Serving,
    caller: Caller,
    wanted: ClipOrder,
    key: jobs.KeyHeader = None,
) -> jobs.JobDocument:
    """Have a film made of what a camera showed: MP4 with H.264, each picture shown when it was captured.

    A clip of human views takes the role operator and a reason. It counts as one human view of a minute's, and all its
    frames count against the hour's. `Location` tells where to ask how far it is.
    """
    order = Order(
        kind=Kind.CLIP,
        cameras=(wanted.camera,),
        since=wanted.since,
        until=wanted.until_now,
        view=wanted.view,
        slices=wanted.slices,
        width=wanted.width,
        task=store_keys.DEFAULT_TASK,
        reason=wanted.reason or "",
        **jobs.ordered_by(request, caller),
    )
    return await jobs.ask(response, services, caller, wanted, order, key)


@router.get("", operation_id="list_clips", summary="List clips")
async def list_clips(services: Serving, caller: Caller) -> Clips:
    """One's own clips; all of them for admins."""
    return Clips(clips=jobs.mine(services, caller, _KINDS))


@router.get("/{clip}", operation_id="get_clip", summary="How far a clip is")
async def get_clip(services: Serving, caller: Caller, clip: jobs.JobName) -> jobs.JobDetails:
    """State, progress, and which frames are left out, and why."""
    return jobs.details(services, jobs.check_mine(services, caller, clip, _KINDS))


@router.get(
    "/{clip}/file",
    operation_id="get_clip_file",
    summary="The film",
    response_class=Response,
    responses=jobs.FILE_RESPONSES,
)
@on_record(Subject.CLIP)
async def get_clip_file(request: Request, services: Serving, caller: Caller, clip: jobs.JobName) -> Response:
    """The MP4 file. Each fetch of human views is on record; who lost the right to see them since gets nothing."""
    return await jobs.fetch(request, services, caller, jobs.check_mine(services, caller, clip, _KINDS))


@router.delete(
    "/{clip}",
    operation_id="delete_clip",
    summary="Cancel or delete a clip",
    status_code=HTTPStatus.NO_CONTENT,
)
async def delete_clip(services: Serving, caller: Caller, clip: jobs.JobName) -> None:
    """End it if it is being made, and remove what there is of it."""
    await services.jobs.forget(jobs.check_mine(services, caller, clip, _KINDS))
