"""A clip: views of one camera as a film."""

from __future__ import annotations

import json

from server.jobs.film import MEDIA_TYPE, Film
from server.jobs.footage import CANNOT_BE_SHOWN
from server.jobs.making import Made, Making


async def make_clip(making: Making) -> Made:
    """Decode frame by frame; what cannot be decoded is left out, and the picture before it stays."""
    order = making.order
    path = making.folder / f"{making.file_name}.mp4"
    film = Film(path, order.width)
    try:
        async for planned in making.frames():
            try:
                _, picture = await making.footage.picture(planned, order, making.patience)
            except CANNOT_BE_SHOWN as error:
                making.leave_out(planned, error)
                continue
            making.note_shown()
            captured_ns = planned.captured_ns
            await making.footage.aside(lambda: film.add(picture, captured_ns))  # noqa: B023  # ends before the next
    finally:
        await making.footage.aside(film.close)
    shown = making.job.planned - making.job.left_out_count
    metadata = {
        "title": f"{order.cameras[0]} {order.period}",
        "comment": f"{order.view} view, {shown} frames of {making.job.planned}, each at the time of its capture",
        "secondsight": json.dumps(making.provenance()),
    }
    await making.footage.aside(lambda: film.finish(metadata))
    return Made(path, MEDIA_TYPE)
