"""``/v1/cameras``."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, cast

from fastapi import APIRouter
from pydantic import BaseModel, Field

from secondsight.v1 import analytics_pb2, frame_pb2
from server.rest.gate import Caller
from server.rest.moments import utc
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(prefix="/v1/cameras", tags=["cameras"], responses=PROBLEM_RESPONSES)


class Spool(BaseModel):
    """Encoded frames on the disk of a camera's host."""

    frames: int
    bytes: int
    limit_bytes: int
    oldest_seconds: float | None = Field(description="Age of the oldest frame; null when none waits.")
    full: bool = Field(
        description="The next frame finds no room: the oldest goes for it, or it is not taken."
    )
    failing: bool = Field(description="The disk takes nothing; frames wait in memory.")


class Edge(BaseModel):
    """What a camera's edge told of itself in the last minute."""

    source: str = Field(
        description="How its source does: opening, giving, away, frozen, still, failed or ended."
    )
    spool: Spool | None = Field(description="Null without a spool.")
    dropped: dict[str, int] = Field(
        default_factory=dict,
        description="Captured frames that it did not get stored since it began, by reason.",
    )
    dropped_last_minute: dict[str, int] = Field(default_factory=dict, description="Those of the last minute.")
    reconnects_last_hour: int = Field(default=0, description="Connections after the first.")


class CameraState(StrEnum):
    """Whether a camera's frames come: they do; not for a while, over an open uplink; or no uplink is open."""

    LIVE = "live"
    STALE = "stale"
    OFFLINE = "offline"


class Camera(BaseModel):
    """A camera that has stored a frame."""

    camera: str
    state: CameraState
    since: datetime | None = Field(
        description="Since when it is live, or its last frame. Null where this server cannot know."
    )
    slow: Literal["camera", "encoder", "network", "server"] | None = Field(
        description="The part that its frames wait for; null when none is known."
    )
    slow_detail: str | None = Field(description="Why it is thought so.")
    awaiting: int | None = Field(
        description="Its stored frames that await recognition; null where the store cannot count them."
    )
    last_frame_at: datetime = Field(description="When its last frame was stored, by the server's clock.")
    session: int = Field(description="Its current session.")
    frames: str = Field(description="Address of its frames.")
    edge: Edge | None = Field(description="Null when its edge has told nothing for a minute.")


_STATES: Final[dict[int, CameraState]] = {
    analytics_pb2.CAMERA_STATE_LIVE: CameraState.LIVE,
    analytics_pb2.CAMERA_STATE_STALE: CameraState.STALE,
    analytics_pb2.CAMERA_STATE_OFFLINE: CameraState.OFFLINE,
}


class Cameras(BaseModel):
    """All cameras, sorted by name."""

    cameras: list[Camera]


@router.get("", operation_id="list_cameras", summary="List cameras")
async def list_cameras(services: Serving, caller: Caller) -> Cameras:
    """Cameras that have ever stored a frame, as far as whoever asks may see them."""
    return Cameras(
        cameras=[
            camera_document(camera)
            for camera in await services.catalogue.cameras()
            if caller.sees(camera.camera_id)
        ]
    )


def camera_document(camera: analytics_pb2.Camera) -> Camera:
    """A camera as it is told."""
    return Camera(
        camera=camera.camera_id,
        state=_STATES[camera.state],
        since=utc(camera.since) if camera.HasField("since") else None,
        slow=cast(Any, camera.slow) or None,
        slow_detail=camera.slow_detail or None,
        awaiting=camera.awaiting if camera.HasField("awaiting") else None,
        last_frame_at=utc(camera.last_frame_at),
        session=camera.session,
        frames=f"/v1/cameras/{camera.camera_id}/frames",
        edge=_edge(camera.edge) if camera.HasField("edge") else None,
    )


def _edge(told: frame_pb2.EdgeReport) -> Edge:
    spool = told.spool
    return Edge(
        source=told.source,
        spool=Spool(
            frames=spool.frames,
            bytes=spool.bytes,
            limit_bytes=spool.limit_bytes,
            oldest_seconds=spool.oldest.ToMilliseconds() / 1000 if spool.HasField("oldest") else None,
            full=spool.full,
            failing=spool.failing,
        )
        if told.HasField("spool")
        else None,
        dropped=dict(told.dropped),
        dropped_last_minute=dict(told.dropped_last_minute),
        reconnects_last_hour=told.reconnects_last_hour,
    )
