"""Which results of a subscription were had, and where it goes on; and results as values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from google.protobuf.timestamp_pb2 import Timestamp

from secondsight import store_keys
from secondsight.client._exceptions import IncompatibleServerError
from secondsight.client._values import Box, Detection, Event, Keypoint, Mask, Result, Segment
from secondsight.v1 import analytics_pb2

Start = Literal["latest", "earliest"]

_REMEMBERED: Final = 256
_EVENT_KINDS: Final = {
    analytics_pb2.EVENT_KIND_NEW: "new",
    analytics_pb2.EVENT_KIND_UPDATE: "update",
    analytics_pb2.EVENT_KIND_END: "end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which results.

    Attributes:
        cameras: only these; all, also those that appear later, when empty.
        labels, minimum_score: only such detections; frames without any are left out then.
        task: of this recognition task.
        start: where cameras begin that have no position.
    """

    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    minimum_score: float = 0.0
    task: str = ""
    start: Start = "latest"


class Positions:
    """How far a subscription is, over any number of connections.

    The server sends what comes after the last position of each camera, at least once; what was had already is passed
    over. A camera of which there was nothing yet goes on, after a lost connection, from when the subscription began.
    """

    def __init__(self, wanted: Wanted, resume_after: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._offsets = dict(resume_after)
        self._had: dict[str, OrderedDict[tuple[str, int], None]] = {}
        self._began_ns: int | None = None
        self._opened = False

    @property
    def offsets(self) -> dict[str, str]:
        """By camera, the position after the last result that was dealt with. Keep it, to go on another day."""
        return dict(self._offsets)

    def request(self) -> analytics_pb2.SubscribeRequest:
        """What to ask for at the next connection."""
        wanted = self._wanted
        # Later connections have to bring what came in between, of cameras without a position too.
        earliest = wanted.start == "earliest" or self._opened
        return analytics_pb2.SubscribeRequest(
            camera_ids=wanted.cameras,
            labels=wanted.labels,
            minimum_score=wanted.minimum_score,
            resume_after=self._offsets,
            start_from=analytics_pb2.START_FROM_EARLIEST if earliest else analytics_pb2.START_FROM_LATEST,
            task=wanted.task,
        )

    def opened(self, server_time_ns: int) -> None:
        """The server took the starting positions."""
        self._opened = True
        if self._began_ns is None:
            self._began_ns = 0 if self._wanted.start == "earliest" else server_time_ns

    def is_new(self, response: analytics_pb2.SubscribeResponse) -> bool:
        """Whether a response is to be dealt with; if not, it is done with."""
        name, result = _name(response), response.result
        camera = result.frame.camera_id
        known = camera in self._offsets or camera in self._had
        before = self._began_ns is not None and result.recognised_at.ToNanoseconds() < self._began_ns
        if name in self._had.get(camera, ()):
            return False
        if before and not known:
            self.dealt_with(response)
            return False
        return True

    def dealt_with(self, response: analytics_pb2.SubscribeResponse) -> None:
        """Go on after this response."""
        camera = response.result.frame.camera_id
        had = self._had.setdefault(camera, OrderedDict())
        had[_name(response)] = None
        while len(had) > _REMEMBERED:
            had.popitem(last=False)
        self._offsets[camera] = response.offset


def result_of(message: analytics_pb2.RecognitionResult, *, missed: bool = False) -> Result:
    """A result as a value.

    Raises:
        IncompatibleServerError: it is none.
    """
    try:
        return Result(
            camera=message.frame.camera_id,
            frame=store_keys.entry_id(message.frame.session, message.frame.sequence),
            captured_at=_utc(message.captured_at),
            recogniser=message.recogniser,
            recognised_at=_utc(message.recognised_at),
            width=message.width,
            height=message.height,
            detections=tuple(_detection(each) for each in message.detections),
            task=message.task or store_keys.DEFAULT_TASK,
            segments=tuple(
                Segment(
                    number=each.number,
                    label=each.label,
                    is_thing=each.is_thing,
                    score=each.score,
                    pixels=each.pixels,
                )
                for each in message.segmentation.segments
            ),
            events=tuple(_event(each) for each in message.events),
            alert=message.alert,
            failure=message.failure or None,
            decode_us=message.timing.decode_us,
            recognise_us=message.timing.recognise_us,
            missed=missed,
            numbers_png=message.segmentation.numbers_png or None,
        )
    except ValueError as error:
        raise IncompatibleServerError(f"the server sent a result that cannot be read: {error}") from error


def _name(response: analytics_pb2.SubscribeResponse) -> tuple[str, int]:
    """Of a result, also among those of a store that was emptied and numbers its frames anew."""
    frame = response.result.frame
    return store_keys.entry_id(frame.session, frame.sequence), response.result.captured_at.ToNanoseconds()


def _detection(message: analytics_pb2.Detection) -> Detection:
    box, mask = message.box, message.mask
    return Detection(
        label=message.label,
        score=message.score,
        box=Box(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
        track=message.track or None,
        zones=tuple(message.zones),
        mask=Mask(size=(mask.height, mask.width), counts=mask.counts.decode("ascii"))
        if message.HasField("mask")
        else None,
        keypoints=tuple(
            Keypoint(name=each.name, x=each.x, y=each.y, score=each.score) for each in message.keypoints
        ),
    )


def _event(message: analytics_pb2.Event) -> Event:
    return Event(
        kind=_EVENT_KINDS.get(message.kind, "unspecified"),
        track=message.track,
        detection=_detection(message.detection),
        first_seen_at=_utc(message.first_seen_at),
        last_seen_at=_utc(message.last_seen_at),
        alert=message.alert,
    )


def _utc(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC)
