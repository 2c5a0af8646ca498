"""``/v1/exports``: results, pictures, bitstreams and marks of many frames, in one file."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final, Literal

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
from server.views import ImageFormat, View

router = APIRouter(prefix="/v1/exports", tags=["exports"], responses=PROBLEM_RESPONSES)

_KINDS: Final = (Kind.RESULTS, Kind.VIEWS, Kind.LAYERS, Kind.MARKS)
_PICTURES: Final = (Kind.VIEWS, Kind.MARKS)
_MOST_CAMERAS: Final = 256


class ExportOrder(jobs.Period):
    """What an export is to hold."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "results",
                    "cameras": ["front-door", "yard"],
                    "from": "2026-05-01T00:00:00Z",
                    "to": "2026-05-02T00:00:00Z",
                }
            ]
        },
    )

    kind: Literal[Kind.RESULTS, Kind.VIEWS, Kind.LAYERS, Kind.MARKS] = Field(
        description="`results`: COCO JSON of what was recognised. `views`: a zip file of pictures. `layers`: one of "
        "bitstreams, with those of the key frames that they need. `marks`: a COCO dataset of human views with what "
        "operators said of results."
    )
    cameras: Annotated[list[jobs.CameraId], Field(min_length=1, max_length=_MOST_CAMERAS)]
    view: View = Field(
        View.MACHINE,
        description="Of views and layers; `human` for layers: the enhancement layers as well. Marks are of human "
        "views, whatever this is, and results show nothing.",
    )
    format: ImageFormat = Field(ImageFormat.JPEG, description="Of pictures. Those of marks are JPEG or PNG.")
    slices: jobs.Slices = None
    width: jobs.Width = None
    task: str = Field(
        store_keys.DEFAULT_TASK,
        pattern=f"^{store_keys.CAMERA_ID_PATTERN}$",
        description="Whose results.",
    )
    reason: jobs.Reason = None


class Exports(BaseModel):
    """Exports, the last one asked for first: one's own, or all of them for admins."""

    exports: list[jobs.JobDocument]


@router.post("", operation_id="make_export", summary="Make an export", status_code=HTTPStatus.ACCEPTED)
@on_record(Subject.EXPORT)
async def make_export(
    request: Request,
    response: Response,
    services: Serving,
    caller: Caller,
    wanted: ExportOrder,
    key: jobs.KeyHeader = None,
) -> jobs.JobDocument:
    """Have a file made of what cameras showed in a time, or of what was recognised in it.

    Human views, enhancement layers and marks take the role operator and a reason. An export counts as one human view
    of a minute's, and all its frames count against the hour's. `Location` tells where to ask how far it is.
    """
    order = Order(
        kind=wanted.kind,
        cameras=tuple(sorted(set(wanted.cameras))),
        since=wanted.since,
        until=wanted.until_now,
        view=_view(wanted),
        slices=wanted.slices if wanted.kind in _PICTURES else None,
        width=None if wanted.kind is Kind.MARKS else wanted.width,
        image_format=_format(wanted),
        task=wanted.task,
        reason=wanted.reason or "",
        **jobs.ordered_by(request, caller),
    )
    return await jobs.ask(response, services, caller, wanted, order, key)


def _view(wanted: ExportOrder) -> View:
    if wanted.kind is Kind.RESULTS:
        return View.MACHINE
    return View.HUMAN if wanted.kind is Kind.MARKS else wanted.view


def _format(wanted: ExportOrder) -> ImageFormat:
    lossless = wanted.kind is Kind.MARKS and wanted.format is not ImageFormat.JPEG
    return ImageFormat.PNG if lossless else wanted.format


@router.get("", operation_id="list_exports", summary="List exports")
async def list_exports(services: Serving, caller: Caller) -> Exports:
    """One's own exports; all of them for admins."""
    return Exports(exports=jobs.mine(services, caller, _KINDS))


@router.get("/{export}", operation_id="get_export", summary="How far an export is")
async def get_export(services: Serving, caller: Caller, export: jobs.JobName) -> jobs.JobDetails:
    """State, progress, and which frames are left out, and why."""
    return jobs.details(services, jobs.check_mine(services, caller, export, _KINDS))


@router.get(
    "/{export}/file",
    operation_id="get_export_file",
    summary="The file of an export",
    response_class=Response,
    responses=jobs.FILE_RESPONSES,
)
@on_record(Subject.EXPORT)
async def get_export_file(
    request: Request, services: Serving, caller: Caller, export: jobs.JobName
) -> Response:
    """JSON or a zip file. Each fetch of what shows people is on record; who lost the right to see it gets nothing."""
    return await jobs.fetch(request, services, caller, jobs.check_mine(services, caller, export, _KINDS))


@router.delete(
    "/{export}",
    operation_id="delete_export",
    summary="Cancel or delete an export",
    status_code=HTTPStatus.NO_CONTENT,
)
async def delete_export(services: Serving, caller: Caller, export: jobs.JobName) -> None:
    """End it if it is being made, and remove what there is of it."""
    await services.jobs.forget(jobs.check_mine(services, caller, export, _KINDS))
