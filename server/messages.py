"""What was seen and noticed, as messages."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from secondsight.v1 import analytics_pb2
from server.recognition.seen import Detection, Segmentation
from server.watch.watch import Event, Happening, Noticed

_KINDS: Final = {
    Happening.NEW: analytics_pb2.EVENT_KIND_NEW,
    Happening.UPDATE: analytics_pb2.EVENT_KIND_UPDATE,
    Happening.END: analytics_pb2.EVENT_KIND_END,
}


def detection_message(detection: Detection) -> analytics_pb2.Detection:
    """One thing that was seen."""
    mask = detection.mask
    return analytics_pb2.Detection(
        label=detection.label,
        score=detection.score,
        box=analytics_pb2.Box(
            x_min=detection.x_min, y_min=detection.y_min, x_max=detection.x_max, y_max=detection.y_max
        ),
        mask=None
        if mask is None
        else analytics_pb2.Mask(height=mask.height, width=mask.width, counts=mask.counts),
        keypoints=[
            analytics_pb2.Keypoint(name=point.name, x=point.x, y=point.y, score=point.score)
            for point in detection.keypoints
        ],
    )


def noticed_message(noticed: Noticed) -> analytics_pb2.Detection:
    """One thing that was seen, with what the rules make of it."""
    message = detection_message(noticed.detection)
    message.track = noticed.track
    message.zones.extend(noticed.zones)
    return message


def event_message(event: Event) -> analytics_pb2.Event:
    """Something that a thing did."""
    message = analytics_pb2.Event(
        kind=_KINDS[event.happening],
        track=event.track,
        detection=noticed_message(Noticed(event.detection, event.track, event.zones)),
        alert=event.alert,
    )
    message.first_seen_at.FromNanoseconds(round(event.first_seen_s * 1e9))
    message.last_seen_at.FromNanoseconds(round(event.last_seen_s * 1e9))
    return message


def segmentation_message(segmentation: Segmentation) -> analytics_pb2.Segmentation:
    """What each pixel shows, its numbers as a PNG of as few bits as they take."""
    numbers = segmentation.numbers
    pixels = np.bincount(
        numbers.ravel(), minlength=1 + max((s.number for s in segmentation.segments), default=0)
    )
    narrow = numbers.astype(np.uint8) if numbers.max(initial=0) < 256 else numbers
    file = io.BytesIO()
    Image.fromarray(narrow).save(file, format="PNG", compress_level=1)
    return analytics_pb2.Segmentation(
        numbers_png=file.getvalue(),
        segments=[
            analytics_pb2.Segment(
                number=segment.number,
                label=segment.label,
                is_thing=segment.is_thing,
                score=segment.score,
                pixels=int(pixels[segment.number]),
            )
            for segment in segmentation.segments
        ],
    )
