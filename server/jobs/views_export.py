"""Pictures of frames, as a zip file with a manifest."""

from __future__ import annotations

from typing import Any

from server.catalogue import StoredFrame
from server.jobs.bundle import MEDIA_TYPE, Bundle
from server.jobs.footage import CANNOT_BE_SHOWN
from server.jobs.job import Planned
from server.jobs.making import Made, Making
from server.provenance import model_of
from server.rest.moments import utc
from shared_models.picture import Picture


async def make_views_export(making: Making) -> Made:
    """``CAMERA/FRAME.jpg`` and so on, each named in ``manifest.json``."""
    order, footage = making.order, making.footage
    path = making.folder / f"{making.file_name}.zip"
    with Bundle(path) as bundle:
        async for planned in making.frames():
            try:
                stored, picture = await footage.picture(planned, order, making.patience)
            except CANNOT_BE_SHOWN as error:
                making.leave_out(planned, error)
                continue
            making.note_shown()
            await footage.aside(lambda: _add(making, bundle, planned, stored, picture))  # noqa: B023  # ends before the next
        await footage.aside(lambda: bundle.finish(making.manifest()))
    return Made(path, MEDIA_TYPE)


def _add(making: Making, bundle: Bundle, planned: Planned, stored: StoredFrame, picture: Picture) -> None:
    order = making.order
    provenance = making.of_picture(stored, order.width)
    content = making.footage.views.compress(picture, order.image_format, order.width, provenance)
    name = f"{planned.camera}/{planned.frame}.{order.image_format.ending}"
    bundle.list(
        {
            **frame_about(stored),
            "view": order.view,
            "slices": order.slices,
            **bundle.add(name, content, planned.captured_ns),
        }
    )


def frame_about(stored: StoredFrame) -> dict[str, Any]:
    """What manifests tell of a frame."""
    frame = stored.frame
    return {
        "camera": frame.id.camera_id,
        "frame": stored.name,
        "captured_at": utc(frame.captured_at).isoformat(),
        "pts_us": frame.pts_us,
        "key_frame": stored.key_frame,
        "model": model_of(frame.machine_layer),
    }
