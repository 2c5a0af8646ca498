"""``/v1/cameras/{camera}/frames/{frame}/marks`` and ``/v1/marks``: what operators say of results, on human views."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from secondsight import store_keys
from server.access.caller import Permission, Principal
from server.audit.record import Subject
from server.catalogue import check_enhancement
from server.errors import ForbiddenError, InvalidCursorError, InvalidMarkError
from server.marks.mark import Mark, MarkedBox, Verdict, frame_of
from server.marks.marking import Said, mark_of
from server.marks.tally import Tally
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import CameraName, FrameName
from server.rest.gate import Caller
from server.rest.moments import PeriodQuery
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.results import Box, TaskQuery
from server.rest.services import Services, Serving

router = APIRouter(tags=["marks"], responses=PROBLEM_RESPONSES)

_LONGEST_TOLD: Final = 128
"""Characters of the audit."""
_FRAME: Final = "/v1/cameras/{camera}/frames/{frame}/marks"

MarkName = Annotated[str, Path(description="A mark, as listed by the frame's marks.")]
OfCamera = Annotated[str | None, Query(description="Only of this camera.")]


class MarkRequest(BaseModel):
    """What an operator says of one thing in a frame."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"verdict": "right", "detection": 0},
                {"verdict": "wrong", "detection": 1, "label": "dog"},
                {
                    "verdict": "missed",
                    "label": "person",
                    "box": {"x_min": 10, "y_min": 20, "x_max": 60, "y_max": 140},
                },
            ]
        },
    )

    verdict: Verdict
    detection: int | None = Field(
        None, ge=0, lt=2**31, description="Its place in the result's detections, counted from 0."
    )
    box: Box | None = Field(None, description="Where something was missed.")
    label: str | None = Field(
        None,
        description="What was missed, or what it is instead; a wrong detection without one is of nothing.",
    )
    note: str = Field("", description="For whoever looks at the mark later.")


class SeenThing(BaseModel):
    """The detection that a mark is about, as it was then."""

    label: str
    score: float
    recogniser: str


class MarkDocument(BaseModel):
    """One verdict of one person."""

    id: str
    camera: str
    frame: str
    captured_at: datetime
    task: str = Field(description="Whose result it is held against.")
    verdict: Verdict
    label: str | None = Field(description="What it is, as the operator says; null where there is nothing.")
    box: Box
    detection: int | None = Field(
        description="Its place in the result's detections; null when it was missed."
    )
    seen: SeenThing | None
    note: str
    by: str
    at: datetime


class FrameMarks(BaseModel):
    """What was said of a frame, oldest first."""

    marks: list[MarkDocument]


class MarksPage(BaseModel):
    """Marks by camera and, within one, newest frame first. `next` is the address of the page after this one."""

    marks: list[MarkDocument]
    next: str | None


class LabelSummary(BaseModel):
    """What was said of one label."""

    label: str
    right: int
    wrong: int
    corrected: int = Field(description="Of the wrong ones those that are something else.")
    missed: int = Field(description="What was not detected, or under another label.")
    precision: float | None = Field(description="Share of the judged detections that were right.")
    precision_low: float | None = Field(description="Lower end of its 95 % interval.")
    precision_high: float | None = Field(description="Upper end of its 95 % interval.")


class MarksSummary(BaseModel):
    """How often results were right, as far as operators have looked: the last word on each thing counts."""

    frames: int
    labels: list[LabelSummary]


@router.get(_FRAME, operation_id="list_frame_marks", summary="What was said of a frame")
async def list_frame_marks(
    services: Serving, caller: Caller, camera: CameraName, frame: FrameName
) -> FrameMarks:
    """All marks on a frame, everybody's. It takes the role operator."""
    caller.check(Permission.HUMAN_VIEW)
    stored = await services.catalogue.frame(camera, frame)
    marks = await services.marks.of_frame(camera, stored.name)
    return FrameMarks(marks=[mark_document(mark) for mark in marks])


@router.post(
    _FRAME,
    operation_id="mark_frame",
    summary="Say that a result is right or wrong",
    response_model=MarkDocument,
    status_code=status.HTTP_201_CREATED,
    responses={200: {"model": MarkDocument, "description": "In place of what one said before."}},
)
@on_record(Subject.MARK)
async def mark_frame(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    said: MarkRequest,
    task: TaskQuery = store_keys.DEFAULT_TASK,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """Say of a detection that it is right or wrong, or of a box that something in it was missed.

    It takes the role operator and a reason, that of the human view. What one says of the same thing later replaces it;
    the audit tells both. The frame is kept with both layers, for as long as the server's configuration says.
    """
    async with services.disclosures.begin(
        request,
        caller,
        Permission.HUMAN_VIEW,
        subject=Subject.MARK,
        camera=camera,
        frame=frame,
        reason=told_reason(reason, reason_header),
        detail=_told(said),
    ) as disclosure:
        stored = await services.catalogue.frame(camera, frame)
        check_enhancement(stored)
        of_task = await services.catalogue.frame(camera, frame, task)
        mark = mark_of(_said(said), of_task, task, caller.name, services.config)
        await services.retention.keep(stored, services.config.retain_mark)
        is_new = await services.marks.put(mark)
        return disclosure.of(
            Response(
                mark_document(mark).model_dump_json(),
                status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
                {"Location": f"{request.url.path}/{mark.id}"} if is_new else None,
                "application/json",
            )
        )


@router.delete(
    _FRAME + "/{mark}",
    operation_id="remove_mark",
    summary="Take a mark back",
    status_code=status.HTTP_204_NO_CONTENT,
    response_class=Response,
)
@on_record(Subject.MARK)
async def remove_mark(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    mark: MarkName,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """Take back what one has said; an admin may take back anybody's. The audit still tells it."""
    async with services.disclosures.begin(
        request,
        caller,
        Permission.HUMAN_VIEW,
        subject=Subject.MARK,
        camera=camera,
        frame=frame,
        reason=told_reason(reason, reason_header),
        detail=f"taken back: {mark[:_LONGEST_TOLD]}",
    ) as disclosure:
        there = await services.marks.get(camera, mark)
        if there.frame != frame:
            raise InvalidMarkError(f"mark {mark} is of frame {there.frame}, not of {frame}")
        _check_own(caller, there)
        await services.marks.remove(there)
        return disclosure.of(Response(status_code=status.HTTP_204_NO_CONTENT))


@router.get("/v1/marks", operation_id="list_marks", summary="List marks")
async def list_marks(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: OfCamera = None,
    cursor: Annotated[str | None, Query(description="Taken from a `next` link.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="Marks on a page.")] = None,
) -> MarksPage:
    """Marks on frames of all cameras that one may see, or of one camera. It takes the role operator."""
    config = services.config
    page = await services.marks.page(
        await _cameras(services, caller, camera),
        after=None if cursor is None else _from_cursor(cursor),
        limit=min(limit or config.page_frames, config.page_frames_limit),
    )
    following = None
    if page.next_after is not None:
        url = request.url.include_query_params(cursor=_to_cursor(page.next_after))
        following = f"{url.path}?{url.query}"
    return MarksPage(marks=[mark_document(mark) for mark in page.marks], next=following)


@router.get("/v1/marks/summary", operation_id="sum_up_marks", summary="How often results were right")
async def sum_up_marks(
    services: Serving,
    caller: Caller,
    period: PeriodQuery,
    camera: OfCamera = None,
    recogniser: Annotated[
        str | None, Query(description="Only of this recogniser's detections, by its full name.")
    ] = None,
) -> MarksSummary:
    """Right and wrong detections and missed things by label. It takes the role operator."""
    cameras = await _cameras(services, caller, camera)
    tally = await Tally.of(
        services.marks.marked_frames(cameras, since=period.since, until=period.until), recogniser
    )
    return MarksSummary(
        frames=tally.frames,
        labels=[
            LabelSummary(
                label=of.label,
                right=of.right,
                wrong=of.wrong,
                corrected=of.corrected,
                missed=of.missed,
                precision=of.precision,
                precision_low=None if of.interval is None else of.interval[0],
                precision_high=None if of.interval is None else of.interval[1],
            )
            for of in sorted(tally.by_label.values(), key=lambda of: of.label)
        ],
    )


def mark_document(mark: Mark) -> MarkDocument:
    """A mark as it is told."""
    box, seen = mark.box, mark.seen
    return MarkDocument(
        id=mark.id,
        camera=mark.camera,
        frame=mark.frame,
        captured_at=mark.captured_at,
        task=mark.task,
        verdict=mark.verdict,
        label=mark.label,
        box=Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
        detection=None if seen is None else seen.number,
        seen=None
        if seen is None
        else SeenThing(label=seen.label, score=seen.score, recogniser=seen.recogniser),
        note=mark.note,
        by=mark.by,
        at=mark.at,
    )


async def _cameras(services: Services, caller: Principal, camera: str | None) -> list[str]:
    """The camera asked for, or all that the caller sees.

    Raises:
        ForbiddenError
    """
    caller.check(Permission.HUMAN_VIEW)
    if camera is not None:
        if not caller.sees(camera):
            raise ForbiddenError(f"your access does not cover camera {camera!r}; an admin can widen it")
        return [camera]
    return [name for name in await services.marks.cameras() if caller.sees(name)]


def _check_own(caller: Principal, mark: Mark) -> None:
    if mark.by != caller.name and not caller.may(Permission.ADMINISTER):
        raise ForbiddenError(f"this is a mark of {mark.by}'s: they, or an admin, can take it back")


def _said(said: MarkRequest) -> Said:
    box = said.box
    return Said(
        verdict=said.verdict,
        detection=said.detection,
        box=None if box is None else MarkedBox(box.x_min, box.y_min, box.x_max, box.y_max),
        label=said.label,
        note=said.note,
    )


def _told(said: MarkRequest) -> str:
    about = "a box" if said.detection is None else f"detection {said.detection}"
    label = "" if said.label is None else f", {said.label!r}"
    return f"{about} {said.verdict}{label}"[:_LONGEST_TOLD]


def _to_cursor(after: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("/".join(after).encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> tuple[str, str]:
    try:
        camera, _, mark = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("/")
        frame_of(mark)
        return store_keys.checked_camera_id(camera), mark
    except (binascii.Error, ValueError) as error:
        raise InvalidCursorError(cursor) from error
