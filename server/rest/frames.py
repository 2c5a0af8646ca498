"""``/v1/cameras/{camera}/frames``: frames with what was recognised in them, and their raw layers."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from secondsight import store_keys
from server.access.caller import Permission
from server.audit.record import Subject
from server.catalogue import EnhancementState, FramePage, StoredFrame
from server.errors import InvalidCursorError
from server.rest.conditional import conditional
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.gate import Caller
from server.rest.moments import PeriodQuery, nanoseconds, utc
from server.rest.on_record import enhancement_layer, on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.results import Result, TaskQuery, result_document
from server.rest.services import Serving

router = APIRouter(prefix="/v1/cameras/{camera}/frames", tags=["frames"], responses=PROBLEM_RESPONSES)

CameraName = Annotated[str, Path(description="A camera, as listed by /v1/cameras.")]
WaitQuery = Annotated[
    float | None,
    Query(
        ge=0,
        description="Seconds that enhancement layers may take to come over the camera's uplink, when only its "
        "edge has them; the server has a most.",
    ),
]
FrameName = Annotated[str, Path(description="SESSION-SEQUENCE, as listed by the camera's frames.")]


class Enhancement(BaseModel):
    """The enhancement layer."""

    state: EnhancementState
    bytes: int
    slices: int
    expires_at: datetime | None = Field(
        description="When its life is over; null when there is none, or when the edge alone knows."
    )


class Frame(BaseModel):
    """One frame. `result` is null until it is recognised."""

    frame: str
    camera: str
    session: int
    sequence: int
    captured_at: datetime
    pts_us: int
    key_frame: str | None = Field(
        description="The key frame that this frame is predicted from; null in a key frame. "
        "Without its layers those of this frame cannot be decoded."
    )
    machine_bytes: int
    enhancement: Enhancement
    result: Result | None
    links: dict[str, str]


class Frames(BaseModel):
    """Frames, newest first. `next` is the address of the page after this one."""

    frames: list[Frame]
    next: str | None


class Layer(StrEnum):
    """One of the two bitstreams of a frame."""

    MACHINE = "machine"
    ENHANCEMENT = "enhancement"


@router.get("", operation_id="list_frames", summary="List frames, newest first")
async def list_frames(
    request: Request,
    services: Serving,
    camera: CameraName,
    period: PeriodQuery,
    cursor: Annotated[str | None, Query(description="Taken from a `next` link.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="Frames on a page.")] = None,
    task: TaskQuery = store_keys.DEFAULT_TASK,
) -> Frames:
    """Frames of a camera with their results; `from` and `to` are of when they were captured."""
    config = services.config
    page = await services.catalogue.frames(
        camera,
        before=None if cursor is None else from_cursor(cursor),
        limit=min(limit or config.page_frames, config.page_frames_limit),
        from_ns=None if period.since is None else nanoseconds(period.since),
        to_ns=None if period.until is None else nanoseconds(period.until),
        task=task,
    )
    return page_document(request, page)


@router.get("/at", operation_id="get_frame_at", summary="The frame nearest to a moment")
async def get_frame_at(
    services: Serving,
    camera: CameraName,
    time: Annotated[AwareDatetime, Query(description="RFC 3339.")],
    task: TaskQuery = store_keys.DEFAULT_TASK,
) -> Frame:
    """The frame that was captured nearest to a moment, before or after it, also one that is kept for longer."""
    return frame_document(await services.catalogue.nearest(camera, nanoseconds(time), task))


@router.get("/{frame}", operation_id="get_frame", summary="One frame")
async def get_frame(
    services: Serving, camera: CameraName, frame: FrameName, task: TaskQuery = store_keys.DEFAULT_TASK
) -> Frame:
    """One frame with its result."""
    return frame_document(await services.catalogue.frame(camera, frame, task))


@router.get(
    "/{frame}/layers/{layer}",
    operation_id="get_layer",
    summary="A raw layer",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"content": {"application/octet-stream": {}}, "description": "The bytes that `Range` asks for."},
        304: {"description": "The client has it (`If-None-Match`)."},
    },
)
@on_record(enhancement_layer)
async def get_layer(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    layer: Annotated[Layer, Path(description="Which of the two.")],
    wait: WaitQuery = None,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """The bitstream of one layer, as the edge made it. That of the enhancement layer is guarded as a human view is.

    To decode that of a predicted frame takes the same layers of its key frame, to which a `Link` header leads.
    A part of it comes by `Range` (one range of bytes), with `If-Range` if it is still the same.
    """
    if layer is Layer.MACHINE:
        stored = await services.catalogue.frame(camera, frame)
        return _layer(request, stored, layer, stored.frame.machine_layer)
    async with services.disclosures.begin(
        request,
        caller,
        Permission.HUMAN_VIEW,
        subject=Subject.ENHANCEMENT_LAYER,
        camera=camera,
        frame=frame,
        reason=told_reason(reason, reason_header),
    ) as disclosure:
        stored = await services.catalogue.frame(camera, frame)
        content = await services.enhancement.layer(stored, wait)
        return disclosure.of(_layer(request, stored, layer, content))


def _layer(request: Request, stored: StoredFrame, layer: Layer, content: bytes) -> Response:
    return conditional(
        request,
        content,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{stored.frame.id.camera_id}-{stored.name}.{layer}"',
            **key_frame_headers(stored),
        },
    )


def key_frame_headers(stored: StoredFrame) -> dict[str, str]:
    """Which key frame a frame is predicted from; nothing in a key frame."""
    if stored.key_frame is None:
        return {}
    address = _address(stored, stored.key_frame)
    return {
        "Secondsight-Key-Frame": stored.key_frame,
        "Link": f'<{address}>; rel="related"; title="key frame"',
    }


def _address(stored: StoredFrame, name: str) -> str:
    return f"/v1/cameras/{stored.frame.id.camera_id}/frames/{name}"


def _links(stored: StoredFrame) -> dict[str, str]:
    address = _address(stored, stored.name)
    links = {
        "self": address,
        "machine_view": f"{address}/image?view=machine",
        "human_view": f"{address}/image?view=human",
        "cost": f"{address}/cost",
        "machine_layer": f"{address}/layers/machine",
        "enhancement_layer": f"{address}/layers/enhancement",
    }
    if stored.key_frame is not None:
        key = _address(stored, stored.key_frame)
        links |= {
            "key_frame": key,
            "key_machine_layer": f"{key}/layers/machine",
            "key_enhancement_layer": f"{key}/layers/enhancement",
        }
    return links


def page_document(request: Request, page: FramePage) -> Frames:
    """A page of frames, with the address of the next one."""
    following = None
    if page.next_before is not None:
        url = request.url.include_query_params(cursor=_to_cursor(page.next_before))
        following = f"{url.path}?{url.query}"
    return Frames(frames=[frame_document(stored) for stored in page.frames], next=following)


def frame_document(stored: StoredFrame) -> Frame:
    """A frame as it is told."""
    frame = stored.frame
    return Frame(
        frame=stored.name,
        camera=frame.id.camera_id,
        session=frame.id.session,
        sequence=frame.id.sequence,
        captured_at=utc(frame.captured_at),
        pts_us=frame.pts_us,
        key_frame=stored.key_frame,
        machine_bytes=stored.machine_bytes,
        enhancement=_enhancement(stored),
        result=None if stored.result is None else result_document(stored.result),
        links=_links(stored),
    )


def _enhancement(stored: StoredFrame) -> Enhancement:
    receipt, expires_at = stored.frame.enhancement, stored.enhancement_expires_at
    return Enhancement(
        state=stored.enhancement,
        bytes=receipt.bytes,
        slices=receipt.slices,
        expires_at=None if expires_at is None else utc(expires_at),
    )


def _to_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The frame before which a page begins.

    Raises:
        InvalidCursorError
    """
    try:
        name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return store_keys.entry_id(*store_keys.parse_entry_id(name))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursorError(cursor) from error
