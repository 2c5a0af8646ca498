"""``/v1/cameras/{camera}/timeline`` and ``/v1/cameras/{camera}/things``: what a camera has shown, for longer than its
frames are kept.
"""

from __future__ import annotations

import base64
import binascii
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from secondsight import store_keys
from server.errors import InvalidCursorError, InvalidRangeError
from server.rest.frames import CameraName
from server.rest.moments import FromQuery, nanoseconds
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.results import TaskQuery
from server.rest.services import Serving
from server.timeline.entry import AHEAD_MS, DAY_MS
from server.timeline.records import Thing as SeenThing
from server.timeline.things import Place, Wanted, page_of_things
from server.timeline.timeline import Bucket as TimeBucket
from server.timeline.timeline import Viewable

router = APIRouter(prefix="/v1/cameras/{camera}", tags=["timeline"], responses=PROBLEM_RESPONSES)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS: Final = 3_600_000
_LONGEST_NAME: Final = 256

UntilQuery = Annotated[
    AwareDatetime | None, Query(alias="to", description="Only what is of before this time, RFC 3339; now.")
]


class Bucket(BaseModel):
    """A stretch of time in which frames were captured."""

    start: datetime
    seconds: int = Field(
        description="As `bucket_s`, or 60 where only whole minutes are known although less was asked for."
    )
    frames: int
    machine_bytes: int
    enhancement_bytes: int
    labels: dict[str, int] = Field(description="The most of each label in one frame.")
    label_frames: dict[str, int] = Field(description="In how many frames each label was.")
    alerts: int = Field(description="Frames that somebody has to look at.")
    first_frame: str
    first_at: datetime
    last_frame: str
    last_at: datetime
    viewable: Viewable = Field(
        description="Which views there still are: `human` (and machine), `machine`, or `none`: the history is longer "
        "than frames are kept."
    )


class Gap(BaseModel):
    """A time in which frames were due and none was captured."""

    from_: datetime = Field(alias="from")
    to: datetime


class Timeline(BaseModel):
    """A camera's history. Buckets without a frame are left out."""

    camera: str
    task: str
    from_: datetime = Field(alias="from")
    to: datetime
    oldest: datetime | None = Field(description="First frame of the whole history; null without any.")
    newest: datetime | None = Field(description="Its last frame.")
    bucket_s: int
    interval_s: float | None = Field(description="Usual time from one frame to the next.")
    buckets: list[Bucket]
    gaps: list[Gap]


class Thing(BaseModel):
    """Something that was seen for a while."""

    thing: str
    track: str | None = Field(
        description="Its name in detections; null where things are not tracked: then it stands for all of a label "
        "that was seen without a break."
    )
    label: str
    first_seen_at: datetime
    last_seen_at: datetime
    zones: list[str]
    alert: bool
    best_score: float
    best_frame: str = Field(description="The frame that shows it best; of an alert, one that raised it.")
    frames: int = Field(description="In how many frames it was.")
    most: int = Field(description="How many there were at once.")
    viewable: bool = Field(description="Whether there still is a picture of its best frame.")
    links: dict[str, str]


class Order(StrEnum):
    """Which things come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


class Things(BaseModel):
    """Things in order. `next` is the address of the page after this one, which may have fewer or none."""

    things: list[Thing]
    next: str | None


@router.get("/timeline", operation_id="get_timeline", summary="What a camera has shown, over time")
async def get_timeline(
    services: Serving,
    camera: CameraName,
    begin: FromQuery = None,
    end: UntilQuery = None,
    buckets: Annotated[int | None, Query(ge=1, description="At most so many, about.")] = None,
    task: TaskQuery = store_keys.DEFAULT_TASK,
) -> Timeline:
    """Frames, bytes, labels and alerts in buckets of a second to a day, and the gaps between frames.

    The last hour, unless told otherwise. Buckets are as short as their number allows, and begin at whole multiples of
    their length in UTC. What is older than frames and results are kept is known by the minute.
    """
    config = services.config
    from_ms, to_ms = _range(begin, end, _HOUR_MS)
    made = await services.timelines.of(
        camera,
        task,
        from_ms=from_ms,
        to_ms=to_ms,
        most=min(buckets or config.timeline_buckets, config.timeline_buckets_limit),
    )
    return Timeline.model_validate(
        {
            "camera": camera,
            "task": task,
            "from": _moment(made.from_ms),
            "to": _moment(made.to_ms),
            "oldest": None if made.oldest_ms is None else _moment(made.oldest_ms),
            "newest": None if made.newest_ms is None else _moment(made.newest_ms),
            "bucket_s": made.bucket_s,
            "interval_s": None if made.interval_ms is None else round(made.interval_ms / 1000, 3),
            "buckets": [_bucket(bucket) for bucket in made.buckets],
            "gaps": [{"from": _moment(gap.from_ms), "to": _moment(gap.to_ms)} for gap in made.gaps],
        }
    )


@router.get("/things", operation_id="list_things", summary="List what was seen")
async def list_things(
    request: Request,
    services: Serving,
    camera: CameraName,
    begin: FromQuery = None,
    end: UntilQuery = None,
    label: Annotated[str | None, Query(max_length=_LONGEST_NAME, description="Only things of it.")] = None,
    zone: Annotated[
        str | None, Query(max_length=_LONGEST_NAME, description="Only things that were in it.")
    ] = None,
    alert: Annotated[bool, Query(description="Only what somebody has to look at.")] = False,
    order: Annotated[Order, Query(description="By when they were first seen.")] = Order.NEWEST,
    task: TaskQuery = store_keys.DEFAULT_TASK,
    cursor: Annotated[str | None, Query(description="Taken from a `next` link.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="Things on a page.")] = None,
) -> Things:
    """Things first seen in a time, each with the frame that shows it best. All that are known, unless told."""
    config = services.config
    # Without a history there is nothing to find, but that is an answer: the range must not be empty.
    from_ms, to_ms = _range(begin, end, max(1, config.history_days) * DAY_MS)
    page = await page_of_things(
        services.timelines.history(camera, task),
        Wanted(from_ms, to_ms, label, zone, alert, order is Order.OLDEST),
        behind=None if cursor is None else _from_cursor(cursor),
        limit=min(limit or config.page_frames, config.page_frames_limit),
        read=config.things_read,
    )
    following = None
    if page.next_behind is not None:
        url = request.url.include_query_params(cursor=_to_cursor(page.next_behind))
        following = f"{url.path}?{url.query}"
    return Things(
        things=[_thing(camera, seen, page.showable.frame(seen.best_frame)) for seen in page.things],
        next=following,
    )


def _range(begin: datetime | None, end: datetime | None, lasting_ms: int) -> tuple[int, int]:
    """From when to when, ms since the epoch; up to what clocks may be ahead, and for so long, unless told.

    Raises:
        InvalidRangeError
    """
    now_ms = time.time_ns() // 1_000_000
    to_ms = now_ms + (AHEAD_MS if begin is None and lasting_ms > DAY_MS else 1)
    if end is not None:
        to_ms = nanoseconds(end) // 1_000_000
    from_ms = to_ms - lasting_ms if begin is None else nanoseconds(begin) // 1_000_000
    if from_ms >= to_ms:
        raise InvalidRangeError
    return from_ms, to_ms


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _bucket(bucket: TimeBucket) -> Bucket:
    return Bucket(
        start=_moment(bucket.start_ms),
        seconds=bucket.span_ms // 1000,
        frames=bucket.frames,
        machine_bytes=bucket.machine_bytes,
        enhancement_bytes=bucket.enhancement_bytes,
        labels={label: seen.most for label, seen in bucket.labels.items()},
        label_frames={label: seen.frames for label, seen in bucket.labels.items()},
        alerts=bucket.alerts,
        first_frame=bucket.first_frame,
        first_at=_moment(bucket.first_ms),
        last_frame=bucket.last_frame,
        last_at=_moment(bucket.last_ms),
        viewable=bucket.viewable,
    )


def _thing(camera: str, seen: SeenThing, viewable: bool) -> Thing:
    frame = f"/v1/cameras/{camera}/frames/{seen.best_frame}"
    return Thing(
        thing=seen.name,
        track=seen.name if seen.is_track else None,
        label=seen.label,
        first_seen_at=_moment(seen.first_ms),
        last_seen_at=_moment(seen.last_ms),
        zones=list(seen.zones),
        alert=seen.alert,
        best_score=seen.best_score,
        best_frame=seen.best_frame,
        frames=seen.frames,
        most=seen.most,
        viewable=viewable,
        links={
            "frame": frame,
            "machine_view": f"{frame}/image?view=machine",
            "human_view": f"{frame}/image?view=human",
        },
    )


def _to_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place[0]} {place[1]}".encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> Place:
    try:
        seen_at, name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        return int(seen_at), name
    except (binascii.Error, ValueError) as error:
        raise InvalidCursorError(cursor) from error
