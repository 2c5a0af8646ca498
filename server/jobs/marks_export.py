"""What operators said of results, with the human views that they said it of, as a zip file of a COCO dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

from server.jobs.bundle import MEDIA_TYPE, Bundle
from server.jobs.footage import CANNOT_BE_SHOWN
from server.jobs.making import Made, Making
from server.jobs.views_export import frame_about
from server.marks.coco_dataset import ANNOTATIONS, IMAGES, CocoDataset
from server.marks.mark import MarkedFrame


async def make_marks_export(making: Making) -> Made:
    """``images/`` and ``instances.json`` as `server.marks` lays them out, and a manifest."""
    order, footage = making.order, making.footage
    path = making.folder / f"{making.file_name}.zip"
    folder = making.folder / "dataset"
    try:
        with Bundle(path) as bundle:
            dataset = CocoDataset(folder)
            async for planned in making.frames():
                marks = await making.sources.marks.of_frame(planned.camera, planned.frame)
                if not marks:
                    continue  # taken back since
                marked = MarkedFrame.of(marks)
                try:
                    stored, picture = await footage.picture(planned, order, making.patience)
                except CANNOT_BE_SHOWN as error:
                    making.leave_out(planned, error)
                    dataset.leave_out(marked, str(error))
                    continue
                making.note_shown()

                def add() -> None:
                    provenance = making.of_picture(stored)  # noqa: B023  # ends before the next
                    content = footage.views.compress(picture, order.image_format, None, provenance)  # noqa: B023
                    dataset.add(marked, content)  # noqa: B023
                    name = _move(folder, bundle)
                    bundle.list({**frame_about(stored), "file": name})  # noqa: B023

                await footage.aside(add)

            def finish() -> None:
                bundle.add_file(ANNOTATIONS, dataset.finish())
                bundle.finish(making.manifest())

            await footage.aside(finish)
    finally:
        await footage.aside(lambda: shutil.rmtree(folder, ignore_errors=True))
    return Made(path, MEDIA_TYPE)


def _move(folder: Path, bundle: Bundle) -> str:
    """Put the picture in that the dataset has written last: not all of them lie on the disk twice."""
    (written,) = (folder / IMAGES).iterdir()
    name = f"{IMAGES}/{written.name}"
    bundle.add_file(name, written)
    written.unlink()
    return name
