"""``/v1/cameras``."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from server.rest.gate import Caller
from server.rest.moments import utc
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(prefix="/v1/cameras", tags=["cameras"], responses=PROBLEM_RESPONSES)


class Camera(BaseModel):
    """A camera that has stored a frame."""

    camera: str
    last_frame_at: datetime = Field(description="When its last frame was stored, by the server's clock.")
    session: int = Field(description="Its current session.")
    frames: str = Field(description="Address of its frames.")


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
            )
            for camera in await services.catalogue.cameras()
            if caller.sees(camera.camera_id)
        ]
    )
