"""``/v1/cameras``."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from secondsight.v1 import frame_pb2
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


class Camera(BaseModel):
    """A camera that has stored a frame."""

    camera: str
    last_frame_at: datetime = Field(description="When its last frame was stored, by the server's clock.")
    session: int = Field(description="Its current session.")
    frames: str = Field(description="Address of its frames.")
    edge: Edge | None = Field(description="Null when its edge has told nothing for a minute.")


class Cameras(BaseModel):
    """All cameras, sorted by name."""

    cameras: list[Camera]


@router.get("", operation_id="list_cameras", summary="List cameras")
async def list_cameras(services: Serving, caller: Caller) -> Cameras:
    """Cameras that have ever stored a frame, as far as whoever asks may see them."""
    return Cameras(
        cameras=[
            Camera(
                camera=camera.camera_id,
                last_frame_at=utc(camera.last_frame_at),
                session=camera.session,
                frames=f"/v1/cameras/{camera.camera_id}/frames",
                edge=_edge(camera.edge) if camera.HasField("edge") else None,
            )
            for camera in await services.catalogue.cameras()
            if caller.sees(camera.camera_id)
        ]
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
    )
