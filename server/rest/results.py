"""What was recognised in a frame, as REST tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server.rest.moments import utc

TaskQuery = Annotated[
    str,
    Query(
        pattern=f"^{store_keys.CAMERA_ID_PATTERN}$",
        description="The recognition task whose results are told.",
    ),
]

EventKind = Literal["unspecified", "new", "update", "end"]
_EVENT_KINDS: Final[dict[int, EventKind]] = {
    analytics_pb2.EVENT_KIND_NEW: "new",
    analytics_pb2.EVENT_KIND_UPDATE: "update",
    analytics_pb2.EVENT_KIND_END: "end",
}


class Box(BaseModel):
    """Corners in pixels; the origin is the upper left corner of the frame."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Mask(BaseModel):
    """Pixels of one thing, as COCO's compressed run lengths."""

    size: tuple[int, int] = Field(description="Height and width of the whole picture.")
    counts: str = Field(description="As pycocotools writes them.")


class Keypoint(BaseModel):
    """A named place of a thing, pixels from the frame's upper left corner."""

    name: str
    x: float
    y: float
    score: float


class Detection(BaseModel):
    """One thing that was seen."""

    label: str
    score: float
    box: Box
    track: str | None = Field(
        default=None, description="Name of the thing, the same from frame to frame; null when not tracked."
    )
    zones: list[str] = Field(default_factory=list, description="Zones of the camera that it is in.")
    mask: Mask | None = None
    keypoints: list[Keypoint] = Field(default_factory=list)


class Event(BaseModel):
    """Something that a tracked thing did."""

    kind: EventKind
    track: str
    detection: Detection = Field(description="The thing as it was last seen, without its mask.")
    first_seen_at: datetime
    last_seen_at: datetime
    alert: bool


class Segment(BaseModel):
    """The pixels of one number of a frame's map."""

    number: int
    label: str
    is_thing: bool = Field(description="Whether it can be counted; else it is stuff, such as road or sky.")
    score: float
    pixels: int


class Result(BaseModel):
    """What one recognition task saw in a frame."""

    task: str
    recogniser: str
    recognised_at: datetime
    width: int
    height: int
    detections: list[Detection] = Field(description="Best score first.")
    segments: list[Segment] = Field(
        default_factory=list, description="What each pixel shows, of recognisers that say so."
    )
    events: list[Event] = Field(default_factory=list, description="What tracked things did by this frame.")
    alert: bool = Field(default=False, description="Somebody has to look at this frame, by the rules.")
    failure: str | None = Field(description="Why nothing could be recognised, when that is so.")
    decode_us: int
    recognise_us: int


def result_document(result: analytics_pb2.RecognitionResult) -> Result:
    """A result as it is told."""
    return Result(
        task=result.task or store_keys.DEFAULT_TASK,
        recogniser=result.recogniser,
        recognised_at=utc(result.recognised_at),
        width=result.width,
        height=result.height,
        detections=[_detection(detection) for detection in result.detections],
        segments=[
            Segment(
                number=segment.number,
                label=segment.label,
                is_thing=segment.is_thing,
                score=round(segment.score, 4),
                pixels=segment.pixels,
            )
            for segment in result.segmentation.segments
        ],
        events=[_event(event) for event in result.events],
        alert=result.alert,
        failure=result.failure or None,
        decode_us=result.timing.decode_us,
        recognise_us=result.timing.recognise_us,
    )


def _detection(detection: analytics_pb2.Detection) -> Detection:
    box, mask = detection.box, detection.mask
    return Detection(
        label=detection.label,
        score=round(detection.score, 4),
        box=Box(
            x_min=round(box.x_min, 1),
            y_min=round(box.y_min, 1),
            x_max=round(box.x_max, 1),
            y_max=round(box.y_max, 1),
        ),
        track=detection.track or None,
        zones=list(detection.zones),
        mask=Mask(size=(mask.height, mask.width), counts=mask.counts.decode("ascii", "replace"))
        if detection.HasField("mask")
        else None,
        keypoints=[
            Keypoint(name=point.name, x=round(point.x, 1), y=round(point.y, 1), score=round(point.score, 4))
            for point in detection.keypoints
        ],
    )


def _event(event: analytics_pb2.Event) -> Event:
    return Event(
        kind=_EVENT_KINDS.get(event.kind, "unspecified"),
        track=event.track,
        detection=_detection(event.detection),
        first_seen_at=utc(event.first_seen_at),
        last_seen_at=utc(event.last_seen_at),
        alert=event.alert,
    )
