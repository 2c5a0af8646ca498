"""What was recognised, as COCO JSON."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from PIL import Image
from pycocotools import mask as run_lengths

from secondsight.v1 import analytics_pb2
from server.errors import JobTooLargeError, RecognitionFailedError
from server.jobs.job import Planned
from server.jobs.json_document import JsonDocument
from server.jobs.making import Made, Making
from server.recognition.coco import Categories
from server.rest.moments import nanoseconds, utc

_MEDIA_TYPE: Final = "application/json"
_LOOK_EVERY: Final = 256
"""Results between two looks for room."""
_FOR_ONE_FRAME: Final = 10
"""Results that may be exported where one frame might: they are so much smaller."""


async def make_results_export(making: Making) -> Made:
    """Results in the order of frames, camera by camera. Those that only say that recognition failed are left out."""
    order, job, periods = making.order, making.job, making.sources.periods
    path = making.folder / f"{making.file_name}.json"
    most = making.sources.config.job_frames * _FOR_ONE_FRAME
    since_ns, until_ns = nanoseconds(order.since), nanoseconds(order.until)
    job.planned = sum([await periods.results_kept(camera, order.task) for camera in order.cameras])
    with JsonDocument(making.folder, ["images", "annotations"]) as document:
        coco = _Coco(document, order.task)
        for camera in order.cameras:
            async for name, result in periods.results(camera, order.task, since_ns, until_ns):
                job.gone_through += 1
                if job.gone_through > most:
                    raise JobTooLargeError(f"there are more than {most} results; ask for a shorter time")
                if result.failure:
                    planned = Planned(camera, name, result.captured_at.ToNanoseconds())
                    making.leave_out(planned, RecognitionFailedError(result.failure))
                    continue
                await making.footage.aside(lambda: coco.add(name, result))  # noqa: B023  # ends before the next
                if job.gone_through % _LOOK_EVERY == 0:
                    await making.look_for_room(document.bytes())
        job.planned = job.gone_through
        await making.look_for_room(document.bytes())
        head = {
            "info": {"description": "What Secondsight recognised", **making.manifest()},
            "categories": coco.categories.all(),
        }
        await making.footage.aside(lambda: document.finish(path, head))
    return Made(path, _MEDIA_TYPE)


class _Coco:
    """Images and annotations, each numbered from 1."""

    def __init__(self, document: JsonDocument, task: str) -> None:
        self.categories = Categories()
        self._document = document
        self._task = task
        self._images = 0
        self._annotations = 0

    def add(self, name: str, result: analytics_pb2.RecognitionResult) -> None:
        """A frame with all that was seen in it."""
        camera = result.frame.camera_id
        self._images += 1
        self._document.add(
            "images",
            {
                "id": self._images,
                # As an export of views names them.
                "file_name": f"{camera}/{name}.jpg",
                "width": result.width,
                "height": result.height,
                "date_captured": utc(result.captured_at).isoformat(),
                "coco_url": f"/v1/cameras/{camera}/frames/{name}/image?view=machine",
                "camera": camera,
                "frame": name,
                "task": self._task,
                "recogniser": result.recogniser,
                "alert": result.alert,
            },
        )
        for detection in result.detections:
            self._annotate(detection.label, _of_detection(detection))
        if result.HasField("segmentation"):
            numbers = np.asarray(Image.open(io.BytesIO(result.segmentation.numbers_png)))
            for segment in result.segmentation.segments:
                self._annotate(segment.label, _of_segment(segment, numbers))

    def _annotate(self, label: str, about: dict[str, Any]) -> None:
        self._annotations += 1
        number = self.categories.number(label)
        self._document.add(
            "annotations",
            {"id": self._annotations, "image_id": self._images, "category_id": number, "iscrowd": 0, **about},
        )


def _of_detection(detection: analytics_pb2.Detection) -> dict[str, Any]:
    box = detection.box
    width, height = box.x_max - box.x_min, box.y_max - box.y_min
    about: dict[str, Any] = {
        "bbox": [round(side, 2) for side in (box.x_min, box.y_min, width, height)],
        "area": round(width * height, 2),
        "score": round(detection.score, 4),
        "track": detection.track or None,
        "zones": list(detection.zones),
    }
    if detection.HasField("mask"):
        outline = {
            "size": [detection.mask.height, detection.mask.width],
            "counts": detection.mask.counts.decode(),
        }
        about |= {"segmentation": outline, "area": int(run_lengths.area(outline))}
    if detection.keypoints:
        about["named_keypoints"] = [
            {
                "name": point.name,
                "x": round(point.x, 1),
                "y": round(point.y, 1),
                "score": round(point.score, 4),
            }
            for point in detection.keypoints
        ]
    return about


def _of_segment(segment: analytics_pb2.Segment, numbers: np.ndarray) -> dict[str, Any]:
    outline = run_lengths.encode(np.asfortranarray(numbers == segment.number, np.uint8))
    return {
        "bbox": [float(side) for side in run_lengths.toBbox(outline)],
        "area": int(run_lengths.area(outline)),
        "segmentation": {"size": list(outline["size"]), "counts": outline["counts"].decode()},
        "score": round(segment.score, 4),
        "segment": segment.number,
        "is_thing": segment.is_thing,
    }
